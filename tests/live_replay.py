"""Keras's own V3 loader, recorded, against a replay of it over the graph of :mod:`kwload.spec.live`."""

import contextlib
import importlib
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kwload.spec.described import Flag, Model, keras_of
from kwload.spec.live import describe

TOP_LEVEL = "top_level_model_weights"
Absent = Callable[[str], bool]
"""Which groups of the file the loader does not get to see."""


def never(_: str) -> bool:
    return False


def always(_: str) -> bool:
    return True


def some(path: str) -> bool:
    """Every third path, whichever those are."""
    return zlib.crc32(path.encode()) % 3 == 0


def recorded(model: Any, file: Path, absent: Absent) -> list[str]:
    """The paths that Keras asks the file for, in order, while some of the file is not there."""
    keras = keras_of(model)
    lib: Any = keras.module("saving.saving_lib")
    asked: list[str] = []

    class Store(lib.H5IOStore):  # type: ignore[misc]
        def get(self, path: str) -> Any:
            asked.append(path)
            return super().get("there is no such group" if absent(path) else path)

    store = Store(str(file))
    options: dict[str, Any] = {"skip_mismatch": True}
    if keras.flavour == "keras" and keras.version >= (3, 0, 3):
        word = "saveables" if keras.version >= (3, 3) else "trackables"
        options |= {f"failed_{word}": set(), "error_msgs": {}, f"visited_{word}": set()}
    else:
        options |= {"visited_trackables": set()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lib._load_state(model, weights_store=store, assets_store=None, inner_path="", **options)
    store.close()
    return asked


class Replay:
    """The state of ``_load_state`` over the nodes of a description."""

    def __init__(self, model: Model, file: h5py.File, absent: Absent) -> None:
        self.model, self.file, self.absent = model, file, absent
        self.is_keras3 = model.keras.flavour == "keras" and model.keras.version >= (3, 0, 3)
        self.counts_visited = model.keras.flavour == "keras"
        self.asked: list[str] = []
        self.visited: set[int] = set()

    def run(self) -> list[str]:
        self.load(0, "", set())
        return self.asked

    def fits(self, row: int, path: str) -> bool:
        """Whether ``load_own_variables`` succeeds with the group at *path*."""
        flags, variables = self.model.groups[row][3:]
        where = f"{path}/vars" if path else "vars"
        count = len(self.file[where]) if not self.absent(path) and where in self.file else 0
        if flags & Flag.OPTIMIZER:
            return True
        if flags & Flag.OWN_LOAD:
            return count > 0
        if flags & Flag.NO_COUNT:
            return count >= len(variables)
        return count == len(variables)

    def load(self, node: int, path: str, failed: set[int]) -> None:
        if node in self.visited:
            return
        row, edges = self.model.nodes[node]
        failure = False
        if not self.model.groups[row][3] & Flag.NOT_LOADABLE:
            self.asked.append(path)
            if not self.fits(row, path):
                failed.add(node)
                failure = True
        if not self.is_keras3:
            self.visited.add(node)
        before = len(failed)
        for name, target in edges:
            self.follow(target, f"{path}/{name}" if path else str(name), failed, set())
        if self.is_keras3 and not failure:
            if len(failed) <= before:
                self.visited.add(node)
            failed.discard(node)

    def follow(self, node: int, path: str, failed: set[int], containers: set[int]) -> None:
        row, edges = self.model.nodes[node]
        if row >= 0:
            self.load(node, path, failed)
            return
        if node in containers:
            return
        containers.add(node)
        used: dict[str, int] = {}
        for name, target in edges:
            if name is not None and not self.counts_visited and target in self.visited:
                continue
            key = "container" if name is None else name
            used[key] = used.get(key, -1) + 1
            at = f"{path}/{key}_{used[key]}" if used[key] else f"{path}/{key}"
            if name is None and at not in self.file:
                self.follow(target, at, set(), containers)
            else:
                self.follow(target, at, failed, containers)


def check_walk(model: Any, folder: Path, ours: Callable[[Any, str], Model] = describe) -> None:
    """Asserts that our graph replays to what Keras does: with the whole file, with none of it, with some of it."""
    file = folder / "walk.weights.h5"
    file.unlink(missing_ok=True)
    model.save_weights(file)
    description = ours(model, "keras-3")
    with h5py.File(file) as opened:
        for absent in (never, some, always):
            expected = recorded(model, file, absent)
            assert Replay(description, opened, absent).run() == expected, absent.__name__
        check_first_paths(description, recorded(model, file, never))
        check_values(description, opened)


def reached(model: Model) -> set[int]:
    """Rows of the groups that Keras comes to from the model."""
    todo, seen = [0], {0}
    while todo:
        new = {target for _, target in model.nodes[todo.pop()][1]} - seen
        seen |= new
        todo += new
    return {model.nodes[node][0] for node in seen}


def check_first_paths(model: Model, asked: list[str]) -> None:
    """The groups are in the order of the first visits, under the paths of those."""
    rows = reached(model)
    loadable = [group[0] for row, group in enumerate(model.groups) if row in rows and not group[3] & Flag.NOT_LOADABLE]
    assert loadable == list(dict.fromkeys(asked))


def check_values(model: Model, file: h5py.File) -> None:
    """The k-th variable of each group is what Keras saved under its key k."""
    start = 0
    compared = 0
    walked = reached(model)
    for number, (path, _, _, flags, rows) in enumerate(model.groups):
        live = model.variables[start : start + len(rows)]
        start += len(rows)
        if flags & Flag.OWN_LOAD or number not in walked:
            continue
        where = f"{path}/vars" if path else "vars"
        assert len(rows) == (len(file[where]) if where in file else 0) or flags & Flag.NOT_LOADABLE
        for key, (variable, row) in enumerate(zip(live, rows, strict=True)):
            stored = file[f"{where}/{key}"]
            assert stored.shape == row[3] == tuple(variable.shape), row
            if stored.dtype.kind in "fiu" and not flags & Flag.NO_COUNT:  # LoRA saves the merged kernel
                assert stored.dtype.name == row[4]
                np.testing.assert_array_equal(stored[()], _array(variable))
            compared += 1
    assert start == len(model.variables) == len(model.owners)
    assert compared or not any(group[4] for group in model.groups)


def check_legacy(model: Any) -> None:
    """The legacy description lists the layers and weights that Keras itself reads and writes, and who owns them."""
    keras = keras_of(model)
    name = "legacy.saving.legacy_h5_format" if keras.flavour == "keras" else "saving.legacy.hdf5_format"
    lib: Any = importlib.import_module(f"{keras.root}.{name}")
    description = describe(model, "legacy")
    assert not description.nodes
    assert [group[0] for group in description.groups] == [*(layer.name for layer in model.layers), TOP_LEVEL]
    start = 0
    for (path, _, _, flags, rows), layer in zip(description.groups, [*model.layers, None], strict=True):
        live = description.variables[start : start + len(rows)]
        owners = description.owners[start : start + len(rows)]
        start += len(rows)
        try:
            wanted = lib._legacy_weights(layer) if layer is not None else _own(model)
        except NotImplementedError:
            assert flags & Flag.NOT_LOADABLE
            continue
        assert [id(variable) for variable in live] == [id(variable) for variable in wanted], path
        for variable, row, owner in zip(live, rows, owners, strict=True):
            assert row[3] == tuple(variable.shape)
            assert row[1] == (f"{row[2]}/{row[0]}" if row[2] else row[0])
            assert row[2].split("/")[0] == ("" if layer is None else path)
            assert row[2].rpartition("/")[2] == ("" if layer is None else owner.name)
            assert any(variable is own for own in _own(owner))
    assert start == len(description.variables)


def _own(layer: Any) -> list[Any]:
    if hasattr(layer, "_trainable_variables"):
        return [*layer._trainable_variables, *layer._non_trainable_variables]
    return [*layer._trainable_weights, *layer._non_trainable_weights]


def _array(variable: Any) -> np.ndarray[Any, Any]:
    return np.asarray(variable.numpy())


@contextlib.contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Asserts that a block leaves the objects of a model as they were: their attributes and their variables."""
    before = _state(model)
    yield
    assert _state(model) == before


def _state(model: Any) -> list[Any]:
    description = describe(model, "keras-3")
    attributes = [
        (type(obj).__name__, {name: id(value) for name, value in vars(obj).items()}) for obj in description.objects
    ]
    return [attributes, [_array(variable).tobytes() for variable in description.variables]]
