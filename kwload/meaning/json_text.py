"""Reads JSON text from anyone: bounded in length and in depth, before Python's parser sees it."""

from __future__ import annotations

import json
import re
from typing import Any, Final

DEEPEST: Final = 200
_NO_BRACKETS: Final = bytes(code for code in range(256) if code not in b"[]{}")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)  # one that does not end, too: found once


def tree_of(data: bytes, most: int) -> Any:
    """What a JSON text says; None when it is none, has more than so many bytes, or is too deep."""
    if len(data) > most or _too_deep(data):
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _too_deep(data: bytes) -> bool:
    """Whether lists and objects lie in one another more than 200 deep: Python's parser, and what is done here with what
    it gives, would need as many calls within calls."""
    brackets = data.translate(None, _NO_BRACKETS)
    if not _nested(brackets):
        return False
    return _nested(_STRING.sub(b"", data).translate(None, _NO_BRACKETS))  # those in names are none


def _nested(brackets: bytes) -> bool:
    import numpy as np

    codes = np.frombuffer(brackets, np.uint8)
    depth = np.cumsum(np.where((codes == ord("[")) | (codes == ord("{")), 1, -1), dtype=np.int32)
    return bool(depth.size and depth.max() > DEEPEST)
