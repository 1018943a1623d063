"""Files of Keras 1: what tf_keras makes of them is foreseen exactly, and kwload loads the same values.

The files are made by hand as Keras 1.0 to 1.2 wrote them: no version beside the names of the layers, ``lstm_1_W_i``,
kernels of ``(filters, in, rows, columns)`` where channels come first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

import kwload

pytestmark = pytest.mark.keras

Weights: TypeAlias = list[tuple[str, tuple[int, ...]]]
FILL = 7.5


def gates(letters: str, name: str, size: int, units: int) -> Weights:
    shapes = {"W": (size, units), "U": (units, units), "b": (units,)}
    return [(f"{name}_{part}_{gate}", shape) for gate in letters for part, shape in shapes.items()]


def kernel(*shape: int, bias: int) -> Weights:
    return [("c_W", shape), ("c_b", (bias,))]


def conv_lstm(*, first: bool) -> Weights:
    kernels = {"W": (5, 2, 3, 3), "U": (5, 5, 3, 3)} if first else {"W": (3, 3, 2, 5), "U": (3, 3, 5, 5)}
    return [(f"c_{part}_{gate}", shape) for gate in "icfo" for part, shape in {**kernels, "b": (5,)}.items()]


def norm(size: int) -> Weights:
    return [(f"n_{part}", (size,)) for part in ("gamma", "beta", "running_mean", "running_std")]


LSTM, GRU = gates("icfo", "lstm_1", 3, 4), gates("zrh", "gru_1", 3, 4)
BOTH = gates("icfo", "forward_lstm_1", 3, 4) + gates("icfo", "backward_lstm_1", 3, 4)
FIRST = {"data_format": "channels_first"}

Build: TypeAlias = Callable[[Any, Any], list[Any]]


def nested(library: Any, *layers: Any) -> Any:
    return library.Sequential(list(layers))


# name -> (layers of the model, weights of the file's layers, whether kwload loads it)
CASES: dict[str, tuple[Build, list[Weights], bool]] = {
    "lstm": (lambda k, la: [k.Input((5, 3)), la.LSTM(4)], [LSTM], True),
    "lstm-of-other-units": (lambda k, la: [k.Input((5, 3)), la.LSTM(5)], [LSTM], False),
    "lstm-uneven": (
        lambda k, la: [k.Input((5, 3)), la.LSTM(4)],
        [[(f"w{i}", (2, 4) if i == 6 else (3, 4)) for i in range(12)]],
        False,
    ),
    "lstm-in-one": (
        lambda k, la: [k.Input((5, 3)), la.LSTM(4)],
        [[("l_W", (3, 16)), ("l_U", (4, 16)), ("l_b", (16,))]],
        True,
    ),
    "gru": (lambda k, la: [k.Input((5, 3)), la.GRU(4, reset_after=False)], [GRU], True),
    "gru-reset-after": (lambda k, la: [k.Input((5, 3)), la.GRU(4)], [GRU], False),
    "bidirectional": (lambda k, la: [k.Input((5, 3)), la.Bidirectional(la.LSTM(4))], [BOTH], True),
    "distributed-bidirectional": (
        lambda k, la: [k.Input((2, 5, 3)), la.TimeDistributed(la.Bidirectional(la.LSTM(4)))],
        [BOTH],
        True,
    ),
    "conv1d": (lambda k, la: [k.Input((9, 3)), la.Conv1D(6, 4)], [kernel(4, 1, 3, 6, bias=6)], True),
    "conv1d-of-1.1": (lambda k, la: [k.Input((9, 3)), la.Conv1D(6, 4)], [kernel(6, 3, 4, 1, bias=6)], True),
    "conv1d-of-neither": (lambda k, la: [k.Input((9, 3)), la.Conv1D(4, 4)], [kernel(4, 3, 4, 2, bias=4)], False),
    "conv1d-of-other-length": (lambda k, la: [k.Input((9, 3)), la.Conv1D(6, 4)], [kernel(5, 1, 3, 6, bias=6)], False),
    "conv1d-of-keras-2": (lambda k, la: [k.Input((9, 1)), la.Conv1D(6, 4)], [kernel(4, 1, 6, bias=6)], True),
    "conv2d": (lambda k, la: [k.Input((9, 9, 3)), la.Conv2D(6, (4, 5))], [kernel(4, 5, 3, 6, bias=6)], True),
    "conv2d-first": (
        lambda k, la: [k.Input((3, 9, 9)), la.Conv2D(6, (4, 5), **FIRST)],
        [kernel(6, 3, 4, 5, bias=6)],
        True,
    ),
    "conv2d-first-of-last": (
        lambda k, la: [k.Input((3, 9, 9)), la.Conv2D(6, (4, 5), **FIRST)],
        [kernel(4, 5, 3, 6, bias=6)],
        True,
    ),
    "conv2d-last-of-first": (
        lambda k, la: [k.Input((9, 9, 3)), la.Conv2D(6, (4, 5))],
        [kernel(6, 3, 4, 5, bias=6)],
        False,
    ),
    "conv2d-blind": (lambda k, la: [k.Input((9, 9, 4)), la.Conv2D(2, (4, 2))], [kernel(4, 2, 2, 4, bias=2)], False),
    "conv3d-first": (
        lambda k, la: [k.Input((3, 9, 9, 9)), la.Conv3D(6, (4, 5, 2), **FIRST)],
        [kernel(6, 3, 4, 5, 2, bias=6)],
        True,
    ),
    "deconvolution": (
        lambda k, la: [k.Input((9, 9, 3)), la.Conv2DTranspose(6, (4, 5))],
        [kernel(4, 5, 3, 6, bias=6)],
        True,
    ),
    "deconvolution-square": (
        lambda k, la: [k.Input((9, 9, 6)), la.Conv2DTranspose(6, 3)],
        [kernel(3, 3, 6, 6, bias=6)],
        True,
    ),
    "deconvolution-first": (
        lambda k, la: [k.Input((3, 9, 9)), la.Conv2DTranspose(6, (4, 5), **FIRST)],
        [kernel(6, 3, 4, 5, bias=6)],
        True,
    ),
    "conv-lstm": (lambda k, la: [k.Input((3, 9, 9, 2)), la.ConvLSTM2D(5, 3)], [conv_lstm(first=False)], True),
    "conv-lstm-first": (
        lambda k, la: [k.Input((3, 2, 9, 9)), la.ConvLSTM2D(5, 3, **FIRST)],
        [conv_lstm(first=True)],
        False,  # tf_keras joins the gates along the axis of the columns, and raises
    ),
    "distributed-dense": (
        lambda k, la: [k.Input((3, 4)), la.TimeDistributed(la.Dense(5))],
        [kernel(4, 5, bias=5)],
        True,
    ),
    "distributed-lstm": (lambda k, la: [k.Input((2, 5, 3)), la.TimeDistributed(la.LSTM(4))], [LSTM], True),
    "distributed-conv1d": (
        lambda k, la: [k.Input((3, 9, 4)), la.TimeDistributed(la.Conv1D(5, 3))],
        [kernel(3, 1, 4, 5, bias=5)],
        False,  # converted twice
    ),
    "distributed-conv2d-first": (
        lambda k, la: [k.Input((3, 4, 9, 9)), la.TimeDistributed(la.Conv2D(5, 3, **FIRST))],
        [kernel(5, 4, 3, 3, bias=5)],
        True,  # converted twice, and turned back because the shape differs
    ),
    "distributed-deconvolution": (
        lambda k, la: [k.Input((2, 5, 5, 3)), la.TimeDistributed(la.Conv2DTranspose(4, 3))],
        [kernel(3, 3, 3, 4, bias=4)],
        False,
    ),
    "nested": (
        lambda k, la: [k.Input((4,)), nested(k, k.Input((4,)), la.Dense(5), la.BatchNormalization()), la.Dense(2)],
        [kernel(4, 5, bias=5) + norm(5), kernel(5, 2, bias=2)],
        True,
    ),
    "nested-conv-first": (
        lambda k, la: [
            k.Input((3, 9, 9)),
            nested(k, k.Input((3, 9, 9)), la.Conv2D(5, 3, **FIRST), la.BatchNormalization(axis=1)),
        ],
        [kernel(5, 3, 3, 3, bias=5) + norm(5)],
        True,
    ),
    "nested-lstm": (
        lambda k, la: [k.Input((5, 3)), nested(k, k.Input((5, 3)), la.LSTM(4), la.Dense(2))],
        [LSTM + kernel(4, 2, bias=2)],
        False,  # its weights are dealt out by the number that today's layers have
    ),
    "normalization": (lambda k, la: [k.Input((4,)), la.BatchNormalization()], [norm(4)], True),
    "normalization-mixed": (
        lambda k, la: [k.Input((4,)), la.BatchNormalization()],
        [[norm(4)[i] for i in (0, 2, 1, 3)]],
        False,  # the shapes fit, the names do not
    ),
}


def write(path: Path, layers: Sequence[tuple[str, Weights]], **facts: str) -> Path:
    """A file as Keras 1 wrote it; *facts* are attributes beside the names of the layers."""
    import h5py

    random = np.random.default_rng(7)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name, _ in layers]
        for key, value in facts.items():
            file.attrs[key] = value.encode()
        for name, weights in layers:
            group = file.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight, _ in weights]
            for weight, shape in weights:
                group[weight] = random.random(shape, dtype=np.float32) + 0.1
    return path


def make(library: Any, build: Build) -> Any:
    model = library.Sequential(build(library, library.layers))
    for weight in model.weights:
        weight.assign(np.full(weight.shape, FILL))
    return model


def weighted(model: Any) -> list[str]:
    return [layer.name for layer in model.layers if layer.weights]


def held(model: Any) -> list[Any]:
    return [np.asarray(weight) for weight in model.weights]


def equal(a: Any, b: Any) -> bool:
    return len(held(a)) == len(held(b)) and all(map(np.array_equal, held(a), held(b)))


def agrees(real: Any, report: kwload.Report, path: Path, **options: Any) -> str | None:
    """The message that this Keras raises, as foreseen; None when it loads."""
    foreseen = report.prediction
    assert foreseen is not None and foreseen.outcome != "unknown"
    raised: Exception | None = None
    try:
        real.load_weights(path, **options)
    except Exception as error:  # noqa: BLE001 - whatever it is
        raised = error
    assert (foreseen.outcome == "raises") == (raised is not None), raised
    if raised is None or foreseen.error is None:
        return None
    assert foreseen.error.type == type(raised).__name__
    assert str(raised).startswith(foreseen.error.message)
    return str(raised) or type(raised).__name__


BY_NAME = ("lstm", "lstm-of-other-units", "conv1d-of-other-length", "conv2d-last-of-first", "conv2d-blind", "nested")


@pytest.mark.parametrize(("name", "by_name"), [*((name, False) for name in CASES), *((name, True) for name in BY_NAME)])
def test_tf_keras(name: str, by_name: bool, tmp_path: Path) -> None:
    import tf_keras

    build, weights, fits = CASES[name]
    model, real = make(tf_keras, build), make(tf_keras, build)
    if by_name:
        for own, other in zip(model.layers, real.layers, strict=True):
            other._name = own.name
    layers = list(zip(weighted(model), weights, strict=True))
    path = write(tmp_path / "old.h5", layers)
    report = kwload.check(model, path, by_name=by_name)
    raised = agrees(real, report, path, by_name=by_name)
    assert report.ok == fits
    if not fits:
        with pytest.raises(kwload.WeightsMismatchError):
            kwload.load_weights(model, path, by_name=by_name)
        assert all((array == FILL).all() for array in held(model))
    else:
        kwload.load_weights(model, path, by_name=by_name)
        assert raised or (report.prediction is not None and report.prediction.outcome == "loads")
        assert raised or equal(model, real)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2]])
def test_keras_3(name: str, tmp_path: Path) -> None:
    """The same values as in tf_keras, though Keras 3 itself converts nothing."""
    import keras
    import tf_keras

    build, weights, _ = CASES[name]
    model, old = make(keras, build), make(tf_keras, build)
    path = write(tmp_path / "old.h5", list(zip(weighted(model), weights, strict=True)))
    report = kwload.check(model, path)
    real = make(keras, build)
    raised = agrees(real, report, path)
    kwload.load_weights(model, path)
    assert kwload.load_weights(old, path).ok and equal(model, old)
    warned = [finding.code for finding in report.warnings]
    assert warned == ([] if raised is None and equal(real, model) else ["KW405"])
    assert (report.prediction is not None and report.prediction.outcome == "loads") == (not warned)


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_help_for_what_does_not_fit(library: str, tmp_path: Path) -> None:
    """Building the layer as the report says makes the file fit."""
    import importlib

    keras = importlib.import_module(library)

    def build(**options: Any) -> Any:
        return make(keras, lambda k, la: [k.Input((5, 3)), la.GRU(**{"units": 4, **options}, name="g")])

    path = write(tmp_path / "old.h5", [("gru_1", GRU)])
    for wrong, said in (({}, "reset_after=False"), ({"units": 5, "reset_after": False}, "units=4")):
        found = [item for item in kwload.check(build(**wrong), path).errors if item.code == "KW306"]
        assert [help_.endswith(f"build `g` with {said}") for help_ in found[0].help] == [True]
    assert kwload.check(build(reset_after=False), path).ok


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_normalization_in_another_order(library: str, tmp_path: Path) -> None:
    """The names say it in any file; nothing else would."""
    import importlib

    keras = importlib.import_module(library)
    model = make(keras, CASES["normalization"][0])
    names = [f"bn/{name}:0" for name in ("beta", "gamma", "moving_variance", "moving_mean")]
    path = write(tmp_path / "new.h5", [("bn", [(name, (4,)) for name in names])], keras_version="2.2.4")
    report = kwload.check(model, path)
    assert [finding.code for finding in report.errors] == ["KW313"]
    assert agrees(model, report, path) is None
    assert report.prediction is not None and report.prediction.outcome == "loads_wrong"


def test_gates_in_another_order_are_not_joined(tmp_path: Path) -> None:
    import tf_keras

    path = write(tmp_path / "old.h5", [("lstm_1", gates("ifco", "lstm_1", 3, 4))])
    report = kwload.check(make(tf_keras, CASES["lstm"][0]), path)
    assert not report.ok
    assert report.prediction is not None and report.prediction.outcome == "loads_wrong"


def test_a_version_beside_the_names_stops_tf_keras(tmp_path: Path) -> None:
    """Only a file without one is Keras 1's to tf_keras; kwload goes by the version."""
    import tf_keras

    build = CASES["lstm"][0]
    for version, ok in (("1.2.2", True), ("2.0.0", False)):
        model = make(tf_keras, build)
        path = write(tmp_path / f"{version}.h5", [("lstm_1", LSTM)], keras_version=version)
        report = kwload.check(model, path)
        assert report.ok == ok
        assert "Weight count mismatch" in str(agrees(model, report, path))


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("facts", [{"keras_version": "2.1.6", "backend": "theano"}, {"backend": "theano"}])
def test_kernels_of_theano_are_turned(library: str, facts: dict[str, str], tmp_path: Path) -> None:
    import importlib

    import h5py

    keras = importlib.import_module(library)
    model, real = (make(keras, CASES["conv2d"][0]) for _ in range(2))
    path = write(tmp_path / "old.h5", [("c", kernel(4, 5, 3, 6, bias=6))], **facts)
    report = kwload.load_weights(model, path)
    assert [finding.code for finding in report.warnings] == ["KW405"]
    assert report.prediction is not None and report.prediction.outcome == "loads_wrong"
    real.load_weights(path)
    with h5py.File(path) as file:
        stored = file["c/c_W"][()]
    assert np.array_equal(held(real)[0], stored)
    assert np.array_equal(held(model)[0], stored[::-1, ::-1])


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_backend_that_nothing_records(library: str, tmp_path: Path) -> None:
    """The proposed line turns a kernel around."""
    import importlib

    keras = importlib.import_module(library)
    model = make(keras, CASES["conv2d"][0])
    path = write(tmp_path / "old.h5", [("c", kernel(4, 5, 3, 6, bias=6))])
    report = kwload.load_weights(model, path)
    (note,) = report.notes
    assert note.code == "KW405" and "with which backend" in note.headline
    before = held(model)[0]
    exec(note.help[0].partition(": ")[2], {"np": np, "layer": model.layers[-1]})
    assert np.array_equal(held(model)[0], before[::-1, ::-1])


@pytest.mark.parametrize(
    ("name", "build"),
    [
        (
            "weights__bidirectional_lstm_tensorflow_1",
            lambda k, la: [k.Input((4, 10)), la.Bidirectional(la.LSTM(10, return_sequences=True))],
        ),
        (
            "weights__embedding_lstm_tensorflow_1",
            lambda k, la: [k.Input((10,)), la.Embedding(4, 5), la.LSTM(6, return_sequences=True)],
        ),
        (
            "simple__cnn_tf_model",
            lambda k, la: [
                k.Input((8, 8, 3)),
                la.Conv2D(2, (3, 2)),
                la.Conv2D(1, (2, 3)),
                la.MaxPooling2D(5),
                la.Flatten(),
                la.Dense(2),
                la.Dense(3),
            ],
        ),
    ],
)
def test_files_that_keras_1_wrote(name: str, build: Build, corpus: Path) -> None:
    import keras
    import tf_keras

    path = corpus / "keras-real" / f"dl4j__{name}.h5"
    old, model, real = make(tf_keras, build), make(keras, build), make(tf_keras, build)
    assert agrees(real, kwload.check(old, path), path) is None
    assert kwload.load_weights(old, path).prediction.outcome == "loads"  # type: ignore[union-attr]
    agrees(make(keras, build), kwload.check(model, path), path)
    kwload.load_weights(model, path)
    assert equal(old, real) and equal(model, real)
