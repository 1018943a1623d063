"""What goes wrong with Keras today, row by row: what Keras really does, and what kwload says instead."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import Family, every_family, same, save_legacy_weights, values

import kwload

pytestmark = pytest.mark.keras

KERAS = Family("keras", "v3")


def codes(report: kwload.Report, *severities: str) -> set[str]:
    return {finding.code for finding in report.findings if not severities or finding.severity in severities}


def stack(family: Family, *names: str | None, units: int = 8) -> Any:
    """Same-shape layers one after another: nothing but names tells them apart."""
    return family.sequential(*(family.keras.layers.Dense(units, name=name) for name in names), inputs=(units,))


def real_load(model: Any, path: Path, **options: Any) -> Exception | None:
    """What Keras itself does: None when it loads, else what it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.load_weights(path, **options)
        except Exception as error:  # noqa: BLE001  (whatever it raises is the answer)
            return error
    return None


@every_family
def test_the_same_model_built_twice_has_nothing_to_say(family: Family, tmp_path: Path) -> None:
    saved, model = stack(family, None, None, None), stack(family, None, None, None)
    path = family.save(saved, tmp_path)
    report = kwload.check(model, path)
    assert report.ok
    assert codes(report, "error", "warning") == set()
    assert codes(report) <= {"KW210", "KW316"}
    assert report.prediction.outcome == "loads"
    assert [len(group) for group in report.undecidable] == [3]


@every_family
def test_swapped_layers_are_found_by_the_names_a_user_gave(family: Family, tmp_path: Path) -> None:
    saved, model = stack(family, "encoder", "decoder"), stack(family, "decoder", "encoder")
    path = family.save(saved, tmp_path)
    report = kwload.check(model, path)
    if not family.named:
        assert report.ok and report.undecidable
        return
    assert "KW304" in codes(report, "error")
    assert report.prediction.outcome == "loads_wrong"
    text = report.render()
    assert "encoder" in text and "decoder" in text
    before = values(model)
    with pytest.raises(kwload.WeightsMismatchError):
        kwload.load_weights(model, path)
    assert same(before, values(model))
    assert real_load(model, path) is None, "Keras loads it, silently"
    assert same(values(model), values(saved)), "the decoder got the encoder's weights"


@every_family
def test_an_inserted_layer_is_one_finding(family: Family, tmp_path: Path) -> None:
    saved, model = stack(family, "a", "b", "c"), stack(family, "a", "new", "b")
    report = kwload.check(model, family.save(saved, tmp_path))
    if not family.named:
        assert report.ok
        return
    errors = [finding for finding in report.findings if finding.severity == "error"]
    assert [finding.code for finding in errors] == ["KW305"], report.render(all=True)
    assert "new" in errors[0].headline + "".join(errors[0].body)
    assert report.prediction.outcome == "loads_wrong"


@every_family
def test_more_layers_in_the_file(family: Family, tmp_path: Path) -> None:
    path = family.save(stack(family, "a", "b", "c"), tmp_path)
    model = stack(family, "a", "b")
    report = kwload.check(model, path)
    if family.is_legacy:
        assert not report.ok
        assert report.prediction.outcome == "raises"
        assert isinstance(real_load(model, path), ValueError)
    else:
        assert report.ok
        assert "KW302" in codes(report, "warning")
        assert report.counts["unused"] == 2
        assert real_load(model, path) is None


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_by_name_and_nothing_matches(name: str, tmp_path: Path) -> None:
    family = Family(name, "legacy")
    saved, model = stack(family, "enc", "dec"), stack(family, "swa_enc", "swa_dec")
    path = family.save(saved, tmp_path)
    report = kwload.check(model, path, by_name=True)
    assert codes(report, "error") == {"KW312"}
    assert "but for that" in report.render() and "match by name" in report.render()
    assert "mapping" in report.render()
    assert report.prediction.outcome == "loads_nothing"
    before = values(model)
    assert real_load(model, path, by_name=True) is None
    assert same(before, values(model)), "Keras loads nothing, silently"


def test_a_dict_of_layers_in_another_order(tmp_path: Path) -> None:
    import keras

    def build(*names: str) -> Any:
        class Heads(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.heads = {name: keras.layers.Dense(4, name=name) for name in names}

            def call(self, inputs: Any) -> Any:
                return [head(inputs) for head in self.heads.values()]

        model = Heads()
        model(np.zeros((1, 4), "float32"))
        return model

    saved, model = build("age", "sex"), build("sex", "age")
    path = KERAS.save(saved, tmp_path)
    report = kwload.check(model, path)
    assert "KW304" in codes(report, "error")
    assert report.prediction.outcome == "loads_wrong"


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 1234\n",
            "KW201",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html><head><title>404: Not  Found</title></head></html>", "KW201", "404: Not Found"),
        (b"", "KW105", "empty"),
        (b"\x1f\x8b\x08" + bytes(100), "KW201", "gzip"),
        (b"\x80\x04\x95" + bytes(100) + b".", "KW201", "pickle"),
        (b"hello, this is no weight file\n", "KW201", "text"),
    ],
    ids=["lfs", "html", "empty", "gzip", "pickle", "text"],
)
def test_what_is_not_a_weight_file_is_named(content: bytes, code: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    path.write_bytes(content)
    model = stack(KERAS, "a")
    report = kwload.check(model, path)
    assert codes(report) == {code}
    assert words in report.render()
    with pytest.raises(OSError, match=code):
        kwload.load_weights(model, path)
    assert isinstance(real_load(model, path), OSError)
    assert (report.prediction.outcome, report.prediction.error.type) == ("raises", "OSError")


def test_a_zip_under_another_name(tmp_path: Path) -> None:
    saved, model = stack(KERAS, "a"), stack(KERAS, "a")
    saved.save(tmp_path / "model.keras")
    path = tmp_path / "model.weights.h5"
    shutil.move(tmp_path / "model.keras", path)
    report = kwload.check(model, path)
    assert "KW206" in codes(report, "warning")
    assert ".keras" in report.render()
    assert report.prediction.outcome == "raises"
    kwload.load_weights(model, path)
    assert same(values(model), values(saved))


def test_one_byte_flipped_inside_an_archive(tmp_path: Path) -> None:
    saved, model = stack(KERAS, "a", "b"), stack(KERAS, "a", "b")
    path = tmp_path / "model.keras"
    saved.save(path)
    with kwload.open(path) as file:
        offset = file.tensors[-1].offset
    data = bytearray(path.read_bytes())
    data[offset + 5] ^= 1
    path.write_bytes(data)
    before = values(model)
    report = kwload.check(model, path)
    assert codes(report, "error") == {"KW205"}
    assert "model.weights.h5" in report.render()
    with pytest.raises(OSError, match="KW205"):
        kwload.load_weights(model, path)
    assert same(before, values(model))
    assert isinstance(real_load(model, path), zipfile.BadZipFile)


def test_legacy_layout_named_weights_h5_and_the_other_way(tmp_path: Path) -> None:
    saved, model = stack(KERAS, "a", "b"), stack(KERAS, "a", "b")
    legacy, v3 = tmp_path / "legacy.weights.h5", tmp_path / "v3.h5"
    save_legacy_weights(saved, legacy)
    saved.save_weights(tmp_path / "v3.weights.h5")
    shutil.move(tmp_path / "v3.weights.h5", v3)
    for path in (legacy, v3):
        fresh = stack(KERAS, "a", "b")
        report = kwload.check(fresh, path)
        assert report.ok
        assert codes(report, "warning") == {"KW206"}
        assert report.prediction.outcome == "raises"
        error = real_load(model, path)
        assert type(error).__name__ == report.prediction.error.type
        assert str(error).startswith(report.prediction.error.message)
        kwload.load_weights(fresh, path)
        assert same(values(fresh), values(saved))


INTERRUPTED = """
import os, sys, h5py, numpy
file = h5py.File(sys.argv[1], "w")
for i in range(20):
    file[f"layers/dense_{i}/vars/0"] = numpy.ones((40, 40), "float32")
os._exit(0)
"""


def test_an_interrupted_save_is_told_from_a_cut_download(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    subprocess.run([sys.executable, "-c", INTERRUPTED, str(path)], check=True)
    model = stack(KERAS, "a")
    report = kwload.check(model, path)
    if path.stat().st_size == 0:
        assert codes(report) == {"KW105"}
    else:
        assert "KW203" in codes(report, "error")
        assert "never finished" in report.render()
    assert not report.ok


def test_truncation_lists_what_survives(tmp_path: Path) -> None:
    saved = stack(KERAS, "a", "b", "c", units=64)
    path = KERAS.save(saved, tmp_path)
    size = path.stat().st_size
    os.truncate(path, size - 17000)
    report = kwload.check(stack(KERAS, "a", "b", "c", units=64), path)
    text = report.render(all=True)
    assert "KW202" in codes(report, "error")
    assert f"{size:,}" in text or str(size) in text
    assert "6" in text


@every_family
def test_a_refused_load_overwrites_nothing_where_keras_overwrites(family: Family, tmp_path: Path) -> None:
    dense = family.keras.layers.Dense
    path = family.save(family.sequential(dense(16, name="a"), dense(10, name="b")), tmp_path)
    model = family.sequential(dense(16, name="a"), dense(12, name="b"))
    before = values(model)
    with pytest.raises(kwload.WeightsMismatchError):
        kwload.load_weights(model, path)
    assert same(before, values(model))
    report = kwload.check(model, path)
    error = real_load(model, path)
    assert error is not None and type(error).__name__ == report.prediction.error.type
    assert not same(before, values(model)), "Keras has overwritten the first layer before it raised"


def test_a_truncation_under_a_running_check_is_a_finding(tmp_path: Path) -> None:
    """The file shrinks between opening it and reading it: reported, never SIGBUS."""
    model = stack(KERAS, "a", "b", units=64)
    path = KERAS.save(model, tmp_path)
    data = path.read_bytes()
    shrink = f"""
import os, random, time
end = time.monotonic() + 2
data = open({str(path)!r}, "rb").read()
while time.monotonic() < end:
    os.truncate({str(path)!r}, random.randrange(len(data)))
    with open({str(path)!r}, "r+b") as f:
        f.write(data)
"""
    before = values(model)
    with subprocess.Popen([sys.executable, "-c", shrink]) as child:
        outcomes = set()
        while child.poll() is None:
            outcomes.add(kwload.check(model, path).ok)
            try:
                kwload.load_weights(model, path)
            except kwload.WeightsFileError:
                outcomes.add(False)
    assert path.read_bytes() == data
    assert same(values(model), before)
    assert False in outcomes
