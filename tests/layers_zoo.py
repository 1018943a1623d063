"""Every public layer class of Keras 3 and tf_keras, in several configs: what the table of layers is held against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Layer:
    """A layer to be made in either Keras."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A layer and what it is called on: a shape, a list of shapes; ``dtype`` of the inputs."""

    layer: Layer
    input_shape: Any
    dtype: str = "float32"
    call: dict[str, Any] = field(default_factory=dict)
    only: str | None = None
    """The flavour of Keras that takes it, where the other has such a layer but refuses these settings."""

    @property
    def title(self) -> str:
        return f"{self.layer.name} {self.layer.options} {self.input_shape} {self.call}"


def made(value: Any, keras: Any) -> Any:
    """*value* with each Layer in it made by *keras*."""
    if isinstance(value, Layer):
        return getattr(keras.layers, value.name)(**made(value.options, keras))
    if isinstance(value, dict):
        return {key: made(item, keras) for key, item in value.items()}
    if isinstance(value, list):
        return [made(item, keras) for item in value]
    return value


def of(name: str, /, **options: Any) -> Layer:
    return Layer(name, options)


def _cases(shape: Any, *layers: Layer, dtype: str = "float32", only: str | None = None, **call: Any) -> list[Case]:
    return [Case(layer, shape, dtype, call, only) for layer in layers]


T, S, I1, I2, I3 = (None, 3), (None, 5, 3), (None, 9, 6), (None, 8, 9, 6), (None, 7, 8, 9, 4)
FIXED = (2, 5, 3)
IMAGE = (None, 8, 8, 3)

CORE = [
    *_cases(T, of("Dense", units=4), of("Dense", units=4, use_bias=False), of("Dense", units=2, dtype="mixed_float16")),
    *_cases(S, of("Dense", units=4), of("Dense", units=4, dtype="float16", trainable=False), of("Identity")),
    *_cases(
        S,
        of("EinsumDense", equation="abc,cd->abd", output_shape=(None, 7), bias_axes="d"),
        of("EinsumDense", equation="...x,xy->...y", output_shape=7, bias_axes="y"),
        of("EinsumDense", equation="abc,cde->abde", output_shape=(None, 2, 7), bias_axes="de"),
        of("EinsumDense", equation="abc,cde->abde", output_shape=(None, 2, 7), bias_axes="e"),
        of("EinsumDense", equation="abc,cde->abde", output_shape=(5, 2, 7), bias_axes="bd"),
        of("EinsumDense", equation="ab...,bc->ac...", output_shape=(7,), bias_axes="c"),
        of("EinsumDense", equation="abc,cd->abd", output_shape=(None, 7)),
    ),
    *_cases(
        (None, 5),
        of("Embedding", input_dim=11, output_dim=4),
        of("Embedding", input_dim=11, output_dim=4, mask_zero=True, name="words"),
        of("ReversibleEmbedding", input_dim=11, output_dim=4),
        of("ReversibleEmbedding", input_dim=11, output_dim=4, tie_weights=False),
        dtype="int32",
    ),
    *_cases((None,), of("Embedding", input_dim=11, output_dim=4), dtype="int32"),
    *_cases((None, None), of("Embedding", input_dim=11, output_dim=4), dtype="int32"),
    *_cases(S, of("Masking"), of("Activation", activation="relu"), of("ActivityRegularization", l2=0.1)),
    *_cases(S, of("Softmax"), of("ReLU"), of("LeakyReLU"), of("ELU"), of("ThresholdedReLU")),
    *_cases(I2, of("PReLU"), of("PReLU", shared_axes=[1, 2]), of("PReLU", shared_axes=[3])),
    *_cases(T, of("PReLU"), of("Softmax")),
]

CONVOLUTIONAL = [
    *_cases(I1, of("SeparableConv1D", filters=4, kernel_size=3, padding="causal"), only="tf_keras"),
    *_cases(I1, of("SeparableConv1D", filters=4, kernel_size=3, padding="same", use_bias=False)),
    *_cases(
        I1,
        of("Conv1D", filters=4, kernel_size=3),
        of("Conv1D", filters=4, kernel_size=3, groups=2, use_bias=False),
        of("Conv1D", filters=4, kernel_size=3, padding="causal", dilation_rate=2),
        of("Conv1D", filters=4, kernel_size=2, padding="same", strides=2),
        of("Conv1DTranspose", filters=4, kernel_size=3),
        of("Conv1DTranspose", filters=4, kernel_size=3, strides=2, padding="same", use_bias=False),
        of("Conv1DTranspose", filters=4, kernel_size=3, strides=2, output_padding=1),
        of("DepthwiseConv1D", kernel_size=3, depth_multiplier=2),
        of("DepthwiseConv1D", kernel_size=3, strides=2, padding="same", use_bias=False),
        of("SeparableConv1D", filters=4, kernel_size=3, depth_multiplier=2),
        of("LocallyConnected1D", filters=4, kernel_size=3, strides=2),
        of("LocallyConnected1D", filters=4, kernel_size=3, implementation=2),
        of("LocallyConnected1D", filters=4, kernel_size=3, implementation=3, padding="same", use_bias=False),
    ),
    *_cases(
        I2,
        of("Conv2D", filters=4, kernel_size=3),
        of("Conv2D", filters=4, kernel_size=(3, 2), strides=(2, 1), padding="same"),
        of("Conv2D", filters=4, kernel_size=3, dilation_rate=2, groups=2),
        of("Conv2DTranspose", filters=4, kernel_size=(3, 2)),
        of("Conv2DTranspose", filters=4, kernel_size=2, strides=3),
        of("Conv2DTranspose", filters=4, kernel_size=3, strides=2, padding="same", output_padding=1),
        of("Conv2DTranspose", filters=4, kernel_size=3, dilation_rate=2),
        of("DepthwiseConv2D", kernel_size=3),
        of("DepthwiseConv2D", kernel_size=(3, 2), depth_multiplier=3, use_bias=False, padding="same"),
        of("DepthwiseConv2D", kernel_size=3, dilation_rate=2),
        of("SeparableConv2D", filters=4, kernel_size=3),
        of("SeparableConv2D", filters=4, kernel_size=(3, 2), depth_multiplier=2, use_bias=False, strides=2),
        of("LocallyConnected2D", filters=4, kernel_size=3),
        of("LocallyConnected2D", filters=4, kernel_size=(3, 2), strides=(2, 1), implementation=2),
        of("LocallyConnected2D", filters=4, kernel_size=(3, 2), implementation=3),
    ),
    *_cases(
        I3,
        of("Conv3D", filters=5, kernel_size=3),
        of("Conv3D", filters=5, kernel_size=(1, 2, 3), padding="same", strides=(1, 2, 2)),
        of("Conv3DTranspose", filters=5, kernel_size=3, strides=2),
        of("Conv3DTranspose", filters=5, kernel_size=(1, 2, 3), padding="same", use_bias=False),
    ),
    *_cases((None, 6, 8, 9), of("Conv2D", filters=4, kernel_size=3, data_format="channels_first")),
    *_cases(
        (None, None, None, 6), of("Conv2D", filters=4, kernel_size=3), of("Conv2DTranspose", filters=4, kernel_size=3)
    ),
]

NORMALIZATION = [
    *_cases(
        I2,
        of("BatchNormalization"),
        of("BatchNormalization", scale=False),
        of("BatchNormalization", center=False, trainable=False),
        of("BatchNormalization", axis=1),
        of("BatchNormalization", dtype="mixed_float16"),
        of("LayerNormalization"),
        of("LayerNormalization", axis=[1, 2, 3]),
        of("LayerNormalization", axis=[3, 1]),
        of("LayerNormalization", center=False),
        of("RMSNormalization"),
        of("RMSNormalization", axis=[1, 3]),
        of("GroupNormalization", groups=3),
        of("GroupNormalization", groups=-1, axis=3, scale=False),
        of("UnitNormalization"),
        of("UnitNormalization", axis=[1, 2]),
    ),
    *_cases(
        I2,
        of("LayerNormalization", rms_scaling=True),
        of("SpectralNormalization", layer=of("Conv2D", filters=4, kernel_size=3)),
        of("SpectralNormalization", layer=of("Conv2DTranspose", filters=4, kernel_size=3)),
        only="keras",
    ),
    *_cases(I2, of("BatchNormalization", dtype="float16"), of("LayerNormalization", dtype="float16")),
    *_cases(T, of("BatchNormalization", renorm=True), of("BatchNormalization", renorm=True, center=False)),
    *_cases(T, of("SpectralNormalization", layer=of("Dense", units=4, use_bias=False), name="sn"), only="keras"),
    *_cases(
        (None, 5),
        of("SpectralNormalization", layer=of("Embedding", input_dim=7, output_dim=4)),
        dtype="int32",
        only="keras",
    ),
]

_QV = [(None, 5, 6), (None, 4, 6)]
_QVK = [(None, 5, 6), (None, 4, 7), (None, 4, 6)]
ATTENTION = [
    *_cases(
        _QV,
        of("Attention"),
        of("Attention", use_scale=True, score_mode="concat"),
        of("Attention", use_scale=True, dropout=0.3),
        of("AdditiveAttention"),
        of("AdditiveAttention", use_scale=False, dropout=0.1),
    ),
    *_cases(_QVK, of("Attention")),
    *_cases(_QVK, of("AdditiveAttention"), only="keras"),
    *_cases([(None, 5, 6), (None, 4, 8)], of("MultiHeadAttention", num_heads=2, key_dim=3)),
    *_cases(
        [(None, 5, 6), (None, 4, 7), (None, 4, 8)],
        of("MultiHeadAttention", num_heads=2, key_dim=3),
        of("MultiHeadAttention", num_heads=2, key_dim=3, value_dim=4, output_shape=9, use_bias=False, dropout=0.2),
        of("MultiHeadAttention", num_heads=2, key_dim=3, value_dim=4, output_shape=(2, 9)),
    ),
    *_cases(
        [(None, 5, 6), (None, 4, 7), (None, 4, 8)],
        of("MultiHeadAttention", num_heads=2, key_dim=3, value_dim=5, use_gate=True),
        only="keras",
    ),
    *_cases(
        [(None, 3, 5, 6), (None, 2, 4, 7)],
        of("MultiHeadAttention", num_heads=2, key_dim=3, attention_axes=(1, 2), name="a"),
    ),
    *_cases(
        [(None, 5, 6), (None, 4, 7)], of("MultiHeadAttention", num_heads=2, key_dim=3), return_attention_scores=True
    ),
    *_cases(
        [(None, 5, 6), (None, 4, 6)],
        of("GroupQueryAttention", head_dim=3, num_query_heads=4, num_key_value_heads=2),
        of("GroupQueryAttention", head_dim=3, num_query_heads=4, num_key_value_heads=2, use_bias=False, dropout=0.1),
        of("GroupQueryAttention", head_dim=3, num_query_heads=4, num_key_value_heads=2, use_gate=True),
    ),
]

RECURRENT = [
    *_cases(
        S,
        of("SimpleRNN", units=4),
        of("SimpleRNN", units=4, return_sequences=True, dropout=0.1),
        of("GRU", units=4),
        of("GRU", units=4, reset_after=False, return_state=True),
        of("LSTM", units=4),
        of("LSTM", units=4, use_bias=False, return_sequences=True, return_state=True, name="rnn"),
        of("LSTM", units=4, dropout=0.2, recurrent_dropout=0.1, trainable=False, dtype="mixed_bfloat16"),
        of("Bidirectional", layer=of("LSTM", units=4)),
        of("Bidirectional", layer=of("LSTM", units=4, return_sequences=True), merge_mode="sum"),
        of("Bidirectional", layer=of("GRU", units=4, return_sequences=True), merge_mode=None),
        of("Bidirectional", layer=of("LSTM", units=4, return_state=True)),
        of("Bidirectional", layer=of("GRU", units=4, return_state=True), merge_mode=None),
        of("Bidirectional", layer=of("LSTM", units=4), backward_layer=of("GRU", units=4, go_backwards=True)),
        of("RNN", cell=of("LSTMCell", units=4)),
        of("RNN", cell=of("GRUCell", units=4), return_sequences=True, return_state=True),
        of("RNN", cell=of("SimpleRNNCell", units=4, use_bias=False)),
        of("RNN", cell=[of("LSTMCell", units=4), of("LSTMCell", units=6), of("GRUCell", units=2)], return_state=True),
        of("RNN", cell=of("StackedRNNCells", cells=[of("LSTMCell", units=4), of("GRUCell", units=6)])),
        of("Bidirectional", layer=of("RNN", cell=of("LSTMCell", units=4))),
        of("TimeDistributed", layer=of("Dense", units=4)),
        of("TimeDistributed", layer=of("Dropout", rate=0.5)),
    ),
    *_cases(FIXED, of("LSTM", units=4, stateful=True), of("RNN", cell=of("GRUCell", units=4), stateful=True)),
    *_cases((None, None, 3), of("LSTM", units=4, return_sequences=True), of("GRU", units=4, unroll=False)),
    *_cases((None, 5, 8, 8, 3), of("TimeDistributed", layer=of("Conv2D", filters=4, kernel_size=3))),
    *_cases(
        (None, 5, 8, 3),
        of("ConvLSTM1D", filters=4, kernel_size=3),
        of("ConvLSTM1D", filters=4, kernel_size=3, return_sequences=True, padding="same", use_bias=False),
    ),
    *_cases(
        (None, 5, 8, 9, 3),
        of("ConvLSTM2D", filters=4, kernel_size=(3, 2)),
        of("ConvLSTM2D", filters=4, kernel_size=3, return_state=True, strides=2),
        of("Bidirectional", layer=of("ConvLSTM2D", filters=4, kernel_size=3)),
    ),
    *_cases((None, 4, 6, 7, 8, 3), of("ConvLSTM3D", filters=4, kernel_size=2, return_sequences=True)),
    *_cases(T, of("LSTMCell", units=4), of("GRUCell", units=4), of("GRUCell", units=4, reset_after=False)),
    *_cases(
        T, of("SimpleRNNCell", units=4), of("StackedRNNCells", cells=[of("LSTMCell", units=4), of("GRUCell", units=6)])
    ),
]

MERGING = [
    *_cases(
        [(None, 5, 3), (None, 5, 3)],
        *(of(name) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")),
        of("Concatenate", axis=1),
        of("Dot", axes=2),
        of("Dot", axes=(1, 1)),
    ),
    *_cases([(None, 5, 3), (None, 1, 3)], of("Add"), of("Multiply"), of("Maximum"), of("Concatenate", axis=1)),
    *_cases([(None, 5, 3), (None, 3)], of("Average"), of("Minimum")),
    *_cases([(None, 5, 3), (None, 5, 2), (None, 5, 1)], of("Concatenate")),
    *_cases([(None, 3), (None, 3)], of("Dot", axes=1, normalize=True)),
    *_cases([(None, 5, 3), (None, 3, 4)], of("Dot", axes=(2, 1))),
]

POOLING = [
    *_cases(
        I1,
        *(of(f"{kind}Pooling1D") for kind in ("Max", "GlobalMax", "GlobalAverage")),
        of("MaxPooling1D", pool_size=3, strides=2, padding="same"),
        of("AveragePooling1D", pool_size=4, strides=1),
        of("GlobalAveragePooling1D", keepdims=True, data_format="channels_first"),
        of("AdaptiveAveragePooling1D", output_size=3),
        of("AdaptiveMaxPooling1D", output_size=3),
    ),
    *_cases(
        I2,
        *(of(f"{kind}Pooling2D") for kind in ("Max", "GlobalMax", "GlobalAverage")),
        of("MaxPooling2D", pool_size=(3, 2), strides=(1, 2), padding="same"),
        of("AveragePooling2D", pool_size=(2, 3), data_format="channels_last"),
        of("GlobalMaxPooling2D", keepdims=True),
        of("AdaptiveAveragePooling2D", output_size=(3, 2)),
        of("AdaptiveMaxPooling2D", output_size=3),
    ),
    *_cases(
        I3,
        *(of(f"{kind}Pooling3D") for kind in ("Max", "GlobalMax", "GlobalAverage")),
        of("AveragePooling3D", pool_size=2, strides=(1, 2, 3)),
        of("MaxPooling3D", pool_size=(3, 2, 1), padding="same"),
        of("AdaptiveAveragePooling3D", output_size=2),
        of("AdaptiveMaxPooling3D", output_size=(1, 2, 3)),
    ),
    *_cases((None, None, None, 6), of("MaxPooling2D"), of("GlobalAveragePooling2D")),
]

RESHAPING = [
    *_cases(
        S,
        of("Flatten"),
        of("Reshape", target_shape=(15,)),
        of("Reshape", target_shape=(-1, 5)),
        of("Permute", dims=(2, 1)),
    ),
    *_cases(
        (None, None, 3), of("Flatten"), of("Reshape", target_shape=(-1, 3)), of("Reshape", target_shape=(-1, 1, 3))
    ),
    *_cases((None,), of("Flatten"), of("Reshape", target_shape=(1,))),
    *_cases(
        I2,
        of("Flatten", data_format="channels_first"),
        of("Permute", dims=(3, 1, 2)),
        of("Reshape", target_shape=(72, -1)),
    ),
    *_cases(T, of("RepeatVector", n=4)),
    *_cases(
        I1,
        of("Cropping1D", cropping=(1, 2)),
        of("ZeroPadding1D", padding=2),
        of("ZeroPadding1D", padding=(1, 2)),
        of("UpSampling1D"),
    ),
    *_cases(
        I2,
        of("Cropping2D", cropping=1),
        of("Cropping2D", cropping=((1, 2), (0, 1))),
        of("ZeroPadding2D", padding=(1, 2)),
        of("ZeroPadding2D", padding=((0, 1), (2, 3)), data_format="channels_last"),
        of("UpSampling2D", size=(2, 3), interpolation="bilinear"),
        of("UpSampling2D", data_format="channels_first"),
    ),
    *_cases(
        I3,
        of("Cropping3D", cropping=(1, 2, 1)),
        of("ZeroPadding3D"),
        of("ZeroPadding3D", padding=((0, 1), (2, 3), (1, 1))),
        of("UpSampling3D"),
    ),
    *_cases((None, None, None, 6), of("ZeroPadding2D"), of("Cropping2D"), of("UpSampling2D")),
]

REGULARIZATION = [
    *_cases(
        S,
        of("Dropout", rate=0.5),
        of("Dropout", rate=0, name="none"),
        of("Dropout", rate=0.5, seed=3),
        of("GaussianDropout", rate=0.5),
        of("GaussianDropout", rate=0),
        of("GaussianNoise", stddev=0.5),
        of("GaussianNoise", stddev=0),
        of("AlphaDropout", rate=0.5),
        of("SpatialDropout1D", rate=0.5),
    ),
    *_cases(I2, of("SpatialDropout2D", rate=0.5)),
    *_cases(I3, of("SpatialDropout3D", rate=0.5)),
]

_RANDOM_TWO = [
    of("RandomBrightness", factor=0.2),
    of("RandomContrast", factor=0.2),
    of("RandomCrop", height=4, width=5),
    of("RandomFlip"),
    of("RandomFlip", mode="horizontal", seed=1),
    of("RandomRotation", factor=0.2),
    of("RandomTranslation", height_factor=0.2, width_factor=0.2),
    of("RandomZoom", height_factor=0.2),
    of("RandomHeight", factor=0.2),
    of("RandomWidth", factor=0.2),
    of("Resizing", height=4, width=5),
    of("Resizing", height=4, width=5, crop_to_aspect_ratio=True),
    of("CenterCrop", height=4, width=5),
    of("Rescaling", scale=0.1),
]
_RANDOM_THREE = [
    of("AugMix"),
    of("AutoContrast"),
    of("ContrastLimitedAdaptiveHistogramEqualization"),
    of("CutMix"),
    of("Equalization"),
    of("MixUp"),
    of("RandAugment"),
    of("RandomColorDegeneration", factor=0.2),
    of("RandomColorJitter"),
    of("RandomElasticTransform"),
    of("RandomErasing"),
    of("RandomGaussianBlur"),
    of("RandomGrayscale"),
    of("RandomHue", factor=0.2),
    of("RandomInvert"),
    of("RandomPerspective"),
    of("RandomPosterization", factor=4),
    of("RandomSaturation", factor=0.2),
    of("RandomSharpness", factor=0.2),
    of("RandomShear", x_factor=0.2, y_factor=0.2),
    of("Solarization"),
    of("Pipeline", layers=[of("RandomFlip"), of("Rescaling", scale=0.5)]),
]
PREPROCESSING = [
    *_cases(IMAGE, *_RANDOM_TWO, *_RANDOM_THREE),
    *_cases(
        S,
        of("Normalization"),
        of("Normalization", axis=[1, 2]),
        of("Normalization", axis=None),
        of("Normalization", axis=1),
        of("Normalization", mean=1.0, variance=2.0),
        of("Normalization", invert=True),
        of("Rescaling", scale=2.0, offset=1.0),
        of("Discretization", bin_boundaries=[0.0, 1.0]),
        of("Discretization", num_bins=4),
    ),
    *_cases(
        (None, 1),
        of("Discretization", bin_boundaries=[0.0, 1.0], output_mode="one_hot"),
        of("Discretization", bin_boundaries=[0.0, 1.0], output_mode="multi_hot"),
    ),
    *_cases((None, 4), of("Discretization", bin_boundaries=[0.0, 1.0], output_mode="count")),
    *_cases(
        (None, 4),
        of("CategoryEncoding", num_tokens=5),
        of("CategoryEncoding", num_tokens=5, output_mode="count"),
        of("Hashing", num_bins=5),
        of("Hashing", num_bins=5, output_mode="multi_hot"),
        dtype="int32",
    ),
    *_cases(
        (None, 1),
        of("CategoryEncoding", num_tokens=5, output_mode="one_hot"),
        of("Hashing", num_bins=5, output_mode="one_hot"),
        of("IntegerLookup", vocabulary=[1, 2, 3]),
        of("IntegerLookup", vocabulary=[1, 2, 3], output_mode="one_hot"),
        of("IntegerLookup", max_tokens=9, num_oov_indices=2),
        dtype="int64",
    ),
    *_cases([(None, 1), (None, 1)], of("HashedCrossing", num_bins=5), dtype="int64"),
    *_cases([(None, 1), (None, 1)], of("HashedCrossing", num_bins=5, output_mode="one_hot"), dtype="int64"),
    *_cases(
        (None, 3),
        of("StringLookup", vocabulary=["a", "b"]),
        of("StringLookup", vocabulary=["a", "b"], output_mode="multi_hot", mask_token="[m]"),
        of("StringLookup", vocabulary=["a", "b"], output_mode="count", pad_to_max_tokens=True, max_tokens=9),
        of("StringLookup", vocabulary=["a", "b"], output_mode="tf_idf", idf_weights=[0.1, 0.2]),
        of("StringLookup", max_tokens=9),
        dtype="string",
    ),
    *_cases(
        (None, 1),
        of("TextVectorization", vocabulary=["a", "b"]),
        of("TextVectorization", vocabulary=["a", "b"], output_sequence_length=7),
        of("TextVectorization", vocabulary=["a", "b"], output_mode="multi_hot"),
        of("TextVectorization", vocabulary=["a", "b"], output_mode="count", pad_to_max_tokens=True, max_tokens=9),
        of("TextVectorization", vocabulary=["a", "b"], output_mode="tf_idf", idf_weights=[0.1, 0.2]),
        of("TextVectorization", max_tokens=9, ragged=False, ngrams=2),
        dtype="string",
    ),
    *_cases((None, 4), of("CategoryEncoding", num_tokens=5, output_mode="one_hot"), dtype="int32", only="keras"),
    *_cases(
        (None, 4096, 1),
        of("STFTSpectrogram"),
        of("STFTSpectrogram", mode="real", frame_length=200, frame_step=100, fft_length=256),
        of("STFTSpectrogram", mode="imag", frame_length=64, padding="same", expand_dims=True),
    ),
    *_cases((None, 4096, 2), of("STFTSpectrogram", mode="stft", frame_length=64, frame_step=16, fft_length=64)),
    *_cases((None, 4096), of("MelSpectrogram"), of("MelSpectrogram", num_mel_bins=16, sequence_stride=100)),
]

WRAPPERS = [
    *_cases(T, of("Wrapper", layer=of("Dense", units=4)), only="tf_keras"),
]

ZOO = [
    *CORE,
    *CONVOLUTIONAL,
    *NORMALIZATION,
    *ATTENTION,
    *RECURRENT,
    *MERGING,
    *POOLING,
    *RESHAPING,
    *REGULARIZATION,
    *PREPROCESSING,
    *WRAPPERS,
]
