"""What a description of a live model is made of, and which Keras an object belongs to."""

import enum
import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, TypeAlias

Variable: TypeAlias = tuple[str, str, str, tuple[int, ...], str, bool]
"""``(name, display path, layer path, shape, dtype, trainable)``."""
Group: TypeAlias = tuple[str, str | None, str, int, tuple[Variable, ...]]
"""``(path, name, class name, flags, variables)``."""
Edge: TypeAlias = tuple[str | None, int]
"""``(attribute or class name, target node)``; the name is None for a container inside a container."""
Node: TypeAlias = tuple[int, tuple[Edge, ...]]
"""``(row of the object's group, or -1 for a container, edges)``."""

V3_LAYOUTS: Final = frozenset({"keras-3", "tf-2.12"})
PACKAGES: Final = frozenset({"keras", "tf_keras"})


class Flag(enum.IntFlag):
    """Flags of a group: the bits of ``csrc/base/table.h`` that a model's group can have."""

    NAMED = 1 << 0
    OPTIMIZER = 1 << 3
    METRIC = 1 << 4
    TOP_LEVEL = 1 << 5
    OWN_LOAD = 1 << 6
    NOT_BUILT = 1 << 7
    NO_COUNT = 1 << 8
    AUTO_NAME = 1 << 9
    NOT_LOADABLE = 1 << 10
    COUNTED = 1 << 11


# Plain numbers: an operation on enum members costs a microsecond, and a model has thousands of groups.
NAMED, OPTIMIZER, METRIC = int(Flag.NAMED), int(Flag.OPTIMIZER), int(Flag.METRIC)
OWN_LOAD, NOT_BUILT, NO_COUNT = int(Flag.OWN_LOAD), int(Flag.NOT_BUILT), int(Flag.NO_COUNT)
AUTO_NAME, NOT_LOADABLE, COUNTED = int(Flag.AUTO_NAME), int(Flag.NOT_LOADABLE), int(Flag.COUNTED)


@dataclass(frozen=True, slots=True)
class Keras:
    """The Keras package that an object belongs to.

    Attributes
    ----------
    flavour : str
        ``"keras"`` (3 and later) or ``"tf_keras"`` (2.x under any name).
    version : tuple of int
        ``(3, 15, 1)``.
    root : str
        Where its modules live: ``"keras.src"``, ``"tf_keras.src"``, ``"keras"``.
    backend : str
        ``"tensorflow"``, ``"jax"``, ``"torch"``, ``"numpy"``, ``"openvino"``.
    """

    flavour: str
    version: tuple[int, int, int]
    root: str
    backend: str

    @property
    def number(self) -> int:
        """The version as one number: 31501 for 3.15.1."""
        major, minor, patch = self.version
        return major * 10000 + minor * 100 + patch

    def module(self, name: str) -> ModuleType | None:
        """The module *name* below the root, when this Keras has imported it."""
        return sys.modules.get(f"{self.root}.{name}")


@dataclass(frozen=True, slots=True)
class Model:
    """A live model as the plan wants it, and the live objects behind the rows.

    Attributes
    ----------
    keras : Keras
        The package that the model belongs to.
    built : bool
        False for a model that has no variables yet.
    groups : list of tuple
        ``(path, name, class name, flags, variables)`` as ``kwload._core.Spec`` takes them.
    nodes : list of tuple
        ``(group row or -1, edges)``, node 0 is the model; empty for the legacy layouts.
    variables : list
        The live variable of each row, over all groups in order.
    owners : list
        The live object that owns each variable.
    objects : list
        The live object (layer, model, optimizer, metric) of each group.
    untracked : list of tuple
        ``(layer path, attribute)`` of each raw ``tf.Variable`` that Keras 3 neither tracks nor saves.
    """

    keras: Keras
    built: bool
    groups: list[Group] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    variables: list[Any] = field(default_factory=list)
    owners: list[Any] = field(default_factory=list)
    objects: list[Any] = field(default_factory=list)
    untracked: list[tuple[str, str]] = field(default_factory=list)


def package_of(cls: type) -> str:
    return str(cls.__module__).partition(".")[0]


def numbers(text: str) -> tuple[int, int, int]:
    """``(3, 15, 1)`` of ``"3.15.1"``, also of ``"3.16.0.dev2026"`` and ``"2.16.0rc1"``."""
    numbers: list[int] = []
    for part in text.split(".")[:3]:
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        numbers.append(int(digits or 0))
    numbers += [0] * (3 - len(numbers))
    return numbers[0], numbers[1], numbers[2]


def keras_of(obj: object) -> Keras:
    """The Keras package that *obj* (a model, layer or optimizer) belongs to.

    Raises
    ------
    TypeError
        When no class of *obj* comes from a Keras that is imported.
    """
    for cls in type(obj).__mro__:
        package = package_of(cls)
        module = sys.modules.get(package) if package in PACKAGES else None
        if module is None:
            continue
        version = numbers(str(getattr(module, "__version__", "")))
        root = f"{package}.src" if str(cls.__module__).startswith(f"{package}.src.") else package
        if version < (3,):
            return Keras("tf_keras", version, root, "tensorflow")
        config = sys.modules.get(f"{root}.backend.config")
        return Keras("keras", version, root, str(config.backend()) if config is not None else "unknown")
    raise TypeError(f"not an object of Keras 3 or tf_keras: {type(obj).__module__}.{type(obj).__qualname__}")


def is_model(obj: object) -> bool:
    """Whether *obj* is a model instance of Keras 3 or tf_keras."""
    return any(cls.__name__ == "Model" and package_of(cls) in PACKAGES for cls in type(obj).__mro__)


def types_of(keras: Keras, *names: tuple[str, str]) -> tuple[type, ...]:
    """Those of the classes ``(module, class)`` that this Keras has."""
    found = (getattr(keras.module(module), name, None) for module, name in names)
    return tuple(cls for cls in found if isinstance(cls, type))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def name_of(obj: Any) -> str | None:
    try:
        return _text(obj.name)
    except Exception:  # noqa: BLE001 - a user's property may raise anything
        return None


def is_counter(rest: str) -> bool:
    return not rest or (rest[0] == "_" and rest[1:].isdecimal())
