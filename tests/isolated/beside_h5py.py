"""kwload and h5py in one process, in the order of import that is asked for: what each reads, and what h5py finds
changed by it."""

from __future__ import annotations

import gc
import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROUNDS = 12
ORDERS = {"h5py first": ("h5py", "kwload"), "kwload first": ("kwload", "h5py")}


def write(path: Path) -> dict[str, np.ndarray]:
    """A file with what only libhdf5 decodes, what kwload decodes, and plain values."""
    import h5py

    generator = np.random.default_rng(0)
    values = {
        "scaled": generator.integers(-1000, 1000, (64, 64)).astype("i4"),
        "packed": generator.normal(size=(512, 512)).astype("f4"),
        "plain": generator.normal(size=(16, 16)).astype("f4"),
    }
    with h5py.File(path, "w") as file:
        file.create_dataset("scaled", data=values["scaled"], chunks=(16, 16), scaleoffset=0)
        file.create_dataset("packed", data=values["packed"], chunks=(64, 512), compression="gzip", shuffle=True)
        file["plain"] = values["plain"]
    return values


def settings() -> dict[str, object]:
    """What h5py sees of its library, and of itself."""
    import h5py
    from h5py import h5, h5f, h5pl, h5z

    config = h5.get_config()
    names = ("complex_names", "bool_names", "track_order", "default_file_mode", "mpi")
    filters = (h5z.FILTER_DEFLATE, h5z.FILTER_SZIP, h5z.FILTER_SCALEOFFSET, h5z.FILTER_NBIT, 32001)
    return {
        "open": h5f.get_obj_count(h5f.OBJ_ALL, h5f.OBJ_ALL),
        "config": [getattr(config, name, None) for name in names],
        "plugins": [h5pl.get(index) for index in range(h5pl.size())],
        "filters": [h5z.filter_avail(number) for number in filters],
        "version": h5.get_libversion(),
        "order": h5py.get_config().track_order,
    }


def check_error_of_h5py(path: Path) -> None:
    """h5py's errors are made of libhdf5's error stack."""
    import h5py

    said = ""
    with h5py.File(path, "r") as file:
        try:
            h5py.h5d.open(file.id, b"absent")
        except KeyError as error:
            said = str(error)
    assert "doesn't exist" in said, said


def both_at_once(path: Path, values: dict[str, np.ndarray], folder: Path) -> None:
    """kwload reads in one thread, h5py writes and reads in another."""
    import h5py

    import kwload

    failures: list[BaseException] = []

    def guarded(action: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                for _ in range(ROUNDS):
                    action()
            except BaseException as error:  # noqa: BLE001 - raised again by the caller
                failures.append(error)

        return threading.Thread(target=run)

    def by_kwload() -> None:
        with kwload.open(path) as file:
            for name, value in values.items():
                assert (np.asarray(file[name]) == value).all(), name

    def by_h5py() -> None:
        other = folder / "other.h5"
        with h5py.File(other, "w") as file:
            file.create_dataset("x", data=values["scaled"], chunks=(8, 64), scaleoffset=0)
        with h5py.File(other, "r") as file:
            assert (file["x"][()] == values["scaled"]).all()
        with h5py.File(path, "r") as file:
            assert (file["packed"][::7] == values["packed"][::7]).all()

    threads = [guarded(by_kwload), guarded(by_h5py), guarded(by_kwload)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def callback_that_uses_h5py(path: Path) -> None:
    """A read function that calls h5py, and frees its objects, in several threads at once: nobody waits for ever."""
    import h5py

    from kwload import _core

    data = path.read_bytes()
    with h5py.File(path, "r") as opened:

        def pread(offset: int, length: int) -> bytes:
            assert opened["plain"].shape == (16, 16)
            gc.collect(0)
            return data[offset : offset + length]

        file = _core.File((len(data), pread))

        def by_kwload() -> None:
            for _ in range(5):
                for name in ("packed", "scaled"):
                    file.view(file.index(name))

        def by_h5py() -> None:
            for _ in range(200):
                opened["scaled"][0, 0]

        threads = [threading.Thread(target=action) for action in (by_kwload, by_h5py, by_kwload)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main(order: str, folder: Path) -> None:
    """Ends with an exception where anything is not as it should be."""
    path = folder / "a.h5"
    if order == "h5py comes later":
        import kwload

        with kwload.open(path) as file:
            before = {name: np.array(file[name]) for name in file}
        assert "h5py" not in sys.modules
        import h5py

        with h5py.File(path, "r") as other:
            assert all((other[name][()] == value).all() for name, value in before.items())
        return
    for name in ORDERS[order]:
        importlib.import_module(name)
    values = write(path)
    import h5py

    with h5py.File(path, "r") as held:
        before = settings()
        both_at_once(path, values, folder)
        callback_that_uses_h5py(path)
        check_error_of_h5py(path)
        assert settings() == before, (before, settings())
        assert (held["scaled"][()] == values["scaled"]).all()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
