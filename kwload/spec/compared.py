"""What a signature says against what a live layer has: variables by place, sub-layers by attribute, to any depth.

Own variables are compared in the order of ``layer.weights``, trainable ones first (Keras 3.15, ``layers/layer.py``).
What nobody knows, a length or what is in a sub-layer, agrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kwload.report.escape import literal, quote
from kwload.spec import registry
from kwload.spec.asking import DEEPEST, RAISED, Entry, SignatureError, raised
from kwload.spec.described import PACKAGES, Keras, name_of, package_of
from kwload.spec.live import sublayers_of
from kwload.spec.signature import Shape, Shapes, Signature, Sub, Var

OF_KERAS: Final = ("_layers", "_self_", "_tracker", "_obj_reference")
"""How attributes begin in which Keras and TensorFlow keep the layers of a layer a second time."""

_UNNAMED: Final = frozenset({"variable", "Variable", ""})
"""What Keras calls a variable that nobody named."""


@dataclass(frozen=True, slots=True)
class Differs:
    """One thing in which signature and class disagree.

    Attributes
    ----------
    what : str
        Path of the variable or sub-layer within the layer: ``"ffn/kernel"``.
    said : str
        What the signature says: ``"(1, 4)"``; ``""`` when it does not name it.
    made : str
        What the class makes; ``""`` when it makes no such thing.
    right : str
        The variable as a signature would have to say it; ``""`` for what is no variable.
    """

    what: str
    said: str
    made: str
    right: str = ""


def in_order(variables: Sequence[Var]) -> list[Var]:
    """Trainable ones first, as Keras lists them."""
    return sorted(variables, key=lambda var: not var.trainable)


def agree(said: Sequence[Var], shapes: Sequence[Sequence[int]]) -> bool:
    """Whether tensors have the shapes that a signature says, one by one."""
    return len(said) == len(shapes) and all(
        _fits(var.shape, tuple(shape)) for var, shape in zip(said, shapes, strict=True)
    )


def config_of(layer: Any) -> tuple[dict[str, Any], str]:
    """What a live layer says of itself; else nothing, and why."""
    try:
        config = layer.get_config()
    except RAISED as error:  # Keras raises for a class that takes arguments and does not say them
        return {}, f"its config was empty, since `get_config` raised {type(error).__name__}"
    return (config, "") if isinstance(config, dict) else ({}, "its config was empty: `get_config` returned no dict")


def input_shape(layer: Any) -> Shapes:
    """What the layer was built with, as Keras stores it beside its config."""
    shapes = getattr(layer, "_build_shapes_dict", None)
    if isinstance(shapes, dict) and shapes:
        return _plain(next(iter(shapes.values())) if len(shapes) == 1 else shapes, 8)
    return _plain(getattr(layer, "_build_input_shape", None), 8)


def _plain(shape: Any, depth: int) -> Shapes:
    """A shape of Keras or TensorFlow as tuples, lists and dicts."""
    if isinstance(shape, dict):
        return {str(name): _plain(each, depth - 1) for name, each in shape.items()} if depth else None
    try:
        items = list(shape)
    except (TypeError, ValueError):  # None, or a TensorShape of unknown rank
        return None
    if all(item is None or isinstance(item, int) for item in items):
        return tuple(items)
    return [_plain(item, depth - 1) for item in items] if depth else None


def _fits(said: Shape | None, made: Shape) -> bool:
    if said is None:
        return True
    return len(said) == len(made) and all(a is None or a == b for a, b in zip(said, made, strict=True))


class Comparison:
    """One signature against one live layer, with what they hold."""

    def __init__(self, keras: Keras, custom_objects: Mapping[str, Any] | None) -> None:
        self.keras = keras
        self.custom = custom_objects
        self.all: list[Var] = []
        """The variables that the signature says, of the layer and its sub-layers, in order."""

    def layer(self, layer: Any, said: Signature, path: str, depth: int) -> list[Differs]:
        """What differs within one layer.

        Raises
        ------
        SignatureError
            The signature of a sub-layer raised.
        """
        own = [part for part in said.parts if isinstance(part, Var) and part.same_as is None]
        self.all += own
        found = self._variables(layer, own, path)
        named: set[int] = set()
        for part in said.parts:
            if isinstance(part, Sub):
                found += self._sub(_attribute(layer, part.attribute), part, f"{path}{part.attribute}", depth, named)
        for child in sublayers_of(self.keras, layer):
            if id(child) not in named and _has_weights(child):
                held = _held_by(layer, child)
                found.append(Differs(f"{path}{held}", "", f"a {type(child).__name__}"))
        return found

    def _variables(self, layer: Any, own: Sequence[Var], path: str) -> list[Differs]:
        made = [(var, True) for var in _list(self.keras, layer, "trainable")]
        made += [(var, False) for var in _list(self.keras, layer, "non_trainable")]
        said = in_order(own)
        names = [_name(variable) for variable, _ in made]
        lacking = [var for var in said if var.name not in names] if len(said) > len(made) else []
        if len(said) != len(made) and not any(name in _UNNAMED for name in names):
            return self._by_name(said, made, path)
        if len(said) != len(made):
            return [
                Differs(
                    f"{path}{(lacking or said or [Var('', None)])[-1].name}".rstrip("/") or "variables",
                    f"{len(said)} of its own",
                    f"{len(made)} of its own",
                )
            ]
        return [
            differs
            for var, (variable, trainable) in zip(said, made, strict=True)
            for differs in _of_one(var, variable, trainable, path)
        ]

    def _by_name(self, said: Sequence[Var], made: Sequence[tuple[Any, bool]], path: str) -> list[Differs]:
        """Of lists that are not as long: what one of them has alone."""
        there = {_name(variable): (variable, trainable) for variable, trainable in made}
        found = []
        for var in said:
            if var.name in there:
                found += _of_one(var, *there.pop(var.name), path)
            else:
                found.append(Differs(f"{path}{var.name}", shape_text(var.shape), ""))
        return found + [
            Differs(f"{path}{name}", "", shape_text(_shape_of(variable)), _right(name, variable, trainable))
            for name, (variable, trainable) in there.items()
        ]

    def _sub(self, there: Any, part: Sub, path: str, depth: int, named: set[int]) -> list[Differs]:
        """What differs within a sub-layer, or a list or dict of them."""
        if not isinstance(part.layer, str):
            items = list(part.layer.items() if isinstance(part.layer, Mapping) else enumerate(part.layer))
            found = []
            for key, inner in items:
                found += self._sub(_item(there, key), inner, f"{path}/{key}", depth, named)
            return found
        if not hasattr(there, "weights"):
            if isinstance(there, (list, tuple, dict)):
                named.update(map(id, there.values() if isinstance(there, dict) else there))
                kind = "dict" if isinstance(there, dict) else "list"
                return [Differs(path, _an(part.layer.rpartition(">")[2]), f"a {kind} of {len(there)}")]
            return [Differs(path, _an(part.layer.rpartition(">")[2]), "" if there is None else "no layer")]
        named.add(id(there))
        entry = registry.find(part.layer, self.custom)
        kind = part.layer.rpartition(">")[2]
        cls = type(there)
        if not any(base.__name__ == kind for base in cls.__mro__) and (entry is None or entry.cls is not cls):
            return [Differs(path, _an(kind), _an(cls.__name__))]
        if not getattr(there, "built", False) or depth >= DEEPEST:
            return []
        said = self._signature(part, entry, there)
        found = self.layer(there, said, f"{path}/", depth + 1) if said is not None else []
        return [] if self._is_own_matter(entry, said, there) else found

    def _is_own_matter(self, entry: Entry | None, said: Signature | None, there: Any) -> bool:
        """Whether the signature says the same of the live sub-layer: then what differs is said of that one."""
        own = registry.find_class(type(there), self.custom) if entry is not None else None
        if own is None or own.signature is None:
            return False
        return own.call(config_of(there)[0], input_shape(there)) == said

    def _signature(self, part: Sub, entry: Entry | None, there: Any) -> Signature | None:
        """What a sub-layer has by its own signature, or by the table of built-in layers; None when nobody knows."""
        shape = part.input_shape if part.input_shape is not None else input_shape(there)
        if entry is not None and entry.signature is not None:
            return entry.call(part.config, shape)
        if package_of(type(there)) not in PACKAGES or not isinstance(part.layer, str):
            return None
        from kwload.spec.layers import ConfigError, Where, signature_of

        where = Where(self.keras.flavour, self.keras.version)
        try:
            return signature_of(part.layer, part.config, shape, where)
        except ConfigError as error:
            why = f"{error.key} {error.why}"
        except RAISED as error:  # values that no file holds: the signature may hand in anything
            why = f"it {raised(error)}"
        reason = f"gives {quote(part.attribute)} a config that no {quote(part.layer)} can be made from: {why}"
        raise SignatureError("", reason, None, None)


def _list(keras: Keras, layer: Any, which: str) -> list[Any]:
    """The layer's own variables that it lists as trainable, or as not."""
    suffix = "variables" if keras.flavour == "keras" else "weights"
    found = list(getattr(layer, f"_{which}_{suffix}", None) or ())
    return list({id(variable): variable for variable in found if hasattr(variable, "shape")}.values())


def _of_one(var: Var, variable: Any, trainable: bool, path: str) -> list[Differs]:
    shape, dtype, name = _shape_of(variable), _dtype_of(variable), _name(variable)
    what, is_named = f"{path}{var.name}", name.rstrip("0123456789").rstrip("_") not in _UNNAMED
    right = _right(name if is_named else var.name, variable, trainable)
    if not _fits(var.shape, shape):
        return [Differs(what, shape_text(var.shape), shape_text(shape), right)]
    if var.dtype is not None and dtype is not None and var.dtype != dtype:
        return [Differs(what, var.dtype, dtype, right)]
    if var.trainable != trainable:
        return [Differs(what, _trainable(var.trainable), _trainable(trainable), right)]
    if name != var.name and is_named:
        return [Differs(what, f"called {var.name}", f"called {name}", right)]
    return []


def _right(name: str, variable: Any, trainable: bool) -> str:
    """A variable as a signature says it, to paste."""
    dtype = _dtype_of(variable)
    given = f", {literal(dtype)}" if dtype is not None and "float" not in dtype else ""
    kept = "" if trainable else ", trainable=False"
    return f"kwload.Var({literal(name)}, {shape_text(_shape_of(variable))}{given}{kept})"


def _trainable(trainable: bool) -> str:
    return "trainable" if trainable else "not trainable"


def _shape_of(variable: Any) -> tuple[int, ...]:
    try:
        return tuple(int(length) for length in variable.shape)
    except (TypeError, ValueError):
        return ()


def _dtype_of(variable: Any) -> str | None:
    dtype = getattr(variable, "dtype", None)
    name: object = getattr(dtype, "name", dtype)
    return name if isinstance(name, str) else None


def _name(variable: Any) -> str:
    name = str(getattr(variable, "name", ""))
    return name.rpartition("/")[2].partition(":")[0]


def shape_text(shape: Shape | None) -> str:
    """``"(1, 4)"``, with ``?`` for a length that is not known."""
    if shape is None:
        return "any shape"
    lengths = ["?" if length is None else str(length) for length in shape]
    return f"({', '.join(lengths)}{',' if len(lengths) == 1 else ''})"


def _an(kind: str) -> str:
    return f"{'an' if kind[:1] in 'AEIOU' else 'a'} {kind}"


def _attribute(layer: Any, name: str) -> Any:
    """What stands in an attribute of a live layer; None when there is none, or it raises."""
    try:
        return getattr(layer, name, None)
    except Exception:  # noqa: BLE001 - a user's property may raise anything
        return None


def _item(there: Any, key: Any) -> Any:
    try:
        return there[key]
    except (TypeError, LookupError):
        return None


def _has_weights(layer: Any) -> bool:
    try:
        return bool(layer.weights)
    except Exception:  # noqa: BLE001 - a user's property may raise anything
        return False


def _held_by(layer: Any, child: Any) -> str:
    """The way to a layer from the one that holds it: ``"ffn"``, ``"blocks/0"``."""
    for name, value in list(vars(layer).items()):
        if str(name).startswith(OF_KERAS):
            continue
        if value is child:
            return str(name)
        several = enumerate(value) if isinstance(value, (list, tuple)) else ()
        for key, item in value.items() if isinstance(value, dict) else several:
            if item is child:
                return f"{name}/{key}"
    return str(name_of(child))
