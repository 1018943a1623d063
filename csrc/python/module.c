/* module.c -- kwload._core: the module, its state, and its small functions. */
#include "python/kwload_py.h"

#include "plan/nearest.h"

kw_state *kw_state_of_type(PyTypeObject *type) { return PyType_GetModuleState(type); }

void kw_object_free(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

/* dict: number -> slug. */
static PyObject *make_codes(void) {
    static const struct {
        int number;
        const char *slug;
    } codes[] = {
#define CODE_ROW(number, name, slug) {number, slug},
        KW_CODES(CODE_ROW)
#undef CODE_ROW
    };
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < sizeof codes / sizeof *codes; i++) {
        PyObject *key = PyLong_FromLong(codes[i].number);
        PyObject *value = PyUnicode_FromString(codes[i].slug);
        if (key == NULL || value == NULL || PyDict_SetItem(dict, key, value) < 0) Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return dict;
}

/* Sets dict[key] = value (stealing value); clears *dict on failure. */
static void put(PyObject **dict, const char *key, PyObject *value) {
    if (value == NULL || (*dict != NULL && PyDict_SetItemString(*dict, key, value) < 0)) Py_CLEAR(*dict);
    Py_XDECREF(value);
}

/* dict: slug -> phrase. */
static PyObject *make_contents(void) {
    PyObject *dict = PyDict_New();
#define CONTENT_ROW(name, slug, phrase) \
    if (dict != NULL) put(&dict, slug, PyUnicode_FromString(phrase));
    KW_CONTENTS(CONTENT_ROW)
#undef CONTENT_ROW
    return dict;
}

/* dict: name -> bit. */
static PyObject *make_group_flags(void) {
    static const struct {
        const char *name;
        unsigned bit;
    } flags[] = {{"named", KW_GROUP_NAMED},           {"absent", KW_GROUP_ABSENT},
                 {"no_list", KW_GROUP_NO_LIST},       {"optimizer", KW_GROUP_OPTIMIZER},
                 {"metric", KW_GROUP_METRIC},         {"top_level", KW_GROUP_TOP_LEVEL},
                 {"own_load", KW_GROUP_OWN_LOAD},     {"not_built", KW_GROUP_NOT_BUILT},
                 {"no_count", KW_GROUP_NO_COUNT},     {"auto_name", KW_GROUP_AUTO_NAME},
                 {"not_loadable", KW_GROUP_NOT_LOADABLE}, {"counted", KW_GROUP_COUNTED},
                 {"config_name", KW_GROUP_CONFIG_NAME},
                 {"link", KW_GROUP_LINK}};
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < sizeof flags / sizeof *flags; i++) {
        put(&dict, flags[i].name, PyLong_FromUnsignedLong(flags[i].bit));
    }
    return dict;
}

/* Its bytes, as a new object; what is no character, in names from file systems and from JSON, keeps a form of its own. */
static PyObject *encode(PyObject *text) { return PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass"); }

/* Each candidate encoded, as a new tuple; NULL with an exception. */
static PyObject *encode_all(PyObject *items) {
    Py_ssize_t len = PyTuple_Size(items);
    PyObject *all = PyTuple_New(len);
    for (Py_ssize_t i = 0; all != NULL && i < len; i++) {
        PyObject *bytes = encode(PyTuple_GetItem(items, i));
        if (bytes == NULL || PyTuple_SetItem(all, i, bytes) < 0) Py_CLEAR(all);
    }
    return all;
}

/* nearest(name, candidates, count=3) -> list of str. */
static PyObject *nearest(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *name, *candidates;
    Py_ssize_t count = 3;
    if (!PyArg_ParseTuple(args, "UO|n", &name, &candidates, &count)) return NULL;
    PyObject *items = PySequence_Tuple(candidates), *all = NULL, *wanted = NULL, *result = NULL;
    const char **texts = NULL;
    uint32_t *rows = NULL;
    if (items == NULL) return NULL;
    Py_ssize_t len = PyTuple_Size(items);
    if (count < 0) count = 0;
    if (count > len) count = len;
    if ((wanted = encode(name)) == NULL || (all = encode_all(items)) == NULL) goto done;
    texts = PyMem_Malloc(sizeof *texts * (size_t)(len + 1));
    rows = PyMem_Malloc(sizeof *rows * (size_t)(count + 1));
    if (texts == NULL || rows == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < len; i++) texts[i] = PyBytes_AsString(PyTuple_GetItem(all, i));
    size_t found = kw_name_nearest(PyBytes_AsString(wanted), texts, (size_t)len, rows, (size_t)count);
    result = PyList_New(0);
    for (size_t i = 0; result != NULL && i < found; i++) {
        if (PyList_Append(result, PyTuple_GetItem(items, rows[i])) < 0) Py_CLEAR(result);
    }
done:
    PyMem_Free(texts);
    PyMem_Free(rows);
    Py_XDECREF(wanted);
    Py_XDECREF(all);
    Py_DECREF(items);
    return result;
}

/* Makes a heap type of the module, adds it under its name, keeps it in *slot. */
static int add_type(PyObject *module, PyType_Spec *spec, const char *name, PyObject **slot) {
    *slot = PyType_FromModuleAndSpec(module, spec, NULL);
    return *slot == NULL ? -1 : PyModule_AddObjectRef(module, name, *slot);
}

/* Adds a new reference to the module; -1 with an exception. */
static int add_new(PyObject *module, const char *name, PyObject *value) {
    if (value == NULL) return -1;
    int result = PyModule_AddObjectRef(module, name, value);
    Py_DECREF(value);
    return result;
}

static int execute(PyObject *module) {
    kw_state *state = PyModule_GetState(module);
    if (kw_array_setup() < 0) return -1;
    state->core_error = PyErr_NewExceptionWithDoc(
        "kwload._core.CoreError", "A failure of the core: code, at, detail, errno.", NULL, NULL);
    if (state->core_error == NULL || PyModule_AddObjectRef(module, "CoreError", state->core_error) < 0) return -1;
    for (int i = 0; i < KW_DTYPE_COUNT; i++) {
        state->dtype_names[i] = PyUnicode_InternFromString(kw_dtype_name((kw_dtype)i));
        if (state->dtype_names[i] == NULL) return -1;
    }
    if (add_type(module, &kw_file_spec, "File", &state->file_type) < 0 ||
        add_type(module, &kw_tensor_spec, "Tensor", &state->tensor_type) < 0 ||
        add_type(module, &kw_spec_spec, "Spec", &state->spec_type) < 0 ||
        add_type(module, &kw_plan_spec, "Plan", &state->plan_type) < 0) {
        return -1;
    }
    return add_new(module, "CODES", make_codes()) < 0 || add_new(module, "CONTENTS", make_contents()) < 0 ||
                   add_new(module, "GROUP_FLAGS", make_group_flags()) < 0
               ? -1
               : 0;
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
    kw_state *state = PyModule_GetState(module);
    if (state == NULL) return 0;
#define VISIT_FIELD(name) Py_VISIT(state->name);
    KW_STATE(VISIT_FIELD)
#undef VISIT_FIELD
    for (int i = 0; i < KW_DTYPE_COUNT; i++) {
        Py_VISIT(state->dtype_names[i]);
        Py_VISIT(state->descrs[i]);
    }
    return 0;
}

static int clear(PyObject *module) {
    kw_state *state = PyModule_GetState(module);
    if (state == NULL) return 0;
#define CLEAR_FIELD(name) Py_CLEAR(state->name);
    KW_STATE(CLEAR_FIELD)
#undef CLEAR_FIELD
    for (int i = 0; i < KW_DTYPE_COUNT; i++) {
        Py_CLEAR(state->dtype_names[i]);
        Py_CLEAR(state->descrs[i]);
    }
    return 0;
}

static void free_module(void *module) { clear(module); }

static PyMethodDef functions[] = {
    {"plan", (PyCFunction)(void (*)(void))kw_plan_function, METH_VARARGS | METH_KEYWORDS,
     "The join of what a file has and what a model wants."},
    {"digest", (PyCFunction)(void (*)(void))kw_digest_function, METH_VARARGS | METH_KEYWORDS,
     "digest(source, stretches, *, threads=2): XXH3-128 of each (offset, length) of a path, buffer or (size, pread)."},
    {"nearest", nearest, METH_VARARGS, "nearest(name, candidates, count=3): the candidates most like name."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)execute}, {0, NULL}};

struct PyModuleDef kw_module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "kwload._core",
    .m_doc = "The C core: reads weight files into a tensor table, joins two tables into a plan.",
    .m_size = sizeof(kw_state),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = free_module,
};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&kw_module_def); }
