"""Asking a user's signature what a layer has: the function gets copies, and whatever comes out of it is an answer or a
:class:`SignatureError` with the user's own line."""

from __future__ import annotations

import copy
import inspect
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kwload.spec.checked import ShapeError, checked
from kwload.spec.signature import Shapes, Signature
from kwload.spec.tables import SCOPES, Function

DEEPEST: Final = 32
"""Signatures within signatures: whoever follows the sub-layers of one stops here."""


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
            It raised, or returned what describes no layer; or there is none, and the class is not to be built. Where
            it is to be built: the class raised, or makes other variables than the signature says.
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
