"""``load_model`` with the check in front, and the weights loaded all or nothing.

    file --check_model--> refused, or
    config --Keras's own from_config--> model --load_weights--> weights --> vocabularies, optimizer --> model

The steps, their order and their scopes are those of ``saving_lib.load_model`` (``.keras``) and of
``load_model_from_hdf5`` (``.h5``) in Keras 3.0 to 3.15 and tf_keras 2.16 to 2.21; only the weights are read by kwload.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Final, Literal

from kwload import _core, api
from kwload.errors import WeightsWarning
from kwload.file import Source, core_source
from kwload.report.finding import Report

_PACKAGES: Final = ("keras", "tf_keras")
_MOST_ASSETS: Final = 1 << 30
"""Bytes of the vocabularies of a model."""


@dataclass(frozen=True, slots=True)
class Package:
    """A Keras of this process that loads.

    Attributes
    ----------
    module : module
        ``keras`` or ``tf_keras``.
    version : str
        Its own.
    """

    module: ModuleType
    version: str

    @property
    def name(self) -> str:
        return self.module.__name__

    @property
    def is_3(self) -> bool:
        return not self.version.startswith(("1.", "2."))

    @property
    def asked(self) -> str:
        """What ``check_model`` is asked about."""
        return f"{'' if self.is_3 else 'tf_keras '}{self.version}"

    def part(self, name: str) -> Any:
        """A module of its source: ``"saving.serialization_lib"``."""
        return importlib.import_module(f"{self.name}.src.{name}")


def load_model(
    path: Source,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    *,
    keras: str | ModuleType | None = None,
    values: bool | Literal["error"] = True,
    strict: bool = False,
) -> Any:
    """Load a whole model, as Keras's ``load_model`` does, with the check in front.

    The architecture is made by Keras's own ``from_config``; the weights are loaded by :func:`kwload.load_weights`.
    Nothing of the file is run before the check has passed, and Python code in it (``Lambda`` of a lambda) only with
    ``safe_mode=False``, in an ``.h5`` file too.

    Parameters
    ----------
    path : str or os.PathLike
        A ``.keras`` archive or folder, or a whole-model ``.h5`` file.
    custom_objects : dict, optional
        Names of your own classes and functions -> themselves.
    compile : bool
        Whether to compile the model as it was compiled when it was saved.
    safe_mode : bool
        False runs Python code that is stored in the file.
    keras : {"keras", "tf_keras"} or module, optional
        Which Keras makes the model. Without it the one that is imported; of two that one of the line that wrote the
        file (``import tf_keras`` imports Keras 3 too).
    values, strict
        As for :func:`kwload.load_weights`.

    Returns
    -------
    keras.Model or tf_keras.Model
        The model, compiled when it was saved so. What a person should look at (code that changed since the file was
        stamped, settings that an older Keras did not know) is a ``WeightsWarning``.

    Raises
    ------
    WeightsMismatchError
        Keras cannot make a model of the file, or the weights do not fit the model; a ``ValueError``.
    WeightsFileError
        The file is absent, unreadable or damaged; an ``OSError``.
    TypeError
        ``path`` is no path.
    ValueError
        ``keras`` names no Keras, or it cannot be told which of two is meant.
    ImportError
        No Keras is installed.
    """
    target, name = core_source(path)
    if not isinstance(target, bytes):
        raise TypeError("load_model reads a file: Keras chooses its reader by the end of the name")
    file = _opened(target)
    if file is None or file.config is None:  # no model, whichever Keras it would be
        raise api.check_model(name).exception()
    package = _package(keras, file)
    report = api.check_model(
        name, keras=package.asked, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode
    )
    report.raise_if_failed(strict=strict)
    if safe_mode:
        _refuse_code(report, file, name)
    rebuilding = _Rebuilding(package, file, name, custom_objects, compile=compile, safe_mode=safe_mode)
    loaded: list[Report] = []
    model = rebuilding.run(lambda made: loaded.extend(_weights(made, name, file, values=values, strict=strict)))
    _warn(next((each for each in loaded if each.warnings), report))
    return model


def _warn(report: Report) -> None:
    """Says what a person should look at: a model comes back, and no report."""
    if report.warnings:
        warnings.warn("\n" + report.render(), WeightsWarning, stacklevel=3)


def _opened(target: bytes) -> _core.File | None:
    """The file; None when it does not open, which the check then says."""
    try:
        return _core.File(target)
    except _core.CoreError:
        return None


# ---- which Keras ----


def _package(asked: str | ModuleType | None, file: _core.File) -> Package:
    """The Keras that is to make the model."""
    if isinstance(asked, ModuleType):
        return _of_module(asked)
    if asked is not None:
        if asked not in _PACKAGES:
            raise ValueError(f'keras is {asked!r}, expected "keras", "tf_keras" or the module')
        return _of_module(importlib.import_module(asked))
    imported = [name for name in _PACKAGES if getattr(sys.modules.get(name), "__version__", None)]
    if len(imported) < 2:
        return _of_module(importlib.import_module(imported[0] if imported else _installed()))
    from kwload.versions import writer

    written = writer.package_of(file)
    if written is None:
        raise ValueError('both keras and tf_keras are imported: say which one with keras="keras" or keras="tf_keras"')
    return _of_module(sys.modules[written])


def _of_module(module: ModuleType) -> Package:
    name, version = module.__name__, getattr(module, "__version__", None)
    if name == "tensorflow.keras" or name.endswith("._tf_keras.keras"):  # the same objects under another name
        return _of_module(importlib.import_module("keras"))
    if name not in _PACKAGES or not isinstance(version, str):
        raise ValueError(f"{name} is no Keras that can be asked for: keras or tf_keras")
    return Package(module, version)


def _installed() -> str:
    for name in _PACKAGES:
        if importlib.util.find_spec(name) is not None:
            return name
    raise ImportError("load_model makes a model with Keras, and neither keras nor tf_keras is installed")


# ---- the weights ----


def _weights(
    model: Any, path: str, file: _core.File, *, values: bool | Literal["error"], strict: bool
) -> Iterator[Report]:
    """Loads them, and gives the report; nothing where there are none, and the model has none either."""
    if getattr(model, "built", True) or any(not group[2] & _OPTIMIZER and group[3] for group in file.groups):
        yield api.load_weights(model, path, values=values, strict=strict)


_OPTIMIZER: Final = _core.GROUP_FLAGS["optimizer"]


def _refuse_code(report: Report, file: _core.File, path: str) -> None:
    """Raises for code in an ``.h5`` file, which some readers run although they were asked not to."""
    from kwload.report.versions import code_refused
    from kwload.versions import differences, whole

    if layers := differences.python_code(whole.parsed(file.config)):
        raise replace(report, findings=(code_refused(path, layers), *report.findings)).exception()


# ---- the model ----


@dataclass(frozen=True, slots=True)
class _Rebuilding:
    """Makes the model of one file with one Keras."""

    package: Package
    file: _core.File
    path: str
    custom_objects: Mapping[str, Any] | None
    compile: bool
    safe_mode: bool

    def run(self, weights: Any) -> Any:
        """The model, with what *weights* does to it at the place where Keras loads them."""
        return self._hdf5(weights) if self.file.content == "hdf5" else self._archive(weights)

    def _config(self) -> Any:
        return json.loads(self.file.config or b"")

    def _archive(self, weights: Any) -> Any:
        """``saving_lib.load_model``."""
        library = self.package.part("saving.serialization_lib")
        config = self._config()
        if not self.compile:
            config["compile_config"] = None
        with self._as_v3(), library.ObjectSharingScope():
            model = library.deserialize_keras_object(config, self._custom(), safe_mode=self.safe_mode)
            weights(model)
            self._assets(model)
        return model

    @contextlib.contextmanager
    def _as_v3(self) -> Iterator[None]:
        """tf_keras reads and writes objects in another way within the V3 format."""
        state = (
            None if self.package.is_3 else getattr(self.package.part("saving.saving_lib"), "_SAVING_V3_ENABLED", None)
        )
        before = getattr(state, "value", False)
        if state is not None:
            state.value = True
        try:
            yield
        finally:
            if state is not None:
                state.value = before

    def _custom(self) -> dict[str, Any] | None:
        from kwload.spec import registry

        return registry.objects_of(self.custom_objects) or None

    def _hdf5(self, weights: Any) -> Any:
        """``load_model_from_hdf5``."""
        legacy = "legacy.saving" if self.package.is_3 else "saving.legacy"
        text = self.package.part(f"{legacy}.json_utils" if self.package.is_3 else f"{legacy}.saved_model.json_utils")
        utils = self.package.part(f"{legacy}.saving_utils")
        maker = utils if self.package.is_3 else self.package.part(f"{legacy}.model_config")
        custom = {**(self._custom() or {}), **self._known()}
        config = text.decode((self.file.config or b"").decode("utf-8"))
        with self._within_keras_2(custom), self._legacy_scopes(legacy):
            model = maker.model_from_config(config, custom_objects=custom)
            weights(model)
        if self.compile and self.file.training is not None:
            training = text.decode(self.file.training.decode("utf-8"))
            serialized = {} if self.package.is_3 else {"from_serialized": True}
            with self._within_keras_2(custom):
                model.compile(**utils.compile_args_from_training_config(training, custom), **serialized)
                utils.try_build_compiled_arguments(model)
            self._optimizer(model)
        return model

    @contextlib.contextmanager
    def _within_keras_2(self, custom: dict[str, Any]) -> Iterator[None]:
        """What ``legacy.save.load_model`` of tf_keras reads an ``.h5`` file in: by class names."""
        if self.package.is_3:
            yield
            return
        sharing = self.package.part("saving.legacy.serialization").SharedObjectLoadingScope()
        options = self.package.part("saving.legacy.saved_model.utils").keras_option_scope
        scope = self.package.part("saving.object_registration").CustomObjectScope(custom)
        with sharing, scope, options(save_traces=False, in_tf_saved_model_scope=True):
            yield

    @contextlib.contextmanager
    def _legacy_scopes(self, legacy: str) -> Iterator[None]:
        if not self.package.is_3:
            yield
            return
        options = self.package.part(f"{legacy}.saving_options")
        library = self.package.part("saving.serialization_lib")
        with options.keras_option_scope(use_legacy_config=True), library.SafeModeScope(self.safe_mode):
            yield

    def _known(self) -> dict[str, Any]:
        """What is registered with this Keras, which its reader of ``.h5`` files looks up in one dict with the rest."""
        from kwload.spec import registry

        return registry.known("keras" if self.package.is_3 else "tf_keras")

    def _optimizer(self, model: Any) -> None:
        """The state of the optimizer, as far as it fits: Keras starts a fresh one otherwise."""
        rows = [row for group in self.file.groups if group[2] & _OPTIMIZER for _, row in group[3]]
        optimizer = getattr(model, "optimizer", None)
        if not rows or optimizer is None or any(row < 0 for row in rows):
            return
        with contextlib.suppress(NotImplementedError, AttributeError):
            if hasattr(optimizer, "build"):
                optimizer.build(model.trainable_variables)
            else:
                optimizer._create_all_weights(model.trainable_variables)
        with contextlib.suppress(ValueError, AttributeError):
            optimizer.set_weights(self.file.fetch(rows, threads=api.THREADS, verify=True))

    # ---- vocabularies ----

    def _assets(self, model: Any) -> None:
        """Files that layers keep beside their weights, given to those that take some."""
        from kwload.spec import live

        described = live.describe(model, "keras-3")
        takers = [
            (group[0], made)
            for group, made in zip(described.groups, described.objects, strict=True)
            if _takes_assets(made)
        ]
        if not takers:
            return
        if os.path.isdir(self.path):
            folder = os.path.join(self.path, "assets")
            for place, made in takers:
                if os.path.isdir(where := os.path.join(folder, *place.split("/"))):
                    made.load_assets(where)
            return
        with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(self.path) as archive:
            for number, (place, made) in enumerate(takers):
                where = os.path.join(scratch, str(number))
                if _unpacked(archive, f"assets/{place}/", where):
                    made.load_assets(where)


def _takes_assets(made: Any) -> bool:
    """Whether a layer has a ``load_assets`` of its own."""
    for base in type(made).__mro__:
        if "load_assets" in base.__dict__:
            return base.__name__ not in ("KerasSaveable", "Layer", "Model")
    return False


def _unpacked(archive: zipfile.ZipFile, prefix: str, folder: str) -> bool:
    """Writes the files right below a prefix into a new folder; whether there are any."""
    members = [info for info in archive.infolist() if info.filename.startswith(prefix) and not info.is_dir()]
    found = False
    for info in members:
        name = info.filename[len(prefix) :]
        if not name or "/" in name or "\\" in name or name in (".", "..") or info.file_size > _MOST_ASSETS:
            continue
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "wb") as out:
            out.write(archive.read(info))
        found = True
    return found
