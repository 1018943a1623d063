/* py_source.c -- what Python hands over becomes a kw_source: bytes are a path, an
 * object with the buffer protocol is memory, a pair (size, pread) is a callback. */
#include "python/kwload_py.h"

/* Frees a Py_buffer that a memory source borrowed. */
static void release_buffer(void *context) {
    Py_buffer *buffer = context;
    PyGILState_STATE gil = PyGILState_Ensure();
    PyBuffer_Release(buffer);
    PyMem_Free(buffer);
    PyGILState_Release(gil);
}

static int source_from_buffer(kw_state *state, PyObject *object, kw_source **out) {
    Py_buffer *buffer = PyMem_Malloc(sizeof *buffer);
    if (buffer == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (PyObject_GetBuffer(object, buffer, PyBUF_SIMPLE) < 0) {
        PyMem_Free(buffer);
        return -1;
    }
    kw_error err = {0};
    if (kw_source_open_memory(buffer->buf, (size_t)buffer->len, release_buffer, buffer, out, &err) < 0) {
        kw_raise(state, &err);
        return -1;
    }
    return 0;
}

/* Calls pread(offset, length) and copies what it returns; a short answer is a
 * truncated source.  An exception stays set and wins over *err (kw_raise). */
static int read_callback(void *context, uint64_t off, void *out, size_t len, kw_error *err) {
    int result = -1;
    PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *bytes = PyErr_Occurred() ? NULL
                                       : PyObject_CallFunction((PyObject *)context, "Kn", (unsigned long long)off,
                                                               (Py_ssize_t)len);
    Py_buffer buffer;
    if (bytes == NULL || PyObject_GetBuffer(bytes, &buffer, PyBUF_SIMPLE) < 0) {
        kw_fail(err, KW_IO, off, "the read function raised");
    } else {
        if ((size_t)buffer.len == len) {
            memcpy(out, buffer.buf, len);
            result = 0;
        } else {
            kw_fail(err, KW_TRUNCATED, off + ((size_t)buffer.len < len ? (size_t)buffer.len : len),
                    "the read function returned %zd bytes of %zu", buffer.len, len);
        }
        PyBuffer_Release(&buffer);
    }
    Py_XDECREF(bytes);
    PyGILState_Release(gil);
    return result;
}

static void release_callback(void *context) {
    PyGILState_STATE gil = PyGILState_Ensure();
    Py_DECREF((PyObject *)context);
    PyGILState_Release(gil);
}

static int source_from_callback(kw_state *state, PyObject *pair, kw_source **out) {
    unsigned long long size = PyLong_AsUnsignedLongLong(PyTuple_GetItem(pair, 0));
    if (PyErr_Occurred()) return -1;
    PyObject *pread = PyTuple_GetItem(pair, 1);
    if (!PyCallable_Check(pread)) {
        PyErr_SetString(PyExc_TypeError, "pread must be callable: pread(offset, length) -> bytes");
        return -1;
    }
    kw_error err = {0};
    Py_INCREF(pread);
    if (kw_source_open_callback(size, read_callback, release_callback, pread, out, &err) < 0) {
        kw_raise(state, &err);
        return -1;
    }
    return 0;
}

/* A folder is a source too: the reader finds the .keras or preset folder's files in it. */
static int source_from_path(kw_state *state, PyObject *path, kw_source **out) {
    char *text;
    Py_ssize_t len;
    if (PyBytes_AsStringAndSize(path, &text, &len) < 0) return -1;
    if (strlen(text) != (size_t)len) {
        PyErr_SetString(PyExc_ValueError, "embedded null byte in path");
        return -1;
    }
    kw_error err = {0};
    int result;
    Py_BEGIN_ALLOW_THREADS
    result = kw_source_open_path(text, out, &err);
    if (result < 0 && err.code == KW_DIRECTORY) result = kw_source_open_folder(text, out, &err);
    Py_END_ALLOW_THREADS
    if (result < 0) kw_raise(state, &err);
    return result;
}

int kw_source_from_object(kw_state *state, PyObject *object, kw_source **out) {
    if (PyBytes_Check(object)) return source_from_path(state, object, out);
    if (PyTuple_Check(object) && PyTuple_Size(object) == 2) return source_from_callback(state, object, out);
    return source_from_buffer(state, object, out);
}
