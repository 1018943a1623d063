/* py_tensor.c -- Tensor: one row of a file's table.
 *
 * What every listing asks for is made with the object, as members: an interpreter
 * reads those without a call (PEP 659).
 */
#include "python/kwload_py.h"

#include <stddef.h>
#include <structmember.h>

typedef struct tensor_object {
    PyObject_HEAD
    kw_opened *opened;
    PyObject *path, *dtype, *offset;
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

/* Of the first byte in `file` (the archive itself for a member used in place);
 * None when the bytes are not contiguous there. */
static PyObject *make_offset(const kw_opened *opened, const kw_tensor *tensor) {
    const kw_part *part = &opened->file->parts[tensor->part];
    if (tensor->off == KW_NOWHERE || part->inflated) Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(tensor->off + kw_source_base(part->source));
}

static PyObject *find_dtype(const kw_state *state, const kw_tensor *tensor) {
    if (tensor->dtype == KW_DTYPE_NONE && tensor->type_text != NULL) return kw_text(tensor->type_text);
    return Py_NewRef(state->dtype_names[tensor->dtype]);
}

PyObject *kw_tensor_new(kw_state *state, kw_opened *opened, uint32_t row, kw_shapes *shapes) {
    PyTypeObject *type = (PyTypeObject *)state->tensor_type;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    const kw_tensor *tensors = opened->file->table.tensors;
    tensor_object *self = (tensor_object *)alloc(type, 0);
    if (self == NULL) return NULL;
    self->opened = kw_opened_retain(opened);
    self->row = row;
    self->path = kw_text(tensors[row].path);
    self->shape = find_shape(shapes, tensors, row);
    self->dtype = find_dtype(state, &tensors[row]);
    self->offset = make_offset(opened, &tensors[row]);
    if (self->path == NULL || self->shape == NULL || self->dtype == NULL || self->offset == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static const kw_tensor *row_of(PyObject *object) {
    tensor_object *self = (tensor_object *)object;
    return &self->opened->file->table.tensors[self->row];
}

static void tensor_dealloc(PyObject *object) {
    tensor_object *self = (tensor_object *)object;
    kw_opened_release(self->opened);
    Py_XDECREF(self->path);
    Py_XDECREF(self->shape);
    Py_XDECREF(self->dtype);
    Py_XDECREF(self->offset);
    kw_object_free(object);
}

static PyObject *tensor_layer(PyObject *object, void *closure) {
    (void)closure;
    return kw_text(row_of(object)->layer ? row_of(object)->layer : "");
}

static PyObject *tensor_variable(PyObject *object, void *closure) {
    (void)closure;
    return kw_text(row_of(object)->variable ? row_of(object)->variable : "");
}

static PyObject *tensor_file(PyObject *object, void *closure) {
    (void)closure;
    kw_opened *opened = ((tensor_object *)object)->opened;
    const kw_source *source = opened->file->parts[row_of(object)->part].source;
    const char *path = kw_source_path(source);
    return path != NULL ? PyUnicode_DecodeFSDefault(path) : Py_NewRef(opened->path);
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
    tensor_object *self = (tensor_object *)object;
    return PyUnicode_FromFormat("<Tensor %R %R %S>", self->path, self->shape, self->dtype);
}

static PyMemberDef tensor_members[] = {
    {"path", T_OBJECT_EX, offsetof(tensor_object, path), READONLY, "Path in the file, without a leading '/'."},
    {"shape", T_OBJECT_EX, offsetof(tensor_object, shape), READONLY, "Tuple of lengths."},
    {"dtype", T_OBJECT_EX, offsetof(tensor_object, dtype), READONLY, "Name of the element type, as NumPy and Keras write it."},
    {"offset", T_OBJECT_EX, offsetof(tensor_object, offset), READONLY,
     "Of the first byte in `file`; None when the bytes are not contiguous."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef tensor_getset[] = {
    {"layer", tensor_layer, NULL, "Name of the layer as the file records it, else the path of its group.", NULL},
    {"variable", tensor_variable, NULL, "Name of the variable as the file records it, else its key.", NULL},
    {"file", tensor_file, NULL, "The file that holds the bytes: the file itself, or a shard.", NULL},
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
    {Py_tp_members, tensor_members},
    {0, NULL},
};

PyType_Spec kw_tensor_spec = {
    .name = "kwload._core.Tensor",
    .basicsize = sizeof(tensor_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = tensor_slots,
};
