"""Users' own classes and functions in a stored model, wherever they stand: which are not known, and which are and do
not take what is stored for them.

    model_config      layers, wrappers, cells, models    -> layer
                      *_initializer, *_regularizer, …    -> initializer, …
                      activation, recurrent_activation   -> activation, by object or by name
    compile_config    loss, metrics, optimizer           -> loss, metric, optimizer, by object or by name
    training_config   the same in `.h5`

Keras stops at the first; here all are found. Nothing that a config names is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from kwload.versions import classes, own
from kwload.versions.differences import GRAPH, TF_OPERATIONS, Difference
from kwload.versions.known import REGISTERED, UNEXPORTED, imports, is_function, is_keras, knows
from kwload.versions.names import Config
from kwload.versions.reader import Reader

_MOST_OBJECTS: Final = 200_000

_SPACES: Final = {
    "layer": "layers",
    "initializer": "initializers",
    "regularizer": "regularizers",
    "constraint": "constraints",
    "activation": "activations",
    "loss": "losses",
    "metric": "metrics",
    "optimizer": "optimizers",
}
"""What an object is used as -> the namespace that Keras looks its class up in."""

_LAYERS: Final = frozenset({"layers", "layer", "backward_layer", "cell", "cells"})
_ENDS: Final = frozenset({"initializer", "regularizer", "constraint", "activation"})
_COMPILED: Final = {
    "loss": "loss",
    "metrics": "metric",
    "weighted_metrics": "metric",
    "optimizer": "optimizer",
    "optimizer_config": "optimizer",
}
_BY_NAME: Final = frozenset({"activation", "loss", "metric", "optimizer"})
"""What a plain text can stand for."""

_BY_NAME_ALONE: Final = frozenset({"TimeDistributed", "Wrapper", "SpectralNormalization"})
"""Wrappers of Keras 2 that read what they hold as ``.h5`` files are read, in a ``.keras`` archive too."""

_PASSED: Final = frozenset({"build_config", "inbound_nodes", "dtype", "input_layers", "output_layers", "fn_kwargs"})
_HIDDEN: Final = frozenset(
    [
        "AddLoss",
        "AddMetric",
        "BaseRandomLayer",
        "DeviceWrapper",
        "DropoutWrapper",
        "ResidualWrapper",
        "GRUCellV1",
        "GRUCellV2",
        "GRUV1",
        "GRUV2",
        "LSTMCellV1",
        "LSTMCellV2",
        "LSTMV1",
        "LSTMV2",
        "SyncBatchNormalization",
        "SequenceFeatures",
        "DenseFeatures",
        "LinearModel",
        "WideDeepModel",
        "CuDNNGRU",
        "CuDNNLSTM",
        "BatchNormalizationV1",
        "BatchNormalizationV2",
    ]
)
"""Layers of Keras 2 that are no part of its interface."""


class _Place(NamedTuple):
    """Where a part of a config stands."""

    role: str
    layer: str
    """Path of the layer that it is part of."""
    plain: bool
    """Whether a text here is a name that Keras looks up."""
    item: Any
    root: bool = False
    by_name: bool = False
    """Whether it stands where Keras 2 looks a class up by its own name, whatever it is registered as."""


def find(config: Any, training: Any, reader: Reader, custom: Mapping[str, Any], *, is_hdf5: bool) -> list[Difference]:
    """All of them in the order of the config, each once with the layers that have it.

    Parameters
    ----------
    config : object
        The stored architecture.
    training : object
        The stored training config of an ``.h5`` file, None when there is none.
    reader : Reader
        The Keras that is to read it.
    custom : mapping
        What is handed in or registered, by name.
    is_hdf5 : bool
        Whether it is an ``.h5`` file, whose layers are looked up by class name.

    Returns
    -------
    list of Difference
        ``custom`` for what is not known, *where* of a function that Keras finds by no name ``"function"``;
        ``shadowed`` for what Keras takes a class of its own for; ``argument`` and ``lacks`` for a key that the
        constructor of a known class does not take, or needs and is not stored.
    """
    found: dict[tuple[str, str, str, str], Difference] = {}
    for place in _places(config, training):
        for difference in _of(place, reader, custom, is_hdf5=is_hdf5):
            key = (difference.kind, difference.name, difference.where, difference.role)
            kept = found.setdefault(key, difference)
            if place.layer and place.layer not in kept.layers[-1:]:
                kept.layers.append(place.layer)
    return list(found.values())


def _places(config: Any, training: Any) -> Iterator[_Place]:
    """Every object and name in a stored model, with what it is used as."""
    stack = [*_compiled(training)[::-1], _Place("layer", "", False, config, root=True)]
    for _ in range(_MOST_OBJECTS):
        if not stack:
            return
        place = stack.pop()
        item = place.item
        if isinstance(item, list):
            stack += [place._replace(item=each, root=False) for each in reversed(item)]
        elif isinstance(item, str):
            if place.plain:
                yield place
        elif isinstance(item, dict) and isinstance(item.get("class_name"), str):
            place = _named(place)
            yield place
            if not item["class_name"].startswith("__"):
                stack += _inside(place)[::-1]
        elif isinstance(item, dict):
            if place.role in _COMPILED.values():  # by output: the keys are names of outputs
                stack += [place._replace(item=each) for each in reversed(item.values())]
            else:
                stack += _keys(item, place, built_in=False)[::-1]


def _named(place: _Place) -> _Place:
    """A layer's place, with its own name at the end of the path; the model itself has none."""
    inner = place.item.get("config")
    name = inner.get("name") if isinstance(inner, dict) else None
    name = name if isinstance(name, str) else place.item.get("name")
    if place.role != "layer" or place.root or not isinstance(name, str):
        return place
    return place._replace(layer=f"{place.layer}/{name}" if place.layer else name)


def _inside(place: _Place) -> list[_Place]:
    """What stands in the config of an object."""
    item, inner = place.item, place.item.get("config")
    graph = item["class_name"] in GRAPH
    found: list[_Place] = []
    if isinstance(inner, list) and graph:  # a Sequential of Keras 1
        found.append(_Place("layer", place.layer, False, inner))
    elif isinstance(inner, dict):
        found += _keys(inner, place, built_in=is_keras(item.get("module")) or not item.get("module"))
    return found + _compiled(item.get("compile_config"))


def _keys(inner: Config, place: _Place, *, built_in: bool) -> list[_Place]:
    found = []
    for key, value in inner.items():
        end = key.rpartition("_")[2]
        if key in _PASSED or not isinstance(value, (dict, list, str)):
            continue
        role = "layer" if key in _LAYERS else end if end in _ENDS else "object"
        by_name = key == "layer" and place.item.get("class_name") in _BY_NAME_ALONE
        if key == "fn" and place.role in ("loss", "metric"):
            role = place.role
        plain = role in _BY_NAME and built_in and (place.role == "layer" or key == "fn")
        if plain or not isinstance(value, str):
            found.append(_Place(role, place.layer, plain, value, by_name=by_name))
    return found


def _compiled(config: Any) -> list[_Place]:
    """What a model was compiled with."""
    if not isinstance(config, dict):
        return []
    return [_Place(role, "", True, config[key]) for key, role in _COMPILED.items() if key in config]


# ---- one object ----


def _of(place: _Place, reader: Reader, custom: Mapping[str, Any], *, is_hdf5: bool) -> Iterator[Difference]:
    item = place.item
    if isinstance(item, str):
        known = item in custom or knows(reader, _SPACES[place.role], item)
        if not known and not _is_elsewhere(place.role, item):
            yield Difference("custom", item, item, role=place.role)
        return
    name, inner = item["class_name"], item.get("config")
    by_name = not reader.is_3 and (is_hdf5 or place.by_name) and "module" in item
    if name == "function":
        for each in _function(place, reader, custom):
            yield replace(each, where="function") if by_name else each
    elif by_name:
        yield from _by_name(place, reader, custom)
    elif not name.startswith("__") and not (name in GRAPH and _is_own_graph(item)):
        sought = _sought(item)
        handed = _handed(item, place.role, reader, custom, is_hdf5=is_hdf5)
        if handed is not None:
            yield from _arguments(handed, name, inner, place.role, reader)
        elif _is_unknown(item, place, reader):
            yield Difference("custom", sought, name, role=place.role, module=_module(item))
        elif ">" in sought and sought not in REGISTERED and _is_shadowed(place, reader):
            yield Difference("shadowed", sought, name, role=place.role)


def _by_name(place: _Place, reader: Reader, custom: Mapping[str, Any]) -> Iterator[Difference]:
    """What Keras 2 looks up by a class's own name, though it is registered as another."""
    item, role = place.item, place.role
    name, registered = item["class_name"], _sought(item)
    if name in custom:
        yield from _arguments(custom[name], name, item.get("config"), role, reader)
    elif role in _SPACES and not is_keras(item["module"]) and not name.startswith("__"):
        if not _is_unknown({"class_name": name}, place, reader):
            if ">" in registered:
                yield Difference("shadowed", registered, name, role=role)
        else:
            yield Difference("custom", name, name, role=role)


def _is_shadowed(place: _Place, reader: Reader) -> bool:
    """Whether it is a place where Keras 2 looks among its own classes first."""
    return not reader.is_3 and place.role in _SPACES and "module" in place.item


def _is_own_graph(item: Config) -> bool:
    """Whether a model is Keras's own, and no class of the user's that has the same name."""
    return not item.get("module") or is_keras(item["module"])


def _function(place: _Place, reader: Reader, custom: Mapping[str, Any]) -> Iterator[Difference]:
    item = place.item
    name, registered = item.get("config"), item.get("registered_name")
    if not isinstance(name, str):
        return
    module = _module(item)
    if name in custom or registered in custom or is_keras(module):
        return
    if module in ("", "builtins") and is_function(reader, name):
        return
    if not _is_imported(module, name, place, reader):
        role = place.role if place.role != "object" else "function"
        yield Difference("custom", name, name, role=role, module="" if module == "builtins" else module)


def _sought(item: Config) -> str:
    """The name that a class is looked up by."""
    registered = item.get("registered_name")
    return registered if isinstance(registered, str) and registered else str(item["class_name"])


def _handed(item: Config, role: str, reader: Reader, custom: Mapping[str, Any], *, is_hdf5: bool) -> Any:
    """The user's class that Keras takes for an object; None when it finds none by that name."""
    sought, name = _sought(item), item["class_name"]
    strict = reader.is_3 and role == "layer" and not (is_hdf5 and "module" not in item)
    return custom.get(sought) if strict else custom.get(sought, custom.get(name))


def _is_unknown(item: Config, place: _Place, reader: Reader) -> bool:
    """Whether Keras finds no class for an object, neither its own nor by importing."""
    name, module, role = item["class_name"], _module(item), place.role
    by_its_name = not reader.is_3 and role == "layer" and not place.root and UNEXPORTED.get(name, "-") in module
    if (is_keras(module) and not by_its_name) or (not reader.is_3 and _sought(item) in REGISTERED):
        return False
    if module:
        by_name = not reader.is_3 and role in _SPACES and role != "layer"  # Keras 2 does not look at the module
        if by_name and knows(reader, _SPACES[role], name):
            return False
        return not _is_imported(module, name, place, reader)
    if role not in _SPACES:
        return False
    if "module" in item and ">" in _sought(item):  # whatever Keras has under the class's own name
        return True
    if role == "layer":
        built_in = name in TF_OPERATIONS or name in _HIDDEN or name in GRAPH or name == "InputLayer"
        known = classes.find(reader, f"layers.{name}") or classes.find(reader, f"layers.experimental.{name}")
        if built_in or known is not None or name in classes.by_class(reader, "layers"):
            return False
        return not any(True for _ in classes.since(f"layers.{name}"))
    return not knows(reader, _SPACES[role], name) and not _is_elsewhere(role, name)


def _is_elsewhere(role: str, name: str) -> bool:
    """Whether another release knows it."""
    return any(True for _ in classes.since(f"{_SPACES[role]}.{name}"))


def _is_imported(module: str, name: str, place: _Place, reader: Reader) -> bool:
    """Whether Keras finds it in a module that this process has imported already."""
    return imports(reader, place.role, inside=bool(place.layer)) and hasattr(sys.modules.get(module), name)


def _module(item: Config) -> str:
    module = item.get("module")
    return module if isinstance(module, str) else ""


def _arguments(handed: Any, name: str, inner: Any, role: str, reader: Reader) -> Iterator[Difference]:
    """What is stored for a user's class and its constructor does not take, or needs and is not stored."""
    if not isinstance(inner, dict):
        return
    for key in own.refused(handed, inner, reader):
        yield Difference("argument", key, name, role=role)
    for key in own.lacking(handed, inner, reader):
        yield Difference("lacks", key, name, role=role)
