"""The layouts that each Keras writes, and what can happen to a file afterwards."""

from __future__ import annotations

import importlib
import json
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from agree.build import Built, is_tf_keras, weights_of

LAYOUTS = {"v3": "model.weights.h5", "keras": "model.keras", "shards": "model.weights.json", "legacy": "weights.h5"}
LAYOUTS |= {"legacy-model": "whole.h5", "legacy-hdf5": "whole.hdf5"}
LEGACY = ("legacy", "legacy-model", "legacy-hdf5")


def layouts_of(version: str) -> tuple[str, ...]:
    if version == "tf_keras":
        return ("v3", "keras", "legacy", "legacy-model", "legacy-hdf5")
    sharded = ("shards",) if tuple(map(int, version.split("."))) >= (3, 10) else ()
    return ("v3", "keras", *sharded, "legacy", "legacy-model", "legacy-hdf5")


def save(built: Built, layout: str, folder: Path) -> Path:
    """Writes the file with this Keras's own code. Raises whatever Keras raises."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LAYOUTS[layout]
    model = built.model
    if layout == "v3":
        model.save_weights(path)
    elif layout == "shards":
        largest = max((np.asarray(weight).nbytes for weight in weights_of(model)), default=1)
        model.save_weights(path, max_shard_size=1.5 * largest / 1024**3)
    elif layout == "legacy" and is_tf_keras(built.keras):
        model.save_weights(path)
    elif layout == "legacy":  # Keras 3 writes it inside whole models; this is the same function
        module: Any = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
        with h5py.File(path, "w") as file:
            module.save_weights_to_hdf5_group(file, model)
    else:
        model.save(path)
    return path


# --- changes of a file -----------------------------------------------------------------------------------------------

# A change gets the path of a copy of its own and returns the path of the changed file; None when it does not apply.
FileChange = Callable[[Path], "Path | None"]


class Root:
    """The group in which a file keeps the weights: the whole of a file of weights, `model_weights` of a model's."""

    def __init__(self, path: Path) -> None:
        self.file = h5py.File(path, "r+")
        self.legacy = "layer_names" in self.file.attrs or "model_weights" in self.file
        self.root = self.file.get("model_weights", self.file)

    def __enter__(self) -> Root:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def datasets(self, skip_state: bool = True) -> list[str]:
        """Paths of the weights; those of a layer before those of the next, in alphabetical order."""
        found: list[str] = []

        def visit(name: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset) and not (skip_state and name.startswith(("optimizer", "metrics"))):
                found.append(name)

        self.root.visititems(visit)
        return found

    def layers(self) -> list[str]:
        """Legacy: the layers that have weights."""
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in self.root.attrs["layer_names"]]
        return [name for name in names if len(self.root[name].attrs["weight_names"])]

    def names(self, layer: str) -> list[str]:
        return [n.decode() if isinstance(n, bytes) else str(n) for n in self.root[layer].attrs["weight_names"]]


def _hdf5(work: Callable[[Root], bool | None]) -> FileChange:
    """A change inside an HDF5 file, also inside that of an archive."""

    def change(path: Path) -> Path | None:
        if path.suffix == ".json":
            return None
        if not zipfile.is_zipfile(path):
            with Root(path) as root:
                done = work(root)
            return path if done is not False else None
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        inner = path.with_name("inner.h5")
        inner.write_bytes(members["model.weights.h5"])
        with Root(inner) as root:
            done = work(root)
        members["model.weights.h5"] = inner.read_bytes()
        inner.unlink()
        _archive(path, members)
        return path if done is not False else None

    return change


def _archive(path: Path, members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _v3(work: Callable[[Root], bool | None]) -> FileChange:
    return _hdf5(lambda root: False if root.legacy else work(root))


def _legacy(work: Callable[[Root], bool | None]) -> FileChange:
    return _hdf5(lambda root: work(root) if root.legacy else False)


def _replace(root: Root, name: str, array: Any, **options: Any) -> None:
    attributes = dict(root.root[name].attrs)
    del root.root[name]
    root.root.create_dataset(name, data=array, **options)
    root.root[name].attrs.update(attributes)


def _each(convert: Callable[[Any], Any], **options: Any) -> Callable[[Root], bool | None]:
    def work(root: Root) -> bool | None:
        names = [name for name in root.datasets() if root.root[name].dtype.kind in "iuf"]
        for name in names:
            array = root.root[name][()]
            given = {} if array.ndim == 0 else options
            _replace(root, name, convert(array), **given)
        return bool(names)

    return work


def _delete_dataset(last: bool) -> Callable[[Root], bool | None]:
    def work(root: Root) -> bool | None:
        names = root.datasets()
        if not names:
            return False
        del root.root[names[-1 if last else 0]]
        return None

    return work


def _delete_group(root: Root) -> bool | None:
    names = root.datasets()
    if not names:
        return False
    name = root.layers()[0] if root.legacy else names[0].rpartition("/")[0]
    del root.root[name]
    return None


def _transpose(square: bool) -> Callable[[Root], bool | None]:
    def work(root: Root) -> bool | None:
        for name in root.datasets():
            array = root.root[name][()]
            if array.ndim >= 2 and (array.shape == array.T.shape) == square:
                _replace(root, name, array.T)
                return None
        return False

    return work


def _extra_dataset(root: Root) -> bool | None:
    names = [name for name in root.datasets() if name.endswith("/0")]
    if not names:
        return False
    group = root.root[names[0].rpartition("/")[0]]
    group[str(len(group))] = np.full(3, 777.0, "float32")
    return None


def _extra_group(root: Root) -> bool | None:
    root.root["layers/dense_97/vars/0"] = np.full((8, 8), 777.0, "float32")
    root.root["layers/dense_97/vars/1"] = np.full(8, 778.0, "float32")
    return None


def _extra_layer(listed: bool) -> Callable[[Root], bool | None]:
    def work(root: Root) -> bool | None:
        group = root.root.create_group("added_layer")
        group["added_layer/kernel:0"] = np.full((8, 8), 777.0, "float32")
        group.attrs["weight_names"] = [b"added_layer/kernel:0"]
        if listed:
            root.root.attrs["layer_names"] = [*_raw(root.root, "layer_names"), b"added_layer"]
        return None

    return work


def _raw(group: Any, name: str) -> list[bytes]:
    return [n if isinstance(n, bytes) else str(n).encode() for n in group.attrs[name]]


def _strip_names(root: Root) -> bool | None:
    done = False

    def visit(_: str, node: Any) -> None:
        nonlocal done
        if "name" in node.attrs:
            del node.attrs["name"]
            done = True

    root.root.visititems(visit)
    if "vars" in root.root and "name" in root.root["vars"].attrs:
        del root.root["vars"].attrs["name"]
    return done


def _rename_group(root: Root) -> bool | None:
    if root.legacy:
        first = root.layers()[0] if root.layers() else None
        if first is None:
            return False
        root.root.move(first, "renamed_layer")
        names = [b"renamed_layer" if n == first.encode() else n for n in _raw(root.root, "layer_names")]
        root.root.attrs["layer_names"] = names
        return None
    names = [name for name in root.datasets() if name.count("/") >= 3]
    if not names:
        return False
    parts = names[0].split("/")
    root.root.move("/".join(parts[:2]), f"{parts[0]}/other_layer")
    return None


def _swap_keys(root: Root) -> bool | None:
    for name in root.datasets():
        group, _, key = name.rpartition("/")
        if key == "0" and f"{group}/1" in root.root:
            root.root.move(name, f"{group}/x")
            root.root.move(f"{group}/1", name)
            root.root.move(f"{group}/x", f"{group}/1")
            return None
    return False


def _gap_keys(root: Root) -> bool | None:
    for name in root.datasets():
        group, _, key = name.rpartition("/")
        if key == "1":
            root.root.move(name, f"{group}/2" if f"{group}/2" not in root.root else f"{group}/9")
            return None
    return False


_WRAPPED = {"layer", "cell", "forward_layer", "backward_layer"}


def _whole(path: str) -> str:
    """The group of the layer whose variables lie there; of a wrapper's, which bears the name, not of what it wraps."""
    parts = path.split("/")[:-1]
    while parts[-1] in _WRAPPED:
        parts.pop()
    return "/".join(parts)


def _swap_groups(root: Root) -> bool | None:
    """The groups of two layers of one class change places, with the names that they bear."""
    shapes: dict[str, list[Any]] = defaultdict(list)
    for name in root.datasets():
        group = _whole(name.rpartition("/")[0])
        shapes[group].append((name[len(group) :], root.root[name].shape))
    groups = sorted(group for group in shapes if group)
    for first in groups:
        for second in groups:
            if first < second and shapes[first] == shapes[second] and first.count("/") == second.count("/"):
                root.root.move(first, "x")
                root.root.move(second, first)
                root.root.move("x", second)
                return None
    return False


def _reorder_weights(root: Root) -> bool | None:
    for layer in root.layers():
        names = _raw(root.root[layer], "weight_names")
        if len(names) > 1:
            root.root[layer].attrs["weight_names"] = names[::-1]
            return None
    return False


def _swap_layers(root: Root) -> bool | None:
    names = _raw(root.root, "layer_names")
    weighted = [n.encode() for n in root.layers()]
    if len(weighted) < 2:
        return False
    one, two = names.index(weighted[0]), names.index(weighted[1])
    names[one], names[two] = names[two], names[one]
    root.root.attrs["layer_names"] = names
    return None


def _double_layer(root: Root) -> bool | None:
    layers = root.layers()
    if not layers:
        return False
    root.root.attrs["layer_names"] = [*_raw(root.root, "layer_names"), layers[0].encode()]
    return None


def _drop_weight_names(root: Root) -> bool | None:
    layers = root.layers()
    if not layers:
        return False
    del root.root[layers[0]].attrs["weight_names"]
    return None


def _drop_layer_names(root: Root) -> bool | None:
    del root.root.attrs["layer_names"]
    return None


def _drop_version(root: Root) -> bool | None:
    if "keras_version" not in root.root.attrs:
        return False
    del root.root.attrs["keras_version"]
    return None


def _drop_top(root: Root) -> bool | None:
    if "top_level_model_weights" not in root.root:
        return False
    del root.root["top_level_model_weights"]
    return None


def _drop_optimizer(root: Root) -> bool | None:
    for name in ("optimizer_weights", "optimizer"):
        if name in root.file:
            del root.file[name]
            return None
    return False


def _rename_to(name: str) -> FileChange:
    def change(path: Path) -> Path | None:
        if path.suffix == ".json" or path.name.endswith(name.removeprefix("model")):
            return None
        return path.rename(path.with_name(name))

    return change


def _cut(share: float) -> FileChange:
    def change(path: Path) -> Path | None:
        raw = path.read_bytes()
        if path.suffix == ".json":
            return None
        path.write_bytes(raw[: int(len(raw) * share)])
        return path

    return change


def _content(content: bytes) -> FileChange:
    def change(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return change


def _members(work: Callable[[dict[str, bytes]], dict[str, bytes]], how: int = zipfile.ZIP_STORED) -> FileChange:
    def change(path: Path) -> Path | None:
        if path.suffix != ".keras" or not zipfile.is_zipfile(path):
            return None
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        _archive(path, work(members), how)
        return path

    return change


def _no_shard(path: Path) -> Path | None:
    shards = sorted(path.parent.glob("*_0*.weights.h5"))
    if path.suffix != ".json" or not shards:
        return None
    shards[-1].unlink()
    return path


def _short_map(path: Path) -> Path | None:
    if path.suffix != ".json":
        return None
    data = json.loads(path.read_text())
    keys = [key for key in data["weight_map"] if "layers" in key]
    if not keys:
        return None
    del data["weight_map"][keys[0]]
    path.write_text(json.dumps(data))
    return path


def _latest(path: Path) -> Path | None:
    if path.suffix not in (".h5", ".hdf5"):
        return None
    other = path.with_name("other.tmp")
    with h5py.File(path) as old, h5py.File(other, "w", libver="latest") as new:
        for name in old:
            old.copy(name, new)
        for name, value in old.attrs.items():
            new.attrs[name] = value
    return other.replace(path)


def _unpacked(path: Path) -> Path | None:
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    path.unlink()
    path.mkdir()
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


FILE_CHANGES: dict[str, FileChange] = {
    "none": lambda path: path,
    "delete_dataset": _hdf5(_delete_dataset(False)),
    "delete_last_dataset": _hdf5(_delete_dataset(True)),
    "delete_group": _hdf5(_delete_group),
    "rename_group": _hdf5(_rename_group),
    "transposed": _hdf5(_transpose(False)),
    "transposed_square": _hdf5(_transpose(True)),
    "as_float16": _hdf5(_each(lambda a: a.astype("float16"))),
    "as_float64": _hdf5(_each(lambda a: a.astype("float64"))),
    "as_int32": _hdf5(_each(lambda a: a.astype("int32"))),
    "as_int64": _hdf5(_each(lambda a: a.astype("int64"))),
    "as_uint8": _hdf5(_each(lambda a: a.astype("uint8"))),
    "as_complex": _hdf5(_each(lambda a: a.astype("complex64"))),
    "as_text": _hdf5(_each(lambda a: np.full(a.shape, b"x", "S4"))),
    "gzip": _hdf5(_each(lambda a: a, compression="gzip", shuffle=True, chunks=True)),
    "chunked": _hdf5(_each(lambda a: a, chunks=True)),
    "big_endian": _hdf5(_each(lambda a: a.astype(a.dtype.newbyteorder(">")))),
    "drop_optimizer": _hdf5(_drop_optimizer),
    "latest": _latest,
    "extra_dataset": _v3(_extra_dataset),
    "extra_group": _v3(_extra_group),
    "strip_names": _v3(_strip_names),
    "swap_keys": _v3(_swap_keys),
    "gap_keys": _v3(_gap_keys),
    "swap_groups": _v3(_swap_groups),
    "reorder_weights": _legacy(_reorder_weights),
    "swap_layers": _legacy(_swap_layers),
    "double_layer": _legacy(_double_layer),
    "drop_weight_names": _legacy(_drop_weight_names),
    "drop_layer_names": _legacy(_drop_layer_names),
    "drop_version": _legacy(_drop_version),
    "drop_top": _legacy(_drop_top),
    "extra_layer": _legacy(_extra_layer(False)),
    "extra_listed": _legacy(_extra_layer(True)),
    "cut_half": _cut(0.5),
    "cut_end": _cut(0.99),
    "empty": _content(b""),
    "html": _content(b"<!DOCTYPE html><html><body>Not found</body></html>\n" * 20),
    "lfs": _content(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"),
    "as_h5": _rename_to("model.h5"),
    "as_weights_h5": _rename_to("model.weights.h5"),
    "as_keras": _rename_to("model.keras"),
    "as_other": _rename_to("model.bin"),
    "deflated": _members(lambda m: m, zipfile.ZIP_DEFLATED),
    "in_folder": _members(lambda m: {f"folder/{name}": content for name, content in m.items()}),
    "no_weights": _members(lambda m: {name: c for name, c in m.items() if name != "model.weights.h5"}),
    "no_config": _members(lambda m: {name: c for name, c in m.items() if name != "config.json"}),
    "unpacked": _unpacked,
    "no_shard": _no_shard,
    "short_map": _short_map,
}
SOUND = {"none", "as_float16", "as_float64", "as_int32", "as_int64", "as_uint8", "gzip", "chunked", "big_endian"}
SOUND |= {"latest", "deflated", "drop_optimizer", "extra_group", "extra_layer", "strip_names", "no_config"}


def changed(path: Path, change: str, folder: Path) -> Path | None:
    """The file changed, in a folder of its own; None when the change does not apply to it."""
    if change == "none":
        return path
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("meta.json"))
    return FILE_CHANGES[change](folder / path.name)
