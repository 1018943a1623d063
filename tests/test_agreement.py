"""What kwload predicts is what Keras does: each pair of file and model is loaded by the real Keras, and every variable
must end up with exactly the tensor that the prediction names.

Every tensor of a saved model is filled with a number of its own, so where a value came from can be read off it.
"""

from __future__ import annotations

import itertools
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import Family, save_legacy_weights

from kwload import _core, api

pytestmark = pytest.mark.keras

Build = Callable[[Any], Any]


def sequential(k: Any, *layers: Any, inputs: tuple[int, ...] = (8,)) -> Any:
    return k.Sequential([k.layers.Input(inputs), *layers])


def dense(*rows: tuple[int, str | None], use_bias: bool = True) -> Build:
    return lambda k: sequential(k, *(k.layers.Dense(units, name=name, use_bias=use_bias) for units, name in rows))


def conv(filters: int, kernel: int, name: str | None = None, norm: bool = True) -> Build:
    def build(k: Any) -> Any:
        layers = [k.layers.Conv2D(filters, kernel, name=name)]
        layers += [k.layers.BatchNormalization()] if norm else []
        return sequential(k, *layers, k.layers.Flatten(), k.layers.Dense(3, name="head"), inputs=(8, 8, 3))

    return build


def recurrent(cell: str, units: int, both: bool = False) -> Build:
    def build(k: Any) -> Any:
        layer = getattr(k.layers, cell)(units)
        return sequential(k, k.layers.Bidirectional(layer) if both else layer, k.layers.Dense(2), inputs=(5, 4))

    return build


def nested(order: str, frozen: bool = False) -> Build:
    def build(k: Any) -> Any:
        inner = sequential(k, *(k.layers.Dense(8, name=name) for name in order), k.layers.BatchNormalization(name="bn"))
        inner.trainable = not frozen
        inputs = k.layers.Input((8,))
        return k.Model(inputs, k.layers.Dense(2, name="out")(inner(inputs)))

    return build


def functional(swap: bool) -> Build:
    def build(k: Any) -> Any:
        left, right = k.layers.Input((4,)), k.layers.Input((4,))
        one, two = k.layers.Dense(4, name="one"), k.layers.Dense(4, name="two")
        a, b = (two(left), one(right)) if swap else (one(left), two(right))
        return k.Model([left, right], k.layers.Add()([one(a), b]))

    return build


def subclassed(attributes: str, listed: int = 0, alias: bool = False) -> Build:
    def build(k: Any) -> Any:
        class Net(k.Model):
            def __init__(self) -> None:
                super().__init__()
                for name in attributes:
                    setattr(self, name, k.layers.Dense(4, name=f"layer_{name}"))
                self.stack = [k.layers.Dense(4) for _ in range(listed)]
                if alias:
                    self.zz_alias = getattr(self, attributes[0])

            def call(self, inputs: Any) -> Any:
                outputs = inputs
                for name in attributes:
                    outputs = getattr(self, name)(outputs)
                for layer in self.stack:
                    outputs = layer(outputs)
                return outputs

        model = Net()
        model(np.zeros((1, 4), "float32"))
        return model

    return build


def attention(heads: int) -> Build:
    def build(k: Any) -> Any:
        inputs = k.layers.Input((6, 8))
        return k.Model(inputs, k.layers.Dense(2)(k.layers.MultiHeadAttention(heads, 4)(inputs, inputs)))

    return build


FAMILIES: dict[str, list[Build]] = {
    "dense": [
        dense((8, "a"), (8, "b"), (8, "c")),
        dense((8, "a"), (8, "new"), (8, "b")),
        dense((8, "b"), (8, "a"), (8, "c")),
        dense((8, "a"), (8, "b")),
        dense((8, "a"), (8, "x"), (8, "c")),
        dense((8, None), (8, None), (8, None)),
        dense((16, "a"), (8, "b"), (8, "c")),
        dense((8, "a"), (8, "b"), (5, "c")),
        dense((8, "p_a"), (8, "p_b"), (8, "p_c")),
        dense((8, "a"), (8, "b"), (8, "c"), use_bias=False),
    ],
    "conv": [conv(4, 3), conv(6, 3), conv(4, 5), conv(4, 3, "stem"), conv(4, 3, norm=False), conv(3, 3)],
    "recurrent": [
        recurrent("LSTM", 4),
        recurrent("GRU", 4),
        recurrent("LSTM", 6),
        recurrent("LSTM", 4, both=True),
        recurrent("SimpleRNN", 4),
    ],
    "nested": [nested("ab"), nested("ba"), nested("ab", frozen=True), nested("abc")],
    "functional": [functional(swap=False), functional(swap=True)],
    "subclassed": [
        subclassed("ab"),
        subclassed("ba"),
        subclassed("abz"),
        subclassed("ab", listed=2),
        subclassed("ab", listed=3),
        subclassed("ab", alias=True),
    ],
    "attention": [attention(2), attention(4)],
}


def mark(model: Any, start: float) -> None:
    """Fills every variable with a number of its own, counting from *start* by its sign."""
    for index, weight in enumerate(model.weights):
        weight.assign(np.full(tuple(weight.shape), start + np.sign(start) * index, dtype="float32"))


def number_of(value: Any) -> float | None:
    """The number that fills the array, None when it holds several."""
    array = np.asarray(value)
    return float(array.flat[0]) if array.size and np.all(array == array.flat[0]) else None


def calls(family: Family) -> Iterator[dict[str, Any]]:
    yield {}
    yield {"skip_mismatch": True}
    yield {"by_name": True}
    yield {"by_name": True, "skip_mismatch": True}


def real(model: Any, path: Path, options: dict[str, Any]) -> tuple[Exception | None, dict[int, float]]:
    """What Keras raises, and for each variable (by identity) the number of the tensor that it now holds."""
    error = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.load_weights(path, **options)
        except Exception as caught:  # noqa: BLE001  (whatever it raises is the answer)
            error = caught
    numbers = {id(weight): number_of(weight) for weight in model.weights}
    return error, {key: number for key, number in numbers.items() if number is None or number > 0}


def predicted(examined: api.Examined, pairs: Any) -> dict[int, float]:
    """For each variable (by identity) the number of the tensor that the plan gives it."""
    assert examined.file is not None
    arrays = examined.file.fetch([pair[0] for pair in pairs])
    return {id(examined.model.variables[pair[1]]): number_of(array) for pair, array in zip(pairs, arrays, strict=True)}


def disagreement(model: Any, path: Path, options: dict[str, Any]) -> str | None:
    """How Keras and the prediction differ, None when they agree."""
    mark(model, -1.0)
    call = api.Call(by_name=options.get("by_name"), skip_mismatch=options.get("skip_mismatch", False))
    examined = api.examine(model, path, call)
    assert examined.plan is not None
    prediction = examined.plan.prediction
    foreseen = predicted(examined, examined.plan.keras_pairs)
    error, got = real(model, path, options)
    outcome = prediction["outcome"]
    if outcome == "unknown":
        return f"unknown: {prediction['reason']}"
    if (error is not None) != (outcome == "raises"):
        return f"predicted {outcome}, Keras: {error!r:.300}"
    if error is not None:
        if type(error).__name__ != prediction["error_type"]:
            return f"predicted {prediction['error_type']}, Keras: {error!r:.300}"
        if not str(error).startswith(prediction["error_prefix"]):
            return f"predicted {prediction['error_prefix']!r}, Keras: {str(error)[:300]!r}"
        if len(got) != prediction["assigned"]:
            return f"predicted {prediction['assigned']} overwritten, Keras overwrote {len(got)}"
    if got != foreseen:
        return f"predicted {len(foreseen)} assignments, Keras made {len(got)}, {outcome}: {foreseen} {got}"
    return None


def pairs_of(kind: str) -> list[tuple[int, int]]:
    count = len(FAMILIES[kind])
    return list(itertools.product(range(count), repeat=2))


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_the_prediction_is_what_keras_does(name: str, kind: str, tmp_path: Path) -> None:
    differences = []
    layouts = ["v3", "legacy"]
    for layout in layouts:
        family = Family(name, layout)
        builds = FAMILIES[kind]
        files = []
        for index, build in enumerate(builds):
            folder = tmp_path / f"{layout}{index}"
            folder.mkdir()
            saved = build(family.keras)
            mark(saved, 1.0)
            try:
                files.append(family.save(saved, folder))
            except ValueError:  # Keras itself cannot write this one: duplicate weight names in the legacy layout
                files.append(None)
        for stored, wanted in pairs_of(kind):
            if files[stored] is None:
                continue
            for options in calls(family):
                found = disagreement(builds[wanted](family.keras), files[stored], options)
                if found:
                    differences.append(f"{layout} {kind} file {stored} model {wanted} {options}: {found}")
    assert not differences, f"{len(differences)} disagreements:\n" + "\n".join(differences[:40])


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
@pytest.mark.parametrize("saved_as", ["d", "other"])
def test_a_model_without_variables_takes_nothing(flavour: str, saved_as: str, tmp_path: Path) -> None:
    """A model whose layers were never built: Keras may return silently, and has loaded nothing."""
    keras = pytest.importorskip(flavour)

    def bare() -> Any:
        class Bare(keras.Model):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.d = keras.layers.Dense(4)
                self.built = True

            def call(self, inputs: Any) -> Any:
                return self.d(inputs)

        return Bare()

    path = tmp_path / "model.weights.h5"
    subclassed("d" if saved_as == "d" else "x")(keras).save_weights(path)
    for options in ({}, {"skip_mismatch": True}):
        assert disagreement(bare(), path, options) is None
        examined = api.examine(bare(), path, api.Call(skip_mismatch=bool(options)))
        assert examined.plan is not None
        assert examined.plan.prediction["outcome"] in ("loads_nothing", "raises")
        assert [raw[1] for raw in examined.plan.findings] == ["error"]


def cut(raw: bytes) -> Iterator[bytes]:
    """Files cut short, from their first bytes to their last but one."""
    yield from (raw[:length] for length in sorted({*range(0, len(raw), len(raw) // 12), len(raw) - 30, len(raw) - 1}))


def damaged(path: Path) -> Iterator[Path]:
    """Files that *path* becomes when it is cut, when its weights are, or when its members lie in a folder."""
    raw = path.read_bytes()
    for content in cut(raw):
        path.write_bytes(content)
        yield path
    path.write_bytes(raw)
    if path.suffix != ".keras":
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = [{**members, "model.weights.h5": content} for content in cut(members["model.weights.h5"])]
    for changed in [*weights, {f"folder/{name}": content for name, content in members.items()}]:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in changed.items():
                archive.writestr(name, content)
        yield path
    path.unlink()
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    yield path


def unclosed(path: Path) -> bytes:
    """The bytes of an HDF5 file that its writer has flushed and not closed."""
    import h5py

    with h5py.File(path) as saved, h5py.File(path.with_name("open.h5"), "w", libver="latest") as copy:
        for name in saved:
            saved.copy(name, copy)
        copy.attrs.update(saved.attrs)
        copy.flush()
        return path.with_name("open.h5").read_bytes()


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", ["model.weights.h5", "model.h5"])
def test_files_that_were_never_closed_are_refused_as_keras_refuses_them(
    flavour: str, name: str, tmp_path: Path
) -> None:
    keras = pytest.importorskip(flavour)
    build = FAMILIES["dense"][0]
    saved = build(keras)
    (saved.save_weights if name.endswith("weights.h5") else saved.save)(tmp_path / name)
    (tmp_path / name).write_bytes(unclosed(tmp_path / name))
    assert disagreement(build(keras), tmp_path / name, {}) is None


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", ["model.weights.h5", "model.keras", "model.h5"])
def test_damaged_containers_are_refused_as_keras_refuses_them(flavour: str, name: str, tmp_path: Path) -> None:
    keras = pytest.importorskip(flavour)
    build = FAMILIES["dense"][0]
    saved = build(keras)
    mark(saved, 1.0)
    (saved.save_weights if name.endswith("weights.h5") else saved.save)(tmp_path / name)
    differences = []
    for path in damaged(tmp_path / name):
        model = build(keras)
        mark(model, -1.0)
        examined = api.examine(model, path, api.Call())
        error, got = real(model, path, {})
        assert error is not None and not got
        prediction = examined.plan.prediction if examined.plan is not None else None
        if prediction is not None and prediction["error_type"] != type(error).__name__:
            size = path.stat().st_size
            differences.append(f"{size} bytes: {prediction['outcome']} {prediction['error_type']}, Keras {error!r:.80}")
    assert not differences, "\n".join(differences)


def test_legacy_weights_of_keras_3_are_those_it_writes_itself(tmp_path: Path) -> None:
    """The helper that writes legacy weights writes what whole models hold."""
    import keras

    model = FAMILIES["dense"][0](keras)
    model.save(tmp_path / "model.h5")
    save_legacy_weights(model, tmp_path / "weights.h5")
    whole, weights = _core.File(bytes(tmp_path / "model.h5")), _core.File(bytes(tmp_path / "weights.h5"))
    assert [group[1] for group in whole.groups if not group[2] & _core.GROUP_FLAGS["optimizer"]] == [
        group[1] for group in weights.groups
    ]
