/* py_digest.c -- checksums, with the GIL released.
 *
 *     digest(source, stretches)    bytes of a source, whatever they are
 *     File.digest(rows)            values of tensors, of chunked and big-endian ones those that a reader gets
 */
#include "python/kwload_py.h"

#include "value/digest.h"

/* A list of bytes objects, one a checksum; NULL with an exception. */
static PyObject *make_list(const uint8_t *sums, Py_ssize_t count) {
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyObject *one = PyBytes_FromStringAndSize((const char *)sums + i * KW_DIGEST_LEN, KW_DIGEST_LEN);
        if (one == NULL || PyList_SetItem(list, i, one) < 0) Py_CLEAR(list);
    }
    return list;
}

/* Both arrays of `count`; -1 with an exception. */
static int make_room(Py_ssize_t count, kw_stretch **stretches, uint8_t **sums) {
    *stretches = PyMem_Calloc((size_t)count + 1, sizeof **stretches);
    *sums = PyMem_Calloc((size_t)count + 1, KW_DIGEST_LEN);
    if (*stretches != NULL && *sums != NULL) return 0;
    PyErr_NoMemory();
    return -1;
}

/* 0, or -1 with an exception. */
static int run(kw_state *state, kw_source *source, const kw_stretch *stretches, size_t count, int threads) {
    kw_error err = {0};
    int result;
    Py_BEGIN_ALLOW_THREADS
    result = kw_digest(source, stretches, count, threads < 1 ? 1 : threads, &err);
    Py_END_ALLOW_THREADS
    if (PyErr_Occurred()) return -1; /* a callback's */
    if (result < 0) kw_raise(state, &err);
    return result;
}

PyObject *kw_digest_function(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"", "", "threads", NULL};
    PyObject *object, *sequence, *list = NULL;
    int threads = 2;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|$i", names, &object, &sequence, &threads)) return NULL;
    kw_state *state = PyModule_GetState(module);
    kw_source *source = NULL;
    kw_stretch *stretches = NULL;
    uint8_t *sums = NULL;
    PyObject *pairs = PySequence_Tuple(sequence);
    Py_ssize_t count = pairs != NULL ? PyTuple_Size(pairs) : 0;
    if (pairs == NULL || make_room(count, &stretches, &sums) < 0) goto done;
    for (Py_ssize_t i = 0; i < count; i++) {
        unsigned long long off, len;
        if (!PyArg_ParseTuple(PyTuple_GetItem(pairs, i), "KK", &off, &len)) goto done;
        stretches[i] = (kw_stretch){off, len, sums + i * KW_DIGEST_LEN};
    }
    if (kw_source_from_object(state, object, &source) < 0) goto done;
    if (run(state, source, stretches, (size_t)count, threads) == 0) list = make_list(sums, count);
done:
    kw_source_release(source);
    Py_XDECREF(pairs);
    PyMem_Free(stretches);
    PyMem_Free(sums);
    return list;
}

/* True when the bytes in the file are those of the values. */
static bool is_plain(const kw_tensor *tensor) { return kw_tensor_is_extent(tensor) && !tensor->big_endian; }

/* The checksum of a tensor that does not lie plain, in memory for a moment; -1 with an exception. */
static int digest_whole(kw_state *state, kw_opened *opened, const kw_tensor *tensor, uint32_t row, uint8_t *out) {
    kw_error err = {0};
    size_t len = (size_t)tensor->nbytes;
    void *block = kw_memory_alloc(len);
    if (block == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int result = len > 0 ? kw_opened_read(opened, row, block, &err) : 0;
    if (result == 0) {
        Py_BEGIN_ALLOW_THREADS
        kw_digest_bytes(block, len, out);
        Py_END_ALLOW_THREADS
    } else if (!PyErr_Occurred()) {
        kw_raise(state, &err);
    }
    kw_memory_free(block, len);
    return result;
}

/* Where in `stretches` those of each part begin, of its rows that lie plain: `part_count` + 1 numbers. */
static void find_starts(const kw_opened *opened, const uint32_t *rows, Py_ssize_t count, size_t *starts) {
    const kw_table *table = &opened->file->table;
    for (Py_ssize_t i = 0; i < count; i++) {
        const kw_tensor *tensor = &table->tensors[rows[i]];
        if (is_plain(tensor)) starts[tensor->part + 1]++;
    }
    for (uint32_t part = 0; part < opened->file->part_count; part++) starts[part + 1] += starts[part];
}

/* The checksums of the rows that lie plain, one part after another; -1 with an exception. */
static int digest_plain(kw_state *state, kw_opened *opened, const uint32_t *rows, Py_ssize_t count,
                        kw_stretch *stretches, uint8_t *sums, int threads) {
    const kw_file *file = opened->file;
    size_t *starts = PyMem_Calloc((size_t)file->part_count + 2, sizeof *starts);
    if (starts == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    size_t *next = starts + 1; /* where the next of a part goes: in the end where it ends, and the one after begins */
    find_starts(opened, rows, count, next);
    for (Py_ssize_t i = 0; i < count; i++) {
        const kw_tensor *tensor = &file->table.tensors[rows[i]];
        if (!is_plain(tensor)) continue;
        stretches[next[tensor->part]++] = (kw_stretch){tensor->off, tensor->nbytes, sums + i * KW_DIGEST_LEN};
    }
    int result = 0;
    for (uint32_t part = 0; part < file->part_count && result == 0; part++) {
        size_t found = starts[part + 1] - starts[part];
        if (found > 0) result = run(state, file->parts[part].source, stretches + starts[part], found, threads);
    }
    PyMem_Free(starts);
    return result;
}

/* All checksums; -1 with an exception. */
static int digest_rows(kw_state *state, kw_opened *opened, const uint32_t *rows, Py_ssize_t count,
                       kw_stretch *stretches, uint8_t *sums, int threads) {
    if (digest_plain(state, opened, rows, count, stretches, sums, threads) < 0) return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        const kw_tensor *tensor = &opened->file->table.tensors[rows[i]];
        if (is_plain(tensor)) continue;
        if (digest_whole(state, opened, tensor, rows[i], sums + i * KW_DIGEST_LEN) < 0) return -1;
    }
    return 0;
}

PyObject *kw_file_digest(PyObject *file, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"", "threads", NULL};
    PyObject *sequence, *list = NULL;
    int threads = 2;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$i", names, &sequence, &threads)) return NULL;
    kw_state *state = kw_state_of_type(Py_TYPE(file));
    kw_stretch *stretches = NULL;
    uint8_t *sums = NULL;
    uint32_t *rows = NULL;
    PyObject *wanted = PySequence_Tuple(sequence);
    Py_ssize_t count = wanted != NULL ? PyTuple_Size(wanted) : 0;
    if (wanted == NULL || make_room(count, &stretches, &sums) < 0) goto done;
    rows = PyMem_Calloc((size_t)count + 1, sizeof *rows);
    if (rows == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t row = PyLong_AsSsize_t(PyTuple_GetItem(wanted, i));
        if ((row == -1 && PyErr_Occurred()) || kw_tensor_readable(file, row) == NULL) goto done;
        rows[i] = (uint32_t)row;
    }
    if (digest_rows(state, kw_opened_of(file), rows, count, stretches, sums, threads) == 0)
        list = make_list(sums, count);
done:
    Py_XDECREF(wanted);
    PyMem_Free(stretches);
    PyMem_Free(sums);
    PyMem_Free(rows);
    return list;
}
