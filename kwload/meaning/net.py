"""The normal form of a model, stored or live, and what a comparison of two of them gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

INPUT: Final = -1

Ref: TypeAlias = tuple[int, int, int]
"""``(unit, which of its calls, which of its tensors)``; ``(INPUT, k, 0)`` is input *k* of the net."""

Effect: TypeAlias = Literal["output", "may", "precision", "training", "none"]
"""What a setting that changes would change: the output for sure, perhaps, its rounding, only training, nothing."""


@dataclass(slots=True)
class Call:
    """One call of a layer.

    Attributes
    ----------
    slots : tuple of str
        Where each reference stands among the arguments: ``"0"``, ``"0/1"``, ``"value"``.
    refs : list of Ref
        The tensors it is called with.
    literals : dict
        Other arguments by slot.
    """

    slots: tuple[str, ...]
    refs: list[Ref]
    literals: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Unit:
    """A layer, an operation or a nested model.

    Attributes
    ----------
    name : str
        Its own name; ``""`` when none is recorded.
    kind : str
        Class, by its name in Keras 3 (``"Conv2D"`` for the ``"Convolution2D"`` of Keras 1).
    own : dict or None
        Its settings as they are recorded; None when it cannot say them. Read through ``config``.
    load : callable or None
        Sets ``own`` (and the kind, which may hang on it) when it is first wanted: to ask a live layer takes a while.
    custom : bool
        The class is none of Keras's.
    operation : bool
        A function of a tensor (``x * 2``), not a layer.
    calls : list of Call
        Its calls within the net.
    net : callable
        Makes the normal form of a nested model; returns None for anything else.
    cls : str
        Class as it is recorded, or as the live one is called.
    source : object
        The live layer; None in a file.
    said_by : str
        The layer that a person has to look at, where it is another (an activation on its own).
    """

    name: str
    kind: str
    own: dict[str, Any] | None = None
    load: Callable[[Unit], None] | None = None
    custom: bool = False
    operation: bool = False
    calls: list[Call] = field(default_factory=list)
    net: Callable[[], Net | None] = lambda: None
    cls: str = ""
    source: Any = None
    said_by: str = ""

    @property
    def config(self) -> dict[str, Any] | None:
        """The settings, by their names in Keras 3."""
        if self.load is not None:
            load, self.load = self.load, None
            load(self)
        return self.own

    @config.setter
    def config(self, value: dict[str, Any] | None) -> None:
        self.own, self.load = value, None


@dataclass(slots=True)
class Net:
    """Layers in the order of their list, and how they are joined."""

    units: list[Unit]
    inputs: list[str]
    outputs: list[Ref]


@dataclass(frozen=True, slots=True)
class Change:
    """One setting with two values, in normal form."""

    key: str
    stored: Any
    live: Any
    effect: Effect


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer whose settings differ; *loaded* says whether its weights come from the file."""

    layer: str
    kind: str
    changes: tuple[Change, ...]
    loaded: bool = True


GraphKind: TypeAlias = Literal["added", "removed", "replaced", "inputs", "calls", "outputs", "model-inputs"]


@dataclass(frozen=True, slots=True)
class GraphChange:
    """A difference in which layers there are or how they are joined.

    Attributes
    ----------
    kind : str
        ``added`` (only the model has the layer), ``removed`` (only the file), ``replaced`` (another class in its
        place), ``inputs`` (it is called with others), ``calls`` (another number of times), ``outputs`` and
        ``model-inputs`` (of the model).
    layer : str
        The layer, by its path in the model (in the file, when only that has it).
    stored, live : tuple of str
        Names: of the inputs, of the classes, or of the layer that the added or removed one stands behind.
    sure : bool
        Whether it certainly changes the output.
    """

    kind: GraphKind
    layer: str
    stored: tuple[str, ...] = ()
    live: tuple[str, ...] = ()
    sure: bool = True


@dataclass(slots=True)
class Meaning:
    """What a comparison found.

    Attributes
    ----------
    settings : list of LayerChange
        Layers with another setting.
    graph : list of GraphChange
        Layers and connections that differ.
    training_only : dict of str to int
        Classes that do nothing at inference -> how many more the model has than the file (negative: fewer).
    mute : list of str
        Layers of the model that cannot say how they are configured.
    code : list of str
        Names of classes and functions of the user's whose code the file does not record.
    unread : str
        Why nothing was compared; ``""`` when it was.
    stamped : bool
        Whether the configuration is that of the stamp beside a file which has none.
    """

    settings: list[LayerChange] = field(default_factory=list)
    graph: list[GraphChange] = field(default_factory=list)
    training_only: dict[str, int] = field(default_factory=dict)
    mute: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    unread: str = ""
    stamped: bool = False

    @property
    def differs(self) -> bool:
        """Whether there is something to say, besides whose code is not recorded."""
        return bool(self.settings or self.graph or self.training_only or self.mute or self.unread)


def words(text: str) -> list[str]:
    """The words of a table that is written as text."""
    return text.split()
