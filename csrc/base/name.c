/* name.c -- names that Keras makes from the class of a layer.
 *
 *     Conv2DTranspose                 the class
 *     conv2d_transpose_3              snake case, and a number from the second on
 *     conv_lst_m2d                    TensorFlow up to 2.6 counted digits as small letters (ConvLSTM2D)
 *     convolution2d_1                 Keras 1: its own classes in small letters, always a number
 *     forward_lstm_1  dense_1_input   made from the name of another layer
 *
 * Keras: utils/naming.py to_snake_case; tf.keras: utils/generic_utils.py; Keras
 * 1.2: engine/topology.py, Layer.__init__; Bidirectional; Sequential.add.
 */
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

enum { CLASS_MAX = 255, SNAKE_MAX = KW_SNAKE_LEN - 1 }; /* a longer class is the user's, and its names count as chosen */

/* In every spelling above; sorted.  `Layer` and `Wrapper` are not in it: "layer_1" is a name that people choose. */
static const char *const known_names[] = {
    "activation", "activity_regularization", "activityregularization", "adaptive_average_pooling1d",
    "adaptive_average_pooling2d", "adaptive_average_pooling3d", "adaptive_max_pooling1d", "adaptive_max_pooling2d",
    "adaptive_max_pooling3d", "add", "additive_attention", "alpha_dropout", "atrous_convolution1d",
    "atrous_convolution2d", "atrousconvolution1d", "atrousconvolution2d", "attention", "aug_mix", "auto_contrast",
    "average", "average_pooling1d", "average_pooling2d", "average_pooling3d", "averagepooling1d", "averagepooling2d",
    "averagepooling3d", "batch_normalization", "batch_normalization_v1", "batch_normalization_v2",
    "batchnormalization", "bidirectional", "category_crossing", "category_encoding", "center_crop", "class_method",
    "concatenate", "contrast_limited_adaptive_histogram_equalization", "conv1d", "conv1d_transpose", "conv2d",
    "conv2d_transpose", "conv3d", "conv3d_transpose", "conv_lst_m1d", "conv_lst_m2d", "conv_lst_m2d_cell",
    "conv_lst_m3d", "conv_lstm1d", "conv_lstm2d", "conv_lstm2d_cell", "conv_lstm3d", "conv_lstm_cell", "convlstm2d",
    "convolution1d", "convolution1d_transpose", "convolution2d", "convolution2d_transpose", "convolution3d",
    "convolution3d_transpose", "cropping1d", "cropping2d", "cropping3d", "cu_dnngru", "cu_dnnlstm", "cut_mix",
    "deconvolution2d", "dense", "dense_features", "depthwise_conv1d", "depthwise_conv2d", "discretization", "dot",
    "dropout", "dynamic_embedding", "dynamic_lookup", "einsum_dense", "elu", "embedding", "equalization", "flatten",
    "flax_layer", "functional", "gaussian_dropout", "gaussian_noise", "gaussiandropout", "gaussiannoise",
    "global_average_pooling1d", "global_average_pooling2d", "global_average_pooling3d", "global_max_pooling1d",
    "global_max_pooling2d", "global_max_pooling3d", "globalaveragepooling1d", "globalaveragepooling2d",
    "globalaveragepooling3d", "globalmaxpooling1d", "globalmaxpooling2d", "globalmaxpooling3d", "group_normalization",
    "group_query_attention", "grouped_query_attention", "gru", "gru_cell", "hashed_crossing", "hashing", "highway",
    "identity", "input", "input_layer", "instance_method", "instance_property", "integer_lookup", "jax_layer",
    "lambda", "lambda_merge", "layer_normalization", "leaky_re_lu", "leakyrelu", "linear_model",
    "locally_connected1d", "locally_connected2d", "locallyconnected1d", "locallyconnected2d", "lstm", "lstm_cell",
    "masking", "max_num_bounding_boxes", "max_pooling1d", "max_pooling2d", "max_pooling3d", "maximum", "maxout_dense",
    "maxoutdense", "maxpooling1d", "maxpooling2d", "maxpooling3d", "mel_spectrogram", "merge", "minimum", "mix_up",
    "model", "multi_head_attention", "multiply", "normalization", "p_re_lu", "parametric_softplus",
    "parametricsoftplus", "peephole_lstm_cell", "permute", "pipeline", "prelu", "rand_augment", "random_brightness",
    "random_color_degeneration", "random_color_jitter", "random_contrast", "random_crop", "random_elastic_transform",
    "random_erasing", "random_flip", "random_fourier_features", "random_gaussian_blur", "random_grayscale",
    "random_height", "random_hue", "random_invert", "random_perspective", "random_posterization", "random_rotation",
    "random_saturation", "random_sharpness", "random_shear", "random_translation", "random_width", "random_zoom",
    "re_lu", "repeat_vector", "repeatvector", "rescaling", "reshape", "resizing", "reversible_embedding",
    "rms_normalization", "rnn", "s_re_lu", "seed_generator", "separable_conv1d", "separable_conv2d",
    "separable_convolution1d", "separable_convolution2d", "separableconvolution2d", "sequence_features", "sequential",
    "simple_rnn", "simple_rnn_cell", "simplernn", "slicing_op_lambda", "softmax", "solarization", "spatial_dropout1d",
    "spatial_dropout2d", "spatial_dropout3d", "spatialdropout1d", "spatialdropout2d", "spatialdropout3d",
    "spectral_normalization", "srelu", "stacked_rnn_cells", "stft_spectrogram", "string_lookup", "subtract",
    "sync_batch_normalization", "tensor_flow_op_layer", "text_vectorization", "tf_op_lambda", "tfsm_layer",
    "thresholded_re_lu", "thresholdedrelu", "time_distributed", "time_distributed_dense", "time_distributed_merge",
    "timedistributed", "timedistributeddense", "torch_module_wrapper", "unit_normalization", "up_sampling1d",
    "up_sampling2d", "up_sampling3d", "upsampling1d", "upsampling2d", "upsampling3d", "wide_deep_model",
    "zero_padding1d", "zero_padding2d", "zero_padding3d", "zeropadding1d", "zeropadding2d", "zeropadding3d",
};

static inline bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static inline bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
static inline char lower(char c) { return is_upper(c) ? (char)(c - 'A' + 'a') : c; }

/* `(.)([A-Z][a-z]+)` -> `\1_\2`, or with digits `(.)([A-Z][a-z0-9]+)`; `out` has room for SNAKE_MAX + 1. */
static void split_words(const char *text, bool digits, char *out) {
    while (*text != '\0') {
        *out++ = *text++;
        const char *end = text + 1;
        if (!is_upper(text[0]) || !(is_lower(*end) || (digits && is_digit(*end)))) continue;
        while (is_lower(*end) || (digits && is_digit(*end))) end++;
        *out++ = '_';
        while (text < end) *out++ = *text++;
    }
    *out = '\0';
}

/* `([a-z])([A-Z])` -> `\1_\2`, in small letters; `out` has room for SNAKE_MAX + 1. */
static void join_words(const char *text, char *out) {
    for (char before = '\0'; *text != '\0'; before = *text++) {
        if (is_lower(before) && is_upper(*text)) *out++ = '_';
        *out++ = lower(*text);
    }
    *out = '\0';
}

bool kw_name_snake(const char *class_name, char out[KW_SNAKE_LEN]) {
    char words[KW_SNAKE_LEN];
    size_t len = strnlen(class_name, CLASS_MAX + 1);
    if (len == 0 || len > CLASS_MAX) return false;
    for (const char *c = class_name; *c != '\0'; c++)
        if (!is_upper(*c) && !is_lower(*c) && !is_digit(*c) && *c != '_') return false;
    split_words(class_name, false, words);
    join_words(words, out);
    return true;
}

/* True for `base`, and for `base` with "_<digits>". */
static bool is_counted(const char *name, const char *base, bool number_needed) {
    size_t len = strlen(base);
    if (len == 0 || strncmp(name, base, len) != 0) return false;
    name += len;
    if (*name == '\0') return !number_needed;
    if (*name++ != '_' || *name == '\0') return false;
    while (is_digit(*name)) name++;
    return *name == '\0';
}

typedef struct text {
    const char *data;
    size_t len;
} text;

/* The order of a text and an element of known_names. */
static int compare_known(const void *key, const void *element) {
    const text *wanted = key;
    const char *known = *(const char *const *)element;
    int order = strncmp(wanted->data, known, wanted->len);
    return order != 0 ? order : known[wanted->len] == '\0' ? 0 : -1;
}

/* True when the first `len` bytes of `name` are in known_names. */
static bool is_known(const char *name, size_t len) {
    text key = {name, len};
    size_t count = sizeof known_names / sizeof *known_names;
    return bsearch(&key, known_names, count, sizeof *known_names, compare_known) != NULL;
}

/* True when some Keras names a layer of the class so. */
static bool is_of_class(const char *name, const char *class_name) {
    char words[SNAKE_MAX + 1], snake[SNAKE_MAX + 1];
    size_t len = strlen(class_name);
    if (len > CLASS_MAX) return false;
    for (int digits = 0; digits < 2; digits++) {
        split_words(class_name, digits != 0, words);
        join_words(words, snake);
        if (is_counted(name, snake, false)) return true;
        /* tf.keras: a scope must not begin with an underscore. */
        if (snake[0] == '_' && strncmp(name, "private", 7) == 0 && is_counted(name + 7, snake, false)) return true;
    }
    for (size_t i = 0; i <= len; i++) snake[i] = lower(class_name[i]);
    return is_known(snake, len) && is_counted(name, snake, true);
}

/* True when the class is of those that some Keras names after another. */
static bool is_of_alias(const char *name, const char *class_name) {
    if (strcmp(class_name, "InputLayer") == 0) return is_counted(name, "input", false);
    if (strcmp(class_name, "Functional") == 0) return is_counted(name, "model", false);
    if (strcmp(class_name, "Model") == 0) return is_counted(name, "functional", false);
    return false;
}

/* True when some Keras names a layer of one of its classes so; `len` bytes of `name`. */
static bool is_of_keras(const char *name, size_t len) {
    size_t base_len = len;
    while (base_len > 0 && is_digit(name[base_len - 1])) base_len--;
    bool counted = base_len < len && base_len > 1 && name[base_len - 1] == '_';
    return is_known(name, len) || (counted && is_known(name, base_len - 1));
}

static inline bool starts(const char *name, const char *prefix) { return strncmp(name, prefix, strlen(prefix)) == 0; }

/* True when Keras makes the name from the class alone. */
static bool is_made(const char *name, const char *class_name) {
    if (class_name == NULL) return is_of_keras(name, strlen(name));
    return is_of_class(name, class_name) || is_of_alias(name, class_name);
}

bool kw_name_is_automatic(const char *name, const char *class_name) {
    if (is_made(name, class_name)) return true;
    if (starts(name, "tf.") || starts(name, "tf_op_layer_")) return true; /* operations that became layers */
    if (starts(name, "forward_")) return is_made(name + 8, class_name);
    if (starts(name, "backward_")) return is_made(name + 9, class_name);
    size_t len = strlen(name), suffix_len = strlen("_input");
    return len > suffix_len && strcmp(name + len - suffix_len, "_input") == 0 && is_of_keras(name, len - suffix_len);
}
