"""Users' own classes: what they are registered as, and the signatures that say what variables they have.

Nothing here is looked up by importing: a class is known when the user's own code has registered it, here or with a
Keras that is imported, or has handed it in. A name comes from a file; what it leads to never does.
"""

from __future__ import annotations

import copy
import inspect
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from kwload.spec.checked import ShapeError, checked
from kwload.spec.signature import Shapes, Signature

Function: TypeAlias = Callable[..., Any]
_T = TypeVar("_T", bound=Callable[..., Any])

DEEPEST: Final = 32
"""Signatures within signatures: whoever follows the sub-layers of one stops here."""

_FLAVOURS: Final = {"keras": "keras", "tf_keras": "tf_keras"}


class SignatureError(Exception):
    """A signature raised, or returned what describes no layer.

    Attributes
    ----------
    name : str
        The name that the signature is for.
    reason : str
        What is wrong, as the rest of a sentence that begins with the signature: ``"raised KeyError: 'units'"``.
    file : str or None
        The user's own file.
    line : int or None
        The user's own line: where it was raised, or where the function begins.
    """

    def __init__(self, name: str, reason: str, file: str | None, line: int | None) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
        self.file = file
        self.line = line


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known under one name.

    Attributes
    ----------
    name : str
        What it is registered as: ``"My>Scale"``.
    cls : type or callable, optional
        The user's class; None when only a signature is known.
    signature : callable, optional
        The user's function ``(config, input_shape)``.
    """

    name: str
    cls: Any = None
    signature: Function | None = None

    @property
    def place(self) -> tuple[str | None, int | None]:
        """File and line where the signature begins, or the class when there is no signature."""
        return _place(self.signature if self.signature is not None else self.cls)

    @property
    def describes(self) -> bool:
        """Whether :meth:`call` can say anything: by the signature, or by building the class where that is asked for."""
        return self.signature is not None or (_SCOPES.build and isinstance(self.cls, type))

    def call(self, config: Mapping[str, Any], input_shape: Shapes) -> Signature:
        """What the signature says of a layer with this config and input.

        Parameters
        ----------
        config : mapping
            As the class's ``from_config`` would take it. The function gets a copy.
        input_shape : Shapes
            One shape, a list for a layer that is called with a list, or a dict by argument (``"query"`` or
            ``"query_shape"``, as configs store it); None when nothing is known.

        Raises
        ------
        SignatureError
            It raised, or returned what describes no layer; or there is none, and the class is not to be built. Where
            it is to be built: the class raised, or makes other variables than the signature says.
        """
        function = self.signature
        building = _SCOPES.build and isinstance(self.cls, type)
        if function is None:
            if not building:
                raise SignatureError(self.name, "has no signature", *self.place)
            from kwload.spec.building import built

            return built(self, _copied(config), input_shape)
        said = self._said(function, config, input_shape)
        if building and input_shape is not None:
            from kwload.spec.building import contradicted

            contradicted(self, _copied(config), input_shape, said)
        return said

    def _said(self, function: Function, config: Mapping[str, Any], input_shape: Shapes) -> Signature:
        """What the user's function returns, checked."""
        try:
            made = function(_copied(config), by_argument(input_shape))
        except Exception as error:  # the user's own code: anything can come out of it
            raise SignatureError(self.name, raised(error), *raised_at(error, function)) from error
        try:
            return checked(made)
        except ShapeError as error:
            raise SignatureError(self.name, str(error), *_place(function)) from None


# ---- what users call ----

_OBJECTS: Final[dict[str, Any]] = {}
_SIGNATURES: Final[dict[str, Function]] = {}
_OF_CLASS: Final[dict[type, Function]] = {}


class _Scopes(threading.local):
    """The objects of the scopes that this thread is in, outermost first."""

    def __init__(self) -> None:
        self.stack: list[Mapping[str, Any]] = []
        self.build = False
        """Whether classes without a signature are to be built."""


_SCOPES: Final = _Scopes()


def register(package: str = "Custom", name: str | None = None) -> Callable[[_T], _T]:
    """Register a class or function of your own, as ``keras.saving.register_keras_serializable`` does.

    What is of a Keras that is imported is registered with that Keras too, so that ``load_model`` finds it and
    ``save`` writes the name; one decorator is enough.

    Parameters
    ----------
    package : str
        The first half of the name.
    name : str, optional
        The second half; by default the name of the class.

    Returns
    -------
    callable
        A decorator that returns what it is given.

    Raises
    ------
    TypeError
        ``package`` or ``name`` is no text: ``@kwload.register`` without parentheses.

    Examples
    --------
    >>> @kwload.register(package="My", name="Scale")
    ... class Scale(keras.layers.Layer):
    ...     ...
    """
    given: tuple[object, ...] = (package, "" if name is None else name)
    if not all(isinstance(text, str) for text in given):
        raise TypeError('package and name are text: write @kwload.register(package="My", name="Scale")')

    def decorator(made: _T) -> _T:
        key = f"{package}>{made.__name__ if name is None else name}"
        for register_there in _registers(made):
            register_there(package, name)(made)
        _OBJECTS[key] = made
        return made

    return decorator


def signature(key: str | type) -> Callable[[_T], _T]:
    """Say which variables a class of your own has, so that its weights can be checked without building it.

    The function is called with the config of a layer and the shape of its input, and returns a list of
    :class:`kwload.Var` and :class:`kwload.Sub` in the order of ``layer.weights``; or that list and the output's shape.
    The config is a copy. The shape is a tuple with the batch axis, a list for a layer that is called with a list, or a
    dict by argument for one that is called with several (``{"query": …, "value": …}``); None for a length that is not
    known, or for all of it.

    Parameters
    ----------
    key : str or type
        The name that the class is registered as (``"My>Scale"``), its own name, or the class.

    Returns
    -------
    callable
        A decorator that returns the function.

    Raises
    ------
    TypeError
        ``key`` is neither.

    Examples
    --------
    >>> @kwload.signature("My>Scale")
    ... def scale(config, input_shape):
    ...     return [kwload.Var("scale", (config["units"],))]
    """
    given: object = key
    if not isinstance(given, (str, type)) or not given:
        raise TypeError('a signature is for a class: write @kwload.signature("My>Scale")')

    def decorator(function: _T) -> _T:
        if isinstance(key, type):
            _OF_CLASS[key] = function
        else:
            _SIGNATURES[key] = function
        return function

    return decorator


class custom_object_scope:  # noqa: N801 - Keras's name
    """Make classes, functions and signatures known by name within a ``with`` block, in this thread.

    A scope within a scope adds to it. The Keras that is imported knows the classes and functions too.

    Parameters
    ----------
    custom_objects : dict
        Name -> class, function, signature, or a pair of class and signature.

    Examples
    --------
    >>> with kwload.custom_object_scope({"Scale": Scale}):
    ...     kwload.check_model("model.keras")
    """

    def __init__(self, custom_objects: Mapping[str, Any]) -> None:
        if not isinstance(custom_objects, Mapping):
            raise TypeError(f"custom_objects is a {type(custom_objects).__name__}, expected a dict by name")
        self._objects = dict(custom_objects)
        self._entered: list[list[Any]] = []

    def __enter__(self) -> custom_object_scope:
        there = []
        for flavour in _FLAVOURS:
            scope = getattr(getattr(sys.modules.get(flavour), "saving", None), "custom_object_scope", None)
            if scope is not None:
                inside = scope({**_scope_of_keras(flavour), **objects_of(self._objects)})
                inside.__enter__()
                there.append(inside)
        self._entered.append(there)
        _SCOPES.stack.append(self._objects)
        return self

    def __exit__(self, *exception: object) -> None:
        _SCOPES.stack.pop()
        for scope in reversed(self._entered.pop()):
            scope.__exit__(*exception)


@contextmanager
def handed(custom_objects: Mapping[str, Any] | None, *, build: bool = False) -> Iterator[None]:
    """Objects that one call was handed, for what is looked up within it; no Keras is told. *build*: classes are built
    where that tells their variables."""
    _SCOPES.stack.append(custom_objects or {})
    before, _SCOPES.build = _SCOPES.build, build
    try:
        yield
    finally:
        _SCOPES.stack.pop()
        _SCOPES.build = before


def registered() -> dict[str, Entry]:
    """What is known of users' own classes and functions, by name.

    Returns
    -------
    dict of str to Entry
        What was registered with kwload, with a Keras that is imported, or stands in a scope of this thread; each with
        ``cls`` and ``signature``, of which one can be None.
    """
    names = {name for objects in _sources(None) for name in objects} | {*_SIGNATURES}
    found = {name: _exact(name, None) for name in sorted(names)}
    of_classes = {_own_name(cls): Entry(_own_name(cls), cls, function) for cls, function in _OF_CLASS.items()}
    known = {entry.cls for entry in found.values() if isinstance(entry, Entry) and isinstance(entry.cls, type)}
    more = {name: entry for name, entry in of_classes.items() if entry.cls not in known and name not in found}
    return {name: entry for name, entry in sorted({**more, **found}.items()) if entry is not None}


# ---- finding ----


def find(name: str, custom_objects: Mapping[str, Any] | None = None) -> Entry | None:
    """What is known under a name; None when nothing is.

    What is handed in comes before the scopes, inner ones first, before what is registered here, before Keras's.

    Parameters
    ----------
    name : str
        As a config writes it: ``"My>Scale"``, ``"Scale"``, or with its module ``"mynet.layers.Scale"``. A name without
        a package also finds the only class that is registered under it in some package, and the other way about.
    custom_objects : mapping, optional
        Name -> class, function, signature, or a pair of class and signature.
    """
    return _exact(name, custom_objects) or _alike(name, custom_objects)


def find_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Entry | None:
    """What is known of the class that a stored object names, in the dialect of Keras 3 or an older one.

    Parameters
    ----------
    config : mapping
        With ``class_name``, and ``registered_name`` and ``module`` where Keras 3 wrote it.
    """
    name, module, as_registered = (config.get(key) for key in ("class_name", "module", "registered_name"))
    names = [as_registered, f"{module}.{name}" if isinstance(module, str) and module else None, name]
    asked = [each for each in names if isinstance(each, str) and each]
    for search in (_exact, _alike):
        for each in asked:
            found = search(each, custom_objects)
            if found is not None:
                return found
    return None


def find_class(cls: type, custom_objects: Mapping[str, Any] | None = None) -> Entry | None:
    """What is known of a live class; None when nothing is. A name that stands for another class is not it."""
    if cls in _OF_CLASS:
        return Entry(_own_name(cls), cls, _OF_CLASS[cls])
    names = [name for objects in _sources(custom_objects) for name, made in objects.items() if _is_same(made, cls)]
    for name in [*names, cls.__name__]:
        entry = _exact(name, custom_objects) or _alike(name, custom_objects)
        if entry is not None and (entry.cls is None or _is_same(entry.cls, cls)):
            return Entry(entry.name, cls, entry.signature)
    return None


def objects_of(custom_objects: Mapping[str, Any] | None) -> dict[str, Any]:
    """The classes and functions among custom objects, without the signatures: what Keras can be handed."""
    parts = {name: _parts(made)[0] for name, made in (custom_objects or {}).items()}
    return {name: made for name, made in parts.items() if made is not None}


def known(flavour: str, custom_objects: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The classes and functions that a Keras of this process would find, by name, without signatures.

    Parameters
    ----------
    flavour : {"keras", "tf_keras"}
        Keras 3, or Keras 2 under any name.
    custom_objects : mapping, optional
        What ``load_model`` is handed.
    """
    found: dict[str, Any] = {}
    for objects in reversed(list(_sources(custom_objects, flavour))):
        found |= objects_of(objects)
    return found


def is_empty(custom_objects: Mapping[str, Any] | None = None) -> bool:
    """Whether there is no signature at all, so that nobody need look for one."""
    if _SCOPES.build:
        return False
    scopes = [*_SCOPES.stack, custom_objects or {}]
    return not (
        _SIGNATURES or _OF_CLASS or any(_parts(made)[1] is not None for objects in scopes for made in objects.values())
    )


def _exact(name: str, custom_objects: Mapping[str, Any] | None) -> Entry | None:
    cls: Any = None
    function: Function | None = None
    for objects in _sources(custom_objects):
        if name in objects:
            made, said = _parts(objects[name])
            cls = made if cls is None else cls
            function = said if function is None else function
    function = function or _SIGNATURES.get(name) or (_of_class(cls) if isinstance(cls, type) else None)
    return Entry(name, cls, function) if cls is not None or function is not None else None


def _alike(name: str, custom_objects: Mapping[str, Any] | None) -> Entry | None:
    """What bears the same name where one of the two names no package; None when that is not one thing alone."""
    package, _, last = name.rpartition(">")
    module = ""
    if not package and "." in name:
        module, _, last = name.rpartition(".")
    found: dict[str, Entry] = {}
    for other in {name for objects in _sources(custom_objects) for name in objects} | {*_SIGNATURES}:
        other_package, _, other_last = other.rpartition(">")
        if other_last == last and not (package and other_package):
            entry = _exact(other, custom_objects)
            if entry is not None and not (module and _is_elsewhere(entry.cls, module)):
                found[other] = entry
    for cls, function in _OF_CLASS.items():
        if cls.__name__ == last and not (module and _is_elsewhere(cls, module)):
            found.setdefault(_own_name(cls), Entry(_own_name(cls), cls, function))
    things = {(id(entry.cls), id(entry.signature)) for entry in found.values()}
    return min(found.values(), key=lambda entry: entry.name) if len(things) == 1 else None


def _is_elsewhere(cls: Any, module: str) -> bool:
    return isinstance(cls, type) and cls.__module__ not in (module, "__main__") and module != "__main__"


def _of_class(cls: type) -> Function | None:
    """The signature that was given for a class, or for another name of it."""
    if cls in _OF_CLASS:
        return _OF_CLASS[cls]
    names = [name for name in _SIGNATURES if any(_is_same(objects.get(name), cls) for objects in _sources(None))]
    return _SIGNATURES[names[0]] if names else None


def _is_same(made: Any, cls: type) -> bool:
    """Whether it is this class, or the one that stood at its place before a notebook's cell was run again."""
    made = _parts(made)[0]
    if made is cls:
        return True
    return isinstance(made, type) and (made.__module__, made.__qualname__) == (cls.__module__, cls.__qualname__)


def _own_name(cls: type) -> str:
    """The name that a class is registered as, else its own."""
    for objects in _sources(None):
        for name, made in objects.items():
            if made is cls:
                return name
    return cls.__name__


def _parts(made: Any) -> tuple[Any, Function | None]:
    """The class or function, and the signature, of a value of custom objects."""
    if isinstance(made, (tuple, list)) and len(made) == 2:
        a, b = made
        if isinstance(a, type) and inspect.isfunction(b):  # of a pair of both the function is the signature
            return a, b
        if isinstance(b, type) and inspect.isfunction(a):
            return b, a
        halves = [_parts(half) for half in made if not isinstance(half, (tuple, list))]
        classes = [cls for cls, _ in halves if cls is not None]
        functions = [function for _, function in halves if function is not None]
        return next(iter(classes), None), next(iter(functions), None)
    return (None, made) if is_signature(made) else (made, None)


def is_signature(made: Any) -> bool:
    """Whether a function is a signature: it was declared one, or its first parameter is called ``config``."""
    if not inspect.isfunction(made):
        return False
    if any(made is function for function in (*_SIGNATURES.values(), *_OF_CLASS.values())):
        return True
    code = made.__code__
    return code.co_argcount == 2 and code.co_varnames[0] == "config"


def _sources(custom_objects: Mapping[str, Any] | None, flavour: str | None = None) -> Iterator[Mapping[str, Any]]:
    """Where names are looked up, in this order."""
    if custom_objects:
        yield custom_objects
    yield from reversed(_SCOPES.stack)
    yield _OBJECTS
    for name in _FLAVOURS:
        if flavour is None or flavour_of(name) == flavour:
            yield _scope_of_keras(name)
            yield _registered_with(name)


# ---- Keras's own registers ----


def flavour_of(package: str) -> str | None:
    """``"keras"`` for Keras 3, ``"tf_keras"`` for Keras 2 under either name; None when it is not imported."""
    module = sys.modules.get(package)
    version = getattr(module, "__version__", None)
    if not isinstance(version, str):
        return None
    return "keras" if package == "keras" and version.partition(".")[0] not in ("1", "2") else "tf_keras"


def _registration(package: str) -> Any:
    return sys.modules.get(f"{package}.src.saving.object_registration") or sys.modules.get(
        f"{package}.saving.object_registration"
    )


def _registered_with(package: str) -> Mapping[str, Any]:
    """What ``register_keras_serializable`` and ``get_custom_objects`` of an imported Keras know."""
    module = _registration(package)
    found = getattr(module, "GLOBAL_CUSTOM_OBJECTS", None)
    found = getattr(module, "_GLOBAL_CUSTOM_OBJECTS", None) if found is None else found
    if not isinstance(found, Mapping):
        return {}
    return {name: made for name, made in list(found.items()) if not _is_its_own(name, made)}


def _is_its_own(name: str, made: Any) -> bool:
    """Whether Keras has registered a class of its own: ``"Custom>SGD"`` of tf_keras."""
    package = str(getattr(made, "__module__", "")).partition(".")[0]
    return package in _FLAVOURS and name.rpartition(">")[2] == getattr(made, "__name__", None)


def _scope_of_keras(package: str) -> Mapping[str, Any]:
    """What the ``custom_object_scope`` of an imported Keras holds in this thread."""
    local = getattr(_registration(package), "_THREAD_LOCAL_CUSTOM_OBJECTS", None)
    if local is not None:
        return dict(vars(local))
    state = sys.modules.get(f"{package}.src.backend.common.global_state")
    get = getattr(state, "get_global_attribute", None)
    found = get("custom_objects_scope_dict") if get is not None else None
    return found if isinstance(found, Mapping) else {}


def _registers(made: Any) -> list[Callable[..., Any]]:
    """The ``register_keras_serializable`` of the Keras that a class is of; of each imported one for a function."""
    of = (
        {base.__module__.partition(".")[0] for base in made.__mro__} if isinstance(made, type) else {*_FLAVOURS}
    ) & _FLAVOURS.keys()
    found = [getattr(_registration(package), "register_keras_serializable", None) for package in sorted(of)]
    return [register_there for register_there in found if register_there is not None]


# ---- calling ----


def by_argument(shape: Shapes) -> Shapes:
    """A dict of shapes with the names of arguments, as ``call`` has them; that of a single input is that input."""
    if not isinstance(shape, dict):
        return shape
    named = {name.removesuffix("_shape"): each for name, each in shape.items()}
    return next(iter(named.values())) if set(named) in ({"input"}, {"inputs"}) else named


def _copied(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that the user's function may change."""
    try:
        return copy.deepcopy(dict(config))
    except Exception:  # noqa: BLE001 - a live object that cannot be copied
        return dict(config)


def _place(made: Any) -> tuple[str | None, int | None]:
    """File and first line of a function or class, as far as it says so; nothing is read."""
    code = getattr(inspect.unwrap(made), "__code__", None) if inspect.isfunction(made) else None
    if code is not None:
        return code.co_filename, code.co_firstlineno
    module = sys.modules.get(getattr(made, "__module__", None) or "")
    return getattr(module, "__file__", None), getattr(made, "__firstlineno__", None)


def raised_at(error: BaseException, function: Any) -> tuple[str | None, int | None]:
    """The last line of the user's own file that the error came through."""
    file, line = _place(function)
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == file:
            line = number
    return file, line


def raised(error: BaseException) -> str:
    """``"raised KeyError: 'units'"``."""
    try:
        said = str(error).strip().partition("\n")[0]
    except Exception:  # noqa: BLE001 - an exception that cannot say what it is
        said = ""
    return f"raised {type(error).__name__}" + (f": {said}" if said else "")
