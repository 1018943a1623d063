"""The command on a project with classes of its own: `check --build`, `stamp --probe`, `verify --probe`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("nothing_registered")]

LAYERS = """
import keras

class CommandScale(keras.layers.Layer):
    def build(self, shape):
        self.w = self.add_weight(name="w", shape=(shape[-1],))

    def call(self, x):
        return x * self.w

def build(activation="relu"):
    dense = keras.layers.Dense(4, activation=activation, name="d")
    return keras.Sequential([keras.Input((3,)), dense, CommandScale(name="s"), keras.layers.Dense(2, name="out")])

def leaves():
    raise SystemExit(0)
"""

SIGNATURES = """
import kwload

from command_layers import CommandScale

kwload.register()(CommandScale)
"""

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """`kwload ARGS` in a folder with a package, a file of its model's weights and its architecture."""
    from kwload.cli import main

    (tmp_path / "command_layers.py").write_text(LAYERS)
    (tmp_path / "command_signatures.py").write_text(SIGNATURES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    model = importlib.import_module("command_layers").build()
    model.save("m.keras")
    model.save_weights("m.weights.h5")
    yield lambda *args: CliRunner().invoke(main, args)
    for name in ("command_layers", "command_signatures"):
        sys.modules.pop(name, None)


def words(result: Result) -> str:
    """What was printed, without the lines of a box."""
    return " ".join(result.output.replace("│", " ").split())


def test_classes_are_built_when_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    check = ("check", "m.weights.h5", "--config", "m.keras")
    assert "KW410" in run(*check, "--custom-objects", "command_layers:CommandScale").output, "no code is run unasked"
    none = run(*check, "--build")
    assert none.exit_code == 2 and "none is imported: name them with --custom-objects" in words(none)
    built = run(*check, "--build", "--custom-objects", "command_layers:CommandScale")
    assert built.exit_code == 0 and "ok, all 5 variables match" in built.output and "KW4" not in built.output
    (tmp_path / "pyproject.toml").write_text('[tool.kwload]\nsignatures = ["command_signatures"]\n')
    assert "ok, all 5 variables match" in run(*check, "--build").output
    wrong = run("check", "m.weights.h5", "--build", "--model", "command_layers:build")
    assert wrong.exit_code == 2 and "--build is about an architecture" in words(wrong)


def test_a_probe_is_made_and_held_against_the_model(run: Run) -> None:
    for command in ("stamp", "verify"):
        alone = run(command, "m.weights.h5", "--probe")
        assert alone.exit_code == 2 and "name what builds it with --model package.module:factory" in words(alone)
    made = run("stamp", "m.weights.h5", "--model", "command_layers:build", "--probe")
    assert made.exit_code == 0 and made.output == "m.weights.h5.kwload.json: 5 tensors, and a probe\n"
    same = run("verify", "m.weights.h5", "--model", "command_layers:build", "--probe")
    assert same.exit_code == 0 and "the model computes what it computed" in same.output
    other = run("verify", "m.weights.h5", "--model", "command_layers:build('sigmoid')", "--probe")
    assert other.exit_code == 1 and "error[KW413] output-changed" in other.output
    idle = run("verify", "m.weights.h5", "--model", "command_layers:build")
    assert idle.exit_code == 2 and "with --probe only" in words(idle)


def test_what_changed_is_said_before_anything_is_run(run: Run) -> None:
    run("stamp", "m.weights.h5", "--model", "command_layers:build", "--probe")
    importlib.import_module("command_layers").build().save_weights("m.weights.h5")
    changed = run("verify", "m.weights.h5", "--model", "command_layers:build", "--probe")
    assert changed.exit_code == 1 and "KW411" in changed.output and "KW413" not in changed.output


def test_a_factory_that_leaves_the_program_is_no_passed_check(run: Run) -> None:
    left = run("check", "m.weights.h5", "--model", "command_layers:leaves")
    assert left.exit_code == 2 and "command_layers:leaves raised SystemExit: 0" in words(left)
