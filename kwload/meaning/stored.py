"""A configuration as a file records it, in the normal form.

Whole-model HDF5 (attribute ``model_config``) and ``.keras`` (``config.json``) hold the same tree in four dialects: a
list of layers (Sequential, up to Keras 2.2.2), ``{"layers": [...]}`` (Sequential), the ``inbound_nodes`` of Keras 1 and
2 (lists ``[layer, node, tensor, arguments]``) and those of Keras 3 (``args`` and ``kwargs`` with ``__keras_tensor__``).

The bytes may come from anyone: what has not the shape that is expected gives None, and nothing is claimed.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from kwload.meaning.json_text import DEEPEST, tree_of
from kwload.meaning.net import INPUT, Call, Net, Ref, Unit
from kwload.meaning.values import kind_of, settings

MOST_BYTES: Final = 4 << 20
"""A configuration that is longer is not looked at; a thousand layers take one megabyte."""

_MOST_LAYERS: Final = 20_000
TF_OPERATIONS: Final = frozenset(
    {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "ClassMethod", "InstanceProperty", "InstanceMethod"}
)
_NETS: Final = frozenset({"Functional", "Model", "Network", "Sequential"})
_IGNORED: Final = frozenset({"mask", "query_mask", "value_mask", "key_mask", "name"})


def parse(data: bytes) -> Unit | None:
    """The model that a configuration describes, or None when it cannot be read."""
    tree = tree_of(data, MOST_BYTES)
    return unit_of(tree) if isinstance(tree, dict) else None


def unit_of(tree: dict[str, Any]) -> Unit:
    """A layer, operation or model by its entry ``{"class_name", "config", ...}``."""
    name, config = tree.get("class_name"), tree.get("config")
    name = name if isinstance(name, str) else ""
    module, registered = tree.get("module"), tree.get("registered_name")
    known = isinstance(module, str) and module.partition(".")[0] in ("keras", "tf_keras", "tensorflow", "builtins")
    operation = name in TF_OPERATIONS or (isinstance(module, str) and ".ops." in f".{module}.")
    if "module" not in tree and isinstance(config, dict) and name != "InputLayer":  # no layer but says this
        operation = operation or not ("trainable" in config or "layers" in config)
    kind, own = settings(name, config) if isinstance(config, dict) else (kind_of(name), None)
    unit = Unit(
        name=_text(tree.get("name")) or (_text(own.get("name")) if own is not None else ""),
        kind=kind,
        own=own,
        cls=name,
        custom=not operation and ("module" in tree or isinstance(registered, str)) and not known,
        operation=operation,
    )
    if unit.operation and unit.config is not None and isinstance(unit.config.get("function"), str):
        unit.kind = unit.config["function"]
    listed = isinstance(config, list) or (isinstance(config, dict) and isinstance(config.get("layers"), list))
    if listed and (name in _NETS or (isinstance(config, dict) and "output_layers" in config)):
        unit.net = partial(_net, config)
    return unit


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _net(config: Any) -> Net | None:
    layers = config if isinstance(config, list) else config["layers"]
    if len(layers) > _MOST_LAYERS or not all(isinstance(layer, dict) for layer in layers):
        return None
    if isinstance(config, dict) and "output_layers" in config:
        return _Graph(layers).net(config)
    return _chain(layers)


def _chain(layers: list[dict[str, Any]]) -> Net:
    units = [unit_of(layer) for layer in layers]
    units = [unit for unit in units if unit.kind != "InputLayer"]
    for i, unit in enumerate(units):
        unit.calls = [Call(("0",), [(i - 1, 0, 0) if i else (INPUT, 0, 0)])]
    return Net(units, [""], [(len(units) - 1, 0, 0) if units else (INPUT, 0, 0)])


class _Graph:
    """Reads the layers of a functional model."""

    def __init__(self, layers: list[dict[str, Any]]) -> None:
        self.layers = layers
        self.units: list[Unit] = []
        self.inputs: list[str] = []
        self.rows: dict[str, int] = {}
        """Name -> unit, or ``-1 - k`` for input k."""
        self.first: dict[int, int] = {}
        """Unit -> the least node index by which it is referred to: 1 where node 0 is the model's own."""

    def net(self, config: dict[str, Any]) -> Net | None:
        """The graph; None when something refers to what is not there."""
        for name, *_ in self._leaves(config.get("input_layers")):
            if name not in self.rows:
                self.rows[name] = -1 - len(self.inputs)
                self.inputs.append(name)
        entries = []
        for layer in self.layers:
            unit = unit_of(layer)
            if not unit.name:
                return None
            if unit.kind == "InputLayer":
                if unit.name not in self.rows:
                    self.rows[unit.name] = -1 - len(self.inputs)
                    self.inputs.append(unit.name)
            elif unit.name in self.rows:
                return None
            else:
                self.rows[unit.name] = len(self.units)
                self.units.append(unit)
                entries.append(layer.get("inbound_nodes"))
        for unit, nodes in zip(self.units, entries, strict=True):
            if not isinstance(nodes, list):
                return None
            for node in nodes:
                call = self._call(node)
                if call is None:
                    return None
                unit.calls.append(call)
        outputs = [self._ref(leaf) for leaf in self._leaves(config.get("output_layers"))]
        return self._numbered(outputs)

    def _numbered(self, outputs: list[Ref | None]) -> Net | None:
        """Node indices become numbers of calls."""
        found: list[Ref] = []
        for ref in outputs:
            fixed = self._fixed(ref)
            if fixed is None:
                return None
            found.append(fixed)
        for unit in self.units:
            for call in unit.calls:
                refs = [self._fixed(ref) for ref in call.refs]
                if any(ref is None for ref in refs):
                    return None
                call.refs = [ref for ref in refs if ref is not None]
        return Net(self.units, self.inputs, found)

    def _fixed(self, ref: Ref | None) -> Ref | None:
        if ref is None or ref[0] == INPUT:
            return ref
        number = ref[1] - self.first[ref[0]]
        return (ref[0], number, ref[2]) if number < len(self.units[ref[0]].calls) else None

    def _leaves(self, tree: Any) -> list[Any]:
        """The references ``[layer, node, tensor]`` of a structure, in the order in which Keras flattens it."""
        found: list[Any] = []
        todo = [tree]
        while todo:
            item = todo.pop()
            if self._is_leaf(item):
                found.append(item)
            elif isinstance(item, list):
                todo += reversed(item)
            elif isinstance(item, dict):
                todo += [item[key] for key in sorted(item, reverse=True)]
        return found

    @staticmethod
    def _is_leaf(item: Any) -> bool:
        return (
            isinstance(item, list)
            and len(item) in (3, 4)
            and isinstance(item[0], str)
            and type(item[1]) is int
            and type(item[2]) is int
        )

    def _ref(self, leaf: Any) -> Ref | None:
        row = self.rows.get(leaf[0])
        if row is None or leaf[1] < 0 or leaf[2] < 0:
            return None
        if row < 0:
            return (INPUT, -1 - row, 0)
        self.first[row] = min(leaf[1], self.first.get(row, leaf[1]))
        return (row, leaf[1], leaf[2])

    def _call(self, node: Any) -> Call | None:
        arguments: list[tuple[str, Any]] = []
        is_3 = isinstance(node, dict) and "args" in node
        if is_3:
            args, kwargs = node.get("args"), node.get("kwargs")
            if not isinstance(args, list) or not isinstance(kwargs, dict):
                return None
            arguments = [*((str(i), arg) for i, arg in enumerate(args)), *kwargs.items()]
        elif isinstance(node, (list, dict)):
            leaves = [node] if self._is_leaf(node) else self._leaves(node)
            options = leaves[0][3] if leaves and len(leaves[0]) == 4 else {}
            firsts = [leaf[:3] for leaf in leaves]
            if any(leaf[0] not in self.rows and leaf[0] != "_CONSTANT_VALUE" for leaf in firsts):
                return None
            arguments = [("0", firsts[0] if len(firsts) == 1 else firsts)]
            if isinstance(node, dict) and len(firsts) == len(node):  # Keras 2, of a layer that is called with a dict
                arguments = [("0", dict(zip(sorted(node), firsts, strict=True)))]
            if isinstance(options, dict):
                arguments += options.items()
        else:
            return None
        return self._arguments(arguments, self._history if is_3 else self._listed)

    def _arguments(self, arguments: list[tuple[str, Any]], reference: Any) -> Call | None:
        slots: list[str] = []
        refs: list[Ref] = []
        literals: dict[str, Any] = {}
        for slot, value in flattened(arguments):
            leaf = reference(value)
            if leaf is None:
                literals[slot] = value
            elif (ref := self._ref(leaf)) is None:
                if leaf[0] != "_CONSTANT_VALUE":
                    return None
            else:
                slots.append(slot)
                refs.append(ref)
        return Call(tuple(slots), refs, literals)

    def _listed(self, value: Any) -> Any:
        return value if self._is_leaf(value) and (value[0] in self.rows or value[0] == "_CONSTANT_VALUE") else None

    def _history(self, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("class_name") != "__keras_tensor__":
            return None
        config = value.get("config")
        history = config.get("keras_history") if isinstance(config, dict) else None
        return history if self._is_leaf(history) else ["", -1, -1]


def flattened(arguments: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The arguments of a call by slot: lists and dicts are taken apart (a list of one is its only item), what Keras
    fills in by itself (masks, whether it trains) is left out."""
    found: list[tuple[str, Any]] = []
    for key, value in arguments:
        if key in _IGNORED or value is None or (key == "training" and not value):
            continue
        item = value
        for _ in range(DEEPEST):  # a list may hold itself
            if not isinstance(item, (list, tuple)) or len(item) != 1:
                break
            item = item[0]
        if isinstance(item, (list, tuple)) and not _Graph._is_leaf(item) and len(item) <= 4096:
            found += [(f"{key}/{i}", part) for i, part in enumerate(item)]
        elif isinstance(item, dict) and "class_name" not in item and 0 < len(item) <= 4096:
            found += [(f"{key}/{name}", item[name]) for name in sorted(item, key=str)]
        else:
            found.append((key, item))
    return found
