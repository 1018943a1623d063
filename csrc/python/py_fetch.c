/* py_fetch.c -- File.fetch and File.scan: many tensors at once, with the GIL released.
 *
 *     rows -> items --+-- plain ones, part by part --> kw_fetch (threads, CRC, values)
 *                     +-- others, one by one -------> kw_opened_read, then their values
 *
 * What the values of an item are becomes one tuple, see _core.pyi.
 */
#include "python/kwload_py.h"

#include <stdlib.h>

#include "value/fetch.h"
#include "value/number.h"

/* One tensor that is wanted. */
typedef struct item {
    uint32_t row;
    const kw_tensor *tensor; /* NULL: one to look at that cannot be read */
    void *block;      /* where its bytes go, or NULL */
    kw_scan scan;
    bool seen;        /* the scan is of all its values */
    uint64_t at, len; /* bytes of a block that was lost */
} item;

typedef struct fetch {
    kw_state *state;
    kw_opened *opened;
    item *items;
    Py_ssize_t count;
    kw_extent *extents;
    kw_zeroed *zeroed; /* both of one part at a time */
    bool look;         /* at the values */
    bool verify;
    int threads;
    const char *blamed; /* path of the tensor that cannot be read; NULL: none */
} fetch;

/* The row of a tensor, or NULL with an exception. */
static const kw_tensor *find_tensor(PyObject *file, Py_ssize_t row) {
    const kw_table *table = &kw_file_of(file)->table;
    if (row >= 0 && (uint64_t)row < table->tensor_count) return &table->tensors[row];
    PyErr_SetString(PyExc_IndexError, "tensor row out of range");
    return NULL;
}

static bool is_readable(const kw_tensor *tensor) {
    return tensor->fault.code == KW_OK && tensor->dtype != KW_DTYPE_NONE;
}

const kw_tensor *kw_tensor_readable(PyObject *file, Py_ssize_t row) {
    const kw_tensor *tensor = find_tensor(file, row);
    kw_error err = {0};
    if (tensor == NULL || is_readable(tensor)) return tensor;
    if (tensor->fault.code != KW_OK) {
        kw_fail(&err, tensor->fault.code, tensor->fault.at, "%s", tensor->fault.detail ? tensor->fault.detail : "");
    } else {
        kw_fail(&err, KW_UNSUPPORTED, tensor->off, "values of type %s have no NumPy equivalent",
                tensor->type_text ? tensor->type_text : "?");
    }
    kw_raise(kw_state_of_type(Py_TYPE(file)), &err);
    return NULL;
}

PyObject *kw_block_new(kw_state *state, const kw_tensor *tensor, void **block) {
    size_t len = (size_t)tensor->nbytes;
    *block = kw_memory_alloc(len);
    if (*block == NULL) return PyErr_NoMemory();
    return kw_array_own(state, tensor, *block, len);
}

bool kw_tensor_is_extent(const kw_tensor *tensor) {
    return tensor->off != KW_NOWHERE &&
           (tensor->storage == KW_STORAGE_CONTIGUOUS || tensor->storage == KW_STORAGE_COMPACT);
}

/* True when the bytes in the file are those wanted, one after another: kw_fetch can read them. */
static bool is_plain(const kw_tensor *tensor) {
    return kw_tensor_is_extent(tensor) && !tensor->big_endian && tensor->nbytes > 0;
}

static bool is_plain_in(const item *it, uint32_t part) {
    return it->tensor != NULL && it->tensor->part == part && is_plain(it->tensor);
}

/* ---- reading ---- */

/* The type that values are to become; their own where that has no name here.  -1 with an exception. */
static int target_type(PyObject *name) {
    PyObject *bytes = PyUnicode_AsUTF8String(name);
    if (bytes == NULL) return -1;
    kw_dtype dtype = kw_dtype_find(PyBytes_AsString(bytes));
    Py_DECREF(bytes);
    return (int)dtype;
}

/* Fills the items; -1 with an exception, which with `keep` a tensor that cannot be read is too. */
static int collect(fetch *f, PyObject *file, PyObject *rows, PyObject *dtypes, bool keep) {
    for (Py_ssize_t i = 0; i < f->count; i++) {
        item *it = &f->items[i];
        Py_ssize_t row = PyLong_AsSsize_t(PyTuple_GetItem(rows, i));
        if (row == -1 && PyErr_Occurred()) return -1;
        const kw_tensor *tensor = keep ? kw_tensor_readable(file, row) : find_tensor(file, row);
        if (tensor == NULL) return -1;
        it->row = (uint32_t)row;
        it->tensor = is_readable(tensor) ? tensor : NULL;
        if (!f->look || it->tensor == NULL) continue;
        int target = target_type(PyTuple_GetItem(dtypes, i));
        if (target < 0) return -1;
        it->scan = kw_scan_make((kw_dtype)it->tensor->dtype, (kw_dtype)target);
    }
    return 0;
}

/* Allocates the arrays into `list`; -1 with an exception. */
static int allocate(fetch *f, PyObject *list) {
    for (Py_ssize_t i = 0; i < f->count; i++) {
        PyObject *array = kw_block_new(f->state, f->items[i].tensor, &f->items[i].block);
        if (array == NULL || PyList_SetItem(list, i, array) < 0) return -1;
    }
    return 0;
}

/* Reads what lies plain in one part, with the member's CRC when asked; -1 with *err. */
static int read_part(fetch *f, uint32_t part_row, kw_error *err) {
    kw_part *part = &f->opened->file->parts[part_row];
    bool check = f->verify && part->has_crc && !part->inflated;
    size_t count = 0;
    uint32_t crc = 0;
    for (Py_ssize_t i = 0; i < f->count; i++) {
        item *it = &f->items[i];
        if (!is_plain_in(it, part_row)) continue;
        f->extents[count++] =
            (kw_extent){it->tensor->off, it->tensor->nbytes, it->block, f->look ? &it->scan : NULL};
    }
    if (count == 0 && !check) return 0;
    int result;
    Py_BEGIN_ALLOW_THREADS
    result = kw_fetch(part->source, f->extents, count, f->threads, check ? &crc : NULL, err);
    Py_END_ALLOW_THREADS
    if (result < 0) return -1;
    for (Py_ssize_t i = 0; i < f->count; i++) {
        item *it = &f->items[i];
        it->seen = it->seen || is_plain_in(it, part_row);
    }
    if (!check || crc == part->crc) return 0;
    return kw_fail(err, KW_CHECKSUM, KW_NOWHERE, "CRC-32 of %s is %08x, the archive records %08x", part->name,
                   (unsigned)crc, (unsigned)part->crc);
}

/* Reads a tensor that does not lie plain, whole; into memory for a moment when nobody keeps it.  -1 with *err or an
 * exception. */
static int read_whole(fetch *f, item *it, kw_error *err) {
    size_t len = (size_t)it->tensor->nbytes;
    void *block = it->block != NULL ? it->block : kw_memory_alloc(len);
    if (block == NULL) return kw_fail_memory(err);
    int result = kw_opened_read(f->opened, it->row, block, err);
    if (result == 0 && f->look) {
        Py_BEGIN_ALLOW_THREADS
        kw_scan_add(&it->scan, block, len);
        Py_END_ALLOW_THREADS
        it->seen = true;
    }
    if (it->block == NULL) kw_memory_free(block, len);
    if (result < 0) f->blamed = it->tensor->path;
    return result;
}

/* -1 with *err or an exception. */
static int read_all(fetch *f, kw_error *err) {
    const kw_file *file = f->opened->file;
    for (uint32_t part = 0; part < file->part_count; part++)
        if (read_part(f, part, err) < 0) return -1;
    for (Py_ssize_t i = 0; i < f->count; i++) {
        item *it = &f->items[i];
        if (it->tensor == NULL) continue;
        if (it->tensor->nbytes == 0) it->seen = true;
        else if (!is_plain(it->tensor) && read_whole(f, it, err) < 0) return -1;
    }
    for (uint32_t part = 0; part < file->part_count; part++)
        if (kw_source_unchanged(file->parts[part].source, err) < 0) return -1;
    return 0;
}

/* ---- what the values are ---- */

static int compare_zeroed(const void *a, const void *b) {
    const kw_zeroed *x = a, *y = b;
    return x->tensor->off < y->tensor->off ? -1 : x->tensor->off > y->tensor->off;
}

/* Finds the blocks that were lost, in the items of one part. */
static void find_lost(fetch *f, uint32_t part) {
    size_t count = 0;
    for (Py_ssize_t i = 0; i < f->count; i++) {
        const item *it = &f->items[i];
        if (!it->seen || it->tensor->part != part || it->tensor->nbytes == 0) continue;
        const kw_number *number = it->scan.casting.from;
        f->zeroed[count++] = (kw_zeroed){
            .tensor = it->tensor,
            .zeros = &it->scan.zeros,
            .zero_count = it->scan.zero_count,
            .has_one = number->kind == KW_NUMBER_FLOAT && it->scan.low <= it->scan.high &&
                       kw_number_value(number, it->scan.high) == 1,
            .base = kw_source_base(f->opened->file->parts[part].source),
            .number = (size_t)i,
        };
    }
    if (count == 0) return;
    qsort(f->zeroed, count, sizeof *f->zeroed, compare_zeroed);
    kw_zeroed_find(f->zeroed, count);
    for (size_t i = 0; i < count; i++) {
        f->items[f->zeroed[i].number].at = f->zeroed[i].at;
        f->items[f->zeroed[i].number].len = f->zeroed[i].len;
    }
}

/* A key as a Python number; None for complex ones, which have no order, and when nothing is finite. */
static PyObject *number_object(const kw_scan *scan, int64_t key) {
    const kw_number *number = scan->casting.from;
    if (number->parts != 1 || scan->low > scan->high) Py_RETURN_NONE;
    if (number->kind == KW_NUMBER_FLOAT) return PyFloat_FromDouble(kw_number_value(number, key));
    if (number->kind == KW_NUMBER_SIGNED) return PyLong_FromLongLong(key);
    uint64_t half = (UINT64_MAX >> (64 - 8 * number->len)) / 2 + 1;
    return PyLong_FromUnsignedLongLong((uint64_t)key + half);
}

/* (first value, values, bytes, offset in the file or None), or None. */
static PyObject *lost_object(const fetch *f, const item *it) {
    if (it->len == 0) Py_RETURN_NONE;
    uint64_t each = kw_dtype_len((kw_dtype)it->tensor->dtype), first = (it->at + each - 1) / each;
    const kw_part *part = &f->opened->file->parts[it->tensor->part];
    bool placed = kw_tensor_is_extent(it->tensor) && !part->inflated;
    PyObject *offset = kw_offset(placed ? it->tensor->off + kw_source_base(part->source) + it->at : KW_NOWHERE);
    if (offset == NULL) return NULL;
    return Py_BuildValue("(KKKN)", (unsigned long long)first, (unsigned long long)((it->at + it->len) / each - first),
                         (unsigned long long)it->len, offset);
}

static PyObject *facts_object(const fetch *f, const item *it) {
    const kw_scan *s = &it->scan;
    PyObject *parts[] = {kw_offset(s->nan_first), kw_offset(s->inf_first), number_object(s, s->low),
                         number_object(s, s->high), lost_object(f, it)};
    bool complete = true;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) complete = complete && parts[i] != NULL;
    if (complete) {
        return Py_BuildValue("(KKNKNNNKKKKN)", (unsigned long long)s->count, (unsigned long long)s->nan_count, parts[0],
                             (unsigned long long)s->inf_count, parts[1], parts[2], parts[3],
                             (unsigned long long)s->zero_count, (unsigned long long)s->loss.overflow_count,
                             (unsigned long long)s->loss.flushed_count, (unsigned long long)s->loss.inexact_count,
                             parts[4]);
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) Py_XDECREF(parts[i]);
    return NULL;
}

/* Appends one entry an item to the list, None for what was not read; -1 with an exception. */
static int tell(fetch *f, PyObject *facts) {
    for (uint32_t part = 0; part < f->opened->file->part_count; part++) find_lost(f, part);
    for (Py_ssize_t i = 0; i < f->count; i++) {
        PyObject *entry = f->items[i].seen ? facts_object(f, &f->items[i]) : Py_NewRef(Py_None);
        int result = entry == NULL ? -1 : PyList_Append(facts, entry);
        Py_XDECREF(entry);
        if (result < 0) return -1;
    }
    return 0;
}

/* ---- the methods ---- */

/* Reads all tensors of `rows` into arrays in `list` (NULL: only looks) and appends to `facts` (NULL: does not look);
 * -1 with an exception. */
static int fetch_rows(fetch *f, PyObject *file, PyObject *rows, PyObject *dtypes, PyObject *list, PyObject *facts) {
    kw_error err = {0};
    int result = -1;
    f->look = facts != NULL;
    f->count = PyTuple_Size(rows);
    f->items = PyMem_Calloc((size_t)f->count + 1, sizeof *f->items);
    f->extents = PyMem_Malloc(((size_t)f->count + 1) * sizeof *f->extents);
    f->zeroed = f->look ? PyMem_Malloc(((size_t)f->count + 1) * sizeof *f->zeroed) : NULL;
    if (f->items == NULL || f->extents == NULL || (f->look && f->zeroed == NULL)) {
        PyErr_NoMemory();
        goto done;
    }
    if (collect(f, file, rows, dtypes, list != NULL) < 0 || (list != NULL && allocate(f, list) < 0)) goto done;
    result = read_all(f, &err);
    if (f->look && !PyErr_Occurred() && tell(f, facts) < 0) result = -1;
    if (result < 0) kw_raise_in(f->state, &err, f->blamed != NULL ? f->blamed : "");
done:
    PyMem_Free(f->items);
    PyMem_Free(f->extents);
    PyMem_Free(f->zeroed);
    return result;
}

/* Both methods: what there is to read and to tell is checked here. */
static PyObject *run(PyObject *file, PyObject *sequence, PyObject *types, PyObject *facts, bool keep, int threads,
                     bool verify) {
    fetch f = {.state = kw_state_of_type(Py_TYPE(file)),
               .opened = kw_opened_of(file),
               .threads = threads < 1 ? 1 : threads,
               .verify = verify};
    PyObject *rows = PySequence_Tuple(sequence), *dtypes = NULL, *list = NULL;
    int result = -1;
    if (rows == NULL) return NULL;
    if (facts != NULL) {
        dtypes = PySequence_Tuple(types);
        if (dtypes == NULL) goto done;
        if (!PyList_Check(facts) || PyTuple_Size(dtypes) != PyTuple_Size(rows)) {
            PyErr_SetString(PyExc_TypeError, "facts is a list, and dtypes has one name a row");
            goto done;
        }
    }
    if (keep && (list = PyList_New(PyTuple_Size(rows))) == NULL) goto done;
    result = fetch_rows(&f, file, rows, dtypes, list, facts);
done:
    Py_DECREF(rows);
    Py_XDECREF(dtypes);
    if (result < 0) Py_CLEAR(list);
    if (result == 0 && list == NULL) Py_RETURN_NONE;
    return list;
}

PyObject *kw_file_fetch(PyObject *file, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"", "threads", "verify", "dtypes", "facts", NULL};
    PyObject *rows, *dtypes = Py_None, *facts = Py_None;
    int threads = 2, verify = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$ipOO", names, &rows, &threads, &verify, &dtypes, &facts)) {
        return NULL;
    }
    return run(file, rows, dtypes, Py_IsNone(facts) ? NULL : facts, true, threads, verify != 0);
}

PyObject *kw_file_scan(PyObject *file, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"", "", "", "threads", "verify", NULL};
    PyObject *rows, *dtypes, *facts;
    int threads = 2, verify = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|$ip", names, &rows, &dtypes, &facts, &threads, &verify)) {
        return NULL;
    }
    return run(file, rows, dtypes, facts, false, threads, verify != 0);
}
