"""Asking a user's signature what a layer has: the function gets copies, and whatever comes out of it is an answer or a
:class:`SignatureError` with the user's own line."""

from __future__ import annotations

import copy
import functools
import inspect
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kwload.spec.checked import ShapeError, checked
from kwload.spec.signature import Shapes, Signature
from kwload.spec.tables import SCOPES, Function

if TYPE_CHECKING:
    from kwload.spec.compared import Differs

DEEPEST: Final = 32
"""Signatures within signatures: whoever follows the sub-layers of one stops here."""

_MOST_DEPTH: Final = 100
"""Lists within lists of a config: the reader of JSON refuses what is deeper."""

RAISED: Final = (Exception, SystemExit, GeneratorExit)
"""What a user's own code can end with; what interrupts the whole program, Ctrl-C and a test's timeout, goes through."""


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


class NotBuiltError(SignatureError):
    """A class was to be built, and could not be; the reason is the rest of a sentence that begins with the class."""


class ContradictedError(SignatureError):
    """A class was built, and makes other variables than its signature says.

    Attributes
    ----------
    differs : tuple of Differs
        In what they disagree.
    made : Signature
        What the class makes.
    """

    def __init__(self, entry: Entry, differs: tuple[Differs, ...], made: Signature) -> None:
        super().__init__(entry.name, "says other variables than its class makes", *entry.place)
        self.differs = differs
        self.made = made


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
        return self.signature is not None or (SCOPES.build and isinstance(self.cls, type))

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
            It raised, or returned what describes no layer; or there is none, and the class is not to be built; or the
            class is to be built, and raised.
        ContradictedError
            The class was built, and makes other variables than the signature says.
        """
        function = self.signature
        building = SCOPES.build and isinstance(self.cls, type)
        if function is None:
            if not building:
                raise SignatureError(self.name, "has no signature", *self.place)
            from kwload.spec.building import built

            return built(self, _copied(config), input_shape)
        said = self._said(function, config, input_shape)
        if building and input_shape is not None:
            from kwload.spec.building import compare

            compare(self, _copied(config), input_shape, said)
        return said

    def _said(self, function: Function, config: Mapping[str, Any], input_shape: Shapes) -> Signature:
        """What the user's function returns, checked."""
        try:
            made = function(_copied(config), _copied_shape(by_argument(input_shape)))
        except RAISED as error:
            raise SignatureError(self.name, raised(error), *raised_at(error, function)) from error
        try:
            return checked(made)
        except ShapeError as error:
            raise SignatureError(self.name, str(error), *_place(function)) from None
        except RAISED as error:  # a class of the user's own that is a list, or a number, after its own fashion
            reason = f"returned something that {raised(error)} when it was looked at"
            raise SignatureError(self.name, reason, *_place(function)) from error


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
    except RAISED:  # a live object that cannot be copied
        return {key: _copied_plain(value, _MOST_DEPTH) for key, value in config.items()}


def _copied_plain(value: Any, depth: int) -> Any:
    """Lists and dicts anew, with what is in them as it is."""
    if depth and type(value) is dict:
        return {key: _copied_plain(each, depth - 1) for key, each in value.items()}
    if depth and type(value) in (list, tuple):
        return type(value)(_copied_plain(each, depth - 1) for each in value)
    return value


def _copied_shape(shape: Shapes) -> Shapes:
    """Lists and dicts of shapes anew."""
    if isinstance(shape, dict):
        return {name: _copied_shape(each) for name, each in shape.items()}
    return [_copied_shape(each) for each in shape] if isinstance(shape, list) else shape


def _place(made: Any) -> tuple[str | None, int | None]:
    """File and first line of a function or class, as far as it says so; nothing is read."""
    made = made.func if isinstance(made, functools.partial) else made
    if not isinstance(made, type):  # decorated, a method, or an object that is called
        made = inspect.unwrap(getattr(made, "__func__", made))
        code = getattr(made, "__code__", None)
        if code is None and callable(made):
            code = getattr(type(made).__call__, "__code__", None)
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
    except RAISED:  # an exception that cannot say what it is
        said = ""
    return f"raised {type(error).__name__}" + (f": {said}" if said else "")
