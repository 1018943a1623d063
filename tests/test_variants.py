"""Causes in shapes, numbers and variants of layers, on files of real Keras 3 and tf_keras: what the report says, and
that what it proposes works."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import ALL, Family, each_keras, every_family, same, values

import kwload

pytestmark = pytest.mark.keras

KERAS = Family("keras", "v3")
each_legacy = pytest.mark.parametrize("family", [f for f in ALL if f.layout == "legacy"], ids=str)
each_plain = pytest.mark.parametrize("family", [f for f in ALL if f.layout in ("v3", "legacy")], ids=str)


def only(report: kwload.Report, code: str) -> kwload.Finding:
    """The one error of a report, which must have this code."""
    assert [finding.code for finding in report.errors] == [code], report.render(all=True)
    assert len(report.render().split("\n")) <= 40
    return report.errors[0]


def agrees(model: Any, path: Path, report: kwload.Report, **options: Any) -> None:
    """Keras does what the report foretells."""
    try:
        model.load_weights(str(path), **options)
        raised = None
    except Exception as error:  # noqa: BLE001 - whatever it is
        raised = type(error).__name__
    assert report.prediction is not None
    foretold = report.prediction.error.type if report.prediction.error is not None else None
    assert raised == foretold, report.prediction


def run_help(line: str, model: Any) -> kwload.Report:
    """Runs the call that a help line holds."""
    call = re.search(r"kwload\.load_weights\(.*\)", line)
    assert call is not None, line
    return eval(call[0].partition(")  ")[0] + (")" if ")  " in call[0] else ""), {"kwload": kwload, "model": model})


def rewrite(path: Path, change: Callable[[str, np.ndarray], np.ndarray | None]) -> None:
    """Replaces datasets of a file; None drops one."""
    import h5py

    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in names:
            old = file[name][()]
            new = change(name, old)
            if new is not old:
                del file[name]
                file[name] = new


def trunk(family: Family, *head: Any, given: bool = True) -> Any:
    layers = family.keras.layers
    names = iter(("conv", "bn", "fc") if given else (None, None, None))
    return family.sequential(
        layers.Conv2D(4, 3, name=next(names)),
        layers.BatchNormalization(name=next(names)),
        layers.GlobalAveragePooling2D(),
        layers.Dense(6, name=next(names)),
        *head,
        inputs=(8, 8, 3),
    )


@pytest.mark.parametrize(
    ("family", "given"),
    [(family, given) for family in ALL for given in (True, False) if given or family.layout in ("v3", "legacy")],
    ids=str,
)
def test_only_the_head_differs(family: Family, given: bool, tmp_path: Path) -> None:
    dense = family.keras.layers.Dense
    saved = trunk(family, dense(25, name="head" if given else None), given=given)
    path = family.save(saved, tmp_path)
    model = trunk(family, dense(10, name="new_head" if given else None), given=given)
    report = kwload.check(model, path)
    head = only(report, "KW307")
    said = f"only the head differs: 2 of {len(saved.weights)} tensors; class count 25 in the file, 10 in the model"
    assert said in head.notes
    assert ("it is called `head` in the file" in head.notes) == (given and family.named)
    expected = values(saved)[:-2] + values(model)[-2:]
    assert run_help(head.help[0], model).ok
    assert same(sorted_like(model), sorted_by(expected))
    agrees(model, path, report)


def sorted_by(arrays: list[np.ndarray]) -> list[np.ndarray]:
    return sorted(arrays, key=lambda array: (array.shape, array.tobytes()))


def sorted_like(model: Any) -> list[np.ndarray]:
    return sorted_by(values(model))


@each_plain
def test_two_heads_are_not_one(family: Family, tmp_path: Path) -> None:
    dense = family.keras.layers.Dense
    path = family.save(trunk(family, dense(25), dense(5)), tmp_path)
    report = kwload.check(trunk(family, dense(26), dense(9)), path)
    assert not any("only the head" in note for finding in report.findings for note in finding.notes)


@pytest.mark.parametrize("given", [True, False], ids=["given", "automatic"])
@each_plain
def test_a_file_without_its_classifier(family: Family, given: bool, tmp_path: Path) -> None:
    dense = family.keras.layers.Dense
    saved = trunk(family, given=given)
    path = family.save(saved, tmp_path)
    model = trunk(family, dense(9, name="head" if given else None), given=given)
    report = kwload.check(model, path)
    lacks = only(report, "KW305" if family.is_legacy else "KW301")
    assert any("*_notop" in note for note in lacks.notes)
    agrees(model, path, report)
    head = values(model)[-2:]
    assert run_help(lacks.help[0], model).ok
    assert same(sorted_like(model), sorted_by(values(saved) + head))


@each_plain
def test_other_units_in_the_middle_are_no_other_head(family: Family, tmp_path: Path) -> None:
    def build(units: int) -> Any:
        names = {"x": 8, "y": units, "z": 8}
        return family.sequential(*(family.keras.layers.Dense(n, name=name) for name, n in names.items()), inputs=(8,))

    report = kwload.check(build(16), family.save(build(8), tmp_path))
    assert not report.ok and "head" not in str(report) and "class count" not in str(report)


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_a_layer_that_makes_its_weights_in_another_order(package: str, tmp_path: Path) -> None:
    family = Family(package, "legacy")

    class Scale(family.keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, *names: str) -> None:
            super().__init__(name="scale")
            self.names = names

        def build(self, shape: Any) -> None:
            self.made = [self.add_weight(shape=(shape[-1],), name=name) for name in self.names]

        def call(self, x: Any) -> Any:
            return x * self.made[0]

    path = family.save(family.sequential(Scale("alpha", "beta"), inputs=(8,)), tmp_path)
    model = family.sequential(Scale("beta", "alpha"), inputs=(8,))
    report = kwload.check(model, path)
    assert only(report, "KW313").notes[0].startswith("a layer's weights are saved in the order in which it makes them")
    assert "trainable" not in str(report) and "2 variables get another weight of the same layer" in str(report)
    agrees(model, path, report)


@pytest.mark.parametrize("given", [True, False], ids=["given", "automatic"])
@each_plain
def test_a_model_without_its_classifier(family: Family, given: bool, tmp_path: Path) -> None:
    saved = trunk(family, family.keras.layers.Dense(9, name="head" if given else None), given=given)
    path = family.save(saved, tmp_path)
    model = trunk(family, given=given)
    report = kwload.check(model, path)
    found = only(report, "KW305") if family.is_legacy else report.warnings[0]
    assert any("without its classifier" in note for note in found.notes)
    agrees(model, path, report)
    if family.is_legacy:
        model = trunk(family, given=given)
        assert run_help(found.help[0], model).ok
        assert same(values(model)[:2], values(saved)[:2])


def convolutions(family: Family) -> Any:
    layers = family.keras.layers
    return family.sequential(
        layers.Conv2D(8, 3, name="c1"),
        layers.Conv2D(16, 3, name="c2"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(16, name="square"),
        layers.Dense(5, name="out"),
        inputs=(12, 12, 3),
    )


def _pytorch(_: str, value: np.ndarray) -> np.ndarray:
    order = {2: (1, 0), 4: (3, 2, 0, 1)}.get(value.ndim)
    return value.transpose(order).copy() if order else value


@each_plain
def test_kernels_of_pytorch(family: Family, tmp_path: Path) -> None:
    saved = convolutions(family)
    path = family.save(saved, tmp_path)
    rewrite(path, _pytorch)
    model = convolutions(family)
    report = kwload.check(model, path)
    turned = only(report, "KW308")
    assert turned.related == ("c2/kernel", "out/kernel")
    assert any("(2, 3, 1, 0)" in note for note in turned.notes)
    (doubtful,) = report.warnings
    assert (doubtful.code, doubtful.variable, doubtful.layer) == ("KW308", "kernel", "square")
    agrees(model, path, report)
    exec(turned.help[0], {"model": model, "kwload": kwload})
    assert same([model.get_layer("c1").kernel.numpy()], [saved.get_layer("c1").kernel.numpy()])
    rest = kwload.check(model, path, skip=["c1", "c2", "out"])
    assert [finding.code for finding in rest.warnings] == ["KW308"], "a square kernel is never loaded in silence"


@each_plain
def test_square_kernels_alone_say_nothing(family: Family, tmp_path: Path) -> None:
    def build() -> Any:
        return family.sequential(*(family.keras.layers.Dense(10) for _ in range(3)))

    path = family.save(build(), tmp_path)
    rewrite(path, _pytorch)
    assert not kwload.check(build(), path).warnings


def test_tf_keras_transposes_blindly(tmp_path: Path) -> None:
    family = Family("tf_keras", "legacy")

    def build(channels: int, filters: int, size: tuple[int, int]) -> Any:
        layer = family.keras.layers.Conv2D(filters, size, use_bias=False, name="c")
        return family.sequential(layer, inputs=(8, 8, channels))

    saved = build(2, 4, (4, 2))
    path = family.save(saved, tmp_path)
    model = build(4, 2, (4, 2))
    report = kwload.check(model, path)
    only(report, "KW308")
    assert report.prediction is not None and report.prediction.outcome == "loads_wrong"
    agrees(model, path, report)


@each_plain
def test_transposing_does_not_help(family: Family, tmp_path: Path) -> None:
    def build(filters: int) -> Any:
        return family.sequential(family.keras.layers.Conv2D(filters, 4, name="c"), inputs=(8, 8, 20))

    path = family.save(build(32), tmp_path)
    rewrite(path, lambda _, value: value.transpose(3, 2, 0, 1).copy() if value.ndim == 4 else value)
    shape = only(kwload.check(build(24), path), "KW307")
    assert any("(4, 4, 20, 32), which does not fit either" in note for note in shape.notes)


@each_plain
def test_biases_on_one_side(family: Family, tmp_path: Path) -> None:
    layers = family.keras.layers

    def build(bias: bool) -> Any:
        convs = [layers.Conv2D(4, 3, padding="same", use_bias=bias) for _ in range(5)]
        return family.sequential(*convs, layers.Dense(3), inputs=(8, 8, 4))

    for saved in (True, False):
        path = family.save(build(saved), tmp_path)
        model = build(not saved)
        report = kwload.check(model, path)
        count = only(report, "KW306")
        assert len(count.related) == 4
        assert count.help[0] == f"to fit the file, build them with use_bias={saved}"
        agrees(model, path, report)


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ({"center": False}, {}, "center=False"),
        ({}, {"scale": False}, "scale=False"),
        ({"scale": False, "center": False}, {}, "center=False"),
    ],
    ids=["no center", "scale", "neither"],
)
@each_plain
def test_batch_normalization(family: Family, old: Any, new: Any, cause: str, tmp_path: Path) -> None:
    def build(options: Any) -> Any:
        layers = family.keras.layers
        return family.sequential(layers.Dense(4), layers.BatchNormalization(name="bn", **options), layers.Dense(3))

    path = family.save(build(old), tmp_path)
    count = only(kwload.check(build(new), path), "KW306")
    assert count.cause is not None and cause in count.cause


@each_legacy
def test_batch_normalization_without_statistics(family: Family, tmp_path: Path) -> None:
    import h5py

    def build() -> Any:
        return family.sequential(family.keras.layers.BatchNormalization(name="bn"))

    path = family.save(build(), tmp_path)
    with h5py.File(path, "r+") as file:
        file["bn"].attrs["weight_names"] = list(file["bn"].attrs["weight_names"])[:2]
    count = only(kwload.check(build(), path), "KW306")
    assert count.cause is not None and "not the statistics: `moving_mean` and `moving_variance`" in count.cause


@each_plain
def test_reset_after(family: Family, tmp_path: Path) -> None:
    layers = family.keras.layers

    def build(after: bool) -> Any:
        return family.sequential(
            layers.GRU(4, reset_after=after, return_sequences=True, name="a"),
            layers.Bidirectional(layers.GRU(3, reset_after=after), name="b"),
            inputs=(5, 2),
        )

    for saved in (True, False):
        path = family.save(build(saved), tmp_path)
        model = build(not saved)
        report = kwload.check(model, path)
        after = only(report, "KW314")
        assert after.cause == f"the model has `reset_after={not saved}`, the file `reset_after={saved}`"
        assert after.help[0] == f"build the layer with `reset_after={saved}`"
        assert len(after.related) == 2
        agrees(model, path, report)


@pytest.mark.parametrize("both", [False, True], ids=["alone", "bidirectional"])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_cudnn(kind: str, both: bool, tmp_path: Path) -> None:
    """The weights of cuDNN's layers become the plain ones that tf_keras makes of them; Keras 3 refuses them."""
    import keras
    import tf_keras
    from tf_keras.src.layers.rnn import cudnn_gru, cudnn_lstm

    cudnn = {"GRU": cudnn_gru.CuDNNGRU, "LSTM": cudnn_lstm.CuDNNLSTM}[kind]

    def build(library: Any, layer: Any) -> Any:
        made = library.layers.Bidirectional(layer(4), name="a") if both else layer(4, name="a")
        return library.Sequential([library.layers.Input((5, 3)), made, library.layers.Dense(2, name="d")])

    saved, path = build(tf_keras, cudnn), tmp_path / "w.h5"
    for number, weight in enumerate(saved.weights):
        weight.assign(np.random.default_rng(number).normal(size=weight.shape))
    saved.save_weights(path)
    right = build(tf_keras, tf_keras.layers.GRU if kind == "GRU" else tf_keras.layers.LSTM)
    right.load_weights(path)
    for library, severity, outcome in ((tf_keras, "note", "loads"), (keras, "warning", "raises")):
        model = build(library, getattr(library.layers, kind))
        report = kwload.load_weights(model, path)
        (found,) = report.findings
        assert (found.code, found.severity) == ("KW314", severity)
        assert f"the file holds a CuDNN{kind}" in found.headline and "reset_after" not in str(found.cause)
        assert report.prediction is not None and report.prediction.outcome == outcome
        assert same(values(model), values(right))
        agrees(build(library, getattr(library.layers, kind)), path, report)
    if kind == "GRU" and not both:
        model = tf_keras.Sequential([tf_keras.layers.Input((5, 3)), tf_keras.layers.GRU(4, reset_after=False)])
        model.add(tf_keras.layers.Dense(2))
        report = kwload.check(model, path)
        assert only(report, "KW314").help[0].startswith("build the layer with `reset_after=True`")
        agrees(model, path, report)


def quantized(mode: str | None, *, bias: bool = True, **options: Any) -> Any:
    import warnings

    layers = KERAS.keras.layers
    model = KERAS.sequential(layers.Dense(16, use_bias=bias, name="d"), layers.Dense(6, name="out"), inputs=(12,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if options:
            model.quantize(mode, config=KERAS.keras.quantizers.Int4QuantizationConfig(**options))
        elif mode:
            model.quantize(mode)
    return model


@pytest.mark.parametrize("layout", ["v3", "legacy"])
@pytest.mark.parametrize(
    ("mode", "options", "call"),
    [
        ("int8", {}, 'model.quantize("int8")'),
        ("float8", {}, 'model.quantize("float8")'),
        ("int4", {}, 'model.quantize("int4")'),
        ("int4", {"block_size": None}, "block_size=None"),
        ("int4", {"block_size": 4}, "block_size=4"),
    ],
)
def test_quantized(mode: str, options: Any, call: str, layout: str, tmp_path: Path) -> None:
    import warnings

    family = Family("keras", layout)
    saved = quantized(mode, **options)
    path = family.save(saved, tmp_path)
    model = quantized(None)
    report = kwload.check(model, path)
    found = only(report, "KW315")
    assert found.found == mode and found.related == ("out",)
    agrees(model, path, report)
    command = found.help[0].split("`")[1]
    assert call in command
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(command, {"model": model, "keras": KERAS.keras})
    assert kwload.load_weights(model, path).ok
    assert same(values(model), values(saved))
    plain = family.save(quantized(None), tmp_path)
    turned = only(kwload.check(saved, plain), "KW315")
    assert turned.expected == mode and turned.found == "not quantized"


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    ("mode", "blocks"), [("int8", {}), ("int4", {}), ("int4", {"block_size": None}), ("int4", {"block_size": 2})]
)
def test_a_quantized_reversible_embedding(mode: str, blocks: Any, tied: bool, tmp_path: Path) -> None:
    """One that is not tied has two kernels of integers; what the report proposes makes it load."""
    import warnings

    layers = KERAS.keras.layers

    def build() -> Any:
        inputs = layers.Input((4,), dtype="int32")
        return KERAS.keras.Sequential([inputs, layers.ReversibleEmbedding(20, 6, tie_weights=tied, name="e")])

    saved, model = build(), build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = KERAS.keras.quantizers.Int4QuantizationConfig(**blocks) if blocks else None
        saved.layers[-1].quantize(mode, config=config)
        path = KERAS.save(saved, tmp_path)
        report = kwload.check(model, path)
        found = only(report, "KW315")
        assert found.found == mode
        exec(found.help[0].split("`")[1], {"model": model, "keras": KERAS.keras})
    assert kwload.load_weights(model, path).ok
    assert same(values(model), values(saved))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("policy", ["gptq/4/8_from_float32", "gptq/8/-1_from_float32", "awq/4/4_from_float32"])
def test_zero_points(policy: str, bias: bool, tmp_path: Path) -> None:
    """Keras 3.15 does not save the zero points, and cannot load its file; with them, the proposed policy loads it."""
    import h5py

    layers, mode = KERAS.keras.layers, policy.partition("/")[0]

    def build(dtype: str | None) -> Any:
        return KERAS.sequential(layers.Dense(16, use_bias=bias, dtype=dtype, name="d"), inputs=(12,))

    saved = build(policy)
    path = KERAS.save(saved, tmp_path)
    for model in (build(None), build(policy)):
        report = kwload.check(model, path)
        found = only(report, "KW315")
        assert found.found == mode and "zero points" in found.headline and "zero points" in found.help[0]
        agrees(model, path, report)
    layer = saved.layers[-1]
    spec = [getattr(layer, name) for name in layer.variable_serialization_spec[mode]]
    with h5py.File(path, "r+") as file:
        group = file["layers/dense/vars"]
        for key in list(group):
            del group[key]
        for key, variable in enumerate(v for v in spec if v is not None):
            group[str(key)] = np.asarray(variable)
    found = only(kwload.check(build(None), path), "KW315")
    assert found.found == mode
    model = build(str(found.help[0]).split('dtype="')[1].partition('"')[0])
    report = kwload.load_weights(model, path)
    assert report.ok and same(values(model), values(saved))
    agrees(model, path, report)


def test_quantized_otherwise(tmp_path: Path) -> None:
    path = KERAS.save(quantized("int8"), tmp_path)
    model = quantized("int4", block_size=None)
    report = kwload.check(model, path)
    found = only(report, "KW315")
    assert (found.found, found.expected) == ("int8", "int4")
    agrees(model, path, report)


def test_a_scale_is_no_bias(tmp_path: Path) -> None:
    import keras

    def build(mode: str | None, bias: bool) -> Any:
        model = keras.Sequential([keras.layers.Input((12,)), keras.layers.Dense(16, use_bias=bias, name="d")])
        if mode:
            model.get_layer("d").quantize(mode)
        return model

    for saved, wanted in ((("int8", False), (None, True)), ((None, True), ("int8", False))):
        path = KERAS.save(build(*saved), tmp_path)
        model = build(*wanted)
        report = kwload.check(model, path)
        assert "by chance" in only(report, "KW315").notes[0]
        assert report.prediction is not None and report.prediction.outcome == "loads_wrong"
        agrees(model, path, report)


@pytest.mark.parametrize("layout", ["v3", "legacy"])
def test_lora(layout: str, tmp_path: Path) -> None:
    family = Family("keras", layout)

    def build(lora: bool) -> Any:
        model = quantized(None)
        if lora:
            model.get_layer("d").enable_lora(2)
        return model

    for saved in (True, False):
        path = family.save(build(saved), tmp_path)
        model = build(not saved)
        report = kwload.check(model, path)
        if layout == "v3":
            reset = ["KW325"] if any("lora" in variable.path for variable in model.weights) else []
            assert report.ok and [item.code for item in report.findings] == reset
        else:
            assert only(report, "KW325").layer == "d"
        agrees(model, path, report)
    if layout == "legacy":
        path = family.save(build(True), tmp_path)
        command = only(kwload.check(model := build(False), path), "KW325").help[0].split("`")[1]
        exec(command, {"model": model})
        assert kwload.load_weights(model, path).ok


def mobile(family: Family, width: int) -> Any:
    layers = family.keras.layers
    made = [layers.Conv2D(width, 3, padding="same")]
    for factor in (1, 2, 2, 4, 4, 8):
        made += [layers.DepthwiseConv2D(3, padding="same"), layers.BatchNormalization()]
        made += [layers.Conv2D(width * factor, 1), layers.BatchNormalization()]
    return family.sequential(*made, inputs=(8, 8, 3))


@each_plain
def test_a_width_multiplier_is_one_cause(family: Family, tmp_path: Path) -> None:
    path = family.save(mobile(family, 8), tmp_path)
    shape = only(kwload.check(mobile(family, 4), path), "KW307")
    assert len(shape.related) > 70


def vgg(family: Family) -> Any:
    layers = family.keras.layers
    convs = [
        layers.Conv2D(8 * block, 3, padding="same", name=f"block{block}_conv{place}")
        for block in range(1, 6)
        for place in range(1, 4 if block > 2 else 3)
    ]
    return family.sequential(*convs, layers.Flatten(), layers.Dense(9, name="predictions"), inputs=(4, 4, 3))


@every_family
def test_the_file_of_another_model(family: Family, tmp_path: Path) -> None:
    path = family.save(mobile(family, 5), tmp_path)
    model = vgg(family)
    report = kwload.check(model, path)
    wrong = only(report, "KW322")
    assert wrong.expected == "VGG16"
    agrees(model, path, report)


def small(family: Family, kind: str, width: int = 8) -> Any:
    layers = family.keras.layers
    if kind == "dense":
        return family.sequential(
            layers.Flatten(), layers.Dense(width), layers.Dense(width), layers.Dense(5), inputs=(8, 8, 3)
        )
    convs = [layers.Conv2D(width, 3, padding="same") for _ in range(2)]
    return family.sequential(*convs, layers.GlobalAveragePooling2D(), layers.Dense(3), inputs=(8, 8, 3))


@each_keras
@pytest.mark.parametrize("kinds", [("dense", "conv"), ("conv", "dense")])
def test_the_file_of_another_small_model(family: Family, kinds: tuple[str, str], tmp_path: Path) -> None:
    path = family.save(small(family, kinds[0]), tmp_path)
    model = small(family, kinds[1])
    report = kwload.check(model, path)
    only(report, "KW322")
    agrees(model, path, report)
    again = small(family, kinds[0], 6)
    assert "KW322" not in {finding.code for finding in kwload.check(again, path).findings}


def pointwise(family: Family, width: int, blocks: int, *, residual: bool) -> Any:
    """Nearly as many layers of the same ranks, with other windows."""
    layers, made = family.keras.layers, []
    for block in range(blocks):
        made.append(layers.Conv2D(width + block, 1, padding="same", use_bias=residual))
        middle = layers.Conv2D(width, 3, padding="same") if residual else layers.DepthwiseConv2D(3, padding="same")
        made += [middle, layers.BatchNormalization(), layers.Conv2D(width, 3 if residual else 1, padding="same")]
    return family.sequential(*made, layers.GlobalAveragePooling2D(), layers.Dense(9), inputs=(4, 4, 3))


@each_keras
def test_the_file_of_another_network_of_convolutions(family: Family, tmp_path: Path) -> None:
    path = family.save(pointwise(family, 7, 9, residual=False), tmp_path)
    only(kwload.check(pointwise(family, 24, 10, residual=True), path), "KW322")
    other = kwload.check(pointwise(family, 24, 10, residual=False), path)
    assert "KW322" not in {finding.code for finding in other.findings}


@each_plain
def test_one_change_is_not_another_model(family: Family, tmp_path: Path) -> None:
    layers = family.keras.layers
    path = family.save(vgg(family), tmp_path)
    model = family.sequential(
        *[layers.Conv2D(7 + i, 3, padding="same", name=f"c{i}") for i in range(13)],
        layers.Flatten(),
        layers.Dense(9),
        inputs=(4, 4, 3),
    )
    assert "KW322" not in {finding.code for finding in kwload.check(model, path).findings}


@each_keras
def test_not_built_and_what_to_build(family: Family, tmp_path: Path) -> None:
    layers, keras = family.keras.layers, family.keras

    def build(*made: Any) -> Any:
        return keras.Sequential(list(made))

    cases: list[tuple[Callable[[], Any], tuple[int, ...], str | None]] = [
        (lambda: build(layers.Dense(8), layers.Dense(3)), (784,), "(None, 784)"),
        (lambda: build(layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)), (8, 8, 3), "(None, height, width, 3)"),
        (lambda: build(layers.LSTM(4), layers.Dense(3)), (5, 6), "(None, length, 6)"),
    ]
    if family.name == "keras":  # tf_keras builds it by the layer alone
        cases.append((lambda: build(layers.Embedding(9, 4), layers.Dense(3)), (5,), None))
    for made, shape, suggested in cases:
        saved = made()
        saved.build((None, *shape))
        path = family.save(saved, tmp_path)
        found = only(kwload.check(made(), path), "KW311")
        assert f"file   {len(saved.weights)} tensors" in found.body and "model  0 variables" in found.body
        assert (suggested is None) == ("the file suggests" not in found.help[0])
        assert suggested is None or suggested in found.help[0]


def test_thousands_of_wrong_tensors(tmp_path: Path) -> None:
    """A check that fails everywhere is one page, and its cost is linear: each layer has units of its own."""
    import time

    import h5py

    from kwload import _core
    from kwload.report.build import build_report
    from kwload.spec.described import Keras, Model

    count, path = 4_000, tmp_path / "wide.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([f"d{i}" for i in range(count)], "S6")
        for i in range(count):
            group = file.create_group(f"d{i}")
            group.attrs["weight_names"] = np.array(["kernel:0", "bias:0"], "S8")
            group["kernel:0"], group["bias:0"] = np.zeros((2, 2), "f4"), np.zeros(2, "f4")
    groups: list[Any] = []
    for i in range(count):
        kernel = ("kernel", f"d{i}/kernel", f"d{i}", (3 + i, 4 + i), "float32", True)
        groups.append(
            (f"d{i}", f"d{i}", "Dense", 1, (kernel, ("bias", f"d{i}/bias", f"d{i}", (4 + i,), "float32", True)))
        )
    opened = _core.File(bytes(path))
    began = time.process_time()
    plan = _core.plan(opened, _core.Spec("legacy", groups), flavour="keras", version=31501, suffix="h5")
    model = Model(Keras("keras", (3, 15, 1), "keras.src", "tensorflow"), True, groups=groups)
    text = build_report(path=str(path), file=opened, model=model, plan=plan).render()
    assert time.process_time() - began < 30
    assert len(text.split("\n")) <= 40


@pytest.mark.parametrize(
    "nodes",
    [
        [(0, ((None, 1),)), (1, ())],
        [(0, (("layers", 1),)), (-1, ((None, 0),))],
        [(-1, ())],
        [(0, (("layers", 7),))],
        [(5, ())],
    ],
    ids=[
        "no name below an object",
        "no name above an object",
        "a model without group",
        "no such node",
        "no such group",
    ],
)
def test_a_graph_that_the_walk_cannot_follow_is_refused(nodes: list[Any]) -> None:
    from kwload import _core

    groups = [("", "net", "Model", 0, ()), ("layers/dense", "dense", "Dense", 0, ())]
    with pytest.raises(ValueError, match=r"node|edge"):
        _core.Spec("keras-3", groups, nodes)
    assert _core.Spec("keras-3", groups, [(0, (("layers", 1),)), (-1, (("dense", 2),)), (1, ())])
