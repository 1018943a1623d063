"""What cuDNN's recurrent layers saved, as the plain layers want it.

The formulas are those of ``tf_keras.src.saving.legacy.hdf5_format._convert_rnn_weights`` (2.21): the kernel of each
gate in Fortran's order, the recurrent kernel of each gate transposed; of the two biases a GRU keeps both as rows, an
LSTM their sum. Keras 3 converts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_RESET_AFTER = 314


def convert(plan: Any, targets: Sequence[int], arrays: list[Any]) -> list[Any]:
    """The arrays of a plan, those of cuDNN's layers converted in place.

    Parameters
    ----------
    plan : _core.Plan
        Names the biases that are cuDNN's: findings of code 314 that are no errors.
    targets : sequence of int
        Rows of the model's variables that the arrays are for.
    arrays : list of array
        Writable; kernels keep their shape, a bias ``(6 u,)`` becomes ``(2, 3 u)`` and ``(8 u,)`` becomes ``(4 u,)``.
    """
    found = [raw for raw in plan.findings if raw[0] == _RESET_AFTER and raw[1] != "error"]
    if not found:
        return arrays
    place = {target: at for at, target in enumerate(targets)}
    for raw in found:
        for row in dict.fromkeys((raw[5], *raw[10])):
            kernel, recurrent, bias = (place[row - back] for back in (2, 1, 0))
            gates = arrays[recurrent].shape[1] // arrays[recurrent].shape[0]
            arrays[kernel][...] = _each_gate(arrays[kernel], gates, lambda part: part.T.reshape(part.shape, order="F"))
            arrays[recurrent][...] = _each_gate(arrays[recurrent], gates, lambda part: part.T)
            arrays[bias] = _bias(arrays[bias], gates)
    return arrays


def _each_gate(kernel: Any, gates: int, change: Any) -> Any:
    return np.hstack([change(part) for part in np.hsplit(kernel, gates)])


def _bias(bias: Any, gates: int) -> Any:
    if gates == 3:
        return bias.reshape(2, -1)
    half = len(bias) // 2
    bias[:half] += bias[half:]
    return bias[:half]
