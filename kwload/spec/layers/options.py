"""A layer's config, read by somebody who does not trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kwload.spec.layers.where import ConfigError, Where

MOST: Final = 2**62
"""The greatest length or count: what is above is no layer's."""

MOST_RANK: Final = 64

_REQUIRED: Final = object()


class Options:
    """The entries of one config, each asked for by what it has to be.

    Parameters
    ----------
    config : mapping
        As JSON gave it: lists may stand for tuples, and tuples may be written ``{"class_name": "__tuple__", ...}``.
    where : Where
        The Keras that is to make the layer.

    Notes
    -----
    Each method raises :class:`ConfigError` for a value that the layer's constructor could not use.
    """

    __slots__ = ("config", "where")

    def __init__(self, config: Mapping[str, Any], where: Where) -> None:
        self.config = config
        self.where = where

    def get(self, key: str) -> Any:
        """The value, a written tuple as list; None when there is none."""
        return plain(self.config.get(key))

    def says(self, key: str) -> bool:
        """Whether the config holds something other than null there."""
        return self.config.get(key) is not None

    def count(self, key: str, default: Any = _REQUIRED, least: int = 0) -> int:
        """A whole number of at least *least*.

        Raises
        ------
        ConfigError
            It is missing, or is no such number.
        """
        value = self.get(key)
        if value is None:
            if default is _REQUIRED:
                raise ConfigError(key, "is missing")
            return int(default)
        return whole(value, key, least)

    def maybe_count(self, key: str, least: int = 0) -> int | None:
        """As `count`, None when it is not said."""
        value = self.get(key)
        return None if value is None else whole(value, key, least)

    def flag(self, key: str, default: bool) -> bool:
        """True or false; null is false where it is written.

        Raises
        ------
        ConfigError
            It is something else than a truth value.
        """
        if key not in self.config:
            return default
        value = self.config[key]
        if value is not None and not isinstance(value, (bool, int, float)):
            raise ConfigError(key, "is neither true nor false")
        return bool(value)

    def number(self, key: str, default: float) -> float:
        """A number.

        Raises
        ------
        ConfigError
            It is none.
        """
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(key, "is not a number")
        try:
            return float(value)
        except OverflowError:
            raise ConfigError(key, "is too great") from None

    def word(self, key: str, default: str | None, *allowed: str) -> str:
        """One of some words, in lower case.

        Raises
        ------
        ConfigError
            It is missing, or another one.
        """
        value = self.get(key)
        if value is None:
            value = default
        if value is None:
            raise ConfigError(key, "is missing")
        if not isinstance(value, str) or (allowed and value.lower() not in allowed):
            raise ConfigError(key, f"is none of {', '.join(allowed)}" if allowed else "is not text")
        return value.lower()

    def counts(self, key: str, rank: int, default: Any = _REQUIRED, least: int = 1) -> tuple[int, ...]:
        """One whole number a spatial axis; one alone stands for all.

        Raises
        ------
        ConfigError
            It is missing, no such number, or not as many as there are axes.
        """
        value = self.get(key)
        if value is None:
            if default is _REQUIRED:
                raise ConfigError(key, "is missing")
            value = default
        if isinstance(value, (list, tuple)):
            if len(value) != rank:
                raise ConfigError(key, f"has {len(value)} numbers for {rank} axes")
            return tuple([whole(plain(item), key, least) for item in value])
        return (whole(value, key, least),) * rank

    def axes(self, key: str, default: Any = None) -> tuple[int, ...] | None:
        """Numbers of axes, counted from either end; None when there is no word of any.

        Raises
        ------
        ConfigError
            They are no such numbers.
        """
        value = self.get(key) if key in self.config else default
        if value is None:
            return None
        items = value if isinstance(value, (list, tuple)) else [value]
        if len(items) > MOST_RANK:
            raise ConfigError(key, "has too many axes")
        return tuple([axis(plain(item), key) for item in items])

    def shape(self, key: str) -> tuple[int | None, ...] | None:
        """Lengths, null or -1 for those that are not known; None when it is not said.

        Raises
        ------
        ConfigError
            It is no shape.
        """
        value = self.get(key)
        if value is None:
            return None
        items = value if isinstance(value, (list, tuple)) else [value]
        if len(items) > MOST_RANK:
            raise ConfigError(key, f"has more than {MOST_RANK} axes")
        return tuple([None if item is None or item == -1 else whole(plain(item), key, 0) for item in items])

    def is_channels_first(self, key: str = "data_format") -> bool:
        """Whether channels stand before the spatial axes."""
        return self.word(key, self.where.image_data_format, "channels_last", "channels_first") == "channels_first"

    def layer(self, key: str) -> Mapping[str, Any]:
        """The record of a layer inside this one.

        Raises
        ------
        ConfigError
            There is none.
        """
        return record(self.get(key), key)

    def layers(self, key: str) -> list[Mapping[str, Any]]:
        """The records of several.

        Raises
        ------
        ConfigError
            There are none, or too many.
        """
        value = self.get(key)
        if not isinstance(value, (list, tuple)):
            raise ConfigError(key, "is not a list of layers")
        if len(value) > 1000:
            raise ConfigError(key, "has too many layers")
        return [record(item, key) for item in value]


def plain(value: Any) -> Any:
    """*value*, the items of a tuple as Keras 3 writes one where it is that."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        items = value.get("items")
        return items if isinstance(items, list) else value
    return value


def whole(value: Any, key: str, least: int) -> int:
    """*value* as a whole number that is not below *least*.

    Raises
    ------
    ConfigError
        It is none.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(key, "is not a whole number")
    if not least <= value <= MOST:
        raise ConfigError(key, f"is below {least}" if value < least else "is too great")
    return value


def axis(value: Any, key: str) -> int:
    """*value* as the number of an axis.

    Raises
    ------
    ConfigError
        It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not -MOST_RANK <= value < MOST_RANK:
        raise ConfigError(key, "is not the number of an axis")
    return value


def record(value: Any, key: str) -> Mapping[str, Any]:
    """*value* as a recorded layer: class name and config.

    Raises
    ------
    ConfigError
        It is none.
    """
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
        raise ConfigError(key, "is not a layer with a class name")
    if not isinstance(value.get("config"), (dict, list)):
        raise ConfigError(key, "is a layer without a config")
    return value


def length(value: Sequence[Any] | Any) -> int | None:
    """How many items a list has; None for what is no list."""
    value = plain(value)
    return len(value) if isinstance(value, (list, tuple)) else None
