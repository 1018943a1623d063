"""Holds what a user's signature returns against what it may be: types, lengths, names, and how much of it there is.

Every reason is the rest of a sentence that begins with the signature: ``"returned two variables called `w`"``.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kwload.report.escape import quote
from kwload.spec.signature import Shape, Shapes, Signature, Sub, Var

MOST_PARTS: Final = 10_000
"""Variables and sub-layers of one signature, those in its lists and dicts counted."""

_MOST_DEPTH: Final = 16
"""Lists within lists."""

_MOST_RANK: Final = 32
_MOST_LENGTH: Final = 2**62
_MOST_NAME: Final = 200

_DTYPES: Final = frozenset(
    {
        *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (4, 8, 16, 32, 64)),
        *("float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2"),
        *("complex64", "complex128", "bool", "string", "object"),
    }
)


class ShapeError(ValueError):
    """What a signature returned is no description of a layer; the text says why."""


def checked(made: Any) -> Signature:
    """What a signature returned, normalised: parts as a tuple, lengths as Python's whole numbers.

    Parameters
    ----------
    made : object
        A list of Var and Sub, a pair of such a list and the output's shape, or a Signature.

    Raises
    ------
    ShapeError
        It is none of these, or a part of it is not what it may be.
    """
    output: Any = None
    if isinstance(made, Signature):
        made, output = made.parts, made.output_shape
    elif isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], (list, tuple)):
        made, output = made
    if made is None:
        raise ShapeError("returned nothing: end it with `return [kwload.Var(…), …]`")
    if not isinstance(made, (list, tuple)):
        raise ShapeError(f"returned {_kind(made)}, expected a list of kwload.Var and kwload.Sub")
    count = [0]
    parts = tuple(_part(part, count) for part in made)
    _unique([part.name for part in parts if isinstance(part, Var)], "variables")
    _unique([part.attribute for part in parts if isinstance(part, Sub)], "sub-layers")
    return Signature(parts, _shapes(output, "the output shape", _MOST_DEPTH, count))


def _part(part: Any, count: list[int]) -> Var | Sub:
    if isinstance(part, Var):
        _counted(count)
        return _var(part)
    if isinstance(part, Sub):
        return _sub(part, count, _MOST_DEPTH)
    raise ShapeError(f"returned a list with {_kind(part)} in it, expected kwload.Var and kwload.Sub")


def _counted(count: list[int]) -> None:
    count[0] += 1
    if count[0] > MOST_PARTS:
        raise ShapeError(f"returned more than {MOST_PARTS:,} variables, sub-layers and shapes")


def _var(var: Any) -> Var:
    _name(var.name, "a variable's name")
    what = quote(var.name, 60)
    if "/" in var.name:
        raise ShapeError(f"gives a variable the name {what}: write what is behind the last `/`")
    if var.dtype is not None and var.dtype not in _DTYPES:
        said = quote(var.dtype, 40) if isinstance(var.dtype, str) else _kind(var.dtype)
        raise ShapeError(f"gives {what} the dtype {said}, expected a name such as `float32`")
    if not isinstance(var.trainable, bool):
        raise ShapeError(f"gives {what} trainable={_kind(var.trainable)}, expected True or False")
    if var.same_as is not None and (not isinstance(var.same_as, str) or not var.same_as):
        raise ShapeError(f"gives {what} a `same_as` that is no path such as `layer/kernel`")
    shape = None if var.shape is None else _shape(var.shape, f"the shape of {what}")
    return Var(var.name, shape, var.dtype, var.trainable, var.same_as)


def _sub(sub: Any, count: list[int], depth: int, *, is_item: bool = False) -> Sub:
    _counted(count)
    if not is_item or sub.attribute != "":
        _name(sub.attribute, "a sub-layer's attribute")
    what = quote(sub.attribute, 60) if sub.attribute else "a list or dict of sub-layers"
    if depth == 0:
        raise ShapeError(f"nests lists of sub-layers deeper than {_MOST_DEPTH}, in {what}")
    if isinstance(sub.layer, str):
        _name(sub.layer, f"the class of {what}")
        if not isinstance(sub.config, Mapping):
            raise ShapeError(f"gives {what} a config that is {_kind(sub.config)}, expected a dict")
        shape = _shapes(sub.input_shape, f"the input shape of {what}", _MOST_DEPTH, count)
        return Sub(sub.attribute, sub.layer, dict(sub.config), shape)
    if isinstance(sub.layer, Mapping):
        inside = {}
        for key, item in sub.layer.items():
            _name(key, f"a key of {what}")
            inside[key] = _inner(item, what, count, depth)
        return Sub(sub.attribute, inside)
    if isinstance(sub.layer, Sequence):
        return Sub(sub.attribute, [_inner(item, what, count, depth) for item in sub.layer])
    hint = f": write its name, {sub.layer.__name__!r}" if isinstance(sub.layer, type) else ""
    raise ShapeError(f"gives {what} a layer that is {_kind(sub.layer)}, expected the name of a class{hint}")


def _inner(item: Any, what: str, count: list[int], depth: int) -> Sub:
    if not isinstance(item, Sub):
        raise ShapeError(f"gives {what} a list or dict with {_kind(item)} in it, expected kwload.Sub")
    return _sub(item, count, depth - 1, is_item=True)


def _name(name: Any, what: str) -> None:
    if not isinstance(name, str):
        raise ShapeError(f"gives {_kind(name)} as {what}, expected text")
    if not name or len(name) > _MOST_NAME:
        raise ShapeError(f"gives {'an empty text' if not name else 'a very long text'} as {what}")
    if "\0" in name or not _is_unicode(name):
        raise ShapeError(f"gives {quote(name, 60)} as {what}, which no file can hold")


def _is_unicode(name: str) -> bool:
    """Whether it can be written: no half of a surrogate pair."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unique(names: Sequence[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ShapeError(f"returned two {what} called {quote(name, 60)}")
        seen.add(name)


def _shape(shape: Any, what: str) -> Shape:
    if isinstance(shape, str) or not isinstance(shape, Sequence):
        hint = f": write ({shape},)" if isinstance(shape, int) and not isinstance(shape, bool) else ""
        raise ShapeError(f"gives {_kind(shape)} as {what}, expected a tuple{hint}")
    if len(shape) > _MOST_RANK:
        raise ShapeError(f"gives {what} {len(shape):,} axes")
    return tuple(_length(length, what) for length in itertools.islice(shape, _MOST_RANK))


def _length(length: Any, what: str) -> int | None:
    if length is None:
        return None
    try:
        number = -1 if isinstance(length, bool) else operator.index(length)
    except TypeError:
        said = repr(float(length))[:24] if isinstance(length, float) else _kind(length)
        hint = f": write {int(length)}" if isinstance(length, float) and length.is_integer() else ""
        raise ShapeError(f"gives {what} the length {said}, which is no whole number{hint}") from None
    if not 0 <= number <= _MOST_LENGTH:
        said = f"the length {length}" if isinstance(length, bool) or abs(number) < 2**64 else "a length of many digits"
        raise ShapeError(f"gives {what} {said}, which no tensor has")
    return number


def _shapes(shape: Any, what: str, depth: int, count: list[int]) -> Shapes:
    """One shape, or lists and dicts of them, which are counted: a list may be in another many times."""
    if shape is None:
        return None
    if depth < _MOST_DEPTH:
        _counted(count)
    if depth == 0:
        raise ShapeError(f"nests {what} too deep")
    if isinstance(shape, Mapping):
        if not all(isinstance(key, str) for key in shape):
            raise ShapeError(f"gives a dict whose keys are not all text as {what}")
        return {key: _shapes(item, what, depth - 1, count) for key, item in shape.items()}
    if isinstance(shape, Sequence) and any(isinstance(item, (list, tuple, Mapping)) for item in shape):
        return [_shapes(item, what, depth - 1, count) for item in shape]
    return _shape(shape, what)


def _kind(value: object) -> str:
    """What a value is, without its text: that may be long, or not be made at all."""
    if value is None or isinstance(value, bool):
        return str(value)
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
