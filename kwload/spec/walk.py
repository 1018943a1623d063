"""The walk of Keras's V3 saving code over a live model, as a graph of named edges; see :mod:`kwload.spec.live`."""

import sys
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any, Final, TypeAlias

from kwload.spec.described import (
    AUTO_NAME,
    METRIC,
    NAMED,
    NOT_BUILT,
    OPTIMIZER,
    OWN_LOAD,
    PACKAGES,
    Edge,
    Group,
    Keras,
    Model,
    is_counter,
    name_of,
    package_of,
    types_of,
)
from kwload.spec.naming import ordered, unique
from kwload.spec.own_variables import Rule, keras3_row, rule_of, tensorflow_row


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Properties of Keras's own classes that never hold anything that is saved, and that cost time (`kernel` of a quantized
# layer unpacks it), warn, or write to the object (`jit_compile` resolves "auto").  A property that is not listed is
# evaluated, as Keras does.
_BARREN_KERAS3: Final = words(
    """
    kernel embeddings variable_serialization_spec jit_compile compiled_metrics distribute_strategy
    distribute_reduction_method _default_save_signature learning_rate iterations loss_scale_factor metrics_names
    input_shape output_shape inputs outputs state_size output_size states torch_params run_eagerly variables
    kernel_size kernel_initializer kernel_regularizer kernel_constraint recurrent_initializer
    recurrent_regularizer recurrent_constraint bias_initializer bias_regularizer bias_constraint dropout
    recurrent_dropout units use_bias unit_forget_bias reset_after filters strides padding data_format
    dilation_rate num_heads key_dim value_dim attention_axes output_dtype batch_shape thresholds
    """
)
_BARREN_TF_KERAS: Final = words(
    """
    _compile_was_called _compute_dtype _conv_func _dtype _eager_losses _expects_mask_arg _expects_training_arg
    _inbound_nodes _object_identifier _obj_reference_counts _outbound_nodes _param_dtype _should_compute_mask
    _trackable_saved_model_saver _tracking_metadata _undeduplicated_weights _use_input_spec_as_call_signature
    activity_regularizer autotune_steps_per_execution compute_dtype distribute_reduction_method
    distribute_strategy dtype dtype_policy dynamic inbound_nodes input input_mask input_shape input_spec
    iterations jit_compile learning_rate losses lr metrics_names name name_scope non_trainable_variables
    non_trainable_weights outbound_nodes output output_mask output_shape output_size run_eagerly state_size
    state_updates stateful steps_per_execution submodules supports_masking trainable trainable_variables
    trainable_weights updates variable_dtype variables weights kernel_size kernel_initializer kernel_regularizer
    kernel_constraint recurrent_initializer recurrent_regularizer recurrent_constraint bias_initializer
    bias_regularizer bias_constraint dropout recurrent_dropout units use_bias unit_forget_bias reset_after
    implementation filters strides padding data_format dilation_rate states constraints thresholds total count
    """
)

_FUNCTIONS: Final = frozenset(
    {
        FunctionType,
        staticmethod,
        classmethod,
        BuiltinFunctionType,
        MethodDescriptorType,
        WrapperDescriptorType,
        ClassMethodDescriptorType,
    }
)

_OTHER, _SAVED, _DICT, _SEQUENCE, _SET, _PROXY = range(6)  # what a value is to the walk
_FROM_DICT, _FROM_MODULES, _BY_GETATTR = range(3)  # where an attribute's value is


@dataclass(slots=True)
class Class:
    """What the walk knows of a class, once."""

    skip: frozenset[str]
    computed: tuple[str, ...]  # class-level names whose value must be asked for
    shadowing: frozenset[str]  # class-level names that win over the instance's __dict__
    literal: bool  # attribute access is the user's own code: take dir() and getattr() at their word
    torch: bool
    layers_first: bool
    rule: Rule
    snake: str
    orders: dict[tuple[str, ...], tuple[tuple[str, int], ...]] = field(default_factory=dict)


_Step: TypeAlias = Generator[Any, int, int]
"""The walk of one object or container, which yields the walks of what is in it and returns its node."""

_TOO_DEEP: Final = 1000
"""Keras comes to the end of Python's stack in containers that lie in one another so deep, whatever they hold."""


class Walk:
    """One walk over a model; see the module's docstring."""

    def __init__(self, keras: Keras, result: Model) -> None:
        self.keras = keras
        self.result = result
        self.is_keras3 = keras.flavour == "keras"
        self.nested = keras.version >= (3, 15) and self.is_keras3
        self.saved_types = _saved_types(keras)
        self.metric_types = types_of(keras, ("metrics.base_metric", "Metric"))
        self.barren = _BARREN_KERAS3 if self.is_keras3 else _BARREN_TF_KERAS
        naming = keras.module("utils.naming") if self.is_keras3 else keras.module("utils.generic_utils")
        self.to_snake_case: Callable[[str], str] = vars(naming)["to_snake_case"]
        self.kinds: dict[type, int] = {}
        self.classes: dict[type, Class] = {}
        self.skips: dict[str, frozenset[str]] = {}
        self.edges: list[list[Edge]] = []
        self.rows: list[int] = []
        self.seen: dict[int, int] = {}
        self.alive: list[Any] = []  # lists made by properties: their ids must stay theirs
        self.skipped: list[tuple[Any, int, str, str]] = []  # containers that this Keras does not look into
        self.raised = False  # code of the user's own did, where Keras would let that through

    def run(self, model: Any) -> None:
        """Fills the result's groups, nodes, variables, owners and objects.

        What Keras never comes to gets a group too, that no edge leads to: it is neither saved nor loaded.
        """
        self.follow(self.object(model, "", None))
        while self.skipped:
            self.unsaved(*self.skipped.pop(0))
        self.result.nodes.extend((row, tuple(edges)) for row, edges in zip(self.rows, self.edges, strict=True))

    @staticmethod
    def follow(first: _Step) -> int:
        """The node of a walk, with all that is below it: a model may be deeper than Python's stack."""
        steps, node = [first], None
        while steps:
            try:
                steps.append(steps[-1].send(node) if node is not None else next(steps[-1]))
                node = None
            except StopIteration as end:
                steps.pop()
                node = int(end.value)
        assert node is not None
        return node

    def object(self, obj: Any, path: str, parent: str | None, attribute: str = "") -> _Step:
        """The node of *obj*, walked when it is new; *parent* is None for the model itself."""
        known = self.seen.get(id(obj))
        if known is not None:
            return known
        node = self.seen[id(obj)] = len(self.rows)
        cls = type(obj)
        plan = self.classes.get(cls)
        if plan is None:
            plan = self.classes[cls] = self.class_of(obj)
        self.alive.append(obj)
        self.rows.append(len(self.result.groups))
        edges: list[Edge] = []
        self.edges.append(edges)
        group = len(self.result.groups)
        layer = self.group(obj, cls, plan, path, parent, attribute)
        prefix = f"{path}/" if path else ""
        if plan.layers_first:
            try:
                layers = obj.layers
            except Exception:  # noqa: BLE001 - Keras would raise here; the plan has no edge for that
                layers = ()
            below = self.child("layers", layers, f"{prefix}layers", layer)
            if below is not None:
                edges.append(("layers", (yield below)))
        kinds = self.kinds
        for name, value in self.attributes(obj, plan):
            kind = kinds.get(type(value))
            if kind is None or kind == _PROXY:
                kind = self.kind(value)
            if kind and (below := self.child(name, value, prefix + name, layer)) is not None:
                edges.append((name, (yield below)))
        if self.raised:
            self.raised = False
            self.result.groups[group] = _with_flag(self.result.groups[group], OWN_LOAD)
        return node

    def child(self, name: str, value: Any, path: str, layer: str) -> _Step | None:
        """The walk of *value*, when Keras would follow it."""
        kind = self.kind(value)
        if kind == _SAVED:
            return self.object(value, path, layer, name)
        if not kind:
            return None
        lost = kind == _SET and self.nested
        found = self.container(value, kind, path, layer) if not lost and self.holds(value, kind) else None
        if lost or (not self.nested and any(self.kind(item) in (_DICT, _SEQUENCE) for item in _items(value, kind))):
            self.alive.append(value)
            self.skipped.append((value, kind, path, layer))
        return found

    def group(self, obj: Any, cls: type, plan: Class, path: str, parent: str | None, attribute: str) -> str:
        """Adds the object's group; the layer path of what is below it."""
        variables, flags = plan.rule(obj)
        name = name_of(obj)
        if name is not None:
            flags |= NAMED
            if name.startswith(plan.snake) and is_counter(name[len(plan.snake) :]):
                flags |= AUTO_NAME
        if not flags & ~(NAMED | AUTO_NAME) and getattr(obj, "built", True) is False:
            flags |= NOT_BUILT  # what loads by a rule of its own does not ask whether it is built
        if self.metric_types and isinstance(obj, self.metric_types):
            flags |= METRIC
        own = name or attribute
        layer = "" if parent is None else f"{parent}/{own}" if parent else own
        if self.is_keras3:
            rows = tuple([keras3_row(v, layer) for v in variables])
        else:
            rows = tuple([tensorflow_row(v, layer, bool(flags & OPTIMIZER)) for v in variables])
        self.result.groups.append((path, name, cls.__name__, flags, rows))
        self.result.objects.append(obj)
        self.result.variables.extend(variables)
        self.result.owners.extend([obj] * len(variables))
        return layer

    def container(self, value: Any, kind: int, path: str, layer: str) -> _Step:
        """The node of a list, tuple, dict or set, walked when it is new."""
        known = self.seen.get(id(value))
        if known is not None:
            return known
        node = self.seen[id(value)] = len(self.rows)
        self.alive.append(value)
        self.rows.append(-1)
        edges: list[Edge] = []
        self.edges.append(edges)
        used: dict[str, int] = {}
        for item in _items(value, kind):
            item_kind = self.kind(item)
            if item_kind == _SAVED:
                plan = self.classes.get(type(item))
                if plan is None:
                    plan = self.classes[type(item)] = self.class_of(item)
                if not self.is_keras3 and id(item) in self.seen:
                    edges.append((plan.snake, self.seen[id(item)]))
                    continue  # tf_keras: what was visited does not count
                name = unique(plan.snake, used)
                edges.append((plan.snake, (yield self.object(item, f"{path}/{name}", layer, name))))
            elif self.nested and item_kind in (_DICT, _SEQUENCE):
                name = unique("container", used)
                edges.append((None, (yield self.container(item, item_kind, f"{path}/{name}", layer))))
        return node

    def unsaved(self, value: Any, kind: int, path: str, layer: str) -> None:
        """Adds the groups of what a container holds, at any depth, and the walk has not come to."""
        todo, known = [(value, kind, path)], set()
        while todo:
            value, kind, path = todo.pop(0)
            if id(value) in known:
                continue
            known.add(id(value))
            used: dict[str, int] = {}
            for item in _items(value, kind):
                item_kind = self.kind(item)
                if item_kind == _SAVED and id(item) not in self.seen:
                    name = unique(self.to_snake_case(type(item).__name__), used)
                    self.follow(self.object(item, f"{path}/{name}", layer, name))
                elif item_kind in (_DICT, _SEQUENCE):
                    todo.append((item, item_kind, f"{path}/{unique('container', used)}"))

    def holds(self, value: Any, kind: int) -> bool:
        """Whether a container holds, at any depth that Keras looks into, something that it saves."""
        todo, known, kinds = [(value, kind, 0)], set(), self.kinds
        while todo:
            value, kind, depth = todo.pop()
            if id(value) in self.seen or depth > _TOO_DEEP:
                return True
            if id(value) in known:
                continue
            known.add(id(value))
            for item in _items(value, kind):
                item_kind = kinds.get(type(item))
                if item_kind is None or item_kind == _PROXY:
                    item_kind = self.kind(item)
                if item_kind == _SAVED:
                    return True
                if self.nested and item_kind in (_DICT, _SEQUENCE):
                    todo.append((item, item_kind, depth + 1))
        return False

    def kind(self, value: Any) -> int:
        """What *value* is to Keras's ``isinstance`` tests."""
        cls = type(value)
        known = self.kinds.get(cls)
        if known is not None and known != _PROXY:
            return known
        kind = _OTHER
        try:
            if isinstance(value, self.saved_types):
                kind = _SAVED
            elif isinstance(value, dict):
                kind = _DICT
            elif isinstance(value, (list, tuple)):
                kind = _SEQUENCE
            elif isinstance(value, set):
                kind = _SET
        except Exception:  # noqa: BLE001 - what a value says of its class is code, too
            self.raised = True
            return _OTHER
        if known is None:  # a proxy answers for what it wraps, each one anew
            proxy = any("__class__" in base.__dict__ for base in cls.__mro__ if base is not object)
            self.kinds[cls] = _PROXY if proxy else kind
        return kind

    def attributes(self, obj: Any, plan: Class) -> Iterable[tuple[str, Any]]:
        """``(name, value)`` of the attributes that may matter, in Keras's order."""
        if plan.literal:
            own: dict[str, Any] = {}
            try:
                order = tuple((name, _BY_GETATTR) for name in self.ordered(self.allowed(dir(obj), plan.skip)))
            except Exception:  # noqa: BLE001 - a `__dir__` of the user's own
                self.raised, order = True, ()
        else:
            own = obj.__dict__
            key = (*own, "", *own.get("_modules", ())) if plan.torch else tuple(own)
            known = plan.orders.get(key)
            order = known if known is not None else self.order(key, plan)
        for name, where in order:
            try:
                if where == _FROM_DICT:
                    yield name, own[name]
                elif where == _FROM_MODULES:
                    yield name, own["_modules"][name]
                else:
                    yield name, getattr(obj, name)
            except Exception:  # noqa: BLE001 - as Keras: an attribute that raises is not there
                continue

    def order(self, key: tuple[str, ...], plan: Class) -> tuple[tuple[str, int], ...]:
        """The order of the attributes of an instance that has these names."""
        where = dict.fromkeys(plan.computed, _BY_GETATTR)
        source = _FROM_DICT
        for name in key:
            if not name:
                source = _FROM_MODULES
            elif name not in plan.shadowing and not (source == _FROM_MODULES and name[0].isdigit()):
                where[name] = source
        names = self.ordered(self.allowed(where, plan.skip))
        order = plan.orders[key] = tuple((name, where[name]) for name in names)
        return order

    @staticmethod
    def allowed(names: Iterable[str], skip: frozenset[str]) -> list[str]:
        return [name for name in names if not name.startswith("__") and name not in skip]

    def ordered(self, names: list[str]) -> list[str]:
        """The names in the order in which this Keras visits them."""
        return ordered(self.keras, names)

    def class_of(self, obj: Any) -> Class:
        """Looks at a class for the first time."""
        cls = type(obj)
        kind = _object_type(self.keras, obj)
        skip = self.skips.get(kind)
        if skip is None:
            skip = self.skips[kind] = skipped_of(self.keras, kind)
        torch = sys.modules.get("torch")
        listing, reading = _inherited(cls, "__dir__"), _inherited(cls, "__getattribute__")
        is_torch = torch is not None and listing is torch.nn.Module.__dir__
        literal = not (is_torch or listing is object.__dir__) or reading is not object.__getattribute__
        computed, shadowing = self.class_names(cls, skip)
        return Class(
            skip,
            computed,
            shadowing,
            literal or not hasattr(obj, "__dict__"),
            is_torch,
            self.is_keras3 and self.keras.version >= (3, 0, 3) and kind in ("Sequential", "Functional"),
            rule_of(cls, self.keras.flavour),
            self.to_snake_case(cls.__name__),
        )

    def class_names(self, cls: type, skip: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
        """The class-level names that must be asked for, and those that win over an instance's ``__dict__``."""
        computed, shadowing, seen = [], set(), set(skip)
        for base in cls.__mro__:
            ours = package_of(base) in PACKAGES or base.__module__.startswith(("tensorflow.", "torch."))
            for name, raw in base.__dict__.items():
                if name in seen or name.startswith("__"):
                    continue
                seen.add(name)
                if type(raw) in _FUNCTIONS:
                    continue
                described = hasattr(type(raw), "__get__")
                if described and (hasattr(type(raw), "__set__") or hasattr(type(raw), "__delete__")):
                    shadowing.add(name)
                if (described and not (ours and name in self.barren)) or (not described and self.kind(raw)):
                    computed.append(name)
        return tuple(computed), frozenset(shadowing)


def _with_flag(group: Group, flag: int) -> Group:
    path, name, class_name, flags, variables = group
    return path, name, class_name, flags | flag, variables


def _inherited(cls: type, name: str) -> object:
    return getattr(cls, name)


def _items(value: Any, kind: int) -> Iterable[Any]:
    return list(value.values()) if kind == _DICT else value


def _saved_types(keras: Keras) -> tuple[type, ...]:
    """What this Keras's ``_is_keras_trackable`` or ``KerasSaveable`` test accepts."""
    if keras.flavour == "keras":
        saveable = types_of(keras, ("saving.keras_saveable", "KerasSaveable"))
        if saveable:
            return saveable
        return types_of(
            keras,
            ("layers.layer", "Layer"),
            ("optimizers.optimizer", "Optimizer"),
            ("metrics.metric", "Metric"),
            ("losses.loss", "Loss"),
        )
    return types_of(
        keras,
        ("engine.base_layer", "Layer"),
        ("optimizers.optimizer", "Optimizer"),
        ("optimizers.optimizer_experimental.optimizer", "Optimizer"),
        ("metrics.base_metric", "Metric"),
        ("losses", "Loss"),
    )


def _object_type(keras: Keras, obj: Any) -> str:
    """The kind of object by which Keras 3 chooses the attributes to leave out; ``""`` for tf_keras."""
    if keras.flavour != "keras":
        return ""
    if hasattr(obj, "_obj_type"):
        return str(obj._obj_type())
    for module, name in (
        ("models.sequential", "Sequential"),
        ("models.functional", "Functional"),
        ("layers.layer", "Layer"),
        ("optimizers.optimizer", "Optimizer"),
        ("metrics.metric", "Metric"),
    ):
        if isinstance(obj, types_of(keras, (module, name))):
            return name
    return "Loss"


_SKIPPED: Final[dict[tuple[Keras, str], frozenset[str]]] = {}


def skipped_of(keras: Keras, kind: str) -> frozenset[str]:
    """The attributes that this Keras leaves out on objects of this kind.

    They are asked of Keras itself, once: it makes an empty layer (optimizer, metric) to learn them.  The counters
    from which it makes automatic names are put back, so that the user's next layer is named as if nobody had asked.
    """
    known = _SKIPPED.get((keras, kind))
    if known is not None:
        return known
    module = keras.module("saving.saving_lib")
    saving = vars(module) if module is not None else {}  # tf.keras before 2.12 has none
    if not kind:
        names = frozenset(saving.get("ATTR_SKIPLIST", ()))
    else:
        ask = saving.get("get_attr_skipset") or saving["get_attr_skiplist"]
        state = keras.module("backend.common.global_state")
        counters = state.get_global_attribute("object_name_uids") if state is not None else None
        before = dict(counters) if counters is not None else {}
        try:
            names = frozenset(ask(kind))
        finally:
            if state is not None:
                counters = state.get_global_attribute("object_name_uids")
                if counters is not None:
                    counters.clear()
                    counters.update(before)
    _SKIPPED[keras, kind] = names
    return names
