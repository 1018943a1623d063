"""What the axes of a layer's variables mean: `kernel` of a Dense is (input features, units).

From section 4.1 of the format notes: the order in which each Keras layer lays out the axes of its variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SPATIAL: Final = {
    1: ("kernel length",),
    2: ("kernel height", "kernel width"),
    3: ("kernel depth", "kernel height", "kernel width"),
}
_GATES: Final = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
_CELLS: Final = {"lstm_cell": "LSTM", "gru_cell": "GRU", "simple_rnn_cell": "SimpleRNN"}
_CHANNELS: Final = ("gamma", "beta", "moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev")
_PROJECTIONS: Final = ("query", "key", "value", "gate")


@dataclass(frozen=True, slots=True)
class Axis:
    """The meaning of one axis.

    Attributes
    ----------
    name : str
        ``"units"``, ``"input channels"``; ``"4 x units"`` where gates lie side by side.
    gates : int
        How many gates: the number that is asked for in code is the length divided by it.
    """

    name: str
    gates: int = 1

    def lengths(self, found: int, expected: int) -> str | None:
        """``"units: 64 in the file, 128 in the model"`` when the lengths themselves do not say it."""
        if self.gates == 1 or found % self.gates or expected % self.gates:
            return None
        name = self.name.rpartition(" x ")[2]
        return f"{name}: {found // self.gates} in the file, {expected // self.gates} in the model"


def axes_of(class_name: str, variable: str, path: str, rank: int) -> tuple[Axis, ...] | None:
    """The meaning of each axis, or None where it is not known.

    Parameters
    ----------
    class_name : str
        Class of the layer: ``"Dense"``.
    variable : str
        Name of the variable: ``"kernel"``.
    path : str
        Display path of the variable: the projections of an attention layer and the cells of a recurrent one are told
        by it.
    rank : int
        Number of axes that the variable has in the model.
    """
    parts = path.split("/")
    leaf = variable.rpartition("/")[2].partition(":")[0]
    cell = next((_CELLS[_stem(part)] for part in reversed(parts) if _stem(part) in _CELLS), None)
    names = _names(cell or class_name.removesuffix("Cell"), leaf, parts, rank)
    if names is None or len(names) != rank:
        return None
    return tuple(Axis(name, _gates(name)) for name in names)


def _stem(name: str) -> str:
    head, _, tail = name.rpartition("_")
    return head if tail.isdigit() else name


def _gates(name: str) -> int:
    head, _, rest = name.partition(" x ")
    return int(head) if rest and head.isdigit() else 1


def _names(kind: str, leaf: str, parts: list[str], rank: int) -> tuple[str, ...] | None:
    if kind in _GATES:
        return _recurrent(_GATES[kind], leaf, rank)
    if kind in ("EinsumDense", "MultiHeadAttention", "GroupedQueryAttention", "GroupQueryAttention"):
        return _attention(leaf, parts)
    if leaf in _CHANNELS:
        return ("channels",) if kind in ("BatchNormalization", "GroupNormalization") else ("features",) * rank
    if leaf == "bias":
        return _bias(kind)
    return _kernel(kind, leaf, rank)


def _recurrent(gates: int, leaf: str, rank: int) -> tuple[str, ...] | None:
    units = f"{gates} x units" if gates > 1 else "units"
    if leaf == "kernel":
        return ("input features", units)
    if leaf == "recurrent_kernel":
        return ("units", units)
    if leaf == "bias":
        return (units,) if rank == 1 else ("input and recurrent bias", units)
    return None


def _attention(leaf: str, parts: list[str]) -> tuple[str, ...] | None:
    place = parts[-2] if len(parts) > 1 else ""
    if place == "attention_output" or place.endswith("output_dense"):
        return ("heads", "value size", "output features") if leaf == "kernel" else ("output features",)
    projection = next((name for name in _PROJECTIONS if place in (name, f"{name}_dense", f"_{name}_dense")), None)
    if projection is None:
        return None
    size = "value size" if projection in ("value", "gate") else "key size (key_dim)"
    return (f"{projection} features", "heads", size) if leaf == "kernel" else ("heads", size)


def _bias(kind: str) -> tuple[str, ...] | None:
    if kind == "Dense":
        return ("units",)
    if kind.startswith("ConvLSTM"):
        return ("4 x filters",)
    if kind.startswith("DepthwiseConv"):
        return ("channels x depth multiplier",)
    if kind.startswith(("Conv", "SeparableConv")):
        return ("filters",)
    return None


def _kernel(kind: str, leaf: str, rank: int) -> tuple[str, ...] | None:
    if kind == "Dense" and leaf == "kernel":
        return ("input features", "units")
    if kind in ("Embedding", "ReversibleEmbedding", "TokenEmbedding") and leaf == "embeddings":
        return ("vocabulary size (input_dim)", "embedding size (output_dim)")
    if kind in ("Normalization", "RMSNormalization"):
        return ("features",) * rank
    spatial = _SPATIAL.get(rank - 2)
    if spatial is None:
        return None
    if kind.startswith("ConvLSTM"):
        return (*spatial, "input channels" if leaf == "kernel" else "filters", "4 x filters")
    if leaf == "depthwise_kernel" or kind.startswith("DepthwiseConv"):
        return (*spatial, "input channels", "depth multiplier")
    if leaf == "pointwise_kernel":
        return (*spatial, "channels x depth multiplier", "filters")
    if kind.startswith("Conv") and kind.endswith("Transpose"):
        return (*spatial, "filters", "input channels")
    if kind.startswith("Conv"):
        return (*spatial, "input channels", "filters")
    return None
