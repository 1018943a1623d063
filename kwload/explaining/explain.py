"""``explain``: from a code to its page, from a pasted error text to its likely causes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

from kwload.explaining.match import Cause, Facts, Match, Text, find_all
from kwload.explaining.page import Explanation, Listing, Page, Pages, by_topic, listing, wrap
from kwload.explaining.paste import Paste, clean
from kwload.explaining.texts_files import CHECK, INSPECT
from kwload.report.codes import CATALOGUE

_OWN: Final = re.compile(r"\b(?:error|warning|note)\[(KW\d{3})\]")
_CODE: Final = re.compile(r"(?:kw)?-?\d{1,4}|[a-z]+(?:[-_][a-z]+)*", re.IGNORECASE)
_MOST_ALSO: Final = 3


@dataclass(frozen=True)
class Diagnosis(Explanation):
    """What a pasted error text says, and what may have led to it.

    Attributes
    ----------
    known : bool
        Whether the text is one that is recognised.
    says : str
        What it says, in other words, with its own names and numbers; ``""`` when it is not known.
    by : str
        Who writes this text.
    causes : tuple of Cause
        Most likely first.
    path : str or None
        The file that the text names.
    also : tuple of str
        Other known texts in the same paste, in other words.
    run : tuple of str
        What shows more, when the text is not known.
    """

    says: str
    by: str
    causes: tuple[Cause, ...]
    path: str | None
    also: tuple[str, ...] = ()
    run: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The first line."""
        return self.says or "This text is not one that kwload knows."

    @property
    def body(self) -> str:
        """All other lines."""
        if not self.known:
            return "\n".join(
                ["", "What is wrong can be seen from the file itself:", *(f"  {line}" for line in self.run)]
            )
        lines = [
            f"(the words of {self.by})",
            "",
            "Likely causes, most likely first" if len(self.causes) > 1 else "Cause",
        ]
        shown: set[str] = set()  # a command is said once, where it helps most
        for number, cause in enumerate(self.causes, 1):
            code = f" ({cause.code})" if cause.code else ""
            lines += wrap(f"{cause.why}{code}", first=f"  {number}. ", rest="     ")
            lines += [f"       {line}" for line in cause.do if line.partition("  #")[0] not in shown]
            shown.update(line.partition("  #")[0] for line in cause.do)
        if self.also:
            lines += [
                "",
                "Also in this text",
                *(line for said in self.also for line in wrap(said, first="  - ", rest="    ")),
            ]
        codes = list(dict.fromkeys(cause.code for cause in self.causes if cause.code))
        if codes:
            lines += ["", f"More: kwload explain {' '.join(codes)}"]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as plain data."""
        causes = [{"code": cause.code, "why": cause.why, "do": list(cause.do)} for cause in self.causes]
        return {
            "known": self.known,
            "says": self.says,
            "by": self.by,
            "causes": causes,
            "path": self.path,
            "also": list(self.also),
        }


def explain(topic: str | BaseException | None = None) -> Explanation:
    """Explain a code of a report, or a pasted error text.

    Neither Keras nor TensorFlow is imported, and no file is looked at.

    Parameters
    ----------
    topic : str or exception, optional
        ``"KW307"``, ``"307"`` or ``"shape-mismatch"``, in any case: the page of this code. Any other text, a whole
        traceback for example, or an exception that was caught: what it says and the likely causes. Without it: the
        list of all codes.

    Returns
    -------
    Page, Pages, Diagnosis or Listing
        ``str()`` of it is the text; a notebook shows it as HTML. ``known`` is False when the text is not recognised.
    """
    if isinstance(topic, BaseException):
        topic = f"{type(topic).__name__}: {topic}"
    if topic is None or not topic.strip():
        return listing()
    page = by_topic(topic)
    if page is not None:
        return page
    own = list(dict.fromkeys(_OWN.findall(topic)))
    pages = [page for code in own if (page := by_topic(code)) is not None]
    if pages:
        return pages[0] if len(pages) == 1 else Pages(pages=tuple(pages))
    return diagnose(topic)


def explain_all(words: Sequence[str]) -> Explanation:
    """Several codes, or the words of one pasted text: what a command line gives.

    Raises
    ------
    LookupError
        The words look like codes, and one of them is none; the message names those most like it.
    """
    pages = [by_topic(word) for word in words]
    known = tuple(page for page in pages if page is not None)
    if len(known) < 2 or len(known) < len(words):
        made = explain(" ".join(words))
        if made.known:
            return made
        wrong = next(
            (word for word, page in zip(words, pages, strict=True) if page is None and _CODE.fullmatch(word)), None
        )
        if wrong is not None and (known or len(words) == 1):
            raise LookupError(f"there is no code {wrong!r}{_near(wrong)}")
        return made
    return Pages(pages=known)


def _near(word: str) -> str:
    slugs = [entry.slug for entry in CATALOGUE.values()]
    near = get_close_matches(word.lower(), slugs, 3, 0.6)
    return f"; did you mean {' or '.join(near)}?" if near else "; `kwload explain` lists them all"


def diagnose(text: str) -> Diagnosis:
    """The likely causes behind an error text of Keras, TensorFlow, h5py, zipfile or Python.

    Parameters
    ----------
    text : str
        Anything: a message, a line of it, a traceback with colours, frames and other messages around it.
    """
    paste = clean(text)
    matches = find_all(_texts(), paste)
    if not matches:
        facts = Facts({}, paste)
        return Diagnosis(
            known=False, says="", by="", causes=(), path=paste.path, run=(facts.fill(INSPECT), facts.fill(CHECK))
        )
    return _diagnosis(matches, paste)


def _diagnosis(matches: list[Match], paste: Paste) -> Diagnosis:
    first = matches[0]
    causes = tuple(
        Cause(cause.code, first.facts.fill(cause.why), tuple(first.facts.fill(line) for line in cause.do))
        for cause in first.causes()
    )
    said = first.means()
    # What merely wraps another text, or repeats it in other words, is not worth a line.
    others = (match.means() for match in matches[1:] if match.text.weight > 1)
    also = [other for other in dict.fromkeys(others) if other != said][:_MOST_ALSO]
    return Diagnosis(known=True, says=said, by=first.text.by, causes=causes, path=paste.path, also=tuple(also))


@cache
def _texts() -> tuple[Text, ...]:
    from kwload.explaining import texts_files, texts_load, texts_model, texts_tensorflow

    return (*texts_load.TEXTS, *texts_files.TEXTS, *texts_model.TEXTS, *texts_tensorflow.TEXTS)


__all__ = ["Diagnosis", "Explanation", "Listing", "Page", "Pages", "diagnose", "explain", "explain_all"]
