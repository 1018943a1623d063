"""Changes to the architecture that a file holds: keys that a constructor does not take or lacks, other classes,
other forms, other names of the file. No Keras is needed."""

from __future__ import annotations

import copy
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Change = Callable[[dict[str, Any]], bool]


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    """The layers of a model, those inside others too, inputs left out."""
    todo = [config]
    while todo:
        item = todo.pop(0)
        if isinstance(item, list):
            todo[:0] = item
        elif isinstance(item, dict):
            inner = item.get("config")
            is_layer = item.get("class_name") not in (None, "InputLayer", "Sequential", "Functional", "Model")
            if is_layer and isinstance(inner, dict) and "name" in inner:
                yield item
            if isinstance(inner, dict):
                todo[:0] = [inner.get("layers"), inner.get("layer"), inner.get("cell")]


def _last(config: Any) -> dict[str, Any] | None:
    found = list(_layers(config))
    return found[-1] if found else None


def _key(name: str, value: Any) -> Change:
    def change(config: dict[str, Any]) -> bool:
        layer = _last(config)
        if layer is None or name in layer["config"]:
            return False
        layer["config"][name] = value
        return True

    return change


def _without(*names: str) -> Change:
    def change(config: dict[str, Any]) -> bool:
        layer = _last(config)
        name = next((name for name in names if layer is not None and name in layer["config"]), None)
        if layer is None or name is None:
            return False
        del layer["config"][name]
        return True

    return change


def _renamed(name: str) -> Change:
    def change(config: dict[str, Any]) -> bool:
        layer = _last(config)
        if layer is not None:
            layer["class_name"] = name
        return layer is not None

    return change


def _valued(name: str, value: Any) -> Change:
    def change(config: dict[str, Any]) -> bool:
        layer = _last(config)
        if layer is None or name not in layer["config"]:
            return False
        layer["config"][name] = value
        return True

    return change


def _moved(config: dict[str, Any]) -> bool:
    layer = _last(config)
    if layer is None or "module" not in layer:
        return False
    layer["module"] = "keras.src.engine.base_layer"
    return True


def _unmarked(config: dict[str, Any]) -> bool:
    layer = _last(config)
    return layer is not None and layer.pop("module", None) is not None


CHANGES: dict[str, Change] = {
    "quantization_config": _key("quantization_config", None),
    "time_major": _key("time_major", False),
    "batch_input_shape": _key("batch_input_shape", [None, 3]),
    "groups": _key("groups", 1),
    "unknown": _key("not_a_key", 1),
    "lacking": _without("units", "filters", "rate", "input_dim", "activation", "n"),
    "no_name": _without("name"),
    "no_trainable": _without("trainable"),
    "misspelt": _renamed("Dence"),
    "cudnn": _renamed("CuDNNLSTM"),
    "local": _renamed("LocallyConnected2D"),
    "lambda_operation": _renamed("TFOpLambda"),
    "activation": _valued("activation", "no_activation"),
    "initializer": _valued("kernel_initializer", "no_initializer"),
    "dtype": _valued("dtype", "float32"),
    "policy": _valued("dtype", {"class_name": "Policy", "config": {"name": "mixed_float16"}}),
    "moved": _moved,
    "unmarked": _unmarked,
}

NAMES = {"named_keras": ".keras", "named_h5": ".h5", "named_weights": ".weights.h5", "named_other": ".bin"}
"""The same file under another name."""


def changed(path: Path, change: str, folder: Path) -> Path | None:
    """A changed copy of a file; None where the change is none."""
    name = f"{path.parent.name}-{path.stem}-{change}"
    if change in NAMES:
        target = folder / f"{name}{NAMES[change]}"
        if path.suffix == NAMES[change]:
            return None
        shutil.copy(path, target)
        return target
    target = folder / f"{name}{path.suffix}"
    return _zip(path, CHANGES[change], target) if path.suffix == ".keras" else _hdf5(path, CHANGES[change], target)


def _zip(path: Path, change: Change, target: Path) -> Path | None:
    with zipfile.ZipFile(path) as old:
        config = json.loads(old.read("config.json"))
        if not change(config):
            return None
        with zipfile.ZipFile(target, "w") as new:
            for info in old.infolist():
                data = json.dumps(config).encode() if info.filename == "config.json" else old.read(info)
                new.writestr(info.filename, data)
    return target


def _hdf5(path: Path, change: Change, target: Path) -> Path | None:
    import h5py

    shutil.copy(path, target)
    with h5py.File(target, "r+") as file:
        text = file.attrs["model_config"]
        before = json.loads(text)
        config = copy.deepcopy(before)
        if not change(config) or config == before:
            made = False
        else:
            file.attrs["model_config"] = json.dumps(config).encode()
            made = True
    if not made:
        target.unlink()
    return target if made else None
