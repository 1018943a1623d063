/* py_plan.c -- plan(): the join of a File and a Spec; Plan: its facts as Python
 * numbers and strings, made at once (they are few). */
#include "python/kwload_py.h"

#include <structmember.h>

#include "read/folder.h"
#include "read/hdf5_private.h"

/* X(name): the attributes of a Plan. */
#define PLAN_FIELDS(X)                                                                                                 \
    X(pairs) X(keras_pairs) X(conversions) X(findings) X(undecidable) X(source_group) X(own_group) X(wanted) X(unused) \
    X(prediction)

typedef struct plan_object {
    PyObject_HEAD
#define PLAN_FIELD(name) PyObject *name;
    PLAN_FIELDS(PLAN_FIELD)
#undef PLAN_FIELD
} plan_object;

static PyObject *pair_list(const kw_pair *pairs, uint32_t count) {
    static const char *const rules[] = {"path", "order", "name", "mapped"};
    static const char *const casts[] = {"same", "exact", "rounds", "overflows"};
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        PyObject *pair = Py_BuildValue("(IIss)", pairs[i].file_tensor, pairs[i].model_tensor, rules[pairs[i].rule],
                                       casts[pairs[i].cast]);
        if (pair == NULL || PyList_SetItem(list, (Py_ssize_t)i, pair) < 0) Py_CLEAR(list);
    }
    return list;
}

static PyObject *row_list(const uint32_t *rows, uint32_t count) {
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        PyObject *row = kw_row(rows[i]);
        if (row == NULL || PyList_SetItem(list, (Py_ssize_t)i, row) < 0) Py_CLEAR(list);
    }
    return list;
}

static PyObject *finding_object(const kw_plan *plan, const kw_finding *f) {
    static const char *const severities[] = {"note", "warning", "error"};
    PyObject *related = row_list(plan->related + f->related_first, f->related_count);
    if (related == NULL) return NULL;
#define ROW(row) ((row) == KW_NONE ? -1L : (long)(row))
    return Py_BuildValue("(isllllliIIN)", f->code, severities[f->severity], ROW(f->file_group), ROW(f->model_group),
                         ROW(f->file_tensor), ROW(f->model_tensor), ROW(f->other_group), (int)f->axis, f->a, f->b,
                         related);
#undef ROW
}

static PyObject *finding_list(const kw_plan *plan) {
    PyObject *list = PyList_New((Py_ssize_t)plan->finding_count);
    for (uint32_t i = 0; list != NULL && i < plan->finding_count; i++) {
        PyObject *finding = finding_object(plan, &plan->findings[i]);
        if (finding == NULL || PyList_SetItem(list, (Py_ssize_t)i, finding) < 0) Py_CLEAR(list);
    }
    return list;
}

/* Names of steps, in order. */
static PyObject *step_list(const kw_conversion *conversion) {
    PyObject *list = PyList_New(conversion->step_count);
    for (unsigned i = 0; list != NULL && i < conversion->step_count; i++) {
        PyObject *name = PyUnicode_FromString(kw_step_name((kw_step)conversion->steps[i]));
        if (name == NULL || PyList_SetItem(list, i, name) < 0) Py_CLEAR(list);
    }
    return list;
}

static PyObject *conversion_list(const kw_plan *plan) {
    PyObject *list = PyList_New((Py_ssize_t)plan->conversion_count);
    for (uint32_t i = 0; list != NULL && i < plan->conversion_count; i++) {
        const kw_conversion *conversion = &plan->conversions[i];
        PyObject *rows = row_list(conversion->from, conversion->part_count);
        PyObject *steps = rows != NULL ? step_list(conversion) : NULL;
        PyObject *row = steps != NULL ? Py_BuildValue("(IOO)", conversion->model_tensor, rows, steps) : NULL;
        Py_XDECREF(rows);
        Py_XDECREF(steps);
        if (row == NULL || PyList_SetItem(list, (Py_ssize_t)i, row) < 0) Py_CLEAR(list);
    }
    return list;
}

/* Runs separated by KW_NONE -> list of lists. */
static PyObject *undecidable_list(const kw_plan *plan) {
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < plan->undecidable_count;) {
        uint32_t end = i;
        while (end < plan->undecidable_count && plan->undecidable[end] != KW_NONE) end++;
        if (end > i) {
            PyObject *rows = row_list(plan->undecidable + i, end - i);
            if (rows == NULL || PyList_Append(list, rows) < 0) Py_CLEAR(list);
            Py_XDECREF(rows);
        }
        i = end + 1;
    }
    return list;
}

static PyObject *prediction_object(const kw_prediction *p) {
    return Py_BuildValue("{s:s,s:z,s:z,s:z,s:N,s:N,s:I,s:I,s:I,s:z}", "outcome", kw_outcome_name(p->outcome), "error_type",
                         p->error_type, "error_prefix", p->error_prefix, "inner_prefix", p->inner_prefix, "error_group",
                         kw_row(p->error_group), "error_tensor", kw_row(p->error_tensor), "a", p->a, "b", p->b,
                         "assigned", p->assigned, "reason", p->reason);
}

/* A Plan with every field, or NULL with an exception. */
static PyObject *new_plan(kw_state *state, const kw_plan *plan, uint32_t model_groups) {
    PyTypeObject *type = (PyTypeObject *)state->plan_type;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    plan_object *self = (plan_object *)alloc(type, 0);
    if (self == NULL) return NULL;
    self->pairs = pair_list(plan->pairs, plan->pair_count);
    self->keras_pairs = self->pairs ? pair_list(plan->keras_pairs, plan->keras_pair_count) : NULL;
    self->conversions = self->keras_pairs ? conversion_list(plan) : NULL;
    self->findings = self->conversions ? finding_list(plan) : NULL;
    self->undecidable = self->findings ? undecidable_list(plan) : NULL;
    self->source_group = self->undecidable ? row_list(plan->source_group, plan->source_group ? model_groups : 0) : NULL;
    self->own_group = self->source_group ? row_list(plan->own_group, plan->own_group ? model_groups : 0) : NULL;
    self->wanted = self->own_group ? PyLong_FromUnsignedLong(plan->wanted) : NULL;
    self->unused = self->wanted ? PyLong_FromUnsignedLong(plan->unused) : NULL;
    self->prediction = self->unused ? prediction_object(&plan->prediction) : NULL;
    if (self->prediction == NULL) Py_CLEAR(self);
    return (PyObject *)self;
}

static void plan_dealloc(PyObject *object) {
    plan_object *self = (plan_object *)object;
    PyTypeObject *type = Py_TYPE(object);
#define DROP_FIELD(name) Py_XDECREF(self->name);
    PLAN_FIELDS(DROP_FIELD)
#undef DROP_FIELD
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static PyMemberDef plan_members[] = {
#define MEMBER(name) {#name, T_OBJECT_EX, offsetof(plan_object, name), READONLY, NULL},
    PLAN_FIELDS(MEMBER)
#undef MEMBER
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot plan_slots[] = {
    {Py_tp_doc, "Which tensor goes to which variable, what Keras would do, and what is wrong."},
    {Py_tp_dealloc, (void *)plan_dealloc},
    {Py_tp_members, plan_members},
    {0, NULL},
};

PyType_Spec kw_plan_spec = {
    .name = "kwload._core.Plan",
    .basicsize = sizeof(plan_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = plan_slots,
};

static int parse_flavour(const char *name, kw_flavour *out) {
    if (strcmp(name, "keras") == 0) {
        *out = KW_FLAVOUR_KERAS3;
    } else if (strcmp(name, "tf_keras") == 0) {
        *out = KW_FLAVOUR_TF_KERAS;
    } else if (strcmp(name, "keras2") == 0) {
        *out = KW_FLAVOUR_KERAS2;
    } else {
        PyErr_Format(PyExc_ValueError, "flavour must be 'keras', 'tf_keras' or 'keras2', not '%s'", name);
        return -1;
    }
    return 0;
}

static int parse_suffix(const char *name, kw_suffix *out) {
    static const char *const names[] = {"keras", "weights.h5", "weights.json", "h5", "other"};
    for (int i = 0; i < 5; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (kw_suffix)i;
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError, "unknown suffix '%s'", name);
    return -1;
}

/* One byte a group, checked against the model's count. */
static int parse_selected(PyObject *object, uint32_t groups, const uint8_t **out) {
    *out = NULL;
    if (object == Py_None) return 0;
    if (!PyBytes_Check(object) || PyBytes_Size(object) != (Py_ssize_t)groups) {
        PyErr_Format(PyExc_ValueError, "selected must be bytes, one for each of %u groups", (unsigned)groups);
        return -1;
    }
    *out = (const uint8_t *)PyBytes_AsString(object);
    return 0;
}

/* One file group (or -1) a model group; *out is to be freed with PyMem_Free. */
static int parse_mapped(PyObject *object, uint32_t groups, uint32_t file_groups, uint32_t **out) {
    *out = NULL;
    if (object == Py_None) return 0;
    PyObject *rows = PySequence_Tuple(object);
    if (rows == NULL) return -1;
    int result = -1;
    if (PyTuple_Size(rows) != (Py_ssize_t)groups) {
        PyErr_Format(PyExc_ValueError, "mapped must have one row for each of %u groups", (unsigned)groups);
        goto done;
    }
    *out = PyMem_Malloc(sizeof **out * ((size_t)groups + 1));
    if (*out == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (uint32_t i = 0; i < groups; i++) {
        long row = PyLong_AsLong(PyTuple_GetItem(rows, (Py_ssize_t)i));
        if (row == -1 && PyErr_Occurred()) goto done;
        if (row >= (long)file_groups) {
            PyErr_SetString(PyExc_ValueError, "mapped names a group that the file has not");
            goto done;
        }
        (*out)[i] = row < 0 ? KW_NONE : (uint32_t)row;
    }
    result = 0;
done:
    Py_DECREF(rows);
    return result;
}

/* What the file records under a key; NULL. */
static const char *find_meta(const kw_file *file, const char *key) {
    for (uint32_t i = 0; i < file->meta_count; i++) {
        if (strcmp(file->metas[i].key, key) == 0) return file->metas[i].value;
    }
    return NULL;
}

/* Who wrote a file of a legacy layout: Keras 1 recorded no version with the weights, only with a whole model. */
static void describe_writer(const kw_file *file, kw_rules *rules) {
    const char *version = find_meta(file, "keras_version"), *backend = find_meta(file, "backend");
    if (file->table.layout != KW_LAYOUT_LEGACY && file->table.layout != KW_LAYOUT_LEGACY_MODEL) return;
    rules->keras_1 = version == NULL || strcmp(version, "1") == 0 || strncmp(version, "1.", 2) == 0;
    rules->versionless = file->versionless;
    rules->theano = backend != NULL && strcmp(backend, "theano") == 0;
}

static bool is_zip(kw_content content) {
    return content == KW_CONTENT_ZIP || content == KW_CONTENT_KERAS_ZIP || content == KW_CONTENT_NPZ ||
           content == KW_CONTENT_PYTORCH;
}

/* True for a zip without the member that Keras opens. */
static bool is_without_weights(const kw_file *file) {
    if (file->content == KW_CONTENT_KERAS_ZIP || file->content == KW_CONTENT_ZIP) return file->part_count == 0;
    return file->content == KW_CONTENT_NPZ || file->content == KW_CONTENT_PYTORCH;
}

static bool is_text(kw_content content) {
    return content == KW_CONTENT_TEXT || content == KW_CONTENT_HTML || content == KW_CONTENT_LFS_POINTER ||
           content == KW_CONTENT_EMPTY;
}

/* True when libhdf5 refuses to open it: it is cut short, or some writer has it open or died with it open. */
static bool is_refused(const kw_hdf5 *hdf5) {
    enum { WRITING = 1, SWMR_WRITING = 4 };
    bool written = hdf5->superblock >= 3 && (hdf5->more->status_flags & (WRITING | SWMR_WRITING)) != 0;
    return hdf5->truncated || hdf5->interrupted || written;
}

/* What opening the file meets: its container, and the damage that stops whoever opens it. */
static void describe_container(const kw_file *file, kw_rules *rules) {
    bool zip = is_zip(file->content);
    rules->is_folder = kw_is_folder(file->source);
    rules->is_zip = zip;
    rules->is_hdf5 = file->content == KW_CONTENT_HDF5;
    rules->is_nested = zip && file->part_count > 0 && strchr(file->parts[0].name, '/') != NULL;
    rules->is_nested = rules->is_nested || is_without_weights(file);
    rules->is_shards = file->content == KW_CONTENT_SHARDS;
    rules->is_text = is_text(file->content);
    for (uint32_t i = 0; zip && i < file->fault_count; i++) {
        const kw_container_fault *fault = &file->faults[i];
        bool cut = fault->fault.code == KW_TRUNCATED || fault->fault.code == KW_INTERRUPTED;
        /* The bytes present are all of the archive's: it is the archive that is cut, not what lies in it. */
        if (cut && fault->a == kw_source_size(file->source)) rules->is_zip = false;
        if (fault->fault.code == KW_CORRUPT && fault->path[0] == '\0') rules->zip_damaged = true;
        /* The member that Keras opens is there, but is no HDF5 file. */
        if (fault->fault.code == KW_NOT_WEIGHTS && strcmp(fault->path, "model.weights.h5") == 0)
            rules->hdf5_damaged = true;
    }
    bool single = zip || rules->is_hdf5; /* shards are opened one after another */
    const kw_hdf5 *hdf5 = single && file->part_count > 0 ? file->parts[0].hdf5 : NULL;
    if (hdf5 == NULL) return;
    rules->hdf5_damaged = is_refused(hdf5);
    rules->root_damaged = hdf5->fault.code != KW_OK;
}

/* (Spec, flavour, version, why it is not known or None); *given is false for None.  -1 with an exception. */
static int parse_other(kw_state *state, PyObject *object, kw_other *out, bool *given) {
    PyObject *spec;
    const char *flavour;
    *given = object != Py_None;
    if (!*given) return 0;
    if (!PyTuple_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "other must be a tuple (Spec, flavour, version, reason or None)");
        return -1;
    }
    if (!PyArg_ParseTuple(object, "O!sIz;other is (Spec, flavour, version, reason or None)", state->spec_type, &spec,
                          &flavour, &out->version, &out->unsure)) {
        return -1;
    }
    out->model = kw_spec_table(spec);
    out->graph = kw_spec_graph(spec);
    return parse_flavour(flavour, &out->flavour);
}

PyObject *kw_plan_function(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"",        "",        "flavour",       "version",  "suffix",
                            "by_name", "selected", "skip_mismatch", "mapped", "other", NULL};
    kw_state *state = PyModule_GetState(module);
    PyObject *file, *spec, *by_name = Py_None, *selected = Py_None, *mapped = Py_None, *other = Py_None, *result = NULL;
    const char *flavour = NULL, *suffix = NULL;
    int skip_mismatch = 0;
    kw_rules rules = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!|$sIsOOpOO", names, state->file_type, &file, state->spec_type,
                                     &spec, &flavour, &rules.version, &suffix, &by_name, &selected, &skip_mismatch,
                                     &mapped, &other)) {
        return NULL;
    }
    if (flavour == NULL || suffix == NULL) { /* the parser knows no required keywords */
        PyErr_SetString(PyExc_TypeError, "plan() needs flavour, version and suffix");
        return NULL;
    }
    const kw_file *opened = kw_file_of(file);
    const kw_table *model = kw_spec_table(spec);
    uint32_t *mapped_rows = NULL;
    kw_plan *plan = NULL;
    kw_error err = {0};
    kw_other reader = {.version = 0};
    bool has_other = false;
    int truth = PyObject_IsTrue(by_name);
    if (truth < 0 || parse_flavour(flavour, &rules.flavour) < 0 || parse_suffix(suffix, &rules.suffix) < 0 ||
        parse_selected(selected, model->group_count, &rules.selected) < 0 ||
        parse_mapped(mapped, model->group_count, opened->table.group_count, &mapped_rows) < 0 ||
        parse_other(state, other, &reader, &has_other) < 0) {
        goto done;
    }
    rules.by_name_given = by_name != Py_None;
    rules.by_name = truth != 0;
    rules.skip_mismatch = skip_mismatch != 0;
    describe_container(opened, &rules);
    describe_writer(opened, &rules);
    rules.mapped = mapped_rows;
    rules.other = has_other ? &reader : NULL;
    int made;
    Py_BEGIN_ALLOW_THREADS
    made = kw_plan_make(&opened->table, model, kw_spec_graph(spec), &rules, &plan, &err);
    Py_END_ALLOW_THREADS
    result = made < 0 ? kw_raise(state, &err) : new_plan(state, plan, model->group_count);
done:
    kw_plan_free(plan);
    PyMem_Free(mapped_rows);
    return result;
}
