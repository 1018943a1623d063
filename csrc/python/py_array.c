/* py_array.c -- tensors as NumPy arrays: the only file that knows NumPy's C API.
 *
 *   view   array -> capsule -> kw_opened -> mapping or buffer     (read-only)
 *   own    array -> capsule -> block of kw_memory_alloc            (writable)
 *
 * bfloat16 and float8 are types of ml_dtypes, imported when first needed.
 */
#include "python/kwload_py.h"

#include <numpy/arrayobject.h>

/* HDF5's largest rank, and that of NumPy before 2.0. */
#define RANK_MAX 32

/* PyArray_ImportNumPyAPI, kept in one place; -1 with an exception. */
int kw_array_setup(void) { return PyArray_ImportNumPyAPI(); }

/* The NumPy type number of a built-in type, or -1 for those of ml_dtypes. */
static int type_number(kw_dtype dtype) {
    switch (dtype) {
    case KW_DTYPE_BOOL: return NPY_BOOL;
    case KW_DTYPE_INT8: return NPY_INT8;
    case KW_DTYPE_INT16: return NPY_INT16;
    case KW_DTYPE_INT32: return NPY_INT32;
    case KW_DTYPE_INT64: return NPY_INT64;
    case KW_DTYPE_UINT8: return NPY_UINT8;
    case KW_DTYPE_UINT16: return NPY_UINT16;
    case KW_DTYPE_UINT32: return NPY_UINT32;
    case KW_DTYPE_UINT64: return NPY_UINT64;
    case KW_DTYPE_FLOAT16: return NPY_FLOAT16;
    case KW_DTYPE_FLOAT32: return NPY_FLOAT32;
    case KW_DTYPE_FLOAT64: return NPY_FLOAT64;
    case KW_DTYPE_COMPLEX64: return NPY_COMPLEX64;
    case KW_DTYPE_COMPLEX128: return NPY_COMPLEX128;
    default: return -1;
    }
}

/* numpy.dtype(ml_dtypes.<name>), a new reference. */
static PyObject *extension_descr(kw_dtype dtype) {
    PyObject *module = PyImport_ImportModule("ml_dtypes");
    if (module == NULL) return NULL;
    PyObject *scalar = PyObject_GetAttrString(module, kw_dtype_name(dtype));
    Py_DECREF(module);
    if (scalar == NULL) return NULL;
    PyArray_Descr *descr = NULL;
    int ok = PyArray_DescrConverter(scalar, &descr);
    Py_DECREF(scalar);
    return ok == NPY_SUCCEED ? (PyObject *)descr : NULL;
}

/* A new reference to the dtype, cached in the module's state. */
static PyArray_Descr *descr_of(kw_state *state, kw_dtype dtype) {
    if (state->descrs[dtype] == NULL) {
        int number = type_number(dtype);
        state->descrs[dtype] = number >= 0 ? (PyObject *)PyArray_DescrFromType(number) : extension_descr(dtype);
        if (state->descrs[dtype] == NULL) return NULL;
    }
    Py_INCREF(state->descrs[dtype]);
    return (PyArray_Descr *)state->descrs[dtype];
}

/* An array over `data` with `base` (stolen, also on failure) keeping it alive. */
static PyObject *new_array(kw_state *state, const kw_tensor *tensor, void *data, bool swapped, int flags,
                           PyObject *base) {
    npy_intp shape[RANK_MAX];
    PyArray_Descr *descr = base == NULL ? NULL : descr_of(state, (kw_dtype)tensor->dtype);
    PyObject *array = NULL;
    if (descr == NULL) goto failed;
    if (tensor->rank > RANK_MAX) {
        Py_DECREF(descr);
        PyErr_Format(PyExc_ValueError, "rank %d is more than NumPy arrays have", (int)tensor->rank);
        goto failed;
    }
    if (swapped) {
        PyArray_Descr *native = descr;
        descr = PyArray_DescrNewByteorder(native, NPY_BIG);
        Py_DECREF(native);
        if (descr == NULL) goto failed;
    }
    for (int i = 0; i < tensor->rank; i++) shape[i] = (npy_intp)tensor->shape[i];
    array = PyArray_NewFromDescr(&PyArray_Type, descr, tensor->rank, shape, NULL, data, flags, NULL);
    if (array == NULL) goto failed;
    if (PyArray_SetBaseObject((PyArrayObject *)array, base) < 0) Py_CLEAR(array); /* steals base either way */
    return array;
failed:
    Py_XDECREF(base);
    return NULL;
}

static void release_opened(PyObject *capsule) { kw_opened_release(PyCapsule_GetPointer(capsule, NULL)); }

PyObject *kw_array_view(kw_state *state, kw_opened *opened, const kw_tensor *tensor, const void *data) {
    PyObject *capsule = PyCapsule_New(kw_opened_retain(opened), NULL, release_opened);
    if (capsule == NULL) kw_opened_release(opened);
    bool swapped = tensor->big_endian && kw_dtype_len((kw_dtype)tensor->dtype) > 1;
    return new_array(state, tensor, (void *)(uintptr_t)data, swapped, 0, capsule);
}

static void release_block(PyObject *capsule) {
    kw_memory_free(PyCapsule_GetPointer(capsule, NULL), (size_t)(uintptr_t)PyCapsule_GetContext(capsule));
}

PyObject *kw_array_own(kw_state *state, const kw_tensor *tensor, void *block, size_t block_len) {
    PyObject *capsule = PyCapsule_New(block, NULL, release_block);
    if (capsule == NULL) {
        kw_memory_free(block, block_len);
        return NULL;
    }
    PyCapsule_SetContext(capsule, (void *)(uintptr_t)block_len);
    return new_array(state, tensor, block, false, NPY_ARRAY_WRITEABLE, capsule);
}
