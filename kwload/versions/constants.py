"""`Normalization` layers that were given mean and variance: these must fit the axes that the layer keeps.

    mean 1.0, input (None, 3)          Keras before 3.8 reshapes it to (1, 3), which fails; newer ones repeat it
    mean [1, 2, 3], input (None, 4)    fails in all, as after a change by hand

``Normalization.build`` of tf_keras 2.21 and of Keras 3.0 to 3.15; the errors of Keras 3 are those of TensorFlow.
"""

from __future__ import annotations

from math import prod
from typing import Any, Final

from kwload.versions.outcome import RaisedError
from kwload.versions.reader import Reader

_MOST_AXES: Final = 8
_SAID: Final = "the mean of a `Normalization` does not fit its input"


def is_one_number(inner: Any) -> bool:
    """Whether a layer's given mean is the same along every axis."""
    mean = inner.get("mean")
    return mean is not None and prod(_shape(mean) or (0,)) == 1


def misfits(config: Any, reader: Reader, *, is_hdf5: bool) -> dict[int, RaisedError]:
    """What building a layer raises, by the ``id`` of the layer in the stored architecture.

    Parameters
    ----------
    config : object
        The stored architecture.
    reader : Reader
        Whose ``load_model``.
    is_hdf5 : bool
        Whether it is an ``.h5`` file, in which Keras loses some axes and which records no shapes.
    """
    from kwload.spec.architecture.entries import built_with, config_of, full_name
    from kwload.spec.architecture.itself import bare
    from kwload.spec.architecture.last import inputs_of
    from kwload.spec.architecture.target import release

    found: dict[int, RaisedError] = {}
    keras, is_made = release(reader.flavour, reader.version), is_hdf5 or not reader.is_3
    unshaped = bare(config) if is_made else None
    shapes = [shape for _, shape in inputs_of(unshaped if unshaped is not None else config, keras)]
    for (layer, _), given in zip(inputs_of(config, keras), shapes, strict=False):
        inner = config_of(layer)
        if full_name(layer) != "Normalization" or inner.get("mean") is None:
            continue
        built = built_with(layer)
        shape = built if built is not None and not is_made else given
        mean = _shape(inner["mean"])
        if not isinstance(shape, tuple) or mean is None:
            continue
        kept = _kept(inner.get("axis", -1), len(shape), reader, is_hdf5=is_hdf5)
        wanted = tuple(length if at in kept else 1 for at, length in enumerate(shape))
        lengths = [length for length in wanted if length is not None]
        if len(lengths) < len(wanted):
            continue
        if (error := _error(mean, lengths, kept, reader)) is not None:
            found[id(layer)] = error
    return found


def _error(mean: tuple[int, ...], wanted: list[int], kept: set[int], reader: Reader) -> RaisedError | None:
    """What a mean of this shape raises; None when nothing, or that is not known."""
    is_row = kept == {len(wanted) - 1} and len(mean) == 1
    is_other = is_row and mean[0] not in (1, wanted[-1]) and wanted[-1] != 1
    if not reader.is_3:
        return RaisedError("ValueError", "operands could not be broadcast together with shapes ") if is_other else None
    if reader.version < (3, 8, 0):
        operation = "Reshape" if prod(mean) != prod(wanted) else ""
    else:
        operation = "BroadcastTo" if is_row and mean[0] not in (1, wanted[-1]) else ""
    if not operation:
        return None
    return RaisedError("InvalidArgumentError", f"{{{{function_node __wrapped__{operation}_device_", _SAID)


def _kept(axis: Any, rank: int, reader: Reader, *, is_hdf5: bool) -> set[int]:
    """The axes that are kept, as this Keras reads them."""
    several = axis if isinstance(axis, list) else [] if axis is None else [axis]
    lost = len(several) != 1 or (not isinstance(axis, list) and reader.version < (3, 9, 0))
    if is_hdf5 and reader.is_3 and lost:
        several = [-1]
    return {at % rank for at in several if type(at) is int} if rank else set()


def _shape(value: Any) -> tuple[int, ...] | None:
    """The shape of nested lists of numbers; None for anything else."""
    shape: list[int] = []
    for _ in range(_MOST_AXES):
        if not isinstance(value, list):
            return tuple(shape) if isinstance(value, (int, float)) else None
        shape.append(len(value))
        if not value:
            return None
        value = value[0]
    return None
