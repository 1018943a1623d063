"""Situations that users of Keras met and asked about, as far as no other test has them: what the report must say.

The numbers are those of the list of acceptance cases. Models are small, files are what real Keras writes, or what it
wrote once, made by hand.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from families import Family, save_legacy_weights

import kwload

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.keras


def dense(*names: str, units: int = 4, inputs: int = 4) -> Any:
    import keras

    layers = [keras.layers.Dense(units, name=name) for name in names]
    return keras.Sequential([keras.Input((inputs,)), *layers])


def only(report: kwload.Report) -> kwload.Finding:
    """The one finding of a report."""
    assert len(report.findings) == 1, report.render(all=True)
    return report.findings[0]


def test_20_only_the_optimizer_differs(tmp_path: Path) -> None:
    saved = dense("a")
    saved.compile("sgd", "mse")
    saved.fit(np.zeros((2, 4)), np.zeros((2, 4)), verbose=0)
    saved.save(tmp_path / "model.keras")
    model = dense("a")
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    report = kwload.check(model, tmp_path / "model.keras")
    finding = only(report)
    assert report.ok and (finding.code, finding.severity) == ("KW316", "warning")
    assert report.prediction is not None and report.prediction.outcome == "loads"
    assert "the weights of the model are complete without it" in str(report)


def test_20_state_that_is_loaded_is_no_weight_and_state_that_is_not_says_both_sides(tmp_path: Path) -> None:
    saved, same, other = dense("a"), dense("a"), dense("a")
    for model, optimizer in ((saved, "adam"), (same, "adam"), (other, "sgd")):
        model.compile(optimizer, "mse")
        model.optimizer.build(model.trainable_variables)
    saved.save_weights(tmp_path / "m.weights.h5")
    assert "ok, all 2 variables match" in str(kwload.check(same, tmp_path / "m.weights.h5"))
    finding = only(kwload.check(other, tmp_path / "m.weights.h5"))
    assert (finding.code, finding.severity, finding.found, finding.expected) == ("KW316", "note", 6, 2)
    with pytest.warns(UserWarning, match="Skipping variable loading") as warned:
        other.load_weights(tmp_path / "m.weights.h5")
    assert finding.keras is not None and str(warned[0].message).strip() in finding.keras


@pytest.mark.parametrize(("before", "now"), [([0], []), ([], [0]), ([0, 1, 2], []), ([1], [0])])
def test_18_a_nested_model_that_was_frozen_otherwise_loads_with_the_line_to_paste(
    before: list[int], now: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    def nested(frozen: list[int]) -> Any:
        parts = [keras.layers.Dense(4, name="i1"), keras.layers.BatchNormalization(name="bn")]
        inner = keras.Sequential([keras.Input((4,)), *parts, keras.layers.Dense(4, name="i2")], name="inner")
        for row in frozen:
            inner.layers[row].trainable = False
        return keras.Sequential([keras.Input((4,)), inner])

    def held(model: Any) -> dict[str, Any]:
        return {variable.path: np.array(variable) for variable in model.variables}

    monkeypatch.chdir(tmp_path)
    saved, model = nested(before), nested(now)
    for number, variable in enumerate(saved.variables, 1):
        variable.assign(np.arange(np.prod(variable.shape), dtype="float32").reshape(variable.shape) + number)
    save_legacy_weights(saved, tmp_path / "n.h5")
    (error,) = kwload.check(model, "n.h5").errors
    assert error.code == "KW313"
    exec(error.help[0], {"model": model, "kwload": kwload})
    np.testing.assert_equal(held(model), held(saved))
    assert [row for row, layer in enumerate(model.layers[0].layers) if not layer.trainable] == now


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """Three layers over two shards."""
    path = tmp_path / "big.weights.json"
    model = dense("a", "b", "c", units=32, inputs=32)
    model.save_weights(path, max_shard_size=2 * 33 * 32 * 4 / 1024**3)
    assert (tmp_path / "big_00001.weights.h5").exists()
    return path


def changed(path: Path, **entries: Any) -> None:
    """Writes the map of shards anew, with other entries."""
    stored = json.loads(path.read_text())
    stored["metadata"].update({key: value for key, value in entries.items() if key == "total_size"})
    stored["weight_map"].update({key: value for key, value in entries.items() if key != "total_size"})
    path.write_text(json.dumps(stored))


def test_21_shards_that_do_not_belong_together(sharded: Path) -> None:
    model = dense("a", "b", "c", units=32, inputs=32)
    assert not kwload.check(model, sharded).findings
    first, second = (sharded.with_name(f"big_0000{i}.weights.h5") for i in (0, 1))
    changed(sharded, total_size=1234)
    assert only(kwload.check(model, sharded)).code == "KW214"
    assert "the map says 1234 bytes, the shards hold 12,672" in str(kwload.check(model, sharded))
    changed(sharded, total_size=12672.0, **{"/layers/dense_9/vars": [first.name]})
    said = only(kwload.check(model, sharded))
    assert (said.code, said.severity, said.path) == ("KW214", "warning", first.name)
    assert any("layers/dense_9 is not in it" in line for line in said.body)
    first.rename(first.with_suffix(".kept"))
    missing = only(kwload.check(model, sharded))
    assert (missing.code, missing.path) == ("KW207", first.name)
    assert missing.notes == ("lost with it: `a`, `b` and `layers/dense_9`",)
    shutil.copy(second, first)
    other = only(kwload.check(model, sharded))
    assert (other.code, other.severity, other.path) == ("KW214", "error", first.name)
    assert other.headline == f"`{first.name}` holds what belongs to `{second.name}`: layers/dense_2"
    with pytest.raises(kwload.WeightsFileError):
        kwload.load_weights(model, sharded)
    second.rename(first)
    first.with_suffix(".kept").rename(second)
    swapped = only(kwload.check(model, sharded))
    assert [line.partition(" is not in it")[0] for line in swapped.body] == [
        f"{first.name}: layers/dense",
        f"{second.name}: layers/dense_2",
    ]


@pytest.mark.parametrize("marked", [True, False])
def test_26_bfloat16_with_and_without_its_mark(marked: bool, tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, dtype="bfloat16")])
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        assert file["layers/dense/vars/0"].dtype == "V2"
        for key in file["layers/dense/vars"] if not marked else ():
            del file["layers/dense/vars"][key].attrs["dtype"]
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, dtype="bfloat16")])
    said = str(kwload.check(other, path))
    assert ("no type recorded: taken as bfloat16" in said) is not marked
    assert ("fits, but Keras" in said) is not marked
    assert kwload.load_weights(other, path).ok
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(np.asarray(one, "float32"), np.asarray(two, "float32"))
    with kwload.open(path) as file:
        assert file["layers/dense/vars/0"].dtype == ml_dtypes.bfloat16


def test_27_a_list_of_names_in_chunks(tmp_path: Path) -> None:
    model = dense(*(f"layer_with_a_rather_long_name_{i:03}" for i in range(40)))
    whole, split = tmp_path / "whole.h5", tmp_path / "split.h5"
    save_legacy_weights(model, whole)
    shutil.copy(whole, split)
    with h5py.File(split, "r+") as file:
        names = np.asarray([str(name).encode() for name in file.attrs["layer_names"]])
        del file.attrs["layer_names"]
        for i, part in enumerate(np.array_split(names, 3)):
            file.attrs[f"layer_names{i}"] = part
        weights = file[names[0].decode()].attrs
        for i, name in enumerate(list(weights["weight_names"])):
            weights[f"weight_names{i}"] = [name]
        del weights["weight_names"]
    one, other = (kwload.check(model, path) for path in (whole, split))
    assert one.ok and str(one).replace("whole", "split") == str(other)
    assert one.pairs == other.pairs and kwload.diff(whole, split).same


@pytest.mark.parametrize(
    "name", ["with space.weights.h5", "größe_данные_重み.weights.h5", "d" * 120 + "/" + "e" * 120 + "/w.weights.h5"]
)
def test_30_paths_of_all_kinds(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    model = dense("a")
    model.save_weights(path)
    for given in (path, str(path), os.fsencode(path)):
        report = kwload.check(model, given)
        assert report.ok and os.path.basename(name) in str(report)
        assert kwload.load_weights(model, given).loaded
    with pytest.raises(FileNotFoundError, match="absent"):
        kwload.load_weights(model, os.fsencode(path.with_name("absent.weights.h5")))


def test_31_a_model_inside_a_model_is_counted_exactly(tmp_path: Path) -> None:
    """Keras's own editor of files loses these: 6 of 8 tensors, and finds faults with a file just saved."""
    import keras

    def build() -> Any:
        inputs = keras.Input((4,))
        return keras.Model(inputs, keras.layers.Dense(2)(dense("x", "y", "z")(inputs)))

    build().save_weights(tmp_path / "model.weights.h5")
    report = kwload.check(build(), tmp_path / "model.weights.h5")
    assert not report.findings
    assert (report.counts["tensors"], report.counts["matched"], len(report.pairs)) == (8, 8, 8)


@pytest.mark.parametrize("family", [Family("keras", "v3"), Family("tf_keras", "legacy")], ids=str)
def test_32_a_model_without_variables(family: Family, tmp_path: Path) -> None:
    keras = family.keras

    class Net(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = keras.layers.Dense(128), keras.layers.Dense(10)

        def call(self, inputs: Any) -> Any:
            return self.b(self.a(inputs))

    saved = Net()
    saved(np.zeros((1, 784), "float32"))
    path = family.save(saved, tmp_path)
    for model, remedy in (
        (keras.Sequential([keras.layers.Dense(128), keras.layers.Dense(10)]), "model.build((None, 784))"),
        (Net(), 'model(np.zeros((1, 784), "float32"))'),
    ):
        finding = only(kwload.check(model, path))
        assert (finding.code, finding.expected, finding.found) == ("KW311", 0, 4)
        assert remedy in finding.help[0]
