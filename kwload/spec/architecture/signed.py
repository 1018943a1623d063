"""Users' signatures in an architecture: asked for a layer, followed into its sub-layers, and what comes of it.

    layer of the user's class --ask--> Signature --follow--> variables, sub-layers, and what is in those
                                 |                    |
                                 +----- failed -------+--> a verdict (KW408), and the layer is not verified

Whatever a signature says, the rest of the model is described all the same: one that never ends is stopped by how deep
it goes and by how much it describes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from kwload.report.escape import quote
from kwload.spec import registry
from kwload.spec.architecture import entries
from kwload.spec.architecture.entries import Raw
from kwload.spec.architecture.things import ArchitectureError, Given, Thing
from kwload.spec.asking import DEEPEST, RAISED, ContradictedError, Entry, NotBuiltError, SignatureError, raised
from kwload.spec.signature import Shapes, Signature

if TYPE_CHECKING:
    from kwload.spec.confirm import Verdict

_MOST: Final = 10_000
"""Variables and sub-layers of one layer, those of its sub-layers counted."""

_MOST_IN_ALL: Final = 200_000
"""Those of all layers of an architecture."""


def _names(raw: Raw) -> tuple[str | None, ...]:
    """What a class is looked up by."""
    names = (raw.get(key) for key in ("class_name", "module", "registered_name"))
    return tuple(name if isinstance(name, str) else None for name in names)


class _EndlessError(Exception):
    """Signatures that describe more than any layer has.

    Attributes
    ----------
    error : SignatureError
        What is said of it.
    at : int
        Which of the signatures that lie in one another it is said of.
    """

    def __init__(self, error: SignatureError, at: int) -> None:
        super().__init__(error.reason)
        self.error = error
        self.at = at


class Signed:
    """The signatures of one architecture.

    Parameters
    ----------
    custom_objects : mapping
        Names of the user's own classes -> classes or signatures.
    """

    def __init__(self, custom_objects: Mapping[str, Any]) -> None:
        self._verdicts: dict[tuple[object, ...], tuple[Verdict, list[list[Thing]]]] = {}
        self._custom = custom_objects
        self._entries: dict[tuple[str | None, ...], Entry | None] = {}
        self._given: dict[tuple[str | None, ...], Given] = {}
        self._within: list[Entry] = []
        self._left = _MOST
        self._left_in_all = _MOST_IN_ALL
        self._endless: dict[int, SignatureError] = {}
        # The record stands beside what was said of it, so that no other one takes its identity.
        self._failed: dict[int, tuple[Raw, SignatureError]] = {}

    @property
    def place(self) -> tuple[str, str | None, int | None] | None:
        """Name, file and line of the signature that what is made now rests on; None when it is no one's."""
        if not self._within or self._within[-1].signature is None:
            return None
        return self._within[-1].name, *self._within[-1].place

    def entry(self, raw: Raw) -> Entry | None:
        """What the user has said of the class that is recorded; None when that is nothing."""
        key = _names(raw)
        if key not in self._entries:
            found = registry.find_config(raw, self._custom)
            self._entries[key] = found if found is not None and found.describes else None
            if found is not None and found.cls is not None and not found.describes:
                kind = "class" if isinstance(found.cls, type) else type(found.cls).__name__
                self._given[key] = Given(kind, found.place)
        return self._entries[key]

    def given(self, raw: Raw) -> Given | None:
        """What is known of the class, and tells nothing."""
        self.entry(raw)
        return self._given.get(_names(raw))

    def ask(self, raw: Raw, shape: Shapes) -> tuple[bool, Signature | None]:
        """Whether a signature of the user's own is about the class, and what it says."""
        entry = self.entry(raw)
        if entry is None:
            return False, None
        error = self._endless.get(id(entry.signature))
        if error is None:
            try:
                return True, entry.call(entries.config_of(raw), shape)
            except ContradictedError as contradicted:
                self._failed[id(raw)] = raw, contradicted
                return True, contradicted.made
            except SignatureError as failed:
                error = failed
        if shape is not None:
            self._failed[id(raw)] = raw, error
        else:  # with nothing to go by it may say nothing
            kind = "class" if isinstance(error, NotBuiltError) else "signature"
            self._given[_names(raw)] = Given(kind, (error.file, error.line), error.reason)
        return True, None

    def follow(self, entry: Entry, said: Signature, fill: Callable[[], None]) -> SignatureError | None:
        """Makes with *fill* what a signature says of a layer; what is wrong with it, None when that is nothing."""
        at = len(self._within)
        if at == 0:
            self._left = _MOST
        elif at >= DEEPEST:
            raise self._repeats(entry)
        self._within.append(entry)
        try:
            self.count(len(said.parts))
            fill()
        except _EndlessError as endless:
            if endless.at < at:
                raise
            return endless.error
        except RAISED as error:  # values that no file holds: a signature may hand in anything
            why = str(error) if isinstance(error, ArchitectureError) else f"it {raised(error)}"
            return SignatureError(entry.name, f"describes a layer that cannot be made: {why}", *entry.place)
        finally:
            self._within.pop()
        return None

    def count(self, parts: int) -> None:
        """Counts variables and sub-layers while a signature is followed."""
        if not self._within:
            return
        self._left -= parts
        self._left_in_all -= parts
        if self._left < 0 or self._left_in_all < 0:
            most = f"{_MOST:,}" if self._left < 0 else f"{_MOST_IN_ALL:,}, those of other layers counted"
            outer = self._within[0]
            error = SignatureError(outer.name, f"describes more variables and sub-layers than {most}", *outer.place)
            self._endless[id(outer.signature)] = error
            raise _EndlessError(error, 0)

    def _repeats(self, entry: Entry) -> _EndlessError:
        """A signature that lies in itself, or only deeper than any."""
        names = [other.name for other in self._within]
        if entry.name not in names:
            error = SignatureError(entry.name, f"lies in {DEEPEST} others, one in another", *entry.place)
            return _EndlessError(error, len(names) - 1)
        last = len(names) - 1 - names[::-1].index(entry.name)
        through = list(dict.fromkeys(names[last + 1 :]))
        way = f", through {' and '.join(quote(name, 60) for name in through[:3])}" if through else ""
        error = SignatureError(entry.name, f"has itself as a sub-layer without end{way}", *entry.place)
        return _EndlessError(error, names.index(entry.name))

    def note(self, raw: Raw, way: list[Thing], error: SignatureError | None = None) -> bool:
        """Keeps what is wrong with the signature of a layer, once for all layers; False when nothing is. *way* is the
        layer behind those that it lies in, from the model on."""
        if error is None:
            error = self._failed.get(id(raw), (raw, None))[1]
        if error is None:
            return False
        from kwload.spec.confirm import Verdict

        place = (error.file, error.line)
        differs = error.differs if isinstance(error, ContradictedError) else ()
        key = (error.name, error.reason, place, *(each.what for each in differs))
        failed = None if differs else error.reason
        verdict = Verdict(way[-1].cls, error.name, place, differs=differs, failed=failed)
        verdict.is_class = isinstance(error, NotBuiltError)
        self._verdicts.setdefault(key, (verdict, []))[1].append(way)
        return True

    def verdicts(self) -> list[Verdict]:
        """What is wrong with the signatures, when all layers have their names."""
        for verdict, ways in self._verdicts.values():
            verdict.layers = ["/".join(made.name or made.cls for made in way[1:] or way) for way in ways]
        return [verdict for verdict, _ in self._verdicts.values()]
