"""What a model wants, from its architecture alone: neither Keras nor TensorFlow is needed, and nothing that a
configuration names is imported or run.

    .keras, .h5, JSON, dict --target-->  tree --make + flow-->  layers with variables --graph--> V3 layouts
                                                                                      --lists--> legacy layouts
    unknown shapes, unknown classes  --adopt-->  what the file has, said to be unverified

The result is the description that :func:`kwload.spec.live.describe` gives of a live model, without live objects.
"""

from kwload.spec.architecture.adopt import adopted
from kwload.spec.architecture.describe import Described, Unverified, describe
from kwload.spec.architecture.opened import of_file
from kwload.spec.architecture.things import ArchitectureError

__all__ = ["ArchitectureError", "Described", "Unverified", "adopted", "describe", "of_file"]
