"""Changes that set a whole model at odds with its own weights: other sizes in the architecture, layers more or less,
tensors and groups that are missing, new or of another shape."""

from __future__ import annotations

import copy
import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agree.whole_changes import CHANGES, changed

Config = dict[str, Any]
_SIZES = ("units", "filters", "output_dim")


def _stacks(config: Any) -> Iterator[list[Config]]:
    """The lists of layers of a model and of those inside it."""
    todo = [config]
    while todo:
        item = todo.pop(0)
        inner = item.get("config") if isinstance(item, dict) else None
        layers = inner.get("layers") if isinstance(inner, dict) else None
        if isinstance(layers, list):
            yield layers
            todo[:0] = layers


def _sized(config: Any) -> list[Config]:
    """The layers that say how much they return."""
    found = [layer for stack in _stacks(config) for layer in stack]
    return [layer for layer in found if any(isinstance(layer["config"].get(key), int) for key in _SIZES)]


def _grown(at: int) -> Callable[[Config], bool]:
    """One more unit in a layer; those behind it stay as they were built."""

    def change(config: Config) -> bool:
        layers = _sized(config)
        if len(layers) < (2 if at == 0 else 1):
            return False
        inner = layers[at]["config"]
        inner[next(key for key in _SIZES if key in inner)] += 1
        return True

    return change


def _unbiased(config: Config) -> bool:
    layer = next((layer for layer in _sized(config) if layer["config"].get("use_bias") is True), None)
    if layer is None:
        return False
    layer["config"]["use_bias"] = False
    return True


def _unbuilt(config: Config) -> bool:
    """Without the shapes that layers were built with, as files of older releases are, and with one more unit."""
    layers = [layer for stack in _stacks(config) for layer in stack]
    found = [layer.pop("build_config", None) for layer in layers]
    return any(found) and _grown(0)(config)


def _wider_input(config: Config) -> bool:
    """An input of another width than the layers were built with."""
    first = next(iter(next(_stacks(config), [])), None)
    inner = first["config"] if first is not None and first["class_name"] == "InputLayer" else {}
    key = "batch_shape" if "batch_shape" in inner else "batch_input_shape"
    shape = inner.get(key)
    if not isinstance(shape, list) or not isinstance(shape[-1], int):
        return False
    inner[key] = [*shape[:-1], shape[-1] + 1]
    return True


def _is_chain(config: Config) -> bool:
    return config["class_name"] == "Sequential" and isinstance(config["config"], dict)


def _longer(config: Config) -> bool:
    """A copy of the last layer behind it, when it returns what it takes."""
    layers = config["config"]["layers"] if _is_chain(config) else []
    if not layers or layers[-1]["class_name"] not in ("Dense", "LayerNormalization", "BatchNormalization"):
        return False
    layer = copy.deepcopy(layers[-1])
    layer["config"]["name"] += "_more"
    layer.pop("build_config", None)
    layers.append(layer)
    return True


def _shorter(config: Config) -> bool:
    layers = config["config"]["layers"] if _is_chain(config) else []
    if len(layers) < 3 or layers[-1]["class_name"] == "InputLayer":
        return False
    layers.pop()
    return True


def _other_names(config: Config) -> bool:
    """Every layer of a chain by another name: files that go by order or class do not mind."""
    layers = config["config"]["layers"] if _is_chain(config) else []
    for number, layer in enumerate(layers):
        layer["config"]["name"] = f"other{number}"
    return bool(layers)


EDITS: dict[str, Callable[[Config], bool]] = {
    "more_units_first": _grown(0),
    "more_units_last": _grown(-1),
    "no_bias": _unbiased,
    "not_built": _unbuilt,
    "wider_input": _wider_input,
    "longer": _longer,
    "shorter": _shorter,
    "other_names": _other_names,
}


# ---- the weights ----


def _groups(root: Any) -> list[Any]:
    """The groups that hold tensors, those of optimizers left out."""
    import h5py

    found: list[Any] = []

    def visit(name: str, item: Any) -> None:
        own = "optimizer" in name or "metrics" in name or "seed_generator" in name
        if not own and isinstance(item, h5py.Group) and any(isinstance(each, h5py.Dataset) for each in item.values()):
            found.append(item)

    root.visititems(visit)
    return found


def _without_group(root: Any) -> bool:
    groups = _groups(root)
    if groups:
        del root[groups[-1].name]
    return bool(groups)


def _with_group(root: Any) -> bool:
    """A layer more among the weights."""
    groups = _groups(root)
    if not groups:
        return False
    parent, _, name = groups[-1].name.rpartition("/")
    root.copy(groups[-1], root[parent or "/"], f"{name}_more")
    return True


def _without_tensor(root: Any) -> bool:
    groups = _groups(root)
    if groups:
        del groups[-1][max(groups[-1])]
    return bool(groups)


def _with_tensor(root: Any) -> bool:
    groups = _groups(root)
    if groups:
        groups[-1][str(len(groups[-1]))] = [1.0, 2.0]
    return bool(groups)


def _other_tensor(root: Any) -> bool:
    """A tensor with one more row."""
    import h5py
    import numpy as np

    for group in _groups(root):
        for name, item in list(group.items()):
            if isinstance(item, h5py.Dataset) and item.shape and item.dtype.kind == "f":
                del group[name]
                group[name] = np.zeros((item.shape[0] + 1, *item.shape[1:]), item.dtype)
                return True
    return False


WEIGHTS: dict[str, Callable[[Any], bool]] = {
    "without_group": _without_group,
    "with_group": _with_group,
    "without_tensor": _without_tensor,
    "with_tensor": _with_tensor,
    "other_tensor": _other_tensor,
}


def edited(path: Path, edit: str, folder: Path) -> Path | None:
    """An edited copy of a file; None where the edit changes nothing."""
    if edit not in WEIGHTS:
        CHANGES[edit] = EDITS[edit]
        try:
            return changed(path, edit, folder)
        finally:
            del CHANGES[edit]
    target = folder / f"{path.parent.name}-{path.stem}-{edit}{path.suffix}"
    is_made = _in_zip(path, WEIGHTS[edit], target) if path.suffix == ".keras" else _in_hdf5(path, WEIGHTS[edit], target)
    if not is_made:
        target.unlink(missing_ok=True)
    return target if is_made else None


def _in_zip(path: Path, change: Callable[[Any], bool], target: Path) -> bool:
    import h5py

    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        is_made = False
        for info in old.infolist():
            data = old.read(info)
            if info.filename == "model.weights.h5":
                inside = io.BytesIO(data)
                with h5py.File(inside, "r+") as root:
                    is_made = change(root)
                data = inside.getvalue()
            new.writestr(info.filename, data)
    return is_made


def _in_hdf5(path: Path, change: Callable[[Any], bool], target: Path) -> bool:
    import h5py

    shutil.copy(path, target)
    with h5py.File(target, "r+") as root:
        return change(root["model_weights"]) if "model_weights" in root else False
