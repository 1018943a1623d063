"""From a configuration to layers with their variables: what :mod:`kwload.spec.layers` and users' signatures say of each
layer, for the shape that it is built with."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kwload.report.escape import quote
from kwload.spec import layers as table
from kwload.spec.architecture import entries
from kwload.spec.architecture.entries import Raw
from kwload.spec.architecture.flow import Flow
from kwload.spec.architecture.things import ArchitectureError, Box, Thing, Weight, things_in
from kwload.spec.described import NO_COUNT, OWN_LOAD, Keras
from kwload.spec.naming import snake
from kwload.spec.signature import Shapes, Signature, Sub, Var

if TYPE_CHECKING:
    from kwload.spec.architecture.signed import Signed
    from kwload.spec.confirm import Verdict

DEEPEST: Final = 80
"""Layers within layers; JSON that is deeper is not read at all."""

MOST_THINGS: Final = 200_000
"""Layers and calls of one architecture: a thousand layers make some ten thousand."""

LOOKUPS: Final = frozenset({"StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization"})
_STATED: Final = frozenset({"Dense", "EinsumDense", "Embedding", "ReversibleEmbedding"})


class Maker:
    """Makes the layers of one architecture.

    Parameters
    ----------
    keras : Keras
        Which Keras would make them.
    custom_objects : mapping
        Names of the user's own classes -> classes or signatures.
    image_data_format : str
        Of layers that do not say.
    """

    def __init__(
        self, keras: Keras, custom_objects: Mapping[str, Any], image_data_format: str = "channels_last"
    ) -> None:
        self.keras = keras
        self.custom = custom_objects
        self.where = table.Where(keras.flavour, keras.version, image_data_format, self.lookup, keras.backend)
        self.signed = _signed(custom_objects)
        self.left = MOST_THINGS
        self.depth = 0
        self.around: list[Thing] = []
        self.made: dict[int, Thing] = {}
        self.marks: dict[int, int] = {}

    @property
    def verdicts(self) -> list[Verdict]:
        """What is wrong with users' signatures."""
        return self.signed.verdicts() if self.signed is not None else []

    # ---- what is said of a layer ----

    def lookup(self, name: str, config: Mapping[str, Any], shape: Shapes) -> Signature | None:
        """What a layer within a layer has: :class:`kwload.spec.layers.Where` asks this."""
        raw = {"class_name": name, "config": config}
        if entries.layers_of(raw) is not None:
            return Signature((), self.output(raw, shape))
        return self.signature(raw, shape)

    def signature(self, raw: Raw, shape: Shapes, arguments: Mapping[str, Any] | None = None) -> Signature | None:
        """What a layer has, None when nobody knows its class.

        Raises
        ------
        ArchitectureError
            No layer can be made from its configuration.
        """
        if self.signed is not None:
            is_known, said = self.signed.ask(raw, shape)
            if is_known:
                return said
        if entries.is_foreign(raw):
            return None
        try:
            return table.signature_of(
                entries.full_name(raw).rpartition(">")[2], entries.config_of(raw), shape, self.where, arguments
            )
        except table.ConfigError as error:
            raise ArchitectureError(f"{_called(raw)}: {error}") from None

    def is_declared(self, raw: Raw) -> bool:
        """Whether a signature of the user's own is about the class: it is asked once, with the shape."""
        return self.signed is not None and self.signed.entry(raw) is not None

    def output(self, raw: Raw, shape: Shapes, arguments: Mapping[str, Any] | None = None) -> Shapes:
        """What a layer makes of a shape, None for what cannot be known; *arguments* are the others of its call."""
        self.spend()
        if entries.layers_of(raw) is not None:
            self.enter(raw)
            try:
                return Flow(raw, shape, self.output).outputs()
            finally:
                self.depth -= 1
        found = self.signature(raw, shape, arguments)
        return found.output_shape if found is not None else None

    def spend(self) -> None:
        """Counts what is made.

        Raises
        ------
        ArchitectureError
            It is more than any model has.
        """
        self.left -= 1
        if self.left < 0:
            raise ArchitectureError(f"it describes more than {MOST_THINGS:,} layers and calls")

    def enter(self, raw: Raw) -> None:
        """Goes one layer deeper.

        Raises
        ------
        ArchitectureError
            Layers lie in one another deeper than in any model.
        """
        if self.depth == DEEPEST:
            raise ArchitectureError(f"{_called(raw)}: layers lie in one another more than {DEEPEST} deep")
        self.depth += 1

    # ---- layers ----

    def thing(self, raw: Raw, shape: Shapes = None, policy: str = "float32", trainable: bool = True) -> Thing:
        """A layer or model, and all that is inside it.

        Parameters
        ----------
        raw : mapping
            As it is recorded.
        shape : Shapes
            What it is built with, None when nothing is known.
        policy, trainable
            What it inherits where it says nothing itself.
        """
        self.spend()
        self.enter(raw)
        try:
            if entries.layers_of(raw) is not None:
                return self._net(raw, shape, policy, trainable)
            found = None if _is_bare(raw) else self.signature(raw, shape)
            return self._layer(raw, found, policy, trainable)
        finally:
            self.depth -= 1

    def _net(self, raw: Raw, shape: Shapes, policy: str, trainable: bool) -> Thing:
        config = entries.config_of(raw)
        made = self._begun(raw, trainable)
        is_sequential = not entries.is_graph(raw)
        made.layers = []
        policy = entries.policy_of(config, policy)
        flow = Flow(raw, shape, self.output)
        self.around.append(made)
        for number, layer in enumerate(entries.layers_of(raw) or []):
            if self.keras.flavour == "keras" and entries.is_operation(layer):
                continue
            if is_sequential and number == 0 and entries.full_name(layer) == "InputLayer":
                continue
            made.layers.append(self._within(flow, layer, policy, made.trainable))
        self.around.pop()
        _name(made.layers)
        return made

    def _within(self, flow: Flow, layer: Raw, policy: str, trainable: bool) -> Thing:
        """A layer of a model, which may be one that was made before."""
        mark = self._mark(layer)
        if mark is None:
            return self._inside(flow, layer, policy, trainable)
        if mark not in self.made:
            self.made[mark] = self._inside(flow, layer, policy, trainable)
        return self.made[mark]

    def _mark(self, raw: Raw) -> int | None:
        """By what Keras 3 knows, in a ``.keras`` archive, the object that it has made already."""
        mark = raw.get("shared_object_id")
        return mark if type(mark) is int and self.keras.flavour == "keras" and "module" in raw else None

    def _inside(self, flow: Flow, layer: Raw, policy: str, trainable: bool) -> Thing:
        """A layer of a model: what it is built with is asked for where that matters."""
        stored = entries.built_with(layer)
        nested = entries.layers_of(layer) is not None
        if stored is None and not nested and not self.is_declared(layer):
            found = None if _is_bare(layer) else self.signature(layer, None)
            if found is None or all(_is_complete(part) for part in found.parts):
                self.spend()
                return self._layer(layer, found, policy, trainable)
        if stored is None and not (nested and entries.is_graph(layer)):
            stored = flow.input_of(layer)
        return self.thing(layer, stored, policy, trainable)

    def _begun(self, raw: Raw, trainable: bool) -> Thing:
        own = entries.config_of(raw).get("trainable")
        trained = own if isinstance(own, bool) else trainable
        return Thing(entries.class_of(raw), entries.name_of(raw), trained, config=entries.config_of(raw))

    def _layer(self, raw: Raw, found: Signature | None, policy: str, trainable: bool) -> Thing:
        config = entries.config_of(raw)
        made = self._begun(raw, trainable)
        policy = entries.policy_of(config, policy)
        if _is_bare(raw):
            return made
        held = config.get("layer")
        if isinstance(held, dict) and (mark := self._mark(held)) is not None:
            self.marks[id(held.get("config"))] = mark
        if found is None:
            made.why = entries.registered_name(raw)
            if self.signed is not None:
                made.failed = self.signed.note(raw, [*self.around, made])
                made.given = self.signed.given(raw)
                made.signed = self.signed.place
            return made
        made.mode = entries.mode_of(policy) if made.cls in _STATED else None
        made.flags = self._flags(made, config)
        entry = self.signed.entry(raw) if self.signed is not None else None
        outside = len(self.around)
        self.around.append(made)
        if entry is None or self.signed is None:
            self._fill(made, found, policy)
            self.around.pop()
        else:
            error = self.signed.follow(entry, found, partial(self._fill, made, found, policy))
            made.failed = self.signed.note(raw, self.around[: outside + 1], error) and error is not None
            del self.around[outside:]
            if error is not None:
                made.parts, made.why = [], entries.registered_name(raw)
                return made
        self._add_activation(made, config, policy)
        return made

    def _fill(self, made: Thing, found: Signature, policy: str) -> None:
        """Adds the variables and sub-layers that are said of a layer."""
        made.signed = self.signed.place if self.signed is not None else None
        shared: list[tuple[int, Var]] = []
        for part in found.parts:
            if isinstance(part, Sub):
                made.parts.append((part.attribute, self._part(part, policy, made.trainable)))
            else:
                if part.same_as is not None:
                    shared.append((len(made.parts), part))
                made.parts.append(_weight(part, policy, made.signed))
        for at, part in shared:
            same = _find(made, part.same_as or "")
            if same is not None:
                made.parts[at] = same
        if made.signed is not None:
            inside = list(made.children())
            for each in inside:
                each.is_unnamed = each.is_unnamed or not each.name
            _name(inside)

    def _part(self, part: Sub, policy: str, trainable: bool) -> Thing | Box:
        """What stands in an attribute."""
        self.spend()
        if self.signed is not None:
            self.signed.count(1)
        if isinstance(part.layer, str):
            mark = self.marks.get(id(part.config))
            if mark is not None and mark in self.made:
                return self.made[mark]
            raw = {"class_name": part.layer, "config": part.config}
            made = self.thing(raw, part.input_shape, policy, trainable)
            self._name_made([made])
            if mark is not None:
                self.made[mark] = made
            return made
        items = part.layer.values() if isinstance(part.layer, Mapping) else part.layer
        found = Box([self._part(item, policy, trainable) for item in items])
        self._name_made(list(things_in(found)))
        return found

    def _name_made(self, inside: list[Thing]) -> None:
        """Names what a layer of Keras's own holds; what a signature describes gets its names at the end of that."""
        if self.signed is None or self.signed.place is None:
            _name(inside)

    def _add_activation(self, made: Thing, config: Mapping[str, Any], policy: str) -> None:
        """Adds an activation that is a layer: an attribute like others. What one with variables is built with is not
        known: some Keras build it, some never do."""
        raw = config.get("activation")
        if not isinstance(raw, dict) or made.cls == "Activation" or entries.is_foreign(raw):
            return
        found = self.signature(raw, None)
        if found is None:
            return
        inner = self._layer(raw, Signature(()), policy, made.trainable)
        inner.why = inner.cls if found.parts else None
        _name([inner])
        made.parts.append(("activation", inner))

    def _flags(self, made: Thing, config: Mapping[str, Any]) -> int:
        """How Keras's own classes take their variables where they do not simply number them."""
        is_keras3 = self.keras.flavour == "keras"
        if made.cls in LOOKUPS:
            return OWN_LOAD if config.get("output_mode") == "tf_idf" else NO_COUNT
        if made.cls == "FeatureSpace" or (made.cls == "Discretization" and is_keras3):
            return NO_COUNT
        if is_keras3 and config.get("lora_rank") is not None:
            made.is_lora = True
            return NO_COUNT
        return 0


def _signed(custom_objects: Mapping[str, Any]) -> Signed | None:
    """The users' signatures; None when there is neither one nor a class: who declares one has imported the registry."""
    if not custom_objects and not any(name in sys.modules for name in ("kwload.spec.registry", "keras", "tf_keras")):
        return None
    from kwload.spec import registry

    if registry.is_empty(custom_objects) and not registry.registered() and not custom_objects:
        return None
    from kwload.spec.architecture.signed import Signed

    return Signed(custom_objects)


def _called(raw: Raw) -> str:
    name = entries.name_of(raw)
    return f"{quote(entries.full_name(raw) or 'a layer')}" + (f" {quote(name)}" if name else "")


def _is_bare(raw: Raw) -> bool:
    """Whether it is an input or an operation, which has no variables."""
    return entries.full_name(raw) == "InputLayer" or entries.is_tensorflow_operation(raw) or entries.is_operation(raw)


def _is_complete(part: Var | Sub) -> bool:
    """Whether all is known of it without the shape that the layer is built with."""
    return isinstance(part, Var) and part.shape is not None and None not in part.shape


def _weight(part: Var, policy: str, signed: tuple[str, str | None, int | None] | None) -> Weight:
    dtype = part.dtype if part.dtype is not None else entries.variable_dtype(policy)
    return Weight(part.name, part.shape, dtype, part.trainable, signed)


def _find(made: Thing, way: str) -> Weight | None:
    """The variable at the end of a way through attributes: ``"layer/kernel"``."""
    *attributes, name = way.split("/")
    at: Thing | Box | None = made
    for attribute in attributes:
        parts = at.parts if isinstance(at, Thing) else []
        at = next((part[1] for part in parts if not isinstance(part, Weight) and part[0] == attribute), None)
    return next((own for own in at.own() if own.name == name), None) if isinstance(at, Thing) else None


def _name(things: list[Thing]) -> None:
    """Gives those that record no name the one that Keras gives by itself."""
    if all(made.name for made in things):
        return
    taken = {made.name for made in things}
    counts: dict[str, int] = {}
    for made in things:
        while not made.name:
            stem = snake(made.cls) or "layer"
            number = counts.get(stem, 0)
            counts[stem] = number + 1
            name = f"{stem}_{number}" if number else stem
            if name not in taken:
                made.name = name
