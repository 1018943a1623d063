/* py_spec.c -- Spec: rows from Python become the model's kw_table and kw_graph. */
#include "python/kwload_py.h"

typedef struct spec_object {
    PyObject_HEAD
    kw_table table;
    kw_graph graph;
} spec_object;

const kw_table *kw_spec_table(PyObject *spec) { return &((spec_object *)spec)->table; }

const kw_graph *kw_spec_graph(PyObject *spec) {
    const kw_graph *graph = &((spec_object *)spec)->graph;
    return graph->node_count > 0 ? graph : NULL;
}

/* A NUL-terminated copy in the arena; NULL with an exception.  Lone surrogates
 * (names from file systems) keep their bytes. */
static const char *copy_text(kw_arena *arena, PyObject *text) {
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "surrogateescape");
    if (bytes == NULL) return NULL;
    const char *copy = kw_arena_text(arena, PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes));
    Py_DECREF(bytes);
    if (copy == NULL) PyErr_NoMemory();
    return copy;
}

/* Zeroed room for `count` items of `size`; NULL with an exception. */
static void *room(kw_arena *arena, Py_ssize_t count, size_t size) {
    void *items = kw_arena_alloc(arena, (size_t)count * size);
    if (items == NULL) PyErr_NoMemory();
    return items;
}

/* A length; None is one that nobody knows. */
static uint64_t parse_length(PyObject *object) {
    return object == Py_None ? KW_LEN_UNKNOWN : PyLong_AsUnsignedLongLong(object);
}

/* None is a shape of which nothing is known. */
static int parse_shape(kw_arena *arena, PyObject *object, kw_tensor *tensor) {
    PyObject *shape = object == Py_None ? PyTuple_Pack(1, Py_None) : PySequence_Tuple(object);
    if (shape == NULL) return -1;
    Py_ssize_t rank = PyTuple_Size(shape);
    uint64_t *lengths = rank > UINT8_MAX ? NULL : room(arena, rank, sizeof *lengths);
    uint64_t count = 1;
    int result = lengths == NULL ? -1 : 0;
    if (rank > UINT8_MAX) PyErr_SetString(PyExc_ValueError, "too many axes");
    for (Py_ssize_t i = 0; result == 0 && i < rank; i++) {
        lengths[i] = parse_length(PyTuple_GetItem(shape, i));
        if (PyErr_Occurred()) result = -1;
        if (lengths[i] == KW_LEN_UNKNOWN || !kw_mul(count, lengths[i], &count)) count = 0;
    }
    if (result == 0 && object == Py_None) lengths[0] = KW_LEN_ANY;
    Py_DECREF(shape);
    tensor->shape = lengths;
    tensor->rank = (uint8_t)rank;
    tensor->nbytes = count * kw_dtype_len((kw_dtype)tensor->dtype);
    return result;
}

/* (name, path, layer, shape, dtype, trainable) -> a tensor and its slot. */
static int parse_variable(kw_table *table, PyObject *object, uint32_t group, kw_slot *slot, uint32_t row) {
    PyObject *name, *path, *layer, *shape, *dtype;
    int trainable;
    kw_tensor *tensor = &table->tensors[row];
    if (!PyArg_ParseTuple(object, "UUUOUp;a variable is (name, path, layer, shape, dtype, trainable)", &name, &path,
                          &layer, &shape, &dtype, &trainable)) {
        return -1;
    }
    const char *dtype_name = copy_text(&table->arena, dtype);
    tensor->variable = copy_text(&table->arena, name);
    tensor->path = copy_text(&table->arena, path);
    tensor->layer = copy_text(&table->arena, layer);
    if (dtype_name == NULL || tensor->variable == NULL || tensor->path == NULL || tensor->layer == NULL) return -1;
    tensor->dtype = (uint8_t)kw_dtype_find(dtype_name);
    tensor->type_text = dtype_name;
    tensor->storage = KW_STORAGE_NONE;
    tensor->trainable = trainable != 0;
    tensor->off = tensor->object = KW_NOWHERE;
    tensor->group = group;
    *slot = (kw_slot){tensor->variable, row};
    return parse_shape(&table->arena, shape, tensor);
}

/* How many variables all groups have; -1 with an exception. */
static Py_ssize_t count_variables(PyObject *groups) {
    Py_ssize_t total = 0;
    for (Py_ssize_t i = 0; i < PyTuple_Size(groups); i++) {
        PyObject *group = PyTuple_GetItem(groups, i);
        if (!PyTuple_Check(group) || PyTuple_Size(group) != 5) {
            PyErr_SetString(PyExc_TypeError, "a group is (path, name, class_name, flags, variables)");
            return -1;
        }
        Py_ssize_t count = PySequence_Size(PyTuple_GetItem(group, 4));
        if (count < 0) return -1;
        total += count;
    }
    return total;
}

static int parse_group(kw_table *table, PyObject *object, uint32_t row) {
    PyObject *path, *name, *class_name, *variables;
    kw_group *group = &table->groups[row];
    if (!PyArg_ParseTuple(object, "UOOIO", &path, &name, &class_name, &group->flags, &variables)) return -1;
    group->path = copy_text(&table->arena, path);
    if (group->path == NULL) return -1;
    if (name != Py_None && (group->name = copy_text(&table->arena, name)) == NULL) return -1;
    if (class_name != Py_None && (group->class_name = copy_text(&table->arena, class_name)) == NULL) return -1;
    PyObject *items = PySequence_Tuple(variables);
    if (items == NULL) return -1;
    group->first = table->slot_count;
    group->count = (uint32_t)PyTuple_Size(items);
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < group->count; i++) {
        kw_slot *slot = &table->slots[table->slot_count++];
        result = parse_variable(table, PyTuple_GetItem(items, (Py_ssize_t)i), row, slot, table->tensor_count++);
    }
    Py_DECREF(items);
    return result;
}

static int parse_groups(kw_table *table, PyObject *groups) {
    Py_ssize_t count = PyTuple_Size(groups), variables = count_variables(groups);
    if (variables < 0) return -1;
    table->groups = room(&table->arena, count, sizeof *table->groups);
    table->tensors = room(&table->arena, variables, sizeof *table->tensors);
    table->slots = room(&table->arena, variables, sizeof *table->slots);
    if (table->groups == NULL || table->tensors == NULL || table->slots == NULL) return -1;
    table->group_count = (uint32_t)count;
    for (uint32_t i = 0; i < table->group_count; i++) {
        if (parse_group(table, PyTuple_GetItem(groups, (Py_ssize_t)i), i) < 0) return -1;
    }
    return 0;
}

/* (group row or -1, edges) -> a node; edges come one after another. */
static int parse_node(kw_table *table, PyObject *object, kw_graph_node *node, kw_graph_edge *edges, uint32_t *edge_count) {
    long group;
    PyObject *list;
    if (!PyArg_ParseTuple(object, "lO!;a node is (group row, tuple of edges)", &group, &PyTuple_Type, &list)) return -1;
    if (group >= (long)table->group_count) {
        PyErr_SetString(PyExc_ValueError, "a node names a group that is not there");
        return -1;
    }
    node->group = group < 0 ? KW_NONE : (uint32_t)group;
    node->first = *edge_count;
    node->count = (uint32_t)PyTuple_Size(list);
    for (uint32_t i = 0; i < node->count; i++) {
        PyObject *name;
        kw_graph_edge *edge = &edges[(*edge_count)++];
        if (!PyArg_ParseTuple(PyTuple_GetItem(list, (Py_ssize_t)i), "OI;an edge is (name, node)", &name, &edge->target)) {
            return -1;
        }
        if (name != Py_None && (edge->name = copy_text(&table->arena, name)) == NULL) return -1;
    }
    return 0;
}

/* What the walk relies on: the model is an object, and only lists inside lists are without a name. */
static int check_graph(const kw_graph_node *nodes, uint32_t count, const kw_graph_edge *edges) {
    const char *wrong = nodes[0].group == KW_NONE ? "the first node is the model, which has a group" : NULL;
    for (uint32_t n = 0; n < count && wrong == NULL; n++) {
        for (uint32_t e = nodes[n].first; e < nodes[n].first + nodes[n].count && wrong == NULL; e++) {
            if (edges[e].target >= count) {
                wrong = "an edge names a node that is not there";
            } else if (edges[e].name == NULL && (nodes[n].group != KW_NONE || nodes[edges[e].target].group != KW_NONE)) {
                wrong = "an edge has no name, and does not lead from a list to a list";
            }
        }
    }
    if (wrong == NULL) return 0;
    PyErr_SetString(PyExc_ValueError, wrong);
    return -1;
}

static int parse_nodes(spec_object *self, PyObject *nodes) {
    Py_ssize_t count = PyTuple_Size(nodes), edge_total = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *node = PyTuple_GetItem(nodes, i);
        PyObject *list = PyTuple_Check(node) && PyTuple_Size(node) == 2 ? PyTuple_GetItem(node, 1) : NULL;
        if (list == NULL || !PyTuple_Check(list)) {
            PyErr_SetString(PyExc_TypeError, "a node is (group row, tuple of edges)");
            return -1;
        }
        edge_total += PyTuple_Size(list);
    }
    kw_graph_node *items = room(&self->table.arena, count, sizeof *items);
    kw_graph_edge *edges = room(&self->table.arena, edge_total, sizeof *edges);
    uint32_t edge_count = 0;
    if (items == NULL || edges == NULL) return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (parse_node(&self->table, PyTuple_GetItem(nodes, i), &items[i], edges, &edge_count) < 0) return -1;
    }
    if (check_graph(items, (uint32_t)count, edges) < 0) return -1;
    self->graph = (kw_graph){items, edges, (uint32_t)count, edge_count};
    return 0;
}

/* The layout of a slug; KW_LAYOUT_UNKNOWN with an exception when there is none. */
static kw_layout find_layout(const char *name) {
    static const kw_layout layouts[] = {
#define LAYOUT_ROW(id, slug) KW_LAYOUT_##id,
        KW_LAYOUTS(LAYOUT_ROW)
#undef LAYOUT_ROW
    };
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        if (strcmp(kw_layout_name(layouts[i]), name) == 0) return layouts[i];
    }
    PyErr_Format(PyExc_ValueError, "unknown layout %s", name);
    return KW_LAYOUT_UNKNOWN;
}

/* (class name, known, (trainable, fixed, own trainable, own fixed), (channels first, reset after), (window, filters),
 * shape of the first weight or None, units) -> a unit. */
static int parse_unit(kw_table *table, PyObject *object, kw_unit *unit) {
    const char *class_name;
    PyObject *shape;
    int known, first, after;
    kw_tensor weight = {.rank = KW_UNIT_BARE};
    unsigned long long window, filters;
    if (!PyArg_ParseTuple(object, "sp(IIII)(pp)(KK)OI;a unit is (class name, known, weights, options, sizes, shape, units)",
                          &class_name, &known, &unit->trainable, &unit->fixed, &unit->own_trainable, &unit->own_fixed,
                          &first, &after, &window, &filters, &shape, &unit->span)) {
        return -1;
    }
    if (shape != Py_None && parse_shape(&table->arena, shape, &weight) < 0) return -1;
    unit->kind = (uint8_t)(known ? kw_unit_kind_find(class_name) : KW_UNIT_UNSURE);
    unit->channels_first = first != 0;
    unit->reset_after = after != 0;
    unit->window = window;
    unit->filters = filters;
    unit->rank = weight.rank;
    unit->shape = weight.shape;
    return 0;
}

/* The units of one group: each with those behind it that are inside it. */
static int parse_units(kw_table *table, PyObject *object, kw_group *group) {
    PyObject *rows = PySequence_Tuple(object);
    if (rows == NULL) return -1;
    Py_ssize_t count = PyTuple_Size(rows);
    kw_unit *units = room(&table->arena, count, sizeof *units);
    int result = units == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; result == 0 && i < count; i++) {
        result = parse_unit(table, PyTuple_GetItem(rows, i), &units[i]);
        if (result < 0 || (units[i].span > 0 && units[i].span <= (size_t)(count - i))) continue;
        PyErr_SetString(PyExc_ValueError, "a unit holds more units than there are");
        result = -1;
    }
    Py_DECREF(rows);
    if (result < 0 || count == 0) return result;
    group->units = units;
    group->unit_count = (uint32_t)count;
    return 0;
}

/* One list of units a group. */
static int parse_unit_lists(kw_table *table, PyObject *lists) {
    if (PyTuple_Size(lists) != (Py_ssize_t)table->group_count) {
        PyErr_SetString(PyExc_ValueError, "units are one list a group");
        return -1;
    }
    for (uint32_t g = 0; g < table->group_count; g++) {
        if (parse_units(table, PyTuple_GetItem(lists, (Py_ssize_t)g), &table->groups[g]) < 0) return -1;
    }
    return 0;
}

static PyObject *spec_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"", "", "", "", NULL};
    const char *layout;
    PyObject *groups, *nodes = NULL, *units = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO|OO", names, &layout, &groups, &nodes, &units)) return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    spec_object *self = (spec_object *)alloc(type, 0);
    if (self == NULL) return NULL;
    self->table.layout = find_layout(layout);
    PyObject *group_rows = PyErr_Occurred() ? NULL : PySequence_Tuple(groups);
    PyObject *node_rows = group_rows == NULL ? NULL : nodes ? PySequence_Tuple(nodes) : PyTuple_New(0);
    PyObject *unit_lists = node_rows == NULL ? NULL : units ? PySequence_Tuple(units) : PyTuple_New(0);
    bool ok = unit_lists != NULL && parse_groups(&self->table, group_rows) == 0 &&
              (PyTuple_Size(node_rows) == 0 || parse_nodes(self, node_rows) == 0) &&
              (PyTuple_Size(unit_lists) == 0 || parse_unit_lists(&self->table, unit_lists) == 0);
    Py_XDECREF(group_rows);
    Py_XDECREF(node_rows);
    Py_XDECREF(unit_lists);
    if (!ok) Py_CLEAR(self);
    return (PyObject *)self;
}

static void spec_dealloc(PyObject *object) {
    kw_table_free(&((spec_object *)object)->table);
    kw_object_free(object);
}

static PyType_Slot spec_slots[] = {
    {Py_tp_doc, "Spec(layout, groups, nodes=(), units=(), /): what a model wants, for one layout."},
    {Py_tp_new, (void *)spec_new},
    {Py_tp_dealloc, (void *)spec_dealloc},
    {0, NULL},
};

PyType_Spec kw_spec_spec = {
    .name = "kwload._core.Spec",
    .basicsize = sizeof(spec_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = spec_slots,
};
