"""What a file's stored configuration means, against a live model: what computes otherwise though every weight fits.

    config bytes -> stored.py --+
                                +--> Net -> tidy.py -> pair.py -> compare.py -> Meaning -> report/meaning.py
    live model   -> live.py ----+

Both sides become the same normal form (``net.py``): layers with settings, joined by references. ``values.py`` knows the
dialects of Keras 1 to 3 in which one value is written, ``effects.py`` what a setting does. A difference of dialect is
no difference, and nothing is claimed of what nobody here knows.
"""

from kwload.meaning.compare import compare, compare_opened
from kwload.meaning.net import Change, GraphChange, LayerChange, Meaning

__all__ = ["Change", "GraphChange", "LayerChange", "Meaning", "compare", "compare_opened"]
