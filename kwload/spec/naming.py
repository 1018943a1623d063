"""What Keras calls layers by itself, and in which order it visits attributes."""

from __future__ import annotations

import functools
import re

from kwload.spec.described import Keras


@functools.lru_cache(maxsize=1024)
def snake(kind: str) -> str:
    """``"conv2d_transpose"`` of ``"Conv2DTranspose"``: ``to_snake_case`` of Keras 3 (``utils/naming.py``)."""
    name = re.sub(r"\W+", "", kind)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def ordered(keras: Keras, names: list[str]) -> list[str]:
    """The names of attributes in the order in which a Keras visits them."""
    if keras.flavour != "keras":
        return sorted(names, reverse=keras.version >= (2, 15))
    if keras.version < (3, 0, 2):
        return sorted(names)
    return sorted(names, key=lambda name: f"~{name}" if name.startswith("_") else name)


def unique(name: str, used: dict[str, int]) -> str:
    """The next of ``dense``, ``dense_1``, ``dense_2``."""
    if name in used:
        used[name] += 1
        return f"{name}_{used[name]}"
    used[name] = 0
    return name
