"""Layers of a class of the user's own that has other variables than when the file was saved, in files of real Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from families import ALL, Family
from test_variants import only

import kwload

pytestmark = pytest.mark.keras

each_family = pytest.mark.parametrize(
    "family", [f for f in ALL if f.layout != "shards" and (f.name, f.layout) != ("tf_keras", "keras")], ids=str
)
Shapes = dict[str, tuple[int, ...]]
SAME: Shapes = {"w": (6,), "b": (6,)}


def build(family: Family, shapes: Shapes) -> Any:
    """Dense, a layer of an own class with these variables, Dense."""
    layers = family.keras.layers

    class Scale(layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, _: Any) -> None:
            for name, shape in shapes.items():
                setattr(self, name, self.add_weight(shape=shape, name=name))
            self.built = True

        def call(self, x: Any) -> Any:
            return x

    return family.sequential(layers.Dense(6, name="d"), Scale(name="scale"), layers.Dense(2, name="out"))


@each_family
@pytest.mark.parametrize(
    ("shapes", "code"),
    [({"w": (1, 6), "b": (6,)}, "KW307"), ({**SAME, "c": (6,)}, "KW306"), ({"w": (6,)}, "KW306")],
    ids=["rank", "more", "fewer"],
)
def test_a_class_that_changed_is_named_and_nothing_else_is_said_of_it(
    family: Family, shapes: Shapes, code: str, tmp_path: Path
) -> None:
    path = family.save(build(family, SAME), tmp_path)
    report = kwload.check(build(family, shapes), path)
    finding = only(report, code)
    assert "`Scale` is a class of your own: its code or its arguments may have changed" in str(finding.notes)
    assert "KW404" not in {item.code for item in report.findings}


@each_family
def test_variables_of_other_names_in_the_same_places(family: Family, tmp_path: Path) -> None:
    path = family.save(build(family, SAME), tmp_path)
    report = kwload.check(build(family, {"gain": (6,), "offset": (6,)}), path)
    notes = {item.code: item for item in report.notes}
    assert report.ok and not report.warnings
    assert ("KW303" in notes) == family.is_legacy, "other layouts do not record the names of variables"
    if family.is_legacy:
        assert (notes["KW303"].found, notes["KW303"].expected) == (["w", "b"], ["gain", "offset"])
    again = kwload.check(build(family, SAME), path)
    assert {item.code for item in again.findings} <= {"KW210", "KW404"}


@each_family
def test_another_input_is_no_change_of_a_class(family: Family, tmp_path: Path) -> None:
    path = family.save(build(family, SAME), tmp_path)
    finding = only(kwload.check(build(family, {"w": (7,), "b": (7,)}), path), "KW307")
    assert "its code, its arguments or its input" in str(finding.notes)


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_weights_named_by_the_model_above_their_layer_are_in_their_places(name: str, tmp_path: Path) -> None:
    family = Family(name, "legacy")
    keras = family.keras

    class Inner(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(name="inner")
            self.d = keras.layers.Dense(4, name="d")

        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(name="scale", shape=(4,))
            self.d.build(shape)  # tf_keras calls these weights inner/kernel and inner/bias
            self.built = True

        def call(self, x: Any) -> Any:
            return self.d(x) * self.scale

    path = family.save(family.sequential(Inner(), keras.layers.Dense(2, name="out")), tmp_path)
    report = kwload.check(family.sequential(Inner(), keras.layers.Dense(2, name="out")), path)
    assert {item.code for item in report.findings} <= {"KW404"}, str(report)
    assert report.prediction is not None and report.prediction.outcome == "loads"


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_an_argument_that_the_class_no_longer_takes_in_an_h5_file(name: str, tmp_path: Path) -> None:
    keras = Family(name, "legacy-model").keras

    def scale(old: bool) -> Any:
        class Scale(keras.layers.Layer):  # type: ignore[misc, name-defined]
            def get_config(self) -> Any:
                return {**super().get_config(), **({"initial_value": 2.0} if old else {})}

            def call(self, x: Any) -> Any:
                return x

        return Scale

    path = tmp_path / "model.h5"
    keras.Sequential([keras.layers.Input((4,)), scale(True)(name="scale")]).save(path)
    running = f"{'tf_keras ' if name == 'tf_keras' else ''}{keras.__version__}"
    report = kwload.check_model(path, custom_objects={"Scale": scale(False)}, keras=running)
    finding = only(report, "KW403")
    assert finding.layer == "scale" and finding.found == ["initial_value"]
    with pytest.raises(TypeError) as raised:
        keras.models.load_model(path, custom_objects={"Scale": scale(False)})
    assert report.prediction is not None and report.prediction.error is not None
    assert report.prediction.error.type == "TypeError"
    assert str(raised.value).startswith(report.prediction.error.message)
