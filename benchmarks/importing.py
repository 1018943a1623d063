"""Importing kwload and the core behind it against `import numpy`, whole processes, and what is left unimported."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Row, Turns, text

FOREIGN = ("keras", "tensorflow", "rich", "h5py")
# `import kwload` alone looks nothing up; the first use of a name imports NumPy and the core.
OURS = "from kwload import check, load_weights, open"


def prepare(folder: Path) -> None:
    """Nothing to write."""


def measure(folder: Path) -> list[Row]:
    """Two rows: the time, the modules."""

    def python(program: str) -> str:
        # Run elsewhere, so that the installed package is imported.
        return subprocess.check_output([sys.executable, "-c", program], cwd=folder, text=True)

    turns = Turns.of(lambda: python("import numpy"), lambda: python(OURS), 21)
    cost = 1 / turns.ratio
    found = python(f"import sys; {OURS}; print(*[m for m in {FOREIGN!r} if m in sys.modules])").strip() or "none"
    return [
        Row(
            "import kwload and the core, a whole process",
            f"import numpy {text(statistics.median(turns.peer))}",
            text(statistics.median(turns.ours)),
            "at most 1.3x the time",
            f"{cost:.3g}x the time",
            cost <= 1.3,
        ),
        Row(f"import kwload imports none of {', '.join(FOREIGN)}", "-", found, "none", found, found == "none"),
    ]
