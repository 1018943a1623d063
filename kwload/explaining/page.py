"""The page of each code, and the list of all.

A page is ``pages/KWnnn.txt``: a title, then sections as they are shown. What the code means stands in the catalogue
(``report/codes.py``) and is put under the title; the section ``Example`` is the finding that the golden report of this
code shows (``tests/test_report.py`` compares them), and ``See also`` holds codes only.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import cache
from html import escape as html_escape
from pathlib import Path
from typing import Any, Final

from kwload.report.codes import CATALOGUE, Entry

WIDTH: Final = 96
"""Columns of a page."""

PAGES: Final = Path(__file__).with_name("pages")
"""Where the pages are."""

SECTIONS: Final = ("Causes", "Example", "What Keras does", "What to do", "See also", "Source")
"""The sections of a page, in this order."""

_HUNDREDS: Final = {
    1: "the path",
    2: "the container",
    3: "structure",
    4: "meaning",
    5: "values",
    6: "danger",
}
_BOX: Final = "border-left:4px solid #1565c0;padding:4px 0 4px 12px;margin:6px 0;font-family:sans-serif;font-size:13px"
_PRE: Final = "font-family:monospace;font-size:12px;line-height:1.35;white-space:pre-wrap;background:none;margin:4px 0"


def wrap(text: str, *, first: str = "", rest: str = "") -> list[str]:
    """The text in lines of at most :data:`WIDTH` columns, with an indent for the first and one for the others."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What :func:`kwload.explain` gives: ``str()`` is the text, and a notebook shows it as HTML.

    Attributes
    ----------
    known : bool
        False when the text that was asked about is not recognised.
    """

    known: bool = True

    @property
    def title(self) -> str:
        """The first line."""
        raise NotImplementedError

    @property
    def body(self) -> str:
        """All other lines."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join([*wrap(self.title), self.body])

    def _repr_html_(self) -> str:
        body = html_escape(self.body.strip("\n"))
        return f'<div style="{_BOX}"><b>{html_escape(self.title)}</b><pre style="{_PRE}">{body}</pre></div>'


@dataclass(frozen=True, kw_only=True)
class Page(Explanation):
    """The page of one code.

    Attributes
    ----------
    code, slug : str
        ``"KW307"``, ``"shape-mismatch"``.
    line : str
        What it is, in one line.
    meaning : str
        What it means, for someone who meets it the first time.
    sections : dict of str to str
        Title of a section -> its lines, without indent.
    """

    code: str
    slug: str
    line: str
    meaning: str
    sections: dict[str, str]

    @property
    def title(self) -> str:
        return f"{self.code} {self.slug}: {self.line}"

    @property
    def body(self) -> str:
        lines = ["", *wrap(self.meaning)]
        for name, text in self.sections.items():
            shown = _named(text) if name == "See also" else text.split("\n")
            lines += ["", name, *(f"  {line}".rstrip() for line in shown)]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "slug": self.slug,
            "title": self.line,
            "meaning": self.meaning,
            **{name.lower().replace(" ", "_"): text for name, text in self.sections.items()},
        }


@dataclass(frozen=True, kw_only=True)
class Pages(Explanation):
    """Several pages.

    Attributes
    ----------
    pages : tuple of Page
        In the order they were asked for.
    """

    pages: tuple[Page, ...]

    @property
    def title(self) -> str:
        return ", ".join(f"{page.code} {page.slug}" for page in self.pages)

    @property
    def body(self) -> str:
        return "\n" + "\n\n\n".join(map(str, self.pages))

    def to_dict(self) -> dict[str, Any]:
        return {"pages": [page.to_dict() for page in self.pages]}


@dataclass(frozen=True, kw_only=True)
class Listing(Explanation):
    """All codes by hundred, each with its slug and one line.

    Attributes
    ----------
    pages : tuple of Page
        All of them, by number.
    """

    pages: tuple[Page, ...]

    @property
    def title(self) -> str:
        return "The codes of kwload's reports; `kwload explain KW307` shows the page of one."

    @property
    def body(self) -> str:
        wide = max(len(page.slug) for page in self.pages)
        lines: list[str] = []
        hundred = 0
        for page in self.pages:
            if int(page.code[2]) != hundred:
                hundred = int(page.code[2])
                lines += ["", f"KW{hundred}xx  {_HUNDREDS[hundred]}"]
            lines.append(f"  {page.code}  {page.slug:<{wide}}  {page.line}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return {"codes": [{"code": page.code, "slug": page.slug, "title": page.line} for page in self.pages]}


def _named(codes: str) -> list[str]:
    """Codes with their slugs, as many to a line as fit."""
    said = ", ".join(f"{code} {CATALOGUE[int(code[2:])].slug}".replace(" ", "\0") for code in codes.split())
    return [line.replace("\0", " ") for line in textwrap.wrap(said, WIDTH - 2, break_on_hyphens=False)]


def parse(entry: Entry, text: str) -> Page:
    """The page from its file.

    Raises
    ------
    ValueError
        The file has not the form of a page.
    """
    line, _, rest = text.partition("\n")
    parts = re.split(r"^(\w[\w ]*)\n", rest, flags=re.MULTILINE)
    sections = {name: textwrap.dedent(shown).strip("\n") for name, shown in zip(parts[1::2], parts[2::2], strict=True)}
    if tuple(sections) != SECTIONS:
        raise ValueError(f"{entry.code}: the sections are {', '.join(sections)}, not {', '.join(SECTIONS)}")
    return Page(code=entry.code, slug=entry.slug, line=line, meaning=entry.explanation, sections=sections)


@cache
def page_of(number: int) -> Page:
    """The page of a code of the catalogue."""
    entry = CATALOGUE[number]
    return parse(entry, (PAGES / f"{entry.code}.txt").read_text(encoding="utf-8"))


def by_topic(topic: str) -> Page | None:
    """The page that a word means: ``"KW307"``, ``"kw307"``, ``"307"``, ``"shape-mismatch"``, ``"Shape_Mismatch"``."""
    word = re.sub(r"[\s_-]+", "-", topic.strip().strip("[]`'\"").lower())
    number = word.removeprefix("kw").strip("-")
    if number.isascii() and number.isdecimal() and len(number) == 3:
        return page_of(int(number)) if int(number) in CATALOGUE else None
    return next((page_of(entry.number) for entry in CATALOGUE.values() if entry.slug.lower() == word), None)


def listing() -> Listing:
    """All codes."""
    return Listing(pages=tuple(page_of(number) for number in sorted(CATALOGUE)))
