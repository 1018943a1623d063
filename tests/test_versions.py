"""Who wrote a file, what another Keras would make of it, and what the report says of both."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from agree.whole_changes import CHANGES, changed
from agree.whole_changes import NAMES as OTHER_NAMES
from hypothesis import given, settings
from hypothesis import strategies as st
from real_files import corpus_files

import kwload
from kwload import _core
from kwload.spec import tables
from kwload.versions import classes, differences, reader, whole, writer
from kwload.versions.reader import Reader

HERE = Path(__file__).parent
OLDER = Path(os.environ.get("KWLOAD_AGREE_KERAS", HERE.parent / ".venv" / "agree"))


# ---- which Keras ----


@pytest.mark.parametrize(
    ("text", "flavour", "version"),
    [
        ("3.8", "keras", (3, 8, 0)),
        ("3.3", "keras", (3, 3, 3)),
        ("3", "keras", reader.NEWEST),
        ("keras 3.15.1", "keras", (3, 15, 1)),
        ("2.15", "tf_keras", (2, 15, 0)),
        ("tf_keras", "tf_keras", reader.NEWEST_2),
        ("tf_keras 2.16", "tf_keras", (2, 16, 0)),
        ("keras", "keras", reader.NEWEST),
        ("keras==3.8", "keras", (3, 8, 0)),
    ],
)
def test_a_keras_by_its_name(text: str, flavour: str, version: tuple[int, int, int]) -> None:
    assert reader.parse(text) == Reader(flavour, version)


@pytest.mark.parametrize(
    ("version", "said"), [("2.2.4-tf", "Keras 2.2.4"), ("3.16.0.dev1", "Keras 3.16.0"), ("4.0.0", None), ("dev", None)]
)
def test_the_keras_that_is_imported(version: str, said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(__version__=version))
    monkeypatch.setitem(sys.modules, "tf_keras", types.SimpleNamespace(__version__="2.18.0"))
    assert reader.installed().name == (said or "tf_keras 2.18.0")


@pytest.mark.keras
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_the_table_of_classes_is_that_of_the_installed_keras(package: str) -> None:
    """What the constructors name themselves: every key of the real one is in the table, and nothing else is open."""
    keras = importlib.import_module(package)
    asked = reader.parse(f"{package} {keras.__version__}")
    assert not asked.is_newer_than_known
    seen = 0
    for name, cls in vars(keras.layers).items():
        known = classes.find(asked, f"layers.{name}") if isinstance(cls, type) else None
        if known is None or not issubclass(cls, keras.layers.Layer):
            continue
        parameters = inspect.signature(cls.__init__).parameters.values()
        plain = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)} - {"self"}
        assert plain <= set(known.keys), name
        assert known.required <= plain, name
        seen += 1
    assert seen > 90
    exported = {name for name, cls in vars(keras.initializers).items() if isinstance(cls, type)}
    assert exported <= {name for name in exported if classes.find(asked, f"initializers.{name}")}


def test_a_key_and_the_releases_that_know_it() -> None:
    assert list(classes.since("layers.Dense", "quantization_config")) == [(3, "3.13:")]
    assert list(classes.since("layers.LSTM", "time_major")) == [(2, ":")]
    assert [line for line, _ in classes.since("layers.LocallyConnected2D")] == [2]
    old = classes.find(reader.parse("3.6"), "initializers.Orthogonal")
    assert old is not None and old.name == "OrthogonalInitializer"


# ---- who wrote it ----


@pytest.mark.parametrize("path", corpus_files("keras-by-version"), ids=lambda path: "/".join(path.parts[-2:]))
def test_the_writer_of_files_of_known_origin(path: Path) -> None:
    found = writer.of(_core.File(os.fsencode(path)))
    true = writer.number(path.parent.name)
    assert true is not None
    if path.name != "fun.weights.h5":  # all others record it
        assert found.recorded and found.since == true
        return
    assert not found.recorded and found.evidence and found.name is not None
    assert f"{true[0]}" in re.findall(r" (\d)\.", found.name)
    if found.generation is not None:
        assert found.generation == ("Keras 3" if true[0] == 3 else "Keras 2")
        assert found.since is not None and found.since <= true
        assert found.until is None or true < found.until


@pytest.mark.parametrize(
    ("version", "generation"),
    [
        ("1.2.2", "Keras 1"),
        ("2.2.4", "standalone Keras 2"),
        ("2.2.4-tf", "tf.keras"),
        ("2.4.0", "tf.keras"),
        ("2.15.0", "tf.keras"),
        ("2.16.0", "tf_keras"),
        ("3.5.0", "Keras 3"),
    ],
)
def test_the_line_of_a_recorded_version(tmp_path: Path, version: str, generation: str) -> None:
    path = legacy(tmp_path, keras_version=version)
    assert writer.of(_core.File(os.fsencode(path))).generation == generation


def legacy(folder: Path, shape: tuple[int, ...] = (3, 2), dtype: Any = "float32", **attributes: str) -> Path:
    """A legacy weight file of one layer, `a`, with a kernel."""
    path = folder / "w.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"a"]
        file.attrs.update({name: value.encode() for name, value in attributes.items()})
        file.create_group("a").attrs["weight_names"] = [b"a/kernel:0"]
        file["a/a/kernel:0"] = np.ones(shape, dtype)
    return path


@pytest.mark.parametrize(
    ("paths", "name", "said"),
    [
        (["_layer_checkpoint_dependencies/dense/vars/0"], "tf.keras 2.12 to 2.14", "_layer_checkpoint_dependencies"),
        (["layers/dense/vars/0"], "tf.keras 2.15 or newer, or Keras 3.0 to 3.5", "no group"),
        (["layers/dense/vars/0", "metrics/mean/vars/0"], "tf.keras 2.15 or newer", "metrics"),
        (["layers/mha/_query_dense/vars/0"], "tf.keras 2.15 or newer, or Keras 3.0.0 to 3.0.2", "_query_dense"),
        (["layers/mha/query_dense/vars/0"], "Keras 3.0.3 to 3.5", "query_dense"),
        (["layers/mha/_gate_dense/vars/0", "layers/dense/vars/0@n"], "Keras 3.14 or newer", "_gate_dense"),
        (["layers/dense/vars/0@n"], "Keras 3.6 or newer", "`name`"),
        (["layers/b/blocks/container/vars/0@n"], "Keras 3.15 or newer", "container"),
        # Traits that no release has together: nothing is claimed.
        (["_layer_checkpoint_dependencies/dense/vars/0@n"], None, "`name`"),
    ],
)
def test_traits_of_bare_weights(tmp_path: Path, paths: list[str], name: str | None, said: str) -> None:
    path = tmp_path / "w.weights.h5"
    with h5py.File(path, "w") as file:
        for text in paths:
            where, _, named = text.partition("@")
            file[where] = np.ones((2, 2), "float32")
            if named:
                file[where].parent.attrs["name"] = "x"
    found = writer.of(_core.File(os.fsencode(path)))
    assert found.name == name
    assert any(said in line for line in found.evidence)


# ---- what load_model does: against Keras itself ----


def truth(flavour: str, paths: list[Path], older: Path | None = None) -> list[dict[str, Any]]:
    """What the real load_model of a Keras does with files."""
    done = run("load", *map(str, paths), flavour=flavour, older=older)
    return [json.loads(line) for line in done.splitlines() if line.startswith("{")]


def run(*arguments: str, flavour: str = "keras", older: Path | None = None) -> str:
    environment = os.environ | {
        "KWLOAD_TEST_FLAVOUR": flavour,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
    }
    if older is not None:
        environment["PYTHONPATH"] = str(older)
    script = str(HERE / "isolated" / "whole_models.py")
    done = subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def disagreements(found: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Predictions that are wrong, and those that say `unknown`, each with what really happens."""
    wrong, unknown = [], []
    for real in found:
        path = Path(real["path"])
        report = kwload.check_model(path, keras=("tf_keras " if real["keras"][0] == "2" else "") + real["keras"])
        foreseen, kind = report.prediction, real.get("type")
        assert foreseen is not None and foreseen.call == "load_model"
        line = f"{path.parent.name}/{path.name}: {foreseen.outcome} {foreseen.error}, really {kind} "
        line += real.get("begins", "")[:200]
        if foreseen.outcome == "unknown":
            unknown.append(line)
        elif foreseen.outcome == "loads":
            wrong += [line] if kind is not None else []
        else:
            said = foreseen.error is not None and real.get("begins", "").startswith(foreseen.error.message)
            wrong += [] if foreseen.error is not None and foreseen.error.type == kind and said else [line]
        assert report.ok or foreseen.outcome != "loads", line
        assert not report.ok or foreseen.outcome != "raises", line
    return wrong, unknown


def some_real_files(step: int) -> list[Path]:
    """Files of the corpus: all of known origin, and of the others every so many."""
    return [*corpus_files("keras-by-version"), *corpus_files("keras-made", "keras-real")[::step]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The models of ``isolated/whole_models.py``, saved by both libraries in both formats."""
    folders = []
    for flavour in ("keras", "tf_keras"):
        folders.append(folder := tmp_path_factory.mktemp("of") / flavour)
        folder.mkdir()
        run("save", str(folder), flavour=flavour)
        assert len(list(folder.iterdir())) > 65
    return sorted(path for folder in folders for path in folder.iterdir())


@pytest.mark.keras
@pytest.mark.parametrize(("flavour", "most_unknown"), [("keras", 1), ("tf_keras", 6)])
def test_models_load_as_foreseen(saved: list[Path], flavour: str, most_unknown: int) -> None:
    """What both libraries save, and real files: half of it in each."""
    wrong, unknown = disagreements(truth(flavour, [*saved[flavour == "keras" :: 2], *some_real_files(4)]))
    assert not wrong, "\n".join(wrong)
    assert len(unknown) <= most_unknown, "\n".join(unknown)


@pytest.mark.keras
@pytest.mark.parametrize(("flavour", "most_unknown"), [("keras", 3), ("tf_keras", 5)])
def test_changed_architectures_load_as_foreseen(
    saved: list[Path], flavour: str, most_unknown: int, tmp_path: Path
) -> None:
    """Keys that a constructor does not take or lacks, other classes, names and forms: each change of two files."""
    plain = [path for path in saved if path.parent.name == flavour and path.stem in ("dense", "lstm", "nested_graph")]
    names = [*CHANGES, *OTHER_NAMES]
    pairs = [(plain[(i + j) % len(plain)], name) for i, name in enumerate(names) for j in range(2)]
    copies = [copy for copy in (changed(path, name, tmp_path) for path, name in pairs) if copy is not None]
    assert len(copies) > 25
    wrong, unknown = disagreements(truth(flavour, copies))
    assert not wrong, "\n".join(wrong)
    assert len(unknown) <= most_unknown, "\n".join(unknown)


@pytest.mark.keras
@pytest.mark.parametrize("version", ["3.0.5", "3.8.0"])
def test_older_keras_loads_as_foreseen(corpus: Path, version: str) -> None:
    folder = OLDER / f"keras-{version}"
    if not folder.is_dir():
        pytest.skip(f"Keras {version} is not at {folder}: set KWLOAD_AGREE_KERAS")
    wrong, unknown = disagreements(truth("keras", some_real_files(4), folder))
    assert not wrong, "\n".join(wrong)
    assert len(unknown) <= 1, "\n".join(unknown)


# ---- what the report says ----


def layer(name: str, **config: Any) -> dict[str, Any]:
    return {
        "module": "keras.layers",
        "class_name": name,
        "config": {"name": name.lower(), **config},
        "registered_name": None,
    }


def archive(folder: Path, *layers: dict[str, Any], version: str = "3.15.1", **outer: Any) -> Path:
    """A ``.keras`` archive of a Sequential with these layers and the weights of a Dense."""
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "sequential", "layers": [layer("InputLayer", batch_shape=[None, 3]), *layers]},
        "registered_name": None,
        **outer,
    }
    return zipped(folder, json.dumps(config).encode(), version)


def zipped(folder: Path, config: bytes, version: str = "3.15.1") -> Path:
    weights = folder / "weights.h5"
    with h5py.File(weights, "w") as file:
        file["layers/dense/vars/0"] = np.ones((3, 2), "float32")
        file["layers/dense/vars/1"] = np.ones(2, "float32")
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("config.json", config)
        made.writestr("metadata.json", json.dumps({"keras_version": version}))
        made.write(weights, "model.weights.h5")
    return path


def only(report: kwload.Report, code: str, severity: str = "error") -> kwload.Finding:
    """The one finding of a report that has one of this severity."""
    found = [finding for finding in report.findings if finding.severity == severity]
    assert [finding.code for finding in found] == [code], report.render(all=True)
    return found[0]


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    report = kwload.check_model(legacy(tmp_path, keras_version="2.15.0"), keras="3.15")
    found = only(report, "KW209")
    assert "1 layer with 6 parameters" in found.headline
    assert "load_weights" in found.help[0]
    assert report.prediction is not None and report.prediction.error is not None
    assert report.prediction.error.message == "No model config found in the file at "
    with pytest.raises(kwload.WeightsMismatchError):
        report.raise_if_failed()


def test_an_architecture_of_a_newer_keras(tmp_path: Path) -> None:
    path = archive(tmp_path, layer("Dense", units=2, quantization_config=None))
    assert kwload.check_model(path, keras="3.13").ok
    report = kwload.check_model(path, keras="3.8")
    found = only(report, "KW405")
    assert "Keras 3.8.0 cannot rebuild" in found.headline and "Keras 3.15.1 wrote" in found.headline
    assert found.body == ("Dense: `quantization_config`  known to Keras 3.13 and newer",)
    assert found.notes == ("the weights are not affected: they load into the same model built in code",)
    assert any("keras>=3.15" in line for line in found.help)
    assert "quantization_config" in str(report).splitlines()[-1]


@pytest.mark.parametrize(
    ("asked", "made", "key"),
    [
        ("2.15", layer("Dense", units=2), "batch_shape"),
        ("3.15", layer("LSTM", units=2, time_major=False), "time_major"),
        ("3.15", layer("DepthwiseConv2D", kernel_size=1, groups=1), "groups"),
        ("3.15", layer("MultiHeadAttention", num_heads=1, key_dim=1, query_shape=[None, 3]), "query_shape"),
        ("3.15", layer("BatchNormalization", axis=[1]), "axis"),
        ("3.15", layer("CuDNNLSTM", units=2), "CuDNNLSTM"),
        ("3.15", layer("LocallyConnected1D", filters=2, kernel_size=1), "LocallyConnected1D"),
        ("3.13", layer("Dense", units=2, kernel_initializer=layer("GlorotUniform", input_axes=None)), "input_axes"),
        (
            "3.15",
            layer("Dense", units=2, dtype={"class_name": "Policy", "config": {"name": "mixed_float16"}}),
            "Policy",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value["class_name"],
)
def test_what_a_keras_does_not_know_is_named(tmp_path: Path, asked: str, made: dict[str, Any], key: str) -> None:
    initializer = made["config"].get("kernel_initializer")
    if initializer is not None:
        initializer["module"] = "keras.initializers"
        del initializer["config"]["name"]
    report = kwload.check_model(archive(tmp_path, made), keras=asked)
    found = only(report, "KW405")
    assert any(key in line for line in found.body), found.body


def test_a_class_of_the_users_own(tmp_path: Path) -> None:
    mine = {"module": None, "class_name": "Scale", "config": {"name": "scale_1"}, "registered_name": "My>Scale"}
    path = archive(tmp_path, mine, {**mine, "config": {"name": "scale_2"}}, layer("Dense", units=2))
    report = kwload.check_model(path, keras="3.15")
    found = only(report, "KW402")
    assert "`My>Scale`" in found.headline
    assert "in 2 layers: `scale_1` and `scale_2`" in found.body[0]
    assert 'custom_objects={"My>Scale": Scale}' in found.help[0]
    assert found.help[1].endswith('@kwload.register(package="My") in front of class Scale')
    assert report.prediction is not None and report.prediction.error is not None
    assert report.prediction.error.said.endswith("Could not locate class 'Scale'. Make sure custom classes…")
    handed = kwload.check_model(path, keras="3.15", custom_objects={"My>Scale": object})
    assert handed.ok and handed.prediction is not None
    assert (handed.prediction.outcome, "its own code" in str(handed.prediction.reason)) == ("unknown", True)


@pytest.mark.parametrize(("name", "near"), [("Conv2d", "Conv2D"), ("Dence", "Dense"), ("MyCustomLayer", "")])
def test_a_misspelt_class_and_the_one_that_is_known(name: str, near: str, tmp_path: Path) -> None:
    """A module of Keras is recorded, so that no class that is handed in would be taken for it."""
    found = only(kwload.check_model(archive(tmp_path, layer(name, units=1)), keras="3.15"), "KW405")
    assert "known to no Keras 2 or 3" in found.body[0]
    assert found.notes[:-1] == ((f"`{name}` is not known, `{near}` is",) if near else ())


@pytest.mark.keras
@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("package", ["kwload_test", None])
def test_what_makes_a_class_known_works(package: str | None, suffix: str, tmp_path: Path) -> None:
    import keras

    class Mine(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs

    known = keras.saving.get_custom_objects()
    if package:
        keras.saving.register_keras_serializable(package=package)(Mine)
    path = tmp_path / f"model.{suffix}"
    keras.Sequential([keras.Input((3,)), Mine()]).save(path)
    names = [name for name in known if known[name] is Mine]
    for name in names:
        del known[name]
    found = only(kwload.check_model(path), "KW402")
    space = {"keras": keras, "kwload": kwload, "Mine": Mine}
    assert eval(found.help[0].partition(": ")[2], space)
    line = found.help[1].partition(": ")[2]
    try:
        if line.startswith("@"):
            eval(line.removeprefix("@").partition(" in front")[0], space)(Mine)
        else:
            exec(line, space)
        assert keras.models.load_model(path)
    finally:
        for objects in (known, tables.OBJECTS):
            for name in [name for name in objects if objects[name] is Mine]:
                del objects[name]


@pytest.mark.keras
def test_a_stored_key_that_the_class_does_not_take(tmp_path: Path) -> None:
    """The class had an argument `initial_value` when the file was written, and has it no more."""
    import keras

    class Shift(keras.layers.Layer):
        def __init__(self, initial_value: float = 1.0, **options: Any) -> None:
            super().__init__(**options)
            self.initial_value = initial_value

        def call(self, inputs: Any) -> Any:
            return inputs + self.initial_value

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "initial_value": self.initial_value}

    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((3,)), Shift(2.0, name="up")]).save(path)
    taken = kwload.check_model(path, custom_objects={"Shift": Shift})
    assert taken.ok, taken.render()

    class Changed(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs

    report = kwload.check_model(path, custom_objects={"Shift": Changed})
    found = only(report, "KW403")
    assert "`Shift` does not take `initial_value`" in found.headline and found.layer == "up"
    with pytest.raises(TypeError) as real:
        keras.models.load_model(path, custom_objects={"Shift": Changed})
    assert report.prediction is not None and report.prediction.error is not None
    assert report.prediction.error.type == "TypeError"
    assert str(real.value).startswith(report.prediction.error.message)
    assert "initial_value" in str(real.value)


@pytest.mark.keras
def test_what_is_registered_with_the_imported_keras_is_known(tmp_path: Path) -> None:
    import keras

    @keras.saving.register_keras_serializable(package="kwload_test")
    class Known(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs

    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((3,)), Known()]).save(path)
    try:
        assert kwload.check_model(path).ok
    finally:
        del keras.saving.get_custom_objects()["kwload_test>Known"]
    only(kwload.check_model(path), "KW402")


def test_code_in_the_architecture(tmp_path: Path) -> None:
    code = {"class_name": "__lambda__", "config": {"code": "x", "defaults": None, "closure": None}}
    report = kwload.check_model(archive(tmp_path, layer("Lambda", function=code)), keras="3.15")
    found = only(report, "KW406")
    assert "Python code" in found.notes[0] and any("safe_mode=False" in line for line in found.help)


def _of_keras_2(name: str, **more: Any) -> dict[str, Any]:
    """A Lambda of Keras 2: its code stands in a list."""
    config = {"name": name, "trainable": True, "dtype": "float32", "function": ["x", None, None], **more}
    config |= {"function_type": "lambda", "module": "__main__", "output_shape": None, "output_shape_type": "raw"}
    return {"class_name": "Lambda", "config": {**config, "output_shape_module": None, "arguments": {}}}


def test_code_in_the_architecture_of_keras_2(tmp_path: Path) -> None:
    """An archive is refused, and an `.h5` file is run, whatever is asked for; and nobody is led to it unwarned."""
    made = {"module": "keras.layers", "registered_name": None, **_of_keras_2("twice")}
    first = layer("InputLayer", batch_input_shape=[None, 3], dtype="float32", sparse=False, ragged=False)
    config = {"name": "s", "layers": [first, made]}
    stored = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    path = zipped(tmp_path, json.dumps(stored).encode(), "2.15.0")
    refused = only(kwload.check_model(path, keras="2.15"), "KW406")
    assert any("tf_keras.models.load_model" in line and "safe_mode=False" in line for line in refused.help)
    assert "KW406" not in {item.code for item in kwload.check_model(path, keras="2.15", safe_mode=False).findings}
    elsewhere = only(kwload.check_model(path, keras="3.15"), "KW405")
    assert "known to Keras 2" in " ".join(elsewhere.body) and "known to no" not in " ".join(elsewhere.body)
    assert "Python code" in elsewhere.notes[0] and "safe_mode=False" in elsewhere.help[1]
    old = whole_h5(tmp_path, _of_keras_2("twice"))
    asked = only(kwload.check_model(old, keras="3.15"), "KW406")
    assert "safe_mode=False" in asked.help[1], "Keras 3 understands the code in an `.h5` file"
    run = only(kwload.check_model(old, keras="2.15"), "KW406", "warning")
    assert "runs the Python code in the file" in run.headline and run.layer == "twice"


def test_another_keras_is_named_where_it_makes_the_model(tmp_path: Path) -> None:
    newer = layer("Dense", units=2, quantization_config=None)
    help_of = lambda path: only(kwload.check_model(path, keras="3.8"), "KW405").help  # noqa: E731
    assert help_of(archive(tmp_path, newer))[1:] == ('upgrade: pip install "keras>=3.15"',)
    lost = layer("NoSuchLayer")
    assert not help_of(archive(tmp_path, newer, lost))[1:]
    code = {"class_name": "__lambda__", "config": {"code": "x", "defaults": None, "closure": None}}
    assert help_of(archive(tmp_path, newer, layer("Lambda", function=code)))[1].endswith(", safe_mode=False)")


def test_an_axis_that_is_lost(tmp_path: Path) -> None:
    """Keras before 3.9 drops a numeric `axis` of an `.h5` file, later ones only a list of several."""
    path = whole_h5(tmp_path, {"class_name": "Softmax", "config": {"name": "s", "axis": 1}})
    assert not kwload.check_model(path, keras="3.15").findings
    found = only(kwload.check_model(path, keras="3.8"), "KW405", "warning")
    assert "drops the `axis` of 1 layer" in found.headline and "axis=1" in found.body[0]
    last = whole_h5(tmp_path, {"class_name": "Softmax", "config": {"name": "s", "axis": 2}})
    assert not kwload.check_model(last, keras="3.8").findings, "the last axis is what Keras takes for it"
    several = whole_h5(tmp_path, {"class_name": "Softmax", "config": {"name": "s", "axis": [1, 2]}})
    only(kwload.check_model(several, keras="3.15"), "KW405", "warning")


def whole_h5(folder: Path, *layers: dict[str, Any], first: bool = True) -> Path:
    """A whole-model ``.h5`` file with one weightless layer group each."""
    given = [{"class_name": "InputLayer", "config": {"name": "i", "batch_input_shape": [None, 4, 3]}}] if first else []
    config = {"class_name": "Sequential", "config": {"name": "q", "layers": [*given, *layers]}}
    path = folder / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"] = b"2.3.1"
        weights = file.create_group("model_weights")
        names = [made["config"]["name"].encode() for made in layers]
        weights.attrs["layer_names"] = names
        for name in names:
            weights.create_group(name.decode()).attrs["weight_names"] = np.array([], "float64")
    return path


@pytest.mark.keras
def test_an_input_with_one_axis_too_many(tmp_path: Path) -> None:
    """A Sequential of standalone Keras has no InputLayer: Keras 3 adds an axis, without a word."""
    import keras

    path = whole_h5(
        tmp_path, {"class_name": "ReLU", "config": {"name": "r", "batch_input_shape": [None, 3]}}, first=False
    )
    found = only(kwload.check_model(path, keras=keras.__version__), "KW405", "warning")
    assert "(None, None, 3)" in found.headline
    assert keras.models.load_model(path).input_shape == (None, None, 3)


@pytest.mark.keras
def test_the_weights_fit_and_the_architecture_beside_them_does_not(tmp_path: Path) -> None:
    import keras
    import tf_keras

    old = tf_keras.Sequential([tf_keras.Input((5, 3)), tf_keras.layers.LSTM(4)])
    path = tmp_path / "model.h5"
    old.save(path)
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4)])
    report = kwload.check(model, path)
    assert report.ok and not report.warnings, report.render(all=True)
    found = [finding for finding in report.notes if finding.code == "KW405"]
    assert len(found) == 1 and "the weights can be loaded" in found[0].headline
    assert "time_major" in found[0].body[0]
    assert "ValueError" in str(found[0].keras)
    same = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4)])
    same.save(tmp_path / "same.keras")
    assert not [finding for finding in kwload.check(model, tmp_path / "same.keras").findings if finding.code == "KW405"]


@pytest.mark.keras
def test_bfloat16_in_a_legacy_file_is_read(tmp_path: Path) -> None:
    """Two bytes without a type: Keras cannot read its own file, kwload does."""
    import keras

    saved = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype="bfloat16")])
    saved.save(path := tmp_path / "model.h5")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype="bfloat16")])
    with pytest.raises(ValueError, match="No cast function available"):
        keras.models.load_model(path)
    assert kwload.check_model(path).prediction.error.type == "ValueError"  # type: ignore[union-attr]
    assert kwload.load_weights(model, path).loaded
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), saved.get_weights(), strict=True))


def test_layer_names_in_several_attributes(tmp_path: Path) -> None:
    """`layer_names0`, `layer_names1`: one list, read as if it were not split."""
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        for number in range(2):
            file.attrs[f"layer_names{number}"] = np.array([f"l{number}{i}".encode() for i in range(3)])
            for i in range(3):
                group = file.create_group(f"l{number}{i}")
                group.attrs["weight_names"] = [b"k:0"]
                group["k:0"] = np.ones((2, 2), "float32")
    found = only(kwload.check_model(path), "KW209")
    assert "6 layers with 24 parameters" in found.headline


@pytest.mark.parametrize("by", ["2.4.0", "2.10.0"])
def test_files_of_tensorflow_2_4_and_2_10(tmp_path: Path, by: str) -> None:
    """Who wrote it is said, and that Keras 3 takes its weights."""
    path = whole_h5(tmp_path, {"class_name": "LSTM", "config": {"name": "l", "units": 1, "time_major": False}})
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = by.encode()
        weights = file["model_weights/l"]
        for name, shape in (("kernel", (3, 4)), ("recurrent_kernel", (1, 4)), ("bias", (4,))):
            weights[name] = np.ones(shape, "float32")
        weights.attrs["weight_names"] = [b"kernel", b"recurrent_kernel", b"bias"]
    assert kwload.check_model(path, keras="tf_keras").ok
    found = only(kwload.check_model(path, keras="3.15"), "KW405")
    assert f"which Keras {by} wrote" in found.headline and "weights are not affected" in found.notes[0]


@pytest.mark.keras
@pytest.mark.parametrize("calls", [1, 2])
def test_a_model_inside_another_of_keras_2(tmp_path: Path, calls: int) -> None:
    """Keras 2 counts its calls from one: Keras 3 finds no such call, since 3.15 says so, and before looks for ever."""
    import keras
    import tf_keras

    inner = tf_keras.Sequential([tf_keras.Input((3,)), tf_keras.layers.Dense(3)])
    made = given = tf_keras.Input((3,))
    for _ in range(calls):
        made = inner(made)
    tf_keras.Model(given, tf_keras.layers.Dense(2)(made)).save(path := tmp_path / "model.h5")
    report = kwload.check_model(path, keras="3.15.1")
    assert report.prediction is not None and report.prediction.error is not None
    with pytest.raises(ValueError, match=report.prediction.error.message):
        keras.models.load_model(path)
    old = kwload.check_model(path, keras="3.14")
    assert "would never return" in only(old, "KW406").headline
    assert kwload.check_model(path, keras="tf_keras").ok


def test_a_folder_is_an_archive_from_3_4_on(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with zipfile.ZipFile(archive(tmp_path, layer("Dense", units=2))) as made:
        made.extractall(folder)
    new, old = (kwload.check_model(folder, keras=version).prediction for version in ("3.4", "3.3"))
    assert new is not None and old is not None
    assert (new.outcome, old.outcome) == ("loads", "raises")


def test_a_damaged_file_is_reported_as_everywhere(tmp_path: Path) -> None:
    path = archive(tmp_path, layer("Dense", units=2))
    path.write_bytes(path.read_bytes()[:700])
    report = kwload.check_model(path)
    assert not report.ok and report.findings[0].code < "KW300"
    assert kwload.check_model(tmp_path / "absent.keras").findings[0].code == "KW101"


def test_nothing_is_imported(tmp_path: Path) -> None:
    path = archive(tmp_path, layer("Dense", units=2))
    code = (
        f"import sys, kwload; report = kwload.check_model({str(path)!r}); assert report.prediction.outcome == 'loads';"
        "assert not {'keras', 'tf_keras', 'tensorflow', 'h5py'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- hostile configs ----

NAMES = st.sampled_from(
    [
        "class_name", "config", "module", "registered_name", "layers", "layer", "cell", "cells", "backward_layer",
        "name", "units", "dtype", "activation", "kernel_initializer", "function", "inbound_nodes", "input_layers",
        "output_layers", "batch_input_shape", "axis", "compile_config", "optimizer", "loss", "metrics", "args",
        "learning_rate", "reduction", "quantization_config",
    ]
)  # fmt: skip
TEXTS = st.sampled_from(
    [
        "Sequential", "Functional", "Model", "Dense", "LSTM", "Bidirectional", "RNN", "Lambda", "InputLayer", "Mine",
        "__lambda__", "__typespec__", "function", "GlorotUniform", "BatchNormalization", "TFOpLambda", "keras",
        "keras.layers", "keras.src.engine.functional", "keras.src.models.functional", "builtins", "relu", "Adam", "mse",
        "Policy", "DTypePolicy", "",
    ]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.floats(allow_nan=False) | TEXTS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5),
    max_leaves=25,
)
READERS = st.sampled_from(["3.15", "3.8", "3.0.5", "tf_keras", "2.12", "2.3", "3.99"])


class Stored:
    """A file of which only the architecture matters."""

    faults: tuple[()] = ()
    tensors: tuple[()] = ()
    groups: tuple[()] = ()
    size = 1
    title = None

    def __init__(self, config: bytes, training: bytes | None, content: str) -> None:
        self.config, self.training, self.content = config, training, content
        self.layout = "legacy-model" if content == "hdf5" else "keras-3"
        self.metadata: dict[str, str] = {}


def as_object(value: Any, *, legacy: bool) -> Any:
    """Something that gets past the outermost dict."""
    layers = value if isinstance(value, list) else [value]
    inner = {"name": "m", "layers": layers, "input_layers": layers, "output_layers": layers}
    return {
        "class_name": "Functional",
        "config": inner,
        **({} if legacy else {"module": "keras.src.models.functional"}),
    }


@settings(deadline=None, max_examples=300)
@given(JSON, JSON, READERS, st.booleans(), st.booleans())
def test_no_config_is_too_strange(value: Any, training: Any, asked: str, is_hdf5: bool, wrap: bool) -> None:
    config = as_object(value, legacy=is_hdf5) if wrap else value
    content, name = ("hdf5", "m.h5") if is_hdf5 else ("keras", "m.keras")
    file: Any = Stored(json.dumps(config).encode(), json.dumps(training).encode(), content)
    version = reader.parse(asked)
    for custom in ({}, {"Mine": Stored, "relu": len}):
        foreseen = whole.forecast(file, version, custom, name)
        assert foreseen.outcome in ("loads", "raises", "unknown")
        assert (foreseen.error is not None) == (foreseen.outcome == "raises")
        differences.find(config, version, custom, is_hdf5=is_hdf5)
        whole.first_shape(config)
        whole.lost_axes(config, version)


def deep(levels: int) -> Iterator[bytes]:
    """Configs that are nested, by lists, by models and by cells."""
    yield b"[" * levels + b"]" * levels
    yield b'{"class_name":"Sequential","config":{"name":"m","layers":[' * levels + b"]}}" * levels
    yield b'{"module":"keras.layers","class_name":"RNN","config":{"cell":' * levels + b"1" + b"}}" * levels


@pytest.mark.parametrize("levels", [50, 300, 20_000])
def test_deep_configs(tmp_path: Path, levels: int) -> None:
    for config in deep(levels):
        report = kwload.check_model(zipped(tmp_path, config), keras="3.15")
        assert report.prediction is not None and report.prediction.outcome != "loads"
        assert len(report.render().splitlines()) <= 40


def test_long_names_stay_short_in_the_report(tmp_path: Path) -> None:
    long = "X" * 100_000 + "\n\x1b[31m"
    made = {"module": None, "class_name": long, "config": {"name": long, long: long}, "registered_name": long}
    report = kwload.check_model(archive(tmp_path, made, layer("Dense", units=2, **{long: 1})), keras="3.15")
    text = report.render(all=True)
    assert not report.ok and "\x1b" not in text and max(map(len, text.splitlines())) < 700


@pytest.mark.keras
@pytest.mark.parametrize("damage", ["cut", "flipped", "renamed"])
def test_load_model_of_a_damaged_archive(damage: str, tmp_path: Path) -> None:
    import keras

    whole_one = tmp_path / "model.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(50)]).save(whole_one)
    data = bytearray(whole_one.read_bytes())
    path = tmp_path / ("model.weights.h5" if damage == "renamed" else "damaged.keras")
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    path.write_bytes(data[:-100] if damage == "cut" else data)
    report = kwload.check_model(path)
    assert report.prediction is not None and report.prediction.error is not None, report.render()
    with pytest.raises(Exception) as real:  # noqa: PT011
        keras.models.load_model(path)
    assert type(real.value).__name__ == report.prediction.error.type
    assert str(real.value).startswith(report.prediction.error.message)
    assert len(report.errors) == 1 and not report.warnings
    if damage == "renamed":
        assert "rename it" in report.errors[0].help[0]
