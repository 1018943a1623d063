"""What each setting of Keras's own layers does: the one place where that is said.

A key that is not here is unknown: of a difference in it no more is claimed than that it may change the output. Keys
that decide a shape are not looked at, since the shapes of the weights say it better.

Sources: the layers of Keras 3.15, tf_keras 2.21 and Keras 1.2.
"""

from __future__ import annotations

from typing import Any, Final

from kwload.meaning.net import Effect, words

_OUTPUT: Final = words(
    """
activation recurrent_activation padding strides dilation_rate pool_size data_format axis axes epsilon negative_slope
alpha max_value threshold theta merge_mode return_sequences return_state go_backwards stateful mask_zero mask_value
use_scale score_mode use_causal_mask interpolation target_shape dims n size cropping keepdims normalize output_padding
mean variance invert offset attention_axes rms_scaling equation bias_axes height width crop_to_aspect_ratio
pad_to_aspect_ratio fill_mode fill_value antialias zero_output_for_mask time_major num_oov_indices mask_token oov_token
vocabulary output_mode standardize split ngrams output_sequence_length num_bins bin_boundaries salt oov_method encoding
num_tokens value_range shared_axes reset_after sliding_window use_gate logit_soft_cap tie_weights function arguments
unit_norm layer backward_layer cell cells layers output_size mode fft_length sequence_stride sequence_length window
sampling_rate num_mel_bins min_freq max_freq power_to_db top_db mag_exp min_power ref_power frame_length frame_step
periodic scaling expand_dims clip_limit tile_grid_size bins max_number addition_factor threshold_factor
"""
)

_TRAINING: Final = words(
    """
trainable momentum rate dropout recurrent_dropout stddev noise_shape power_iterations renorm renorm_clipping
renorm_momentum l1 l2
"""
)

# Numbers of units and the like (the shapes say it), what only runs differently, and what other findings are about.
_NONE: Final = words(
    """
name seed batch_input_shape batch_shape input_shape input_dtype input_dim input_length sparse ragged optional autocast
implementation unroll consume_less synchronized lora_rank lora_alpha quantization_config quantization_mode units filters
kernel_size output_dim depth_multiplier num_heads key_dim value_dim output_shape head_dim num_query_heads
num_key_value_heads use_bias center unit_forget_bias flash_attention use_cudnn dynamic jit_compile query_shape
key_shape value_shape softmax_robust_masking robust_masking build_input_shape build_config weights
gptq_unpacked_column_size max_tokens pad_to_max_tokens vocabulary_size vocabulary_dtype idf_weights has_input_vocabulary
mask module function_type output_shape_type output_shape_module supports_masking reverse_dtype backend shared_object_id
inbound_nodes compile_config registered_name
"""
)

_EFFECTS: Final[dict[str, Effect]] = {
    **dict.fromkeys(_OUTPUT, "output"),
    **dict.fromkeys(_TRAINING, "training"),
    **dict.fromkeys(_NONE, "none"),
    "dtype": "precision",
}

_OWN: Final[dict[tuple[str, str], Effect]] = {
    ("Rescaling", "scale"): "output",
    ("BatchNormalization", "scale"): "none",  # a weight more or less
    ("LayerNormalization", "scale"): "none",
    ("GroupNormalization", "scale"): "none",
    ("GroupNormalization", "groups"): "output",
    ("Attention", "scale"): "output",
    ("ZeroPadding1D", "padding"): "output",
    ("BatchNormalization", "mode"): "output",
}

_ENDINGS: Final = ("_initializer", "_regularizer", "_constraint")

# Keras's layers that pass their input on when they do not train.
_IDENTITY: Final = frozenset(
    words(
        """
Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D GaussianNoise GaussianDropout AlphaDropout
ActivityRegularization Identity MixUp CutMix RandAugment AugMix RandomFlip RandomRotation RandomZoom RandomTranslation
RandomContrast RandomBrightness RandomHeight RandomWidth RandomColorDegeneration RandomColorJitter
RandomElasticTransform RandomErasing RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective
RandomPosterization RandomSaturation RandomSharpness RandomShear
"""
    )
)

_ABSENT: Final[dict[str, Any]] = {
    "dilation_rate": 1,
    "zero_output_for_mask": False,
    "time_major": False,
    "reset_after": False,
    "keepdims": False,
    "interpolation": "nearest",
    "use_gate": False,
    "score_mode": "dot",
    "negative_slope": 0.0,
    "threshold": 0.0,
    "mask_zero": False,
    "crop_to_aspect_ratio": False,
    "pad_to_aspect_ratio": False,
    "antialias": False,
    "invert": False,
    "rms_scaling": False,
    "return_state": False,
    "normalize": False,
}
"""What a layer does whose configuration was written before the key existed."""


def effect_of(kind: str, key: str, custom: bool = False) -> Effect:
    """What another value of a setting does."""
    if key in _NONE_KEYS or key.endswith(_ENDINGS):
        return "none"
    if custom:
        return _CUSTOM.get(key, "may")
    if kind in _IDENTITY and key != "dtype":
        return "training"
    own = _OWN.get((kind, key))
    return own if own is not None else _EFFECTS.get(key, "may")


_CUSTOM: Final[dict[str, Effect]] = {"trainable": "training", "dtype": "precision"}
_NONE_KEYS: Final = frozenset(
    words(
        """
name batch_input_shape batch_shape input_shape input_dtype ragged sparse optional autocast dynamic build_config seed
build_input_shape quantization_config shared_object_id registered_name compile_config
"""
    )
)


def is_identity(kind: str) -> bool:
    """Whether a class of Keras's own does nothing when it does not train."""
    return kind in _IDENTITY


def absent_value(key: str) -> tuple[bool, Any]:
    """Whether it is known what a missing key means, and what."""
    return key in _ABSENT, _ABSENT.get(key)
