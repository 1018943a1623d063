"""The situations the project exists for, each on real Keras 3 and real tf_keras and in every layout it can occur in.

The numbers are those of the list of situations; the ones that need the code or the config of a layer are not here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import Family, each_keras, every_family, same, values

import kwload

pytestmark = pytest.mark.keras


def codes(report: kwload.Report) -> set[str]:
    return {finding.code for finding in report.findings}


def finding(report: kwload.Report, code: str) -> kwload.Finding:
    found = [finding for finding in report.findings if finding.code == code]
    assert found, f"no {code} in:\n{report.render(all=True)}"
    return found[0]


def refused(model: Any, path: Path, **options: Any) -> kwload.Report:
    """The report of a load that must be refused with ValueError and leave the model as it was."""
    before = values(model)
    report = kwload.check(model, path, **options)
    assert not report.ok, report
    assert same(before, values(model))
    with pytest.raises(ValueError, match="error") as caught:
        kwload.load_weights(model, path, **options)
    assert isinstance(caught.value, kwload.WeightsMismatchError)
    assert codes(caught.value.report) == codes(report)
    assert same(before, values(model))
    return report


def loaded(model: Any, path: Path, expected: list[np.ndarray], **options: Any) -> kwload.Report:
    """The report of a load that must succeed and leave exactly the expected values."""
    before = values(model)
    report = kwload.check(model, path, **options)
    assert report.ok, report.render(all=True)
    assert same(before, values(model))
    assert kwload.load_weights(model, path, **options).ok
    assert same(values(model), expected), report
    return report


def dense(family: Family, *layers: tuple[int, str | None]) -> Any:
    named = [family.keras.layers.Dense(units, name=name) for units, name in layers]
    return family.sequential(*named)


def custom_class(family: Family, *variables: tuple[str, tuple[int, ...]]) -> type:
    keras = family.keras

    class MyCustomLayer(keras.layers.Layer):
        def build(self, input_shape: Any) -> None:
            for name, shape in variables:
                setattr(self, name, self.add_weight(name=name, shape=shape))
            super().build(input_shape)

        def call(self, inputs: Any) -> Any:
            return inputs * 2

    return MyCustomLayer


@every_family
def test_1_renamed_layer(family: Family, tmp_path: Path) -> None:
    saved = dense(family, (64, "dense_layer_1"), (10, "dense_layer_2"))
    path = family.save(saved, tmp_path)
    model = dense(family, (64, "dense_layer_one"), (10, "dense_layer_2"))
    report = loaded(model, path, values(saved))
    if family.named:
        renamed = finding(report, "KW303")
        assert renamed.severity == "note"
        assert renamed.layer == "dense_layer_one"
        assert "dense_layer_1" in renamed.headline
    assert report.prediction.outcome == "loads"
    if family.is_legacy:
        report = kwload.check(model, path, by_name=True)
        missing = finding(report, "KW301")
        assert (missing.layer, missing.severity) == ("dense_layer_one", "warning")
        assert report.prediction.outcome == "loads_part"
        assert "dense_layer_1" in report.render(all=True)
        assert kwload.check(model, path, mapping={"dense_layer_1": "dense_layer_one"}).ok


@every_family
def test_2_units_changed(family: Family, tmp_path: Path) -> None:
    path = family.save(dense(family, (64, "hidden"), (10, "head")), tmp_path)
    report = refused(dense(family, (128, "hidden"), (10, "head")), path)
    shape = finding(report, "KW307")
    assert (shape.layer, shape.variable) == ("hidden", "kernel")
    assert shape.expected == [10, 128] and shape.found == [10, 64]
    assert "units" in report.render()
    assert "hidden/bias" in shape.related and "head/kernel" in shape.related
    assert report.prediction.outcome == "raises" and report.prediction.error.type == "ValueError"


@every_family
def test_3_custom_layer_with_the_same_definition(family: Family, tmp_path: Path) -> None:
    layer = custom_class(family, ("scale", (1, 10)))
    saved = family.sequential(layer(name="custom"), family.keras.layers.Dense(10))
    path = family.save(saved, tmp_path)
    loaded(family.sequential(layer(name="custom"), family.keras.layers.Dense(10)), path, values(saved))


@pytest.mark.parametrize(
    "variables", [[("scale", (1, 7))], [("scale", (1, 10)), ("shift", (10,))], []], ids=["shape", "more", "fewer"]
)
@every_family
def test_4_custom_layer_with_other_weights(family: Family, variables: list[Any], tmp_path: Path) -> None:
    layer = custom_class(family, ("scale", (1, 10)))
    path = family.save(family.sequential(layer(name="custom"), family.keras.layers.Dense(10, name="head")), tmp_path)
    changed = custom_class(family, *variables)
    report = refused(family.sequential(changed(name="custom"), family.keras.layers.Dense(10, name="head")), path)
    found = next(f for f in report.findings if f.severity == "error")
    assert found.code in {"KW306", "KW307", "KW302"}
    assert "custom" in report.render(all=True)


@every_family
def test_5_whole_model_into_other_units(family: Family, tmp_path: Path) -> None:
    if family.layout != "legacy-model":
        pytest.skip("about whole-model HDF5")
    path = family.save(dense(family, (64, "a"), (10, "b")), tmp_path).rename(tmp_path / "model_save.hdf5")
    report = refused(dense(family, (32, "a"), (10, "b")), path)
    assert finding(report, "KW307").layer == "a"
    assert finding(report, "KW210").severity == "note"


@every_family
def test_6_a_layer_is_gone(family: Family, tmp_path: Path) -> None:
    path = family.save(dense(family, (64, "first"), (32, "second"), (10, "third")), tmp_path)
    report = refused(dense(family, (64, "first"), (10, "third")), path)
    text = report.render(all=True)
    assert "third" in text
    if family.named:
        assert "second" in text


@every_family
def test_8_the_same_architecture_loads(family: Family, tmp_path: Path) -> None:
    layers = family.keras.layers

    def build() -> Any:
        return family.sequential(
            layers.Conv2D(4, 3, name="conv1"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(5, name="dense"),
            inputs=(8, 8, 3),
        )

    saved = build()
    report = loaded(build(), family.save(saved, tmp_path), values(saved))
    assert report.counts["matched"] == 4
    assert {finding.severity for finding in report.findings} <= {"note"}


@each_keras
def test_9_the_path_is_wrong(family: Family, tmp_path: Path) -> None:
    model = dense(family, (4, None))
    family.save(model, tmp_path)
    report = kwload.check(model, tmp_path / "modle.weights.h5")
    assert codes(report) == {"KW101"}
    assert "model.weights.h5" in report.render()
    with pytest.raises(FileNotFoundError) as absent:
        kwload.load_weights(model, tmp_path / "modle.weights.h5")
    assert isinstance(absent.value, kwload.WeightsError)
    (tmp_path / "folder.weights.h5").mkdir()
    with pytest.raises(IsADirectoryError):
        kwload.load_weights(model, tmp_path / "folder.weights.h5")
    (tmp_path / "link.weights.h5").symlink_to(tmp_path / "nowhere.weights.h5")
    assert codes(kwload.check(model, tmp_path / "link.weights.h5")) == {"KW104"}
    with pytest.raises(FileNotFoundError):
        kwload.load_weights(model, tmp_path / "link.weights.h5")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@each_keras
def test_9_the_file_may_not_be_read(family: Family, tmp_path: Path) -> None:
    model = dense(family, (4, None))
    path = family.save(model, tmp_path)
    path.chmod(0)
    with pytest.raises(PermissionError):
        kwload.load_weights(model, path)


@every_family
def test_10_cut_short(family: Family, tmp_path: Path) -> None:
    model = dense(family, (64, "a"), (10, "b"))
    path = family.save(model, tmp_path)
    if family.layout == "shards":
        path = max(tmp_path.glob("*.h5"))
        target = tmp_path / "model.weights.json"
    else:
        target = path
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    before = values(model)
    report = kwload.check(model, target)
    truncated = finding(report, "KW202")
    assert truncated.severity == "error"
    assert not report.ok
    with pytest.raises(OSError, match="truncated") as caught:
        kwload.load_weights(model, target)
    assert isinstance(caught.value, kwload.WeightsFileError)
    assert same(before, values(model))


@every_family
def test_12_new_head_by_name(family: Family, tmp_path: Path) -> None:
    if not family.is_legacy:
        pytest.skip("by_name is of the legacy layouts")
    layers = family.keras.layers

    def build(head: str, classes: int) -> Any:
        return family.sequential(
            layers.Conv2D(4, 3, name="conv1"), layers.Flatten(), layers.Dense(classes, name=head), inputs=(8, 8, 3)
        )

    saved, model = build("old_dense", 10), build("new_dense", 5)
    expected = values(saved)[:2] + values(model)[2:]
    report = loaded(model, family.save(saved, tmp_path), expected, by_name=True)
    missing = finding(report, "KW326")
    assert (missing.layer, missing.severity) == ("new_dense", "warning")
    assert [pair[1] for pair in report.pairs] == ["conv1/kernel", "conv1/bias"]
    assert report.prediction.outcome == "loads_part"


@every_family
def test_12_new_head_with_skip(family: Family, tmp_path: Path) -> None:
    saved, model = dense(family, (16, "base"), (10, "head")), dense(family, (16, "base"), (5, "head"))
    path = family.save(saved, tmp_path)
    assert finding(refused(model, path), "KW307").layer == "head"
    expected = values(saved)[:2] + values(model)[2:]
    loaded(model, path, expected, skip=["head"])


@pytest.mark.parametrize("stored", ["float16", "float64", "int64", "int8"])
@every_family
def test_16_another_dtype(family: Family, stored: str, tmp_path: Path) -> None:
    import h5py

    if family.layout in ("keras", "shards"):
        pytest.skip("the same reader as v3")
    saved = dense(family, (4, "a"))
    path = family.save(saved, tmp_path)
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in names:
            value = file[name][()]
            del file[name]
            file[name] = np.ones_like(value, dtype=stored)
    report = loaded(dense(family, (4, "a")), path, [np.ones_like(value) for value in values(saved)])
    assert finding(report, "KW309").severity == "note", "the values themselves lose nothing"
    assert stored in report.render(all=True)
    unseen = kwload.check(dense(family, (4, "a")), path, values=False)
    assert finding(unseen, "KW309").severity == ("warning" if stored.endswith("64") else "note")


@every_family
def test_19_variables_renamed(family: Family, tmp_path: Path) -> None:
    old, new = custom_class(family, ("w", (1, 10))), custom_class(family, ("weight", (1, 10)))
    saved = family.sequential(old(name="custom"))
    report = loaded(family.sequential(new(name="custom")), family.save(saved, tmp_path), values(saved))
    if family.is_legacy:
        text = report.render(all=True)
        assert "weight" in text


@each_keras
def test_21_never_built(family: Family, tmp_path: Path) -> None:
    layers = family.keras.layers
    path = family.save(dense(family, (64, None), (10, None)), tmp_path)
    model = family.keras.Sequential([layers.Dense(64), layers.Dense(10)])
    report = kwload.check(model, path)
    assert "KW311" in codes(report)
    assert "(None, 10)" in report.render(), "the input shape that the file suggests"
    with pytest.raises(ValueError, match="built"):
        kwload.load_weights(model, path)
    assert not model.built


def test_22_untracked_tf_variable(tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    class Scale(keras.layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.factor = tf.Variable(2.0)

        def call(self, inputs: Any) -> Any:
            return inputs * self.factor

    model = keras.Sequential([keras.layers.Input((10,)), Scale(name="scale"), keras.layers.Dense(3)])
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    untracked = finding(kwload.check(model, path), "KW317")
    assert untracked.layer == "scale"
    assert "factor" in untracked.headline
