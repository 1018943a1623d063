"""Where the corpus of real files is, for the tests that read it in place."""

from __future__ import annotations

import os
from pathlib import Path

CORPUS = Path(os.environ.get("KWLOAD_CORPUS", Path(__file__).parent.parent.parent / "shared" / "corpus"))


def corpus_files(*folders: str) -> list[Path]:
    """The files of the corpus's folders, sorted; empty when the corpus is absent."""
    return sorted(path for folder in folders for path in (CORPUS / folder).rglob("*") if path.is_file())
