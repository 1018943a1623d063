"""What was registered in this process, and the scopes that a thread is in: all that users' classes are looked up in.

registering --> tables --> registry --> asking --> the user's function
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

Function: TypeAlias = Callable[..., Any]

OBJECTS: Final[dict[str, Any]] = {}
SIGNATURES: Final[dict[str, Function]] = {}
OF_CLASS: Final[dict[type, Function]] = {}


class _Scopes(threading.local):
    """The objects of the scopes that this thread is in, outermost first."""

    def __init__(self) -> None:
        self.stack: list[Mapping[str, Any]] = []
        self.build = False
        """Whether classes without a signature are to be built."""


SCOPES: Final = _Scopes()
