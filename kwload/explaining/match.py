"""The texts that are known: a sentence with places for names and numbers, found in a :class:`~.paste.Paste`.

Layer count mismatch when loading weights | from file. Model expected {wanted:d} layers, found {found:d} saved layers.
`----------- must be there -------------'   `------------------ as far as the paste goes ------------------'
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from kwload.explaining.paste import Paste
from kwload.report.escape import escape, literal

_FIELD: Final = re.compile(r"\{(\w+)(?::(\w))?\}")
_SHAPE: Final = r"(?:\([\d,None?]{0,200}\)|\[[\d,None?]{0,200}\])"
_KINDS: Final = {
    "": r"(?P<{0}>[^']{{1,300}}?)",
    "d": r"(?P<{0}>\d{{1,18}})(?!\d)",
    "s": rf"(?P<{{0}}>{_SHAPE.replace('{', '{{').replace('}', '}}')})",
    "w": r"(?P<{0}>[\w./-]{{1,300}}?)",
    "n": r"(?P<{0}>[^',()]{{1,300}}?)",
    "l": r"(?P<{0}>[^\[\]]{{0,2000}})",
    "e": r"'?(?P<{0}>[\w-]{{1,100}})'?",
}
_WHOLE: Final = {
    "": re.compile("[^']*"),
    "d": re.compile(r"\d*"),
    "s": re.compile(r"[(\[]?[\d,none?]*[)\]]?"),
    "w": re.compile(r"[\w./-]*"),
    "n": re.compile("[^',()]*"),
    "l": re.compile(r"[^\[\]]*"),
    "e": re.compile(r"'?[\w-]*'?"),
}
"""What may stand in a place that a paste ends in."""
_AFTER_COMMA: Final = re.compile(r",(?=[\dN])")
_LEAST, _MOST_CUT = 6, 200
"""Characters of a paste that is itself only the beginning of a known text."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that may have happened.

    Attributes
    ----------
    code : str or None
        The code that kwload reports for it; None for what is no matter of a weight file.
    why : str
        One or two sentences.
    do : tuple of str
        What to run or to change; ``{file}`` and ``{path}`` stand for the file, as a shell and as Python want it.
    """

    code: str | None
    why: str
    do: tuple[str, ...] = ()


class Facts(dict[str, str]):
    """What a paste says: the names and numbers in the text that was recognised, and the file."""

    def __init__(self, found: Mapping[str, str | None], paste: Paste) -> None:
        super().__init__({name: value for name, value in found.items() if value is not None})
        self.paste = paste

    def number(self, name: str) -> int | None:
        """A number, or None when the paste does not go that far."""
        value = self.get(name)
        return int(value) if value is not None and value.isdecimal() else None

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """A shape, or None when the paste does not go that far."""
        value = self.get(name)
        if value is None:
            return None
        sizes = [size for size in re.split(r"[\[\](),]", value) if size]
        return tuple(int(size) if size.isdecimal() else None for size in sizes)

    def says(self, *words: str) -> bool:
        """Whether any of these is somewhere in the paste, blanks and case left aside."""
        return any(_normal(word).lower() in self.paste.lower for word in words)

    @property
    def ends_in(self) -> str:
        """Suffix of the file as Keras looks at it; ``""`` when the paste names no file."""
        path = (self.paste.path or "").lower()
        for suffix in (".weights.h5", ".weights.json", ".keras", ".h5", ".hdf5"):
            if path.endswith(suffix):
                return suffix
        return ""

    def fill(self, text: str) -> str:
        """A sentence or command with its names filled in, safe to print; what the paste does not say is left open."""
        path = self.paste.path
        known = {name: escape(_AFTER_COMMA.sub(", ", value), 80) for name, value in self.items()}
        known["file"] = "FILE" if path is None else shlex.quote(f"./{path}" if path.startswith("-") else path)
        known["path"] = "path" if path is None else literal(path)
        return re.sub(r"\{(\w+)\}", lambda match: known.get(match[1], "…"), text)


Causes = Sequence[Cause] | Callable[[Facts], Sequence[Cause]]
Meaning = str | Callable[[Facts], str]


@dataclass(frozen=True)
class Text:
    """A text that Keras, h5py, zipfile, TensorFlow or Python writes.

    Attributes
    ----------
    head : str
        What must be there.
    rest : str
        How it goes on, as far as the paste does.
    by : str
        Who writes it.
    means : str or callable
        What it says, in other words.
    causes : sequence of Cause, or callable
        Most likely first.
    weight : int
        A text that only wraps another one, or a mere warning, weighs less.
    """

    head: str
    rest: str
    by: str
    means: Meaning
    causes: Causes = field(repr=False)
    weight: int = 5

    @cached_property
    def anchor(self) -> str:
        """The longest literal part of the head: where it is absent, the text is."""
        return max(_literals(self.head), key=len)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The text as a pattern over :attr:`Paste.words`."""
        tail = ""
        for step in reversed(_steps(self.rest)):
            tail = f"(?:{step}{tail})?"
        return re.compile("".join(_steps(self.head)) + tail, re.IGNORECASE)

    def find(self, paste: Paste) -> Match | None:
        """Where the paste says it, for the last time; None when it does not."""
        at = paste.lower.rfind(self.anchor)
        if at < 0:
            return self._find_opening(paste)
        found = None
        # The anchor may stand behind a name: the text begins at most that far before it.
        for match in self.pattern.finditer(paste.words, max(0, paste.lower.find(self.anchor) - 400)):
            found = match
            if match.end() > at:
                break
        if found is None:
            return self._find_opening(paste)
        return Match(self, found.start(), found.end(), Facts(found.groupdict(), paste))

    def _find_opening(self, paste: Paste) -> Match | None:
        """A paste that was cut off within the head."""
        said = paste.lower.rpartition("error:")[2]
        if _LEAST <= len(said) <= _MOST_CUT and _opens(_FIELD.split(_normal(self.head).lower()), said):
            return Match(self, 0, len(said), Facts({}, paste))
        return None


@dataclass(frozen=True, slots=True)
class Match:
    """A known text in a paste, at a place of :attr:`Paste.words`."""

    text: Text
    at: int
    until: int
    facts: Facts

    def means(self) -> str:
        """What the text says, with the paste's own names and numbers."""
        means = self.text.means
        return self.facts.fill(means if isinstance(means, str) else means(self.facts))

    def causes(self) -> tuple[Cause, ...]:
        """The likely causes, each once, most likely first."""
        causes = self.text.causes
        listed = causes(self.facts) if callable(causes) else causes
        return tuple(dict.fromkeys(listed))


def _literals(template: str) -> list[str]:
    """The parts between the places, as they are in :attr:`Paste.lower`; at least one."""
    return [part for part in _FIELD.split(_normal(template).lower())[::3] if part]


def _normal(template: str) -> str:
    """Without blanks and with the quote marks of :func:`~.paste.clean`."""
    return "".join(template.split()).replace("`", "'").replace('"', "'")


def _steps(template: str) -> list[str]:
    """The pattern in steps: the part before the first place, then each place with what is behind it, in two."""
    parts = _FIELD.split(_normal(template))
    steps = [re.escape(parts[0])]
    for name, kind, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        steps += [_KINDS[kind or ""].format(name) + re.escape(after[:4]), re.escape(after[4:])]
    return [step for step in steps if step]


def _opens(parts: Sequence[str], said: str) -> bool:
    """Whether a text of these literal parts, names and kinds begins with *said*, which may end anywhere in it."""
    if len(said) <= len(parts[0]):
        return parts[0].startswith(said)
    if not said.startswith(parts[0]):
        return False
    rest = said[len(parts[0]) :]
    for kind, after in zip(parts[2::3], parts[3::3], strict=True):
        fits = _WHOLE[kind or ""].fullmatch
        place, found, behind = rest.partition(after) if after else (rest, "", "")
        if not found or not fits(place):
            cuts = range(min(len(after), len(rest)), -1, -1)
            return any(rest.endswith(after[:end]) and fits(rest[: len(rest) - end]) is not None for end in cuts)
        rest = behind
    return True


def find_all(texts: Sequence[Text], paste: Paste) -> list[Match]:
    """All texts in the paste, no two at one place: the weightiest first, and of equal ones what was said last."""
    found = [match for text in texts if (match := text.find(paste)) is not None]
    kept: list[Match] = []
    for match in sorted(found, key=lambda match: (-match.text.weight, -match.at)):
        if not any(match.at < other.until and other.at < match.until for other in kept):
            kept.append(match)
    return kept
