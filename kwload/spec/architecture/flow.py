"""Which shape each layer of a model is called with, where a configuration does not record it.

    inputs --> layer --> layer --+--> layer      a layer's input is the output of what its first call refers to
                 \\--> layer ----/

Keras 3 records the shapes of most layers; Keras 1 and 2, in whole-model `.h5` files and ``to_json()``, those of the
inputs alone.  A shape that cannot be known is None, and so is what follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from kwload.spec.architecture.entries import (
    ATTENTION,
    Raw,
    built_with,
    called_with,
    config_of,
    full_name,
    given_shape,
    is_graph,
    is_operation,
    is_tensorflow_operation,
    layers_of,
    name_of,
    shapes_of,
)
from kwload.spec.signature import Shape, Shapes

if TYPE_CHECKING:
    from kwload.meaning.net import Call, Net, Ref

INPUT: Final = -1
"""As :data:`kwload.meaning.net.INPUT`, which takes a while to import."""

Output: TypeAlias = "Callable[[Raw, Shapes, Mapping[str, Any]], Shapes]"
"""``(layer, input shape, other arguments)`` -> what its call returns."""


class Flow:
    """The shapes within one model.

    Parameters
    ----------
    raw : mapping
        A Sequential or functional model.
    given : Shapes
        What it is called with, None when nobody knows.
    output : callable
        What a layer makes of a shape.
    """

    def __init__(self, raw: Raw, given: Shapes, output: Output) -> None:
        layers = layers_of(raw) or []
        self.inputs = [layer for layer in layers if full_name(layer) == "InputLayer"]
        self.layers = [layer for layer in layers if full_name(layer) != "InputLayer"]
        self.rows = {id(layer): row for row, layer in enumerate(self.layers)}
        self.raw = raw
        self.given = given
        self.output = output
        self.net: Net | None = None
        self.is_read = False
        self.known: dict[tuple[int, int], Shapes] = {}
        self.chain: list[Shapes] = []

    def input_of(self, layer: Raw) -> Shapes:
        """What a layer of the model is built with: the input of its first call."""
        row = self.rows.get(id(layer))
        if row is None:
            return None
        if not is_graph(self.raw):
            return self.into(row)
        recorded = called_with(layer)
        if recorded is not None:
            return recorded
        net = self._read()
        if net is None or row >= len(net.units) or not net.units[row].calls:
            return None
        call = net.units[row].calls[0]
        self._find(call.refs)
        return self._arguments(row, call)

    def outputs(self) -> Shapes:
        """What the model returns."""
        if not is_graph(self.raw):
            return self.into(len(self.layers))
        net = self._read()
        if net is None:
            return None
        self._find(net.outputs)
        found = [self._tensor(ref) for ref in net.outputs]
        return found[0] if len(found) == 1 else list(found)

    # ---- a chain ----

    def into(self, row: int) -> Shapes:
        """The shape that layer *row* of a Sequential is called with; behind the last one, what the model returns."""
        if not self.chain:
            self.chain.append(self._first())
        while len(self.chain) <= row:
            at = len(self.chain)
            shape = built_with(self.layers[at]) if at < len(self.layers) else None
            self.chain.append(shape if shape is not None else self.output(self.layers[at - 1], self.chain[-1], {}))
        return self.chain[row]

    def _first(self) -> Shapes:
        """What a Sequential is called with: its own input, else what it was built with."""
        if self.given is not None:
            return self.given
        config = config_of(self.raw)
        found = given_shape(self.inputs[0]) if self.inputs else None
        if found is None:
            found = shapes_of(config.get("build_input_shape"))  # type: ignore[assignment]
        if found is None and self.layers:
            found = _first_shape(self.layers[0])
        return found

    # ---- a graph ----

    def _read(self) -> Net | None:
        if not self.is_read:
            from kwload.meaning import stored

            self.is_read = True
            self.net = stored.unit_of(dict(self.raw)).net()
            if self.net is not None and len(self.net.units) != len(self.layers):
                self.net = None
        return self.net

    def _tensor(self, ref: Ref) -> Shapes:
        row, number, tensor = ref
        if row == INPUT:
            return self._input(number)
        found = self.known.get((row, number))
        if isinstance(found, list):
            return found[tensor] if tensor < len(found) else None
        return found if tensor == 0 else None

    def _input(self, number: int) -> Shapes:
        """Input *number* of the model: as it is called, else as it was made."""
        assert self.net is not None
        name = self.net.inputs[number]
        own = next((given_shape(layer) for layer in self.inputs if name_of(layer) == name), None)
        if isinstance(self.given, tuple) and len(self.net.inputs) == 1:
            return _finer(self.given, own)
        if isinstance(self.given, list) and len(self.given) == len(self.net.inputs):
            return _finer(self.given[number], own)
        return own

    def _find(self, refs: Sequence[Ref]) -> None:
        """Computes the outputs of calls, and of all that they depend on."""
        net = self.net
        assert net is not None
        todo = [(ref[0], ref[1]) for ref in refs if ref[0] != INPUT]
        begun: set[tuple[int, int]] = set()
        while todo:
            at = todo[-1]
            if at in self.known:
                todo.pop()
                continue
            call = net.units[at[0]].calls[at[1]]
            if at not in begun:
                begun.add(at)
                before = [(ref[0], ref[1]) for ref in call.refs if ref[0] != INPUT]
                todo += [place for place in before if place not in self.known and place not in begun]
                continue
            self.known[at] = self._output(at[0], call)
            todo.pop()

    def _output(self, row: int, call: Call) -> Shapes:
        """What a call returns."""
        layer = self.layers[row]
        if not (is_operation(layer) or is_tensorflow_operation(layer)):
            return self.output(layer, self._arguments(row, call), call.literals)
        from kwload.spec.layers.operations import Tensor, operation_shape

        given: dict[str, Any] = dict(call.literals)
        for slot, ref in zip(call.slots, call.refs, strict=True):
            shape = self._tensor(ref)
            given[slot] = Tensor(shape if isinstance(shape, tuple) else None)
        args, kwargs = _bound(given)
        config = config_of(layer)
        if is_operation(layer):
            own = {key: value for key, value in config.items() if key not in ("name", "dtype", "trainable")}
            return operation_shape(full_name(layer), layer.get("module") or "keras.ops", args, {**own, **kwargs})
        name = config.get("function")
        return operation_shape(name, None, args, kwargs) if isinstance(name, str) else None

    def _arguments(self, row: int, call: Call) -> Shapes:
        """The shapes that a call hands to its layer."""
        names = ATTENTION.get(full_name(self.layers[row]))
        if names is not None:
            return self._by_name(call, names)
        first = [(slot, ref) for slot, ref in zip(call.slots, call.refs, strict=True) if slot.partition("/")[0] == "0"]
        if not first:
            first = list(zip(call.slots, call.refs, strict=True))[:1]  # Dense()(inputs=x)
        shapes = [self._tensor(ref) for _, ref in first]
        if len(shapes) == 1 and "/" not in first[0][0]:
            return shapes[0]
        keys = [slot.partition("/")[2] for slot, _ in first]
        if keys and not any(key.isdecimal() for key in keys):  # a dict of tensors
            return dict(zip(keys, shapes, strict=True))
        return list(shapes) if shapes else None

    def _by_name(self, call: Call, names: Sequence[str]) -> Shapes:
        found: dict[str, Shapes] = {}
        for slot, ref in zip(call.slots, call.refs, strict=True):
            name = names[int(slot)] if slot.isdecimal() and int(slot) < len(names) else slot
            if name in names:
                found[f"{name}_shape"] = self._tensor(ref)
        return found


def _bound(given: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by slot (``"0"``, ``"0/1"``, ``"axis"``) as a call has them."""
    found: dict[str, Any] = {}
    for slot in sorted(given, key=lambda slot: [int(part) if part.isdecimal() else -1 for part in slot.split("/")]):
        key, nested, _ = slot.partition("/")
        if nested:
            found.setdefault(key, []).append(given[slot])
        else:
            found[key] = given[slot]
    numbers = sorted((key for key in found if key.isdecimal()), key=int)
    return [found[key] for key in numbers], {key: value for key, value in found.items() if not key.isdecimal()}


def _first_shape(layer: Raw) -> Shape | None:
    """The input that the first layer of a Sequential records, or the first layer of a model within it."""
    for _ in range(60):
        found = given_shape(layer)
        inside = layers_of(layer)
        if found is not None or not inside or is_graph(layer):
            return found
        layer = inside[0]
    return None


def _finer(shape: Shapes, own: Shape | None) -> Shapes:
    """Of two shapes of one input the lengths that either knows."""
    if not isinstance(shape, tuple):
        return own
    if own is None or len(own) != len(shape):
        return shape
    return tuple(a if a is not None else b for a, b in zip(shape, own, strict=True))
