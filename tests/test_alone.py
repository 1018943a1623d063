"""What works with kwload's own dependencies only: a second environment, with neither Keras nor a backend nor h5py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FRAMEWORKS = ("keras", "tensorflow", "tf_keras", "torch", "jax", "h5py", "safetensors")
# They use neither file writers nor frameworks, but for what is marked `keras`.
TESTS = (
    "test_architecture.py",
    "test_layers_table.py",
    "test_registry.py",
    "test_not_registered.py",
    "test_stamps.py",
    "test_fingerprint.py",
)


def _needed(*names: str) -> Iterator[Distribution]:
    """The distributions and what they require, without extras."""
    todo, met = list(names), set[str]()
    while todo:
        name = canonicalize_name(todo.pop())
        if name not in met:
            met.add(name)
            yield distribution(name)
            needs = [Requirement(line) for line in requires(name) or ()]
            todo += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]


def _link(site: Path, *names: str) -> None:
    """Puts the distributions, and what they require, into a folder of packages."""
    for needed in _needed(*names):
        tops = {Path(str(file)).parts[0] for file in needed.files or () if ".." not in str(file)}
        for top in tops - {"__pycache__"}:
            place = Path(str(needed.locate_file(top)))
            if place.exists() and not (site / top).exists():
                (site / top).symlink_to(place)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds kwload and what it requires."""
    home = tmp_path_factory.mktemp("alone")
    venv.create(home, with_pip=False, symlinks=True)
    site = next((home / "lib").glob("python*")) / "site-packages"
    _link(site, "kwload")
    if not (site / "kwload").exists():  # an editable installation is none of files
        (site / "kwload").symlink_to(ROOT / "kwload")
    return home / "bin" / Path(sys.executable).name


def test_nothing_of_a_framework_is_there(python: Path) -> None:
    code = f"import kwload._core, importlib.util as u; print([n for n in {FRAMEWORKS!r} if u.find_spec(n)])"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_what_needs_no_keras_passes(python: Path, tmp_path: Path) -> None:
    _link(tmp_path, "pytest", "hypothesis", "h5py")  # h5py writes files for the tests
    files = [ROOT / "tests" / name for name in TESTS]
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not keras", *files]
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"\d+ passed", done.stdout)


@pytest.mark.keras
def test_the_commands_on_what_keras_wrote(python: Path, tmp_path: Path) -> None:
    import keras

    import kwload

    def build(units: int) -> keras.Model:
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, name="head")])

    model = build(3)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    build(5).save_weights(tmp_path / "wider.weights.h5")
    (tmp_path / "config.json").write_text(model.to_json())
    kwload.manifest(model).save(tmp_path / "model.kwload.json")
    kwload.stamp(model, tmp_path / "model.weights.h5")

    def run(*args: str) -> int:
        done = subprocess.run(
            [python, "-m", "kwload", *args], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode

    for target in (["--config", "model.keras"], ["--config", "config.json"], ["--manifest", "model.kwload.json"]):
        assert run("check", "model.weights.h5", *target) == 0
        assert run("check", "wider.weights.h5", *target) == 1
    assert run("check", "model.keras") == 0
    assert run("verify", "model.weights.h5") == 0
    data = bytearray((tmp_path / "model.weights.h5").read_bytes())
    data[-1] ^= 1
    (tmp_path / "model.weights.h5").write_bytes(data)
    assert run("verify", "model.weights.h5") == 1
