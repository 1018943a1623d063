"""Names that a Keras looks up among its own: of layers, initializers, activations, losses, metrics and the like.

What a config names without a module, by a text or in the way of Keras 2, is looked up in the namespace of the key that
it stands under. Read in Keras 3.0.0 to 3.15.1 and tf_keras 2.12 to 2.21.
"""

from __future__ import annotations

from typing import Final

from kwload.versions import classes
from kwload.versions.objects import by_name
from kwload.versions.reader import Reader
from kwload.versions.replay import LOSS_ALIASES

_MORE: Final = {
    "initializers": frozenset(
        ["uniform", "normal", "one", "zero", "ones", "zeros", "orthogonal", "identity", "initializer"]
    ),
    "regularizers": frozenset(("l1", "l2", "l1_l2")),
    "constraints": frozenset(("maxnorm", "nonneg", "unitnorm")),
    "activations": frozenset(["swish", "silu", "hard_swish", "leaky_relu", "log_softmax", "relu6", "linear"]),
    "losses": frozenset(("LossFunctionWrapper", "huber_loss", "cosine_proximity")),
    "metrics": frozenset(
        [
            "accuracy",
            "acc",
            "ACC",
            "ce",
            "crossentropy",
            "cosine_proximity",
            "Reduce",
            "MeanMetricWrapper",
            "SumOverBatchSize",
            "SumOverBatchSizeMetricWrapper",
            "SensitivitySpecificityBase",
            "PyMetric",
        ]
    ),
    "optimizers": frozenset(
        [
            "lossscaleoptimizer",
            "lossscaleoptimizerv1",
            "lossscaleoptimizerv3",
            "experimentaladadelta",
            "experimentaladagrad",
            "experimentaladam",
            "experimentalsgd",
            "ftrl",
        ]
    ),
}
"""Names that no release exports, and every one finds."""


REGISTERED: Final = frozenset({"Custom>CustomScaleLayer"})
"""Layers that Keras 2 registers as users do theirs (``applications/inception_resnet_v2.py``, in 2.15 and newer)."""

UNEXPORTED: Final = {
    "LayerScale": "applications.convnext",
    "StochasticDepth": "applications.convnext",
    "CustomScaleLayer": "applications.inception_resnet_v2",
}
"""Layers that have no public name, and their modules: Keras 3 imports those for an archive, and finds none by name."""


def knows(reader: Reader, space: str, name: str) -> bool:
    """Whether a Keras finds a name in one of its namespaces; the benefit of the doubt where releases differ."""
    if name in _MORE.get(space, ()) or classes.has_function(reader, space, name):
        return True
    if classes.find(reader, f"{space}.{name}") is not None or name in by_name(reader, space):
        return True
    if space == "initializers":
        return name.endswith("V2") and knows(reader, space, name.removesuffix("V2"))
    if space == "optimizers":
        lower = name.removeprefix("Custom>").lower()  # TF 2.11 registered its new optimizers so
        return lower in _MORE[space] or any(lower == other.lower() for other in classes.names(reader, space))
    if space in ("losses", "metrics"):
        other = "metrics" if space == "losses" else "losses"
        return name in LOSS_ALIASES or classes.has_function(reader, other, name)
    return space == "activations" and classes.find(reader, f"layers.{name}") is not None


def is_keras(module: object) -> bool:
    """Whether a recorded module is one of Keras's own."""
    return isinstance(module, str) and module.partition(".")[0] in ("keras", "tf_keras")


def is_function(reader: Reader, name: str) -> bool:
    """Whether a function that records no module of its own is one of Keras's."""
    spaces = ("activations", "constraints", "initializers", "losses", "metrics", "regularizers")
    return any(knows(reader, space, name) for space in spaces)


def imports(reader: Reader, role: str, *, inside: bool) -> bool:
    """Whether this Keras imports the module that an object records, to find it there: all before 3.9.

    Keras 2 does so for the model itself and for what it was compiled with; *inside* a layer or model, by name alone.
    """
    if reader.is_3:
        return reader.version < (3, 9, 0)
    return not inside or role in ("function", "object")
