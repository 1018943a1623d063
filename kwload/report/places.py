"""Where in the user's own code something stands, as people read it."""

from __future__ import annotations

import os

from kwload.report.escape import escape


def place_text(place: tuple[str | None, int | None]) -> str:
    """``"mynet/signatures.py, line 12"``, below the current directory without the way to it; ``""`` when unknown."""
    file, line = place
    if file is None:
        return ""
    near = os.path.relpath(file) if os.path.isabs(file) and file.startswith(os.getcwd() + os.sep) else file
    return escape(near, 120) + (f", line {line}" if line else "")
