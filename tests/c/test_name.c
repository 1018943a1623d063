/* kw_name_is_automatic: what each Keras calls a layer by itself, and what people call theirs. */
#include "base/table.h"
#include "check.h"

static void check_name(const char *name, const char *class_name, bool expected) {
    if (!CHECK_EQ(kw_name_is_automatic(name, class_name), expected))
        fprintf(stderr, "    %s of class %s\n", name, class_name ? class_name : "(unknown)");
}

static void test_names_of_unknown_class(void) {
    static const char *const automatic[] = {
        "dense", "dense_1", "dense_1234567890123456789012", "conv2d_transpose_1", "conv_lst_m2d", "conv_lstm2d_3",
        "input_1", "input_layer_3", "input_layer", "convolution2d_13", "maxpooling2d_1", "batchnormalization_2",
        "batch_normalization_v1_1", "batch_normalization_v1", "lstm", "gru_cell", "cu_dnnlstm_1", "model_1",
        "functional_4", "sequential", "merge_1", "lambda_2", "re_lu_1", "p_re_lu", "leaky_re_lu_5", "elu",
        "tf_op_lambda_1", "forward_lstm_1", "backward_gru", "dense_1_input", "tf.math.add_3",
        "tf.__operators__.getitem", "tf_op_layer_add_1", "global_average_pooling2d", "time_distributed",
        "timedistributed_2", "activation", "zero_padding3d_1", "multi_head_attention_11", "seed_generator_2",
        "activation_49", "up_sampling2d_9", "srelu_1",
    };
    static const char *const chosen[] = {
        "block_1", "layer_3", "layer", "fc_2", "my_dense", "my_dense_1", "dense1", "dense_", "dense_1a", "dense__1",
        "_1", "", "1", "_", "conv1", "conv2d_1x1", "Dense_1", "conv1_relu", "bn_2", "wrapper_1", "dense_1_2",
        "denses", "dens", "forward_", "forward_block_1", "block_1_input", "_input", "transformer_3", "encoder",
        "block_1_expand", "dense 1",
    };
    for (size_t i = 0; i < sizeof automatic / sizeof *automatic; i++) check_name(automatic[i], NULL, true);
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++) check_name(chosen[i], NULL, false);
}

static void test_names_of_known_class(void) {
    static const struct {
        const char *name, *class_name;
        bool automatic;
    } cases[] = {
        {"dense", "Dense", true},
        {"dense_12", "Dense", true},
        {"dense_1", "Conv2D", false},
        {"conv_lstm2d_1", "ConvLSTM2D", true},
        {"conv_lst_m2d_1", "ConvLSTM2D", true},
        {"convlstm2d_1", "ConvLSTM2D", true},
        {"convlstm2d", "ConvLSTM2D", false},
        {"convolution2d_1", "Convolution2D", true},
        {"my_block", "MyBlock", true},
        {"my_block_3", "MyBlock", true},
        {"myblock_3", "MyBlock", false},
        {"block1_7", "Block1", true},
        {"block_1", "Block", true},
        {"block_1", "Dense", false},
        {"layer_3", "Layer", true},
        {"private__my_layer_1", "_MyLayer", true},
        {"__my_layer", "_MyLayer", true},
        {"input_1", "InputLayer", true},
        {"input_layer", "InputLayer", true},
        {"model_1", "Functional", true},
        {"functional_1", "Functional", true},
        {"functional_1", "Model", true},
        {"model", "Model", true},
        {"model", "Sequential", false},
        {"forward_lstm_2", "LSTM", true},
        {"forward_lstm_2", "GRU", false},
        {"h_t_m_l_parser", "HTMLParser", false},
        {"html_parser", "HTMLParser", true},
        {"a_b_1", "aB", true},
        {"x", "X", true},
        {"", "", false},
        {"_1", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_name(cases[i].name, cases[i].class_name, cases[i].automatic);
}

/* A class name at and past the longest that is looked at, of the shape that grows most in snake case. */
static void test_long_class_names(void) {
    char class_name[400], name[800];
    for (size_t len = 250; len < 300; len++) {
        char *out = name;
        for (size_t i = 0; i < len; i++) {
            class_name[i] = i % 2 == 0 ? 'A' : 'b';
            if (i % 2 == 0 && i > 0) *out++ = '_';
            *out++ = i % 2 == 0 ? 'a' : 'b';
        }
        class_name[len] = *out = '\0';
        bool even = len % 2 == 0; /* else a capital ends the name, which the rules do not part when it follows a pair */
        if (even) check_name(name, class_name, len <= 255);
        check_name("dense_1", class_name, false);
    }
}

int main(void) {
    RUN(test_names_of_unknown_class);
    RUN(test_names_of_known_class);
    RUN(test_long_class_names);
    return check_result(__FILE__);
}
