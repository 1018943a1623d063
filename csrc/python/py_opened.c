/* py_opened.c -- a kw_file with its lock and mappings, which File, Tensor and arrays
 * hold together, and the locks that reading takes.
 *
 *     what is read by                     h5py's lock   the file's   threads
 *     the core alone, from file, memory        -            x          all
 *     libhdf5; a callback of the user's        x            x          the caller's
 *
 * Always in this order; the GIL is released while waiting for either and while
 * bytes are read.  A callback may use h5py, and freeing an object of h5py's takes
 * its lock: so whoever holds the file's lock and may run Python has h5py's
 * already, which is re-entrant, and waits for no other thread.
 */
#include "python/kwload_py.h"

kw_opened *kw_opened_retain(kw_opened *opened) {
    __atomic_add_fetch(&opened->refs, 1, __ATOMIC_RELAXED);
    return opened;
}

/* The lock that h5py holds around each call of libhdf5, or NULL when h5py is not imported, or only begins to be: both
 * may use the same library, built without thread-safety.  NULL with an exception too. */
static PyObject *h5py_lock(void) {
    PyObject *modules = PyImport_GetModuleDict(); /* borrowed */
    PyObject *objects = modules == NULL ? NULL : PyDict_GetItemString(modules, "h5py._objects");
    PyObject *lock = objects == NULL ? NULL : PyObject_GetAttrString(objects, "phil");
    if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_AttributeError)) PyErr_Clear();
    return lock;
}

/* Calls a method of h5py's lock that takes nothing; -1 with an exception.  One that was set before, by a user's
 * callback, stays the one that is set. */
static int call_lock(PyObject *lock, const char *method) {
    if (lock == NULL) return 0;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *done = PyObject_CallMethod(lock, method, NULL);
    Py_XDECREF(done);
    if (type != NULL) PyErr_Restore(type, value, traceback);
    return done == NULL ? -1 : 0;
}

void kw_opened_release(kw_opened *opened) {
    if (opened == NULL || __atomic_sub_fetch(&opened->refs, 1, __ATOMIC_ACQ_REL) > 0) return;
    for (uint32_t i = 0; opened->maps != NULL && i < opened->file->part_count; i++) kw_map_close(&opened->maps[i]);
    PyMem_Free(opened->maps);
    kw_file_free(opened->file); /* which calls no libhdf5 */
    if (opened->lock != NULL) PyThread_free_lock(opened->lock);
    Py_XDECREF(opened->owner);
    Py_XDECREF(opened->path);
    PyMem_Free(opened);
}

kw_opened *kw_opened_new(kw_state *state, PyObject *object, const kw_open_options *options) {
    kw_source *source = NULL;
    if (kw_source_from_object(state, object, &source) < 0) return NULL;
    kw_error err = {0};
    int result;
    kw_opened *opened = PyMem_Calloc(1, sizeof *opened);
    if (opened == NULL) {
        kw_source_release(source);
        PyErr_NoMemory();
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    result = kw_file_open(source, options, &opened->file, &err);
    Py_END_ALLOW_THREADS
    kw_source_release(source);
    if (result < 0 || PyErr_Occurred()) {
        kw_raise(state, &err);
        kw_file_free(opened->file);
        PyMem_Free(opened);
        return NULL;
    }
    opened->refs = 1;
    opened->lock = PyThread_allocate_lock();
    Py_INCREF(object);
    opened->owner = object;
    opened->path = PyBytes_Check(object) ? PyUnicode_DecodeFSDefaultAndSize(PyBytes_AsString(object), PyBytes_Size(object))
                                         : PyUnicode_FromString("");
    if (opened->lock == NULL || opened->path == NULL) {
        if (!PyErr_Occurred()) PyErr_NoMemory();
        kw_opened_release(opened);
        return NULL;
    }
    return opened;
}

int kw_opened_lock(kw_opened *opened) {
    unsigned long me = PyThread_get_thread_ident();
    if (__atomic_load_n(&opened->holder, __ATOMIC_RELAXED) == me) {
        PyErr_SetString(PyExc_RuntimeError, "the read function of a file may not use that file");
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS
    PyThread_acquire_lock(opened->lock, WAIT_LOCK);
    Py_END_ALLOW_THREADS
    __atomic_store_n(&opened->holder, me, __ATOMIC_RELAXED);
    return 0;
}

void kw_opened_unlock(kw_opened *opened) {
    __atomic_store_n(&opened->holder, 0, __ATOMIC_RELAXED);
    PyThread_release_lock(opened->lock);
}

const uint8_t *kw_opened_bytes(kw_state *state, kw_opened *opened, uint32_t part) {
    kw_source *source = opened->file->parts[part].source;
    const uint8_t *memory = kw_source_memory(source);
    if (memory != NULL) return memory;
    if (kw_source_fd(source) < 0) return NULL;
    kw_error err = {0};
    if (kw_opened_lock(opened) < 0) return NULL;
    if (opened->maps == NULL) opened->maps = PyMem_Calloc(opened->file->part_count, sizeof *opened->maps);
    int result = opened->maps == NULL ? kw_fail_memory(&err) : 0;
    kw_map *map = result == 0 ? &opened->maps[part] : NULL;
    if (result == 0 && map->data == NULL) result = kw_map_open(kw_source_whole(source), map, &err);
    kw_opened_unlock(opened);
    if (result < 0) {
        kw_raise(state, &err);
        return NULL;
    }
    return map->data + kw_source_base(source);
}

/* kw_file_read, with the file's own lock. */
static int read_locked(kw_opened *opened, uint32_t row, void *out, kw_error *err) {
    int result;
    if (kw_opened_lock(opened) < 0) return -1;
    Py_BEGIN_ALLOW_THREADS
    result = kw_file_read(opened->file, row, out, err);
    Py_END_ALLOW_THREADS
    kw_opened_unlock(opened);
    return result;
}

/* The same with h5py's lock. */
static int read_beside_h5py(kw_opened *opened, PyObject *phil, uint32_t row, void *out, kw_error *err) {
    if (call_lock(phil, "acquire") < 0) return -1;
    int result = read_locked(opened, row, out, err);
    return call_lock(phil, "release") < 0 ? -1 : result;
}

/* The same where h5py is not imported: with the GIL, so that nobody can import it meanwhile.  *late: somebody did
 * while the file's lock was waited for, and nothing was read. */
static int read_before_h5py(kw_opened *opened, uint32_t row, void *out, bool *late, kw_error *err) {
    int result = -1;
    if (kw_opened_lock(opened) < 0) return -1;
    PyObject *phil = h5py_lock();
    *late = phil != NULL;
    if (phil == NULL && !PyErr_Occurred()) result = kw_file_read(opened->file, row, out, err);
    kw_opened_unlock(opened);
    Py_XDECREF(phil);
    return result;
}

int kw_opened_read(kw_opened *opened, uint32_t row, void *out, kw_error *err) {
    if (!kw_file_is_for_one_thread(opened->file, row)) return read_locked(opened, row, out, err);
    bool late = false;
    PyObject *phil = h5py_lock();
    if (phil == NULL && PyErr_Occurred()) return -1;
    int result = phil == NULL ? read_before_h5py(opened, row, out, &late, err) : -1;
    if (late) phil = h5py_lock();
    if (phil != NULL) result = read_beside_h5py(opened, phil, row, out, err);
    Py_XDECREF(phil);
    return result;
}
