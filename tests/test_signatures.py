"""Users' signatures in an architecture: followed into what they describe, and stopped where that never ends."""

from __future__ import annotations

import functools
import importlib
import itertools
import os
from pathlib import Path
from typing import Any

import pytest
from test_registry import only

import kwload

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("nothing_registered")]

Parts = list[kwload.Var | kwload.Sub]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """A file of Dense, a block of the user's own with a scale and a Dense, and Dense; and its architecture."""
    import keras

    class Block(keras.layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.ffn = keras.layers.Dense(4)

        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(name="scale", shape=(shape[-1],))
            self.ffn.build(shape)
            self.built = True

        def call(self, x: Any) -> Any:
            return self.ffn(x * self.scale)

    dense = keras.layers.Dense
    model = keras.Sequential([keras.Input((3,)), dense(4, name="d"), Block(name="block"), dense(2, name="out")])
    path = os.fspath(tmp_path_factory.mktemp("signed") / "model.weights.h5")
    model.save_weights(path)
    return path, {"class_name": "Sequential", "config": model.get_config()}


def checked(saved: tuple[str, dict[str, Any]], **signatures: Any) -> kwload.Report:
    """The report with these signatures of `Block` and others."""
    for name, function in signatures.items():
        kwload.signature(name)(function)
    return kwload.check(saved[1], saved[0])


def right(config: Any, input_shape: Any) -> Any:
    """What the block is made of."""
    parts: Parts = [kwload.Var("scale", (4,)), kwload.Sub("ffn", "Dense", {"units": 4}, input_shape)]
    return parts, input_shape


def test_a_signature_that_says_what_the_file_has(saved: Any) -> None:
    report = checked(saved, Block=right)
    assert report.ok and not report.findings, str(report)
    assert report.prediction is not None and report.prediction.outcome == "loads"


def itself(config: Any, input_shape: Any) -> Parts:
    return [kwload.Sub("inner", "Block", config, input_shape)]


def grows(config: Any, input_shape: Any) -> Parts:
    config["depth"] = config.get("depth", 0) + 1
    return [kwload.Sub("left", "Block", config, input_shape), kwload.Sub("right", "Block", config, input_shape)]


def in_a_wrapper(config: Any, input_shape: Any) -> Parts:
    inner = {"class_name": "Block", "config": {}}
    return [kwload.Sub("inner", "TimeDistributed", {"layer": inner}, (None, 2, 4))]


def in_a_model(config: Any, input_shape: Any) -> Parts:
    return [kwload.Sub("net", "Sequential", {"layers": [{"class_name": "Block", "config": {}}]}, input_shape)]


def fans_out(config: Any, input_shape: Any) -> Parts:
    depth = config.get("depth", 0) + 1
    return [kwload.Sub(f"s{n}", "Block", {"depth": depth}, input_shape) for n in range(50 if depth < 6 else 0)]


def wide(config: Any, input_shape: Any) -> Parts:
    return [kwload.Sub(f"s{n}", "Wide", {}, input_shape) for n in range(200)]


def no_units(config: Any, input_shape: Any) -> Parts:
    return [kwload.Sub("ffn", "Dense", {}, input_shape)]


def own_config(config: Any, input_shape: Any) -> Parts:
    endless: dict[str, Any] = {}
    endless["layer"] = {"class_name": "TimeDistributed", "config": endless}
    return [kwload.Sub("inner", "TimeDistributed", endless, input_shape)]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (itself, "has itself as a sub-layer without end"),
        (grows, "has itself as a sub-layer without end"),
        (in_a_wrapper, "has itself as a sub-layer without end"),
        (in_a_model, "has itself as a sub-layer without end"),
        (fans_out, "describes more variables and sub-layers than 10,000"),
        (no_units, "describes a layer that cannot be made: `Dense`: units: is missing"),
        (own_config, "describes a layer that cannot be made: it raised RecursionError"),
    ],
)
def test_what_never_ends_is_named_and_the_rest_is_checked(saved: Any, function: Any, said: str) -> None:
    report = checked(saved, Block=function)
    failed = only(report, "KW408")
    assert said in failed.headline and failed.layer == "block"
    assert f"test_signatures.py, line {function.__code__.co_firstlineno}" in failed.body[0]
    assert (report.counts["matched"], report.counts["unchecked"]) == (7, 3), "the other layers"


def test_a_signature_that_has_itself_through_another(saved: Any) -> None:
    def other(config: Any, input_shape: Any) -> Parts:
        return [kwload.Sub("back", "Block", config, input_shape)]

    def first(config: Any, input_shape: Any) -> Parts:
        return [kwload.Sub("other", "Other", config, input_shape)]

    failed = only(checked(saved, Block=first, Other=other), "KW408")
    assert failed.headline.endswith("has itself as a sub-layer without end, through `Other`")


def test_a_layer_within_a_sound_one_fails_alone(saved: Any) -> None:
    def outer(config: Any, input_shape: Any) -> Parts:
        return [kwload.Var("scale", (4,)), kwload.Sub("ffn", "Endless", {}, input_shape)]

    def endless(config: Any, input_shape: Any) -> Parts:
        return [kwload.Sub("inner", "Endless", {}, input_shape)]

    report = checked(saved, Block=outer, Endless=endless)
    failed = only(report, "KW408")
    assert "`Endless` has itself" in failed.headline and failed.layer == "block/endless"
    assert (report.counts["matched"], report.counts["unchecked"]) == (7, 2), "`scale` too"


def test_a_signature_may_have_itself_where_that_ends(saved: Any) -> None:
    def tree(config: Any, input_shape: Any) -> Parts:
        depth = config.get("depth", 6)
        own: Parts = [kwload.Var("scale", (4,))] if "depth" not in config else []
        inner: Parts = [kwload.Sub("ffn", "Dense", {"units": 4}, input_shape)]
        return own + (inner if not depth else [kwload.Sub("ffn", "Block", {"depth": depth - 1}, input_shape)])

    assert "KW408" not in {item.code for item in checked(saved, Block=tree).findings}


def test_many_layers_whose_signature_describes_too_much_take_no_time(saved: Any) -> None:
    calls = itertools.count()

    def counted(config: Any, input_shape: Any) -> Parts:
        next(calls)
        return fans_out(config, input_shape)

    layers = [{"class_name": "Block", "config": {"name": f"b{n}"}, "build_config": BUILT} for n in range(500)]
    kwload.signature("Block")(counted)
    report = kwload.check({"class_name": "Sequential", "config": {"layers": layers}}, saved[0])
    assert "in 500 layers" in only(report, "KW408").body[1]
    assert next(calls) < 20_000


BUILT = {"input_shape": [None, 4]}


def test_the_config_and_the_shapes_are_copies(saved: Any) -> None:
    seen: list[Any] = []

    def ruins(config: Any, input_shape: Any) -> Any:
        seen.append((dict(config), input_shape))
        config.clear()
        config["self"] = config
        return right(config, input_shape)

    before = repr(saved[1])
    assert checked(saved, Block=ruins).ok
    assert kwload.check(saved[1], saved[0]).ok
    assert repr(saved[1]) == before and seen[0] == seen[-1]


def test_what_rests_on_a_signature_names_it(saved: Any) -> None:
    def wider(config: Any, input_shape: Any) -> Parts:
        return [kwload.Var("scale", (5,)), kwload.Sub("ffn", "Dense", {"units": 4}, input_shape)]

    def fewer(config: Any, input_shape: Any) -> Parts:
        return [kwload.Sub("ffn", "Dense", {"units": 4}, input_shape)]

    def inside(config: Any, input_shape: Any) -> Parts:
        return [kwload.Var("scale", (4,)), kwload.Sub("ffn", "Dense", {"units": 5}, input_shape)]

    for function, code in ((wider, "KW307"), (fewer, "KW306"), (inside, "KW307")):
        found = [item for item in checked(saved, Block=function).errors if item.code == code]
        line = function.__code__.co_firstlineno
        assert len(found) == 1, function.__name__
        said = f"what the model has is what the signature of `Block` (tests/test_signatures.py, line {line}) says"
        assert said in found[0].notes
        others = [item for item in kwload.check(saved[1], saved[0]).errors if "out" in (item.layer or "")]
        assert not [note for item in others for note in item.notes if "signature" in note]


def test_a_function_handed_in_for_a_layer_is_its_signature_whatever_its_parameters_are_called(saved: Any) -> None:
    def sound(c: Any, s: Any) -> Any:
        return right(c, s)

    for custom in ({"Block": sound}, {"My>Block": sound}, {"Block": lambda a, b: [*right(a, b)[0]]}):
        assert not kwload.check(saved[1], saved[0], custom_objects=custom).findings
        with kwload.custom_object_scope(custom):
            assert not kwload.check(saved[1], saved[0]).findings


class Callable:
    def __call__(self, config: Any, input_shape: Any) -> Any:
        return right(config, input_shape)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda config: [], "was not asked: a signature takes two parameters, config and input_shape"),
        (lambda a, b, c: [], "was not asked: a signature takes two parameters, config and input_shape"),
        (functools.partial(right), "the partial for `Block` (tests/test_signatures.py, line"),
        (Callable(), "was not asked: a signature is a function (config, input_shape)"),
        (3, "the int for `Block` was not asked"),
    ],
)
def test_what_is_handed_in_for_a_layer_and_cannot_be_asked_is_said(saved: Any, given: Any, said: str) -> None:
    report = kwload.check(saved[1], saved[0], custom_objects={"Block": given})
    assert said in only(report, "KW410").notes[0]
    kwload.signature("Block")(Callable())
    assert not kwload.check(saved[1], saved[0]).findings, "declared, anything that can be called will do"


def test_a_signature_that_needs_the_shape_which_nobody_knows(saved: Any) -> None:
    def needs(config: Any, input_shape: Any) -> Parts:
        return [kwload.Var("scale", (input_shape[-1],))]

    layers = [{"class_name": name, "config": {"name": name.lower()}} for name in ("Unknown", "Block")]
    report = kwload.check(
        {"class_name": "Sequential", "config": {"layers": layers}}, saved[0], custom_objects={"Block": needs}
    )
    found = only(report, "KW410")
    assert "the signature of `Block`, asked without a shape, raised TypeError" in found.notes[0]
    assert "Unknown" in found.help[0], "the one that has no signature"


# ---- a stack of blocks, a dict of experts, a layer that is called with a dict, in files of both Keras ----


def realistic(keras: Any, dense: int = 0) -> Any:
    """A model of own classes; *dense* layers are made before it, which moves the numbers in the names of its layers."""
    layers, is_3 = keras.layers, keras.__name__ == "keras"
    for _ in range(dense):
        layers.Dense(1)

    class Inner(layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.up = layers.Dense(8)
            self.down = None if is_3 else layers.Dense(4)

        def build(self, shape: Any) -> None:
            if is_3:
                self.down = layers.Dense(shape[-1])  # its number follows that of `up` of every block
            self.gain = self.add_weight(name="gain", shape=(shape[-1],))
            self.built = True

        def call(self, x: Any) -> Any:
            return self.down(self.up(x)) * self.gain

    class Stack(layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.blocks = [Inner(name=f"block_{i}") for i in range(2)]
            self.experts = {key: layers.Dense(4, name=key) for key in ("left", "right")}

        def call(self, x: Any) -> Any:
            for block in self.blocks:
                x = block(x)
            return self.experts["left"](x) + self.experts["right"](x)

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    class Fusion(layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(name="w", shape=(shape["one"][-1], shape["two"][-1]))
            self.seen = self.add_weight(name="seen", shape=(), dtype="int32", initializer="zeros", trainable=False)
            self.built = True

        def call(self, inputs: Any) -> Any:
            return inputs["one"] @ self.w + inputs["two"]

    one, two = keras.Input((4,), name="one"), keras.Input((5,), name="two")
    fused = Fusion(name="fusion")({"one": Stack(name="stack")(one), "two": two})
    return keras.Model([one, two], layers.Dense(2, name="out")(fused))


def declare() -> None:
    @kwload.signature("Inner")
    def inner(config: Any, input_shape: Any) -> Any:
        width = input_shape[-1]
        return [
            kwload.Var("gain", (width,)),
            kwload.Sub("up", "Dense", {"units": 8}, input_shape),
            kwload.Sub("down", "Dense", {"units": width}, (*input_shape[:-1], 8)),
        ], input_shape

    @kwload.signature("Stack")
    def stack(config: Any, input_shape: Any) -> Any:
        blocks = [kwload.Sub("", "Inner", {"name": f"block_{i}"}, input_shape) for i in range(2)]
        keys = ("left", "right")
        experts = {key: kwload.Sub(key, "Dense", {"units": 4, "name": key}, input_shape) for key in keys}
        return [kwload.Sub("blocks", blocks), kwload.Sub("experts", experts)], input_shape

    @kwload.signature("Fusion")
    def fusion(config: Any, input_shape: Any) -> Any:
        shape = (input_shape["one"][-1], input_shape["two"][-1])
        return [kwload.Var("w", shape), kwload.Var("seen", (), "int32", trainable=False)], input_shape["two"]


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
@pytest.mark.parametrize("end", ["m.h5", "m.keras", "m.weights.h5"])
def test_a_model_of_own_classes_against_files_of_another_process(package: str, end: str, tmp_path: Path) -> None:
    """The numbers in the names that Keras makes are others in each process, and evidence of nothing."""
    keras = importlib.import_module(package)
    declare()
    target, path = tmp_path / "a.h5", tmp_path / end
    realistic(keras).save(target)
    other = realistic(keras, dense=3)
    other.save_weights(path) if end == "m.weights.h5" else other.save(path)
    report = kwload.check(target, path)
    assert report.ok and not report.warnings, str(report)
    assert report.prediction is not None and report.prediction.outcome == "loads", str(report)
    live = kwload.check(realistic(keras), path)
    assert live.ok and not live.warnings, str(live)
    assert "in 4 layers" in only(live, "KW409").body[0]


def test_what_a_live_class_has_is_shown_as_a_signature_says_it(tmp_path: Path) -> None:
    import keras

    declare()
    model = realistic(keras)
    model.save_weights(tmp_path / "m.weights.h5")
    for name, said, what, right in (
        ("Fusion", [kwload.Var("w", (4, 5))], ["seen"], 'kwload.Var("seen", (), "int32", trainable=False)'),
        ("Stack", [kwload.Sub("blocks", "Inner")], ["blocks", "experts/left", "experts/right"], ""),
        ("Inner", [kwload.Var("gain", (4,)), kwload.Sub("up", "Dense", {"units": 8})], ["down"], ""),
    ):
        found = only(kwload.check(model, tmp_path / "m.weights.h5", custom_objects={name: _saying(said)}), "KW407")
        named = [line.split()[0] for line in found.body[1:-1]]
        assert named == what and right in str(found.help), found


def _saying(said: Any) -> Any:
    def signature(config: Any, input_shape: Any) -> Any:
        return said

    return signature


def test_a_class_that_a_signature_misspells(saved: Any) -> None:
    def misspelt(config: Any, input_shape: Any) -> Parts:
        return [kwload.Var("scale", (4,)), kwload.Sub("ffn", "Dence", {"units": 4}, input_shape)]

    found = only(checked(saved, Block=misspelt), "KW410")
    assert "`Dence` stands in the signature of `Block`" in found.notes[0]
    assert found.notes[0].endswith("Keras has `Dense`")
