"""What a file's stored configuration means, against a live model: what computes otherwise though every weight fits.

    config bytes -> stored.py --+
                                +--> Net -> tidy.py -> pair.py -> comparing.py -> Meaning -> report/meaning.py
    live model   -> live.py ----+

Both sides become the same normal form (``net.py``): layers with settings, joined by references. ``values.py`` knows the
dialects of Keras 1 to 3 in which one value is written, ``effects.py`` what a setting does. A difference of dialect is
no difference, and nothing is claimed of what nobody here knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kwload.meaning.comparing import compare, compare_opened
    from kwload.meaning.net import Change, GraphChange, LayerChange, Meaning

__all__ = ["Change", "GraphChange", "LayerChange", "Meaning", "compare", "compare_opened"]


def __getattr__(name: str) -> Any:
    """Loads what is asked for: who only reads a configuration needs no comparison."""
    import importlib

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place = "comparing" if name.startswith("compare") else "net"
    return getattr(importlib.import_module(f"{__name__}.{place}"), name)
