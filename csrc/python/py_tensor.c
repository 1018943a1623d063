/* py_tensor.c -- Tensor: one row of a file's table. */
#include "python/kwload_py.h"

typedef struct tensor_object {
    PyObject_HEAD
    kw_opened *opened;
    PyObject *shape; /* tuple, shared by tensors of one shape */
    uint32_t row;
} tensor_object;

/* A tuple of lengths. */
static PyObject *make_shape(const kw_tensor *tensor) {
    PyObject *tuple = PyTuple_New(tensor->rank);
    for (int i = 0; tuple != NULL && i < tensor->rank; i++) {
        PyObject *length = PyLong_FromUnsignedLongLong(tensor->shape[i]);
        if (length == NULL || PyTuple_SetItem(tuple, i, length) < 0) Py_CLEAR(tuple);
    }
    return tuple;
}

/* The shape of a row as a tuple, the one of an earlier row when it is the same.  A model has thousands of tensors and few
 * shapes, and every tuple costs the garbage collector. */
static PyObject *find_shape(kw_shapes *shapes, const kw_tensor *tensors, uint32_t row) {
    const kw_tensor *tensor = &tensors[row];
    uint64_t hash = tensor->rank;
    for (int i = 0; i < tensor->rank; i++) hash = (hash ^ tensor->shape[i]) * 0x9e3779b97f4a7c15u;
    struct kw_shape *shape = &shapes->slots[hash >> 58];
    if (shape->tuple != NULL) {
        const kw_tensor *other = &tensors[shape->row];
        if (other->rank == tensor->rank &&
            (tensor->rank == 0 || memcmp(other->shape, tensor->shape, tensor->rank * sizeof *tensor->shape) == 0))
            return Py_NewRef(shape->tuple);
    }
    PyObject *tuple = make_shape(tensor);
    if (tuple == NULL) return NULL;
    Py_XDECREF(shape->tuple);
    *shape = (struct kw_shape){.tuple = Py_NewRef(tuple), .row = row};
    return tuple;
}

void kw_shapes_clear(kw_shapes *shapes) {
    for (size_t i = 0; i < KW_SHAPE_SLOTS; i++) Py_CLEAR(shapes->slots[i].tuple);
}

PyObject *kw_tensor_new(PyTypeObject *type, kw_opened *opened, uint32_t row, kw_shapes *shapes) {
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *shape = find_shape(shapes, opened->file->table.tensors, row);
    tensor_object *self = shape != NULL ? (tensor_object *)alloc(type, 0) : NULL;
    if (self == NULL) {
        Py_XDECREF(shape);
        return NULL;
    }
    self->opened = kw_opened_retain(opened);
    self->shape = shape;
    self->row = row;
    return (PyObject *)self;
}

static const kw_tensor *row_of(PyObject *object) {
    tensor_object *self = (tensor_object *)object;
    return &self->opened->file->table.tensors[self->row];
}

static void tensor_dealloc(PyObject *object) {
    tensor_object *self = (tensor_object *)object;
    kw_opened_release(self->opened);
    Py_XDECREF(self->shape);
    kw_object_free(object);
}

static PyObject *tensor_path(PyObject *object, void *closure) {
    (void)closure;
    return kw_text(row_of(object)->path);
}

static PyObject *tensor_layer(PyObject *object, void *closure) {
    (void)closure;
    return kw_text(row_of(object)->layer ? row_of(object)->layer : "");
}

static PyObject *tensor_variable(PyObject *object, void *closure) {
    (void)closure;
    return kw_text(row_of(object)->variable ? row_of(object)->variable : "");
}

static PyObject *tensor_shape(PyObject *object, void *closure) {
    (void)closure;
    return Py_NewRef(((tensor_object *)object)->shape);
}

static PyObject *tensor_dtype(PyObject *object, void *closure) {
    (void)closure;
    const kw_tensor *tensor = row_of(object);
    if (tensor->dtype == KW_DTYPE_NONE && tensor->type_text != NULL) return kw_text(tensor->type_text);
    return Py_NewRef(kw_state_of_type(Py_TYPE(object))->dtype_names[tensor->dtype]);
}

static PyObject *tensor_file(PyObject *object, void *closure) {
    (void)closure;
    kw_opened *opened = ((tensor_object *)object)->opened;
    const kw_source *source = opened->file->parts[row_of(object)->part].source;
    const char *path = kw_source_path(source);
    return path != NULL ? PyUnicode_DecodeFSDefault(path) : Py_NewRef(opened->path);
}

/* Of the first byte in `file` (the archive itself for a member used in place);
 * None when the bytes are not contiguous there. */
static PyObject *tensor_offset(PyObject *object, void *closure) {
    (void)closure;
    const kw_tensor *tensor = row_of(object);
    const kw_part *part = &((tensor_object *)object)->opened->file->parts[tensor->part];
    if (tensor->off == KW_NOWHERE || part->inflated) Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(tensor->off + kw_source_base(part->source));
}

static PyObject *tensor_big_endian(PyObject *object, void *closure) {
    (void)closure;
    return PyBool_FromLong(row_of(object)->big_endian);
}

static PyObject *tensor_nbytes(PyObject *object, void *closure) {
    (void)closure;
    return PyLong_FromUnsignedLongLong(row_of(object)->nbytes);
}

static PyObject *tensor_storage(PyObject *object, void *closure) {
    (void)closure;
    return PyUnicode_FromString(kw_storage_name((kw_storage)row_of(object)->storage));
}

static PyObject *tensor_unmarked(PyObject *object, void *closure) {
    (void)closure;
    return PyBool_FromLong(row_of(object)->unmarked);
}

static PyObject *tensor_fault(PyObject *object, void *closure) {
    (void)closure;
    return kw_fault_object(&row_of(object)->fault);
}

static PyObject *tensor_repr(PyObject *object) {
    PyObject *path = tensor_path(object, NULL), *shape = tensor_shape(object, NULL), *dtype = tensor_dtype(object, NULL);
    PyObject *text = path && shape && dtype ? PyUnicode_FromFormat("<Tensor %R %R %S>", path, shape, dtype) : NULL;
    Py_XDECREF(path);
    Py_XDECREF(shape);
    Py_XDECREF(dtype);
    return text;
}

static PyGetSetDef tensor_getset[] = {
    {"path", tensor_path, NULL, "Path in the file, without a leading '/'.", NULL},
    {"layer", tensor_layer, NULL, "Name of the layer as the file records it, else the path of its group.", NULL},
    {"variable", tensor_variable, NULL, "Name of the variable as the file records it, else its key.", NULL},
    {"shape", tensor_shape, NULL, "Tuple of lengths.", NULL},
    {"dtype", tensor_dtype, NULL, "Name of the element type, as NumPy and Keras write it.", NULL},
    {"file", tensor_file, NULL, "The file that holds the bytes: the file itself, or a shard.", NULL},
    {"offset", tensor_offset, NULL, "Of the first byte in `file`; None when the bytes are not contiguous.", NULL},
    {"big_endian", tensor_big_endian, NULL, "Whether the bytes of a value lie in that order in the file.", NULL},
    {"nbytes", tensor_nbytes, NULL, "Bytes of the values in memory.", NULL},
    {"storage", tensor_storage, NULL, "contiguous, compact, chunked or fill.", NULL},
    {"unmarked", tensor_unmarked, NULL, "Whether it is two opaque bytes, taken as bfloat16 with no type recorded.", NULL},
    {"fault", tensor_fault, NULL, "(code, at, detail) of what is wrong with it, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot tensor_slots[] = {
    {Py_tp_doc, "One tensor of a file."},
    {Py_tp_dealloc, (void *)tensor_dealloc},
    {Py_tp_repr, (void *)tensor_repr},
    {Py_tp_getset, tensor_getset},
    {0, NULL},
};

PyType_Spec kw_tensor_spec = {
    .name = "kwload._core.Tensor",
    .basicsize = sizeof(tensor_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = tensor_slots,
};
