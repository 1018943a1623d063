"""Stamps and manifests: every changed byte is found and named; what anybody wrote into a sidecar does no harm."""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import kwload
from kwload import cli
from kwload.spec.described import Keras
from kwload.stamps import sidecar
from kwload.stamps.changed import paired
from kwload.stamps.fingerprint import Fingerprint
from kwload.stamps.layers import Code
from kwload.stamps.manifest import Layout, Manifest, from_tree
from kwload.stamps.sidecar import SidecarError
from kwload.stamps.stamp import Part, load, path_of


def write(path: Path, **options: Any) -> Path:
    """A weight file of three tensors, as Keras 3 writes it; with options of h5py for the kernel."""
    values = np.random.default_rng(3).normal(size=(64, 50))
    with h5py.File(path, "w") as file:
        for layer, names in {"dense": 2, "dense_1": 1}.items():
            for name in range(names):
                data = values.astype("float32") if name == 0 else values[0].astype("float32")
                more = options if name == 0 else {}
                if options.get("dtype") and name == 0:
                    data, more = data.astype(options["dtype"]), {}
                file.create_dataset(f"layers/{layer}/vars/{name}", data=data, **more)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write(tmp_path / "model.weights.h5")


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def headline(report: kwload.Report) -> str:
    [finding] = report.errors
    return finding.headline


def test_a_stamp_is_text_that_shows_what_changed(weights: Path) -> None:
    made = kwload.stamp(None, weights)
    text = Path(made.path).read_text()
    assert made.path == f"{weights}.kwload.json"
    assert len(repr(made)) < 60 + 2 * len(made.path)
    assert text == made.to_json() == load(made.path).to_json()
    assert text.endswith("}\n")
    assert sum('"path": "layers/dense/vars/0"' in line for line in text.splitlines()) == 1
    assert kwload.stamp(None, weights).to_json() == text  # no times
    assert [entry.name for entry in weights.parent.iterdir() if entry.name.startswith(".")] == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (16, 50)},
        {"chunks": (16, 50), "compression": "gzip", "shuffle": True},
        {"dtype": ">f4"},
        {"dtype": ">f4", "compression": "gzip"},
    ],
    ids=str,
)
def test_every_changed_byte_is_found_and_named(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write(tmp_path / "model.weights.h5", **options)
    kwload.stamp(None, path)
    assert kwload.verify(path).ok
    whole = path.read_bytes()
    rows = kwload.open(path).tensors
    draw = random.Random(1)
    for at in sorted(draw.sample(range(len(whole)), 60)):
        flip(path, at)
        report = kwload.verify(path)
        assert [finding.code for finding in report.findings] == ["KW411"], at
        inside = [row.path for row in rows if row.offset is not None and row.offset <= at < row.offset + row.nbytes]
        if inside:
            assert headline(report) == f"`{inside[0]}` changed since the file was stamped"
        path.write_bytes(whole)


def test_compressed_bytes_lead_to_their_tensor(tmp_path: Path) -> None:
    path = write(tmp_path / "model.weights.h5", chunks=(64, 50), compression="gzip")
    kwload.stamp(None, path)
    with h5py.File(path) as file:
        at = file["layers/dense/vars/0"].id.get_chunk_info(0).byte_offset
    flip(path, at + 1000)
    [finding] = kwload.verify(path).errors
    assert finding.path == "layers/dense/vars/0"
    assert not any("outside" in line for line in finding.body)


def test_a_packed_archive_that_was_damaged_is_no_other_file(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", "{}")
        archive.write(weights, "model.weights.h5")
    kwload.stamp(None, path)
    flip(path, path.stat().st_size // 2)
    assert "when the file was stamped" in headline(kwload.verify(path))


def test_a_byte_of_no_tensor_is_placed(weights: Path) -> None:
    kwload.stamp(None, weights)
    flip(weights, 3)
    report = kwload.verify(weights)
    assert headline(report) == "bytes outside of any tensor changed since the file was stamped"
    assert report.errors[0].body[0].startswith("bytes 0 to ")


def test_a_file_that_was_written_again(weights: Path) -> None:
    kwload.stamp(None, weights)
    with h5py.File(weights, "a") as file:
        file["layers/dense/vars/1"][0] = 9
        file.create_dataset("layers/more/vars/0", data=np.ones(2000, "float32"))
        del file["layers/dense_1/vars/0"]
    [finding] = kwload.verify(weights).errors
    assert {line.split("  ")[0].strip("`") for line in finding.body} >= {
        "layers/dense/vars/1", "layers/dense_1/vars/0", "layers/more/vars/0",
    }  # fmt: skip
    assert finding.notes == ("1 tensor has the values of then",)


def test_the_same_values_in_other_bytes(weights: Path) -> None:
    kwload.stamp(None, weights)
    write(weights, chunks=(64, 50))
    said = "the file has another length than when it was stamped, and the same values"
    assert headline(kwload.verify(weights)) == said


def test_a_file_that_was_cut_short(weights: Path) -> None:
    kwload.stamp(None, weights)
    weights.write_bytes(weights.read_bytes()[:-100])
    report = kwload.verify(weights)
    assert not report.ok
    weights.write_bytes(b"")
    assert not kwload.verify(weights).ok


def test_stamps_that_cannot_be_used(weights: Path, tmp_path: Path) -> None:
    def said() -> str:
        report = kwload.verify(weights)
        assert [finding.code for finding in report.findings] == ["KW412"]
        return report.errors[0].headline

    assert said().startswith("there is no stamp")
    side = Path(path_of(str(weights)))
    for text, why in {
        "": "it is empty",
        "{": "it is no JSON",
        "[1]": "it was not written by kwload",
        '{"schema": 2, "kind": "stamp"}': "a newer kwload wrote it",
        '{"schema": 1, "kind": "manifest"}': "it is a manifest",
        '{"schema": 1, "kind": "stamp"}': "checksums are of a kind",
        "[" * 100_000: "it is no JSON",
        '{"schema": 1, "kind": "stamp", "x": ' + "9" * 5000 + "}": "it is no JSON",
    }.items():
        side.write_text(text)
        assert why in said()
    side.unlink()
    side.mkdir()
    assert "is a directory" in said()
    side.rmdir()
    other = write(tmp_path / "other.weights.h5")
    with h5py.File(other, "a") as file:
        for name in ("layers/dense/vars/0", "layers/dense/vars/1", "layers/dense_1/vars/0"):
            file[name][...] = 3
    kwload.stamp(None, other)
    os.replace(path_of(str(other)), side)
    assert "another one than `other.weights.h5`" in said()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    [finding] = kwload.verify(tmp_path / "absent.h5").errors
    assert finding.code == "KW101"
    with pytest.raises(kwload.WeightsNotFoundError):
        kwload.stamp(None, tmp_path / "absent.h5")
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_not_stamped(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:4000])
    with pytest.raises(kwload.WeightsFileError):
        kwload.stamp(None, weights)
    assert not os.path.exists(path_of(str(weights)))


def test_every_lie_in_a_sidecar_is_refused_or_harmless(weights: Path) -> None:
    """Each value of a stamp and its manifest replaced by each of these: a report, whatever it says."""
    made = kwload.stamp(None, weights)
    tree = {**made.to_dict(), "manifest": {key: value for key, value in manifest().to_dict().items() if key != "kind"}}
    lies: list[Any] = [None, True, -1, 1 << 70, 1.5, "../../etc/passwd", "\ud800", [], {}, [[]], {"a": [1]}]
    side = Path(made.path)
    count = 0
    for place in places(tree):
        for lie in lies:
            side.write_text(json.dumps(changed(tree, place, lie)))
            report = kwload.verify(weights)
            assert {finding.code for finding in report.findings} <= {"KW411", "KW412"}
            str(report)
            count += 1
    assert count > 500


def places(tree: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree[:3]) if isinstance(tree, list) else ()
    found = [way] if way else []
    for key, item in items:
        found += places(item, (*way, key))
    return found


def changed(tree: Any, way: tuple[Any, ...], value: Any) -> Any:
    if not way:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[way[0]] = changed(tree[way[0]], way[1:], value)
    return copy


def manifest() -> Manifest:
    """One by hand, of a Dense and a layer of one's own."""
    rows = tuple(
        (name, f"dense/{name}", "dense", shape, "float32", True)
        for name, shape in (("kernel", (64, 50)), ("bias", (50,)))
    )
    variables = {row[1]: row for row in rows}
    groups = [("layers/dense", "dense", "Dense", 513, rows)]
    units, unknown = {"Mine.call": "ab"}, {"f": "no source"}
    print_ = Fingerprint("Mine", "m", units, unknown, ("einops.rearrange",), {"Mine.call": "a\nb"})
    return Manifest(
        keras=Keras("keras", (3, 15, 1), "keras.src", "jax"),
        python="3.11",
        kwload="0.1.0",
        model="Sequential",
        built=True,
        variables=variables,
        layouts={
            "keras-3": Layout(groups, [(-1, (("layers", 1),)), (0, ())], tuple(variables)),
            "legacy": Layout(groups, [], tuple(variables)),
        },
        untracked=(("dense", "raw"),),
        config={"class_name": "Sequential", "config": {"a": [1.5, None]}},
        code=(Code(print_),),
    )


def test_a_manifest_comes_back(tmp_path: Path) -> None:
    made = manifest()
    made.save(tmp_path / "model.kwload.json")
    again = Manifest.load(tmp_path / "model.kwload.json")
    assert again == made and repr(again).count("\n") == 0 and len(repr(again)) < 100
    assert sum("dense/kernel" in line and "shape" in line for line in made.to_json().splitlines()) == 1
    with pytest.raises(ValueError, match="is no manifest: it is no JSON"):
        Manifest.load(__file__)
    with pytest.raises(SidecarError):
        from_tree({})


def test_a_sidecar_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.kwload.json"
    sidecar.write(str(path), "old\n")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        sidecar.write(str(path), "new\n")
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_shards_are_stamped_together(tmp_path: Path) -> None:
    names = {}
    for number in range(2):
        shard = f"model_{number:05}.weights.h5"
        with h5py.File(tmp_path / shard, "w") as file:
            file.create_dataset(f"layers/dense_{number}/vars/0", data=np.full(300, number, "float32"))
        names[f"/layers/dense_{number}/vars"] = [shard]
    index = tmp_path / "model.weights.json"
    index.write_text(json.dumps({"metadata": {"total_size": 2400}, "weight_map": names}))
    made = kwload.stamp(None, index)
    assert sorted(part.name for part in made.parts) == ["", "model_00000.weights.h5", "model_00001.weights.h5"]
    assert kwload.verify(index).ok
    flip(tmp_path / "model_00001.weights.h5", 2)
    assert "model_00001.weights.h5: bytes 0 to" in str(kwload.verify(index))
    (tmp_path / "model_00001.weights.h5").unlink()
    assert "model_00001.weights.h5 is not there any more" in str(kwload.verify(index))


def test_a_part_outside_of_its_folder_is_refused() -> None:
    from kwload.stamps import stamp as stamps

    for name in ("/etc/passwd", "../a", "a/../../b", "a\0b"):
        with pytest.raises(SidecarError):
            stamps._part({"name": name, "size": 0, "rest": []})
    assert stamps._part({"name": "a/b", "size": 0, "rest": []}) == Part("a/b", 0, ())


def code(name: str, digest: str, *named: str, attribute: str = "") -> Code:
    return Code(Fingerprint(name, "m", {f"{name}.call": digest}), attribute, named, named)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("A1 B2", "B2 A1", "A1-A1 B2-B2"),
        ("A1x A2y", "A2y A1x", "A1x-A1x A2y-A2y"),  # names that people gave
        ("A1x A2y", "A2x A1y", "A1x-A2x A2y-A1y"),  # exchanged
        ("A1 A2", "A1 A3", "A1-A1 A2-A3"),  # by order
        ("A1 A2", "A2", "A2-A2"),  # one is gone
        ("A1x", "B1x", "A1x-B1x"),  # renamed
        ("A1", "B1", ""),
    ],
)
def test_which_class_is_which(old: str, new: str, expected: str) -> None:
    def parse(text: str) -> list[Code]:
        return [code(item[0], item[1], *item[2:]) for item in text.split()]

    def say(item: Code) -> str:
        return item.fingerprint.name + next(iter(item.fingerprint.units.values())) + "".join(item.named)

    found = sorted(f"{say(a)}-{say(b)}" for a, b in paired(parse(old), parse(new)))
    assert found == expected.split()


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.main, list(arguments))
    return done.exit_code, done.output


def test_the_commands(weights: Path) -> None:
    assert run("verify", str(weights))[0] == 3
    assert run("stamp", str(weights))[0] == 0
    status, text = run("verify", str(weights))
    assert status == 0
    assert "each byte as it was when kwload" in text
    flip(weights, weights.stat().st_size // 2)
    status, text = run("verify", str(weights))
    assert status == 1
    assert "KW411" in text
    assert run("verify", str(weights.parent / "absent.h5"))[0] == 3
    assert run("stamp", str(weights.parent / "absent.h5"))[0] == 3
    assert run("stamp", "--source", str(weights))[0] == 2


# --- with Keras ------------------------------------------------------------------------------------------------------

NET = """
import keras
SCALE = 2.0
def helper(x):
    return x * SCALE
class MyCustomLayer(keras.layers.Layer):
    def __init__(self, units=4, **kw):
        super().__init__(**kw)
        self.units = units
    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.units), name="w")
    def call(self, x):
        return keras.ops.sin(helper(x) @ self.w)
    def get_config(self):
        return {**super().get_config(), "units": self.units}
def act(x):
    return x + 1
def build():
    return keras.Sequential([
        keras.Input((8,)), MyCustomLayer(16), keras.layers.Dense(3, activation=act), keras.layers.Dense(2)])
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Builds the model of a text, as a program that was started anew."""
    import linecache

    def build(text: str = NET) -> Any:
        path = tmp_path / "stamped_net.py"
        path.write_text(text)
        linecache.clearcache()
        space: dict[str, Any] = {"__name__": "stamped_net", "__file__": str(path)}
        exec(compile(text, str(path), "exec", dont_inherit=True), space)
        return space["build"]()

    return build


@pytest.mark.keras
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_code_that_changed_is_named(net: Callable[..., Any], tmp_path: Path, suffix: str) -> None:
    model, path = net(), tmp_path / f"model{suffix}"
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    kwload.stamp(model, path, source=True)

    def codes(text: str) -> list[str]:
        found = kwload.check(net(text), path).findings
        return [item.code for item in found if item.code in ("KW403", "KW404", "KW412")]

    assert codes(NET) == []  # built a second time
    assert codes(NET.replace("import keras", "# hello\n\n\nimport keras").replace("x * SCALE", "(x *   SCALE)")) == []
    for old, new in {"ops.sin": "ops.cos", "x * SCALE": "x - SCALE", "= 2.0": "= 3.0", "x + 1": "x - 1"}.items():
        assert codes(NET.replace(old, new)) == ["KW403"], old
    report = kwload.check(net(NET.replace("ops.sin", "ops.cos")), path)
    [finding] = report.warnings
    assert finding.body[:3] == (
        "`MyCustomLayer.call`  changed",
        "- return keras.ops.sin(helper(x) @ self.w)",
        "+ return keras.ops.cos(helper(x) @ self.w)",
    )
    assert kwload.check(net(NET.replace("ops.sin", "ops.cos")), path, stamp=False).warnings == ()


@pytest.mark.keras
def test_a_file_that_was_saved_again_by_other_code_is_not_accused(net: Callable[..., Any], tmp_path: Path) -> None:
    model, path = net(), tmp_path / "model.weights.h5"
    model.save_weights(path)
    kwload.stamp(model, path)
    changed = net(NET.replace("ops.sin", "ops.cos"))
    changed.save_weights(path)
    report = kwload.check(changed, path)
    assert [item.code for item in report.findings if item.severity != "note"] == []
    assert [item.code for item in report.notes if item.code == "KW412"] == ["KW412"]


@pytest.mark.keras
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_a_stamp_tells_the_settings_of_layers_where_the_file_does_not(package: str, tmp_path: Path) -> None:
    keras = importlib.import_module(package)

    def made(activation: str = "relu", *more: Any) -> Any:
        dense = keras.layers.Dense(4, activation=activation, name="a")
        return keras.Sequential([keras.Input((3,)), dense, *more, keras.layers.Dense(2)])

    def codes(model: Any) -> list[tuple[str, str]]:
        return [(item.code, item.severity) for item in kwload.check(model, path).findings]

    saved, path = made(), tmp_path / "model.weights.h5"
    saved.save_weights(path)
    assert codes(made("gelu")) == []
    kwload.stamp(saved, path)
    assert codes(made()) == []
    [finding] = kwload.check(made("gelu"), path).findings
    assert (finding.code, finding.severity, finding.layer) == ("KW401", "warning", "a")
    assert (finding.found, finding.expected) == ({"activation": '"relu"'}, {"activation": '"gelu"'})
    assert finding.body[0] == 'stamp  activation="relu"'
    assert "the stamp is model.weights.h5.kwload.json" in finding.notes
    assert kwload.load_weights(made("gelu"), path).warnings == (finding,)
    assert kwload.check(made("gelu"), path, stamp=False).findings == ()
    assert codes(made("relu", keras.layers.Dropout(0.5))) == [("KW401", "note")]
    saved.layers[-1].set_weights([value + 1 for value in saved.layers[-1].get_weights()])
    saved.save_weights(path)
    assert codes(made("gelu")) == [("KW412", "note")]  # of whom these values are, nobody knows
    assert codes(made()) == []


@pytest.mark.keras
@pytest.mark.parametrize("what", ["config", "versions", "deep"])
def test_a_configuration_that_is_not_used(what: str, tmp_path: Path) -> None:
    """None at all, one of another generation of Keras, one that is too deep to be looked at."""
    import keras

    def made(activation: str) -> Any:
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation=activation)])

    saved, path = made("relu"), tmp_path / "model.weights.h5"
    saved.save_weights(path)
    where = Path(kwload.stamp(saved, path).path)
    tree = json.loads(where.read_text())
    if what == "config":
        tree["manifest"]["config"] = {"missing": "to_json raised ValueError"}
    elif what == "versions":
        tree["manifest"]["versions"] |= {"keras": "2.15.0", "package": "tf_keras"}
    else:
        deep: Any = {}
        for _ in range(300):
            deep = {"config": deep}
        tree["manifest"]["config"] = deep
    where.write_text(json.dumps(tree))
    found = kwload.check(made("gelu"), path).findings
    said = ["the configuration in the stamp was not compared with the model: it cannot be read"]
    assert [item.headline for item in found] == (said if what == "deep" else [])


@pytest.mark.keras
def test_a_stamp_is_refused_for_a_model_that_the_file_does_not_fit(net: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    net().save_weights(path)
    with pytest.raises(kwload.WeightsMismatchError):
        kwload.stamp(net(NET.replace("Dense(2)", "Dense(4)")), path)
    assert not os.path.exists(path_of(str(path)))


@pytest.mark.keras
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_a_check_against_the_manifest_is_the_check_against_the_model(
    net: Callable[..., Any], tmp_path: Path, suffix: str
) -> None:
    text = NET.replace("Dense(2)", "LSTM(2)").replace("Dense(3, activation=act)", "Reshape((4, 4))")
    model, path = net(text), tmp_path / f"model{suffix}"
    model.compile("adam", "mse")
    other = net(text.replace("LSTM(2)", "LSTM(3)"))
    kwload.manifest(model).save(tmp_path / "model.kwload.json")
    made = Manifest.load(tmp_path / "model.kwload.json")
    for saved in (model, other):
        saved.save_weights(path) if suffix == ".weights.h5" else saved.save(path)
        live, recorded = kwload.check(model, path), kwload.check(made, path)
        assert recorded.ok == live.ok == (saved is model)
        assert recorded.pairs == live.pairs
        assert recorded.prediction == live.prediction
        assert [item.headline for item in recorded.errors] == [item.headline for item in live.errors]


@pytest.mark.keras
def test_a_manifest_needs_no_keras(net: Callable[..., Any], tmp_path: Path) -> None:
    model, path = net(), tmp_path / "model.weights.h5"
    model.save_weights(path)
    kwload.manifest(model).save(tmp_path / "model.kwload.json")
    script = (
        "import sys; sys.modules.update(dict.fromkeys(['keras', 'tf_keras', 'tensorflow', 'torch', 'jax']));"
        "from kwload.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "check", str(path), "--manifest", str(tmp_path / "model.kwload.json")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ok, all 5 variables match" in done.stdout
