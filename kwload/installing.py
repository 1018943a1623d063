"""Puts the check in front of the ``load_weights`` and ``load_model`` of Keras, whoever calls them.

    Model.load_weights              one method of one class: replaced there
    load_model, save_model, ...     functions that many modules hold, also a user's own (``from keras.models import
                                    load_model``): replaced wherever a module holds them
    a Keras that is imported later  replaced at the end of its import

A call that the check lets through is Keras's own, with the arguments as they were and what it returns.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib.abc
import importlib.machinery
import os
import sys
import threading
import warnings
import zipfile
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

from kwload.errors import WeightsError, WeightsNotFoundError, WeightsWarning
from kwload.report.finding import Report

_PACKAGES: Final = ("keras", "tf_keras")
_LOCK: Final = threading.RLock()


class Installed:
    """What :func:`install` returns: a context manager, at whose end the check is taken away again."""

    def __init__(self, *, stamp: bool, strict: bool) -> None:
        self.stamp = stamp
        self.strict = strict

    def uninstall(self) -> None:
        """Takes this installation away; others stay."""
        with _LOCK:
            if self in _ACTIVE:
                _ACTIVE.remove(self)
            if not _ACTIVE:
                _take_away()

    def __enter__(self) -> Installed:
        return self

    def __exit__(self, *exception: object) -> None:
        self.uninstall()


_ACTIVE: Final[list[Installed]] = []
_UNDO: Final[list[Callable[[], None]]] = []
_PATCHED: Final[set[str]] = set()
_WARNED: Final[set[tuple[str, str]]] = set()


def install(*, stamp: bool = False, strict: bool = False) -> Installed:
    """Put the check in front of ``load_weights`` and ``load_model`` of Keras 3 and tf_keras.

    A call that would fail, load nothing or load wrongly raises with the report of kwload, before Keras changes a
    variable; the exception is also of the class that Keras would raise (``ValueError``, ``OSError``, ``KeyError``).
    Any other call is Keras's own. What a person should look at is a :class:`kwload.WeightsWarning`, once a file.
    A Keras that is imported later is treated alike. Files that kwload does not read (TensorFlow checkpoints,
    SavedModel, remote paths, open files) go to Keras untouched.

    Parameters
    ----------
    stamp : bool
        Also stamp what Keras saves (:func:`kwload.stamp`), so that a later silent change can be known. What cannot be
        stamped is warned of; saving never fails for it.
    strict : bool
        Warnings refuse too.

    Returns
    -------
    Installed
        A context manager. Installing twice is fine: each has its own end.

    Examples
    --------
    >>> kwload.install()
    >>> with kwload.install():
    ...     model.load_weights("model.weights.h5")
    """
    made = Installed(stamp=stamp, strict=strict)
    with _LOCK:
        if not _ACTIVE:
            sys.meta_path.insert(0, _FINDER)
        _ACTIVE.append(made)
        for name in _PACKAGES:
            if name in sys.modules and not getattr(sys.modules[name].__spec__, "_initializing", False):
                _patch(name)
    return made


def uninstall() -> None:
    """Take all installations away: Keras is as it was."""
    with _LOCK:
        _ACTIVE.clear()
        _take_away()


def _take_away() -> None:
    while _UNDO:
        _UNDO.pop()()
    _PATCHED.clear()
    _WARNED.clear()
    with contextlib.suppress(ValueError):
        sys.meta_path.remove(_FINDER)


# ---- replacing ----


def _patch(name: str) -> None:
    """Replaces what one Keras has, once."""
    if name in _PATCHED:
        return
    api = sys.modules.get(f"{name}.src.saving.saving_api")
    model = getattr(sys.modules[name], "Model", None)
    if api is None or not isinstance(model, type):  # Keras 2 under this name, which tf_keras is the successor of
        return
    _PATCHED.add(name)
    owner = next(base for base in model.__mro__ if "load_weights" in base.__dict__)
    _replace_method(owner, "load_weights", _loading_weights(name, owner.__dict__["load_weights"]))
    _replace_function(api.load_model, _loading_model(name, api.load_model))
    for saves in ("save_model", "save_weights"):
        if (original := getattr(api, saves, None)) is not None:
            _replace_function(original, _saving(original))


def _replace_method(owner: type, name: str, wrapper: Any) -> None:
    original = owner.__dict__[name]
    setattr(owner, name, wrapper)

    def undo() -> None:
        if owner.__dict__.get(name) is wrapper:
            setattr(owner, name, original)

    _UNDO.append(undo)


def _replace_function(original: Any, wrapper: Any) -> None:
    """Replaces a function in every module that holds it under some name."""
    places = [
        (module, name) for module in _modules() for name, value in list(vars(module).items()) if value is original
    ]
    for module, name in places:
        setattr(module, name, wrapper)

    def undo() -> None:
        for module in _modules():
            for name, value in list(vars(module).items()):
                if value is wrapper:
                    setattr(module, name, original)

    _UNDO.append(undo)


def _modules() -> list[ModuleType]:
    """The modules that are imported; others stand in their place now and then."""
    found: list[Any] = list(sys.modules.values())
    return [module for module in found if isinstance(module, ModuleType)]


class _Finder(importlib.abc.MetaPathFinder):
    """Finds a Keras as the others do, and is told when its import has ended."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _PACKAGES:
            return None
        for finder in sys.meta_path:
            found = finder.find_spec(fullname, path, target) if finder is not self else None
            if found is not None:
                if found.loader is not None and hasattr(found.loader, "exec_module"):
                    found.loader = _Loader(found.loader)
                return found
        return None


class _Loader(importlib.abc.Loader):
    """Runs a module by its own loader, gives it back that loader, and then patches it."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        with _LOCK:
            if _ACTIVE:
                _patch(module.__name__)


_FINDER: Final = _Finder()


# ---- what stands in front ----


def _loading_weights(package: str, original: Any) -> Any:
    @functools.wraps(original)
    def load_weights(self: Any, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        path = _checkable(filepath, package)
        options = _options(args, kwargs)
        if path is not None and options is not None:
            from kwload import api

            read = (".h5", ".hdf5", ".keras", ".weights.json")
            _refuse(api.check(self, path, **options), judged_by_name=package == "keras" and not path.endswith(read))
        return original(self, filepath, *args, **kwargs)

    return load_weights


def _options(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """The options of a call that kwload knows; None for a call with others, which is Keras's to judge."""
    given = dict(zip(("skip_mismatch", "by_name"), args, strict=False)) | kwargs
    if len(args) > 2 or set(given) - {"skip_mismatch", "by_name", "options"} or given.pop("options", None) is not None:
        return None
    if not given.get("by_name"):
        given.pop("by_name", None)
    return given


def _loading_model(package: str, original: Any) -> Any:
    @functools.wraps(original)
    def load_model(filepath: Any, *args: Any, **kwargs: Any) -> Any:
        path = _checkable(filepath, package)
        given = dict(zip(("custom_objects", "compile", "safe_mode"), args, strict=False)) | kwargs
        if path is not None and len(args) < 4 and not set(given) - {"custom_objects", "compile", "safe_mode"}:
            from kwload import api, loading

            module = loading._of_module(sys.modules[package])
            asked = {name: value for name, value in given.items() if value is not None}
            by_name = package == "keras" and not path.endswith((".h5", ".hdf5"))
            _refuse(api.check_model(path, keras=module.asked, **asked), judged_by_name=by_name)
        return original(filepath, *args, **kwargs)

    return load_model


def _saving(original: Any) -> Any:
    @functools.wraps(original)
    def save(model: Any, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        made = original(model, filepath, *args, **kwargs)
        if any(item.stamp for item in _ACTIVE) and (path := _local(filepath)) is not None and os.path.isfile(path):
            _stamp(model, path)
        return made

    return save


def _stamp(model: Any, path: str) -> None:
    """Stamps a file that was saved; what keeps it from that is warned of."""
    from kwload.stamps.stamp import stamp

    try:
        stamp(model, path)
    except Exception as error:  # noqa: BLE001 - the file is saved, and that must not fail for its stamp
        said = (
            error.report.render(concise=True) if isinstance(error, WeightsError) else f"{type(error).__name__}: {error}"
        )
        warnings.warn(f"kwload could not stamp {path}: {said}", WeightsWarning, stacklevel=4)


def _local(filepath: Any) -> str | None:
    """A path on this machine as text; None for anything else."""
    if not isinstance(filepath, (str, os.PathLike)):
        return None
    path = os.fspath(filepath)
    return path if isinstance(path, str) and "://" not in path else None


def _checkable(filepath: Any, package: str) -> str | None:
    """The path of a call that kwload can judge; None for one that goes to Keras untouched."""
    path = _local(filepath)
    if path is None or not _ACTIVE:
        return None
    if os.path.isdir(path):
        return path if package == "keras" and os.path.isfile(os.path.join(path, "config.json")) else None
    known = path.endswith((".h5", ".hdf5", ".keras"))
    if path.endswith(".weights.json"):  # to tf_keras a prefix too, as long as no such file is there
        known = package == "keras" or os.path.lexists(path)
    if package == "tf_keras" and not known and not _is_hdf5(path):  # a TensorFlow checkpoint is a prefix of files
        return None
    return path


def _is_hdf5(path: str) -> bool:
    """Whether a file begins as HDF5 files do."""
    try:
        with open(path, "rb") as file:
            return file.read(8) == b"\x89HDF\r\n\x1a\n"
    except OSError:
        return False


# ---- what a report does to a call ----


def _refuse(report: Report, *, judged_by_name: bool = False) -> None:
    """Raises when the call is refused, else warns of what a person should look at.

    With *judged_by_name* Keras 3 says ``ValueError`` of a path where nothing is: it does not look there first.
    """
    strict = any(item.strict for item in _ACTIVE)
    if report.errors or (strict and report.warnings):
        raise _as_keras(report, judged_by_name)
    key = (os.path.abspath(report.path), report.render(concise=True) if report.warnings else "")
    if report.warnings and key not in _WARNED:
        _WARNED.add(key)
        warnings.warn("\n" + report.render(), WeightsWarning, stacklevel=3)


def _as_keras(report: Report, judged_by_name: bool) -> WeightsError:
    """The exception of a report that is also of the class that Keras would raise."""
    error = report.exception()
    foreseen = report.prediction.error if report.prediction is not None else None
    unknown_class = any(item.code == "KW402" for item in report.errors)
    absent = judged_by_name and isinstance(error, WeightsNotFoundError)
    otherwise = "TypeError" if unknown_class else "ValueError" if absent else ""
    raised = _class_named(foreseen.type if foreseen is not None else otherwise)
    if raised is None or isinstance(error, raised):
        return error
    with contextlib.suppress(TypeError):  # layouts of two exceptions that do not go together
        return _both(type(error), raised)(report)
    return error


def _both(own: type[WeightsError], raised: type[Exception]) -> Callable[[Report], WeightsError]:
    """A class of both; it is pickled as kwload's own."""

    def reduced(self: WeightsError) -> tuple[type[WeightsError], tuple[Report]]:
        return own, (self.report,)

    made: Any = type(own.__name__, (own, raised), {"__module__": own.__module__, "__reduce__": reduced})
    found: Callable[[Report], WeightsError] = made
    return found


def _class_named(name: str) -> type[Exception] | None:
    found = zipfile.BadZipFile if name == "BadZipFile" else getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None
