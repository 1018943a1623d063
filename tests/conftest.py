"""What all tests share: the corpus of real files, and how Keras starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_files import CORPUS

# TensorFlow's start-up messages would end up in the output that tests compare.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def corpus() -> Path:
    if not CORPUS.is_dir():
        pytest.skip("THE CORPUS IS ABSENT: set KWLOAD_CORPUS")
    return CORPUS


@pytest.fixture
def nothing_registered() -> Iterator[None]:
    """Nothing is registered with kwload before a test, and nothing after it."""
    from kwload.spec.tables import OBJECTS, OF_CLASS, SIGNATURES

    tables: list[dict[object, object]] = [OBJECTS, SIGNATURES, OF_CLASS]  # type: ignore[list-item]
    before = [dict(table) for table in tables]
    for table in tables:
        table.clear()
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not CORPUS.is_dir():
        terminalreporter.write_line(
            f"THE CORPUS IS ABSENT ({CORPUS}): nothing was tested against real files. Set KWLOAD_CORPUS.", red=True
        )
