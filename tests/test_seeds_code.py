"""The situations in which the shapes fit and the code decides, the whole way: saved by real Keras 3 and real tf_keras,
stamped or not, checked, loaded and probed. The numbers are those of ``test_seeds.py``.
"""

from __future__ import annotations

import importlib
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import Family, every_family, same, values

import kwload

pytestmark = pytest.mark.keras
WHOLE = pytest.mark.parametrize(
    "family", [Family(name, layout) for name in ("keras", "tf_keras") for layout in ("keras", "legacy-model")], ids=str
)
Layer = Callable[..., Any]

SOURCE = """
    import keras
    if {package!r} == "keras":
        from keras.ops import cos, sin
    else:
        import tf_keras as keras
        from tensorflow import cos, sin

    class MyCustomLayer(keras.layers.Layer):
        def __init__(self, initial_value=0.5, **options):
            super().__init__(**options)
            self.initial_value = initial_value

        def build(self, shape):
            start = keras.initializers.Constant(self.initial_value)
            self.w = self.add_weight(name="w", shape=(1, shape[-1]), initializer=start)
            self.built = True

        def call(self, x):
            # what it computes
            return sin(x * self.w)

        def get_config(self):
            return {{**super().get_config(), "initial_value": self.initial_value}}
    """


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Layer]]:
    """Imports the layer from a file of its own, with one thing in it written otherwise."""
    folder = tmp_path / "code"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def make(family: Family, old: str = "", new: str = "") -> Layer:
        text = textwrap.dedent(SOURCE).format(package=family.name)
        assert old in text
        (folder / "custom_of_a_user.py").write_text(text.replace(old, new) if old else text)
        linecache.clearcache()
        sys.modules.pop("custom_of_a_user", None)
        importlib.invalidate_caches()
        made: Layer = importlib.import_module("custom_of_a_user").MyCustomLayer
        return made

    yield make
    sys.modules.pop("custom_of_a_user", None)


def net(family: Family, layer: Layer, **options: Any) -> Any:
    model = family.sequential(layer(name="mine", **options), family.keras.layers.Dense(3, name="head"))
    model.set_weights([np.linspace(0.1, 0.9, w.size).reshape(w.shape) for w in model.get_weights()])
    return model


def fresh(family: Family, layer: Layer, **options: Any) -> Any:
    return family.sequential(layer(name="mine", **options), family.keras.layers.Dense(3, name="head"))


def found(report: kwload.Report, code: str) -> kwload.Finding:
    return next(item for item in report.findings if item.code == code)


@every_family
def test_3_the_same_definition_with_its_signature(family: Family, written: Any, tmp_path: Path) -> None:
    layer = written(family)
    path = family.save(saved := net(family, layer), tmp_path)
    right = {"MyCustomLayer": (layer, lambda config, shape: [kwload.Var("w", (1, shape[-1]))])}
    wrong = {"MyCustomLayer": (layer, lambda config, shape: [kwload.Var("w", (2, shape[-1]))])}
    model = fresh(family, layer)
    assert any(item.code.startswith("KW4") and item.severity != "note" for item in signed(model, path, wrong).findings)
    report = kwload.load_weights(model, path, custom_objects=right)
    assert report.ok and not report.warnings
    assert same(values(model), values(saved))


def signed(model: Any, path: Path, signatures: dict[str, Any]) -> kwload.Report:
    return kwload.check(model, path, custom_objects=signatures)


@every_family
def test_7_what_a_stamp_knows(family: Family, written: Any, tmp_path: Path) -> None:
    """Sine to cosine: nothing can tell without a stamp, which is said; a stamp names the method, a probe refuses."""
    saved = net(family, written(family))
    path = family.save(saved, tmp_path)
    other = fresh(family, written(family, "sin(x", "cos(x"))
    silent = kwload.check(other, path)
    assert silent.ok and not silent.warnings
    assert "`MyCustomLayer`: whether it changed cannot be known" in found(silent, "KW404").headline

    layer = written(family)
    kwload.stamp(saved := loaded(fresh(family, layer), path), path, probe=True)
    assert "KW403" not in {item.code for item in kwload.check(fresh(family, layer), path).findings}
    again = fresh(family, written(family, "# what it computes", '"""Reformatted."""'))
    assert kwload.load_weights(again, path, probe=True).ok
    assert same(values(again), values(saved))

    other = fresh(family, written(family, "sin(x", "cos(x"))
    before = values(other)
    changed = found(kwload.check(other, path), "KW403")
    assert (changed.severity, changed.found) == ("warning", ["MyCustomLayer.call"])
    with pytest.raises(kwload.WeightsMismatchError) as caught:
        kwload.load_weights(other, path, probe=True)
    assert {"KW403", "KW413"} <= {item.code for item in caught.value.report.findings}
    assert same(values(other), before)


def loaded(model: Any, path: Path) -> Any:
    assert kwload.load_weights(model, path).ok
    return model


@WHOLE
def test_7_a_whole_model(family: Family, written: Any, tmp_path: Path) -> None:
    """`check_model` and `load_model` have the class in hand, and know what the stamp says of it."""
    path = family.save(saved := net(family, written(family)), tmp_path)
    own = {"MyCustomLayer": type(saved.layers[0])}
    keras = None if family.name == "keras" else "tf_keras 2.21"
    silent = kwload.check_model(path, keras=keras, custom_objects=own)
    assert "cannot be known" in found(silent, "KW404").headline

    kwload.stamp(saved, path)
    assert not kwload.check_model(path, keras=keras, custom_objects=own).findings
    own = {"MyCustomLayer": written(family, "sin(x", "cos(x")}
    report = kwload.check_model(path, keras=keras, custom_objects=own)
    assert found(report, "KW403").found == ["MyCustomLayer.call"]
    assert report.ok
    with pytest.warns(kwload.WeightsWarning, match="the code of `MyCustomLayer` changed"):
        kwload.load_model(path, own, keras=family.name)


@WHOLE
def test_13_and_14_a_class_that_is_unknown_or_takes_other_arguments(
    family: Family, written: Any, tmp_path: Path
) -> None:
    path = family.save(net(family, written(family), initial_value=0.25), tmp_path)
    keras = None if family.name == "keras" else "tf_keras 2.21"
    missing = found(kwload.check_model(path, keras=keras), "KW402")
    assert missing.severity == "error" and "MyCustomLayer" in missing.headline
    assert any("custom_objects" in line for line in missing.help)
    with pytest.raises(kwload.WeightsMismatchError, match="MyCustomLayer"):
        kwload.load_model(path, keras=family.name)

    without = written(family, "initial_value=0.5, **options", "**options")
    report = kwload.check_model(path, keras=keras, custom_objects={"MyCustomLayer": without})
    text = report.render(all=True)
    assert not report.ok and "initial_value" in text and "MyCustomLayer" in text


@every_family
def test_18_an_activation_and_dropout_under_a_probe(family: Family, tmp_path: Path) -> None:
    """Another activation computes otherwise, with or without a configuration; dropout is nothing in inference."""
    layers = family.keras.layers

    def made(activation: str, *more: Any) -> Any:
        return family.sequential(layers.Dense(6, activation=activation, name="a"), *more, layers.Dense(2, name="b"))

    path = family.save(saved := made("relu"), tmp_path)
    kwload.stamp(saved, path, probe=True)
    other = made("gelu")
    before = values(other)
    with pytest.raises(kwload.WeightsMismatchError, match="the output of the model is not what it was"):
        kwload.load_weights(other, path, probe=True)
    assert same(values(other), before)
    harmless = made("relu", layers.Dropout(0.5))
    report = kwload.load_weights(harmless, path, probe=True)
    assert report.ok and not report.warnings
    assert found(report, "KW413").severity == "note"
    assert same(values(harmless), values(saved))
