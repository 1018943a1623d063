"""The names of layers of a `.keras` archive whose weights bear none: from its configuration."""

from __future__ import annotations

import importlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_grid import models
from real_files import CORPUS
from test_today import real_load

import kwload
from kwload import _core
from kwload.spec.live import describe

every_flavour = pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
CONFIG_NAME, AUTO_NAME, OPTIMIZER = (_core.GROUP_FLAGS[name] for name in ("config_name", "auto_name", "optimizer"))


def save(model: Any, path: Path) -> dict[str, str | None]:
    """Writes the archive, that of Keras 3 as 3.0 to 3.5 did, without the names. Path -> name of each object."""
    model.save(path)
    truth = {group[0]: group[1] for group in describe(model, "keras-3").groups}
    return truth | nameless(path) if "keras.src" in {cls.__module__[:9] for cls in type(model).__mro__} else truth


def nameless(path: Path) -> dict[str, str | None]:
    """Takes the names out of the weights. Path -> name that stood there."""
    import h5py

    names: dict[str, str | None] = {}

    def strip(name: str, item: Any) -> None:
        if name.rsplit("/", maxsplit=1)[-1] == "vars" and "name" in item.attrs:
            names[name.rpartition("/")[0]] = item.attrs["name"]
            del item.attrs["name"]

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        file.visititems(strip)
    members["model.weights.h5"] = weights.getvalue()
    members["metadata.json"] = json.dumps({**json.loads(members["metadata.json"]), "keras_version": "3.5.0"}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return names


@pytest.mark.keras
@every_flavour
def test_the_configuration_names_the_layers_of_every_kind_of_model(flavour: str, tmp_path: Path) -> None:
    keras = importlib.import_module(flavour)
    path = tmp_path / "model.keras"
    untold = set()
    for kind, build in models(keras):
        truth = save(build(), path)
        named = [group for group in _core.File(bytes(path)).groups if group[2] & CONFIG_NAME]
        assert {group[0]: group[1] for group in named} == {group[0]: truth[group[0]] for group in named}, kind
        if not named:
            untold.add(kind)
    assert untold == {"attributes", "subclass of Functional"}, "of the user's own: it does not say what its layers are"


@pytest.mark.parametrize("version", ["2.15.0", "3.0.5", "3.3.3", "3.5.0"])
def test_real_files_have_the_names_that_newer_ones_record(version: str) -> None:
    if not CORPUS.is_dir():
        pytest.skip("no corpus")

    def names(which: str) -> dict[str, str | None]:
        groups = _core.File(bytes(CORPUS / "keras-by-version" / which / "fun.keras")).groups
        return {group[0]: group[1] for group in groups if group[1] and not group[2] & (AUTO_NAME | OPTIMIZER)}

    assert len(names(version)) == 8
    assert names(version) == names("3.10.0")


def rows(keras: Any, *layers: Any) -> Any:
    return keras.Sequential([keras.layers.Input((5, 4)), *layers])


def nested(keras: Any, one: str | None, two: str | None) -> Any:
    dense, inputs = keras.layers.Dense, keras.layers.Input((4,))
    inner = keras.Sequential([keras.layers.Input((4,)), dense(4, name=one), dense(4, name=two)], name="inner")
    return keras.Model(inputs, dense(4)(inner(inputs)))


def cells(keras: Any, one: str | None, two: str | None) -> Any:
    cell = keras.layers.LSTMCell
    return rows(keras, keras.layers.RNN(keras.layers.StackedRNNCells([cell(4, name=one), cell(4, name=two)])))


def operations(keras: Any, one: str | None, two: str | None) -> Any:
    inputs = keras.layers.Input((4,))
    first = keras.layers.Dense(4, name=one)(inputs) + 1.0
    return keras.Model(inputs, keras.layers.Add()([first, keras.layers.Dense(4, name=two)(first)]))


every_build = pytest.mark.parametrize("build", [nested, cells, operations])


@pytest.mark.keras
@every_build
@every_flavour
def test_exchanged_layers(flavour: str, build: Callable[..., Any], tmp_path: Path) -> None:
    keras = importlib.import_module(flavour)
    path = tmp_path / "model.keras"
    saved, model = build(keras, "one", "two"), build(keras, "two", "one")
    save(saved, path)
    report = kwload.check(model, path)
    assert [finding.code for finding in report.errors] == ["KW304"]
    assert report.prediction.outcome == "loads_wrong"
    call = report.errors[0].help[0].split("  ")[0]
    eval(call, {"kwload": kwload, "model": model})  # the line that the report gives
    for name in ("one", "two"):
        assert weights(model, name) == weights(saved, name) != []
    assert real_load(model, path) is None, "Keras loads it, silently"
    assert weights(model, "one") == weights(saved, "two")


def weights(model: Any, name: str) -> list[bytes]:
    """Of the layer or cell of this name, wherever it is."""
    described = describe(model, "keras-3")
    owned = zip(described.owners, described.variables, strict=True)
    return [np.asarray(variable).tobytes() for owner, variable in owned if owner.name == name]


@pytest.mark.keras
@every_build
@every_flavour
def test_the_same_model_again(flavour: str, build: Callable[..., Any], tmp_path: Path) -> None:
    keras = importlib.import_module(flavour)
    path = tmp_path / "model.keras"
    for names in (("one", "two"), (None, None), ("one", None)):
        save(build(keras, *names), path)
        report = kwload.check(build(keras, *names), path)
        assert report.ok and not report.warnings, report.render(all=True)
        assert report.prediction.outcome == "loads"


@pytest.mark.keras
@every_flavour
def test_of_two_directions_one_has_a_name(flavour: str, tmp_path: Path) -> None:
    keras = importlib.import_module(flavour)
    path = tmp_path / "model.keras"

    def build(*names: str | None) -> Any:
        la = keras.layers
        return rows(keras, *(la.Bidirectional(la.LSTM(2, return_sequences=True), name=name) for name in names))

    save(build("mine", None), path)
    report = kwload.check(build(None, "mine"), path)
    assert [finding.code for finding in report.errors] == ["KW304"]
    assert report.prediction.outcome == "loads_wrong"
    report = kwload.check(build("mine", None), path)
    assert report.ok and not report.warnings


@pytest.mark.keras
@every_flavour
def test_a_removed_layer_that_no_shape_shows(flavour: str, tmp_path: Path) -> None:
    keras = importlib.import_module(flavour)
    path = tmp_path / "model.keras"

    def build(*names: str) -> Any:
        return rows(keras, *(keras.layers.Dense(4, name=name) for name in names))

    save(build("fc0", "fc1", "fc2", "head"), path)
    model = build("fc1", "fc2", "head")
    for skip in (False, True):
        report = kwload.check(model, path, skip_mismatch=skip)
        assert [finding.code for finding in report.errors] == ["KW305"]
        assert report.prediction.outcome == "loads_wrong"
    assert real_load(model, path, skip_mismatch=True) is None
