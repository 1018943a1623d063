"""What a stored configuration means: no dialect is a difference, every real difference is found, no bytes do harm."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import live_grid
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_files import CORPUS

import kwload
from kwload import _core, meaning
from kwload.meaning import stored, values
from kwload.versions import whole

FLAVOURS = ("keras", "tf_keras")
keras_marks = [pytest.param(name, marks=pytest.mark.keras) for name in FLAVOURS]
every_flavour = pytest.mark.parametrize("flavour", keras_marks)


def differs(saved: Any, model: Any, **options: Any) -> meaning.Meaning:
    """The comparison of a model with the configuration of another, which stands for a file's."""
    return meaning.compare(saved.to_json().encode(), model, **options)


def nothing(found: meaning.Meaning) -> bool:
    return not (found.settings or found.graph or found.training_only or found.mute or found.unread)


def changes(found: meaning.Meaning) -> dict[str, tuple[Any, Any, str]]:
    """``{"conv.activation": (stored, live, effect)}``."""
    return {f"{at.layer}.{c.key}": (c.stored, c.live, c.effect) for at in found.settings for c in at.changes}


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("activation", None, "linear"),
        ("activation", "swish", "silu"),
        ("activation", {"class_name": "function", "config": "relu", "module": "builtins"}, "relu"),
        ("activation", {"class_name": "ReLU", "config": {"max_value": 6.0}}, "relu6"),
        (
            "activation",
            {"class_name": "LeakyReLU", "config": {"alpha": 0.30000001192092896, "name": "a"}},
            {"class_name": "LeakyReLU", "config": {"negative_slope": 0.3, "name": "b"}, "module": "keras.layers"},
        ),
        ("strides", [2, 2], 2),
        ("cropping", [[1, 1], [1, 1]], 1),
        ("padding", "same", "SAME"),
        ("epsilon", 1e-3, 0.001),
        ("epsilon", 0.0010000000474974513, 0.001),
        ("dtype", {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}, "mixed_float16"),
        ("dtype", {"class_name": "QuantizedDTypePolicy", "config": {"name": "int8_from_float32"}}, "float32"),
        ("axis", [3], 3),
    ],
)
def test_one_value_in_two_dialects(key: str, one: Any, other: Any) -> None:
    assert values.same(key, one, other) is True
    assert values.same(key, other, one) is True


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("axis", -1, 3),  # of which rank?
        ("function", {"class_name": "__lambda__", "config": {"code": "4w"}}, {"class_name": "__lambda__"}),
        ("activation", "Mine>act", "act"),
        ("dtype", "int64", "float32"),
        ("mean", None, [1.0]),
    ],
)
def test_what_nobody_can_tell(key: str, one: Any, other: Any) -> None:
    assert values.same(key, one, other) is None


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("activation", "relu", "gelu"),
        ("activation", {"class_name": "LeakyReLU", "config": {"negative_slope": 0.3}}, "leaky_relu"),
        ("strides", [2, 1], 2),
        ("epsilon", 1e-3, 1e-5),
        ("axis", -1, -2),
        ("target_shape", [2, 3], [3, 2]),
    ],
)
def test_two_values(key: str, one: Any, other: Any) -> None:
    assert values.same(key, one, other) is False


def test_bidirectional_sets_what_masked_steps_put_out() -> None:
    old, new = ({"layer": values.Obj("LSTM", {"zero_output_for_mask": zero})} for zero in (False, True))
    assert values.differences("Bidirectional", old, new) == []
    assert [change.key for change in values.differences("TimeDistributed", old, new)] == ["layer.zero_output_for_mask"]


def test_the_names_of_keras_1() -> None:
    kind, config = values.settings(
        "Convolution2D",
        {"border_mode": "same", "subsample": [2, 2], "dim_ordering": "tf", "nb_filter": 3, "init": "uniform"},
    )
    assert (kind, config) == ("Conv2D", {"padding": "same", "strides": [2, 2], "data_format": "channels_last"})


def test_a_recurrent_layer_of_one_cell_is_the_layer_of_its_name() -> None:
    cell = {"class_name": "GRUCell", "config": {"activation": "relu", "name": "cell"}}
    assert values.settings("RNN", {"cell": cell, "name": "rnn"}) == ("GRU", {"activation": "relu", "name": "rnn"})


# --- a right file ----------------------------------------------------------------------------------------------------


SLOW = ("int4", "float8", "MobileNetV2", "compiled", "fitted", "fitted with SGD", "loss object", "loss scaling")


@pytest.mark.parametrize("shape", ["to_json", "keras", "h5"])
@every_flavour
def test_the_same_code_differs_in_nothing(flavour: str, shape: str, tmp_path: Path) -> None:
    keras = importlib.import_module(flavour)
    count = 0
    for name, build in live_grid.models(keras, every=shape == "to_json"):
        if name in SLOW or "TextVectorization" in name:
            continue
        model = build()
        config = _config(model) if shape == "to_json" else _saved(build(), tmp_path / f"{count}.{shape}")
        if config is None:
            continue
        count += 1
        found = meaning.compare(config, model)
        assert nothing(found), (name, found)
    assert count > (50 if shape == "to_json" else 8)


def _config(model: Any) -> bytes | None:
    try:
        return bytes(model.to_json().encode())
    except NotImplementedError:
        return None  # a subclass of tf_keras without a configuration


def _saved(model: Any, path: Path) -> bytes | None:
    try:
        model.save(path)
    except (NotImplementedError, ValueError):
        return None  # what the legacy format of tf_keras cannot hold
    return _core.File(os.fsencode(path)).config


def _fun(keras: Any) -> Any:
    """The model of the corpus's files by version."""
    la = keras.layers
    inputs = keras.Input((10,), dtype="int32")
    x = la.Bidirectional(la.LSTM(3), name="bi")(la.Embedding(20, 6, name="emb")(inputs))
    inner = keras.Sequential(
        [
            keras.Input((6,)),
            la.Dense(5, name="in1"),
            la.Dropout(0.2),
            la.BatchNormalization(name="bn"),
            la.Dense(2, name="in2"),
        ],
        name="inner",
    )
    return keras.Model(inputs, [inner(x), la.Dense(3, name="z_out")(x)], name="fun")


@every_flavour
def test_the_same_code_saved_by_any_keras(flavour: str) -> None:
    files = sorted((CORPUS / "keras-by-version").rglob("fun.*"))
    configs = {path: _core.File(os.fsencode(path)).config for path in files}
    if not any(configs.values()):
        pytest.skip("no corpus here")
    model = _fun(importlib.import_module(flavour))
    for path, config in configs.items():
        if config is not None:
            found = meaning.compare(config, model)
            assert nothing(found), (path, found)


@every_flavour
def test_models_that_keras_itself_rebuilds(flavour: str) -> None:
    keras = importlib.import_module(flavour)
    files = sorted((CORPUS / "keras-real").glob("*.h5")) + sorted((CORPUS / "keras-real").glob("*.keras"))
    for path in files:
        config = _core.File(os.fsencode(path)).config
        try:
            model = keras.models.model_from_json((config or b"").decode())
        except Exception:  # noqa: BLE001 - another generation's dialect, or a weights-only file
            continue
        found = meaning.compare(config or b"", model)
        assert nothing(found), (path, found)


# --- another setting -------------------------------------------------------------------------------------------------

Layers = Callable[[Any], list[Any]]
IMAGE, WORDS, ROW = (8, 8, 3), (6, 4), (4,)
SETTINGS: list[tuple[tuple[int, ...], Layers, Layers, dict[str, str]]] = [
    (
        IMAGE,
        lambda la: [la.Conv2D(3, 3, padding="same", name="a")],
        lambda la: [la.Conv2D(3, 3, strides=2, activation="relu", name="a")],
        {"a.padding": "output", "a.strides": "output", "a.activation": "output"},
    ),
    (
        IMAGE,
        lambda la: [la.Conv2D(3, 3, name="a")],
        lambda la: [la.Conv2D(3, 3, dilation_rate=2, name="a")],
        {"a.dilation_rate": "output"},
    ),
    (
        IMAGE,
        lambda la: [la.BatchNormalization(name="a")],
        lambda la: [la.BatchNormalization(epsilon=1e-5, momentum=0.9, name="a")],
        {"a.epsilon": "output", "a.momentum": "training"},
    ),
    (
        IMAGE,
        lambda la: [la.UpSampling2D(name="a")],
        lambda la: [la.UpSampling2D(interpolation="bilinear", name="a")],
        {"a.interpolation": "output"},
    ),
    (
        WORDS,
        lambda la: [la.Bidirectional(la.LSTM(3), name="a")],
        lambda la: [la.Bidirectional(la.LSTM(3, recurrent_activation="tanh"), merge_mode="sum", name="a")],
        {"a.layer.recurrent_activation": "output", "a.merge_mode": "output"},
    ),
    (
        WORDS,
        lambda la: [la.RNN(la.GRUCell(3), name="a")],
        lambda la: [la.GRU(3, activation="relu", go_backwards=True, name="a")],
        {"a.activation": "output", "a.go_backwards": "output"},
    ),
    (
        WORDS,
        lambda la: [la.TimeDistributed(la.Dense(3), name="a")],
        lambda la: [la.TimeDistributed(la.Dense(3, activation="tanh"), name="a")],
        {"a.layer.activation": "output"},
    ),
    (
        ROW,
        lambda la: [la.Dense(3), la.LeakyReLU(name="a")],
        lambda la: [la.Dense(3), la.ReLU(name="a")],
        {"a.activation": "output"},
    ),
    (
        ROW,
        lambda la: [la.Rescaling(0.5, name="a")],
        lambda la: [la.Rescaling(0.5, offset=-1, name="a")],
        {"a.offset": "output"},
    ),
    (
        ROW,
        lambda la: [la.Dense(3, name="a")],
        lambda la: [la.Dense(3, dtype="float64", trainable=False, kernel_initializer="zeros", name="a")],
        {"a.dtype": "precision", "a.trainable": "training"},
    ),
    (
        ROW,
        lambda la: [la.Dense(3), la.Dropout(0.5, name="a")],
        lambda la: [la.Dense(3), la.Dropout(0.2, name="a")],
        {"a.rate": "training"},
    ),
    # the same function, written otherwise
    (
        IMAGE,
        lambda la: [la.Conv2D(3, 3, activation="relu"), la.Flatten()],
        lambda la: [la.Conv2D(3, 3), la.Dropout(0.0), la.ReLU(), la.Reshape((-1,))],
        {},
    ),
    (ROW, lambda la: [la.Dense(3, activation="swish")], lambda la: [la.Dense(3), la.Activation("swish")], {}),
    (IMAGE, lambda la: [la.LayerNormalization(axis=-1)], lambda la: [la.LayerNormalization(axis=3)], {}),
]


@pytest.mark.parametrize("row", range(len(SETTINGS)))
@every_flavour
def test_another_setting(flavour: str, row: int) -> None:
    keras = importlib.import_module(flavour)
    shape, old, new, expected = SETTINGS[row]
    saved, model = (keras.Sequential([keras.Input(shape), *make(keras.layers)]) for make in (old, new))
    found = differs(saved, model)
    assert {key: change[2] for key, change in changes(found).items()} == expected
    assert not found.graph


@pytest.mark.keras
def test_keras_3_computes_another_hard_sigmoid() -> None:
    """Measured: ``keras.activations.hard_sigmoid`` of Keras 3 is x / 6 + 0.5, that of tf_keras 0.2 x + 0.5."""
    import keras
    import tf_keras

    old = tf_keras.Sequential([tf_keras.Input(ROW), tf_keras.layers.Dense(3, activation="hard_sigmoid", name="a")])
    new = keras.Sequential([keras.Input(ROW), keras.layers.Dense(3, activation="hard_sigmoid", name="a")])
    ones = keras.ops.ones((1,))
    assert float(keras.activations.hard_sigmoid(ones)[0]) == pytest.approx(1 / 6 + 0.5)
    assert float(tf_keras.activations.hard_sigmoid(ones)[0]) == pytest.approx(0.2 + 0.5)
    assert list(changes(differs(old, new, version="2.15.0"))) == ["a.activation"]
    assert nothing(differs(new, new, version="3.15.0"))


# --- another graph ---------------------------------------------------------------------------------------------------


def _graph(keras: Any, join: str = "Concatenate", skip: int = 0, turned: bool = False, between: Any = None) -> Any:
    la = keras.layers
    inputs = keras.Input(ROW)
    a = la.Dense(4, name="a")(inputs)
    b = la.Dense(4, name="b")(a)
    c = la.Dense(4, name="c")(b)
    c = between(c) if between is not None else c
    ends = [(a, b)[skip], c]
    joined = getattr(la, join)(name="join")(ends[::-1] if turned else ends)
    return keras.Model(inputs, la.Dense(1, name="out")(joined))


@every_flavour
def test_another_graph(flavour: str) -> None:
    keras = importlib.import_module(flavour)
    la = keras.layers

    def graph(**options: Any) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
        found = differs(_graph(keras), _graph(keras, **options))
        return [(change.kind, change.layer, change.stored, change.live) for change in found.graph]

    assert graph(skip=1) == [("inputs", "join", ("a", "c"), ("b", "c"))]
    assert graph(turned=True) == [("inputs", "join", ("a", "c"), ("c", "a"))]
    assert graph(join="Average")[0] == ("replaced", "join", ("Concatenate",), ("Average",))
    assert graph(between=la.UnitNormalization(name="n")) == [("added", "n", (), ("UnitNormalization", "c"))]
    assert graph(between=la.Dropout(0.5)) == []
    assert nothing(differs(_graph(keras, join="Add"), _graph(keras, join="Add", turned=True)))
    assert differs(_graph(keras), _graph(keras, between=la.Dropout(0.5))).training_only == {"Dropout": 1}


@every_flavour
def test_operations_inputs_and_outputs(flavour: str) -> None:
    keras = importlib.import_module(flavour)

    def net(factor: float = 2.0, turned: int = 1, ends: int = 1) -> Any:
        left, right = keras.Input(ROW, name="left"), keras.Input(ROW, name="right")
        a = keras.layers.Dense(3, name="a")(left) * factor
        b = keras.layers.Dense(3, name="b")(right)
        return keras.Model([left, right][::turned], [a, b][::ends])

    assert nothing(differs(net(), net()))
    assert [change[:2] for change in changes(differs(net(), net(3.0))).values()] == [(2.0, 3.0)]
    assert [change.kind for change in differs(net(), net(ends=-1)).graph] == ["outputs"]
    assert [change.kind for change in differs(net(), net(turned=-1)).graph] == ["model-inputs"]


@every_flavour
def test_branches_that_are_built_in_another_order(flavour: str) -> None:
    keras = importlib.import_module(flavour)
    la = keras.layers

    def net(first: bool) -> Any:
        inputs = keras.Input(ROW)
        names = ("p", "q") if first else ("q", "p")
        ends = {name: la.Dense(3, name=name)(inputs) for name in names}
        ends = {name: la.Activation({"p": "tanh", "q": "relu"}[name])(end * 2.0) for name, end in ends.items()}
        return keras.Model(inputs, la.Concatenate()([ends["p"], ends["q"]]))

    assert nothing(differs(net(True), net(False)))


@every_flavour
def test_sequential_and_functional_are_one_function(flavour: str) -> None:
    keras = importlib.import_module(flavour)
    layers = keras.layers.Dense(3, name="a"), keras.layers.Dense(2, name="b")
    inputs = keras.Input(ROW)
    functional = keras.Model(inputs, layers[1](layers[0](inputs)))
    sequential = keras.Sequential([keras.Input(ROW), *layers])
    assert nothing(differs(functional, sequential))
    assert nothing(differs(sequential, functional))


# --- the user's own classes ------------------------------------------------------------------------------------------


@pytest.mark.keras
def test_layers_of_the_users_own() -> None:
    import keras

    class Scale(keras.layers.Layer):
        def __init__(self, beta: float = 1.0, **options: Any) -> None:
            super().__init__(**options)
            self.beta = beta

        def call(self, x: Any) -> Any:
            return x * self.beta

        def get_config(self) -> dict[str, Any]:
            if self.beta == 3:
                raise RuntimeError("not now")
            return {**super().get_config(), "beta": self.beta, "odd": self}

    def net(beta: float) -> Any:
        return keras.Sequential([keras.Input(ROW), Scale(beta, name="s"), keras.layers.Dense(2)])

    config = json.dumps(
        {
            "class_name": "Sequential",
            "config": {"layers": [{"class_name": "Scale", "config": {"name": "s", "beta": 2, "gone": 1}}]},
        }
    ).encode()
    found = meaning.compare(config, net(1.0))
    assert changes(found) == {"s.beta": (2, 1.0, "may")}
    assert found.code == ["Scale"]
    assert meaning.compare(config, net(3)).mute == ["s"]


# --- the whole way ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@every_flavour
def test_18_activation_and_dropout(flavour: str, suffix: str, tmp_path: Path) -> None:
    keras = importlib.import_module(flavour)
    la = keras.layers

    def net(*layers: Any) -> Any:
        return keras.Sequential([keras.Input(ROW), *layers, la.Dense(2, name="head")])

    path = tmp_path / f"model.{suffix}"
    net(la.Dense(4, activation="relu", name="a")).save(path)
    report = kwload.check(net(la.Dense(4, activation="gelu", name="a")), path)
    found = next(item for item in report.findings if item.code == "KW401")
    assert report.ok and found.severity == "warning" and found.layer == "a"
    assert (found.found, found.expected) == ({"activation": '"relu"'}, {"activation": '"gelu"'})
    report = kwload.check(net(la.Dense(4, activation="relu", name="a"), la.Dropout(0.5)), path)
    assert report.ok and not report.warnings
    assert [item.severity for item in report.findings if item.code == "KW401"] == ["note"]
    # a head of one's own: only what is loaded is spoken of
    model = keras.Sequential([keras.Input(ROW), la.Dense(4, activation="tanh", name="a"), la.Dense(5, name="new")])
    report = kwload.check(model, path, skip=["new"])
    assert [item.layer for item in report.warnings if item.code == "KW401"] == ["a"]


# --- from anyone -----------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["a", "Dense"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["class_name", "config"]), inner),
    max_leaves=6,
)


def _paths(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [at, *(path for key, value in items for path in _paths(value, (*at, key)))]


@every_flavour
def test_no_configuration_does_harm(flavour: str) -> None:
    keras = importlib.import_module(flavour)
    model = _fun(keras)
    tree = json.loads(model.to_json())
    paths = _paths(tree)[1:]

    @settings(max_examples=250, deadline=None, database=None)
    @given(st.lists(st.tuples(st.sampled_from(paths), JSON), min_size=1, max_size=3))
    def mutated(edits: list[tuple[tuple[Any, ...], Any]]) -> None:
        copy = json.loads(json.dumps(tree))
        for path, value in edits:
            at = copy
            for key in path[:-1]:
                at = at[key] if isinstance(at, dict | list) and _has(at, key) else None
            if isinstance(at, dict | list) and _has(at, path[-1]):
                at[path[-1]] = value
        assert isinstance(meaning.compare(json.dumps(copy).encode(), model), meaning.Meaning)

    mutated()


def _has(at: Any, key: Any) -> bool:
    return key in at if isinstance(at, dict) else isinstance(key, int) and key < len(at)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"config":' * 5000 + b"1" + b"}" * 5000, b" " * (5 << 20)],
    ids=["empty", "cut", "list", "bytes", "deep", "deep-dict", "long"],
)
def test_bytes_that_are_no_configuration(data: bytes) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)  # as notebooks do
    try:
        assert stored.parse(data) is None
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 300 + b'"' + b'\\"' * 1_500_000,
        b"[" * 1_900_000 + b"]" * 1_900_000,
        (b"[" * 201 + b"]" * 201) * 9_000,
    ],
    ids=["a text without end", "deep", "deep again and again"],
)
def test_long_bytes_that_are_no_configuration(data: bytes) -> None:
    """Each byte is looked at a few times: from each quotation mark to the end would take days."""
    began = time.process_time()
    assert stored.parse(data) is None
    assert time.process_time() - began < 30


def test_a_list_that_holds_itself() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert len(stored.flattened([("0", circle)])) == 1
    assert stored.flattened([("0", [[1]]), ("1", (2, 3))]) == [("0", 1), ("1/0", 2), ("1/1", 3)]


@pytest.mark.parametrize("text", [b"[" + b"[]," * 6_000_000 + b"[]]", b"[" * 201 + b"]" * 201], ids=["long", "deep"])
def test_a_configuration_that_no_model_has_is_not_parsed(text: bytes) -> None:
    assert whole.parsed(text) is None
    assert whole.parsed(b'{"class_name": "Sequential"}') == {"class_name": "Sequential"}


@pytest.mark.keras
def test_layers_joined_in_a_circle() -> None:
    import keras

    def layer(name: str, kind: str, source: str) -> dict[str, Any]:
        config = {"name": name, "trainable": True}
        return {"class_name": kind, "name": name, "config": config, "inbound_nodes": [[[source, 0, 0, {}]]]}

    layers = [layer("a", "Dropout", "b"), layer("b", "Dropout", "a"), layer("c", "Dense", "b")]
    config = {"layers": layers, "input_layers": [], "output_layers": [["c", 0, 0]]}
    data = json.dumps({"class_name": "Functional", "config": config}).encode()
    assert meaning.compare(data, _graph(keras)).graph
    assert meaning.compare(data.replace(b'"b", 0', b'"x", 0'), _graph(keras)).unread
