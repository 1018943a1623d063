"""Everything in a stored architecture that a release of Keras does not know, wherever it stands.

A replay stops at the first error; this looks at each object once and says what else there is: keys that a constructor
does not take or needs, classes of another line or release. Users' own classes are told by ``unregistered.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kwload.versions import classes
from kwload.versions.names import Config
from kwload.versions.objects import INNER
from kwload.versions.reader import Reader

_MOST_OBJECTS: Final = 200_000

_SPACES: Final = {"initializer": "initializers", "regularizer": "regularizers", "constraint": "constraints"}
"""End of the key under which an object stands -> the namespace of its class, where it records no module."""

GRAPH: Final = frozenset({"Functional", "Model", "Sequential"})
TF_OPERATIONS: Final = frozenset(
    ("TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty", "TensorFlowOpLayer")
)
_RENAMED: Final = frozenset({"batch_input_shape", "axis"})
"""Keys of Keras 2 that Keras 3 understands in an ``.h5`` file."""

_FROM_CONFIG_2: Final = {
    "RNN": ("num_constants",),
    "Bidirectional": ("num_constants",),
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),
    "Lambda": (
        "function_type", "module", "output_shape_type", "output_shape_module", "mask_type", "mask_module",
    ),
}  # fmt: skip
"""Keys that ``from_config`` of Keras 2 takes, and the constructor does not."""

_DROPPED: Final = {"Lambda": ("function_type", "module", "output_shape_type", "output_shape_module")}
"""Keys of Keras 2 that Keras 3 drops from an ``.h5`` file (``LAMBDA_DEP_ARGS``)."""

_MARKS: Final = frozenset({"function", "__lambda__"})


@dataclass(slots=True)
class Difference:
    """One thing that the reader does not know.

    Attributes
    ----------
    kind : {"key", "needs", "class", "module", "name", "policy", "lambda", "custom", "argument", "lacks"}
        ``name``: names of layers with ``/``. ``needs``: a key that a constructor must be given, and that is not stored.
        ``argument`` and ``lacks``: a key that a class of the user's own does not take, or needs.
    name : str
        The key, the class, the module; for ``custom`` the name that Keras looks the class up by (``"pkg>Mine"``).
    where : str
        The class that has the key, or for ``custom`` the class itself; ``""`` for others.
    layers : list of str
        Names of the layers that have it, in order.
    known_to : str
        Which Keras knows it: ``"Keras 2"``, ``"Keras 3.13 and newer"``; ``""`` where none is known to.
    role : str
        Of users' classes and functions: ``"layer"``, ``"activation"``, ``"loss"`` …
    module : str
        The module that the file records for it; ``""`` when it records none.
    """

    kind: str
    name: str
    where: str = ""
    layers: list[str] = field(default_factory=list)
    known_to: str = ""
    role: str = "layer"
    module: str = ""


def find(config: Any, reader: Reader, custom: Mapping[str, Any], *, is_hdf5: bool) -> list[Difference]:
    """All differences, in the order of the config, each once."""
    found: dict[tuple[str, str, str], Difference] = {}
    for space, layer, item in _objects(config):
        for difference in _of(item, space, reader, custom, is_hdf5=is_hdf5):
            kept = found.setdefault((difference.kind, difference.name, difference.where), difference)
            if layer and layer not in kept.layers[-1:]:
                kept.layers.append(layer)
    return list(found.values())


def _objects(config: Any) -> Iterator[tuple[str, str, Config]]:
    """Each dict that names a class: its namespace, the name of the layer that it is or is part of, itself."""
    stack: list[tuple[str, str, Any]] = [("layers", "", config)]
    for _ in range(_MOST_OBJECTS):
        if not stack:
            return
        space, layer, item = stack.pop()
        if isinstance(item, list):
            stack += [(space, layer, each) for each in reversed(item)]
        elif isinstance(item, dict):
            inner = item.get("config")
            if isinstance(item.get("class_name"), str):
                own = inner.get("name") if isinstance(inner, dict) and space == "layers" else None
                layer = own if isinstance(own, str) and item["class_name"] not in GRAPH else layer
                yield space, layer, item
            stack += [
                (_space(key, space), layer, each)
                for key, each in reversed(item.items())
                if isinstance(each, (dict, list)) and key not in ("build_config", "inbound_nodes")
            ]


def python_code(config: Any) -> list[str]:
    """Names of the layers whose configuration holds the bytes of Python code: ``Lambda`` of a lambda.

    Keras 3 writes ``{"class_name": "__lambda__"}``, Keras 2 ``"function_type": "lambda"``.
    """
    found: dict[str, None] = {}
    for _, layer, item in _objects(config):
        inner = item.get("config")
        kinds = [value for key, value in inner.items() if key.endswith("_type")] if isinstance(inner, dict) else []
        if item["class_name"] == "__lambda__" or (item["class_name"] == "Lambda" and "lambda" in kinds):
            found[layer] = None
    return list(found)


def _space(key: str, space: str) -> str:
    """The namespace of what stands under a key."""
    if key in ("config", "layers", "layer", "backward_layer", "cell", "cells"):
        return space
    if key == "compile_config":
        return "compile"
    return _SPACES.get(key.rpartition("_")[2], "dtype" if key == "dtype" else "other" if space != "compile" else space)


def _of(item: Config, space: str, reader: Reader, custom: Mapping[str, Any], *, is_hdf5: bool) -> Iterator[Difference]:
    name, inner, module = item["class_name"], item.get("config"), item.get("module")
    if name in _MARKS or name.startswith("__"):
        if name == "__lambda__":
            yield Difference("lambda", "a lambda")
        return
    if space == "dtype":
        if (name == "Policy") == reader.is_3:
            yield Difference("policy", name, known_to="Keras 2" if name == "Policy" else "Keras 3.4 and newer")
        return
    registered = item.get("registered_name")
    if name in custom or (isinstance(registered, str) and registered in custom):
        return
    space = _recorded_space(module) or space
    if name in GRAPH:
        if isinstance(module, str) and ".src." in module and ("engine" in module) == reader.is_3:
            yield Difference("module", name, module, known_to="Keras 2" if "engine" in module else "Keras 3")
        return
    if space not in ("layers", "initializers", "regularizers", "constraints", "optimizers"):
        return
    called = inner.get("name") if isinstance(inner, dict) and space == "layers" else None
    if reader.is_3 and isinstance(called, str) and "/" in called:
        yield Difference("name", "/", known_to="Keras 2")
    known = classes.find(reader, f"{space}.{name}")
    if known is None:
        yield from _unknown(name, space, module, reader)
    elif isinstance(inner, dict):
        if name == "BatchNormalization" and isinstance(inner.get("axis"), list) and reader.is_3 and not is_hdf5:
            yield Difference("key", "axis", name, known_to="Keras 2, as a list")
        for key in sorted(known.required - {*inner, *INNER.get(name, ()), *_RENAMED}):
            yield Difference("needs", key, name)
        for key in inner:
            if (
                key not in known.keys
                and not (is_hdf5 and reader.is_3 and (key in _RENAMED or key in _DROPPED.get(name, ())))
                and _matters(name, key, reader)
            ):
                yield Difference("key", key, name, known_to=_who(f"{space}.{name}", key))


def _matters(name: str, key: str, reader: Reader) -> bool:
    """Whether a key that the constructor does not list is refused."""
    if reader.is_3:
        return name != "InputLayer" and key not in ("layer", "backward_layer", "cell", "cells")
    return key != "dtype" and key not in _FROM_CONFIG_2.get(name, ())


def _recorded_space(module: Any) -> str:
    """``"layers"`` of ``keras.layers``; what is no module of Keras tells nothing."""
    if not isinstance(module, str) or module.partition(".")[0] not in ("keras", "tf_keras"):
        return ""
    parts = module.split(".")
    if parts[1:2] == ["src"]:
        return "ops" if parts[2:3] == ["ops"] else "internal"
    return parts[1] if len(parts) > 1 else "models"


def _unknown(name: str, space: str, module: Any, reader: Reader) -> Iterator[Difference]:
    """A class that the reader has not: another release has it, or none, though a module of Keras is recorded."""
    if name in TF_OPERATIONS:
        if reader.is_3:
            yield Difference("class", name, known_to="Keras 2")
    elif who := _who(f"{space}.{name}"):
        yield Difference("class", name, known_to=who)
    elif name.startswith(("CuDNN", "BatchNormalizationV")):
        if reader.is_3:
            yield Difference("class", name, known_to="Keras 2")
    elif module in ("keras.layers", "tf_keras.layers"):
        yield Difference("class", name)


def _who(public: str, key: str | None = None) -> str:
    """Which Keras knows a class, or a key of it."""
    said = []
    for line, span in classes.since(public, key):
        since, _, until = span.partition(",")[0].partition(":")
        package = "tf_keras" if line == 2 and since.startswith("2.2") else "Keras"
        said.append(f"{package} {since or line}" + (f", before {until}" if until else " and newer" if since else ""))
    if not said and key in _FROM_CONFIG_2.get(public.rpartition(".")[2], ()):
        return "Keras 2"
    return ", and ".join(sorted(said))
