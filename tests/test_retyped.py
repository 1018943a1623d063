"""A layer of the same name whose class changed is one finding; a layer of another name is not that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import kwload

pytestmark = pytest.mark.keras


def network(layer: Any) -> Any:
    import keras

    return keras.Sequential([keras.Input((5, 3)), layer, keras.layers.Dense(2, name="o")])


def errors(report: Any) -> list[Any]:
    return [finding for finding in report.findings if finding.severity != "note"]


CHANGES = [
    ("GRU", "LSTM", (4,)),
    ("BatchNormalization", "LayerNormalization", ()),
]


@pytest.mark.parametrize(("old", "new", "args"), CHANGES, ids=[f"{old}-{new}" for old, new, _ in CHANGES])
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_a_change_of_class_is_one_finding(
    old: str, new: str, args: tuple[int, ...], suffix: str, tmp_path: Path
) -> None:
    import keras

    path = str(tmp_path / f"m{suffix}")
    saved = network(getattr(keras.layers, old)(*args, name="rnn"))
    saved.save(path) if suffix == ".keras" else saved.save_weights(path)
    model = network(getattr(keras.layers, new)(*args, name="rnn"))
    (finding,) = errors(kwload.check(model, path))
    assert finding.code == "KW301"
    assert finding.headline == f"the class of `rnn` changed: {old} in the file, {new} in the model"
    call = finding.help[0][finding.help[0].index("kwload.") :]
    eval(call, {"kwload": kwload, "model": model})  # the line is made to be pasted
    assert (model.layers[-1].kernel.numpy() == saved.layers[-1].kernel.numpy()).all()
    with pytest.raises(ValueError, match="could not be loaded"):
        model.load_weights(path)


@pytest.mark.parametrize("names", [("a", "b"), (None, None)])
def test_another_name_proves_no_change_of_class(names: tuple[str | None, str | None], tmp_path: Path) -> None:
    import keras

    path = str(tmp_path / "m.weights.h5")
    network(keras.layers.GRU(4, name=names[0])).save_weights(path)
    report = kwload.check(network(keras.layers.LSTM(4, name=names[1])), path)
    assert "the class of" not in str(report)
    assert {finding.code for finding in errors(report)} == {"KW301", "KW302"}


def test_units_are_not_told_from_another_class(tmp_path: Path) -> None:
    import keras

    path = str(tmp_path / "m.h5")
    network(keras.layers.GRU(4, name="rnn")).save(path)
    report = kwload.check(network(keras.layers.LSTM(4, name="rnn")), path)
    assert "the file holds a GRU with 4 units, the model has an LSTM there" in str(report)
    assert "units=" not in str(report)
    assert "units: " not in str(report)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_units_of_a_bidirectional_layer(suffix: str, tmp_path: Path) -> None:
    import keras

    def both(units: int) -> Any:
        return network(keras.layers.Bidirectional(keras.layers.LSTM(units), name="bi"))

    path = str(tmp_path / f"m{suffix}")
    saved = both(4)
    saved.save(path) if suffix == ".h5" else saved.save_weights(path)
    report = kwload.check(both(6), path)
    assert "build `bi` with units=4" in str(report)
    assert "layers differ by the same factor" not in str(report)
    assert kwload.check(both(4), path).ok
