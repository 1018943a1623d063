"""Makes text from files safe to show.

A name in a file can hold anything: a newline that forges a line of a report, an ESC that drives the terminal, a
right-to-left override that turns a name around. Everything that is not printable becomes visible.
"""

from __future__ import annotations

import json
import unicodedata

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_MOST_MARKS = 4


def _visible(char: str) -> str:
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape(text: str, limit: int = 160) -> str:
    r"""Text of a file as one line that can be printed anywhere.

    Control and format characters (bidirectional controls, zero-width ones, ESC, line ends), surrogates and unassigned
    code points become ``\n``, ``\x1b``, ``\u202e``; a fifth combining mark in a row is escaped too.

    Parameters
    ----------
    text : str
        Anything.
    limit : int
        Longest result in characters; longer text loses its middle.
    """
    if text.isascii() and text.isprintable() and "\\" not in text:
        return _shorten(text, limit)
    out: list[str] = []
    marks = 0
    for char in _shorten(text, limit) if len(text) > 4 * limit else text:
        category = unicodedata.category(char)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        hidden = category in _HIDDEN or (category == "Zs" and char != " ")
        out.append(_visible(char) if hidden or char == "\\" or marks > _MOST_MARKS else char)
    return _shorten("".join(out), limit)


def _shorten(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def quote(text: str, limit: int = 160) -> str:
    """The escaped text in backquotes, as sentences name things."""
    return f"`{escape(text, limit).replace('`', chr(92) + 'x60')}`"


def literal(text: str) -> str:
    """A Python string literal that means exactly *text*, all ASCII-safe where a character cannot be seen."""
    if text.isprintable() and "\\" not in text and '"' not in text:
        return f'"{text}"'
    quoted = repr(text)
    if "'" not in quoted[1:-1] and '"' not in quoted:
        return f'"{quoted[1:-1]}"'
    return quoted


def json_text(value: object, indent: int | None = None) -> str:
    """*value* as JSON in ASCII: no character of a file can end or turn a line of a log."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, indent=indent)
