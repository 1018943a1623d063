"""What a fingerprint gathers on its way: pieces of code, what is not known, and what is still to be followed."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Any, Final, Literal, TypeAlias

from kwload.stamps.names import Reads
from kwload.stamps.objects import is_users
from kwload.stamps.project import Project, is_installed, version_of
from kwload.stamps.sources import Parsed, Sources

ELSEWHERE: Final = "it is neither installed nor of the project, and was not followed"

Kind: TypeAlias = Literal["class", "object", "function", "names", "through"]


class Walk:
    """The state of one walk.

    Parameters
    ----------
    files : Sources
        The files that were parsed.
    home : str
        Name of the module at which it begins.

    Attributes
    ----------
    texts, lines : dict of str to str
        Name of a piece -> its canonical text, its lines.
    unknown : dict of str to str
        Name -> why nothing is known of it.
    outside : set of str
        What is used of installed packages: ``"einops.rearrange 0.8.1"``.
    classes : dict of type
        Classes whose members count, in the order in which they were met.
    attributes, supers : set of str
        Attributes that were read of anything, and of ``super()``.
    computed : bool
        Whether attributes are read by names that are not written there.
    """

    def __init__(self, files: Sources, home: str) -> None:
        self.files = files
        self.project = Project(home)
        self.home_name = ""
        self.texts: dict[str, str] = {}
        self.lines: dict[str, str] = {}
        self.unknown: dict[str, str] = {}
        self.outside: set[str] = set()
        self.classes: dict[type, None] = {}
        self.attributes: set[str] = set()
        self.supers: set[str] = set()
        self.computed = False
        self._todo: deque[tuple[Kind, tuple[Any, ...]]] = deque()
        self._taken: set[tuple[object, ...]] = set()
        self._kept: list[Any] = []
        """Objects whose identity was taken: they must not be freed meanwhile."""

    def put(self, name: str, text: str, lines: str = "") -> None:
        """Keeps a piece; another one of the same name gets a number."""
        shown, number = name, 1
        while shown in self.texts and self.texts[shown] != text:
            number += 1
            shown = f"{name} #{number}"
        self.texts[shown] = text
        if lines:
            self.lines[shown] = lines

    def say(self, name: str, why: str) -> None:
        """Keeps that nothing is known of a piece."""
        self.unknown.setdefault(name, why)

    def leave(self, name: str, space: Mapping[str, Any]) -> None:
        """Keeps that something of a module of others is used, and is not followed."""
        if not is_users(space):
            return
        if is_installed(space):
            self.outside.add(f"{space['__name__']}.{name}{version_of(space)}")
        else:
            self.say(f"{space.get('__name__')}.{name}", ELSEWHERE)

    def is_new(self, *key: object, keep: Any = None) -> bool:
        """Whether something is met for the first time; what `id` was asked of is kept."""
        if key in self._taken:
            return False
        self._taken.add(key)
        self._kept.append(keep)
        return True

    def home_is(self, space: Mapping[str, Any]) -> None:
        """Keeps the name of the first module, for show."""
        self.home_name = self.home_name or str(space.get("__name__", ""))

    # --- what comes later

    @property
    def is_waiting(self) -> bool:
        """Whether something is still to be followed."""
        return bool(self._todo)

    def next(self) -> tuple[Kind, tuple[Any, ...]] | None:
        """The next thing to follow; None when nothing is left."""
        return self._todo.popleft() if self._todo else None

    def follow_class(self, cls: type) -> None:
        """A class of the project; of another only that it is used."""
        module = sys.modules.get(str(cls.__module__))
        space = vars(module) if type(module) is ModuleType else {"__name__": cls.__module__}
        if self.project.holds(space) or cls.__module__ == self.home_name:
            self._todo.append(("class", (cls,)))
        else:
            self.leave(cls.__qualname__, space)

    def follow_object(self, value: Any, shown: str) -> None:
        """A function, or what stands in front of one; *shown* is what it is called where it has no name."""
        self._todo.append(("object", (value, shown)))

    def follow_function(self, function: FunctionType, shown: str, *, member: bool = False) -> None:
        """A function; *member* of a class, it counts wherever it is."""
        self._todo.append(("function", (function, shown, member)))

    def follow_names(
        self, found: Reads, piece: str, file: Parsed, module: dict[str, Any], function: FunctionType | None = None
    ) -> None:
        """What a piece of code reads; the names that a *function* captured are followed there."""
        self._todo.append(("names", (found, piece, file, module, function)))

    def follow_through(self, module: ModuleType, rest: tuple[str, ...], said: str) -> None:
        """Attributes of a module: ``helpers.act``; *said* is what the module is called."""
        self._todo.append(("through", (module, rest, said)))
