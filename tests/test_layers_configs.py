"""The table of built-in layers without any Keras: other versions, layers within layers, configs from anyone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layers_tree import expanded, order

from kwload.spec import layers as table
from kwload.spec.layers import ConfigError, Where, operations, signature_of
from kwload.spec.layers.operations import Tensor, operation_shape
from kwload.spec.layers.rule import words
from kwload.spec.signature import Signature, Sub, Var


def names(found: Signature | None) -> list[Any]:
    assert found is not None
    return [(part.name, part.shape) for part in found.parts if isinstance(part, Var)]


ONE = Where("keras2", (1, 2, 2))


def test_keras_1_has_a_matrix_for_each_gate() -> None:
    config = {"output_dim": 4, "return_sequences": True, "consume_less": "cpu"}
    found = signature_of("LSTM", config, (None, 5, 3), ONE)
    one = [("W", (3, 4)), ("U", (4, 4)), ("b", (4,))]
    assert names(found) == [(f"{name}_{gate}", shape) for gate in "icfo" for name, shape in one]
    assert found is not None and found.output_shape == (None, 5, 4)
    assert names(signature_of("GRU", {**config, "consume_less": "gpu"}, (None, 5, 3), ONE)) == [
        ("W", (3, 12)),
        ("U", (4, 12)),
        ("b", (12,)),
    ]


def test_keras_1_orders_kernels_by_its_dim_ordering() -> None:
    config = {"nb_filter": 8, "nb_row": 3, "nb_col": 2, "border_mode": "same", "subsample": [2, 2]}
    theano = signature_of("Convolution2D", {**config, "dim_ordering": "th"}, (None, 6, 10, 11), ONE)
    assert names(theano) == [("W", (8, 6, 3, 2)), ("b", (8,))]
    assert theano is not None and theano.output_shape == (None, 8, 5, 6)
    assert names(signature_of("Convolution2D", {**config, "dim_ordering": "tf"}, (None, 10, 11, 6), ONE)) == [
        ("W", (3, 2, 6, 8)),
        ("b", (8,)),
    ]
    line = {"nb_filter": 8, "filter_length": 3, "border_mode": "valid", "subsample_length": 1, "bias": False}
    assert names(signature_of("Convolution1D", line, (None, 9, 6), ONE)) == [("W", (3, 1, 6, 8))]


def test_the_names_of_keras_1_are_those_of_keras_2_where_that_reads_them() -> None:
    where = Where("keras2", (2, 2, 4))
    found = signature_of("Convolution2D", {"nb_filter": 8, "nb_row": 3, "nb_col": 3, "dim_ordering": "tf"}, None, where)
    assert names(found) == [("kernel", (3, 3, None, 8)), ("bias", (8,))]
    assert names(signature_of("BatchNormalization", {"axis": 1}, (None, 5), ONE)) == [
        ("gamma", (5,)),
        ("beta", (5,)),
        ("running_mean", (5,)),
        ("running_std", (5,)),
    ]
    merged = signature_of("Merge", {"mode": "concat", "concat_axis": 1}, [(None, 3), (None, 4)], where)
    assert merged is not None and merged.output_shape == (None, 7)


def test_a_gru_has_one_bias_a_gate_where_keras_stands_alone() -> None:
    config = {"units": 4}
    for flavour, shape in (("keras2", (12,)), ("tf_keras", (2, 12)), ("keras", (2, 12))):
        where = Where(flavour, {"keras2": (2, 2, 4), "tf_keras": (2, 4, 0), "keras": (3, 0, 5)}[flavour])
        tree = expanded("GRU", config, (None, 5, 3), where)
        assert order(tree)[2][:2] == ("bias", shape)


def test_cudnn_layers_have_two_biases_a_gate() -> None:
    found = signature_of("CuDNNLSTM", {"units": 4, "return_state": True}, (None, 5, 3), Where("tf_keras", (2, 3, 0)))
    assert names(found) == [("kernel", (3, 16)), ("recurrent_kernel", (4, 16)), ("bias", (32,))]
    assert found is not None and found.output_shape == [(None, 4)] * 3


def test_versions_differ() -> None:
    """int4 kernels, the order of a list of axes, renormalization: Keras 3.13 and 3.14."""
    new, old = Where("keras", (3, 15, 1)), Where("keras", (3, 13, 2))
    packed = {"units": 7, "dtype": "int4_from_float32"}
    assert names(signature_of("Dense", packed, (None, 9), new))[1] == ("kernel", (9, 4))
    assert names(signature_of("Dense", packed, (None, 9), old))[1] == ("kernel", (5, 7))
    assert names(signature_of("LayerNormalization", {"axis": [2, 1]}, (None, 8, 6), new))[0] == ("gamma", (8, 6))
    assert names(signature_of("LayerNormalization", {"axis": [2, 1]}, (None, 8, 6), old))[0] == ("gamma", (6, 8))
    assert len(names(signature_of("BatchNormalization", {"renorm": True}, (None, 6), new))) == 7
    assert len(names(signature_of("BatchNormalization", {"renorm": True}, (None, 6), old))) == 4
    assert (
        signature_of("ReversibleEmbedding", {"input_dim": 3, "output_dim": 4}, None, Where("keras", (3, 8, 0))) is None
    )
    assert signature_of("LocallyConnected1D", {"filters": 3, "kernel_size": 4}, None, new) is None


def test_layers_of_the_applications_are_known_by_their_settings() -> None:
    config = {"name": "s", "init_values": 1e-6, "projection_dim": 96}
    assert names(signature_of("LayerScale", config, (None, 7, 7, 96), Where()))[0][1] == (96,)
    assert signature_of("LayerScale", {"name": "s", "dim": 96}, (None, 7, 7, 96), Where()) is None


# ---- layers within layers ----


def test_a_layer_inside_is_asked_for() -> None:
    asked = []

    def lookup(name: str, config: Mapping[str, Any], shape: Any) -> Signature | None:
        asked.append((name, dict(config), shape))
        return Signature((Var("w", (3,)),), [(None, 9), [(None, 9), (None, 2)]])

    cell = {"class_name": "Cell", "module": "mine.cells", "registered_name": "My>Cell", "config": {"a": 1}}
    found = signature_of("RNN", {"cell": cell, "return_state": True}, (None, 5, 3), Where(lookup=lookup))
    assert found == Signature((Sub("cell", "My>Cell", {"a": 1}, (None, 3)),), [(None, 9), (None, 9), (None, 2)])
    assert asked == [("My>Cell", {"a": 1}, (None, 3))]


def test_a_class_of_another_package_is_none_of_keras() -> None:
    """A user's own Dense, within a wrapper, is not taken for that of Keras."""
    inner = {"class_name": "Dense", "module": "mine.layers", "registered_name": "Dense", "config": {"units": 3}}
    found = signature_of("TimeDistributed", {"layer": inner}, (None, 5, 3), Where())
    assert found == Signature((Sub("layer", "mine.layers.Dense", {"units": 3}, (None, 3)),), None)


def test_wrappers_in_wrappers_end() -> None:
    config: dict[str, Any] = {"class_name": "Dense", "config": {"units": 3}}
    for _ in range(200):
        config = {"class_name": "TimeDistributed", "config": {"layer": config}}
    found = signature_of("TimeDistributed", {"layer": config}, (None,) * 60, Where())
    assert found is not None and found.output_shape is None


# ---- configs from anyone ----


@pytest.mark.parametrize(
    ("kind", "config", "key"),
    [
        ("Dense", {}, "units"),
        ("Dense", {"units": 0}, "units"),
        ("Dense", {"units": "64"}, "units"),
        ("Dense", {"units": 2**80}, "units"),
        ("Dense", {"units": 64, "use_bias": "no"}, "use_bias"),
        ("Dense", {"units": 64, "dtype": "int4_from_float32", "lora_rank": -1}, "lora_rank"),
        ("Conv2D", {"filters": 4, "kernel_size": [3]}, "kernel_size"),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "wide"}, "padding"),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "data_format": "first"}, "data_format"),
        ("Conv3D", {"filters": 2**61, "kernel_size": [2**40] * 3}, "kernel"),
        ("EinsumDense", {"equation": "a->b", "output_shape": [3]}, "equation"),
        ("EinsumDense", {"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "x"}, "bias_axes"),
        ("Embedding", {"input_dim": 3}, "output_dim"),
        ("Embedding", {"input_dim": 3, "output_dim": 4, "dtype": "gptq/4/2_from_float32"}, "dtype"),
        ("Reshape", {"target_shape": [-1, -1]}, "target_shape"),
        ("Permute", {"dims": [2, 2]}, "dims"),
        ("TimeDistributed", {"layer": {"class_name": "Dense"}}, "layer"),
        ("StackedRNNCells", {"cells": [3]}, "cells"),
        ("Normalization", {"mean": 1.0, "variance": None}, "variance"),
        ("Dot", {"axes": []}, "axes"),
        ("Concatenate", {"axis": "last"}, "axis"),
    ],
)
def test_a_config_that_no_layer_comes_from_is_named(kind: str, config: dict[str, Any], key: str) -> None:
    shape = [(None, 4, 4), (None, 4, 4)] if kind in ("Dot", "Concatenate") else (None, 4, 4, 4, 4)
    with pytest.raises(ConfigError, match=rf"^{key}: ") as caught:
        signature_of(kind, config, shape, Where())
    assert caught.value.key == key


NAMES = sorted(name for family in table.rules() for name in family)
KEYS = words(
    """
    attention_axes axes axis backward_layer batch_input_shape batch_shape bias_axes bin_boundaries block_size
    cell cells consume_less cropping data_format depth_multiplier dilation_rate dim_ordering dims dtype
    equation fft_length filters frame_length frame_step go_backwards groups head_dim height implementation
    input_dim kernel_size key_dim layer layers lora_rank max_tokens mean merge_mode mode n nb_col nb_filter
    nb_row num_bins num_heads num_key_value_heads num_query_heads num_tokens output_dim output_mode
    output_padding output_shape padding pool_size quantization_config query_shape rank rate renorm
    return_sequences return_state score_mode shared_axes size strides target_shape tie_weights units use_bias
    use_scale value_dim variance vocabulary width
    """
)
WORDS = [
    "channels_first",
    "valid",
    "same",
    "abc,cde->abde",
    "...x,xy->...y",
    "int4/4_from_float32",
    "gptq/4/2_from_float32",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(WORDS),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from([*KEYS, "class_name", "config", "items", "module"]), inner, max_size=4),
        st.builds(lambda name, config: {"class_name": name, "config": config}, st.sampled_from(NAMES), inner),
    ),
    max_leaves=8,
)
LENGTHS = st.one_of(st.none(), st.integers(0, 9), st.integers(0, 2**63))
SHAPES = st.one_of(
    st.none(),
    st.lists(LENGTHS, max_size=6).map(tuple),
    st.lists(st.one_of(st.none(), st.lists(LENGTHS, max_size=5).map(tuple)), max_size=4),
    st.dictionaries(
        st.sampled_from(["query", "value_shape", "x"]), st.lists(LENGTHS, max_size=4).map(tuple), max_size=3
    ),
)
KERAS = [
    Where("keras", (3, 15, 1)),
    Where("keras", (3, 0, 5)),
    Where("tf_keras", (2, 21, 0)),
    ONE,
    Where("keras2", (2, 2, 4)),
]


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(NAMES), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8), SHAPES, st.sampled_from(KERAS)
)
def test_any_config_is_read_or_refused(name: str, config: dict[str, Any], shape: Any, where: Where) -> None:
    try:
        found = signature_of(name, config, shape, where)
    except ConfigError:
        return
    for part in found.parts if found is not None else ():
        if isinstance(part, Var) and part.shape is not None:
            assert all(length is None or 0 <= length <= 2**62 for length in part.shape)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(sorted(operations._TABLE)),
    st.sampled_from(["keras.src.ops.numpy", None]),
    st.lists(st.one_of(st.builds(Tensor, st.lists(LENGTHS, max_size=5).map(tuple)), VALUES), max_size=3),
    st.dictionaries(
        st.sampled_from(["axis", "axes", "y", "key", "newshape", "repeats", "pad_width", "xs"]), VALUES, max_size=3
    ),
)
def test_any_operation_gives_a_shape_or_nothing(
    name: str, module: str | None, args: list[Any], kwargs: dict[str, Any]
) -> None:
    found = operation_shape(name, module, args, kwargs)
    assert found is None or isinstance(found, (tuple, list))


def test_the_table_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['numpy', 'keras', 'tensorflow', 'tf_keras', 'h5py', 'ml_dtypes']))\n"
        "import types\n"
        "package = types.ModuleType('kwload'); package.__path__ = [sys.argv[1]]; sys.modules['kwload'] = package\n"
        "from kwload.spec.layers import Where, operations, signature_of\n"
        "print(signature_of('Dense', {'units': 3}, (None, 2), Where()).output_shape)\n"
    )
    folder = str(Path(signature_of.__code__.co_filename).parents[2])
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("(None, 3)\n", "")
