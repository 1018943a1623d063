"""Describes a live Keras model: the only place that looks into Keras's objects to learn what a model wants.

Nothing is imported that the model's own Keras has not imported already, and nothing is written to the model.

Two descriptions exist, one a family of layouts:

* ``"keras-3"`` (and ``"tf-2.12"``): the objects in the order in which the model's own
  ``saving_lib._load_state`` walks them, as a graph of named edges (``csrc/plan/graph.h``).  Keras evaluates every
  attribute of every object to find them; here each class is looked at once, instances through their ``__dict__``,
  and properties only where one may hold something that Keras saves.  ``tests/test_live.py`` holds this walk against
  Keras's own over a grid of models.
* every other layout: ``model.layers`` in order with ``trainable_weights + non_trainable_weights`` of each, and the
  model's own weights last (``legacy_h5_format._legacy_weights``; tf_keras: ``hdf5_format._legacy_weights``).
  A layer with a weight that is no variable (a lookup table of tf_keras, which makes its loader raise
  ``NotImplementedError``) is flagged as not loadable.
"""

import enum
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any, Final, TypeAlias

Variable: TypeAlias = tuple[str, str, str, tuple[int, ...], str, bool]
"""``(name, display path, layer path, shape, dtype, trainable)``."""
Group: TypeAlias = tuple[str, str | None, str, int, tuple[Variable, ...]]
"""``(path, name, class name, flags, variables)``."""
Edge: TypeAlias = tuple[str | None, int]
"""``(attribute or class name, target node)``; the name is None for a container inside a container."""
Node: TypeAlias = tuple[int, tuple[Edge, ...]]
"""``(row of the object's group, or -1 for a container, edges)``."""

V3_LAYOUTS: Final = frozenset({"keras-3", "tf-2.12"})
PACKAGES: Final = frozenset({"keras", "tf_keras"})


class Flag(enum.IntFlag):
    """Flags of a group: the bits of ``csrc/base/table.h`` that a model's group can have."""

    NAMED = 1 << 0
    OPTIMIZER = 1 << 3
    METRIC = 1 << 4
    TOP_LEVEL = 1 << 5
    OWN_LOAD = 1 << 6
    NOT_BUILT = 1 << 7
    NO_COUNT = 1 << 8
    AUTO_NAME = 1 << 9
    NOT_LOADABLE = 1 << 10
    COUNTED = 1 << 11


# Plain numbers: an operation on enum members costs a microsecond, and a model has thousands of groups.
_NAMED, _OPTIMIZER, _METRIC = int(Flag.NAMED), int(Flag.OPTIMIZER), int(Flag.METRIC)
_OWN_LOAD, _NOT_BUILT, _NO_COUNT = int(Flag.OWN_LOAD), int(Flag.NOT_BUILT), int(Flag.NO_COUNT)
_AUTO_NAME, _NOT_LOADABLE, _COUNTED = int(Flag.AUTO_NAME), int(Flag.NOT_LOADABLE), int(Flag.COUNTED)


@dataclass(frozen=True, slots=True)
class Keras:
    """The Keras package that an object belongs to.

    Attributes
    ----------
    flavour : str
        ``"keras"`` (3 and later) or ``"tf_keras"`` (2.x under any name).
    version : tuple of int
        ``(3, 15, 1)``.
    root : str
        Where its modules live: ``"keras.src"``, ``"tf_keras.src"``, ``"keras"``.
    backend : str
        ``"tensorflow"``, ``"jax"``, ``"torch"``, ``"numpy"``, ``"openvino"``.
    """

    flavour: str
    version: tuple[int, int, int]
    root: str
    backend: str

    @property
    def number(self) -> int:
        """The version as one number: 31501 for 3.15.1."""
        major, minor, patch = self.version
        return major * 10000 + minor * 100 + patch

    def module(self, name: str) -> ModuleType | None:
        """The module *name* below the root, when this Keras has imported it."""
        return sys.modules.get(f"{self.root}.{name}")


@dataclass(frozen=True, slots=True)
class Model:
    """A live model as the plan wants it, and the live objects behind the rows.

    Attributes
    ----------
    keras : Keras
        The package that the model belongs to.
    built : bool
        False for a model that has no variables yet.
    groups : list of tuple
        ``(path, name, class name, flags, variables)`` as ``kwload._core.Spec`` takes them.
    nodes : list of tuple
        ``(group row or -1, edges)``, node 0 is the model; empty for the legacy layouts.
    variables : list
        The live variable of each row, over all groups in order.
    owners : list
        The live object that owns each variable.
    objects : list
        The live object (layer, model, optimizer, metric) of each group.
    untracked : list of tuple
        ``(layer path, attribute)`` of each raw ``tf.Variable`` that Keras 3 neither tracks nor saves.
    """

    keras: Keras
    built: bool
    groups: list[Group] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    variables: list[Any] = field(default_factory=list)
    owners: list[Any] = field(default_factory=list)
    objects: list[Any] = field(default_factory=list)
    untracked: list[tuple[str, str]] = field(default_factory=list)


def package_of(cls: type) -> str:
    return str(cls.__module__).partition(".")[0]


def _numbers(text: str) -> tuple[int, int, int]:
    """``(3, 15, 1)`` of ``"3.15.1"``, also of ``"3.16.0.dev2026"`` and ``"2.16.0rc1"``."""
    numbers: list[int] = []
    for part in text.split(".")[:3]:
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        numbers.append(int(digits or 0))
    numbers += [0] * (3 - len(numbers))
    return numbers[0], numbers[1], numbers[2]


def keras_of(obj: object) -> Keras:
    """The Keras package that *obj* (a model, layer or optimizer) belongs to.

    Raises
    ------
    TypeError
        When no class of *obj* comes from a Keras that is imported.
    """
    for cls in type(obj).__mro__:
        package = package_of(cls)
        module = sys.modules.get(package) if package in PACKAGES else None
        if module is None:
            continue
        version = _numbers(str(getattr(module, "__version__", "")))
        root = f"{package}.src" if str(cls.__module__).startswith(f"{package}.src.") else package
        if version < (3,):
            return Keras("tf_keras", version, root, "tensorflow")
        config = sys.modules.get(f"{root}.backend.config")
        return Keras("keras", version, root, str(config.backend()) if config is not None else "unknown")
    raise TypeError(f"not an object of Keras 3 or tf_keras: {type(obj).__module__}.{type(obj).__qualname__}")


def is_model(obj: object) -> bool:
    """Whether *obj* is a model instance of Keras 3 or tf_keras."""
    return any(cls.__name__ == "Model" and package_of(cls) in PACKAGES for cls in type(obj).__mro__)


def describe(model: Any, layout: str) -> Model:
    """What *model* wants of a file of this layout.

    Parameters
    ----------
    model
        A model of Keras 3 (any backend) or tf_keras, built or not.
    layout : str
        A layout of ``kwload._core``: ``"keras-3"`` and ``"tf-2.12"`` give the walk of Keras's V3 saving code,
        every other one the legacy list of layers.

    Raises
    ------
    TypeError
        When *model* is not a Keras model.

    Notes
    -----
    Properties of the user's own classes are evaluated, as Keras does when it loads; their exceptions are swallowed.
    """
    if not is_model(model):
        raise TypeError(f"not a model of Keras 3 or tf_keras: {type(model).__module__}.{type(model).__qualname__}")
    keras = keras_of(model)
    result = Model(keras, bool(getattr(model, "built", True)))
    if layout in V3_LAYOUTS:
        Walk(keras, result).run(model)
    else:
        _describe_legacy(keras, model, result)
    if keras.flavour == "keras":
        result.untracked.extend(_untracked(keras, model, result.variables))
    return result


# --- variables -------------------------------------------------------------------------------------------------------


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _name_of(obj: Any) -> str | None:
    try:
        return _text(obj.name)
    except Exception:  # noqa: BLE001 - a user's property may raise anything
        return None


def _keras3_row(variable: Any, layer: str) -> Variable:
    name = str(variable.name)
    try:  # `shape` and `dtype` of the tensorflow backend build objects: 5 us a variable
        shape, dtype, trainable = variable._shape, variable._dtype, variable._trainable
    except AttributeError:
        shape, dtype, trainable = variable.shape, variable.dtype, variable.trainable
    return (
        name,
        f"{layer}/{name}" if layer else name,
        layer,
        tuple(shape) if shape is not None else (),
        dtype if type(dtype) is str else getattr(dtype, "name", str(dtype)),
        bool(trainable),
    )


def _tensorflow_row(variable: Any, layer: str, keep_scope: bool = False) -> Variable:
    full = str(variable.name).partition(":")[0]
    name = full if keep_scope else full.rpartition("/")[2]
    listed = variable.shape.as_list() if variable.shape.rank is not None else []
    shape = tuple(listed) if None not in listed else ()  # that of a lookup table's variable is not known
    return name, f"{layer}/{name}" if layer else name, layer, shape, variable.dtype.base_dtype.name, variable.trainable


# How an object takes its own variables: (variables in the order of the keys "0", "1", ..., flags).
_Rule: TypeAlias = Callable[[Any], tuple[list[Any], int]]


def _tracked(layer: Any) -> list[Any]:
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def _rule_keras3(layer: Any) -> tuple[list[Any], int]:
    return _tracked(layer), 0


def _rule_tf_keras(layer: Any) -> tuple[list[Any], int]:
    if layer._self_tracked_trackables:  # as load_own_variables: variables in lists count
        layer._update_trackables()
    weights = [*layer._trainable_weights, *layer._non_trainable_weights]
    variables = _assignable(weights)
    return variables, 0 if len(variables) == len(weights) else _OWN_LOAD


def _assignable(weights: list[Any]) -> list[Any]:
    """Those that are variables: tf_keras lists lookup tables among the weights too."""
    return [weight for weight in weights if hasattr(weight, "assign")]


def _rule_nothing(_: Any) -> tuple[list[Any], int]:
    return [], _NO_COUNT


def _rule_none(_: Any) -> tuple[list[Any], int]:
    return [], _NOT_LOADABLE


def _rule_optimizer(optimizer: Any) -> tuple[list[Any], int]:
    return list(optimizer.variables), _OPTIMIZER


def _rule_own(obj: Any) -> tuple[list[Any], int]:
    """A class that reads the file itself: its variables are listed, which key goes where is its own affair."""
    for names in (
        ("_trainable_variables", "_non_trainable_variables"),
        ("_trainable_weights", "_non_trainable_weights"),
    ):
        if hasattr(obj, names[0]):
            return [*getattr(obj, names[0]), *getattr(obj, names[1], ())], _OWN_LOAD
    return [], _OWN_LOAD


def _rule_lookup(layer: Any) -> tuple[list[Any], int]:
    """StringLookup, IntegerLookup, TextVectorization: one array under the key ``idf_weights``, or nothing at all."""
    lookup = getattr(layer, "_lookup_layer", layer)
    return [], _OWN_LOAD if lookup.output_mode == "tf_idf" else _NO_COUNT


def _rule_stated(layer: Any) -> tuple[list[Any], int]:
    """Dense, EinsumDense, Embedding, convolutions: an order of their own when quantized, no count check under LoRA."""
    tracked = _tracked(layer)
    lora = bool(getattr(layer, "lora_enabled", False))
    policy = getattr(layer, "dtype_policy", None)  # up to 3.4 only the policy knows the mode
    mode = getattr(layer if hasattr(layer, "quantization_mode") else policy, "quantization_mode", None)
    if not layer.built or (mode is None and not lora and len(tracked) < 2):
        return tracked, _NO_COUNT if lora else 0
    try:
        stated = _stated(layer, mode)
    except Exception:  # noqa: BLE001 - an unknown mode: only the layer knows
        return tracked, _OWN_LOAD
    if lora:
        return stated, _NO_COUNT
    if len(stated) != len(tracked) or {id(v) for v in stated} != {id(v) for v in tracked}:
        # A subclass with variables of its own: since 3.1 its base counts all, and takes those that it knows.
        known = hasattr(layer, "_check_load_own_variables")
        return tracked, _OWN_LOAD | _COUNTED if known else 0
    return stated, 0


# Keras 3.1 to 3.11 has no variable_serialization_spec: the orders of its load_own_variables.
_ORDERS: Final[dict[str | None, tuple[str, ...]]] = {
    None: (),
    "int8": ("kernel_scale",),
    "int4": ("kernel_scale",),
    "float8": (
        "inputs_scale",
        "inputs_amax_history",
        "kernel_scale",
        "kernel_amax_history",
        "outputs_grad_scale",
        "outputs_grad_amax_history",
    ),
}


def _stated(layer: Any, mode: str | None) -> list[Any]:
    """The variables in the order of the layer's ``variable_serialization_spec``, those that it has."""
    embedding = hasattr(layer, "_embeddings")
    spec = getattr(layer, "variable_serialization_spec", None)
    if spec is not None:
        names: Sequence[str] = spec[mode]
    elif embedding:
        names = {None: ("embeddings",), "int8": ("embeddings", "embeddings_scale")}[mode]
    elif hasattr(layer, "kernel_size"):  # convolutions are never quantized
        names = ("kernel", "bias")
    else:
        names = ("kernel", "bias", *_ORDERS[mode])
    stated = []
    for name in names:
        if name == "kernel" or (embedding and name == "embeddings"):
            stated.append(getattr(layer, f"_{name}"))
        elif name == "bias":
            if layer.bias is not None:
                stated.append(layer.bias)
        elif embedding or name in ("kernel_zero", "g_idx"):
            if hasattr(layer, name):
                stated.append(getattr(layer, name))
        else:
            stated.append(getattr(layer, name))
    return stated


_RULES: Final[dict[tuple[str, str], _Rule]] = {
    ("keras", "Layer"): _rule_keras3,
    ("keras", "Normalization"): _rule_keras3,
    ("keras", "Dense"): _rule_stated,
    ("keras", "EinsumDense"): _rule_stated,
    ("keras", "Embedding"): _rule_stated,
    ("keras", "BaseConv"): _rule_stated,
    ("keras", "IndexLookup"): _rule_lookup,
    ("keras", "TextVectorization"): _rule_lookup,
    ("keras", "Discretization"): _rule_nothing,
    ("keras", "FeatureSpace"): _rule_nothing,
    ("keras", "BaseOptimizer"): _rule_optimizer,
    ("tf_keras", "Layer"): _rule_tf_keras,
    ("tf_keras", "Normalization"): _rule_tf_keras,
    ("tf_keras", "IndexLookup"): _rule_lookup,
    ("tf_keras", "TextVectorization"): _rule_lookup,
    ("tf_keras", "FeatureSpace"): _rule_nothing,
    ("tf_keras", "_BaseOptimizer"): _rule_optimizer,
    ("tf_keras", "Optimizer"): _rule_optimizer,
}


def _rule_of(cls: type, flavour: str) -> _Rule:
    """The rule of the class that defines ``load_own_variables`` for *cls*."""
    for base in cls.__mro__:
        if "load_own_variables" in base.__dict__:
            if package_of(base) not in PACKAGES:
                return _rule_own
            return _RULES.get((flavour, base.__name__), _rule_own)
        if "_check_load_own_variables" in base.__dict__ and package_of(base) not in PACKAGES:
            return _rule_own
    return _rule_none


# --- the walk of the V3 layouts --------------------------------------------------------------------------------------


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
    rule: _Rule
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
            self.result.groups[group] = _with_flag(self.result.groups[group], _OWN_LOAD)
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
        name = _name_of(obj)
        if name is not None:
            flags |= _NAMED
            if name.startswith(plan.snake) and _is_counter(name[len(plan.snake) :]):
                flags |= _AUTO_NAME
        if not flags & ~(_NAMED | _AUTO_NAME) and getattr(obj, "built", True) is False:
            flags |= _NOT_BUILT  # what loads by a rule of its own does not ask whether it is built
        if self.metric_types and isinstance(obj, self.metric_types):
            flags |= _METRIC
        own = name or attribute
        layer = "" if parent is None else f"{parent}/{own}" if parent else own
        if self.is_keras3:
            rows = tuple([_keras3_row(v, layer) for v in variables])
        else:
            rows = tuple([_tensorflow_row(v, layer, bool(flags & _OPTIMIZER)) for v in variables])
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
                name = _unique(plan.snake, used)
                edges.append((plan.snake, (yield self.object(item, f"{path}/{name}", layer, name))))
            elif self.nested and item_kind in (_DICT, _SEQUENCE):
                name = _unique("container", used)
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
                    name = _unique(self.to_snake_case(type(item).__name__), used)
                    self.follow(self.object(item, f"{path}/{name}", layer, name))
                elif item_kind in (_DICT, _SEQUENCE):
                    todo.append((item, item_kind, f"{path}/{_unique('container', used)}"))

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
        if not self.is_keras3:
            return sorted(names, reverse=True)
        if self.keras.version < (3, 0, 2):
            return sorted(names)
        return sorted(names, key=lambda name: f"~{name}" if name.startswith("_") else name)

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
            _rule_of(cls, self.keras.flavour),
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


def _unique(name: str, used: dict[str, int]) -> str:
    """The next of ``dense``, ``dense_1``, ``dense_2``."""
    if name in used:
        used[name] += 1
        return f"{name}_{used[name]}"
    used[name] = 0
    return name


def _is_counter(rest: str) -> bool:
    return not rest or (rest[0] == "_" and rest[1:].isdecimal())


def types_of(keras: Keras, *names: tuple[str, str]) -> tuple[type, ...]:
    """Those of the classes ``(module, class)`` that this Keras has."""
    found = (getattr(keras.module(module), name, None) for module, name in names)
    return tuple(cls for cls in found if isinstance(cls, type))


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


# --- the legacy layouts ----------------------------------------------------------------------------------------------


def sublayers_of(keras: Keras, layer: Any) -> list[Any]:
    if keras.flavour == "keras":
        return list(getattr(layer, "_layers", ()))
    try:
        return list(layer._flatten_layers(recursive=False, include_self=False))
    except Exception:  # noqa: BLE001 - a user's layer that keeps something odd
        return []


def _own(keras: Keras, layer: Any) -> list[Any]:
    first, second = (
        ("_trainable_variables", "_non_trainable_variables")
        if keras.flavour == "keras"
        else ("_trainable_weights", "_non_trainable_weights")
    )
    return [*getattr(layer, first, ()), *getattr(layer, second, ())]


def _find_owners(keras: Keras, top: Any, path: str, found: dict[int, tuple[Any, str]]) -> None:
    """Maps each variable's id to ``(layer that owns it, that layer's path)``, the outermost owner first."""
    todo, seen = [(top, path)], set()
    while todo:
        layer, at = todo.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        for variable in _own(keras, layer):
            found.setdefault(id(variable), (layer, at))
        todo.extend((child, f"{at}/{_name_of(child)}") for child in reversed(sublayers_of(keras, layer)))


def _legacy_weights(layer: Any) -> tuple[list[Any], int]:
    """``(trainable_weights + non_trainable_weights, flags)``."""
    flags = _NOT_BUILT if getattr(layer, "built", True) is False else 0
    try:
        weights = [*layer.trainable_weights, *layer.non_trainable_weights]
    except Exception:  # noqa: BLE001 - tf_keras: "Weights for model ... have not yet been created"
        return [], _NOT_BUILT
    variables = _assignable(weights)
    return variables, flags if len(variables) == len(weights) else flags | _NOT_LOADABLE


def _describe_legacy(keras: Keras, model: Any, result: Model) -> None:
    row = _keras3_row if keras.flavour == "keras" else _tensorflow_row
    naming = keras.module("utils.naming") if keras.flavour == "keras" else keras.module("utils.generic_utils")
    to_snake_case: Callable[[str], str] = vars(naming)["to_snake_case"]

    def add(path: str, name: str | None, obj: Any, flags: int, weights: list[Any], owners: dict[int, Any]) -> None:
        placed = [owners.get(id(v), (obj, name or "")) for v in weights]
        rows = tuple([row(v, at) for v, (_, at) in zip(weights, placed, strict=True)])
        result.groups.append((path, name, type(obj).__name__, flags, rows))
        result.objects.append(obj)
        result.variables.extend(weights)
        result.owners.extend([owner for owner, _ in placed])

    snakes: dict[type, str] = {}
    for layer in model.layers:
        name = _name_of(layer) or ""
        snake = snakes.get(type(layer))
        if snake is None:
            snake = snakes[type(layer)] = to_snake_case(type(layer).__name__)
        weights, flags = _legacy_weights(layer)
        flags |= _NAMED
        if name.startswith(snake) and _is_counter(name[len(snake) :]):
            flags |= _AUTO_NAME
        owners: dict[int, tuple[Any, str]] = {}
        if weights and sublayers_of(keras, layer):
            _find_owners(keras, layer, name, owners)
        add(name, name, layer, flags, weights, owners)

    own = _own(keras, model)
    if keras.flavour == "keras" and own:
        listed = {id(v) for v in _legacy_weights(model)[0]}
        own = [v for v in own if id(v) in listed]
    flags = int(Flag.TOP_LEVEL) | (0 if result.built else _NOT_BUILT)
    add("top_level_model_weights", None, model, flags, own, {})


# --- what Keras 3 does not track -------------------------------------------------------------------------------------


def _untracked(keras: Keras, model: Any, tracked: Iterable[Any]) -> list[tuple[str, str]]:
    """``(layer path, attribute)`` of raw ``tf.Variable`` objects that layers of the user's own classes keep."""
    tensorflow = sys.modules.get("tensorflow")
    variable_type = getattr(tensorflow, "Variable", None)
    if not isinstance(variable_type, type):
        return []
    found: list[tuple[str, str]] = []
    known: set[int] | None = None
    todo: list[tuple[Any, str]] = [(model, "")]
    seen: set[int] = set()
    while todo:
        layer, path = todo.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if package_of(type(layer)) not in PACKAGES:
            for name, value in list(vars(layer).items()):
                if name in skipped_of(keras, "Layer"):  # Keras's own bookkeeping
                    continue
                raw = _raw_variables(value, variable_type)
                if raw and known is None:
                    known = {id(getattr(v, "_value", None)) for v in tracked}
                if any(id(v) not in (known or ()) for v in raw):
                    found.append((path, name))
        children = getattr(layer, "_layers", ())
        todo.extend((child, f"{path}/{_name_of(child)}" if path else str(_name_of(child))) for child in children[::-1])
    return found


def _raw_variables(value: Any, variable_type: type) -> list[Any]:
    """The variables that *value* is or holds, in lists, tuples, sets and dicts."""
    found, todo, seen = [], [value], set()
    while todo:
        item = todo.pop()
        cls = type(item)  # what the object says of its class may be code that raises
        if issubclass(cls, variable_type):
            found.append(item)
        elif issubclass(cls, (list, tuple, set, dict)) and id(item) not in seen:
            seen.add(id(item))
            todo.extend(item.values() if isinstance(item, dict) else item)
    return found
