"""The pytest plugin: pairs of weight files and models in ``pyproject.toml`` become tests.

::

    [[tool.kwload.weights]]
    path = "weights/*.weights.h5"     # relative to pyproject.toml
    model = "mynet.models:build"      # as `kwload check --model` takes it
    # or, with neither the code nor Keras: config = "model.keras", manifest = "model.kwload.json"
    by_name = false                   # optional, with skip_mismatch, input_shape = "28,28,1" and
    values = "error"                  # NaN and Inf fail; false: values are not looked at
    custom_objects = "mynet.layers:CUSTOM_OBJECTS"    # optional: a dict by name, one class, or a list of such

    [tool.kwload]
    signatures = ["mynet.kwload_signatures"]          # modules with @kwload.signature, imported before the first file

Each file is an item that fails with the report as its text. The items belong to the session, so they run whatever
``testpaths`` says; naming test files on the command line, or ``--no-kwload``, leaves them out. A pattern that matches
no file is a failing item.

This module is imported by every run of pytest, so it imports nothing but pytest; the rest waits until an item runs.
"""

from __future__ import annotations

import glob
import importlib
import os
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from kwload.report.finding import Report

_KEYS: Final[dict[str, tuple[type, ...]]] = {
    "path": (str,),
    "model": (str,),
    "config": (str,),
    "manifest": (str,),
    "by_name": (bool,),
    "skip_mismatch": (bool,),
    "input_shape": (str, list),
    "values": (bool, str),
    "custom_objects": (str, list),
}
_KINDS: Final = ("model", "config", "manifest")
_MODELS: Final = pytest.StashKey[dict[tuple[str, str], Any]]()
_DECLARED: Final = pytest.StashKey[bool]()
_PAIRS: Final = pytest.StashKey["tuple[Path | None, list[Pair]]"]()


@dataclass(frozen=True, slots=True)
class Pair:
    """One entry of ``[[tool.kwload.weights]]``; *kind* says what *model* is: one of ``_KINDS``."""

    path: str
    model: str
    kind: str = "model"
    by_name: bool | None = None
    skip_mismatch: bool = False
    input_shape: tuple[str, ...] = ()
    values: bool | str = True
    custom_objects: tuple[str, ...] = ()


class WeightsItemError(Exception):
    """The report of a file that does not fit; its text is the failure's."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--no-kwload`` and ``--kwload-strict``."""
    group = parser.getgroup("kwload", "weight files")
    group.addoption("--no-kwload", action="store_true", help="leave out the weight files of pyproject.toml")
    group.addoption("--kwload-strict", action="store_true", help="warnings about weight files fail too")


def pytest_configure(config: pytest.Config) -> None:
    """Reads the table, so that a mistake in it is said before anything runs."""
    path = None if config.getoption("no_kwload") else _toml(config)
    config.stash[_PAIRS] = (path, _pairs(path) if path is not None else [])
    config.stash[_MODELS] = {}


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> WeightsToml | None:
    """``pytest pyproject.toml`` runs the weight files and nothing else."""
    path, pairs = parent.config.stash[_PAIRS]
    return WeightsToml.from_parent(parent, path=file_path) if pairs and file_path == path else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Adds the weight files to the session; before others choose among the items, so that ``-k`` and ``--lf`` work."""
    path, pairs = config.stash[_PAIRS]
    if (
        path is not None
        and pairs
        and not (_names_files(config) or any(isinstance(item, WeightsItem) for item in items))
    ):
        items.extend(WeightsToml.from_parent(session, path=path).collect())


def _toml(config: pytest.Config) -> Path | None:
    """The project's pyproject.toml."""
    if config.inipath is not None and config.inipath.name == "pyproject.toml":
        return config.inipath
    path = config.rootpath / "pyproject.toml"
    return path if path.is_file() else None


def _names_files(config: pytest.Config) -> bool:
    """Whether the command line names test files or single tests."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return False
    named = (config.invocation_params.dir / str(arg).partition("::")[0] for arg in config.args)
    return any("::" in str(arg) for arg in config.args) or any(not path.is_dir() for path in named)


def _pairs(path: Path) -> list[Pair]:
    """The entries, checked.

    Raises
    ------
    pytest.UsageError
        The table is not what it should be; the message names the entry.
    """
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"{path}: {error}") from None
    entries = document.get("tool", {}).get("kwload", {}).get("weights", [])
    if not isinstance(entries, list):
        raise pytest.UsageError(f"{path}: write [[tool.kwload.weights]], with two brackets")
    return [_pair(f"{path}: [[tool.kwload.weights]] entry {number}", entry) for number, entry in enumerate(entries, 1)]


def _pair(where: str, entry: dict[str, Any]) -> Pair:
    for key, value in entry.items():
        if key not in _KEYS:
            raise pytest.UsageError(f"{where}: unknown key {key!r}; known are {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]):
            raise pytest.UsageError(f"{where}: {key} is {value!r}, expected {_KEYS[key][0].__name__}")
    kinds = [kind for kind in _KINDS if entry.get(kind)]
    if not entry.get("path") or not kinds:
        raise pytest.UsageError(f"{where}: {'model' if entry.get('path') else 'path'} is missing")
    if len(kinds) > 1:
        raise pytest.UsageError(f"{where}: {' and '.join(kinds)} each say which model: give one of them")
    if kinds[0] != "model" and entry.get("input_shape"):
        raise pytest.UsageError(f"{where}: input_shape builds a model; what {kinds[0]} names is built")
    if entry.get("values", True) not in (True, False, "error"):
        raise pytest.UsageError(f"{where}: values is {entry['values']!r}, expected true, false or 'error'")
    return Pair(
        path=entry["path"],
        model=entry[kinds[0]],
        kind=kinds[0],
        by_name=True if entry.get("by_name") else None,
        skip_mismatch=entry.get("skip_mismatch", False),
        input_shape=_texts(entry.get("input_shape", [])),
        values=entry.get("values", True),
        custom_objects=_texts(entry.get("custom_objects", [])),
    )


def _texts(given: str | list[Any]) -> tuple[str, ...]:
    """One text, or a list of them."""
    return (given,) if isinstance(given, str) else tuple(map(str, given))


class WeightsToml(pytest.File):
    """The weight files that a pyproject.toml names."""

    def collect(self) -> Iterator[WeightsItem]:
        """One item a file, in the order of the entries and then of the names: the same on every worker."""
        folder = self.path.parent
        seen: dict[str, int] = {}
        for pair in self.config.stash[_PAIRS][1]:
            found = sorted(glob.glob(pair.path, root_dir=folder, recursive=True)) or [pair.path]
            for name in found:
                seen[name] = seen.get(name, 0) + 1
                label = name if seen[name] == 1 else f"{name}[{pair.model}]"
                yield WeightsItem.from_parent(self, name=label, pair=pair, file=folder / name)


class WeightsItem(pytest.Item):
    """One weight file and the model it must fit."""

    def __init__(self, *, pair: Pair, file: Path, **options: Any) -> None:
        super().__init__(**options)
        self.pair = pair
        self.file = file

    def runtest(self) -> None:
        """Checks the file; the model is built once for all its files."""
        if not os.path.lexists(self.file):
            raise WeightsItemError(self._no_file())
        options = {name: getattr(self.pair, name) for name in ("by_name", "skip_mismatch", "values")}
        _declare(self.config)
        if self.pair.custom_objects:
            options["custom_objects"] = self._custom_objects()
        report = _check(self._model(), self.file, **options)
        if _fails(self.config, report):
            raise WeightsItemError(_text(self.config, report))

    def _no_file(self) -> str:
        from kwload.paths import nearest_names

        folder = self.path.parent
        near = [os.path.relpath(name, folder) for name in nearest_names(os.fspath(self.file))]
        hint = f"; nearest: {', '.join(near)}" if near else ""
        return f"{self.path.name}: the path {self.pair.path!r} matches no file in {folder}{hint}"

    def _model(self) -> Any:
        models = self.config.stash[_MODELS]
        key = (f"{self.pair.kind} {self.pair.model}", "|".join(self.pair.input_shape))
        if key not in models:
            models[key] = self._made()
        return models[key]

    def _made(self) -> Any:
        """What stands for the model: itself, its architecture, its manifest."""
        if self.pair.kind == "model":
            from kwload import modelref

            shapes = self.pair.input_shape or None
            return modelref.resolve(self.pair.model, input_shape=shapes, folder=os.fspath(self.path.parent))
        path = os.fspath(self.path.parent / self.pair.model)
        try:
            if self.pair.kind == "config":
                from kwload.spec.architecture import target

                return target.read(path)
            from kwload.stamps.manifest import Manifest

            return Manifest.load(path)
        except (OSError, ValueError) as error:
            raise WeightsItemError(f"{self.path.name}: {self.pair.kind} = {self.pair.model!r}: {error}") from None

    def _custom_objects(self) -> dict[str, Any]:
        from kwload import modelref

        found: dict[str, Any] = {}
        for reference in self.pair.custom_objects:
            found |= modelref.objects(reference, folder=os.fspath(self.path.parent))
        return found

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The report itself; for what the user's own code raised, its traceback."""
        if isinstance(excinfo.value, WeightsItemError) or type(excinfo.value).__name__ in (
            "ModelRefError",
            "InputShapeError",
            "DeclarationError",
        ):
            return str(excinfo.value)
        start = next((n for n, entry in enumerate(excinfo.traceback) if _is_own(entry)), 0)
        theirs = [n for n, entry in enumerate(excinfo.traceback) if n > start and not _is_own(entry)]
        if theirs:
            excinfo.traceback = type(excinfo.traceback)(excinfo.traceback[theirs[0] :])
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """How the item is called in the output."""
        return self.path, None, f"{self.name} fits {self.pair.model}"


def _declare(config: pytest.Config) -> None:
    """Imports the signatures that the project declares, once a session."""
    if not config.stash.get(_DECLARED, False):
        from kwload import declared

        path = _toml(config)
        if path is not None:
            declared.load(path)
        config.stash[_DECLARED] = True


def _check(model: Any, path: str | os.PathLike[str], **options: Any) -> Report:
    import kwload

    return kwload.check(model, path, **options)


def _fails(config: pytest.Config, report: Report) -> bool:
    return not report.ok or bool(config.getoption("kwload_strict") and report.warnings)


def _text(config: pytest.Config, report: Report) -> str:
    return report.render(strict=bool(config.getoption("kwload_strict")))


def _is_own(entry: Any) -> bool:
    """Whether a frame is kwload's or the import system's, which say nothing about the user's code."""
    path = str(entry.path)
    folders = (os.path.dirname(__file__), os.path.dirname(importlib.__file__))
    return path.startswith("<frozen importlib") or os.path.dirname(path) in folders


@pytest.fixture(scope="session")
def kwload_check(pytestconfig: pytest.Config) -> Callable[..., Report]:
    """``kwload_check(model, path, **options)``: the report, or a failing test whose text is the report."""

    def check(model: Any, path: str | os.PathLike[str], **options: Any) -> Report:
        __tracebackhide__ = True
        _declare(pytestconfig)
        report = _check(model, path, **options)
        if _fails(pytestconfig, report):
            pytest.fail(_text(pytestconfig, report), pytrace=False)
        return report

    return check
