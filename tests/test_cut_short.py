"""What is said of a file that was cut short: every number is true, and they agree with each other."""

from __future__ import annotations

from pathlib import Path

import pytest

import kwload

pytestmark = pytest.mark.keras


@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.8, 0.9, 0.97])
def test_counts_and_pairs_are_of_what_is_whole(tmp_path: Path, share: float) -> None:
    keras = pytest.importorskip("keras")
    sizes = {"features": 64, "mid": 32, "scores": 10}
    layers = [keras.layers.Dense(units, name=name) for name, units in sizes.items()]
    model = keras.Sequential([keras.Input((20,)), *layers])
    whole, cut = tmp_path / "whole.weights.h5", tmp_path / "cut.weights.h5"
    model.save_weights(whole)
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])
    report = kwload.check(model, cut)
    with kwload.open(cut) as file:
        sound = {tensor.path for tensor in file.tensors if tensor.fault is None}
    assert [item.code for item in report.findings] == ["KW202"]
    assert {old for old, _ in report.pairs} == sound
    assert report.counts["matched"] == len(sound)
    assert f"at least {6 - len(sound)} that the model wants" in str(report) or not sound
    assert set(report.pairs) <= set(kwload.check(model, whole).pairs)
