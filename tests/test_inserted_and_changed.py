"""A layer inserted where the head changed as well, and an input that a Flatten makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import kwload

pytestmark = pytest.mark.keras


def dense(names: list[str], units: int) -> Any:
    import keras

    layers = [keras.layers.Dense(8, name=name) for name in names]
    return keras.Sequential([keras.Input((8,)), *layers, keras.layers.Dense(units, name="z")])


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
@pytest.mark.parametrize("units", [8, 3])
def test_a_changed_head_behind_an_inserted_layer_is_named(suffix: str, units: int, tmp_path: Path) -> None:
    path = str(tmp_path / f"m{suffix}")
    saved = dense(["x", "y"], 8)
    saved.save(path) if suffix == ".h5" else saved.save_weights(path)
    report = kwload.check(dense(["x", "new", "y"], units), path)
    codes = [finding.code for finding in report.findings if finding.code != "KW210"]
    assert codes == ["KW305"]
    changed = "`z` differs too: kernel (8, 8) in the file, (8, 3) in the model"
    assert (changed in str(report)) is (units == 3)


@pytest.mark.parametrize("functional", [False, True])
def test_a_flatten_before_it_tells_the_size_of_the_image(functional: bool, tmp_path: Path) -> None:
    import keras

    layers = keras.layers

    def network(size: int, between: Any) -> Any:
        parts = [
            layers.Conv2D(4, 3, padding="same", name="c"),
            between(),
            layers.Dropout(0.1),
            layers.Dense(5, name="d"),
        ]
        if not functional:
            return keras.Sequential([keras.Input((size, size, 3)), *parts])
        made = start = keras.Input((size, size, 3))
        for part in parts:
            made = part(made)
        return keras.Model(start, made)

    path = str(tmp_path / "m.weights.h5")
    network(8, layers.Flatten).save_weights(path)
    (finding,) = kwload.check(network(10, layers.Flatten), path).findings
    assert finding.code == "KW307"
    said = "a Flatten feeds it: (10, 10, 4) is 400 values, and 256 would be (8, 8, 4)"
    assert any(note.startswith(said) for note in finding.notes)
    pooled = kwload.check(network(10, layers.GlobalAveragePooling2D), path)
    assert "Flatten" not in str(pooled)
