"""A name of a module, or of a class, by the statements that bind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kwload.stamps import canonical
from kwload.stamps.names import reads
from kwload.stamps.sources import Parsed
from kwload.stamps.walk import Walk


def take_statements(walk: Walk, name: str, statements: Iterable[Any], file: Parsed, module: dict[str, Any]) -> None:
    """Takes them as one piece, with what is asked around them, and follows what they read."""
    listed = list(statements)
    if not walk.is_new("statements", id(file), name, listed[0].lineno, keep=file):
        return
    asked = list(dict.fromkeys(test for item in listed for test in file.conditions.get(item, ())))
    text = "\n".join(map(canonical.form, [*asked, *listed]))
    walk.put(name, text, "\n".join(map(file.text, listed)))
    walk.follow_names(reads([*asked, *listed]), name, file, module)
