"""What a model wants, from its architecture alone, held against what the live model wants."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from live_grid import models
from real_files import corpus_files

import kwload
from kwload import _core, cli
from kwload.spec import architecture, live
from kwload.spec.architecture import ArchitectureError, target
from kwload.spec.asked import parse
from kwload.spec.described import Keras, Model

HERE = Path(__file__).parent
KERAS_3 = Keras("keras", (3, 15, 1), "", "tensorflow")
LAYOUTS = ("keras-3", "legacy")


@pytest.fixture(params=["keras", "tf_keras"])
def library(request: pytest.FixtureRequest) -> Iterator[Any]:
    return pytest.importorskip(request.param)


def rows(described: Model) -> list[Any]:
    """Groups with variables, without the names that Keras counts anew in every process."""
    return [
        (path, cls, [(shape, dtype, trainable) for _, _, _, shape, dtype, trainable in variables])
        for path, _, cls, _, variables in described.groups
        if variables and not path.startswith(("optimizer", "metrics"))
    ]


def edges(described: Model) -> set[tuple[str, str, str]]:
    """Which attribute leads where, but for those of the training and those that hold again what was found."""
    groups = [described.groups[row][0] if row >= 0 else "[]" for row, _ in described.nodes]
    found = set()
    for at, (_, several) in zip(groups, described.nodes, strict=True):
        own = at != "[]" and not at.startswith(("_compile", "optimizer", "loss", "metrics"))
        found |= {(at, str(name), groups[to]) for name, to in several if own and name not in SKIPPED}
    return found


SKIPPED = {
    *("_operations_by_depth", "_pipeline_layers", "optimizer", "metrics", "loss"),
    *("_compile_loss", "_loss_tracker", "_compile_metrics"),
}


def differences(model: Any, tree: Any) -> list[Any]:
    found = []
    for layout in LAYOUTS:
        wanted = live.describe(model, layout)
        made = architecture.describe(tree, layout, wanted.keras)
        if rows(made) != rows(wanted):
            found.append((layout, [pair for pair in zip(rows(wanted), rows(made), strict=False) if pair[0] != pair[1]]))
        elif layout == "keras-3" and edges(made) != edges(wanted):
            found.append((layout, edges(made) ^ edges(wanted)))
    return found


def stripped(tree: Any) -> Any:
    """Without the shapes that only newer Keras record."""
    if isinstance(tree, dict):
        return {key: stripped(item) for key, item in tree.items() if key not in ("build_config", "build_input_shape")}
    return [stripped(item) for item in tree] if isinstance(tree, list) else tree


OWN_CODE = {
    "attributes",
    "containers in containers",
    "class-level attributes",
    "own __dir__",
    "subclass of Dense",
    "subclass of Functional",
    "LSTM with a layer as activation",  # built by some Keras, never by others
    "TextVectorization tf_idf",  # tf_keras lists its table among the weights, and loads no legacy file with it
    "float8",  # legacy: `quantize` and a config make the variables in two orders
}


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
def test_every_built_in_structure_is_that_of_the_live_model(library: Any) -> None:
    different, count = {}, 0
    for name, build in models(library):
        model = build()
        if name in OWN_CODE:
            continue
        count += 1
        tree = json.loads(model.to_json())
        if found := differences(model, tree):
            different[name] = found
        elif name != "int4" and (found := differences(model, stripped(tree))):
            different[name, "without shapes"] = found
    assert not different
    assert count > 45


FAMILIES = {
    "MobileNet": {"alpha": 0.25, "input_shape": (32, 32, 3)},
    "MobileNetV2": {"alpha": 0.35, "input_shape": (32, 32, 3)},
    "MobileNetV3Small": {"input_shape": (32, 32, 3), "include_top": False},
    "EfficientNetB0": {"input_shape": (32, 32, 3)},
    "EfficientNetV2B0": {"input_shape": (32, 32, 3), "include_top": False},
    "ConvNeXtTiny": {"input_shape": (32, 32, 3), "include_top": False},
    "DenseNet121": {"input_shape": (32, 32, 3)},
    "ResNet50V2": {"input_shape": (32, 32, 3)},
    "Xception": {"input_shape": (71, 71, 3)},
    "VGG16": {"input_shape": (32, 32, 3), "include_top": False},
}
SLOW = {
    **{name: {} for name in ("InceptionV3", "InceptionResNetV2", "NASNetMobile", "ResNet50", "ResNet101", "VGG19")},
    **{name: {} for name in ("MobileNetV3Large", "DenseNet169", "EfficientNetB3", "EfficientNetV2S", "ConvNeXtSmall")},
}


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FAMILIES)
def test_applications(library: Any, name: str) -> None:
    model = getattr(library.applications, name)(weights=None, **FAMILIES[name])
    tree = json.loads(model.to_json())
    assert not differences(model, tree)
    assert not differences(model, stripped(tree))


@pytest.mark.keras
@pytest.mark.skipif("KWLOAD_TEST_ALL" not in os.environ, reason="takes minutes: set KWLOAD_TEST_ALL")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SLOW)
def test_large_applications(library: Any, name: str) -> None:
    model = getattr(library.applications, name)(weights=None)
    assert not differences(model, json.loads(model.to_json()))


def frozen(keras: Any) -> Any:
    """Nested, shared, frozen in part, several inputs."""
    la = keras.layers
    inner = keras.Sequential([keras.Input((8,)), la.Dense(8), la.BatchNormalization()], name="inner")
    left, right = keras.Input((8,)), keras.Input((8,))
    shared = la.Dense(8, name="shared")
    both = la.Add()([inner(shared(left)), inner(shared(right))])
    head = keras.Model([left, right], la.Dense(8)(both), name="head")
    a, b = keras.Input((8,)), keras.Input((8,))
    model = keras.Model([a, b], la.Dense(2)(head([a, b])))
    inner.layers[1].trainable = False
    shared.trainable = False
    return model


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
def test_frozen_parts_change_the_order_of_legacy_files(library: Any, tmp_path: Path) -> None:
    model = frozen(library)
    assert not differences(model, json.loads(model.to_json()))
    model.save(tmp_path / "model.h5")
    assert not differences(model, target.read(tmp_path / "model.h5").tree)


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
def test_shapes_go_through_operations(library: Any, tmp_path: Path) -> None:
    tensorflow = pytest.importorskip("tensorflow")
    la, ops = library.layers, tensorflow if library.__name__ == "tf_keras" else library.ops
    join, mean = (ops.concat, ops.reduce_mean) if ops is tensorflow else (ops.concatenate, ops.mean)
    left, right = library.Input((8, 6)), library.Input((8, 6))
    x = la.Dense(5)(join([left * 2 + right, left], -1))
    x = la.LSTM(4)(ops.expand_dims(la.Dense(7)(mean(x, axis=1)), 1))
    model = library.Model([left, right], la.Dense(3)(ops.reshape(x, (-1, 2, 2))[:, 0]))
    model.save(tmp_path / "model.h5")
    assert not differences(model, target.read(tmp_path / "model.h5").tree)
    assert not differences(model, stripped(json.loads(model.to_json())))


# --- real files ------------------------------------------------------------------------------------------------------

NOT_TO_BE_HELD = {
    "keras-real/AdirtKa__NeuralNetworks__another_char_model.keras": "KW310",  # paths of Windows, which no Keras finds
    "keras-made/k3_npz.keras": "KW208",
    "3.0.5/fun.h5": "KW301",  # Keras 3.0.5 lists layers that it did not write
}


def test_every_real_file_fits_the_architecture_in_it(corpus: Path) -> None:
    wrong, count = {}, 0
    for path in corpus_files("keras-real", "keras-made", "keras-by-version", "hdf5-other-writers"):
        try:
            if _core.File(str(path).encode()).config is None:
                continue
        except _core.CoreError:
            continue
        count += 1
        try:
            report = kwload.check(path, path, values=False)
        except ArchitectureError as error:
            if "`VAE`" not in str(error):
                wrong[path.name] = str(error)
            continue
        said = "".join(item.code for item in report.errors)
        if said != NOT_TO_BE_HELD.get(f"{path.parent.name}/{path.name}", ""):
            wrong[path.name] = str(report)
    assert not wrong
    assert count > 70


# --- where something is not known ------------------------------------------------------------------------------------


def dense(name: str, units: int, **more: Any) -> dict[str, Any]:
    return {"class_name": "Dense", "config": {"name": name, "trainable": True, "units": units, **more}}


def chain(*layers: dict[str, Any], width: int | None = 8, old: bool = False) -> dict[str, Any]:
    key = "batch_input_shape" if old else "batch_shape"
    first = {"class_name": "InputLayer", "config": {key: [None, width], "name": "in"}}
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [first, *layers]}}


MINE = {"class_name": "My>Scale", "config": {"name": "scale", "trainable": True, "size": 3}}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file with a layer of a class of its own between two Dense."""
    h5py = pytest.importorskip("h5py")
    np = pytest.importorskip("numpy")

    def write(legacy: bool, **shapes: tuple[int, ...]) -> Path:
        path = tmp_path / ("legacy.h5" if legacy else "new.weights.h5")
        given: dict[str, Any] = {
            "a/kernel": (8, 4),
            "a/bias": (4,),
            "scale/w": (4,),
            "b/kernel": (4, 2),
            "b/bias": (2,),
        }
        given.update({key.replace("__", "/"): shape for key, shape in shapes.items()})
        places = {"a": "layers/dense", "scale": "layers/scale", "b": "layers/dense_1"}
        with h5py.File(path, "w") as file:
            for name, place in places.items():
                own = {
                    key.partition("/")[2]: shape for key, shape in given.items() if key.startswith(f"{name}/") and shape
                }
                group = file.create_group(name if legacy else f"{place}/vars")
                if legacy:
                    group.attrs["weight_names"] = [f"{name}/{key}".encode() for key in own]
                else:
                    group.attrs["name"] = name
                for at, (key, shape) in enumerate(own.items()):
                    group.create_dataset(f"{name}/{key}" if legacy else str(at), data=np.ones(shape, "float32"))
            if legacy:
                file.attrs["layer_names"] = [name.encode() for name in places]
                file.attrs["keras_version"] = b"3.15.1"
        return path

    return write


@pytest.mark.parametrize("legacy", [False, True])
def test_a_class_that_nobody_knows_is_named_and_the_rest_is_checked(saved: Any, legacy: bool) -> None:
    tree = chain(dense("a", 4), MINE, dense("b", 2))
    report = kwload.check(tree, saved(legacy), values=False)
    assert report.ok
    assert report.counts["unchecked"] == 1
    (found,) = [item for item in report.findings if item.code == "KW410"]
    assert (found.layer, found.severity) == ("scale", "note")
    assert "b" in found.related, "what it is called with is not known"
    assert report.prediction is not None
    assert report.prediction.outcome == "unknown"
    wrong = kwload.check(chain(dense("a", 5), MINE, dense("b", 2)), saved(legacy), values=False)
    assert [item.code for item in wrong.errors] == ["KW307"]
    assert wrong.prediction is not None
    assert wrong.prediction.outcome == "raises"
    units = kwload.check(chain(dense("a", 4), MINE, dense("b", 3)), saved(legacy), values=False)
    assert not units.ok, "the units are known, whatever it is called with"


def test_a_class_without_weights_is_told_by_the_count_of_layers(saved: Any) -> None:
    report = kwload.check(chain(dense("a", 4), MINE, dense("b", 2)), saved(True, scale__w=()), values=False)
    assert report.ok
    assert report.counts["matched"] == 4


def test_a_signature_is_held_against_the_file(saved: Any) -> None:
    tree = chain(dense("a", 4), MINE, dense("b", 2))
    right = {"My>Scale": lambda config, shape: ([kwload.Var("w", shape[-1:])], shape)}
    report = kwload.check(tree, saved(False), custom_objects=right, values=False)
    assert report.ok
    assert not report.findings
    assert report.prediction is not None
    assert report.prediction.outcome == "loads"
    wrong = {"My>Scale": lambda config, shape: ([kwload.Var("w", (config["size"],))], shape)}
    assert not kwload.check(tree, saved(False), custom_objects=wrong, values=False).ok
    broken = {"My>Scale": lambda config, shape: config["nothing"]}
    report = kwload.check(tree, saved(False), custom_objects=broken, values=False)
    assert report.ok
    assert [item.code for item in report.warnings] == ["KW408"]


def test_unknown_parts_inside_a_nested_model_leave_what_is_around_them(saved: Any) -> None:
    nested = {"class_name": "Sequential", "config": {"name": "a", "layers": [dense("x", 4), MINE]}}
    report = kwload.check(chain(nested, dense("b", 2)), saved(True, a__w=(9, 9), scale__w=()), values=False)
    assert report.ok
    assert report.counts["unchecked"] == 1


def test_a_model_that_was_never_called_is_checked_as_far_as_it_goes() -> None:
    made = architecture.describe(chain(dense("a", 4), dense("b", 2), width=None), "legacy", KERAS_3)
    assert [row[3] for group in made.groups for row in group[4]] == [(None, 4), (4,), (4, 2), (2,)]


# --- dialects, targets -----------------------------------------------------------------------------------------------


def test_a_target_may_be_written_in_many_ways(saved: Any, tmp_path: Path) -> None:
    tree = chain(dense("a", 4), dense("scale", 4), dense("b", 2))
    path = saved(True, scale__w=(), scale__kernel=(4, 4), scale__bias=(4,))
    (tmp_path / "config.json").write_text(json.dumps(tree))
    ways: list[Any] = [
        tree,
        tree["config"],
        tree["config"]["layers"],
        json.dumps(tree),
        tmp_path / "config.json",
        str(tmp_path / "config.json"),
        io.BytesIO(json.dumps(tree).encode()),
    ]
    for way in ways:
        assert kwload.check(way, path, values=False).ok, way


def test_whose_model_it_is() -> None:
    def said(tree: Any, layout: str = "legacy", keras: str | None = None) -> str:
        found = target.read(tree)
        return target.keras_of(found, layout, parse(keras) if keras else None).said

    tree = chain(dense("a", 4), old=True)
    assert said(tree) == "tf_keras 2.21.0"
    assert said({**tree, "keras_version": "2.2.4-tf"}) == "Keras 2.2.4"
    assert said({**tree, "keras_version": "1.2.2"}, "keras-3") == "Keras 3.15.1"
    assert said({**tree, "keras_version": "3.8.0"}) == "Keras 3.8.0"
    assert said({**tree, "keras_version": "3.8.0"}, keras="3.3.3") == "Keras 3.3.3"
    assert said({"class_name": "Sequential", "config": {"layers": [dense("a", 4)]}}) == "Keras 3.15.1"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is no JSON: "),
        ("[]", "is no architecture"),
        ('{"weight_map": {}}', "is a map of weight files"),
        ('{"layers": 3}', "it has no `class_name`"),
        ('{"kind": "manifest", "schema": 1}', "kwload.Manifest.load(path), or --manifest, reads it"),
        ('{"class_name": "BertBackbone", "config": {}}', "stand in its code"),
        (json.dumps(chain({"class_name": "Dense", "config": {"name": "d", "units": "many"}})), "`Dense` `d`: units"),
        ("[" * 300 + "]" * 300, "deeper than any architecture"),
        ('{"class_name": "' + "x" * (17 << 20) + '"}', "is longer than 16 MiB"),
    ],
)
def test_what_is_no_architecture_is_said_with_its_place(text: str, why: str, tmp_path: Path, saved: Any) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"config\.json") as raised:
        kwload.check(path, saved(True))
    assert why in str(raised.value)


def test_a_weight_file_is_no_architecture(saved: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds weights and no architecture: give the \.keras"):
        kwload.check(saved(True), saved(False))
    with pytest.raises(ValueError, match="No such file"):
        kwload.check(tmp_path / "absent.json", saved(True))
    with pytest.raises(TypeError, match="or an architecture, not int"):
        kwload.check(3, saved(True))
    with pytest.raises(TypeError, match="expected a Keras model, not dict"):
        kwload.load_weights({}, saved(True))


def hostile() -> Iterator[tuple[str, Any]]:
    def call(name: str) -> list[Any]:
        return [[[name, 0, 0, {}]]]

    def graph(*layers: Any) -> Any:
        config = {"name": "m", "layers": list(layers), "input_layers": [["in", 0, 0]], "output_layers": [["a", 0, 0]]}
        return {"class_name": "Functional", "config": config}

    given = {"class_name": "InputLayer", "name": "in", "config": {"batch_input_shape": [None, 4], "name": "in"}}
    circle = [{**dense(one, 4), "name": one, "inbound_nodes": call(two)} for one, two in ("ab", "bc", "ca")]
    yield "circle", graph(given, *circle)
    yield "nowhere", graph(given, {**dense("a", 4), "name": "a", "inbound_nodes": call("zzz")})
    yield "itself", graph(given, {**dense("a", 4), "name": "a", "inbound_nodes": call("a")})
    deep: Any = dense("d", 4)
    for _ in range(20):
        deep = {"class_name": "TimeDistributed", "config": {"name": "t", "layer": deep}}
    yield "wrappers", chain(deep)
    twice: Any = dense("a", 4)
    for _ in range(18):  # each model calls the one inside it twice, with two shapes
        inner = {**twice, "name": "a", "config": {**twice["config"], "name": "a"}}
        inner["inbound_nodes"] = [[["in", 0, 0, {}]], [["a", 0, 0, {}]]]
        config = {"name": "a", "layers": [given, inner], "input_layers": [["in", 0, 0]], "output_layers": [["a", 1, 0]]}
        twice = {"class_name": "Functional", "config": config}
    yield "doubling", twice
    yield "wide", chain({"class_name": "Dense", "config": {"name": "d", "units": 10**30}})
    yield "ranks", chain({"class_name": "Dense", "config": {"name": "d", "units": 3}}, width=10**40)
    yield "types", chain({"class_name": "LSTM", "config": {"name": ["d"], "units": [3], "dtype": {"config": 3}}})
    yield "names", chain({"class_name": "../../etc", "config": {"name": "\x1b[31m"}})
    yield "odd", {"class_name": "Functional", "config": {"layers": [{"class_name": 3}], "output_layers": 3}}


@pytest.mark.parametrize(("name", "tree"), list(hostile()), ids=[name for name, _ in hostile()])
def test_hostile_configurations_end_soon(name: str, tree: Any, saved: Any) -> None:
    for layout in (True, False):
        try:
            text = str(kwload.check(tree, saved(layout), values=False))
        except ValueError as error:
            text = str(error)
        assert "\x1b" not in text


# --- without Keras; the command --------------------------------------------------------------------------------------


def test_neither_keras_nor_tensorflow_is_needed(saved: Any, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(chain(dense("a", 4), MINE, dense("b", 2))))
    command = [sys.executable, str(HERE / "isolated" / "without_keras.py")]
    for path in (saved(True), saved(False)):
        command += [str(config), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        said = json.loads(line)
        assert (said["ok"], said["outcome"], said["counts"]["matched"]) == (True, "unknown", 5)


def test_the_command(saved: Any, tmp_path: Path) -> None:
    config, path = tmp_path / "config.json", str(saved(False, scale__w=()))
    config.write_text(json.dumps(chain(dense("a", 4), dense("b", 2))))
    run = CliRunner().invoke
    done = run(cli.main, ["check", path, "--config", str(config)])
    assert done.exit_code == 0
    assert f"the model is the architecture in {config}" in done.output
    config.write_text(json.dumps(chain(dense("a", 9), dense("b", 2))))
    assert run(cli.main, ["check", path, "--config", str(config)]).exit_code == 1
    config.write_text("{")
    assert run(cli.main, ["check", path, "--config", str(config)]).exit_code == 2
    assert run(cli.main, ["check", path, "--config", str(config), "--model", "m:f"]).exit_code == 2
