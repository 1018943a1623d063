"""Keras 3 and tf_keras side by side, and every file layout that each can write: what the tests against real Keras
are parametrised over."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Layouts that record the names of layers: of the V3 layout of tf_keras only an archive, in its configuration.
NAMED = {"keras": {"v3", "keras", "shards", "legacy", "legacy-model"}, "tf_keras": {"keras", "legacy", "legacy-model"}}
LEGACY = ("legacy", "legacy-model")


@dataclass(frozen=True)
class Family:
    """One Keras and one layout it writes."""

    name: str
    layout: str

    @property
    def keras(self) -> Any:
        return importlib.import_module(self.name)

    @property
    def named(self) -> bool:
        return self.layout in NAMED[self.name]

    @property
    def is_legacy(self) -> bool:
        return self.layout in LEGACY

    def __str__(self) -> str:
        return f"{self.name}-{self.layout}"

    def sequential(self, *layers: Any, inputs: tuple[int, ...] = (10,)) -> Any:
        return self.keras.Sequential([self.keras.layers.Input(inputs), *layers])

    def save(self, model: Any, folder: Path) -> Path:
        """Writes the model's weights with this Keras itself, in this layout."""
        if self.layout == "v3":
            path = folder / "model.weights.h5"
            model.save_weights(path)
        elif self.layout == "keras":
            path = folder / "model.keras"
            model.save(path)
        elif self.layout == "shards":
            path = folder / "model.weights.json"
            # Keras refuses a shard smaller than the largest variable, and puts all into one when it can.
            largest = max(np.asarray(weight).nbytes for weight in model.get_weights())
            model.save_weights(path, max_shard_size=1.5 * largest / 1024**3)
        elif self.layout == "legacy-model":
            path = folder / "model_save.h5"
            model.save(path)
        elif self.name == "tf_keras":
            path = folder / "weights.h5"
            model.save_weights(path)
        else:
            path = folder / "weights.h5"
            save_legacy_weights(model, path)
        return path


def save_legacy_weights(model: Any, path: Path) -> None:
    """Keras 3 writes the legacy layout only inside whole models; this is the same function without the model."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


ALL = [
    *(Family("keras", layout) for layout in ("v3", "keras", "shards", "legacy", "legacy-model")),
    *(Family("tf_keras", layout) for layout in ("v3", "keras", "legacy", "legacy-model")),
]
every_family = pytest.mark.parametrize("family", ALL, ids=str)
each_keras = pytest.mark.parametrize(
    "family", [Family("keras", "v3"), Family("tf_keras", "v3")], ids=["keras", "tf_keras"]
)


def values(model: Any) -> list[np.ndarray]:
    """A copy of every weight of the model."""
    return [np.array(weight) for weight in model.get_weights()]


def same(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    """True when all are bit-identical."""
    return len(left) == len(right) and all(
        a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(left, right, strict=True)
    )
