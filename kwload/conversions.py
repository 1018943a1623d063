"""Weights that are kept otherwise than today, as today's layers want them: Keras 1's, cuDNN's, Theano's.

The plan says which tensors a variable is made of and by which steps; here is what each step does to values. The
formulas are those of ``tf_keras.src.saving.legacy.hdf5_format.preprocess_weights_for_loading`` (2.21), and of
``convert_kernel`` of Keras 2.3 for ``flip``. Keras 3 converts nothing.

=====================================  =============================================================================
step                                   what it does
=====================================  =============================================================================
``join``                               puts the weights of all gates beside each other, along the last axis
``2310``, ``0132``, ...                moves axes: axis 2 becomes the first, axis 3 the second, ...
``flip``                               turns all axes but the last two around
``drop-1``                             leaves out axis 1, whose length is 1
``lstm-plain``, ``gru-plain``          the kernel of each gate from cuDNN's order of memory (Fortran's) to C's
``lstm-cudnn``, ``gru-cudnn``          the same the other way
``lstm-turn``, ``gru-turn``            transposes the recurrent kernel of each gate
``halves``, ``twice``                  adds cuDNN's two biases; half of a bias, twice
``rows``, ``flat``                     a bias in two rows, or in one
=====================================  =============================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import numpy as np


def sources(plan: Any) -> dict[int, list[int]]:
    """Row of a variable -> rows of all tensors of the file that it is made of, where these are several."""
    return {target: rows for target, rows, _ in plan.conversions if len(rows) > 1}


def convert(plan: Any, targets: Sequence[int], arrays: list[Any]) -> list[Any]:
    """The arrays of a plan, one for each variable, converted where the plan says so.

    Parameters
    ----------
    plan : _core.Plan
        Says what is done to which variable.
    targets : sequence of int
        Rows of the model's variables that the arrays are for, -1 for none. The arrays beside the first that are for
        one variable stand at the end, in the order in which they are joined.
    arrays : list of array
        Writable and nobody else's.

    Returns
    -------
    list of array
        As many as there are variables and -1 in *targets*, in their order.
    """
    if not plan.conversions:
        return arrays
    places: dict[int, list[int]] = {}
    for at, target in enumerate(targets):
        if target >= 0:
            places.setdefault(target, []).append(at)
    made = list(arrays)
    for target, _, steps in plan.conversions:
        if target in places:
            made[places[target][0]] = _made([arrays[at] for at in places[target]], steps)
    further = {at for several in places.values() for at in several[1:]}
    return [array for at, array in enumerate(made) if at not in further]


def _made(parts: Sequence[Any], steps: Sequence[str]) -> Any:
    array = parts[0]
    for step in steps:
        array = np.concatenate(parts, axis=-1) if step == "join" else _STEPS[step](array)
    return array


def _each_gate(gates: int, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda kernel: np.hstack([change(part) for part in np.hsplit(kernel, gates)])


def _memory(gates: int, order: Literal["C", "F"]) -> Callable[[Any], Any]:
    """Each gate's kernel as it is when cuDNN's memory is read in that order."""
    return _each_gate(gates, lambda part: part.T.reshape(part.shape, order=order))


def _flipped(kernel: Any) -> Any:
    return kernel[(slice(None, None, -1),) * (kernel.ndim - 2)]


def _axes(*order: int) -> Callable[[Any], Any]:
    return lambda kernel: kernel.transpose(order)


_STEPS: Final[dict[str, Callable[[Any], Any]]] = {
    "2310": _axes(2, 3, 1, 0),
    "2301": _axes(2, 3, 0, 1),
    "0132": _axes(0, 1, 3, 2),
    "23410": _axes(2, 3, 4, 1, 0),
    "drop-1": lambda kernel: kernel[:, 0],
    "flip": _flipped,
    "lstm-plain": _memory(4, "F"),
    "lstm-cudnn": _memory(4, "C"),
    "gru-plain": _memory(3, "F"),
    "gru-cudnn": _memory(3, "C"),
    "lstm-turn": _each_gate(4, lambda part: part.T),
    "gru-turn": _each_gate(3, lambda part: part.T),
    "halves": lambda bias: np.sum(np.split(bias, 2), axis=0),
    "twice": lambda bias: np.tile(0.5 * bias, 2),
    "rows": lambda bias: bias.reshape(2, -1),
    "flat": lambda bias: bias.reshape(-1),
}

__all__ = ["convert", "sources"]
