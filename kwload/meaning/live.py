"""A live model in the normal form: the settings that its layers say they have, and how they are joined.

Nothing is written to the model. (Keras 3's own ``Functional.get_config`` rewrites the history of each tensor while it
runs, and fails as a whole when one layer has no configuration, so the graph is read from the nodes themselves.) What a
user's class raises is swallowed: such a layer has no settings here.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from kwload.meaning.net import INPUT, Call, Net, Ref, Unit
from kwload.meaning.stored import TF_OPERATIONS, flattened
from kwload.meaning.values import kind_of, settings

_PACKAGES: Final = frozenset({"keras", "tf_keras"})
_EAGER: Final = frozenset({"RNN", "Reshape"})
"""Classes whose settings decide what they are called here."""


def unit_of(layer: Any) -> Unit:
    """A live layer, operation or model."""
    cls = type(layer)
    name = name_of(layer)
    custom = cls.__module__.partition(".")[0] not in _PACKAGES
    operation = (not custom and ".ops." in f".{cls.__module__}.") or cls.__name__ in TF_OPERATIONS
    unit = Unit(
        name=name,
        kind=kind_of(cls.__name__),
        custom=custom,
        operation=operation,
        source=layer,
        cls=cls.__name__,
    )
    if _is(cls, "Sequential"):
        unit.net = partial(_sequential, layer)
    elif _is(cls, "Functional"):
        unit.net = partial(_functional, layer)
    else:
        unit.load = configure
        if cls.__name__ in _EAGER or operation:
            configure(unit)
            unit.load = None
    if operation and isinstance(unit.config, dict) and isinstance(unit.config.get("function"), str):
        unit.kind = unit.config["function"]
    return unit


def name_of(layer: Any) -> str:
    """Its name, ``""`` when it has none or does not say it."""
    try:
        name = layer.name
    except Exception:  # noqa: BLE001 - a user's property may raise anything
        return ""
    return name if isinstance(name, str) else ""


def _is(cls: type, name: str) -> bool:
    return any(base.__name__ == name and base.__module__.partition(".")[0] in _PACKAGES for base in cls.__mro__)


def configure(unit: Unit) -> None:
    """Asks the layer for its settings. A model whose net is looked at is not asked: it would ask all its layers."""
    try:
        config = unit.source.get_config()
    except Exception:  # noqa: BLE001 - a user's class may raise anything; Keras raises for what it cannot say
        return
    if isinstance(config, dict):
        unit.kind, unit.own = settings(unit.cls, config)


def _sequential(model: Any) -> Net | None:
    try:
        layers = list(model._layers) if hasattr(model, "_layers") else list(model.layers)
    except Exception:  # noqa: BLE001 - a subclass may do what it likes with them
        return None
    units = [unit_of(layer) for layer in layers if type(layer).__name__ != "InputLayer"]
    for i, unit in enumerate(units):
        unit.calls = [Call(("0",), [(i - 1, 0, 0) if i else (INPUT, 0, 0)])]
    return Net(units, [""], [(len(units) - 1, 0, 0) if units else (INPUT, 0, 0)])


def _functional(model: Any) -> Net | None:
    try:
        return _Graph(model).net()
    except Exception:  # noqa: BLE001 - nodes that are not as Keras makes them
        return None


def _history(tensor: Any) -> Any:
    return getattr(tensor, "_keras_history", None)


class _Graph:
    """Reads the nodes of a functional model, from its outputs back to its inputs."""

    def __init__(self, model: Any) -> None:
        self.inputs = list(model.inputs)
        self.outputs = list(model.outputs)
        operations = getattr(model, "operations", None)
        self.operations = list(operations if operations is not None else model.layers)
        self.input_of = {id(tensor): i for i, tensor in enumerate(self.inputs)}
        self.input_of_layer = {id(_history(tensor)[0]): i for i, tensor in enumerate(self.inputs)}
        self.unit_of_operation: dict[int, int] = {}

    def net(self) -> Net:
        units: list[Unit] = []
        calls = self._reachable()
        for operation in self.operations:
            if type(operation).__name__ != "InputLayer" and id(operation) in calls:
                self.unit_of_operation[id(operation)] = len(units)
                units.append(unit_of(operation))
        self.number = {key: {index: i for i, index in enumerate(sorted(found))} for key, found in calls.items()}
        for unit in units:
            nodes = unit.source._inbound_nodes
            unit.calls = [self._call(nodes[index]) for index in sorted(calls[id(unit.source)])]
        names = [str(getattr(_history(tensor)[0], "name", "")) for tensor in self.inputs]
        return Net(units, names, [self._ref(tensor) for tensor in self.outputs])

    def _reachable(self) -> dict[int, set[int]]:
        """id of an operation -> indices of its nodes that the outputs depend on."""
        found: dict[int, set[int]] = {}
        todo = list(self.outputs)
        while todo:
            tensor = todo.pop()
            operation, index = _history(tensor)[:2]
            if id(tensor) in self.input_of or index in found.get(id(operation), ()):
                continue
            found.setdefault(id(operation), set()).add(index)
            todo += [value for _, value in self._arguments(operation._inbound_nodes[index]) if _history(value)]
        return found

    @staticmethod
    def _arguments(node: Any) -> list[tuple[str, Any]]:
        arguments = getattr(node, "arguments", None)
        if arguments is not None:  # Keras 3
            pairs = [(str(i), arg) for i, arg in enumerate(arguments.args)]
            return flattened([*pairs, *arguments.kwargs.items()])
        args, kwargs = list(node.call_args), dict(node.call_kwargs)
        names = list(getattr(node.layer._call_spec, "arg_names", ()))
        if args:
            pairs = [("0", args[0])]
            pairs += [(names[i] if i < len(names) else str(i), arg) for i, arg in enumerate(args) if i]
        else:
            first = names[0] if names else ""
            pairs = [("0", kwargs.pop(first))] if first in kwargs else []
        return flattened([*pairs, *kwargs.items()])

    def _call(self, node: Any) -> Call:
        slots: list[str] = []
        refs: list[Ref] = []
        literals: dict[str, Any] = {}
        for slot, value in self._arguments(node):
            if _history(value):
                slots.append(slot)
                refs.append(self._ref(value))
            else:
                literals[slot] = value
        return Call(tuple(slots), refs, literals)

    def _ref(self, tensor: Any) -> Ref:
        operation, index, which = _history(tensor)[:3]
        row = self.input_of.get(id(tensor), self.input_of_layer.get(id(operation)))
        if row is not None:
            return (INPUT, row, 0)
        return (self.unit_of_operation[id(operation)], self.number[id(operation)][index], which)


def is_keras_3(model: Any) -> bool:
    """Whether the model belongs to Keras 3."""
    return any(base.__module__.partition(".")[0] == "keras" for base in type(model).__mro__) and not any(
        base.__module__.startswith("keras.src.engine") for base in type(model).__mro__
    )


def is_own(function: Any) -> bool:
    """Whether a function is the user's, not Keras's or its backend's."""
    module = getattr(function, "__module__", None)
    known = ("keras", "tf_keras", "tensorflow", "jax", "torch", "numpy")
    return isinstance(module, str) and module.partition(".")[0] not in known
