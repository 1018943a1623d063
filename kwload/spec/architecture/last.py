"""The shapes that layers are called with, and the layers whose ``axis`` is the last of these, so that it is the same to
leave it away (-1 is the default).

    Concatenate(axis=3) of shapes (None, 8, 8, 64), (None, 8, 8, 32)    the last
    Softmax(axis=1) of the shape (None, 4, 3)                           another

Keras before 3.9 leaves it away when it reads an ``.h5`` file (``saving_utils.model_from_config``).
"""

from __future__ import annotations

from typing import Final

from kwload.spec.architecture.entries import Raw, config_of, full_name, layers_of, name_of
from kwload.spec.architecture.flow import Flow
from kwload.spec.architecture.make import Maker
from kwload.spec.architecture.things import ArchitectureError
from kwload.spec.described import Keras
from kwload.spec.signature import Shapes

_DEEPEST: Final = 60


def with_last_axis(tree: Raw, keras: Keras) -> set[tuple[str, str, int]]:
    """Class, name and ``axis`` of the layers of which that is sure, in models within models too.

    Parameters
    ----------
    tree : mapping
        The architecture as it is stored.
    keras : Keras
        Which Keras makes it.
    """
    found: dict[tuple[str, str, int], bool] = {}
    for layer, given in inputs_of(tree, keras):
        axis = config_of(layer).get("axis")
        if type(axis) is int:
            key = (full_name(layer), name_of(layer) or "", axis)
            found[key] = found.get(key, True) and _rank(given) == axis + 1 and _is_called_once(layer)
    return {key for key, last in found.items() if last}


def inputs_of(tree: Raw, keras: Keras) -> list[tuple[Raw, Shapes]]:
    """The layers of a model, and of models within it, each with the shape that it is first called with; None for one
    that is not known. None at all when no model can be made."""
    maker = Maker(keras, {})
    found: list[tuple[Raw, Shapes]] = []
    todo: list[tuple[Raw, Shapes, int]] = [(tree, None, 0)]
    try:
        while todo:
            raw, given, depth = todo.pop()
            flow = Flow(raw, given, maker.output)
            for layer in layers_of(raw) or []:
                if layers_of(layer) is not None and depth < _DEEPEST:
                    todo.append((layer, flow.input_of(layer), depth + 1))
                else:
                    found.append((layer, flow.input_of(layer)))
    except ArchitectureError:
        return []
    return found


def _rank(shapes: Shapes) -> int | None:
    """How many axes a tensor has, or each of several; None when that is not known."""
    several = shapes if isinstance(shapes, list) else [shapes]
    ranks = {len(shape) if isinstance(shape, tuple) else None for shape in several}
    return ranks.pop() if len(ranks) == 1 else None


def _is_called_once(layer: Raw) -> bool:
    nodes = layer.get("inbound_nodes")
    return not isinstance(nodes, list) or len(nodes) < 2
