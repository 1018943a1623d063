"""The arguments of an operation, by name; what cannot be worked with is no error but no answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kwload.spec.layers.options import MOST, MOST_RANK, plain
from kwload.spec.layers.shapes import Length
from kwload.spec.signature import Shape


class UnknownShape(Exception):  # noqa: N818 - not an error: there is no answer
    """An argument is not what the rule can work with."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor among the arguments of an operation; its shape is None where it is not known."""

    shape: Shape | None


@dataclass(frozen=True, slots=True)
class Bound:
    """The arguments of one call."""

    values: Mapping[str, Any]
    is_keras: bool

    def shape(self, name: str = "x") -> Shape:
        """Of a tensor, or of a number or a nested list of numbers.

        Raises
        ------
        UnknownShape
            It is not known.
        """
        found = shape_of(self.values.get(name))
        if found is None:
            raise UnknownShape
        return found

    def shapes(self, name: str = "xs") -> list[Shape]:
        """Of a list of tensors."""
        value = self.values.get(name)
        found = [shape_of(item) for item in value] if isinstance(value, (list, tuple)) else []
        if not found or len(found) > 4096:
            raise UnknownShape
        return [known(shape) for shape in found]

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number."""
        value = plain(self.values.get(name))
        value = default if value is None else value
        if type(value) is not int or abs(value) > MOST:
            raise UnknownShape
        return value

    def numbers(self, name: str) -> list[Any]:
        """A list of values, or one."""
        value = plain(self.values.get(name))
        if isinstance(value, Tensor) or value is None:
            raise UnknownShape
        items = list(value) if isinstance(value, (list, tuple)) else [value]
        if len(items) > MOST_RANK:
            raise UnknownShape
        return items

    def axes(self, name: str, rank: int) -> list[int] | None:
        """Axes counted from the front; None when there is no word of any."""
        if plain(self.values.get(name)) is None:
            return None
        return [placed(item, rank) for item in self.numbers(name)]

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.values.get(name, False)
        if value is not None and not isinstance(value, bool):
            raise UnknownShape
        return bool(value)


def known(shape: Shape | None) -> Shape:
    """*shape*, where it is known.

    Raises
    ------
    UnknownShape
        It is not.
    """
    if shape is None:
        raise UnknownShape
    return shape


def placed(axis: Any, rank: int) -> int:
    """The number of an axis, counted from the front.

    Raises
    ------
    UnknownShape
        There is no such axis.
    """
    if type(axis) is not int or not -rank <= axis < rank:
        raise UnknownShape
    return axis % rank


def shape_of(value: Any) -> Shape | None:
    """Of an argument: a tensor, a number, or numbers in lists."""
    if isinstance(value, Tensor):
        return value.shape
    if isinstance(value, Mapping) and value.get("class_name") in ("__tensor__", "__numpy__"):
        config = value.get("config")
        value = config.get("value") if isinstance(config, Mapping) else None
    lengths: list[Length] = []
    for _ in range(8):
        if isinstance(value, (bool, int, float)):
            return tuple(lengths)
        if not isinstance(value, (list, tuple)) or not value:
            return None
        lengths.append(len(value))
        value = value[0]
    return None
