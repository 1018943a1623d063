/* py_file.c -- File: an opened weight file.
 *
 * File.view makes a mapping at the first access; what reads many tensors at once
 * is in py_fetch.c.  Arrays hold the kw_opened, so they outlive the File.
 */
#include "python/kwload_py.h"

typedef struct file_object {
    PyObject_HEAD
    kw_opened *opened;
    kw_index paths; /* path -> row, made at the first look-up */
    bool indexed;
} file_object;

static const kw_table *table_of(PyObject *file) { return &((file_object *)file)->opened->file->table; }

kw_opened *kw_opened_of(PyObject *file) { return ((file_object *)file)->opened; }

kw_file *kw_file_of(PyObject *file) { return ((file_object *)file)->opened->file; }

static PyObject *file_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"", "inflate_limit", "audit", NULL};
    PyObject *object;
    unsigned long long limit = 0;
    int audit = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$Kp", names, &object, &limit, &audit)) return NULL;
    kw_open_options options = {.inflate_limit = limit, .audit = audit != 0};
    kw_opened *opened = kw_opened_new(kw_state_of_type(type), object, &options);
    if (opened == NULL) return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    file_object *self = (file_object *)alloc(type, 0);
    if (self == NULL) {
        kw_opened_release(opened);
        return NULL;
    }
    self->opened = opened;
    self->paths = KW_INDEX_EMPTY;
    self->indexed = false;
    return (PyObject *)self;
}

static void file_dealloc(PyObject *object) {
    file_object *self = (file_object *)object;
    kw_index_free(&self->paths);
    kw_opened_release(self->opened);
    kw_object_free(object);
}

/* len(file): how many tensors, without making them. */
static Py_ssize_t file_length(PyObject *object) { return (Py_ssize_t)table_of(object)->tensor_count; }

static PyObject *file_tensors(PyObject *object, void *closure) {
    (void)closure;
    kw_opened *opened = ((file_object *)object)->opened;
    kw_state *state = kw_state_of_type(Py_TYPE(object));
    uint32_t count = opened->file->table.tensor_count;
    PyObject *tuple = PyTuple_New((Py_ssize_t)count);
    kw_shapes shapes = {0};
    for (uint32_t i = 0; tuple != NULL && i < count; i++) {
        PyObject *tensor = kw_tensor_new(state, opened, i, &shapes);
        if (tensor == NULL || PyTuple_SetItem(tuple, (Py_ssize_t)i, tensor) < 0) Py_CLEAR(tuple);
    }
    kw_shapes_clear(&shapes);
    return tuple;
}

static PyObject *slot_object(const kw_slot *slot) {
    PyObject *name = kw_text(slot->name);
    PyObject *row = kw_row(slot->tensor);
    if (name == NULL || row == NULL) {
        Py_XDECREF(name);
        Py_XDECREF(row);
        return NULL;
    }
    return Py_BuildValue("(NN)", name, row);
}

/* (path, name, flags, slots, fault), see _core.pyi. */
static PyObject *group_object(const kw_table *table, const kw_group *group) {
    PyObject *slots = PyTuple_New((Py_ssize_t)group->count);
    for (uint32_t i = 0; slots != NULL && i < group->count; i++) {
        PyObject *slot = slot_object(&table->slots[group->first + i]);
        if (slot == NULL || PyTuple_SetItem(slots, (Py_ssize_t)i, slot) < 0) Py_CLEAR(slots);
    }
    PyObject *path = kw_text(group->path);
    PyObject *name = group->name ? kw_text(group->name) : Py_NewRef(Py_None);
    PyObject *fault = kw_fault_object(&group->fault);
    if (slots == NULL || path == NULL || name == NULL || fault == NULL) {
        Py_XDECREF(slots);
        Py_XDECREF(path);
        Py_XDECREF(name);
        Py_XDECREF(fault);
        return NULL;
    }
    return Py_BuildValue("(NNINN)", path, name, (unsigned)group->flags, slots, fault);
}

static PyObject *file_groups(PyObject *object, void *closure) {
    (void)closure;
    const kw_table *table = table_of(object);
    PyObject *tuple = PyTuple_New((Py_ssize_t)table->group_count);
    for (uint32_t i = 0; tuple != NULL && i < table->group_count; i++) {
        PyObject *group = group_object(table, &table->groups[i]);
        if (group == NULL || PyTuple_SetItem(tuple, (Py_ssize_t)i, group) < 0) Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *file_metadata(PyObject *object, void *closure) {
    (void)closure;
    const kw_file *file = kw_file_of(object);
    PyObject *dict = PyDict_New();
    for (uint32_t i = 0; dict != NULL && i < file->meta_count; i++) {
        PyObject *key = kw_text(file->metas[i].key);
        PyObject *value = kw_text(file->metas[i].value);
        if (key == NULL || value == NULL || PyDict_SetItem(dict, key, value) < 0) Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *container_fault_object(const kw_container_fault *fault) {
    PyObject *at = kw_offset(fault->fault.at);
    PyObject *detail = kw_text(fault->fault.detail ? fault->fault.detail : "");
    PyObject *path = kw_text(fault->path ? fault->path : "");
    if (at == NULL || detail == NULL || path == NULL) {
        Py_XDECREF(at);
        Py_XDECREF(detail);
        Py_XDECREF(path);
        return NULL;
    }
    return Py_BuildValue("(iNNNKK)", fault->fault.code, at, detail, path, (unsigned long long)fault->a,
                         (unsigned long long)fault->b);
}

static PyObject *file_faults(PyObject *object, void *closure) {
    (void)closure;
    const kw_file *file = kw_file_of(object);
    PyObject *tuple = PyTuple_New((Py_ssize_t)file->fault_count);
    for (uint32_t i = 0; tuple != NULL && i < file->fault_count; i++) {
        PyObject *fault = container_fault_object(&file->faults[i]);
        if (fault == NULL || PyTuple_SetItem(tuple, (Py_ssize_t)i, fault) < 0) Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *file_content(PyObject *object, void *closure) {
    (void)closure;
    return PyUnicode_FromString(kw_content_name(kw_file_of(object)->content));
}

static PyObject *file_layout(PyObject *object, void *closure) {
    (void)closure;
    return PyUnicode_FromString(kw_layout_name(table_of(object)->layout));
}

static PyObject *file_size(PyObject *object, void *closure) {
    (void)closure;
    return PyLong_FromUnsignedLongLong(kw_source_size(kw_file_of(object)->source));
}

static PyObject *file_config(PyObject *object, void *closure) {
    (void)closure;
    const kw_file *file = kw_file_of(object);
    if (file->config == NULL) Py_RETURN_NONE;
    return PyBytes_FromStringAndSize(file->config, (Py_ssize_t)file->config_len);
}

static PyObject *file_training(PyObject *object, void *closure) {
    (void)closure;
    const kw_file *file = kw_file_of(object);
    if (file->training == NULL) Py_RETURN_NONE;
    return PyBytes_FromStringAndSize(file->training, (Py_ssize_t)file->training_len);
}

static PyObject *file_title(PyObject *object, void *closure) {
    (void)closure;
    const kw_file *file = kw_file_of(object);
    if (file->title == NULL) Py_RETURN_NONE;
    return kw_text(file->title);
}

static PyObject *file_index(PyObject *object, PyObject *path) {
    file_object *self = (file_object *)object;
    const kw_table *table = table_of(object);
    PyObject *bytes = PyUnicode_AsEncodedString(path, "utf-8", "surrogateescape");
    if (bytes == NULL) return NULL;
    if (kw_opened_lock(self->opened) < 0) {
        Py_DECREF(bytes);
        return NULL;
    }
    kw_error err = {0};
    int result = 0;
    for (uint32_t i = 0; !self->indexed && result == 0 && i < table->tensor_count; i++) {
        result = kw_index_add(&self->paths, table->tensors[i].path, i, NULL, &err);
    }
    self->indexed = result == 0;
    uint32_t row = result == 0 ? kw_index_find(&self->paths, PyBytes_AsString(bytes)) : KW_NONE;
    kw_opened_unlock(self->opened);
    Py_DECREF(bytes);
    return result < 0 ? kw_raise(kw_state_of_type(Py_TYPE(object)), &err) : kw_row(row);
}

static PyObject *copy_tensor(kw_state *state, kw_opened *opened, const kw_tensor *tensor, uint32_t row) {
    kw_error err = {0};
    void *block;
    PyObject *array = kw_block_new(state, tensor, &block);
    if (array != NULL && kw_opened_read(opened, row, block, &err) < 0) {
        Py_DECREF(array);
        return kw_raise(state, &err);
    }
    return array;
}

static PyObject *file_view(PyObject *object, PyObject *argument) {
    Py_ssize_t row = PyLong_AsSsize_t(argument);
    if (row == -1 && PyErr_Occurred()) return NULL;
    const kw_tensor *tensor = kw_tensor_readable(object, row);
    if (tensor == NULL) return NULL;
    kw_state *state = kw_state_of_type(Py_TYPE(object));
    kw_opened *opened = ((file_object *)object)->opened;
    if (kw_tensor_is_extent(tensor) && tensor->nbytes > 0) {
        const uint8_t *bytes = kw_opened_bytes(state, opened, tensor->part);
        if (bytes != NULL) return kw_array_view(state, opened, tensor, bytes + tensor->off);
        if (PyErr_Occurred()) return NULL;
    }
    PyObject *array = copy_tensor(state, opened, tensor, (uint32_t)row);
    if (array == NULL) return NULL;
    PyObject *done = PyObject_CallMethod(array, "setflags", "O", Py_False); /* read-only, like a view */
    if (done == NULL) Py_CLEAR(array);
    Py_XDECREF(done);
    return array;
}

static PyObject *file_verify(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"threads", NULL};
    int threads = 2, result;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$i", names, &threads)) return NULL;
    kw_opened *opened = ((file_object *)object)->opened;
    kw_error err = {0};
    Py_BEGIN_ALLOW_THREADS
    result = kw_file_verify(opened->file, threads < 1 ? 1 : threads, &err);
    Py_END_ALLOW_THREADS
    if (result < 0) return kw_raise(kw_state_of_type(Py_TYPE(object)), &err);
    Py_RETURN_NONE;
}

static PyObject *file_unchanged(PyObject *object, PyObject *unused) {
    (void)unused;
    const kw_file *file = kw_file_of(object);
    kw_error err = {0};
    for (uint32_t i = 0; i < file->part_count; i++) {
        if (kw_source_unchanged(file->parts[i].source, &err) < 0) Py_RETURN_FALSE;
    }
    return PyBool_FromLong(kw_source_unchanged(file->source, &err) == 0);
}

static PyGetSetDef file_getset[] = {
    {"content", file_content, NULL, "Slug of what the first bytes say.", NULL},
    {"layout", file_layout, NULL, "Slug of the Keras layout.", NULL},
    {"size", file_size, NULL, "Bytes.", NULL},
    {"tensors", file_tensors, NULL, "Every tensor, a tuple of Tensor.", NULL},
    {"groups", file_groups, NULL, "(path, name, flags, slots, fault) of each group, in the layout's order.", NULL},
    {"metadata", file_metadata, NULL, "What the container records.", NULL},
    {"faults", file_faults, NULL, "(code, at, detail, path, a, b) of what is wrong with the container.", NULL},
    {"config", file_config, NULL, "JSON text of the stored architecture, or None.", NULL},
    {"training", file_training, NULL, "Bytes of the stored training config (JSON), or None.", NULL},
    {"title", file_title, NULL, "What an impostor says of itself, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef file_methods[] = {
    {"index", file_index, METH_O, "Row of the tensor with this path, -1 when there is none."},
    {"view", file_view, METH_O, "The tensor as a read-only array, zero-copy where the bytes lie plain."},
    {"fetch", (PyCFunction)(void (*)(void))kw_file_fetch, METH_VARARGS | METH_KEYWORDS,
     "fetch(rows, *, threads=2, verify=False, dtypes=None, facts=None): writable arrays of their own aligned memory."},
    {"scan", (PyCFunction)(void (*)(void))kw_file_scan, METH_VARARGS | METH_KEYWORDS,
     "scan(rows, dtypes, facts, *, threads=2, verify=False): looks at values and keeps none."},
    {"digest", (PyCFunction)(void (*)(void))kw_file_digest, METH_VARARGS | METH_KEYWORDS,
     "digest(rows, *, threads=2): XXH3-128 of the values of each, little-endian in C order."},
    {"verify", (PyCFunction)(void (*)(void))file_verify, METH_VARARGS | METH_KEYWORDS,
     "verify(*, threads=2): raises CoreError when a member's CRC-32 is wrong."},
    {"unchanged", file_unchanged, METH_NOARGS, "False when size or time of the file differ from those at opening."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot file_slots[] = {
    {Py_tp_doc, "File(source, /, *, inflate_limit=0, audit=False): an opened weight file."},
    {Py_tp_new, (void *)file_new},
    {Py_tp_dealloc, (void *)file_dealloc},
    {Py_tp_getset, file_getset},
    {Py_tp_methods, file_methods},
    {Py_sq_length, (void *)file_length},
    {0, NULL},
};

PyType_Spec kw_file_spec = {
    .name = "kwload._core.File",
    .basicsize = sizeof(file_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = file_slots,
};

