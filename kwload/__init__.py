"""kwload: the check that comes before ``model.load_weights``.

>>> import kwload
>>> report = kwload.check(model, "model.weights.h5")    # says everything, touches nothing
>>> kwload.load_weights(model, "model.weights.h5")      # all or nothing
>>> with kwload.open("model.weights.h5") as file:       # without Keras
...     file["layers/dense/vars/0"]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kwload._core import Tensor
    from kwload.api import check, check_model, load_weights, open
    from kwload.compare import Diff, diff
    from kwload.errors import (
        WeightsError,
        WeightsFileError,
        WeightsIsADirectoryError,
        WeightsMismatchError,
        WeightsNotFoundError,
        WeightsPermissionError,
        WeightsWarning,
    )
    from kwload.explaining.explain import explain
    from kwload.file import File
    from kwload.installing import install, uninstall
    from kwload.loading import load_model
    from kwload.report.finding import Finding, Prediction, Report
    from kwload.scanning import scan
    from kwload.spec.registering import custom_object_scope, register, signature
    from kwload.spec.registry import registered
    from kwload.spec.signature import Sub, Var
    from kwload.stamps.manifest import Manifest, manifest
    from kwload.stamps.stamp import Stamp, stamp
    from kwload.stamps.verify import verify

__all__ = [
    "Diff",
    "File",
    "Finding",
    "Manifest",
    "Prediction",
    "Report",
    "Stamp",
    "Sub",
    "Tensor",
    "Var",
    "WeightsError",
    "WeightsFileError",
    "WeightsIsADirectoryError",
    "WeightsMismatchError",
    "WeightsNotFoundError",
    "WeightsPermissionError",
    "WeightsWarning",
    "check",
    "check_model",
    "custom_object_scope",
    "diff",
    "explain",
    "install",
    "load_model",
    "load_weights",
    "manifest",
    "open",
    "register",
    "registered",
    "scan",
    "signature",
    "stamp",
    "uninstall",
    "verify",
]

# Where each public name lives. Looked up at the first use: pytest loads the plugin, and with it this module, in every
# run of every project where kwload is installed, and must not pay for NumPy and the core.
_HOMES = {
    "Diff": "kwload.compare",
    "File": "kwload.file",
    "Finding": "kwload.report.finding",
    "Manifest": "kwload.stamps.manifest",
    "Prediction": "kwload.report.finding",
    "Report": "kwload.report.finding",
    "Stamp": "kwload.stamps.stamp",
    "Sub": "kwload.spec.signature",
    "Tensor": "kwload._core",
    "Var": "kwload.spec.signature",
    "check": "kwload.api",
    "check_model": "kwload.api",
    "custom_object_scope": "kwload.spec.registering",
    "diff": "kwload.compare",
    "explain": "kwload.explaining.explain",
    "install": "kwload.installing",
    "load_model": "kwload.loading",
    "load_weights": "kwload.api",
    "manifest": "kwload.stamps.manifest",
    "open": "kwload.api",
    "register": "kwload.spec.registering",
    "registered": "kwload.spec.registry",
    "scan": "kwload.scanning",
    "signature": "kwload.spec.registering",
    "stamp": "kwload.stamps.stamp",
    "uninstall": "kwload.installing",
    "verify": "kwload.stamps.verify",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("kwload")
    if name not in __all__:
        raise AttributeError(f"module 'kwload' has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "kwload.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
