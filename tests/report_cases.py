"""Hand-made facts for reports: files, models and plans with the attributes of the real ones, one case for each code."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from kwload.meaning import Change, GraphChange, LayerChange, Meaning
from kwload.meaning.values import Obj
from kwload.report.build import build_report, path_report, tensor_report
from kwload.report.facts import CoreFailure, Fault, Options, Seen
from kwload.report.finding import Report
from kwload.report.stamped import unusable, verified_report
from kwload.spec.architecture import Unverified
from kwload.spec.architecture.things import Given
from kwload.spec.compared import Differs
from kwload.spec.confirm import Verdict
from kwload.stamps.changed import CodeChange, Witness
from kwload.stamps.fingerprint import Fingerprint, compare
from kwload.stamps.layers import Code
from kwload.stamps.stamp import Part, Stamp, Stamped
from kwload.stamps.verify import Verified

NAMED, OPTIMIZER, OWN_LOAD, NOT_BUILT = 1 << 0, 1 << 3, 1 << 6, 1 << 7

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class FakeTensor:
    path: str
    layer: str
    variable: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    file: str = ""
    offset: int | None = 2048
    nbytes: int = 0
    storage: str = "contiguous"
    unmarked: bool = False
    fault: Fault | None = None


@dataclass(frozen=True)
class FakeFile:
    content: str = "hdf5"
    layout: str = "keras-3"
    size: int = 1_234_567
    tensors: tuple[FakeTensor, ...] = ()
    groups: tuple[Any, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[tuple[int, int | None, str, str, int, int], ...] = ()
    config: bytes | None = None
    training: bytes | None = None
    title: str | None = None


@dataclass(frozen=True)
class FakeKeras:
    flavour: str = "keras"
    version: tuple[int, int, int] = (3, 15, 1)


@dataclass(frozen=True)
class FakeModel:
    groups: list[Any]
    keras: FakeKeras = field(default_factory=FakeKeras)
    untracked: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class FakeArchitecture(FakeModel):
    said: str = "model.keras"
    unverified: Sequence[Unverified] = ()
    unsure: str | None = None
    unchecked: int = 0
    open_rows: frozenset[int] | None = frozenset()


@dataclass(frozen=True)
class FakePlan:
    pairs: list[tuple[int, int, str, str]] = field(default_factory=list)
    keras_pairs: list[tuple[int, int, str, str]] = field(default_factory=list)
    findings: list[Any] = field(default_factory=list)
    undecidable: list[list[int]] = field(default_factory=list)
    source_group: list[int] = field(default_factory=list)
    own_group: list[int] = field(default_factory=list)
    wanted: int = 0
    unused: int = 0
    prediction: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Layer:
    """A layer of a file or a model: its name, its place in the Keras 3 layout, its class, its variables."""

    name: str
    place: str
    kind: str
    shapes: Shapes
    dtype: str = "float32"
    flags: int = NAMED


def dense(name: str, place: str, inputs: int, units: int, dtype: str = "float32") -> Layer:
    return Layer(name, place, "Dense", {"kernel": (inputs, units), "bias": (units,)}, dtype)


def file(
    *layers: Layer,
    layout: str = "keras-3",
    faults: Mapping[int, Fault] | None = None,
    unnamed: bool = False,
    **options: Any,
) -> FakeFile:
    """A file with these layers; *faults* by row of the tensor."""
    tensors: list[FakeTensor] = []
    groups = []
    for layer in layers:
        slots = []
        for i, (variable, shape) in enumerate(layer.shapes.items()):
            legacy = layout.startswith("legacy")
            path = f"{layer.name}/{layer.name}/{variable}" if legacy else f"{layer.place}/vars/{i}"
            fault = (faults or {}).get(len(tensors))
            slots.append((f"{layer.name}/{variable}:0" if legacy else str(i), len(tensors)))
            name = variable if legacy else str(i)
            nbytes = 4 * math.prod(shape)
            tensors.append(FakeTensor(path, layer.name, name, shape, layer.dtype, nbytes=nbytes, fault=fault))
        path = layer.name if layout.startswith("legacy") else layer.place
        groups.append((path, None if unnamed else layer.name, layer.flags, tuple(slots), None))
    return FakeFile(layout=layout, tensors=tuple(tensors), groups=tuple(groups), **options)


def model(*layers: Layer, flavour: str = "keras", untracked: Sequence[tuple[str, str]] = ()) -> FakeModel:
    groups = []
    for layer in layers:
        rows = [
            (name, f"{layer.name}/{name}", layer.name, shape, layer.dtype, True) for name, shape in layer.shapes.items()
        ]
        groups.append((layer.place, layer.name, layer.kind, layer.flags, tuple(rows)))
    version = (3, 15, 1) if flavour == "keras" else (2, 21, 0)
    return FakeModel(groups, FakeKeras(flavour, version), list(untracked))


def raw(
    code: int,
    severity: str = "error",
    *,
    file_group: int = -1,
    group: int = -1,
    tensor: int = -1,
    variable: int = -1,
    other: int = -1,
    axis: int = -1,
    a: int = 0,
    b: int = 0,
    related: Sequence[int] = (),
) -> tuple[Any, ...]:
    return (code, severity, file_group, group, tensor, variable, other, axis, a, b, list(related))


def same(count: int, *without: int, cast: str = "same") -> list[tuple[int, int, str, str]]:
    return [(row, row, "path", cast) for row in range(count) if row not in without]


def predicts(outcome: str, **more: Any) -> dict[str, Any]:
    return {"outcome": outcome, "error_group": -1, "error_tensor": -1, "a": 0, "b": 0, "assigned": 0, **more}


LAYERS = "Layer count mismatch when loading weights from file. Model expected "
TOTAL = {"error_type": "ValueError", "error_prefix": "A total of ", "inner_prefix": "Layer '", "a": 1}
A, B, C = dense("a", "layers/dense", 10, 16), dense("b", "layers/dense_1", 16, 16), dense("c", "layers/dense_2", 16, 16)
HEAD10, HEAD12 = dense("head", "layers/dense_1", 128, 10), dense("head", "layers/dense_1", 128, 12)
UNREAD = predicts("unknown", reason="a tensor that it reads is damaged, or stored outside the file")
NO_NUMBER = predicts("unknown", reason="a tensor that it reads has a type that is not a number's")
PATH = "model.weights.h5"
PLAIN = Options()


def report(
    held: FakeFile,
    wanted: FakeModel | None = None,
    *findings: Any,
    path: str = PATH,
    options: Options = PLAIN,
    prediction: dict[str, Any] | None = None,
    seen: Sequence[Seen] = (),
    meaning: Meaning | None = None,
    signed: Sequence[Verdict] = (),
    witness: Witness | None = None,
    **plan: Any,
) -> Report:
    """The report on hand-made facts, with a plan when there is a model."""
    made = None
    if wanted is not None:
        plan.setdefault("wanted", sum(len(group[4]) for group in wanted.groups))
        plan.setdefault("pairs", same(min(plan["wanted"], len(held.tensors))))
        foreseen = prediction or predicts("loads")
        raises = foreseen["outcome"] == "raises"
        plan.setdefault("keras_pairs", same(foreseen["assigned"]) if raises else plan["pairs"])
        plan.setdefault("source_group", list(range(len(wanted.groups))))
        made = FakePlan(findings=list(findings), prediction=foreseen, **plan)
    return build_report(
        path=path,
        file=held,
        model=wanted,
        plan=made,
        options=options,
        seen=seen,
        meaning=meaning,
        signed=signed,
        witness=witness,
    )


def _paths() -> Iterator[tuple[str, Report]]:
    for code in (101, 102, 103, 104):
        yield f"KW{code}", path_report("no/such/folder/model.weights.h5", CoreFailure(code, errno=2))
    yield "KW106", path_report("/dev/null", CoreFailure(106, detail="a character device"))
    yield "KW107", path_report(PATH, CoreFailure(107, detail="Input/output error", errno=5))
    yield "KW213", path_report(PATH, CoreFailure(213, detail="out of memory"))


def _containers() -> Iterator[tuple[str, Report]]:
    def other(content: str, code: int, detail: str = "", title: str | None = None, size: int = 134) -> Report:
        fault = (code, 0, detail, "", 0, 0)
        return report(FakeFile(content=content, layout="unknown", size=size, faults=(fault,), title=title))

    yield "KW105", other("empty", 105, size=0)
    yield "KW201-lfs", other("git-lfs-pointer", 201, title="oid sha256:4d7a214614ab2935c943f9e0ff69d22e size 12345")
    yield "KW201-html", other("html", 201, title="Google Drive - Virus scan warning", size=2441)
    yield "KW201-text", other("text", 201, size=29)
    yield "KW208-container", other("tf-checkpoint", 208, "this is for a later version")
    yield "KW212", other("hdf5", 212, "no layer_names, no vars")
    lost = {4: (202, 9_000, "past the end"), 5: (202, 9_900, "past the end")}
    cut = (202, 8_608, "superblock", "", 8_608, 17_216)
    broken = (204, 8_000, "local heap signature", "layers", 0, 0)
    fault = predicts("raises", error_type="OSError", error_prefix="")
    held = file(A, B, C, size=8_608, faults=lost)
    yield (
        "KW202",
        report(
            FakeFile(**{**vars(held), "faults": (cut, broken)}), model(A, B, C), pairs=same(6, 4, 5), prediction=fault
        ),
    )
    yield "KW203", report(FakeFile(size=36_000, faults=((203, 800, "root object header is zero", "", 0, 0),)))
    heap = (204, 4_096, "local heap signature", "layers/dense", 0, 0)
    yield "KW204", report(FakeFile(**{**vars(file(A, B)), "faults": (heap,)}), model(A, B), prediction=fault)
    damaged = {2: (204, 5_000, "datatype message")}
    yield "KW204-tensor", report(file(A, B, faults=damaged), model(A, B), prediction=UNREAD)
    sums = CoreFailure(205, detail="CRC-32 of model.weights.h5 is 1f00c0de, the archive records 4d7a2146")
    zipped = file(A, B, content="keras", metadata={"keras_version": "3.15.1", "date_saved": "2026-03-01@10:00:00"})
    yield "KW205", build_report(path="model.keras", file=zipped, errors=[sums])
    missing = (207, None, "No such file or directory", "big_00001.weights.h5", 0, 0)
    yield (
        "KW207",
        report(FakeFile(**{**vars(file(A)), "content": "shards", "faults": (missing,)}), path="big.weights.json"),
    )
    yield "KW108", build_report(path=PATH, file=file(A), writer=4711)
    other = {**vars(file(A)), "content": "shards"}
    absent = (214, None, "layers/dense is not in it", "big_00000.weights.h5", 2, 4)
    beside = (214, None, "the map does not list all that is in it", "big_00001.weights.h5", 0, 4)
    total = (214, None, "the map says 1234 bytes", "", 1234, 49_920)
    yield (
        "KW214",
        report(FakeFile(**{**other, "faults": (absent, beside)}), model(A), path="big.weights.json", pairs=[]),
    )
    yield (
        "KW214-beside",
        report(FakeFile(**{**other, "faults": (beside,)}), model(A), path="big.weights.json", pairs=same(2)),
    )
    yield (
        "KW214-total",
        report(FakeFile(**{**other, "faults": (total,)}), model(A), path="big.weights.json", pairs=same(2)),
    )
    yield "KW208", report(file(A, B, faults={1: (208, 5_000, "compound of 3")}), model(A, B), prediction=NO_NUMBER)
    odd = FakeFile(
        **{**vars(file(A)), "tensors": (replace(file(A).tensors[0], dtype="text of 3 bytes"), *file(A).tensors[1:])}
    )
    unread = raw(208, file_group=0, group=0, tensor=0, variable=0)
    yield "KW208-plan", report(odd, model(A), unread, pairs=same(2), prediction=NO_NUMBER)
    yield "KW211", build_report(path=PATH, file=file(A), errors=[CoreFailure(211)])
    for code, detail in (
        (601, "external link to /etc/passwd"),
        (602, "external file list"),
        (603, "virtual layout"),
        (604, "16 GiB declared, 4784 bytes in the file"),
        (605, "hard link to layers"),
        (606, "bytes 800 to 900 are claimed already"),
        (607, "../../outside"),
    ):
        yield f"KW{code}", report(FakeFile(**{**vars(file(A)), "faults": ((code, 800, detail, "layers/dense", 0, 0),)}))
    yield "KW608", report(FakeFile(**{**vars(file(A)), "faults": ((608, 12_760, "", "", 9_096, 5_000),)}))
    outside = file(A, faults={0: (601, None, "external link to \x1b[2J\u202e/etc")})
    yield "KW601-name", report(outside, model(A), prediction=UNREAD)
    yield "tensor", tensor_report(PATH, file(A), file(A).tensors[0], CoreFailure(208, 5_000, "compound of 3"))


def _names() -> Iterator[tuple[str, Report]]:
    legacy = {"layout": "legacy", "metadata": {"keras_version": "2.12.0", "backend": "tensorflow"}}
    raises = predicts("raises", **TOTAL)
    yield "KW206-legacy", report(file(A, B, **legacy), model(A, B), prediction=raises)
    none = predicts("raises", error_type="ValueError", error_prefix=LAYERS, a=2, b=0)
    yield "KW206-v3", report(file(A, B), model(A, B), path="v3.h5", prediction=none)
    zipped = predicts("raises", error_type="OSError", error_prefix="")
    yield "KW206-zip", report(file(A, content="keras"), model(A), prediction=zipped)
    suffix = predicts("raises", error_type="ValueError", error_prefix="File format not supported: filepath=")
    yield "KW206-other", report(file(A, B), model(A, B), path="weights.bin", prediction=suffix)
    yield "KW209", report(file(A, B), model(A, B), raw(209, "note"))
    whole = {**legacy, "layout": "legacy-model", "config": b"{}"}
    yield "KW210", report(file(A, B, **whole), model(A, B), path="model_save.hdf5")


def _fits() -> Iterator[tuple[str, Report]]:
    yield "good", report(file(A, B, C), model(A, B, C))
    yield "good-loads-part", report(file(A, B), model(A, B), prediction=predicts("loads_part"), keras_pairs=same(2))
    nobody = predicts("unknown", reason="a class loads its own variables")
    yield "good-unknown", report(file(A), model(A), prediction=nobody)
    yield "good-own-options", report(file(A), model(A), options=Options(own=True))
    gone = raw(301, group=2, related=[4, 5])
    stops = predicts("raises", **TOTAL, assigned=4, error_group=2)
    yield "KW301", report(file(A, B), model(A, B, C), gone, pairs=same(4), prediction=stops)
    many = [dense(f"layer_{i}", f"layers/dense_{i}", 8, 8) for i in range(30)]
    lost = [raw(301, group=i, related=[2 * i, 2 * i + 1]) for i in range(1, 30)]
    yield (
        "KW301-many",
        report(file(many[0]), model(*many), *lost, pairs=same(2), prediction={**stops, "assigned": 2, "a": 29}),
    )
    yield "KW302", report(file(A, B, C), model(A, B), raw(302, "warning", file_group=2), unused=2)
    old, new = dense("dense_layer_1", "layers/dense", 10, 64), dense("dense_layer_one", "layers/dense", 10, 64)
    yield "KW303", report(file(old), model(new), raw(303, "note", file_group=0, group=0))
    renamed = [raw(303, "note", file_group=i, group=i) for i in range(30)]
    yield (
        "KW303-many",
        report(file(*many), model(*(dense(f"block_{i}", f"layers/dense_{i}", 8, 8) for i in range(30))), *renamed),
    )
    wrong = predicts("loads_wrong")
    swap = [raw(304, file_group=0, group=0, other=1, related=[0, 1, 2, 3])]
    d, e = dense("decoder", "layers/dense", 8, 8), dense("encoder", "layers/dense_1", 8, 8)
    crossed = [(0, 2, "path", "same"), (1, 3, "path", "same"), (2, 0, "path", "same"), (3, 1, "path", "same")]
    held = file(dense("encoder", "layers/dense", 8, 8), dense("decoder", "layers/dense_1", 8, 8))
    yield "KW304", report(held, model(d, e), *swap, prediction=wrong, pairs=crossed, keras_pairs=same(4))
    new = dense("new", "layers/dense_1", 16, 16)
    shifted = raw(305, file_group=2, group=1, other=2, related=[2, 3, 4, 5])
    moved = model(A, new, dense("b", "layers/dense_2", 16, 16))
    silent = {"prediction": wrong, "pairs": same(2), "keras_pairs": same(6)}
    yield "KW305", report(file(A, B, C), moved, shifted, **silent)
    legacy = [dense(layer.name, layer.name, 10 if layer is A else 16, 16) for layer in (A, new, B)]
    yield "KW305-legacy", report(file(A, B, C, layout="legacy"), model(*legacy), shifted, path="w.h5", **silent)
    removed = raw(305, file_group=0, other=0, related=[0, 1, 2, 3])
    fewer = model(dense("b", "layers/dense", 16, 16), dense("c", "layers/dense_1", 16, 16))
    yield "KW305-removed", report(file(A, B, C), fewer, removed, prediction=wrong, pairs=[], keras_pairs=same(4))
    no_bias = Layer("b", "layers/dense_1", "Dense", {"kernel": (16, 16)})
    fewer = raw(306, file_group=1, group=1, a=1, b=2)
    yield (
        "KW306",
        report(
            file(A, no_bias), model(A, B), fewer, pairs=same(2), prediction={**stops, "error_group": 1, "assigned": 2}
        ),
    )
    three = file(dense("first", "", 10, 64), dense("second", "", 64, 32), dense("third", "", 32, 10), layout="legacy")
    two = model(dense("first", "first", 10, 64), dense("third", "third", 64, 10))
    count = {
        "error_type": "ValueError",
        "error_prefix": LAYERS,
        "a": 2,
        "b": 3,
    }
    extra, stops = raw(305, file_group=1, other=1, a=1, b=1), predicts("raises", **count)
    yield "KW305-file", report(three, two, extra, path="w.h5", pairs=[], prediction=stops)
    one = file(dense("first", "", 10, 64), dense("third", "", 64, 10), layout="legacy")
    more = model(dense("first", "first", 10, 64), dense("new", "new", 64, 64), dense("third", "third", 64, 10))
    extra = raw(305, group=1, other=2, a=1, b=1)
    yield "KW305-model", report(one, more, extra, path="w.h5", pairs=[], prediction={**stops, "a": 3, "b": 2})
    yield "KW301-lost", report(three, two, raw(301, file_group=1), path="w.h5", pairs=[], prediction=stops)
    yield (
        "KW306-layers",
        report(three, two, raw(306, a=3, b=2), path="w.h5", pairs=[], prediction=predicts("raises", **count)),
    )


def _shapes() -> Iterator[tuple[str, Report]]:
    base = [dense(f"dense_{i}", f"layers/dense_{i}", 128, 128) for i in range(31)]
    wide = raw(307, file_group=31, group=31, tensor=62, variable=62, axis=1, related=[63])
    stops = predicts("raises", **TOTAL, assigned=62, error_group=31)
    yield "KW307", report(file(*base, HEAD10), model(*base, HEAD12), wide, pairs=same(62), prediction=stops)
    kernel = {"kernel": (3, 3, 16, 32), "bias": (32,)}
    conv, more = (
        Layer("conv", "layers/conv2d", "Conv2D", kernel),
        Layer("conv", "layers/conv2d", "Conv2D", {"kernel": (3, 3, 16, 64), "bias": (64,)}),
    )
    one = raw(307, file_group=0, group=0, tensor=0, variable=0, axis=3, related=[1])
    heads = [
        dense("trunk", "layers/dense", 4, 6),
        dense("h1", "layers/dense_1", 6, 2),
        dense("h2", "layers/dense_2", 6, 3),
    ]
    wider = [heads[0], dense("h1", "layers/dense_1", 6, 5), dense("h2", "layers/dense_2", 6, 7)]
    two = [raw(307, file_group=i, group=i, tensor=2 * i, variable=2 * i, axis=1, related=[2 * i + 1]) for i in (1, 2)]
    yield (
        "KW307-heads",
        report(
            file(*heads),
            model(*wider),
            *two,
            pairs=same(2),
            prediction={**stops, "a": 2, "assigned": 2, "error_group": -1},
        ),
    )
    yield (
        "KW307-bytes",
        report(
            file(*heads),
            model(*wider),
            *two,
            path="<bytes>",
            pairs=same(2),
            prediction={**stops, "a": 2, "assigned": 2, "error_group": -1},
        ),
    )
    yield "KW307-conv", report(file(conv), model(more), one, pairs=[], prediction=predicts("raises", **TOTAL))
    cell = {"kernel": (8, 256), "recurrent_kernel": (64, 256), "bias": (256,)}
    lstm = Layer("lstm/lstm_cell", "layers/lstm/cell", "LSTMCell", cell)
    wide_cell = {"kernel": (8, 512), "recurrent_kernel": (128, 512), "bias": (512,)}
    one = raw(307, file_group=0, group=0, tensor=0, variable=0, axis=1, related=[1, 2])
    yield (
        "KW307-lstm",
        report(
            file(lstm),
            model(Layer(lstm.name, lstm.place, lstm.kind, wide_cell)),
            one,
            pairs=[],
            prediction=predicts("raises", **TOTAL),
        ),
    )
    flat, deep = Layer("x", "layers/my", "My", {"w": (1, 10)}), Layer("x", "layers/my", "My", {"w": (10,)})
    rank = raw(307, file_group=0, group=0, tensor=0, variable=0)
    yield "KW307-rank", report(file(flat), model(deep), rank, pairs=[], prediction=predicts("raises", **TOTAL))
    layers = [dense(f"block_{i}", f"layers/dense_{i}", 64, 64) for i in range(30)]
    grown = [dense(f"block_{i}", f"layers/dense_{i}", 64, 65 + i if i % 2 else 63 - i) for i in range(30)]
    all_ = [
        raw(307, file_group=i, group=i, tensor=2 * i, variable=2 * i, axis=1, related=[2 * i + 1]) for i in range(30)
    ]
    yield (
        "KW307-many",
        report(
            file(*layers),
            model(*grown),
            *all_,
            pairs=[],
            prediction=predicts("raises", **{**TOTAL, "a": 30}, error_group=0),
        ),
    )
    torch = Layer("conv", "layers/conv2d", "Conv2D", {"kernel": (255, 1024, 1, 1)})
    keras = Layer("conv", "layers/conv2d", "Conv2D", {"kernel": (1, 1, 1024, 255)})
    yield (
        "KW308",
        report(
            file(torch),
            model(keras),
            raw(308, file_group=0, group=0, tensor=0, variable=0),
            pairs=[],
            prediction=predicts("raises", **TOTAL),
        ),
    )
    gru = {"kernel": (8, 6), "recurrent_kernel": (2, 6)}
    old, new = (
        Layer("gru", "layers/gru/cell", "GRUCell", {**gru, "bias": (6,)}),
        Layer("gru", "layers/gru/cell", "GRUCell", {**gru, "bias": (2, 6)}),
    )
    yield (
        "KW314",
        report(
            file(old),
            model(new),
            raw(314, file_group=0, group=0, tensor=2, variable=2),
            pairs=same(2),
            prediction=predicts("raises", **TOTAL),
        ),
    )
    small = Layer("b", "layers/dense_1", "Dense", {"kernel": (16, 16), "bias": (16,), "scale": (16,)}, "int8")
    yield (
        "KW315",
        report(
            file(A, small),
            model(A, B),
            raw(315, file_group=1, group=1, axis=6),
            pairs=same(2),
            prediction=predicts("raises", **TOTAL),
        ),
    )
    more = Layer("c", "layers/dense_2", "Dense", small.shapes, "int8")
    both = raw(315, file_group=1, group=1, axis=6, related=[2, 3, 4, 5])
    stops = predicts("raises", **TOTAL)
    yield "KW315-layers", report(file(A, small, more), model(A, B, C), both, pairs=same(2), prediction=stops)
    pair = [Layer(f"bi/{way}", f"layers/bi/{way}", "GRUCell", {**gru, "bias": (2, 6)}) for way in ("ahead", "back")]
    flat = [Layer(item.name, item.place, item.kind, {**gru, "bias": (6,)}) for item in pair]
    both = raw(314, file_group=0, group=0, tensor=2, variable=2, related=[5])
    stops = predicts("raises", **{**TOTAL, "a": 2})
    wide = same(8, 0, 1, 2, 3, 4, 5)
    yield "KW314-layers", report(file(*pair, A), model(*flat, A), both, pairs=wide, prediction=stops)
    yield (
        "KW315-model",
        report(
            file(A, B),
            model(A, small),
            raw(315, file_group=1, group=1, axis=1),
            pairs=same(2),
            prediction=predicts("raises", **TOTAL),
        ),
    )


def _others() -> Iterator[tuple[str, Report]]:
    double = [dense(name, f"layers/{name}", 8, 8, "float64") for name in "ab"]
    single = [dense(name, f"layers/{name}", 8, 8) for name in "ab"]
    rounds = [raw(309, "warning", file_group=i // 2, group=i // 2, tensor=i, variable=i) for i in range(4)]
    yield "KW309", report(file(*double), model(*single), *rounds, pairs=same(4, cast="rounds"))
    enc = file(dense("enc", "", 8, 8), dense("dec", "", 8, 8), layout="legacy")
    swa = model(dense("swa_enc", "swa_enc", 8, 8), dense("swa_dec", "swa_dec", 8, 8))
    by_name = Options(by_name=True)
    nothing = predicts("loads_nothing")
    yield "KW310", report(enc, swa, raw(310, a=2, b=2), path="w.h5", options=by_name, pairs=[], prediction=nothing)
    far = model(Layer("x", "layers/my", "My", {"w": (3,)}))
    yield "KW310-order", report(file(A, B), far, raw(310), pairs=[], prediction=predicts("raises", **TOTAL))
    built = predicts(
        "raises",
        error_type="ValueError",
        error_prefix="You are loading weights into a model that has not yet been built.",
    )
    yield (
        "KW311",
        report(file(dense("a", "layers/dense", 784, 128), HEAD10), model(), raw(311), pairs=[], prediction=built),
    )
    norms = {"bn1/gamma": (4,), "bn2/gamma": (4,), "bn1/mean": (4,), "bn2/mean": (4,)}
    turned = dict(sorted(norms.items()))
    yield (
        "KW313",
        report(
            file(Layer("inner", "", "Functional", turned), layout="legacy"),
            model(Layer("inner", "inner", "Functional", norms)),
            raw(313, file_group=0, group=0),
            path="w.h5",
            pairs=[],
            prediction=predicts("loads_wrong"),
        ),
    )
    yield "KW316", report(file(A, B), model(A, B), raw(316, "note", a=5))
    yield "KW316-fresh", report(file(A, B), model(A, B), raw(316, "note", a=9, b=10))
    yield "KW317", report(file(A), model(A, untracked=[("scale", "factor"), ("scale", "offset")]))
    skipped = raw(318, "warning", file_group=1, group=1, tensor=2, variable=2, related=[3])
    yield (
        "KW318",
        report(
            file(A, HEAD10),
            model(A, HEAD12),
            skipped,
            options=Options(skip_mismatch=True),
            pairs=same(2),
            prediction=predicts("loads_part", assigned=2),
        ),
    )
    named = raw(318, "warning", group=1, other=1, related=[2, 3])
    yield (
        "KW318-name",
        report(
            enc,
            model(dense("enc", "enc", 8, 8), dense("new", "new", 8, 8)),
            named,
            path="w.h5",
            options=by_name,
            pairs=same(2),
            prediction=predicts("loads_part"),
            keras_pairs=same(2),
        ),
    )
    yield "KW319", report(file(A, B, C, unnamed=True), model(A, B, C), raw(319, "note", group=1), undecidable=[[1, 2]])
    option = predicts(
        "raises",
        error_type="ValueError",
        error_prefix="`by_name` only supports loading legacy '.h5' or '.hdf5' files. Received: ",
    )
    yield "KW320", report(file(A), model(A), raw(320), options=by_name, prediction=option)
    spoken = report(file(A), model(A), raw(320, "warning"), options=by_name, prediction=option)
    yield "KW320-names", spoken
    old = model(A, flavour="tf_keras")
    yield "KW320-unread", report(file(A), old, raw(320, "warning", a=2), options=by_name)
    yield "KW310-none", report(file(A, B), model(), raw(310), pairs=[], prediction=nothing)
    gapped = FakeFile(**{**vars(file(A)), "groups": (("layers/dense", "a", NAMED, (("0", 0), ("2", 1)), None),)})
    yield (
        "KW321",
        report(gapped, model(A), raw(321, file_group=0, group=0), pairs=[], prediction=predicts("raises", **TOTAL)),
    )
    cell = predicts("raises", error_type="ValueError", error_prefix="Layer '", error_group=1)
    yield "KW406", report(file(A, B), model(A, B, flavour="tf_keras"), prediction=cell)
    old = replace(file(A, B), layout="tf-2.12")
    yield "KW406-tf-2.12", report(old, model(A, B, flavour="tf_keras"), prediction=cell)
    yield from _meanings()
    yield from _signatures()
    yield "KW404", report(file(A), model(A), raw(404, "note", file_group=0, group=0))


def _meanings() -> Iterator[tuple[str, Report]]:
    stored, live = Obj("LeakyReLU", {"negative_slope": 0.3}), "relu"
    gelu = Change("activation", stored, live, "output")
    several = LayerChange("outer/a", "Conv2D", (gelu, Change("strides", [1, 2], 1, "output")))
    many = [LayerChange(f"block_{i}", "Dense", (gelu,)) for i in range(50)]
    beta = LayerChange("mine", "My", (Change("beta\n", 1, "x" * 99, "may"),))
    joined = [
        GraphChange("added", "act", live=("Activation", "a")),
        GraphChange("removed", "pool", stored=("MaxPooling2D", "b")),
        GraphChange("replaced", "join", ("Add",), ("Concatenate",)),
        GraphChange("inputs", "cat", ("a", "b"), ("b", "a")),
        GraphChange("calls", "shared", ("1",), ("2",)),
        GraphChange("outputs", "", ("a",), ("b",)),
        GraphChange("model-inputs", "", ("left", "right"), ("right", "left")),
    ]
    rate = LayerChange("drop", "Dropout", (Change("rate", 0.5, 0.2, "training"),))
    policy = LayerChange("a", "Dense", (Change("dtype", "float32", "mixed_float16", "precision"),))
    held, wanted = file(A), model(A)
    yield "KW401", report(held, wanted, meaning=Meaning(settings=[several]))
    yield "KW401-many", report(held, wanted, meaning=Meaning(settings=[*many, beta]))
    yield "KW401-input", report(held, wanted, meaning=Meaning(graph=joined[3:4]))
    yield "KW401-graph", report(held, wanted, meaning=Meaning(graph=joined))
    harmless = Meaning(settings=[rate, policy], training_only={"Dropout": -1, "GaussianNoise": 2})
    yield "KW401-harmless", report(held, wanted, meaning=harmless)
    stamp = Witness("model.weights.h5.kwload.json", versions=("Keras 3.8.0, jax (now 3.15.1)",))
    found = Meaning(settings=[several, rate], graph=joined[:1], training_only={"Dropout": -1}, stamped=True)
    yield "KW401-stamp", report(held, wanted, meaning=found, witness=stamp)
    yield "KW404-code", report(held, wanted, meaning=Meaning(code=["My", "act"], mute=["mine"]))
    yield "KW404-unread", report(held, wanted, meaning=Meaning(unread="it is longer than 4 MiB"))


def _signatures() -> Iterator[tuple[str, Report]]:
    place = ("mynet/signatures.py", 12)
    first = Differs("w", "(1, 16)", "(16,)", 'kwload.Var("w", (16,))')
    differs = (first, Differs("ffn/bias", "(16,)", ""), Differs("b", "", "(16,)", 'kwload.Var("b", (16,))'))
    broken = "raised KeyError: 'units'"
    verdicts = {
        "KW407": Verdict("Scale", "My>Scale", place, ["scale", "outer/scale"], differs),
        "KW408": Verdict("Scale", "My>Scale", place, ["scale"], failed=broken),
        "KW408-class": Verdict(
            "Scale", "My>Scale", place, ["scale"], failed="raised TypeError: units when it was built", is_class=True
        ),
        "KW409": Verdict("Scale", "My>Scale", place, ["scale", "outer/scale"]),
    }
    for name, verdict in verdicts.items():
        yield name, report(file(A), model(A), signed=[verdict])
    yield "KW409-two", report(file(A), model(A), signed=[verdicts["KW409"], Verdict("Block", "My>Block", place, ["b"])])


def _architectures() -> Iterator[tuple[str, Report]]:
    def wanted(*several: Unverified, **more: Any) -> FakeArchitecture:
        return FakeArchitecture(model(A).groups, unverified=several, **more)

    scale = Unverified("outer/scale", "My>Scale", "class", 3)
    block = Unverified("block", "My>Block", "class", 0)
    dense = Unverified("dense_1", "Dense", "shape")
    unsure = "which variables `My>Scale` makes is not known"
    yield "KW410-none", report(file(A), wanted())
    yield "KW410", report(file(A), wanted(scale, dense, unsure=unsure, unchecked=1))
    at_hand = Unverified("scale", "My>Scale", "class", 3, Given("class", ("mynet/layers.py", 5)))
    yield "KW410-at-hand", report(file(A), wanted(at_hand, block, unsure=unsure))
    yield "KW410-two", report(file(A), wanted(scale, block, Unverified("b", "B", "class"), unsure=unsure))
    yield "KW410-shapes", report(file(A), wanted(dense, unsure="not all lengths of `dense_1` are known"))


def _stamps() -> Iterator[tuple[str, Report]]:
    here = "model.weights.h5.kwload.json"
    parts = (Part("", 5000, ()),)
    tensors = tuple(Stamped(path, (4,), "float32", "0" * 32, 0, 2048, 16) for path in ("a/kernel", "a/bias", "b/w"))
    stamp = Stamp(here, "model.weights.h5", "keras-3", parts, tensors, None, "0.1.0")
    then = partial(Fingerprint, "Scale", "mynet")
    calls = ["def call(self, x):\n    return sin(x)", "def call(self, x):\n    return cos(x)"]
    old = Code(then({"Scale.call": "a", "helper": "b"}, source={"Scale.call": calls[0]}), layers=("scale",))
    new = Code(then({"Scale.call": "c", "K": "d"}, source={"Scale.call": calls[1]}), layers=("scale", "outer/scale"))
    change = CodeChange(old, new, compare(old.fingerprint, new.fingerprint))
    dumb = Code(then({}, {"Scale.call": "no source"}), layers=("scale",))
    silent = CodeChange(dumb, dumb, compare(dumb.fingerprint, dumb.fingerprint))
    versions = ("Keras 3.8.0, jax (now 3.15.1)",)
    loads = predicts("loads", assigned=2)
    for name, witness in {
        "KW403-code": Witness(here, versions=versions, changes=(change,)),
        "KW404-source": Witness(here, changes=(silent,)),
        "KW412-damaged": Witness(here, problem="it is no JSON"),
        "KW412-stale": Witness(here, stale=True),
    }.items():
        yield name, report(file(A), model(A), prediction=loads, witness=witness)
    name = "model.weights.h5"
    yield "KW411", verified_report(name, here, Verified(stamp, changed=["a/kernel"], same=2))
    places = [(name, 0, 1 << 20), (name, 1 << 20, 500)]
    yield "KW411-outside", verified_report(name, here, Verified(stamp, outside=places, same=3))
    written = Verified(stamp, changed=["a/kernel"], gone=["b/w"], new=["c/w"], sizes=[(name, 5000, 6000)], same=1)
    yield "KW411-written", verified_report(name, here, written)
    yield "stamped", verified_report(name, here, Verified(stamp, same=3))
    yield "KW412-other", verified_report(name, here, Verified(stamp, changed=["a/kernel", "a/bias", "b/w"]))
    yield "KW412", unusable(name, here, FileNotFoundError(2, "No such file or directory"))
    yield from probe_cases(name, here)


def cases() -> dict[str, Report]:
    """Every case by name."""
    import report_models
    import report_names
    import report_values
    import report_variants

    made: dict[str, Report] = {}
    for module in (report_models, report_variants, report_names, report_values):
        made.update(module.cases())
    for several in (_paths, _containers, _names, _fits, _shapes, _others, _stamps, _architectures):
        made.update(several())
    return made


def probe_cases(name: str, here: str) -> Iterator[tuple[str, Report]]:
    """Reports on what a model computes."""
    from kwload.report.probed import not_run, probe_finding
    from kwload.stamps.probe import Difference, Held, Input, Output, Probe
    from kwload.stamps.probing import with_finding

    given, made = Input("", (2, 3), "float32"), Output("", (2, 1), "float32", (0.5, 0.25), 0.4, 0.5)
    then = Probe("splitmix64-1", (given,), (made,), "Keras 3.8.0", "jax", "cpu", "float32")
    now = Probe("splitmix64-1", (given,), (made,), "Keras 3.15.1", "tensorflow", "cpu", "float32")
    base = report(file(A), model(A), prediction=predicts("loads", assigned=2))
    for case, held in {
        "KW413": Held(then, now, 1e-4, (Difference("", 0.66, 0.5, 0.17),)),
        "KW413-outputs": Held(
            now, now, 1e-5, (Difference("class", 3e-7, 0.5, 0.5), Difference("box", float("inf"), (2, 4), (2, 5)))
        ),
        "KW413-same": Held(then, now, 1e-4, (Difference("", 3e-7, 0.5, 0.5),)),
    }.items():
        yield case, with_finding(base, probe_finding(name, here, held))
    yield "KW413-inputs", with_finding(base, not_run(name, "these are not the inputs that the probe was made with"))
