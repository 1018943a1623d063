"""What kwload predicts is what Keras does: a sample of the grid in tests/agree, and files that are damaged.

Every tensor of a saved model is filled with a number of its own, so where a value came from can be read off it.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agree.run import judge, sample, unexpected
from families import save_legacy_weights

from kwload import _core, api

pytestmark = pytest.mark.keras
MODELS = 100  # of the grid, two Keras together


def dense(k: Any) -> Any:
    names = ("a", "b", "c")
    return k.Sequential([k.layers.Input((8,)), *(k.layers.Dense(8, name=name) for name in names)])


def mark(model: Any, start: float) -> None:
    """Fills every variable with a number of its own, counting from *start* by its sign."""
    for index, weight in enumerate(model.weights):
        weight.assign(np.full(tuple(weight.shape), start + np.sign(start) * index, dtype="float32"))


def number_of(value: Any) -> float | None:
    """The number that fills the array, None when it holds several."""
    array = np.asarray(value)
    return float(array.flat[0]) if array.size and np.all(array == array.flat[0]) else None


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


def test_the_prediction_is_what_keras_does() -> None:
    """A sample of the grid that `make agree` runs in full, with the Keras that are here."""
    chosen = sample(("keras", "tf_keras"), MODELS)
    records = judge(chosen, size=len(chosen))
    wrong = unexpected(records)
    lines = [f"{r['case']}: real {r['real']}, predicted {r['predicted']}: {'; '.join(r['problems'])}" for r in wrong]
    assert not wrong, f"{len(wrong)} of {len(records)} disagree:\n" + "\n".join(lines[:30])
    assert len(records) > MODELS
    assert {r["real"] for r in records} >= {"loads", "raises", "loads_part", "loads_wrong"}


def subclassed(k: Any, attribute: str) -> Any:
    class Net(k.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            setattr(self, attribute, k.layers.Dense(4))

        def call(self, inputs: Any) -> Any:
            return getattr(self, attribute)(inputs)

    model = Net()
    model(np.zeros((1, 4), "float32"))
    return model


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
    subclassed(keras, "d" if saved_as == "d" else "x").save_weights(path)
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
    saved = dense(keras)
    (saved.save_weights if name.endswith("weights.h5") else saved.save)(tmp_path / name)
    (tmp_path / name).write_bytes(unclosed(tmp_path / name))
    assert disagreement(dense(keras), tmp_path / name, {}) is None


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", ["model.weights.h5", "model.keras", "model.h5"])
def test_damaged_containers_are_refused_as_keras_refuses_them(flavour: str, name: str, tmp_path: Path) -> None:
    keras = pytest.importorskip(flavour)
    saved = dense(keras)
    mark(saved, 1.0)
    (saved.save_weights if name.endswith("weights.h5") else saved.save)(tmp_path / name)
    differences = []
    for path in damaged(tmp_path / name):
        model = dense(keras)
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

    model = dense(keras)
    model.save(tmp_path / "model.h5")
    save_legacy_weights(model, tmp_path / "weights.h5")
    whole, weights = _core.File(bytes(tmp_path / "model.h5")), _core.File(bytes(tmp_path / "weights.h5"))
    assert [group[1] for group in whole.groups if not group[2] & _core.GROUP_FLAGS["optimizer"]] == [
        group[1] for group in weights.groups
    ]
