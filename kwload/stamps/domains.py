"""What a model takes: shape and type of each input, and for numbers of words or classes how many there are.

An input is followed through layers that hand its values on, to the layer that looks numbers up in a table:

    input --> Dropout, Reshape, Masking, a nested model, ... --> Embedding(input_dim), CategoryEncoding(num_tokens)
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

UNKNOWN_LENGTH: Final = 32
"""Length of an axis that any length may have."""
UNKNOWN_SIDE: Final = 96
"""Height and width of a picture of any size: what is halved five times still has three pixels."""
BATCH: Final = 2
MOST_VALUES: Final = 1 << 26
"""Of all inputs of a probe."""

_TABLES: Final = {"Embedding": "input_dim", "ReversibleEmbedding": "input_dim", "CategoryEncoding": "num_tokens"}
_THROUGH: Final = frozenset(
    (
        "Identity", "Reshape", "Flatten", "Permute", "RepeatVector", "Masking", "Dropout", "SpatialDropout1D",
        "TimeDistributed", "Lambda", "Cast", "ExpandDims", "Squeeze", "GetItem", "SlicingOpLambda", "Slice", "Split",
        "Unstack", "Stack", "Concatenate", "Transpose", "InputLayer",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Given:
    """An input of a model.

    Attributes
    ----------
    name : str
        Its own.
    shape : tuple of int
        With the batch.
    dtype : str
    limit : int or None
        Numbers are below it; None for what is no number of anything.
    known : bool
        False when it takes whole numbers and nothing says how large they may be: they are 0 and 1.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    limit: int | None = None
    known: bool = True


class ProbeError(ValueError):
    """A model that cannot be probed as asked; the text says why."""


def of(model: Any) -> list[tuple[str, Given]]:
    """The inputs of a model, with their places in what it is called with.

    Raises
    ------
    ProbeError
        It is not built, or nothing says what it takes.
    """
    from kwload.stamps.running import flattened

    inputs = form_of(model)
    if inputs is None:
        return [("", _of_shape(model))]
    return [(place, _given(model, tensor)) for place, tensor in flattened(inputs)]


def form_of(model: Any) -> Any:
    """The tensors that a model is called with, in its own lists and dicts; None for one that is no graph."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None
    try:
        return model.input
    except Exception:  # noqa: BLE001 - a Sequential of Keras 3 says it in `inputs` only
        return inputs[0] if len(inputs) == 1 else list(inputs)


def _of_shape(model: Any) -> Given:
    """The one input of a model that is no graph, by the shape that it was built with."""
    config = getattr(model, "get_build_config", lambda: None)()
    shape = config.get("input_shape") if isinstance(config, dict) else None
    if not isinstance(shape, (list, tuple)) or not shape or not all(isinstance(n, (int, type(None))) for n in shape):
        raise ProbeError("nothing says what the model takes: hand in inputs, probe=inputs")
    limit = _least(model)
    return Given("", _whole(shape), "float32" if limit is None else "int32", limit)


def _given(model: Any, tensor: Any) -> Given:
    dtype = getattr(tensor.dtype, "name", None) or str(tensor.dtype)
    if dtype in ("string", "object") or dtype.startswith(("str", "complex")) or getattr(tensor, "sparse", False):
        raise ProbeError(f"an input of the model is {dtype}: hand in inputs, probe=inputs")
    name = str(getattr(tensor, "name", ""))
    shape = _whole(tuple(tensor.shape))
    limit = _followed(model, tensor)
    whole = dtype.startswith(("int", "uint"))
    if limit is None and whole:
        limit = _least(model)
        return Given(name, shape, dtype, limit or 2, known=limit is not None)
    return Given(name, shape, dtype, limit)


def _whole(shape: Any) -> tuple[int, ...]:
    """A shape with a length for each axis: the batch, then those that it has."""
    first = shape[0] if shape and shape[0] is not None else BATCH
    unknown = UNKNOWN_SIDE if len(shape) == 4 and list(shape[1:]).count(None) >= 2 else UNKNOWN_LENGTH
    return (int(first), *(unknown if n is None else int(n) for n in shape[1:]))


def _limit(layer: Any) -> int | None:
    """How many numbers a layer can look up."""
    key = _TABLES.get(type(layer).__name__)
    value = getattr(layer, key, None) if key else None
    return min(int(value), 1 << 31) if isinstance(value, int) and value > 0 else None


def _least(model: Any) -> int | None:
    """The smallest table in a model: what is below it every layer can look up."""
    from kwload.stamps.running import _layers

    found = [limit for limit in map(_limit, _layers(model)) if limit is not None]
    return min(found, default=None)


def _followed(model: Any, tensor: Any) -> int | None:
    """The smallest table that the values of an input reach; None when they reach none."""
    consumers = _consumers(model)
    todo, seen, found = deque([id(tensor)]), set(), []
    while todo:
        at = todo.popleft()
        if at in seen:
            continue
        seen.add(at)
        for layer, place, outputs in consumers.get(at, ()):
            limit = _limit(layer)
            if limit is not None:
                found.append(limit)
            elif type(layer).__name__ in _THROUGH:
                todo.extend(outputs)
            elif (inside := getattr(layer, "inputs", None)) and place < len(inside) and layer is not model:
                consumers |= {key: item for key, item in _consumers(layer).items() if key not in consumers}
                todo.append(id(inside[place]))
    return min(found, default=None)


def _consumers(model: Any) -> dict[int, list[tuple[Any, int, list[int]]]]:
    """For each tensor of a graph the layers that take it, at which place, and what comes out."""
    found: dict[int, list[tuple[Any, int, list[int]]]] = {}
    for layer in getattr(model, "operations", None) or getattr(model, "layers", None) or ():
        for node in getattr(layer, "_inbound_nodes", ()):
            taken, made = _ends(node)
            for place, tensor in enumerate(taken):
                found.setdefault(id(tensor), []).append((layer, place, [id(each) for each in made]))
    return found


def _ends(node: Any) -> tuple[list[Any], list[Any]]:
    """The tensors that go into a node of a graph and that come out of it."""
    if hasattr(node, "input_tensors") and hasattr(node, "output_tensors"):
        from kwload.stamps.running import flattened

        taken = [each for _, each in flattened(node.input_tensors)]
        return taken, [each for _, each in flattened(node.output_tensors)]
    return [], []
