"""The pytest plugin, run by pytest itself on projects made for the purpose."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A check that reads the verdict from the file, so that no model and no Keras is needed.
CONFTEST = """
import pathlib
import kwload
from kwload.report.facts import CoreFailure
from kwload.report.finding import Finding, Report

def check(model, path, **options):
    word = pathlib.Path(path).read_text().strip()
    kinds = {"good": (), "bad": ("error",), "odd": ("warning",)}[word]
    findings = tuple(Finding("KW307", "shape-mismatch", kind, f"{model.name} and {word}: {options}") for kind in kinds)
    return Report(str(path), "keras-3", findings)

kwload.check = check
"""

NETS = """
import pathlib

class Net:
    variables = []
    built = False
    def __init__(self, name):
        self.name = name
    def load_weights(self, path): ...
    def build(self, shape):
        self.name += str(shape)

def build(name="net"):
    with open(pathlib.Path(__file__).parent / "builds.txt", "a") as file:
        file.write("built\\n")
    return Net(name)

def broken():
    raise RuntimeError("no such backbone")
"""

ENTRY = '[[tool.kwload.weights]]\npath = "weights/*.weights.h5"\nmodel = "plugin_nets:build"\n'


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with two good weight files, one test, and the plugin as the only one."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(plugin_nets=NETS)
    (pytester.path / "tests").mkdir()
    (pytester.path / "tests" / "test_one.py").write_text("def test_one(): pass\n")
    (pytester.path / "weights").mkdir()
    for name in ("a", "b"):
        weights(pytester, name, "good")
    toml(pytester, ENTRY)
    return pytester


def weights(project: pytest.Pytester, name: str, word: str) -> None:
    (project.path / "weights" / f"{name}.weights.h5").write_text(word)


def toml(project: pytest.Pytester, text: str, options: str = 'testpaths = ["tests"]') -> None:
    project.makepyprojecttoml(f"[tool.pytest.ini_options]\n{options}\n\n{text}")


def run(project: pytest.Pytester, *args: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-p", "kwload.pytest_plugin", "-p", "no:cacheprovider", *args)


def test_files_are_tests_whatever_testpaths_says(project: pytest.Pytester) -> None:
    result = run(project, "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*pyproject.toml::weights/a.weights.h5*PASSED*", "*weights/b.weights.h5*PASSED*"])
    assert (project.path / "builds.txt").read_text() == "built\n", "one model serves all its files"


def test_a_failure_is_the_report(project: pytest.Pytester) -> None:
    weights(project, "b", "bad")
    result = run(project)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*error[[]KW307] shape-mismatch: net and bad*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*runtest*")


def test_strict_fails_on_warnings(project: pytest.Pytester) -> None:
    weights(project, "b", "odd")
    run(project).assert_outcomes(passed=3)
    run(project, "--kwload-strict").assert_outcomes(passed=2, failed=1)


@pytest.mark.parametrize(
    ("args", "passed"),
    [
        ((), 3),
        (("tests",), 3),
        ((".",), 3),
        (("tests/test_one.py",), 1),
        (("tests/test_one.py::test_one",), 1),
        (("--no-kwload",), 1),
        (("-k", "a.weights"), 1),
        (("pyproject.toml",), 2),
        (("pyproject.toml::weights/a.weights.h5",), 1),
    ],
)
def test_which_runs_have_the_files(project: pytest.Pytester, args: tuple[str, ...], passed: int) -> None:
    result = run(project, *args)
    assert result.parseoutcomes()["passed"] == passed


def test_a_pattern_that_matches_nothing_fails(project: pytest.Pytester) -> None:
    toml(project, ENTRY.replace("weights/*", "weights/aa*"))
    result = run(project)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*'weights/aa[*].weights.h5' matches no file*"])


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (ENTRY.replace("path", "paht"), "unknown key 'paht'"),
        ('[[tool.kwload.weights]]\nmodel = "m:f"\n', "path is missing"),
        ('[[tool.kwload.weights]]\npath = "x"\n', "model is missing"),
        (ENTRY + 'manifest = "a"\n', "model and manifest each say which model"),
        ('[[tool.kwload.weights]]\npath = 3\nmodel = "m:f"\n', "path is 3"),
        (ENTRY.replace("[[", "[").replace("]]", "]"), "two brackets"),
    ],
)
def test_a_wrong_table_is_a_usage_error(project: pytest.Pytester, entry: str, says: str) -> None:
    toml(project, entry)
    result = run(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{says}*"])


def test_options_of_an_entry(project: pytest.Pytester) -> None:
    weights(project, "a", "bad")
    toml(project, ENTRY + 'by_name = true\nskip_mismatch = true\ninput_shape = "4,4"\nvalues = "error"\n')
    result = run(project)
    result.stdout.fnmatch_lines(
        ["*net(None, 4, 4) and bad: {'by_name': True, 'skip_mismatch': True, 'values': 'error'}*"]
    )


def test_a_manifest_stands_for_the_model(project: pytest.Pytester) -> None:
    weights(project, "a", "good")
    toml(project, '[[tool.kwload.weights]]\npath = "weights/a*"\nmanifest = "net.kwload.json"\n')
    run(project).stdout.fnmatch_lines(["pyproject.toml: manifest = 'net.kwload.json': *No such file*"])
    (project.path / "net.kwload.json").write_text("{}")
    run(project).stdout.fnmatch_lines(["*net.kwload.json is no manifest: it was not written by kwload"])


def test_what_the_factory_raises_is_shown(project: pytest.Pytester) -> None:
    toml(project, ENTRY.replace(":build", ":broken"))
    result = run(project)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*no such backbone*"])
    result.stdout.no_fnmatch_line("*modelref.py*")
    result.stdout.no_fnmatch_line("*kwload/pytest_plugin.py*")
    toml(project, ENTRY.replace(":build", ":bulid"))
    run(project).stdout.fnmatch_lines(["*'plugin_nets' has no 'bulid'*"])


def test_the_fixture_checks(project: pytest.Pytester) -> None:
    weights(project, "b", "bad")
    (project.path / "tests" / "test_one.py").write_text(
        "import plugin_nets\n"
        "def test_good(kwload_check):\n"
        "    assert kwload_check(plugin_nets.build(), 'weights/a.weights.h5', by_name=True).ok\n"
        "def test_bad(kwload_check):\n"
        "    kwload_check(plugin_nets.build(), 'weights/b.weights.h5')\n"
    )
    result = run(project, "tests/test_one.py")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*error[[]KW307]*net and bad*"])


def test_workers_agree(project: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    weights(project, "b", "bad")
    result = run(project, "-p", "xdist.plugin", "-n", "2")
    result.assert_outcomes(passed=2, failed=1)


def test_a_project_without_pairs_is_left_alone(project: pytest.Pytester) -> None:
    toml(project, "")
    run(project).assert_outcomes(passed=1)
    (project.path / "pyproject.toml").unlink()
    run(project, "tests").assert_outcomes(passed=1)


def test_the_start_is_light() -> None:
    heavy = "('numpy', 'keras', 'tensorflow', 'h5py', 'click', 'rich', 'kwload._core')"
    code = f"import sys, kwload.pytest_plugin; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


REAL = """
import keras
import kwload


class PluginScale(keras.layers.Layer):
    def build(self, shape):
        self.w = self.add_weight(name="w", shape=(shape[-1],))

    def call(self, x):
        return x * self.w


def build(units=2):
    dense = keras.layers.Dense
    return keras.Sequential([keras.Input((3,)), dense(4, name="d"), PluginScale(name="s"), dense(units, name="out")])


if __name__ == "__main__":
    build().save("nets/model.keras")
    kwload.manifest(build()).save("nets/model.kwload.json")
    build().save_weights("weights/good.weights.h5")
    build(3).save_weights("weights/wide.weights.h5")
"""

SIGNATURES = """
import sys
import kwload


@kwload.signature("PluginScale")
def scale(config, input_shape):
    assert "keras" not in sys.modules, "an architecture needs none"
    return [kwload.Var("w", (input_shape[-1],))], input_shape
"""

REAL_TOML = """
[tool.pytest.ini_options]
testpaths = ["tests"]

[tool.kwload]
signatures = ["plugin_signatures"]

[[tool.kwload.weights]]
path = "weights/*.weights.h5"
{key}
"""


@pytest.mark.keras
def test_a_real_repository(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """`config =`, `manifest =` and `model =`, each with a file that fits and one that does not."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for folder in ("tests", "nets", "weights"):
        pytester.mkdir(folder)
    pytester.makepyfile(plugin_real=REAL, plugin_signatures=SIGNATURES)
    (pytester.path / "tests" / "test_one.py").write_text("def test_one(): pass\n")
    assert pytester.run(sys.executable, "plugin_real.py").ret == 0
    for key in ('config = "nets/model.keras"', 'manifest = "nets/model.kwload.json"', 'model = "plugin_real:build"'):
        pytester.makepyprojecttoml(REAL_TOML.format(key=key))
        signatures = SIGNATURES if "model =" not in key else SIGNATURES.replace("assert", "#")
        pytester.makepyfile(plugin_signatures=signatures)
        result = run(pytester, "-v")
        result.assert_outcomes(passed=2, failed=1)
        result.stdout.fnmatch_lines(
            [
                "*pyproject.toml::weights/good.weights.h5*PASSED*",
                "*pyproject.toml::weights/wide.weights.h5*FAILED*",
                "*weights/wide.weights.h5 fits *",
                "*error[[]KW307] shape-mismatch: `out/kernel` has another shape in the file*",
            ]
        )
        result.stdout.no_fnmatch_line("*KW410*")
    pytester.makepyprojecttoml(REAL_TOML.format(key='config = "nets/absent.keras"'))
    run(pytester).stdout.fnmatch_lines(["pyproject.toml: config = 'nets/absent.keras': *absent.keras*"])
    pytester.makepyprojecttoml(REAL_TOML.format(key='config = "weights/good.weights.h5"'))
    run(pytester).stdout.fnmatch_lines(["pyproject.toml: config = 'weights/good.weights.h5': *"])
