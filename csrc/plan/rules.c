/* rules.c -- the table of rules.
 *
 *     flavour x version  --> what it does     generations[]
 *     flavour x suffix   --> which loader     loaders[]
 *
 * Sources: keras/src/saving/{saving_api,saving_lib}.py and
 * keras/src/legacy/saving/legacy_h5_format.py at each tag from v3.0.0 to
 * v3.15.1; tf_keras/src/saving/{saving_api,saving_lib}.py and
 * tf_keras/src/saving/legacy/{save,hdf5_format}.py of 2.12 to 2.21;
 * keras/engine/training.py and keras/saving/hdf5_format.py of 2.6 to 2.11;
 * tensorflow/python/keras/saving/hdf5_format.py of TensorFlow 2.3;
 * keras/engine/{network,saving}.py of 2.1.5 to 2.3.1.
 */
#include "plan/rules.h"

enum { NEWEST = 99999999 };

#define V3_0_2 (KW_DOES_RETRY | KW_DOES_TF212 | KW_DOES_NEED_ROOT)
#define V3_0_5 (V3_0_2 | KW_DOES_BFLOAT16)
#define V3_6 ((V3_0_5 | KW_DOES_ORDER_SHAPES) & ~KW_DOES_NEED_ROOT)
#define V3_7 (V3_6 | KW_DOES_UNBUILT)
#define V3_10 (V3_7 | KW_DOES_SHARDS)
#define V3_11 (V3_10 | KW_DOES_NAME_TEXT | KW_DOES_ORDER_SKIP)
#define V3_14_1 (V3_11 | KW_DOES_SAFE_GROUPS)
#define OLD (KW_DOES_NO_V3 | KW_DOES_OLD_TEXTS | KW_DOES_NO_TOP)

static const kw_generation generations[] = {
    {KW_FLAVOUR_KERAS3, 30000, 30002, KW_DOES_NEED_ROOT | KW_DOES_TOP_ALL},
    {KW_FLAVOUR_KERAS3, 30002, 30005, V3_0_2 | KW_DOES_TOP_ALL},
    {KW_FLAVOUR_KERAS3, 30005, 30600, V3_0_5 | KW_DOES_TOP_ALL},
    {KW_FLAVOUR_KERAS3, 30600, 30700, V3_6 | KW_DOES_TOP_ALL},
    {KW_FLAVOUR_KERAS3, 30700, 30800, V3_7 | KW_DOES_TOP_ALL},
    {KW_FLAVOUR_KERAS3, 30800, 31000, V3_7},
    {KW_FLAVOUR_KERAS3, 31000, 31100, V3_10},
    {KW_FLAVOUR_KERAS3, 31100, 31204, V3_11},
    {KW_FLAVOUR_KERAS3, 31204, 31300, V3_14_1}, /* 3.12.4 got the fix of 3.14.1 */
    {KW_FLAVOUR_KERAS3, 31300, 31401, V3_11},
    {KW_FLAVOUR_KERAS3, 31401, 31500, V3_14_1},
    {KW_FLAVOUR_KERAS3, 31500, NEWEST, V3_14_1 | KW_DOES_NESTED},
    {KW_FLAVOUR_KERAS2, 0, NEWEST, KW_DOES_CONVERT | OLD},
    {KW_FLAVOUR_TF_KERAS, 0, 20700, KW_DOES_CONVERT | OLD},
    {KW_FLAVOUR_TF_KERAS, 20700, 21200, KW_DOES_CONVERT | KW_DOES_NO_V3},
    {KW_FLAVOUR_TF_KERAS, 21200, 21400, KW_DOES_CONVERT | KW_DOES_NEED_ROOT},
    {KW_FLAVOUR_TF_KERAS, 21400, NEWEST, KW_DOES_CONVERT | KW_DOES_NEED_ROOT | KW_DOES_SKIP_SEEN},
};

typedef struct loader_row {
    kw_flavour flavour;
    kw_suffix suffix;
    kw_loader zip, other; /* by whether the file really is a zip archive */
} loader_row;

static const loader_row loaders[] = {
    {KW_FLAVOUR_KERAS3, KW_SUFFIX_KERAS, KW_LOADER_V3_ZIP, KW_LOADER_V3_ZIP},
    {KW_FLAVOUR_KERAS3, KW_SUFFIX_WEIGHTS_H5, KW_LOADER_V3_HDF5, KW_LOADER_V3_HDF5},
    {KW_FLAVOUR_KERAS3, KW_SUFFIX_WEIGHTS_JSON, KW_LOADER_V3_SHARDS, KW_LOADER_V3_SHARDS},
    {KW_FLAVOUR_KERAS3, KW_SUFFIX_H5, KW_LOADER_LEGACY, KW_LOADER_LEGACY},
    {KW_FLAVOUR_KERAS3, KW_SUFFIX_OTHER, KW_LOADER_REFUSED, KW_LOADER_REFUSED},
    {KW_FLAVOUR_TF_KERAS, KW_SUFFIX_KERAS, KW_LOADER_V3_ZIP, KW_LOADER_LEGACY},
    {KW_FLAVOUR_TF_KERAS, KW_SUFFIX_WEIGHTS_H5, KW_LOADER_V3_HDF5, KW_LOADER_V3_HDF5},
    {KW_FLAVOUR_TF_KERAS, KW_SUFFIX_WEIGHTS_JSON, KW_LOADER_LEGACY, KW_LOADER_LEGACY},
    {KW_FLAVOUR_TF_KERAS, KW_SUFFIX_H5, KW_LOADER_LEGACY, KW_LOADER_LEGACY},
    {KW_FLAVOUR_TF_KERAS, KW_SUFFIX_OTHER, KW_LOADER_LEGACY, KW_LOADER_LEGACY},
};

kw_raise_text kw_raise_find_text(kw_raise raise) {
    static const kw_raise_text texts[] = {
#define RAISE_ROW(name, type, prefix) {type, prefix},
        KW_RAISES(RAISE_ROW)
#undef RAISE_ROW
    };
    return texts[raise];
}

kw_raise kw_raise_find_own(kw_raise raise, uint32_t does) {
    if ((does & KW_DOES_OLD_TEXTS) == 0) return raise;
    switch (raise) {
        case KW_RAISE_LAYERS: return KW_RAISE_OLD_LAYERS;
        case KW_RAISE_WEIGHTS:
        case KW_RAISE_LAYER_SHAPE: return KW_RAISE_OLD_LAYER;
        case KW_RAISE_SHAPE:
        case KW_RAISE_TF_SHAPE: return KW_RAISE_VALUE; /* TensorFlow's text, which changed with it */
        default: return raise;
    }
}

kw_rules kw_rules_of_reader(const kw_rules *rules) {
    kw_rules reader = *rules;
    if (rules->other == NULL) return reader;
    reader.flavour = rules->other->flavour;
    reader.version = rules->other->version;
    return reader;
}

uint32_t kw_rules_find_does(const kw_rules *rules) {
    uint32_t does = 0;
    for (size_t i = 0; i < sizeof generations / sizeof *generations; i++) {
        const kw_generation *row = &generations[i];
        if (row->flavour != rules->flavour) continue;
        does = row->does; /* the last one of the flavour stands when no row holds the version */
        if (row->from <= rules->version && rules->version < row->to) break;
    }
    return does;
}

kw_loader kw_rules_find_loader(const kw_rules *rules) {
    uint32_t does = kw_rules_find_does(rules);
    if ((does & KW_DOES_NO_V3) != 0) return KW_LOADER_LEGACY;
    for (size_t i = 0; i < sizeof loaders / sizeof *loaders; i++) {
        const loader_row *row = &loaders[i];
        if (row->flavour != rules->flavour || row->suffix != rules->suffix) continue;
        kw_loader loader = rules->is_zip ? row->zip : row->other;
        bool known = loader != KW_LOADER_V3_SHARDS || (does & KW_DOES_SHARDS) != 0;
        return known ? loader : KW_LOADER_REFUSED;
    }
    return KW_LOADER_REFUSED;
}

const char *kw_outcome_name(kw_outcome outcome) {
    static const char *const names[] = {
#define OUTCOME_ROW(name, text) text,
        KW_OUTCOMES(OUTCOME_ROW)
#undef OUTCOME_ROW
    };
    return names[outcome];
}

const char *kw_step_name(kw_step step) {
    static const char *const names[] = {
#define STEP_ROW(name, text) text,
        KW_STEPS(STEP_ROW)
#undef STEP_ROW
    };
    return names[step];
}
