"""For which Keras a layer is described."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from kwload.spec.signature import Shapes, Signature

Lookup: TypeAlias = Callable[[str, Mapping[str, Any], Shapes], "Signature | None"]
"""``(class name, config, input shape)`` -> what that layer has; None when nobody knows."""


class ConfigError(ValueError):
    """A config that no layer of its class can be made from; ``key`` is the entry at fault."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


@dataclass(frozen=True, slots=True)
class Where:
    """The Keras that is to make the layer.

    Attributes
    ----------
    flavour : str
        ``"keras"`` (3 and later), ``"tf_keras"`` (2.x of TensorFlow under any name), ``"keras2"`` (stand-alone 1.x and
        2.0 to 2.3, whose defaults differ).
    version : tuple of int
        ``(3, 15, 1)``.
    image_data_format : str
        What ``data_format`` is in a config that does not say: ``"channels_last"`` or ``"channels_first"``.
    lookup : callable, optional
        Asked for layers inside layers (``TimeDistributed``, ``Bidirectional``, cells), so that users' layers and nested
        models are found there; it is to ask the table itself for built-ins. Without it only built-ins are known.
    backend : str
        Of Keras 3: a counter is of 64 bits with TensorFlow alone.
    depth : int
        How many layers this one lies in, where nobody looks them up.
    """

    flavour: str = "keras"
    version: tuple[int, ...] = (3, 15, 1)
    image_data_format: str = "channels_last"
    lookup: Lookup | None = None
    backend: str = "tensorflow"
    depth: int = 0

    @property
    def is_keras3(self) -> bool:
        return self.flavour == "keras"

    def older(self, version: tuple[int, ...]) -> bool:
        """Whether this Keras comes before *version*; one whose version is not known is the newest."""
        return self.version[:1] > (0,) and tuple(self.version) < version
