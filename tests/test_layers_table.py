"""The table of built-in layers against real layers: same variables, same sub-layers, same output, from the config."""

from __future__ import annotations

import json
from typing import Any

import pytest
from layers_live import Live, build, live, row, shape_of
from layers_operations import keras_nodes, tensorflow_nodes
from layers_tree import NOT_PARTS, assert_known_less, dimmed, expanded, fits, in_order, order
from layers_zoo import ZOO, Case

from kwload.spec.layers import OPAQUE, ConfigError, Where, classes, signature_of
from kwload.spec.layers.operations import Tensor, operation_shape

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore")]

NEWEST = {"keras": Where(), "tf_keras": Where("tf_keras", (2, 21, 0))}


def package(flavour: str) -> Any:
    return pytest.importorskip(flavour)


def where_of(keras: Any, flavour: str) -> Where:
    version = tuple(int(part) for part in keras.__version__.split(".")[:3])
    return Where(flavour, version, backend=keras.backend.backend() if flavour == "keras" else "tensorflow")


def through_json(layer: Any, keras: Any) -> dict[str, Any]:
    recorded = keras.saving.serialize_keras_object(layer)
    return json.loads(
        json.dumps(recorded, default=lambda value: value.tolist() if hasattr(value, "tolist") else list(value))
    )


def of_flavour(flavour: str) -> list[Any]:
    """The cases whose class the table knows in this Keras; another test finds classes that it should know."""
    found = [case for case in ZOO if case.only in (None, flavour) and classes.has(NEWEST[flavour], case.layer.name)]
    return [pytest.param(flavour, case, id=f"{flavour}-{case.title}") for case in found]


def differences(real: Live, tree: dict[str, Any], path: str, flavour: str) -> list[str]:
    found = [] if real.variables == tree["variables"] else [f"{path}: {real.variables} is not {tree['variables']}"]
    here = {key.lstrip("_"): value for key, value in real.parts.items()}
    there = {key.lstrip("_"): value for key, value in tree.items() if key not in NOT_PARTS}
    if real.kind == "Bidirectional" and flavour == "tf_keras":
        del here["layer"]  # the one it was made from: it is never built
    if set(here) != set(there):
        return [*found, f"{path}: {sorted(here)} is not {sorted(there)}"]
    for key, value in here.items():
        first, second = (item if isinstance(item, list) else [item] for item in (value, there[key]))
        assert len(first) == len(second), path
        for one, other in zip(first, second, strict=True):
            found += differences(one, other, f"{path}/{key}", flavour)
    return found


@pytest.mark.parametrize(("flavour", "case"), [*of_flavour("keras"), *of_flavour("tf_keras")])
def test_the_config_tells_what_the_real_layer_has(flavour: str, case: Case) -> None:
    keras = package(flavour)
    layer, output = build(case, keras)
    config = through_json(layer, keras)["config"]
    layer.trainable = True  # a layer that is not takes its variables from the list of trainable ones
    where = where_of(keras, flavour)
    tree = expanded(type(layer).__name__, config, case.input_shape, where)
    assert differences(live(layer, flavour), tree, "", flavour) == []
    real = [row(variable) for variable in layer.weights if hasattr(variable, "assign")]
    assert in_order(tree) == real
    said = signature_of(type(layer).__name__, config, case.input_shape, where, case.call)
    assert said is not None
    if "return_attention_scores" in case.call:
        assert fits(said.output_shape, shape_of(output), loose=flavour == "keras")
    else:
        assert said.output_shape == shape_of(output)
    for shape in dimmed(case.input_shape):
        less = expanded(type(layer).__name__, config, shape, where)
        assert_known_less(less, tree)


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_every_class_that_keras_exports_is_in_the_table_and_in_the_zoo(flavour: str) -> None:
    keras = package(flavour)
    where = where_of(keras, flavour)
    exported = {name: value for name, value in vars(keras.layers).items() if isinstance(value, type)}
    layers = {name: value for name, value in exported.items() if issubclass(value, keras.layers.Layer)}
    assert len(layers) > 100
    tried = {getattr(keras.layers, case.layer.name) for case in ZOO if case.layer.name in layers}
    for name, value in layers.items():
        if name in OPAQUE:
            assert known(name, where) is None
            continue
        assert known(name, where) is not None, f"{name} is not in the table"
        alone = {"InputLayer", "Lambda", "MaxNumBoundingBoxes", "SpectralNormalization", "Wrapper"}
        assert value in tried or name in alone, f"{name} is not in the zoo"


def known(name: str, where: Where) -> Any:
    """None for a class that the table does not have."""
    try:
        return signature_of(name, {}, None, where)
    except ConfigError as error:
        return error


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_operations_give_what_the_real_ones_give(flavour: str) -> None:
    package(flavour)
    nodes = list(keras_nodes() if flavour == "keras" else tensorflow_nodes())
    assert len(nodes) > 50
    for name, module, args, kwargs, output in nodes:
        assert operation_shape(name, module, args, kwargs) == shape_of(output), (name, args, kwargs)
        dim = [Tensor(None) if isinstance(item, Tensor) else item for item in args]
        assert fits(operation_shape(name, module, dim, kwargs), shape_of(output)), (name, kwargs)


QUANTIZED = [
    *(
        f"{mode}_from_{source}"
        for mode in ("int8", "int4", "int4/4", "int4/-1")
        for source in ("float32", "mixed_bfloat16")
    ),
    "int8_from_bfloat16",
    "float8_from_float32",
    "gptq/4/2_from_float32",
    "gptq/8/-1_from_float32",
    "awq/4/3_from_float32",
]


def dense_layers(layers: Any) -> list[tuple[Any, tuple[int | None, ...]]]:
    return [
        (layers.Dense(7), (None, 9)),
        (layers.Dense(6, use_bias=False), (None, 8)),
        (layers.EinsumDense("abc,cde->abde", (None, 3, 5), bias_axes="de"), (None, 4, 6)),
        (layers.EinsumDense("abde,dec->abc", (None, 5)), (None, 4, 3, 6)),
        (layers.EinsumDense("...x,xy->...y", (5,)), (None, 4, 3, 6)),
        (layers.Embedding(11, 5), (None, 3)),
        (layers.ReversibleEmbedding(11, 5), (None, 3)),
        (layers.ReversibleEmbedding(11, 5, tie_weights=False), (None, 3)),
    ]


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("policy", QUANTIZED)
def test_quantized_layers_and_lora(policy: str, rank: int | None) -> None:
    keras = package("keras")
    made = 0
    for example, shape in dense_layers(keras.layers):
        config = {**example.get_config(), "dtype": policy}
        if rank is not None:
            config["lora_rank"] = rank
        try:
            layer = type(example).from_config(config)
            layer.build(shape)
        except (ValueError, NotImplementedError, AttributeError, TypeError):
            continue  # float8, GPTQ and AWQ are not for embeddings, and have no LoRA; "..." is for float kernels
        made += 1
        tree = expanded(type(layer).__name__, through_json(layer, keras)["config"], shape, where_of(keras, "keras"))
        assert order(tree) == [row(variable) for variable in layer.weights], layer
        for less in dimmed(shape):
            config = through_json(layer, keras)["config"]
            assert_known_less(expanded(type(layer).__name__, config, less, where_of(keras, "keras")), tree)
    assert made >= (0 if rank and policy.startswith(("gptq", "awq")) else 4)


@pytest.mark.parametrize("rank", [None, 2])
def test_quantizing_a_layer_by_hand_is_recorded_well_enough(rank: int | None) -> None:
    keras = package("keras")
    config = keras.quantizers.Int4QuantizationConfig(block_size=4)
    for mode, said in (("int8", None), ("int4", None), ("int4", config), ("float8", None)):
        layer = keras.layers.Dense(7)
        layer.build((None, 9))
        layer.quantize(mode, config=said)
        if rank and mode != "float8":
            layer.enable_lora(rank)
        recorded = through_json(layer, keras)
        again = keras.saving.deserialize_keras_object(recorded)
        again.build((None, 9)) if not again.built else None
        tree = expanded("Dense", recorded["config"], (None, 9), where_of(keras, "keras"))
        assert order(tree) == [row(variable) for variable in again.weights]


def test_a_gate_of_half_precision_and_lora_of_full_beside_it() -> None:
    keras = package("keras")
    for layer, shape in (
        (keras.layers.Dense(7, lora_rank=2, dtype="bfloat16"), (None, 4)),
        (keras.layers.Embedding(7, 3, lora_rank=2), (None, 4)),
        (keras.layers.Conv2D(4, 3, lora_rank=2), (None, 8, 8, 3)),
        (keras.layers.EinsumDense("abc,cde->abde", (None, 3, 5), bias_axes="de", lora_rank=2), (None, 4, 6)),
    ):
        layer.build(shape)
        tree = expanded(type(layer).__name__, through_json(layer, keras)["config"], shape, where_of(keras, "keras"))
        assert order(tree) == [row(variable) for variable in layer.weights]
