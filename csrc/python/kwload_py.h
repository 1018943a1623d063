/* kwload_py.h -- what the files of the binding share.
 *
 *   module.c     the module, its state, CODES and CONTENTS, nearest()
 *   py_error.c   the one way from a kw_error to an exception
 *   py_source.c  path, buffer or (size, pread) -> kw_source
 *   py_opened.c  the opened file that File, Tensor and arrays hold together
 *   py_file.c    File: what it holds, view, verify
 *   py_fetch.c   File.fetch and File.scan: many tensors at once, and what their values are
 *   py_digest.c  digest() and File.digest: checksums
 *   py_tensor.c  Tensor: one row
 *   py_array.c   the only NumPy: views and blocks as arrays
 *   py_spec.c    Spec: Python rows -> kw_table and kw_graph
 *   py_plan.c    Plan and plan()
 *
 * Multi-phase init, heap types, limited API 3.11.  Everything the module owns is
 * listed once, in KW_STATE.  Objects are immutable once made.
 */
#ifndef KWLOAD_PY_H
#define KWLOAD_PY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "base/map.h"
#include "base/memory.h"
#include "base/view.h"
#include "plan/plan.h"
#include "read/read.h"

/* X(name): each is a strong reference in the module's state. */
#define KW_STATE(X)   \
    X(core_error)     \
    X(file_type)      \
    X(tensor_type)    \
    X(spec_type)      \
    X(plan_type)

typedef struct kw_state {
#define KW_STATE_FIELD(name) PyObject *name;
    KW_STATE(KW_STATE_FIELD)
#undef KW_STATE_FIELD
    PyObject *dtype_names[KW_DTYPE_COUNT]; /* interned str */
    PyObject *descrs[KW_DTYPE_COUNT];      /* numpy.dtype, made when first needed */
} kw_state;

extern struct PyModuleDef kw_module_def;
kw_state *kw_state_of_type(PyTypeObject *type);

/* A kw_file with what Python adds to it: held by the File, its Tensors and
 * every array that views it, so that no reference cycle arises. */
typedef struct kw_opened {
    Py_ssize_t refs; /* changed with the GIL held, or atomically without one */
    kw_file *file;
    PyThread_type_lock lock; /* around the sources' caches */
    unsigned long holder;    /* thread that holds it, or 0 */
    kw_map *maps;            /* one a part, made at the first view of it */
    PyObject *owner;         /* the buffer's or callback's object: kept for views */
    PyObject *path;          /* str for messages and Tensor.file, or None */
} kw_opened;
/* py_opened.c: opens the source; one reference, or NULL with an exception. */
kw_opened *kw_opened_new(kw_state *state, PyObject *object, const kw_open_options *options);
kw_opened *kw_opened_retain(kw_opened *opened);
void kw_opened_release(kw_opened *opened);
/* 0, or -1 with an exception when this thread holds the lock (a callback that uses its own file). */
int kw_opened_lock(kw_opened *opened);
void kw_opened_unlock(kw_opened *opened);
/* The bytes of a part from its first one on, mapped if need be; NULL without an
 * exception when it cannot be mapped (a callback), else with one. */
const uint8_t *kw_opened_bytes(kw_state *state, kw_opened *opened, uint32_t part);
/* One tensor into memory of its own; locks are taken, the GIL is released.  -1 with *err or an exception set. */
int kw_opened_read(kw_opened *opened, uint32_t row, void *out, kw_error *err);

/* module.c: frees an object of a heap type, which owns a reference to its type. */
void kw_object_free(PyObject *self);

/* py_error.c: sets the exception and returns NULL. */
PyObject *kw_raise(kw_state *state, const kw_error *err);
/* The same, while the tensor at this path was being read. */
PyObject *kw_raise_in(kw_state *state, const kw_error *err, const char *path);
/* (code, at or None, detail) of a fault, None when sound. */
PyObject *kw_fault_object(const kw_fault *fault);
/* Text of a file, whatever its bytes: UTF-8 with surrogateescape. */
PyObject *kw_text(const char *text);
/* int, or None for KW_NOWHERE. */
PyObject *kw_offset(uint64_t at);
/* int, or -1 for KW_NONE. */
PyObject *kw_row(uint32_t row);

/* py_source.c: 0 with *out, or -1 with an exception set. */
int kw_source_from_object(kw_state *state, PyObject *object, kw_source **out);

/* py_file.c, py_tensor.c */
extern PyType_Spec kw_file_spec, kw_tensor_spec;

enum { KW_SHAPE_SLOTS = 64 };

/* Tuples of the shapes met lately, by the top bits of their hash. */
typedef struct kw_shapes {
    struct kw_shape {
        PyObject *tuple; /* or NULL */
        uint32_t row;    /* that has it */
    } slots[KW_SHAPE_SLOTS];
} kw_shapes;
void kw_shapes_clear(kw_shapes *shapes);
PyObject *kw_tensor_new(kw_state *state, kw_opened *opened, uint32_t row, kw_shapes *shapes);
kw_file *kw_file_of(PyObject *file);
kw_opened *kw_opened_of(PyObject *file);

/* py_fetch.c: methods of File, and what else reads tensors into arrays. */
PyObject *kw_file_fetch(PyObject *file, PyObject *args, PyObject *kwargs);
PyObject *kw_file_scan(PyObject *file, PyObject *args, PyObject *kwargs);
/* The row of a tensor that can be read, or NULL with an exception. */
const kw_tensor *kw_tensor_readable(PyObject *file, Py_ssize_t row);
/* An array with memory for a tensor, whose bytes are in *block; chunked ones are bounded by the reader's own checks. */
PyObject *kw_block_new(kw_state *state, const kw_tensor *tensor, void **block);
/* True when the values lie one after another in the file. */
bool kw_tensor_is_extent(const kw_tensor *tensor);

/* py_digest.c */
PyObject *kw_digest_function(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *kw_file_digest(PyObject *file, PyObject *args, PyObject *kwargs);

/* py_array.c */
int kw_array_setup(void);
/* A read-only array over `data`; the array keeps `opened` alive. */
PyObject *kw_array_view(kw_state *state, kw_opened *opened, const kw_tensor *tensor, const void *data);
/* A writable array that owns `block` (of kw_memory_alloc(block_len)); frees it on failure too. */
PyObject *kw_array_own(kw_state *state, const kw_tensor *tensor, void *block, size_t block_len);

/* py_spec.c, py_plan.c */
extern PyType_Spec kw_spec_spec, kw_plan_spec;
const kw_table *kw_spec_table(PyObject *spec);
const kw_graph *kw_spec_graph(PyObject *spec);
PyObject *kw_plan_function(PyObject *module, PyObject *args, PyObject *kwargs);

#endif
