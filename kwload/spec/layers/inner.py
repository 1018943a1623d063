"""Layers inside layers, as the outer one's config records them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kwload.spec.layers.options import record
from kwload.spec.layers.where import Where
from kwload.spec.signature import Shapes, Signature, Sub

_OURS = frozenset({"keras", "tf_keras", "tensorflow"})


@dataclass(frozen=True, slots=True)
class Inner:
    """A layer inside another.

    Attributes
    ----------
    kind : str
        Its class: ``"Dense"``, ``"My>Scale"``, ``"my.module.Scale"`` for a class of no known package.
    config : mapping
        Its settings (a list of layers for a Sequential of Keras 1 and 2.0).
    """

    kind: str
    config: Mapping[str, Any]

    def sub(self, attribute: str, shape: Shapes) -> Sub:
        """It in an attribute of the outer layer."""
        return Sub(attribute, self.kind, self.config, shape)

    def signature(self, shape: Shapes, where: Where) -> Signature | None:
        """What it has, None when nobody knows."""
        if where.depth >= 16:
            return None
        deeper = replace(where, depth=where.depth + 1)
        if where.lookup is not None:
            return where.lookup(self.kind, self.config, shape)
        from kwload.spec.layers import signature_of

        return signature_of(self.kind, self.config, shape, deeper)

    def renamed(self, **settings: Any) -> Inner:
        """The same with some other settings."""
        return replace(self, config={**self.config, **settings}) if isinstance(self.config, dict) else self


def inner_of(recorded: Any, key: str) -> Inner:
    """The layer that *recorded* describes.

    Raises
    ------
    ConfigError
        It describes none.
    """
    raw = record(recorded, key)
    name, module, registered = raw["class_name"], raw.get("module"), raw.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        name = registered
    elif isinstance(module, str) and module.partition(".")[0] not in _OURS:
        name = f"{module}.{name}"
    return Inner(name, raw["config"])
