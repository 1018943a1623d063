"""A pasted error text made comparable: colours, frames, quote marks and line ends differ from paste to paste, words do
not.

``Paste.words`` is the text without any blank, so that a message is found wherever a terminal broke its lines, and with
one kind of quote mark. The path of a file, which may have blanks in it, is looked for in the lines.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

MOST_CHARS: Final = 400_000
"""Longest text that is looked at; of a longer one, its beginning and its end."""

_COLOURS: Final = re.compile(
    r"(?:\x1b|\^\[|\\x1b|\\033|\\u001b|\\e)\[[0-9;?]{0,20}[A-Za-z]|\[\d{1,2}(?:;\d{1,3}){0,4}m"
)
_ENTITY: Final = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|#\d{1,5}|#x[0-9a-fA-F]{1,4});")
_TAG: Final = re.compile(
    r"</?(?:span|br|pre|code|div|p|b|i|em|strong|a|font|samp|blockquote|li|ul)(?: [^<>]{0,300})?/?>"
)
_FRAME: Final = re.compile(r"[ \t]*(?:(?:[>|│┃╎╭╰┌└]|E(?=[ \t]{2}))[ \t]*)*")
_ESCAPED_END: Final = re.compile(r"(?:\\r)?\\n(?![a-z])|(?<=[.;)\]>])\\n")
_QUOTES: Final = str.maketrans(
    dict.fromkeys('`"\u00b4\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb', "'")
    | {"\u00a0": " ", "\u200b": "", "\ufeff": ""}
)
_BLANKS: Final = re.compile(r"\s+")

_SUFFIXES: Final = r"(?:weights\.h5|weights\.json|hdf5|h5|keras|index|ckpt(?:-\d{1,9})?|data-\d{5}-of-\d{5})"
_WINDOWS: Final = r"(?:[A-Za-z]:)?"
_NAMED: Final = (
    re.compile(r"\bname = '([^'\n]{1,400})', errno"),
    re.compile(r"\bfilename = '([^'\n]{1,400})', file descriptor"),
    re.compile(r"\bfilepath=(\S[^\n]{0,400}?)(?:\. (?:Please|Keras|Expected)|\.?$|,)", re.MULTILINE),
    re.compile(r"legacy '\.h5' or '\.hdf5' files\. Received: (\S[^\n]{0,400}?)$", re.MULTILINE),
    re.compile(r"No model config found in the file at ([^<\s][^\n]{0,400}?)\.?$", re.MULTILINE),
    re.compile(r"No file or directory found at (\S[^\n]{0,400}?)$", re.MULTILINE),
    re.compile(r"SavedModel file does not exist at: ([^\n{]{1,400}?)(?:/?\{|$)", re.MULTILINE),
    re.compile(r"Failed to find any matching files for ([^\n]{1,400}?) ?(?:\[Op|$)", re.MULTILINE),
    re.compile(r"Unable to open table file ([^\n:]{1,400}):"),
    re.compile(r"\[Errno \d+\] [^\n:]{1,80}: '([^'\n]{1,400})'"),
    re.compile(r"(?:load_weights|load_model|h5py\.File|restore|read)\(\s*[rbu]?'([^'\n]{1,400})'"),
    re.compile(rf"'({_WINDOWS}[^'\n]{{1,400}}\.{_SUFFIXES})'"),
    re.compile(rf"(?<![\w./\\:-])({_WINDOWS}[\w./\\~-]{{0,400}}\w\.{_SUFFIXES})(?![\w-]|\.\w)"),
)
_ONLY_SUFFIX: Final = re.compile(rf"<.*|\.?{_SUFFIXES}")
_NOT_PATHS: Final = ("model.weights.h5",)
"""What messages mention and is no file of the user: the member of an archive."""


@dataclass(frozen=True)
class Paste:
    """A text as it was pasted, and what can be compared.

    Attributes
    ----------
    lines : str
        Without colours, frames and markup; line ends kept.
    words : str
        Without any blank.
    """

    lines: str
    words: str

    @cached_property
    def lower(self) -> str:
        """The words in lower case, of the same length."""
        lowered = self.words.lower()
        return lowered if len(lowered) == len(self.words) else "".join(c.lower()[:1] or c for c in self.words)

    @cached_property
    def path(self) -> str | None:
        """The weight file that the text is about, when it names one."""
        for pattern in _NAMED:
            for match in pattern.finditer(self.lines):
                found = match[1].strip().rstrip(".")
                if not found.isprintable():
                    return None
                if found not in _NOT_PATHS and "://" not in found and not _ONLY_SUFFIX.fullmatch(found):
                    return found
        return None


def clean(text: str) -> Paste:
    """Any text, however long or strange, as a :class:`Paste`."""
    if len(text) > MOST_CHARS:
        text = text[: MOST_CHARS // 2] + "\n" + text[-(MOST_CHARS // 2) :]
    text = _COLOURS.sub("", text)
    if _ENTITY.search(text):
        text = html.unescape(_TAG.sub(" ", text))
    text = _ESCAPED_END.sub("\n", text).translate(_QUOTES).replace("\\'", "'")
    lines = "\n".join(_FRAME.sub("", line, count=1).rstrip().rstrip("│┃").rstrip() for line in text.splitlines())
    return Paste(lines, _BLANKS.sub("", lines))
