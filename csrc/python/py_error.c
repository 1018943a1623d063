/* py_error.c -- the one way from a kw_error to a Python exception, and the small
 * conversions of facts that every file of the binding needs. */
#include "python/kwload_py.h"

PyObject *kw_offset(uint64_t at) {
    if (at == KW_NOWHERE) Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(at);
}

PyObject *kw_row(uint32_t row) { return PyLong_FromLong(row == KW_NONE ? -1L : (long)row); }

PyObject *kw_text(const char *text) {
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "surrogateescape");
}

PyObject *kw_fault_object(const kw_fault *fault) {
    if (fault->code == KW_OK) Py_RETURN_NONE;
    PyObject *at = kw_offset(fault->at);
    PyObject *detail = kw_text(fault->detail ? fault->detail : "");
    if (at == NULL || detail == NULL) {
        Py_XDECREF(at);
        Py_XDECREF(detail);
        return NULL;
    }
    return Py_BuildValue("(iNN)", fault->code, at, detail);
}

/* Sets one attribute and drops the reference to its value; -1 with an exception. */
static int set_attribute(PyObject *object, const char *name, PyObject *value) {
    if (value == NULL) return -1;
    int result = PyObject_SetAttrString(object, name, value);
    Py_DECREF(value);
    return result;
}

PyObject *kw_raise(kw_state *state, const kw_error *err) { return kw_raise_in(state, err, ""); }

PyObject *kw_raise_in(kw_state *state, const kw_error *err, const char *path) {
    /* A callback of the user's may have raised already: that is the better error. */
    if (PyErr_Occurred()) return NULL;
    if (err->code == KW_MEMORY) return PyErr_NoMemory();
    PyObject *detail = kw_text(err->detail);
    if (detail == NULL) return NULL;
    PyObject *exception = PyObject_CallFunctionObjArgs(state->core_error, detail, NULL);
    Py_DECREF(detail);
    if (exception == NULL) return NULL;
    if (set_attribute(exception, "code", PyLong_FromLong(err->code)) == 0 &&
        set_attribute(exception, "at", kw_offset(err->at)) == 0 &&
        set_attribute(exception, "detail", kw_text(err->detail)) == 0 &&
        set_attribute(exception, "errno", PyLong_FromLong(err->sys)) == 0 &&
        set_attribute(exception, "path", kw_text(path)) == 0) {
        PyErr_SetObject(state->core_error, exception);
    }
    Py_DECREF(exception);
    return NULL;
}
