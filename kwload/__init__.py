"""kwload: the check that comes before ``model.load_weights``.

>>> import kwload
>>> report = kwload.check(model, "model.weights.h5")    # says everything, touches nothing
>>> kwload.load_weights(model, "model.weights.h5")      # all or nothing
>>> with kwload.open("model.weights.h5") as file:       # without Keras
...     file["layers/dense/vars/0"]
"""

from __future__ import annotations

from kwload._core import Tensor
from kwload.api import check, load_weights, open  # noqa: A004  (the name users expect: kwload.open)
from kwload.errors import (
    WeightsError,
    WeightsFileError,
    WeightsIsADirectoryError,
    WeightsMismatchError,
    WeightsNotFoundError,
    WeightsPermissionError,
)
from kwload.file import File
from kwload.report.finding import Finding, Prediction, Report

__all__ = [
    "File",
    "Finding",
    "Prediction",
    "Report",
    "Tensor",
    "WeightsError",
    "WeightsFileError",
    "WeightsIsADirectoryError",
    "WeightsMismatchError",
    "WeightsNotFoundError",
    "WeightsPermissionError",
    "check",
    "load_weights",
    "open",
]


def __getattr__(name: str) -> str:
    # Reading the installed metadata costs more than the rest of the import, so it waits until asked.
    if name == "__version__":
        from importlib.metadata import version

        return version("kwload")
    raise AttributeError(f"module 'kwload' has no attribute {name!r}")
