"""Cases of reports about other variants of layers: number of weights, cuDNN, quantized, LoRA, transposed, heads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import report_cases as base
from report_cases import Layer, dense, file, model, predicts, raw, report, same

from kwload.report.facts import Options
from kwload.report.finding import Report

_MODES = ("", "int8", "int4", "float8", "gptq", "awq")


def _modes(old: str, new: str) -> int:
    return _MODES.index(old) * len(_MODES) + _MODES.index(new)


def _typed(held: Any, dtypes: dict[int, str]) -> Any:
    """A file whose tensors have these types, by row."""
    tensors = tuple(replace(item, dtype=dtypes.get(row, item.dtype)) for row, item in enumerate(held.tensors))
    return replace(held, tensors=tensors)


def cases() -> Iterator[tuple[str, Report]]:
    """Every case by name."""
    yield from _counts()
    yield from _heads()
    yield from _widths()
    yield from _unreached()
    yield from _attention()
    yield from _transposed()
    yield from _recurrent()
    yield from _of_keras_1()
    yield from _quantized()
    yield from architectures()


def _counts() -> Iterator[tuple[str, Report]]:
    stops = predicts("raises", **{**base.TOTAL, "a": 6})
    with_bias = [dense(f"d{i}", f"layers/dense_{i}", 8, 8) for i in range(6)]
    bare = [replace(layer, shapes={"kernel": (8, 8)}) for layer in with_bias]
    many = [raw(306, file_group=i, group=i, a=2, b=1) for i in range(6)]
    yield "KW306-biases", report(file(*with_bias), model(*bare), *many, pairs=[], prediction=stops)
    one = raw(306, file_group=1, group=1, a=2, b=1)
    yield "KW306-bias", report(file(*with_bias[:2]), model(with_bias[0], bare[1]), one, pairs=same(2), prediction=stops)
    four = {"gamma": (8,), "beta": (8,), "moving_mean": (8,), "moving_variance": (8,)}
    norm = Layer("bn", "bn", "BatchNormalization", four)
    half = Layer("bn", "bn", "BatchNormalization", {"gamma": (8,), "beta": (8,)})
    lacks = raw(306, file_group=0, group=0, a=2, b=4)
    yield (
        "KW306-statistics",
        report(file(half, layout="legacy"), model(norm), lacks, path="w.h5", pairs=[], prediction=stops),
    )
    parts: dict[str, tuple[int, ...]] = {}
    for name, width in (("stem", 4), ("extra", 8), ("proj", 8)):
        parts |= {f"{name}/kernel": (width, 8), f"{name}/bias": (8,)}
    inner = Layer("inner", "inner", "Functional", parts)
    short = replace(inner, shapes={name: shape for name, shape in parts.items() if "extra" not in name})
    more = raw(306, file_group=0, group=0, a=4, b=6)
    yield (
        "KW306-nested",
        report(file(short, layout="legacy"), model(inner), more, path="w.h5", pairs=[], prediction=stops),
    )
    lstm = Layer("lstm", "lstm", "LSTM", {"kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)})
    gates = {
        f"lstm_{kind}_{gate}": shape
        for gate in "icfo"
        for kind, shape in zip("WUb", ((3, 2), (2, 2), (2,)), strict=True)
    }
    old = raw(306, file_group=0, group=0, a=12, b=3)
    wider = {"kernel": (3, 16), "recurrent_kernel": (4, 16), "bias": (16,)}
    yield (
        "KW306-keras-1",
        report(
            file(replace(lstm, shapes=gates), layout="legacy"),
            model(replace(lstm, shapes=wider)),
            old,
            path="w.h5",
            pairs=[],
            prediction=stops,
        ),
    )


def _heads() -> Iterator[tuple[str, Report]]:
    stops = predicts("raises", **base.TOTAL)
    trunk = [dense(f"d{i}", f"layers/dense_{i}", 8, 8) for i in range(2)]
    fc, head = dense("fc", "layers/dense_2", 8, 4), dense("head", "layers/dense_3", 4, 25)
    gone = [raw(301, group=2), raw(301, group=3)]
    yield "KW301-notop", report(file(*trunk), model(*trunk, fc, head), *gone, pairs=same(4), prediction=stops)
    left = [raw(302, "warning", file_group=2, a=2), raw(302, "warning", file_group=3, a=2)]
    yield "KW302-top", report(file(*trunk, fc, head), model(*trunk), *left, unused=4)
    apart = [raw(305, group=2), raw(305, group=3)]
    old = file(*trunk, layout="legacy")
    yield (
        "KW305-notop",
        report(old, model(*trunk, fc, head), *apart, path="x_notop.h5", pairs=same(4), prediction=stops),
    )
    was, fresh = dense("head", "layers/dense_2", 8, 10), dense("fc", "layers/dense_2", 8, 16)
    both = (fresh, dense("out", "layers/dense_3", 16, 4))
    apart = [raw(307, file_group=2, group=2, tensor=4, variable=4, axis=1, related=[5]), raw(301, group=3)]
    stops_after = predicts("raises", **{**base.TOTAL, "a": 2}, assigned=4)
    yield (
        "KW326",
        report(file(*trunk, was), model(*trunk, *both), *apart, pairs=same(4), unused=2, prediction=stops_after),
    )
    part = [dense("s", "layers/dense", 8, 8), dense("t", "layers/dense_1", 8, 8)]
    around = [replace(layer, place=f"layers/sequential/{layer.place}") for layer in part]
    around = [Layer("inner", "layers/sequential", "Sequential", {}), *around, dense("out", "layers/dense", 8, 2)]
    yield (
        "KW327",
        report(
            file(*around),
            model(*part),
            raw(307, file_group=3, group=0),
            raw(301, group=1),
            pairs=[],
            unused=6,
            prediction=predicts("raises", **{**base.TOTAL, "a": 2}),
        ),
    )
    named = [raw(301, "warning", group=2), raw(301, "warning", group=3), raw(302, "warning", file_group=2, a=2)]
    silent = predicts("loads_part")
    yield (
        "KW326-name",
        report(
            file(*trunk, was, layout="legacy"),
            model(*trunk, *both),
            *named,
            path="w.h5",
            pairs=same(4),
            keras_pairs=same(4),
            unused=2,
            prediction=silent,
            options=Options(by_name=True),
        ),
    )
    extra = [raw(305, file_group=2), raw(305, file_group=3)]
    full = file(*trunk, fc, head, layout="legacy")
    yield "KW305-top", report(full, model(*trunk), *extra, path="w.h5", pairs=same(4), prediction=stops)


def _attention() -> Iterator[tuple[str, Report]]:
    def net(heads: int, size: int) -> list[Layer]:
        in_, out = {"kernel": (8, heads, size), "bias": (heads, size)}, {"kernel": (heads, size, 8), "bias": (8,)}
        places = {"query": in_, "key": in_, "value": in_, "output": out}
        return [
            Layer("mha", "layers/multi_head_attention", "MultiHeadAttention", {}),
            *(
                Layer(f"mha/{name}", f"layers/multi_head_attention/{name}_dense", "EinsumDense", shapes)
                for name, shapes in places.items()
            ),
        ]

    rows = {"file_group": 1, "group": 1, "tensor": 0, "variable": 0, "axis": 1}
    apart = raw(307, **rows, related=[1, 2, 3, 4, 5, 6])
    stops = predicts("raises", **{**base.TOTAL, "a": 4})
    yield "KW307-attention", report(file(*net(2, 4)), model(*net(4, 2)), apart, pairs=[], prediction=stops)


def _unreached() -> Iterator[tuple[str, Report]]:
    stops = predicts("raises", **{**base.TOTAL, "a": 2}, assigned=2)
    first = dense("first", "layers/dense", 8, 8)
    held = [dense(name, f"layers/block/parts/container{end}/dense", 8, 8) for name, end in (("p", ""), ("q", "_1"))]
    wanted = [dense(name, f"layers/block/{name}", 8, 8) for name in ("p", "q")]
    apart = [*(raw(301, group=row) for row in (1, 2)), *(raw(302, "warning", file_group=row, a=2) for row in (1, 2))]
    older = replace(model(first, *wanted), keras=base.FakeKeras("keras", (3, 8, 0)))
    found = {"pairs": same(2), "unused": 4, "source_group": [0, -1, -1], "prediction": stops}
    yield "KW405-lists", report(file(first, *held), older, *apart, **found)


def _widths() -> Iterator[tuple[str, Report]]:
    def net(*widths: int) -> list[Layer]:
        ends = zip((3, *widths), widths, strict=False)
        kernels = [(f"conv{i}", {"kernel": (3, 3, a, b), "bias": (b,)}) for i, (a, b) in enumerate(ends)]
        return [Layer(name, f"layers/conv2d_{i}", "Conv2D", shapes) for i, (name, shapes) in enumerate(kernels)]

    old, new = net(8, 16, 24, 32, 32, 48, 64, 96, 112, 10), net(16, 24, 40, 48, 56, 72, 96, 144, 168, 10)
    apart = [
        raw(307, file_group=i, group=i, tensor=2 * i, variable=2 * i, axis=3, related=[2 * i + 1]) for i in range(9)
    ]
    apart[8] = (*apart[8][:-1], [17, 18])
    stops = predicts("raises", **{**base.TOTAL, "a": 10})
    yield "KW307-widths", report(file(*old), model(*new), *apart, pairs=[], prediction=stops)


def _transposed() -> Iterator[tuple[str, Report]]:
    stops = predicts("raises", **{**base.TOTAL, "a": 3})
    torch = [Layer(f"c{i}", f"layers/conv2d_{i}", "Conv2D", {"kernel": (16, 8, 3, 3), "bias": (16,)}) for i in range(2)]
    keras = [replace(layer, shapes={"kernel": (3, 3, 8, 16), "bias": (16,)}) for layer in torch]
    square = dense("square", "layers/dense", 16, 16)
    turned = raw(308, file_group=0, group=0, tensor=0, variable=0, axis=0, a=2, b=2, related=[2])
    doubt = raw(308, "warning", file_group=2, group=2, tensor=4, variable=4, a=1, b=1)
    yield (
        "KW308-square",
        report(
            file(*torch, square),
            model(*keras, square),
            turned,
            doubt,
            pairs=[(4, 4, "path", "same")] * 1 + [(5, 5, "path", "same")],
            prediction=stops,
        ),
    )
    wide = Layer("deconv", "layers/conv2d", "Conv2D", {"kernel": (2048, 256, 4, 4)})
    small = replace(wide, shapes={"kernel": (4, 4, 128, 256)})
    shape = raw(307, file_group=0, group=0, tensor=0, variable=0, axis=0)
    yield "KW307-neither", report(file(wide), model(small), shape, pairs=[], prediction=stops)


def _recurrent() -> Iterator[tuple[str, Report]]:
    cell = {"kernel": (8, 6), "recurrent_kernel": (2, 6)}
    old = Layer("gru", "gru", "GRU", {**cell, "bias": (12,)})
    new = Layer("gru", "gru", "GRU", {**cell, "bias": (2, 6)})
    rows = {"file_group": 0, "group": 0, "tensor": 2, "variable": 2, "a": 1, "b": 1}
    held = file(old, layout="legacy")
    stops = predicts("raises", error_type="ValueError", error_prefix="Shape mismatch in layer #", error_group=0)
    yield "KW314-cudnn", report(held, model(new), raw(314, "warning", **rows), path="w.h5", prediction=stops)
    yield "KW314-cudnn-tf", report(held, model(new, flavour="tf_keras"), raw(314, "note", **rows), path="w.h5")
    before = replace(new, shapes={**cell, "bias": (6,)})
    yield "KW314-cudnn-before", report(held, model(before), raw(314, **rows), path="w.h5", pairs=[], prediction=stops)


def _of_keras_1() -> Iterator[tuple[str, Report]]:
    """What is converted when it is loaded: gates, axes, kernels that Theano turns around."""
    stops = predicts("raises", error_type="ValueError", error_prefix="Weight count mismatch for layer #", error_group=0)
    lstm = Layer("lstm_1", "lstm_1", "LSTM", {"kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)})
    parts = (("W", (3, 2)), ("U", (2, 2)), ("b", (2,)))
    apart = replace(lstm, shapes={f"lstm_1_{part}_{gate}": shape for gate in "icfo" for part, shape in parts})
    conv = Layer("conv", "conv", "Conv2D", {"kernel": (3, 3, 1, 5), "bias": (5,)})
    first = replace(conv, shapes={"conv_W": (5, 1, 3, 3), "conv_b": (5,)})
    place = {"group": 0, "file_group": 0, "tensor": 0, "variable": 0}
    both = file(apart, first, layout="legacy", metadata={"written_by": "Keras 1"})
    pairs = [(0, 0, "order", "same"), (1, 1, "order", "same"), (2, 2, "order", "same")]
    pairs += [(12, 3, "order", "same"), (13, 4, "order", "same")]
    found = raw(405, "warning", **place, a=2, b=4, axis=3, related=[1, 2, 3])
    yield "KW405-keras-1", report(both, model(lstm, conv), found, path="w.h5", pairs=pairs, prediction=stops)
    alone = file(apart, layout="legacy", metadata={"keras_version": "1.2.2"})
    note = raw(405, "note", **place, a=1, b=3, axis=1, related=[1, 2])
    yield "KW405-keras-1-tf", report(alone, model(lstm, flavour="tf_keras"), note, path="w.h5", pairs=pairs[:3])
    square = replace(conv, kind="Conv2DTranspose", shapes={"kernel": (3, 3, 5, 5), "bias": (5,)})
    turned = raw(405, "warning", **place, a=1, b=1, axis=2)
    wrong = predicts("loads_wrong")
    held = file(square, layout="legacy", metadata={"written_by": "Keras 1"})
    yield "KW405-exchanged", report(held, model(square), turned, path="w.h5", prediction=wrong)
    plain = {"keras_version": "2.2.4", "backend": "theano"}
    found = raw(405, "warning", **place, a=1, b=1, axis=4)
    held = file(conv, layout="legacy", metadata=plain)
    yield "KW405-theano", report(held, model(conv), found, path="w.h5", prediction=wrong)
    held = file(conv, layout="legacy", metadata={"written_by": "Keras 1"})
    yield "KW405-backend", report(held, model(conv), path="w.h5")


def _quantized() -> Iterator[tuple[str, Report]]:
    stops = predicts("raises", **base.TOTAL)
    plain = Layer("d", "layers/dense", "Dense", {"kernel": (12, 16), "bias": (16,)})
    eight = replace(plain, shapes={**plain.shapes, "scale": (16,)})
    four = replace(plain, shapes={"kernel": (12, 8), "bias": (16,), "scale": (3, 16), "zero": (3, 16), "g_idx": (12,)})
    both = raw(315, file_group=0, group=0, axis=_modes("int4", "int8"), a=1, b=1)
    held = _typed(file(four), {0: "int8", 3: "int8"})
    yield "KW315-both", report(held, model(eight), both, pairs=[], prediction=stops)
    bare = replace(plain, shapes={"kernel": (12, 16), "scale": (16,)})
    silent = raw(315, file_group=0, group=0, axis=_modes("int8", ""), a=1)
    held = _typed(file(bare), {0: "int8"})
    yield "KW315-silent", report(held, model(plain), silent, pairs=[], prediction=predicts("loads_wrong"))
    shapes = {"bias": (16,), "kernel": (8, 12), "scale": (16, 3), "g_idx": (12,)}
    held = _typed(file(replace(plain, shapes=shapes)), {1: "uint8"})
    lacks = raw(315, file_group=0, group=0, axis=_modes("gptq", ""), a=1)
    yield "KW315-zero-points", report(held, model(plain), lacks, pairs=[], prediction=stops)
    lora = {"bias": (16,), "lora_kernel_a": (12, 2), "lora_kernel_b": (2, 16), "kernel": (12, 16)}
    one = raw(325, file_group=0, group=0, a=1)
    old = file(replace(plain, shapes=lora), layout="legacy")
    yield "KW325", report(old, model(plain), one, path="w.h5", pairs=[], prediction=stops, options=Options())


def architectures() -> Iterator[tuple[str, Report]]:
    """The file of another model."""
    stops = predicts("raises", **{**base.TOTAL, "a": 16})
    vgg = [
        Layer(f"block{b}_conv{c}", f"layers/conv2d_{b}{c}", "Conv2D", {"kernel": (3, 3, 3 if b == c == 1 else 64, 64)})
        for b in range(1, 6)
        for c in range(1, 4)
    ]
    stem = Layer("conv1_conv", "layers/conv2d", "Conv2D", {"kernel": (7, 7, 3, 64), "bias": (64,)})
    blocks = [
        Layer(f"conv{i}_block3_1_conv", f"layers/conv2d_{i}", "Conv2D", {"kernel": (1, 1, 256, 64)})
        for i in range(2, 6)
    ]
    wrong = raw(322, a=5, b=15)
    yield "KW322", report(file(stem, *blocks), model(*vgg), wrong, pairs=[], prediction=stops)
    plain = [dense("dense", "layers/dense", 784, 32), dense("dense_1", "layers/dense_1", 32, 5)]
    old = file(*plain, layout="legacy")
    yield "KW322-small", report(old, model(*vgg), raw(322, a=2, b=15), path="w.weights.h5", pairs=[], prediction=stops)
    odd = [Layer(f"w{i}", f"layers/mine_{i}", "Mine", {"w": (5, 5, 5)}) for i in range(6)]
    yield "KW322-unknown", report(file(*odd), model(*vgg), raw(322, a=6, b=15), pairs=[], prediction=stops)
