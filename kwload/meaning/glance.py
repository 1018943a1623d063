"""Whether a live layer is as the file says, by its attributes: ``get_config`` serialises every initializer, which takes
ten times as long. What is not plainly the same is left to the settings themselves.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any, Final

from kwload.meaning import effects, values
from kwload.meaning.net import Unit

_MISSING: Final = object()


class Glance:
    """Compares the layers of one model; what a class has for settings is learned from its first layer."""

    def __init__(self) -> None:
        self.keys: dict[tuple[type, str], tuple[str, ...]] = {}

    def is_same(self, old: Unit, new: Unit) -> bool:
        """True when the live layer has every value that the file records; False when that is not plain."""
        recorded = old.config
        if recorded is None or new.custom or new.load is None or old.kind != new.kind:
            return False
        cls = type(new.source)
        if (cls, old.kind) not in self.keys:
            config = new.config or {}
            self.keys[cls, old.kind] = tuple(key for key in config if effects.effect_of(old.kind, key) != "none")
            return False
        keys = self.keys[cls, old.kind]
        try:
            return all(_same(key, recorded, new.source) for key in keys) and all(
                key in keys or effects.effect_of(old.kind, key) == "none" for key in recorded
            )
        except Exception:  # noqa: BLE001 - a property that cannot be asked
            return False


def _same(key: str, recorded: dict[str, Any], layer: Any) -> bool:
    stored = recorded.get(key, _MISSING)
    if stored is _MISSING:
        known, stored = effects.absent_value(key)
        if not known:
            return True
    if key == "dtype":
        return _policy(stored, layer)
    live = getattr(layer, key, _MISSING)
    if live is stored:
        return live is not _MISSING
    if type(live) is type(stored) and isinstance(live, (str, int, float)):
        return bool(live == stored)
    if type(live) is tuple and isinstance(stored, list):
        return all(type(item) is int for item in live) and list(live) == stored
    if isinstance(live, FunctionType) and isinstance(stored, str):
        return bool(values.activation(stored) == values.activation(live.__name__))
    return False


def _policy(stored: Any, layer: Any) -> bool:
    policy = getattr(layer, "dtype_policy", None) or getattr(layer, "_dtype_policy", None)
    name = getattr(policy, "name", None)
    return isinstance(name, str) and values.policy(stored) == values.policy(name)
