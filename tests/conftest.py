"""What all tests share: the corpus of real files, and how Keras starts."""

from __future__ import annotations

import os
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not CORPUS.is_dir():
        terminalreporter.write_line(
            f"THE CORPUS IS ABSENT ({CORPUS}): nothing was tested against real files. Set KWLOAD_CORPUS.", red=True
        )
