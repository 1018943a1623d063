"""The names that Keras makes itself."""

from __future__ import annotations

import re

from kwload.spec.naming import snake

# What some Keras calls a class otherwise (`Functional` was `Model` before TensorFlow 2.3, and still is by name).
_ALIASES = {"Functional": "model", "Model": "functional", "InputLayer": "input"}


def is_automatic(name: str, kind: str) -> bool:
    """Whether a layer of this class has the name that some Keras gives it: ``"dense"``, ``"dense_7"``."""
    made = snake(kind)
    bases = {made, _ALIASES.get(kind, made), f"private{made}" if made.startswith("_") else made}
    return not name or any(re.fullmatch(rf"{re.escape(base)}(_\d+)?", name) for base in bases)


def places(kinds: list[str]) -> list[str]:
    """Under which keys Keras 3 stores a list of layers of these classes: ``["dense", "dropout", "dense_1"]``."""
    seen: dict[str, int] = {}
    found = []
    for kind in kinds:
        made = snake(kind)
        count = seen.get(made, 0)
        seen[made] = count + 1
        found.append(f"{made}_{count}" if count else made)
    return found
