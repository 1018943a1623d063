"""Puts arrays into a live model's variables, all of them or none.

``stage`` makes a tensor of each array on its variable's device and changes nothing; ``commit`` swaps the tensors in.
Whatever goes wrong in between (an error of the backend or of a layer's own code, Ctrl-C), every variable is put back
bit-identical to before.  An array is adopted, not copied, where the backend allows it, so it must be nobody else's.

==========  =======================================================  ==============================================
backend     an array becomes a tensor by                             a variable takes it by
==========  =======================================================  ==============================================
tensorflow  DLPack: TensorFlow adopts memory aligned to 64 bytes     the op ``AssignVariableOp`` on its handle
jax         ``jax.device_put`` with the variable's sharding          ``Variable._direct_assign``
torch       ``torch.from_numpy``, which shares the memory            ``parameter.data = tensor``
numpy       nothing                                                  ``Variable._value = array``
others      nothing                                                  ``variable.assign``, old values copied before
==========  =======================================================  ==============================================

A variable of TensorFlow that is not a plain resource variable (mirrored, sharded, cached), a torch parameter that is
a part of a larger storage, and a variable of a user's own class go by ``assign`` too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np

from kwload import conversions
from kwload.spec.described import Flag, Model

if TYPE_CHECKING:
    from kwload import _core

Array: TypeAlias = np.ndarray[Any, Any]

ALIGNMENT: Final = 64  # what TensorFlow and XLA need to adopt memory
_PACKAGES: Final = frozenset({"keras", "tf_keras"})
_LORA: Final = ("lora_kernel_a", "lora_kernel_b", "lora_embeddings_a", "lora_embeddings_b")


class _Way(Protocol):
    """How variables of one kind are read and written; *target* is what ``stage`` found behind the variable."""

    def stage(self, target: Any, array: Array) -> Any:
        """A value that ``write`` takes."""

    def read(self, target: Any) -> Any:
        """The present value, in a form that ``write`` puts back bit-identical after another ``write``."""

    def copy(self, target: Any) -> Any:
        """The same, for when the variable may be written to in place by somebody else's code."""

    def write(self, target: Any, value: Any) -> None:
        """Makes *value* the variable's value."""


@dataclass(slots=True)
class _Change:
    way: _Way
    target: Any
    value: Any


@dataclass(slots=True)
class Staged:
    """What ``commit`` will do; made by ``stage``."""

    changes: list[_Change] = field(default_factory=list)
    own: list[tuple[Any, Mapping[str, Array], list[_Change]]] = field(default_factory=list)
    finish: list[tuple[Any, Callable[[Any], None], list[_Change]]] = field(default_factory=list)


def stage(
    model: Model, pairs: Iterable[tuple[Any, Array]], own: Iterable[tuple[Any, Mapping[str, Array]]] = ()
) -> Staged:
    """Makes everything ready for ``commit`` without changing a variable.

    Parameters
    ----------
    model : Model
        The description (``kwload.spec.live.describe``) that the variables come from.
    pairs : iterable of (variable, array)
        A live variable and the array of its final shape.  Arrays are writable, aligned to 64 bytes and owned by
        the caller, who gives them away; another dtype than the variable's is cast as NumPy casts.
    own : iterable of (object, mapping)
        Objects with a ``load_own_variables`` of their own, and the arrays of their group: ``{"0": array, ...}``.

    Raises
    ------
    ValueError
        When an array has another shape than its variable.
    RuntimeError
        Inside a ``keras.StatelessScope`` or a TensorFlow graph, where a variable cannot take a value.
    """
    _refuse_scopes(model)
    ways = _Ways(model.keras.backend, model.keras.flavour)
    staged = Staged()
    is_v3 = bool(model.nodes)
    owners = {id(variable): owner for variable, owner in zip(model.variables, model.owners, strict=True)}
    touched: dict[int, Any] = {}
    for variable, array in pairs:
        staged.changes.append(ways.change(variable, array))
        owner = owners.get(id(variable))
        if owner is not None:
            touched[id(owner)] = owner
    if not is_v3:  # Keras finishes the layer of model.layers, whatever is nested in it
        groups = _groups_of(model, {id(change_of) for change_of in touched.values()})
        touched |= {id(obj): obj for obj in groups}
    for owner in touched.values():
        if is_v3 and getattr(owner, "lora_enabled", False):
            staged.changes.extend(ways.zero(getattr(owner, name)) for name in _LORA if hasattr(owner, name))
        staged.finish.extend((owner, finish, ways.all_kept(owner)) for finish in _finishing(owner, is_v3))
    staged.own.extend((obj, MappingProxyType(dict(arrays)), ways.all_kept(obj)) for obj, arrays in own)
    return staged


@dataclass(frozen=True, slots=True)
class Order:
    """What a plan wants done, made by ``order``.

    Attributes
    ----------
    rows : list of int
        Rows of the file's tensors, in the order in which ``load`` takes their arrays.
    variables : list
        The live variables that the first of those arrays are for.
    own : list of (object, list of str)
        Objects with a ``load_own_variables`` of their own, and the keys of the arrays that follow, object by object.
    targets : list of int
        Rows of the model's variables that the arrays are for, -1 for what an object's own code takes.  A variable that
        is made of several tensors (``conversions``) has the others of them at the end.
    """

    rows: list[int]
    variables: list[Any]
    own: list[tuple[Any, list[str]]]
    targets: list[int]


def order(model: Model, file: _core.File, plan: _core.Plan) -> Order:
    """Which tensors of the file a plan needs, and what for; both were made from *model* and *file*."""
    own_rows: set[int] = set()
    own: list[tuple[Any, list[tuple[str, int]]]] = []
    start = 0
    objects = model.objects or [None] * len(model.groups)  # an architecture has none
    for at, (obj, group) in enumerate(zip(objects, model.groups, strict=True)):
        end = start + len(group[4])
        if model.nodes and group[3] & Flag.OWN_LOAD:
            own_rows.update(range(start, end))
            source = plan.source_group[at]
            if source >= 0:
                own.append((obj, [(name, row) for name, row in file.groups[source][3] if row >= 0]))
        start = end
    pairs = [(pair[0], pair[1]) for pair in plan.pairs if pair[1] not in own_rows]
    theirs = [row for _, slots in own for _, row in slots]
    several = conversions.sources(plan)
    more = [(row, target) for _, target in pairs for row in several.get(target, ())[1:]]
    return Order(
        rows=[row for row, _ in pairs] + theirs + [row for row, _ in more],
        variables=[model.variables[target] for _, target in pairs],
        own=[(obj, [name for name, _ in slots]) for obj, slots in own],
        targets=[target for _, target in pairs] + [-1] * len(theirs) + [target for _, target in more],
    )


def load(model: Model, wanted: Order, arrays: Iterable[Array], check: Callable[[], None] | None = None) -> None:
    """Gives the variables of a plan their arrays, all or none.

    Parameters
    ----------
    model : Model
        The description that the order was made with.
    wanted : Order
        Says what each array is for.
    arrays : iterable of array
        One for each of ``wanted.variables`` and for each key of ``wanted.own``, given away (see ``stage``).
    check : callable, optional
        As for ``commit``.

    Raises
    ------
    BaseException
        As ``stage`` and ``commit``.
    """
    left = iter(arrays)
    pairs = [(variable, next(left)) for variable in wanted.variables]
    own = [(obj, {name: next(left) for name in names}) for obj, names in wanted.own]
    commit(stage(model, pairs, own), check)


def commit(staged: Staged, check: Callable[[], None] | None = None) -> None:
    """Changes the variables, all or none.

    *check* is called when all have their values; what it raises undoes them.

    In the main thread, Ctrl-C is noticed between two variables, and everything is put back; a second one ends also
    a layer's own code.

    Raises
    ------
    BaseException
        Whatever the backend, a layer's own ``load_own_variables`` (a note names the layer) or its
        ``finalize_state`` raised, after every variable and attribute was put back.
    """
    undo: list[Callable[[], None]] = []
    with _interrupts_deferred() as interrupts:
        try:
            for change in staged.changes:
                way, target = change.way, change.target
                undo.append(_restoring(way, target, way.read(target)))
                way.write(target, change.value)
                interrupts.check()
            for obj, arrays, kept in staged.own:
                _keep(obj, kept, undo)
                _load_own(obj, arrays)
                interrupts.check()
            for obj, finish, kept in staged.finish:
                _keep(obj, kept, undo)
                finish(obj)
            interrupts.check()
            if check is not None:
                check()
                interrupts.check()
        except BaseException as error:
            interrupts.hold()
            _put_back(undo, error)
            raise


def _restoring(way: _Way, target: Any, value: Any) -> Callable[[], None]:
    return lambda: way.write(target, value)


def _keep(obj: Any, kept: Iterable[_Change], undo: list[Callable[[], None]]) -> None:
    """Keeps everything of *obj* before code of its own runs."""
    undo.extend(_restoring(change.way, change.target, change.way.copy(change.target)) for change in kept)
    undo.append(_snapshot(obj))


def _put_back(undo: Sequence[Callable[[], None]], error: BaseException) -> None:
    """Undoes the last change first; one that cannot be undone is noted and does not stop the others."""
    for restore in reversed(undo):
        try:
            restore()
        except BaseException as again:  # noqa: BLE001 - the other variables must still be put back
            error.add_note(f"kwload: a variable could not be put back: {again!r}")


def _load_own(obj: Any, arrays: Mapping[str, Array]) -> None:
    try:
        obj.load_own_variables(arrays)
    except Exception as error:
        name = getattr(obj, "name", None)
        error.add_note(f"kwload: raised by {type(obj).__name__}.load_own_variables of {name!r}")
        raise


# --- what follows the values -----------------------------------------------------------------------------------------


def _groups_of(model: Model, owners: set[int]) -> list[Any]:
    """The objects of the groups in which these owners have variables."""
    found, start = [], 0
    for obj, group in zip(model.objects, model.groups, strict=True):
        end = start + len(group[4])
        if any(id(owner) in owners for owner in model.owners[start:end]):
            found.append(obj)
        start = end
    return found


def _finishing(owner: Any, is_v3: bool) -> Iterator[Callable[[Any], None]]:
    """What Keras does to a layer after its variables have their values."""
    defined = next((cls for cls in type(owner).__mro__ if "finalize_state" in vars(cls)), None)
    own = defined is not None and defined.__module__.partition(".")[0] not in _PACKAGES
    # tf_keras's Layer has one that does nothing; a user's own is called by the legacy loaders only.
    if defined is not None and defined.__name__ != "Layer" and not (own and is_v3):
        yield lambda layer: layer.finalize_state()
    mode = getattr(owner, "quantization_mode", None)
    if is_v3 and mode in ("gptq", "awq") and hasattr(owner, f"is_{mode}_calibrated"):
        yield lambda layer: setattr(layer, f"is_{mode}_calibrated", True)


def _parts(obj: Any) -> list[Any]:
    """A layer and the layers in it; anything else alone."""
    flatten = getattr(obj, "_flatten_layers", None)
    return list({id(part): part for part in (obj, *(flatten() if callable(flatten) else ()))}.values())


def _snapshot(obj: Any) -> Callable[[], None]:
    """A function that puts the attributes of *obj* and of its sub-layers back, and the contents of their lists."""
    saved = []
    for part in _parts(obj):
        attributes = vars(part)
        tracker = attributes.get("_tracker")
        values = [*attributes.values(), *getattr(tracker, "stored_ids", {}).values()]
        saved.append((attributes, dict(attributes), [_contents(value) for value in values]))

    def restore() -> None:
        for attributes, before, contents in saved:
            for put_back in contents:
                put_back()
            for name in attributes.keys() - before.keys():
                del attributes[name]  # past __delattr__, whose tracking the contents above have undone
            for name, value in before.items():
                if attributes.get(name, attributes) is not value:
                    attributes[name] = value

    return restore


def _contents(value: Any) -> Callable[[], None]:
    """A function that puts the contents of a list, dict or set back; for anything else it does nothing."""
    if type(value).__module__.startswith("tensorflow."):
        return _tracked_contents(value)
    base = next((cls for cls in (list, dict, set) if isinstance(value, cls)), None)
    if base is None:
        return _nothing
    before = base(value)

    def restore() -> None:
        if base is list:
            list.__setitem__(value, slice(None), before)
        elif base is dict:
            dict.clear(value)
            dict.update(value, before)
        else:
            set.clear(value)
            set.update(value, before)

    return restore


def _tracked_contents(value: Any) -> Callable[[], None]:
    """The same for the wrappers in which tf_keras keeps the lists and dicts of a layer.

    A wrapper remembers the contents that it knows of; what differs from them makes it refuse to be saved.
    """
    if isinstance(value, list) and hasattr(value, "_storage"):
        inner, known = value._storage, "_last_wrapped_list_snapshot"
    elif isinstance(value, dict) and hasattr(value, "__wrapped__"):
        inner, known = value.__wrapped__, "_self_last_wrapped_dict_snapshot"
    else:
        return _nothing
    put_back, before = _contents(inner), getattr(value, known, None)
    snapshot = type(before)(before) if before is not None else None

    def restore() -> None:
        put_back()
        if snapshot is not None:
            setattr(value, known, snapshot)

    return restore


def _nothing() -> None:
    pass


# --- backends --------------------------------------------------------------------------------------------------------


class _Ways:
    """Chooses how each variable is changed."""

    def __init__(self, backend: str, flavour: str) -> None:
        self.is_keras3 = flavour == "keras"
        self.backend = backend
        self.by_assign = _ByAssign()
        self.fast: _Way | None = None
        if backend == "tensorflow":
            self.fast = _TensorFlow()
        elif backend == "jax":
            self.fast = _Jax()
        elif backend == "torch":
            self.fast = _Torch()
        elif backend == "numpy":
            self.fast = _NumPy()

    def change(self, variable: Any, array: Array) -> _Change:
        """The change that gives *variable* the values of *array*."""
        change = self.kept(variable)
        if tuple(array.shape) != _shape_of(variable):
            raise ValueError(f"an array of shape {array.shape} for a variable of shape {_shape_of(variable)}")
        change.value = change.way.stage(change.target, _cast(array, _dtype_of(variable)))
        return change

    def zero(self, variable: Any) -> _Change:
        """The change that fills *variable* with zeros."""
        return self.change(variable, _empty(_shape_of(variable), _dtype_of(variable), zero=True))

    def kept(self, variable: Any) -> _Change:
        """How *variable* is read and written, with no value yet."""
        if self.fast is not None:
            target = self.target(variable)
            if target is not None:
                return _Change(self.fast, target, None)
        return _Change(self.by_assign, variable, None)

    def all_kept(self, obj: Any) -> list[_Change]:
        """The same for all variables of a layer and its sub-layers, or of an optimizer, tracked or not."""
        kept = [self.kept(variable) for variable in getattr(obj, "variables", ()) if hasattr(variable, "assign")]
        raw_type = getattr(sys.modules.get("tensorflow"), "Variable", None)
        if self.is_keras3 and self.backend == "tensorflow" and isinstance(raw_type, type):
            for part in _parts(obj):  # such as the idf weights of a TextVectorization
                raw = [value for value in vars(part).values() if isinstance(value, raw_type)]
                kept += [_Change(_TensorFlow() if _resource(v) is v else self.by_assign, v, None) for v in raw]
        return kept

    def target(self, variable: Any) -> Any:
        """What the fast way works on; None when this variable has to go by ``assign``."""
        if self.is_keras3:
            if not type(variable).__module__.startswith("keras.src.backend") or variable._value is None:
                return None
            if self.backend == "tensorflow":
                return _resource(variable._value)
            if self.backend == "torch":
                return variable._value if _is_whole(variable._value) else None
            return variable
        if type(variable).__name__ == "AutoCastVariable":
            variable = variable._variable
        return _resource(variable)


class _ByAssign:
    """By the variable's own ``assign``; the old value is a copy."""

    def stage(self, _: Any, array: Array) -> Any:
        return array

    def read(self, target: Any) -> Any:
        return np.array(target.numpy())

    copy = read

    def write(self, target: Any, value: Any) -> None:
        target.assign(value)


class _TensorFlow:
    """By the op, which takes the tensor's buffer: ``variable.assign`` costs four times as much, Keras's twenty."""

    def __init__(self) -> None:
        tensorflow: Any = sys.modules["tensorflow"]
        self.read_op = tensorflow.raw_ops.ReadVariableOp
        self.assign_op = tensorflow.raw_ops.AssignVariableOp
        self.from_dlpack = tensorflow.experimental.dlpack.from_dlpack
        self.bitcast = tensorflow.bitcast
        self.device = tensorflow.device
        self.identity = tensorflow.identity
        tensorflow.constant(0)  # DLPack needs the eager context, which the first tensor makes

    def stage(self, target: Any, array: Array) -> Any:
        if array.dtype.kind == "V":  # bfloat16, float8: DLPack has no name for them
            tensor = self.bitcast(self.from_dlpack(array.view(f"u{array.itemsize}").__dlpack__()), target.dtype)
        else:
            tensor = self.from_dlpack(array.__dlpack__())
        if "CPU" not in target.device.upper():
            with self.device(target.device):
                tensor = self.identity(tensor)
        return tensor

    def read(self, target: Any) -> Any:
        return self.read_op(resource=target.handle, dtype=target.dtype)

    copy = read  # a buffer that somebody holds is never written to

    def write(self, target: Any, value: Any) -> None:
        self.assign_op(resource=target.handle, value=value)


class _Jax:
    """By the variable's ``_direct_assign``; arrays are immutable, so the old one is kept as it is."""

    def __init__(self) -> None:
        jax: Any = sys.modules["jax"]
        self.put = jax.device_put

    def stage(self, target: Any, array: Array) -> Any:
        old = target._value
        # An array that was never placed must not be placed now: it could no longer meet those of another device.
        return self.put(array, old.sharding) if getattr(old, "committed", False) else self.put(array)

    def read(self, target: Any) -> Any:
        return target._value

    copy = read

    def write(self, target: Any, value: Any) -> None:
        target._direct_assign(value)


class _Torch:
    """By exchanging the parameter's storage; the old one stays as it is."""

    def __init__(self) -> None:
        self.torch: Any = sys.modules["torch"]

    def stage(self, target: Any, array: Array) -> Any:
        if array.dtype.kind == "V":
            tensor = self.torch.from_numpy(array.view(f"u{array.itemsize}")).view(target.dtype)
        else:
            tensor = self.torch.from_numpy(array)
        return tensor.to(device=target.device, dtype=target.dtype)

    def read(self, target: Any) -> Any:
        return target.data

    def copy(self, target: Any) -> Any:
        return target.data.clone()

    def write(self, target: Any, value: Any) -> None:
        target.data = value


class _NumPy:
    """By exchanging the array."""

    def stage(self, _: Any, array: Array) -> Any:
        return array

    def read(self, target: Any) -> Any:
        return target._value

    def copy(self, target: Any) -> Any:
        return np.array(target._value)

    def write(self, target: Any, value: Any) -> None:
        target._value = value


def _resource(value: Any) -> Any:
    """*value* when it is a plain resource variable of TensorFlow, else None."""
    if type(value).__name__ == "ResourceVariable" and getattr(value, "_caching_device", None) is None:
        return value
    return None


def _is_whole(parameter: Any) -> bool:
    """Whether a torch parameter has its storage for itself, as far as can be seen."""
    torch: Any = sys.modules["torch"]
    return (
        type(parameter) in (torch.nn.Parameter, torch.Tensor)
        and parameter.is_contiguous()
        and parameter.storage_offset() == 0
        and parameter.untyped_storage().nbytes() == parameter.numel() * parameter.element_size()
    )


def _refuse_scopes(model: Model) -> None:
    """Raises where a variable would not take a value now."""
    scope = model.keras.module("backend.common.stateless_scope")
    if scope is not None and scope.in_stateless_scope():
        raise RuntimeError("weights cannot be loaded inside a keras.StatelessScope: its variables take no values")
    tensorflow: Any = sys.modules.get("tensorflow") if model.keras.backend == "tensorflow" else None
    if tensorflow is not None and not tensorflow.executing_eagerly():
        raise RuntimeError("weights cannot be loaded while TensorFlow builds a graph: call this outside tf.function")


# --- arrays ----------------------------------------------------------------------------------------------------------


def _shape_of(variable: Any) -> tuple[int, ...]:
    shape = getattr(variable, "_shape", None)
    return shape if type(shape) is tuple else tuple(variable.shape)


def _dtype_of(variable: Any) -> np.dtype[Any]:
    """The dtype in which the variable is stored, whatever an autocast scope says."""
    own = getattr(variable, "_dtype", None)
    name = own if type(own) is str else getattr(own, "name", None) or variable.dtype.name
    known = _DTYPES.get(name)
    if known is None:
        try:
            known = np.dtype(name)
        except TypeError:
            import ml_dtypes

            known = np.dtype(getattr(ml_dtypes, name))
        _DTYPES[name] = known
    return known


_DTYPES: Final[dict[str, np.dtype[Any]]] = {}


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any], zero: bool = False) -> Array:
    """An array in memory aligned to ``ALIGNMENT``."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = (np.zeros if zero else np.empty)(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _cast(array: Array, dtype: np.dtype[Any]) -> Array:
    """*array* as *dtype*, writable, in C order and aligned: itself when it is that already.

    TensorFlow adopts memory of any alignment through DLPack, and aborts the process at the first operation that needs
    the alignment; so nothing else may pass.
    """
    if array.dtype == dtype and array.flags.carray and array.ctypes.data % ALIGNMENT == 0:
        return array
    if array.dtype.kind == "c" and dtype.kind != "c":
        array = array.real  # what the cast would do, with a warning; the report has said it
    result = _empty(array.shape, dtype)
    with np.errstate(all="ignore"):
        np.copyto(result, array, casting="unsafe")
    return result


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


class _Interrupts:
    """Counts SIGINT; lets the second one through unless ``hold`` was called."""

    def __init__(self) -> None:
        self.count = 0
        self.held = False
        self.raised = False

    def hold(self) -> None:
        """From now on nothing is let through."""
        self.held = True

    def check(self) -> None:
        """Ends what is going on when there was one."""
        if self.count:
            raise KeyboardInterrupt

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1 and not self.held:
            self.held = self.raised = True
            raise KeyboardInterrupt


@contextlib.contextmanager
def _interrupts_deferred() -> Iterator[_Interrupts]:
    """Keeps Ctrl-C from landing in the middle; it is delivered at the end to the handler that was there."""
    interrupts = _Interrupts()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before in (None, signal.SIG_IGN):
        yield interrupts
        return
    signal.signal(signal.SIGINT, interrupts)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupts.count and not interrupts.raised:
            if callable(before):
                before(signal.SIGINT, None)
            else:
                os.kill(os.getpid(), signal.SIGINT)
