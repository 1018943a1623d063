"""Functions of tensors that a model has among its layers: which shape they give.

    Keras 3    {"module": "keras.src.ops.numpy", "class_name": "ExpandDims", "config": {"axis": 1}, ...}
    tf_keras   {"class_name": "TFOpLambda", "config": {"function": "expand_dims"}, ...}, called with {"axis": 1}

Both are looked up under one name, ``expand_dims``. They have no variables. What is not in the table is not known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kwload.spec.layers import operation_rules as rules
from kwload.spec.layers.operation_arguments import Bound, Tensor, UnknownShape
from kwload.spec.layers.rule import words
from kwload.spec.layers.shapes import clean
from kwload.spec.signature import Shapes

__all__ = ["Tensor", "operation_shape"]

Operation: TypeAlias = Callable[[Bound], Shapes]


@dataclass(frozen=True, slots=True)
class _Entry:
    rule: Operation
    names: tuple[str, ...]


def _entries() -> dict[str, _Entry]:
    found = {name: _Entry(rules.same, ("x",)) for name in words(_SAME)}
    found |= {name: _Entry(rules.pairwise, ("x", "y")) for name in words(_PAIRWISE)}
    found |= {name: _Entry(rules.reduced, ("x", "axis", "keepdims")) for name in words(_REDUCED)}
    for line in _OTHERS.strip().splitlines():
        name, rule, *names = line.split()
        found[name] = _Entry(getattr(rules, rule), tuple(names))
    return found


_SAME: Final = """
    abs absolute arccos arccosh arcsin arcsinh arctan arctanh cast ceil celu clip clip_by_value conj cos cosh
    digitize elu erf erfinv exp expm1 fix flip floor gelu hard_shrink hard_sigmoid hard_silu
    hard_swish hard_tanh identity imag isfinite isinf isnan isposinf l2_normalize leaky_relu log log10 log1p log2
    log_sigmoid log_softmax logical_not mish nan_to_num negative neg normalize ones_like polynomial real reciprocal
    relu relu6 rint roll round rsqrt selu sigmoid sign silu sin sinh soft_shrink softmax softplus softsign
    sparse_plus sparsemax sqrt square squareplus stop_gradient swish tan tanh tanh_shrink threshold tril triu trunc
    zeros_like
    """

_PAIRWISE: Final = """
    add arctan2 atan2 bitwise_and bitwise_or bitwise_xor div divide divide_no_nan equal floor_divide floordiv
    floormod greater greater_equal less less_equal logaddexp logical_and logical_or logical_xor maximum minimum mod
    multiply multiply_no_nan not_equal power pow realdiv squared_difference subtract true_divide truediv xdivy xlogy
    """

_REDUCED: Final = """
    all amax amin any average count_nonzero logsumexp max mean median min nanmax nanmean nanmin nansum prod
    reduce_all reduce_any reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_std reduce_sum
    reduce_variance std sum var
    """

_OTHERS: Final = """
    argmax index_of x axis keepdims
    argmin index_of x axis keepdims
    broadcast_to broadcast_to x shape
    cumprod cumulated x axis
    cumsum cumulated x axis
    concat concatenated xs axis
    concatenate concatenated xs axis
    einsum einsum subscripts xs
    expand_dims expand_dims x axis
    flatten ravel x
    gather taken x indices validate_indices axis
    getitem getitem x key
    get_item getitem x key
    matmul matmul x y
    one_hot one_hot x num_classes axis
    pad padded x pad_width
    permute_dimensions transposed x axes
    ravel ravel x
    repeat repeated x repeats axis
    reshape reshaped x newshape
    shape shape_itself x
    split split x indices_or_sections axis
    squeeze squeezed x axis
    stack stacked xs axis
    swapaxes swapped x axis1 axis2
    take taken x indices axis
    tile tiled x repeats
    transpose transposed x axes
    unstack unstacked x num axis
    where chosen condition x y
    """

_TABLE: Final = _entries()

_ALIASES: Final = {
    "a": "x",
    "array": "x",
    "b": "y",
    "begin": "start",
    "depth": "num_classes",
    "dim": "axis",
    "equation": "subscripts",
    "input": "x",
    "input_tensor": "x",
    "inputs": "x",
    "keep_dims": "keepdims",
    "multiples": "repeats",
    "num_or_size_splits": "indices_or_sections",
    "paddings": "pad_width",
    "params": "x",
    "perm": "axes",
    "shape": "newshape",
    "slice_spec": "key",
    "tensor": "x",
    "values": "xs",
}
"""How TensorFlow calls the same arguments."""


def canonical(name: str) -> str:
    """The name in the table: ``expand_dims`` of ``"ExpandDims"`` and of ``"compat.v1.expand_dims"``."""
    last = name.rpartition(".")[2][:64]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", last).lower()


def operation_shape(name: str, module: str | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Shapes:
    """What a function of tensors gives.

    Parameters
    ----------
    name : str
        Class of Keras 3 (``"ExpandDims"``) or function of tf_keras (``"math.reduce_mean"``, ``"concat"``).
    module : str or None
        ``"keras.src.ops.numpy"``; None for a function of TensorFlow.
    args : sequence
        Positional arguments in order: :class:`Tensor` for tensors, lists of such, and what JSON holds for the rest.
    kwargs : mapping
        The others by name: for Keras 3 those of the config (``axis``) and of the call.

    Returns
    -------
    Shapes
        None where it is not known; a list for several outputs.
    """
    if module is not None and not module.startswith(("keras.", "tf_keras.", "tensorflow.")):
        return None
    entry = _TABLE.get(canonical(name))
    if entry is None:
        return None
    found: dict[str, Any] = {}
    for key, value in kwargs.items():
        found[key if key in entry.names else _ALIASES.get(key, key)] = value
    free = [key for key in entry.names if key not in found]
    given = list(args)
    if free and len(given) > len(free):  # einsum takes any number of tensors
        given[len(free) - 1 :] = [given[len(free) - 1 :]]
    found.update(zip(free, given, strict=False))
    try:
        return clean(entry.rule(Bound(found, module is not None)))
    except UnknownShape:
        return None
