"""Listing 1,000 tensors, with path, shape, dtype and offset, against h5py and against safetensors on its own format."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import Row, Turns

LAYERS = 500


def prepare(folder: Path) -> None:
    """Writes the same 1,000 tensors as Keras 3 would lay them out, and as safetensors."""
    import h5py
    import numpy as np
    from safetensors.numpy import save_file

    kernel, bias = np.zeros((16, 16), np.float32), np.zeros(16, np.float32)
    tensors = {}
    with h5py.File(folder / "many.weights.h5", "w") as file:
        file.create_group("vars").attrs["name"] = "sequential"
        for index in range(LAYERS):
            name = f"dense_{index}" if index else "dense"
            group = file.create_group(f"layers/{name}/vars")
            group.attrs["name"] = name
            for key, value in (("0", kernel), ("1", bias)):
                group[key] = value
                tensors[f"layers/{name}/vars/{key}"] = value
    save_file(tensors, folder / "many.safetensors")


def ours(path: Path) -> list[tuple]:
    """Opened and listed by kwload."""
    import kwload

    with kwload.open(path) as file:
        return [(t.path, t.shape, t.dtype, t.offset) for t in file.tensors]


def by_h5py(path: Path) -> list[tuple]:
    """The same by h5py."""
    import h5py

    rows = []

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            rows.append((name, item.shape, item.dtype, item.id.get_offset()))

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return rows


def measure(folder: Path) -> list[Row]:
    """Two rows: h5py, safetensors."""
    from safetensors import safe_open

    ours_path, other_path = folder / "many.weights.h5", folder / "many.safetensors"

    def by_safetensors() -> list[tuple]:
        with safe_open(other_path, "np") as file:
            slices = ((name, file.get_slice(name)) for name in file.keys())  # noqa: SIM118 - not a mapping
            return [(name, part.get_shape(), part.get_dtype()) for name, part in slices]

    if sorted(ours(ours_path)) != sorted(by_h5py(ours_path)) or len(by_safetensors()) != 2 * LAYERS:
        raise AssertionError("the listings differ")
    claim = f"list {2 * LAYERS:,} tensors"
    return [
        Turns.of(lambda: by_h5py(ours_path), lambda: ours(ours_path), 15).faster(claim, "h5py visititems", 80),
        Turns.of(by_safetensors, lambda: ours(ours_path), 51).faster(claim, "safetensors", 1),
    ]
