"""Cases of reports about names: one rule for many, numbers that Keras appends, other paths, lists in lists, places."""

from __future__ import annotations

from collections.abc import Iterator

from report_cases import FakeFile, FakeModel, Layer, dense, file, model, predicts, raw, report, same

from kwload.report.facts import Options
from kwload.report.finding import Report

BY_NAME = Options(by_name=True)
TOTAL = {"error_type": "ValueError", "error_prefix": "A total of ", "inner_prefix": "Layer '", "a": 1}


def _legacy(*names: str, units: int = 8) -> list[Layer]:
    return [dense(name, name, 8, units) for name in names]


def _by_name(code: str, held: list[Layer], wanted: list[Layer], *fits: int, severity: str = "error") -> Report:
    """All names by one rule; *fits* says for each whether the shapes fit."""
    found = [
        raw(int(code), severity, file_group=i, group=i, a=fit, b=len(wanted))
        for i, fit in enumerate(fits or [1] * len(wanted))
    ]
    outcome = predicts("loads_nothing" if severity == "error" else "loads_part")
    return report(
        file(*held, layout="legacy"),
        model(*wanted),
        *found,
        path="w.h5",
        options=BY_NAME,
        pairs=[],
        keras_pairs=[],
        prediction=outcome,
        source_group=[-1] * len(wanted),
    )


def cases() -> Iterator[tuple[str, Report]]:
    """Every case by name."""
    yield from _rules()
    yield from _paths()
    yield from _places()


def _rules() -> Iterator[tuple[str, Report]]:
    names = [f"conv{i}" for i in range(199)]
    held = _legacy(*(f"swa_model/{name}" for name in names))
    yield "KW312-many", _by_name("312", held, _legacy(*names))
    wider = [*_legacy(*names[:-1]), *_legacy(names[-1], units=9)]
    yield "KW312-shape", _by_name("312", held, wider, *[1] * 198, 0)
    yield "KW312-model", _by_name("312", _legacy("enc", "dec"), _legacy("ema_enc", "ema_dec"))
    yield "KW312-back", _by_name("312", _legacy("enc_1", "dec_1"), _legacy("enc", "dec"))
    numbered = [f"conv2d_{i}" if i else "conv2d" for i in range(5)]
    later = [f"conv2d_{i + 7}" for i in range(5)]
    yield "KW323", _by_name("323", _legacy(*numbered, "dense"), _legacy(*later, "dense_2"))
    crossed = [raw(323, file_group=i, group=i, a=1, b=3) for i in range(3)]
    kept = {
        "source_group": [1, 2, -1],
        "pairs": same(4),
        "keras_pairs": [(2, 0, "name", "same"), (3, 1, "name", "same")],
    }
    three = file(*_legacy("dense", "dense_1", "dense_2"), layout="legacy")
    wanted = model(*_legacy("dense_1", "dense_2", "dense_3"))
    part = predicts("loads_part")
    yield "KW323-crossed", report(three, wanted, *crossed, path="w.h5", options=BY_NAME, prediction=part, **kept)
    blocks = [dense(f"block_{i}_fc", f"layers/dense_{i}", 8, 8) for i in range(30)]
    stages = [dense(f"stage{i}", f"layers/dense_{i}", 8, 8) for i in range(30)]
    renamed = [raw(303, "note", file_group=i, group=i) for i in range(30)]
    yield "KW303-rule", report(file(*blocks), model(*stages), *renamed)


def _paths() -> Iterator[tuple[str, Report]]:
    def moved(held: list[Layer], wanted: list[Layer]) -> Report:
        found = [raw(303, file_group=i, group=i) for i in range(len(wanted))]
        stops = predicts("raises", **TOTAL, error_group=0)
        left = {"pairs": [], "keras_pairs": [], "source_group": [-1] * len(wanted)}
        return report(file(*held), model(*wanted), *found, prediction=stops, **left)

    old = [dense("d1", "enc/d1", 8, 8), dense("d2", "enc/d2", 8, 8)]
    new = [dense("my_encoder/d1", "encoder/d1", 8, 8), dense("my_encoder/d2", "encoder/d2", 8, 8)]
    yield "KW303-path", moved(old, new)
    parts = ("query", "key", "value", "output")
    layers = [f"layers/multi_head_attention_{i}" if i else "layers/multi_head_attention" for i in range(6)]
    old = [dense(part, f"{layer}/{part}_dense", 8, 8) for layer in layers for part in parts]
    new = [dense(f"{layer}/{part}", f"{layer}/_{part}_dense", 8, 8) for layer in layers for part in parts]
    yield "KW303-attention", moved(old, new)
    rows = [dense(f"block/{name}", f"layers/block/rows/container/{name}", 8, 8) for name in ("fc1", "fc2")]
    first = dense("head", "layers/dense", 8, 8)
    lost = [raw(324, group=i) for i in (1, 2)]
    part = predicts("loads_part")
    yield (
        "KW324",
        report(file(first), model(first, *rows), *lost, pairs=same(2), prediction=part, source_group=[0, -1, -1]),
    )


def _places() -> Iterator[tuple[str, Report]]:
    def listed(*names: str) -> list[Layer]:
        return [dense(name, f"layers/dense_{i}" if i else "layers/dense", 8, 8) for i, name in enumerate(names)]

    held: FakeFile = file(*listed("a", "b", "c", "d"))
    wanted: FakeModel = model(*listed("a", "x", "b", "y", "c", "d"))
    two = [raw(305, group=1, other=2, related=[2, 3, 4, 5, 6, 7, 8, 9, 10, 11], a=3, b=3), raw(305, group=3, other=4)]
    stops = predicts("raises", **{**TOTAL, "a": 2}, assigned=8)
    own = {"own_group": [0, -1, 1, -1, 2, 3], "source_group": [0, 1, 2, 3, -1, -1]}
    yield "KW305-two", report(held, wanted, *two, prediction=stops, pairs=same(8), **own)
    legacy = {
        "path": "w.h5",
        "pairs": [],
        "keras_pairs": [],
        "source_group": [-1] * 4,
        "prediction": predicts("raises"),
    }
    some = raw(305, other=3, a=1, b=2, related=[2, 4])
    four = model(*_legacy("a", "dense_3", "dense_4", "b"))
    yield "KW305-some", report(file(*_legacy("a", "dense", "b"), layout="legacy"), four, some, **legacy)
    yield (
        "KW305-several",
        report(
            file(*_legacy("a", "b"), layout="legacy"),
            model(*_legacy("a", "x", "b", "y")),
            raw(305, group=1, other=2, a=1, b=1),
            raw(305, group=3),
            **legacy,
        ),
    )
    names = ["d1/kernel", "d1/bias", "d2/kernel", "d2/bias"]
    turned = [*names[2:], *names[:2]]
    inner = [
        Layer("inner", "inner", "Sequential", {name: (8, 8)[len(name) > 7 :] for name in order})
        for order in (turned, names)
    ]
    yield (
        "KW313-layers",
        report(
            file(inner[0], layout="legacy"),
            model(inner[1]),
            raw(313, file_group=0, group=0),
            path="w.h5",
            pairs=[],
            prediction=predicts("loads_wrong"),
        ),
    )
