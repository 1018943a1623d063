"""A probe: what a model computes from inputs that anybody can make again, kept in the stamp of its weights.

    inputs by a rule, or the user's own --> model(inputs, training=False) --> a sample and norms of each output
                                                                      then --+
                                                                       now --+--> the difference, and what is allowed

A difference is ``max |then - now|`` over the sample (and of the root mean square, over all values), in parts of the
largest absolute value then. What a right load differs by was measured, with transformers, convolutions and recurrent
layers on CPUs:

    from run to run                       nothing
    TensorFlow, JAX and torch             float32 8e-7, float16 1.3e-3, bfloat16 1e-2

``TOLERANCES`` leaves room for deeper models and other processors; ``relu`` for ``gelu``, ``sin`` for ``cos`` and the
like differ by 1e-2 and more.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kwload import _core
from kwload.spec.described import Keras, keras_of
from kwload.stamps import domains, generator, running
from kwload.stamps.domains import ProbeError
from kwload.stamps.sidecar import SidecarError, lengths, need

SAMPLE: Final = 64
"""Values of each output that are kept."""
_MOST_OUTPUTS: Final = 256

TOLERANCES: Final[dict[str, tuple[float, float]]] = {
    "float64": (1e-12, 1e-11),
    "float32": (1e-5, 1e-4),
    "float16": (5e-3, 1e-2),
    "bfloat16": (3e-2, 6e-2),
    "quantized": (3e-2, 6e-2),
}
"""By the least precise type that a model computes in: on the backend and kind of device of then, and on another."""
_TF32: Final = 2e-3
"""For float32 where a GPU is on either side: its matrix products may keep ten bits."""


@dataclass(frozen=True, slots=True)
class Input:
    """What went into a model.

    Attributes
    ----------
    place : str
        Where in what the model is called with: ``""``, ``"0"``, ``"left"``.
    shape : tuple of int
    dtype : str
    limit : int or None
        Of whole numbers: they are below it.
    sum : str
        XXH3-128 of the user's own, in C order, little-endian; ``""`` for generated ones.
    """

    place: str
    shape: tuple[int, ...]
    dtype: str
    limit: int | None = None
    sum: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """What came out of a model.

    Attributes
    ----------
    place : str
        As for an input.
    shape : tuple of int
    dtype : str
    values : tuple of float
        Of at most ``SAMPLE`` places, evenly spread: flat index ``j * size // count``.
    rms, top : float
        Root of the mean square, and largest absolute value, of all values.
    """

    place: str
    shape: tuple[int, ...]
    dtype: str
    values: tuple[float, ...]
    rms: float
    top: float


@dataclass(frozen=True, slots=True)
class Probe:
    """What a model computed.

    Attributes
    ----------
    generator : str
        Which rule made the inputs; ``""`` for the user's own.
    inputs : tuple of Input
    outputs : tuple of Output
    keras, backend, device : str
        ``"Keras 3.15.1"``, ``"tensorflow"``, ``"cpu"``.
    precision : str
        The least precise type that the model computes in: a key of ``TOLERANCES``.
    """

    generator: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    keras: str
    backend: str
    device: str
    precision: str

    @property
    def where(self) -> str:
        """``"Keras 3.15.1, tensorflow on cpu"``."""
        return f"{self.keras}, {self.backend} on {self.device}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One output, then and now.

    Attributes
    ----------
    place : str
        Of the output.
    size : float
        In parts of the largest absolute value then; infinite for another shape, or NaN where there was a number.
    then, now : float or tuple of int
        The values that differ most; shapes, when these differ.
    """

    place: str
    size: float
    then: float | tuple[int, ...]
    now: float | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A probe held against a model.

    Attributes
    ----------
    then, now : Probe
    tolerance : float
        What was allowed.
    differences : tuple of Difference
        One for each output, in their order; empty when there are others than then.
    """

    then: Probe
    now: Probe
    tolerance: float
    differences: tuple[Difference, ...]

    @property
    def worst(self) -> float:
        """The largest difference; infinite when there are other outputs."""
        return max((item.size for item in self.differences), default=math.inf)

    @property
    def ok(self) -> bool:
        return self.worst <= self.tolerance


def make(model: Any, asked: Any) -> Probe:
    """Runs a model: twice, so that what is random is found.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
    asked : True or inputs
        True for generated inputs; else what the model is called with.

    Raises
    ------
    ProbeError
        Nothing says what the model takes, two runs differ, or nothing but NaN comes out.
    """
    keras = keras_of(model)
    given = _generated(model) if asked is True else _own(asked)
    try:
        first = _run(model, keras, *given, generated=asked is True)
    except ProbeError as error:
        raise (ProbeError(f"{error}: hand in inputs, probe=inputs") if asked is True else error) from error.__cause__
    if all(math.isnan(item.rms) or not item.values for item in first.outputs):
        inputs = "the inputs that kwload makes: hand in others, probe=inputs" if asked is True else "these inputs"
        raise ProbeError(f"no output of the model is a number for {inputs}")
    again = _run(model, keras, *given, generated=asked is True)
    held = _held(first, again)
    if not held.ok:
        raise ProbeError(f"the outputs of the model are not the same twice: they differ by {held.worst:.1e}")
    return first


def hold(model: Any, then: Probe, asked: Any) -> Held:
    """Runs a model as it was run then.

    Raises
    ------
    ProbeError
        The inputs are not those of then, or the model does not take them.
    """
    keras = keras_of(model)
    if then.generator:
        if asked is not True:
            raise ProbeError("the probe was made with generated inputs: ask for probe=True")
        if then.generator != generator.NAME:
            raise ProbeError("its inputs were made by a rule that this kwload does not know")
        arrays = [_values(number, item) for number, item in enumerate(then.inputs)]
        value = _packed(model, [item.place for item in then.inputs], arrays)
        return _held(then, _run(model, keras, value, list(then.inputs), generated=True))
    if asked is True:
        shapes = ", ".join(str(item.shape) for item in then.inputs)
        raise ProbeError(f"the probe was made with inputs of your own: hand them in, probe=inputs (shape {shapes})")
    value, inputs = _own(asked)
    if inputs != list(then.inputs):
        raise ProbeError("these are not the inputs that the probe was made with")
    return _held(then, _run(model, keras, value, inputs, generated=False))


# ---- inputs ----


def _generated(model: Any) -> tuple[Any, list[Input]]:
    inputs = [Input(place, given.shape, _plain(given.dtype), given.limit) for place, given in domains.of(model)]
    if sum(math.prod(item.shape) for item in inputs) > domains.MOST_VALUES:
        raise ProbeError("the inputs of the model are too large: hand in smaller ones, probe=inputs")
    arrays = [_values(number, item) for number, item in enumerate(inputs)]
    return _packed(model, [item.place for item in inputs], arrays), inputs


def _plain(dtype: str) -> str:
    """A type that every NumPy has: Keras casts it to the one that the input wants."""
    return "float32" if dtype.startswith(("bfloat", "float8")) else dtype


def _values(number: int, item: Input) -> np.ndarray[Any, Any]:
    if item.limit is not None:
        return generator.integers(number, item.shape, item.limit).astype(item.dtype)
    if item.dtype == "bool":
        return generator.booleans(number, item.shape)
    return generator.floats(number, item.shape).astype(item.dtype)


def _packed(model: Any, places: list[str], arrays: list[np.ndarray[Any, Any]]) -> Any:
    """The arrays in the form in which the model is called."""
    if places == [""]:
        return arrays[0]
    form = domains.form_of(model)
    left = iter(arrays)

    def pack(value: Any) -> Any:
        if isinstance(value, dict):
            made = {key: pack(value[key]) for key in sorted(value, key=str)}
            return {key: made[key] for key in value}
        if isinstance(value, (list, tuple)):
            return [pack(item) for item in value]
        return next(left)

    try:
        return pack(form)
    except StopIteration:
        raise ProbeError("the model takes other inputs than then") from None


def _own(value: Any) -> tuple[Any, list[Input]]:
    """The user's inputs, and what is kept of them."""
    inputs = []
    for place, item in running.flattened(value):
        array = np.ascontiguousarray(running._array(item))
        if array.dtype.kind not in "biufc":
            data = repr(array.tolist()).encode()  # texts
        else:
            data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        [found] = _core.digest(memoryview(data), [(0, len(data))])
        inputs.append(Input(place, tuple(array.shape), array.dtype.name, None, found.hex()))
    return value, inputs


# ---- outputs ----


def _run(model: Any, keras: Keras, value: Any, inputs: list[Input], *, generated: bool) -> Probe:
    try:
        made = running.outputs_of(model, value)
    except Exception as error:
        raise ProbeError(f"the model raised {type(error).__name__} when it was called") from error
    if len(made) > _MOST_OUTPUTS:
        raise ProbeError(f"the model has {len(made)} outputs")
    package = "Keras" if keras.flavour == "keras" else "tf_keras"
    return Probe(
        generator.NAME if generated else "",
        tuple(inputs),
        tuple(_output(place, array) for place, array in made),
        f"{package} {'.'.join(map(str, keras.version))}",
        keras.backend,
        _device(keras),
        _precision(model, [array for _, array in made]),
    )


def _output(place: str, array: np.ndarray[Any, Any]) -> Output:
    if array.dtype.kind not in "biufc" and array.dtype.name != "bfloat16":
        raise ProbeError(f"an output of the model is {array.dtype.name}")
    flat = np.abs(array).ravel() if array.dtype.kind == "c" else array.ravel()
    size = flat.size
    count = min(SAMPLE, size)
    at = [j * size // count for j in range(count)]
    wide = flat.astype(np.float64)
    with np.errstate(all="ignore"):
        rms = float(np.sqrt(np.mean(np.square(wide)))) if size else 0.0
        top = float(np.max(np.abs(wide))) if size else 0.0
    return Output(place, tuple(array.shape), array.dtype.name, tuple(float(wide[i]) for i in at), rms, top)


def _precision(model: Any, arrays: list[np.ndarray[Any, Any]]) -> str:
    """The least precise type that a model computes in."""
    found = {array.dtype.name for array in arrays}
    for layer in running._layers(model):
        policy = getattr(layer, "dtype_policy", None)
        name = str(getattr(policy, "name", ""))
        found.add("quantized" if "_from_" in name else str(getattr(layer, "compute_dtype", "")))
    for name in ("quantized", "bfloat16", "float16", "float32"):
        if name in found:
            return name
    return "float64" if "float64" in found else "float32"


def _device(keras: Keras) -> str:
    """``"cpu"`` or ``"gpu"``: where the backend computes."""
    if keras.backend == "tensorflow":
        tensorflow: Any = sys.modules.get("tensorflow")
        return "gpu" if tensorflow is not None and tensorflow.config.list_logical_devices("GPU") else "cpu"
    if keras.backend == "jax":
        jax: Any = sys.modules.get("jax")
        return str(jax.default_backend()) if jax is not None else "cpu"
    if keras.backend == "torch":
        torch: Any = sys.modules.get("torch")
        return "gpu" if torch is not None and torch.cuda.is_available() else "cpu"
    return "cpu"


# ---- then and now ----


def _held(then: Probe, now: Probe) -> Held:
    alike = [item.place for item in then.outputs] == [item.place for item in now.outputs]
    found = tuple(map(_difference, then.outputs, now.outputs)) if alike else ()
    return Held(then, now, _tolerance(then, now), found)


def _difference(then: Output, now: Output) -> Difference:
    if then.shape != now.shape:
        return Difference(then.place, math.inf, then.shape, now.shape)
    scale = then.top if 0 < then.top < math.inf else 1.0
    pairs = [*zip(then.values, now.values, strict=True), (then.rms, now.rms)]
    sizes = [_apart(a, b) / scale for a, b in pairs]
    worst = max(range(len(sizes)), key=sizes.__getitem__)
    return Difference(then.place, sizes[worst], *pairs[worst])


def _apart(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b) or math.isinf(a) or math.isinf(b):
        return 0.0 if a == b or (math.isnan(a) and math.isnan(b)) else math.inf
    return abs(a - b)


def _tolerance(then: Probe, now: Probe) -> float:
    names = list(TOLERANCES)
    precision = max(then.precision, now.precision, key=names.index)
    same, other = TOLERANCES[precision]
    alike = (then.backend, then.device) == (now.backend, now.device)
    if precision == "float32" and (then.device, now.device) != ("cpu", "cpu"):
        return _TF32
    return same if alike else other


# ---- as JSON ----


def to_tree(made: Probe) -> dict[str, Any]:
    """A probe as plain data."""
    return {
        "backend": made.backend,
        "device": made.device,
        "generator": made.generator,
        "inputs": [
            {"dtype": item.dtype, "limit": item.limit, "place": item.place, "shape": list(item.shape), "sum": item.sum}
            for item in made.inputs
        ],
        "keras": made.keras,
        "outputs": [
            {
                "dtype": item.dtype,
                "place": item.place,
                "rms": item.rms,
                "shape": list(item.shape),
                "top": item.top,
                "values": list(item.values),
            }
            for item in made.outputs
        ],
        "precision": made.precision,
    }


def from_tree(tree: dict[str, Any]) -> Probe:
    """A probe from plain data of anyone.

    Raises
    ------
    SidecarError
        Something in it is not what it should be.
    """
    precision = need(tree, "precision", str)
    inputs = [_input(item) for item in need(tree, "inputs", list)]
    outputs = [_stored(item) for item in need(tree, "outputs", list)]
    if precision not in TOLERANCES:
        raise SidecarError("`probe` was made with a type that this kwload does not know")
    if not 0 < len(outputs) <= _MOST_OUTPUTS or sum(math.prod(item.shape) for item in inputs) > domains.MOST_VALUES:
        raise SidecarError("`probe` has no outputs, or is too large")
    return Probe(
        need(tree, "generator", str),
        tuple(inputs),
        tuple(outputs),
        need(tree, "keras", str),
        need(tree, "backend", str),
        need(tree, "device", str),
        precision,
    )


_DTYPES: Final = frozenset(
    (
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
        "float64", "complex64", "complex128",
    )
)  # fmt: skip


def _input(tree: Any) -> Input:
    limit = need(tree, "limit", int, type(None))
    dtype, found = need(tree, "dtype", str), need(tree, "sum", str)
    if (not found and dtype not in _DTYPES) or (limit is not None and not 0 < limit <= 1 << 31):
        raise SidecarError("`probe` has inputs that cannot be made")
    shape = lengths(need(tree, "shape", list), "probe")
    return Input(need(tree, "place", str), shape, dtype, limit, found)


def _stored(tree: Any) -> Output:
    values = need(tree, "values", list)
    if len(values) > SAMPLE or not all(isinstance(item, (int, float)) for item in values):
        raise SidecarError("`probe` holds values that are none")
    rms, top = need(tree, "rms", int, float), need(tree, "top", int, float)
    shape = lengths(need(tree, "shape", list), "probe")
    if len(values) != min(SAMPLE, math.prod(shape)):
        raise SidecarError("`probe` holds too few values")
    place, dtype = need(tree, "place", str), need(tree, "dtype", str)
    return Output(place, shape, dtype, tuple(map(float, values)), float(rms), float(top))
