"""The command: what it prints, and the exit codes 0 fine, 1 errors, 2 usage, 3 damaged or unreadable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import report_cases
from click.testing import CliRunner, Result

import kwload
from kwload import cli, modelref
from kwload.report.finding import Report

CASES = report_cases.cases()

MODULE = """
class Net:
    variables = []
    def __init__(self, classes=3, *, name="net"):
        self.classes, self.name, self.built, self.shape = classes, name, False, None
    def build(self, shape):
        self.built, self.shape = True, shape
    def load_weights(self, path):
        raise AssertionError("the command never loads")

class Zoo:
    small = Net(7)

def build(classes=10):
    return Net(classes)

def broken():
    raise RuntimeError("no such backbone")

def nothing():
    return None

net = Net(5)
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of models, as the current directory."""
    (tmp_path / "cli_nets.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "cli_nets", raising=False)
    return tmp_path


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, str, dict[str, Any]]]:
    """What the command asked for; the report is the hand-made one that the file is named after."""
    calls: list[tuple[Any, str, dict[str, Any]]] = []

    def check(model: Any, path: str, **options: Any) -> Report:
        calls.append((model, path, options))
        return CASES[path]

    monkeypatch.setattr(kwload, "check", check)
    return calls


def run(*args: str) -> Result:
    return CliRunner().invoke(cli.main, list(args), catch_exceptions=False)


def weights(path: Path) -> Path:
    """A small file in the Keras 3 layout."""
    with h5py.File(path, "w") as file:
        for name, shape in (("dense", (4, 8)), ("dense_1", (8, 2))):
            group = file.create_group(f"layers/{name}/vars")
            group.attrs["name"] = f"my_{name}"
            group["0"] = np.zeros(shape, "float32")
            group["1"] = np.zeros(shape[1], "float32")
        file.create_group("vars")
    return path


@pytest.mark.parametrize(
    ("files", "options", "status"),
    [
        (["good"], [], 0),
        (["KW302"], [], 0),
        (["KW302"], ["--strict"], 1),
        (["KW307"], [], 1),
        (["KW202"], [], 3),
        (["KW101"], [], 3),
        (["good", "KW307"], [], 1),
        (["KW202", "good", "KW307"], [], 3),
    ],
)
def test_exit_codes(files: list[str], options: list[str], status: int, nets: Path, checked: list[Any]) -> None:
    result = run("check", *files, "--model", "cli_nets:build", *options)
    assert result.exit_code == status
    assert [call[1] for call in checked] == files
    for name in files:
        assert CASES[name].render(strict="--strict" in options) in result.output
    assert ("ok, all" in result.output) is (status == 0 or "good" in files)


def test_options_reach_the_check(nets: Path, checked: list[Any]) -> None:
    run("check", "good", "--model", "cli_nets:build(4)", "--by-name", "--skip-mismatch", "--input-shape", "28,28,1")
    model, _, options = checked[0]
    assert model.classes == 4
    assert model.shape == (None, 28, 28, 1)
    assert options.items() >= {"by_name": True, "skip_mismatch": True, "values": True}.items()
    run("check", "good", "--model", "cli_nets:build")
    assert checked[1][2].items() >= {"by_name": None, "skip_mismatch": False}.items()
    assert not checked[1][0].built
    for said, meant in (("on", True), ("off", False), ("error", "error")):
        run("check", "good", "--model", "cli_nets:build", "--values", said)
        assert checked[-1][2]["values"] == meant


def test_how_much_is_printed(nets: Path, checked: list[Any]) -> None:
    made = CASES["KW307-many"]
    plain = run("check", "KW307-many", "--model", "cli_nets:build")
    assert plain.output == made.render() + "\n"
    assert run("check", "KW307-many", "--model", "cli_nets:build", "--all").output == made.render(all=True) + "\n"
    assert (
        run("check", "KW307-many", "--model", "cli_nets:build", "--concise").output == made.render(concise=True) + "\n"
    )


def test_json_is_one_line_a_file(nets: Path, checked: list[Any]) -> None:
    result = run("check", "good", "KW307", "--model", "cli_nets:build", "--json")
    data = [json.loads(line) for line in result.output.splitlines()]
    assert [item["ok"] for item in data] == [True, False]
    assert all(item["schema"] == 1 for item in data)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("cli_nets", "package.module:factory"),
        ("no_such_module:build", "no module"),
        ("cli_nets:biuld", "did you mean 'build'?"),
        ("cli_nets:nothing", "NoneType"),
        ("cli_nets:broken", "no such backbone"),
        ("cli_nets:build(open('x'))", "literals"),
        ("cli_nets:build() or 1", "neither a name nor a call"),
        ("cli_nets:build(", "neither a name nor a call"),
    ],
)
def test_a_wrong_model_is_a_usage_error(reference: str, says: str, nets: Path, checked: list[Any]) -> None:
    result = run("check", "good", "--model", reference)
    assert result.exit_code == 2
    assert says in " ".join(result.output.replace("│", " ").split())
    assert not checked


def test_usage_errors_are_two() -> None:
    assert run("check", "x.h5", "--by-name").exit_code == 2
    assert run("inspect").exit_code == 2
    assert run("no-such-command").exit_code == 2
    assert run("--help").exit_code == 0


@pytest.mark.parametrize(
    ("reference", "classes"),
    [
        ("cli_nets:build", 10),
        ("cli_nets:build()", 10),
        ("cli_nets:build(-2)", -2),
        ("cli_nets:build(classes=6)", 6),
        ("cli_nets:Net", 3),
        ("cli_nets:Net(2, name='x')", 2),
        ("cli_nets:net", 5),
        ("cli_nets:Zoo.small", 7),
    ],
)
def test_references_to_models(reference: str, classes: int, nets: Path) -> None:
    before = list(sys.path)
    assert modelref.resolve(reference).classes == classes
    assert sys.path == before


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("10", (None, 10)),
        ("28,28,1", (None, 28, 28, 1)),
        ("(None, 28, 28, 1)", (None, 28, 28, 1)),
        ("None,3", (None, 3)),
    ],
)
def test_shapes(text: str, shape: tuple[int | None, ...]) -> None:
    assert modelref.parse_shape(text) == shape


@pytest.mark.parametrize("text", ["", "a", "1.5", "-1", "0", "True", "__import__('os')", "(" * 500])
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(modelref.ModelRefError, match="not a shape"):
        modelref.parse_shape(text)


def test_inspect_shows_every_tensor(tmp_path: Path) -> None:
    path = weights(tmp_path / "model.weights.h5")
    result = run("inspect", str(path))
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert any("4 tensors, 58 parameters, 232 bytes" in line for line in lines)
    assert any(
        line.split()[:1] == ["my_dense"] and "(4, 8)" in line and "layers/dense/vars/0" in line for line in lines
    )
    tree = run("inspect", str(path), "--tree")
    assert tree.exit_code == 0
    assert "  dense/  (my_dense)" in tree.output.splitlines() or "dense/" in tree.output
    assert tree.output.count("vars/") >= 2


def test_inspect_as_json(tmp_path: Path) -> None:
    path = weights(tmp_path / "model.weights.h5")
    data = json.loads(run("inspect", str(path), "--json").output)
    assert data["schema"] == 1 and data["format"] == "keras-3"
    assert data["weights"] == {"tensors": 4, "parameters": 58, "nbytes": 232}
    first = data["tensors"][0]
    with h5py.File(path) as file:
        dataset = file[first["path"]]
        assert first["shape"] == list(dataset.shape) and first["offset"] == dataset.id.get_offset()


def test_inspect_of_what_is_no_weight_file(tmp_path: Path) -> None:
    pointer = tmp_path / "model.weights.h5"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 1234\n")
    result = run("inspect", str(pointer))
    assert result.exit_code == 3
    assert "git lfs pull" in result.output
    absent = run("inspect", str(tmp_path / "modle.weights.h5"))
    assert absent.exit_code == 3
    assert "model.weights.h5" in absent.output
    assert run("inspect", str(weights(tmp_path / "good.weights.h5")), str(pointer)).exit_code == 3


def test_inspect_of_a_truncated_file(tmp_path: Path) -> None:
    path = weights(tmp_path / "model.weights.h5")
    os.truncate(path, path.stat().st_size - 100)
    result = run("inspect", str(path))
    assert result.exit_code == 3
    assert "KW202" in result.output
    assert json.loads(run("inspect", str(path), "--json").output)["faults"][0]["code"] == "KW202"


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/den\x1b[31mse\u202e/vars")
        group["0"] = np.zeros(3, "float32")
        file.create_group("vars")
    for option in ([], ["--tree"], ["--json"]):
        output = run("inspect", str(path), *option).output
        assert "\x1b" not in output and "\u202e" not in output


def test_the_module_runs_as_a_program(tmp_path: Path) -> None:
    path = weights(tmp_path / "model.weights.h5")
    done = subprocess.run(
        [sys.executable, "-m", "kwload", "inspect", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "layers/dense/vars/0" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.keras
def test_a_real_model_is_checked(tmp_path: Path) -> None:
    (tmp_path / "real_nets.py").write_text(
        "import keras\n"
        "def build(units=64):\n"
        "    layers = keras.layers\n"
        "    return keras.Sequential([layers.Dense(units, name='hidden'), layers.Dense(10, name='head')])\n"
    )
    save = "import real_nets; m = real_nets.build(); m.build((None, 784)); m.save_weights('w.weights.h5')"
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", save], cwd=tmp_path, env=quiet, check=True, capture_output=True)

    def check(reference: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "kwload",
            "check",
            "w.weights.h5",
            "--model",
            reference,
            "--input-shape",
            "784",
        ]
        return subprocess.run(command, cwd=tmp_path, env=quiet, check=False, capture_output=True, text=True)

    good = check("real_nets:build")
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.startswith("w.weights.h5: ok, all 4 variables match")
    bad = check("real_nets:build(128)")
    assert bad.returncode == 1
    assert "axis 1: units" in bad.stdout


def test_a_wrong_input_shape_is_not_the_models_fault(nets: Path, checked: list[Any]) -> None:
    result = run("check", "good", "--model", "cli_nets:build", "--input-shape", "4,x")
    assert result.exit_code == 2
    assert "--input-shape" in result.output and "'--model'" not in result.output


@pytest.mark.parametrize(
    ("setting", "coloured"),
    [
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": ""}, True),
        ({}, True),
    ],
)
def test_the_environment_says_whether_there_is_colour(
    setting: dict[str, str], coloured: bool, nets: Path, checked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(cli.main, ["check", "KW307", "--model", "cli_nets:build"], color=True)
    assert ("\x1b[" in result.output) is coloured


@pytest.mark.parametrize(("sink", "status"), [("/dev/full", 3), ("closed pipe", 0)])
def test_output_that_cannot_be_written_is_no_traceback(sink: str, status: int, tmp_path: Path) -> None:
    path = weights(tmp_path / "a.weights.h5")
    command = [sys.executable, "-m", "kwload", "inspect", str(path)]
    if sink == "closed pipe":
        read, write = os.pipe()
        os.close(read)
    elif not os.path.exists(sink):
        pytest.skip("no such device here")
    else:
        write = os.open(sink, os.O_WRONLY)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == status
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert ("cannot be written" in done.stderr) is bool(status)


def test_what_does_not_open_has_the_keys_of_what_does(tmp_path: Path) -> None:
    path = weights(tmp_path / "a.weights.h5")
    lines = run("inspect", str(path), str(tmp_path / "none.h5"), "--json").output.splitlines()
    good, absent = (json.loads(line) for line in lines)
    assert list(good) == list(absent)
    assert good["faults"] == [] and absent["tensors"] == []
    assert [list(fault) for fault in absent["faults"]] == [["code", "at", "detail", "path"]]
    assert absent["faults"][0]["code"] == "KW101" and absent["schema"] == good["schema"] == 1
