"""Which Keras has which layer class, from the names that each release exports (Keras 1.2 to 3.15.1)."""

from __future__ import annotations

from typing import Final

from kwload.spec.layers.rule import words
from kwload.spec.layers.where import Where

_FROM_3: Final[dict[str, tuple[int, int]]] = {
    name: since
    for since, names in {
        (3, 0): "GroupQueryAttention GroupedQueryAttention",
        (3, 1): "MelSpectrogram",
        (3, 6): "AutoContrast Pipeline Solarization",
        (3, 7): "MaxNumBoundingBoxes STFTSpectrogram",
        (3, 8): """
            Equalization MixUp RandAugment RandomColorDegeneration RandomColorJitter RandomGrayscale RandomHue
            RandomPosterization RandomSaturation RandomSharpness RandomShear
            """,
        (3, 9): "AugMix CutMix RMSNormalization RandomErasing RandomGaussianBlur RandomInvert RandomPerspective",
        (3, 10): "RandomElasticTransform",
        (3, 12): "ReversibleEmbedding",
        (3, 13): """
            AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
            AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D
            """,
        (3, 14): "ContrastLimitedAdaptiveHistogramEqualization",
    }.items()
    for name in words(names)
}
"""Of Keras 3 alone, with the first release."""

_UNTIL_3: Final = frozenset(
    words(
        """
        BatchNormalizationV1 BatchNormalizationV2 ClassMethod ConvLSTM2DCell CuDNNGRU CuDNNLSTM GRUV2 Highway
        InstanceMethod InstanceProperty LSTMV2 LocallyConnected1D LocallyConnected2D MaxoutDense Merge
        RandomHeight RandomWidth SlicingOpLambda SyncBatchNormalization TFOpLambda TensorFlowOpLayer
        ThresholdedReLU
        """
    )
)
"""Of older ones alone."""

_KERAS_2: Final = frozenset(
    words(
        """
        Activation ActivityRegularization Add AlphaDropout Average AveragePooling1D AveragePooling2D
        AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BatchNormalization Bidirectional Concatenate Conv1D
        Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM2D ConvLSTM2DCell Convolution1D Convolution2D
        Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D Cropping2D Cropping3D CuDNNGRU
        CuDNNLSTM Dense DepthwiseConv2D Dot Dropout ELU Embedding Flatten GRU GRUCell GaussianDropout
        GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D
        GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D
        GlobalMaxPooling2D GlobalMaxPooling3D Highway InputLayer LSTM LSTMCell Lambda LeakyReLU
        LocallyConnected1D LocallyConnected2D Masking MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D
        MaxPooling3D Maximum MaxoutDense Merge Minimum Multiply PReLU Permute RNN ReLU RepeatVector Reshape
        SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell
        Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D StackedRNNCells Subtract ThresholdedReLU
        TimeDistributed UpSampling1D UpSampling2D UpSampling3D Wrapper ZeroPadding1D ZeroPadding2D ZeroPadding3D
        """
    )
)
"""Of the stand-alone Keras 1 and 2."""

_NOT_IN_TF: Final = frozenset({"Highway", "MaxoutDense", "Merge"})


def has(where: Where, name: str) -> bool:
    """Whether a Keras has a layer class, as far as the table knows classes at all."""
    if where.is_keras3:
        return name not in _UNTIL_3 and not where.older(_FROM_3.get(name, (0,)))
    if name in _FROM_3:
        return False
    return name in _KERAS_2 if where.flavour == "keras2" else name not in _NOT_IN_TF
