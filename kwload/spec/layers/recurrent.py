"""Recurrent layers: the variables belong to the cell, which is a sub-layer.

    LSTM --> cell (LSTMCell): kernel (I, 4u)  recurrent_kernel (u, 4u)  bias (4u,)        gates: 1, 3 (GRU) or 4

From ``keras/src/layers/rnn``, 3.15.1, and tf_keras 2.21.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from kwload.spec.layers.convolutional import settings
from kwload.spec.layers.inner import Inner, inner_of
from kwload.spec.layers.options import Options
from kwload.spec.layers.rule import Rule
from kwload.spec.layers.shapes import Length, at, one, ranked, window
from kwload.spec.layers.where import ConfigError, Where
from kwload.spec.signature import Shape, Shapes, Signature, Sub, Var

_OF_CELL = ("units", "use_bias", "reset_after", "trainable", "dtype", "dropout", "recurrent_dropout", "implementation")
_OF_CONV = ("rank", "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "use_bias")


def cell(gates: int, states: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """SimpleRNNCell, GRUCell, LSTMCell: gives ``[output, states]``."""
    shape = one(shapes)
    units = options.count("units", least=1)
    wide = gates * units
    parts = [Var("kernel", (at(shape, -1), wide)), Var("recurrent_kernel", (units, wide))]
    if options.flag("use_bias", True):
        twice = gates == 3 and options.flag("reset_after", where.flavour != "keras2")
        parts.append(Var("bias", (2, wide) if twice else (wide,)))
    state: Shape = (at(shape, 0), units)
    return Signature(tuple(parts), [state, [state] * states])


def cudnn(gates: int, states: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """CuDNNGRU and CuDNNLSTM (Keras 2): no cell, and two biases a gate."""
    shape = ranked(one(shapes), 3)
    units = options.count("units", least=1)
    parts = (Var("kernel", (shape[2], gates * units)), Var("recurrent_kernel", (units, gates * units)))
    bias = Var("bias", (2 * gates * units,))
    state: Shape = (shape[0], units)
    return Signature((*parts, bias), _returned(options, shape[0], shape[1], state, [state] * states))


def _returned(options: Options, batch: Length, steps: Length, output: Shapes, states: Shapes) -> Shapes:
    """What a recurrent layer gives of what its cell gives."""
    if isinstance(output, tuple) and output:
        tail = output[1:]
        output = (batch, steps, *tail) if options.flag("return_sequences", False) else (batch, *tail)
    else:
        output = None
    if not options.flag("return_state", False):
        return output
    if not isinstance(states, list):
        return None
    return [output, *states]


def _steps(options: Options, shape: Shape | None) -> tuple[Length, Length, Shape | None]:
    """Batch, steps, and what the cell is called on."""
    if shape is None or len(shape) < 2:
        return None, None, None
    if options.flag("time_major", False):
        return shape[1], shape[0], (shape[1], *shape[2:])
    return shape[0], shape[1], (shape[0], *shape[2:])


def layer(kind: str, name: str, options: Options, shapes: Shapes, where: Where) -> Signature:
    """SimpleRNN, GRU, LSTM."""
    config = {key: options.config[key] for key in _OF_CELL if key in options.config}
    if kind == "GRUCell" and "reset_after" not in config:
        config["reset_after"] = where.flavour != "keras2"
    return _around(Inner(kind, {"name": name, **config}), options, one(shapes), where, look=False)


def recurrent(options: Options, shapes: Shapes, where: Where) -> Signature:
    """RNN: around any cell, a list of which is a stack."""
    recorded = options.get("cell")
    if isinstance(recorded, list):
        options.layers("cell")
        inner = Inner("StackedRNNCells", {"name": "stacked_rnn_cells", "cells": recorded})
    else:
        inner = inner_of(recorded, "cell")
    return _around(inner, options, one(shapes), where)


def _around(inner: Inner, options: Options, shape: Shape | None, where: Where, look: bool = True) -> Signature:
    """A recurrent layer around a cell."""
    batch, steps, given = _steps(options, shape)
    own = None if look else _OWN[inner.kind]
    found = inner.signature(given, where) if own is None else own(Options(inner.config, where), given, where)
    gives = found.output_shape if found is not None else None
    output, states = gives if isinstance(gives, list) and len(gives) == 2 else (None, None)
    parts: tuple[Var | Sub, ...] = (inner.sub("cell", given),)
    if where.flavour == "keras2" and own is not None and found is not None:
        parts = found.parts  # stand-alone Keras names them after the layer, whose own they were before 2.0.9
    return Signature(parts, _returned(options, batch, steps, output, states))


def stacked(options: Options, shapes: Shapes, where: Where) -> Signature:
    """StackedRNNCells: each cell is fed with the output of the one before."""
    shape: Shapes = one(shapes)
    subs: list[Sub] = []
    states: list[Shapes] = []
    for recorded in options.layers("cells"):
        inner = inner_of(recorded, "cells")
        subs.append(inner.sub("", shape))
        found = inner.signature(shape, where)
        gives = found.output_shape if found is not None else None
        shape, own = gives if isinstance(gives, list) and len(gives) == 2 else (None, None)
        states.append(own[0] if isinstance(own, list) and len(own) == 1 else own)
    output: Shapes = [shape, states] if isinstance(shape, tuple) else None
    return Signature((Sub("cells", subs),), output)


def conv_cell(options: Options, shapes: Shapes, where: Where) -> Signature:
    """ConvLSTMCell: four gates, each a convolution."""
    rank = options.count("rank", least=1)
    if rank > 3:
        raise ConfigError("rank", "is above 3")
    said = settings(options, shapes, rank)
    filters = options.count("filters", least=1)
    parts = [Var("kernel", (*said.size, said.channels, 4 * filters))]
    parts.append(Var("recurrent_kernel", (*said.size, filters, 4 * filters)))
    if options.flag("use_bias", True):
        parts.append(Var("bias", (4 * filters,)))
    rows = zip(said.lengths, said.size, said.strides, said.dilation, strict=True)
    padding = "same" if said.padding == "causal" else said.padding
    state = said.output([window(length, size, stride, padding, by) for length, size, stride, by in rows], filters)
    return Signature(tuple(parts), [state, [state, state]])


def conv_layer(rank: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """ConvLSTM1D, ConvLSTM2D, ConvLSTM3D."""
    shape = ranked(one(shapes), rank + 3)
    config: dict[str, Any] = {"name": "conv_lstm_cell"}
    config |= {key: options.config[key] for key in (*_OF_CONV, "trainable", "dtype") if key in options.config}
    config["rank"] = rank
    return _around(Inner("ConvLSTMCell", config), options, shape, where, look=False)


_OWN: dict[str, Rule] = {
    "SimpleRNNCell": partial(cell, 1, 1),
    "GRUCell": partial(cell, 3, 1),
    "LSTMCell": partial(cell, 4, 2),
    "ConvLSTMCell": conv_cell,
}

LAYERS: dict[str, Rule] = {
    **_OWN,
    "ConvLSTM2DCell": conv_cell,
    "StackedRNNCells": stacked,
    "RNN": recurrent,
    "SimpleRNN": partial(layer, "SimpleRNNCell", "simple_rnn_cell"),
    "GRU": partial(layer, "GRUCell", "gru_cell"),
    "LSTM": partial(layer, "LSTMCell", "lstm_cell"),
    "GRUV2": partial(layer, "GRUCell", "gru_cell"),
    "LSTMV2": partial(layer, "LSTMCell", "lstm_cell"),
    "CuDNNGRU": partial(cudnn, 3, 1),
    "CuDNNLSTM": partial(cudnn, 4, 2),
    **{f"ConvLSTM{rank}D": partial(conv_layer, rank) for rank in (1, 2, 3)},
}
