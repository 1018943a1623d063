"""Small files that together have every structure of HDF5 that the reader knows: seeds of the sweep and the fuzzers.

``python tests/seeds.py FOLDER [FOLDER]`` writes them, and folders that are weights into the second; each is under 64
KiB, and the same bytes each time but for the times of its objects.
"""

from __future__ import annotations

import ctypes
import io
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SEEDS: dict[str, Callable[..., None]] = {}


def seed(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def keep(make: Callable[..., None]) -> Callable[..., None]:
        SEEDS[name] = make
        return make

    return keep


def values(*shape: int, dtype: Any = "f4") -> Any:
    return (np.arange(int(np.prod(shape)), dtype="i8") % 251).astype(dtype).reshape(shape)


def legacy(file: h5py.Group) -> None:
    """Weights as Keras 2 saves them: lists of names in attributes."""
    file.attrs["keras_version"] = np.bytes_(b"2.15.0")
    file.attrs["backend"] = np.bytes_(b"tensorflow")
    file.attrs["layer_names"] = np.array([b"dense", b"dropout", b"bn"])
    for layer, weights in {"dense": ["kernel:0", "bias:0"], "dropout": [], "bn": ["gamma:0", "beta:0"]}.items():
        group = file.create_group(layer)
        group.attrs["weight_names"] = np.array([f"{layer}/{name}".encode() for name in weights])
        for name in weights:
            group[f"{layer}/{name}"] = values(3, 4) if name == "kernel:0" else values(4)


def modern(file: h5py.Group) -> None:
    """Weights as Keras 3 saves them."""
    for layer, shapes in {"dense": [(3, 4), (4,)], "batch_normalization": [(4,), (4,), (4,), (4,)]}.items():
        group = file.create_group(f"layers/{layer}/vars")
        group.attrs["name"] = layer
        for key, shape in enumerate(shapes):
            group[str(key)] = values(*shape)
    file.create_group("vars").attrs["name"] = "sequential"


@seed("legacy.h5")
def _legacy(path: Path, libver: str = "earliest") -> None:
    with h5py.File(path, "w", libver=libver) as file:
        legacy(file)


@seed("whole.h5")
def _whole(path: Path, libver: str = "earliest") -> None:
    with h5py.File(path, "w", libver=libver) as file:
        file.attrs["model_config"] = '{"class_name": "Sequential", "config": {"name": "s", "layers": []}}'
        file.attrs["training_config"] = '{"loss": "mse"}'
        legacy(file.create_group("model_weights"))


@seed("modern.weights.h5")
def _modern(path: Path) -> None:
    with h5py.File(path, "w") as file:
        modern(file)


@seed("modern-latest.weights.h5")
def _modern_latest(path: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        modern(file)


@seed("modern-v18.weights.h5")
def _modern_v18(path: Path) -> None:
    with h5py.File(path, "w", libver=("v108", "v108")) as file:
        modern(file)


@seed("user-block.h5")
def _user_block(path: Path) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        modern(file)


@seed("ordered.h5")
def _ordered(path: Path) -> None:
    with h5py.File(path, "w", track_order=True) as file:
        for index in range(12):
            file.create_group(f"g{11 - index}", track_order=True)["0"] = values(2)


@seed("dense-links.h5")
def _dense_links(path: Path) -> None:
    with h5py.File(path, "w", libver="latest", track_order=True) as file:
        for index in range(40):
            file[f"a_name_that_is_long_enough_{index}"] = values(1)


@seed("many-links.h5")
def _many_links(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for index in range(40):
            file[f"name_{index}"] = values(1)


@seed("attributes.h5")
def _attributes(path: Path, libver: str = "latest") -> None:
    with h5py.File(path, "w", libver=libver) as file:
        for index in range(20):
            file.attrs[f"attribute_{index}"] = values(index % 5 + 1)
        file.attrs["text"] = "höher"
        file.attrs["texts"] = ["a", "bb", ""]
        file.attrs["empty"] = h5py.Empty("f4")
        file["0"] = values(2)


@seed("types.h5")
def _types(path: Path, libver: str = "earliest") -> None:
    with h5py.File(path, "w", libver=libver) as file:
        for dtype in ("u1", "i1", "<u2", ">i2", "<f2", ">f4", ">f8", "<i8", ">u8", "<c8", "?"):
            file[f"n{len(file)}"] = values(3, dtype=dtype)
        file["compound"] = np.zeros(2, np.dtype([("a", "<f4"), ("b", [("c", ">i2", (2, 3))])]))
        file["text"] = np.array([b"abc", b"d"])
        file.create_dataset("texts", data=["x", "yy"], dtype=h5py.string_dtype())
        file.create_dataset("enum", data=[0, 1], dtype=h5py.enum_dtype({"A": 0, "B": 1}, basetype="u1"))
        file.create_dataset("lists", (1,), dtype=h5py.vlen_dtype("i4"))[0] = [1, 2]
        file.create_dataset("opaque", data=np.array([b"ab"], "V2"))
        file.create_dataset("reference", (1,), dtype=h5py.ref_dtype)[0] = file["text"].ref
        file["committed"] = np.dtype("<f4")
        file.create_dataset("of_committed", (2,), dtype=file["committed"])


@seed("layouts.h5")
def _layouts(path: Path, libver: str = "earliest") -> None:
    with h5py.File(path, "w", libver=libver) as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((3, 2))
        dataset = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, space, plist)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, values(3, 2))
        file.create_dataset("never", (4,), "f4")
        file.create_dataset("filled", (4,), "f4", fillvalue=7)
        file["scalar"] = np.float32(1)
        file["null"] = h5py.Empty("f4")
        file["zero"] = np.zeros((0, 3), "f4")


@seed("elsewhere.h5")
def _elsewhere(path: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file["0"] = values(4)
        file["hard"] = file["0"]
        file["soft"] = h5py.SoftLink("/0")
        file["loop"] = file["/"]
        file["external"] = h5py.ExternalLink("other.h5", "/0")
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:2] = h5py.VirtualSource("other.h5", "0", (2,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("storage", (2,), "f4", external=[("other.bin", 0, 8)])


def chunked(path: Path, libver: Any, **options: Any) -> None:
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("one", data=values(6, 7), chunks=(4, 3), **options)
        file.create_dataset("single", data=values(4, 4), chunks=(4, 4), **options)
        file.create_dataset("growing", data=values(9), chunks=(2,), maxshape=(None,), **options)
        file.create_dataset("growing_both", data=values(4, 5), chunks=(2, 2), maxshape=(None, None), **options)
        file.create_dataset("none", (6,), "f4", chunks=(2,), **options)


@seed("chunked.h5")
def _chunked(path: Path) -> None:
    chunked(path, "earliest")


@seed("chunked-latest.h5")
def _chunked_latest(path: Path) -> None:
    chunked(path, "latest")


@seed("deflated.h5")
def _deflated(path: Path) -> None:
    chunked(path, "earliest", compression="gzip", shuffle=True, fletcher32=True)


@seed("deflated-latest.h5")
def _deflated_latest(path: Path) -> None:
    chunked(path, "latest", compression="gzip", shuffle=True, fletcher32=True)


@seed("lzf.h5")
def _lzf(path: Path) -> None:
    chunked(path, "latest", compression="lzf", shuffle=True)


@seed("many-chunks.h5")
def _many_chunks(path: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("fixed", data=values(300, dtype="u1"), chunks=(2,))
        file.create_dataset("extensible", data=values(200, dtype="u1"), chunks=(2,), maxshape=(None,))


@seed("chunk-indexes.h5")
def _chunk_indexes(path: Path) -> None:
    """What the other files have not: all chunks at once and in pages, and an extensible array with blocks of blocks."""
    with h5py.File(path, "w", libver="latest") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4, 2))
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        space = h5py.h5s.create_simple((10, 5))
        dataset = h5py.h5d.create(file.id, b"implicit", h5py.h5t.IEEE_F32LE, space, plist)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, values(10, 5))
        file.create_dataset("fixed_in_pages", data=values(1100, dtype="u1"), chunks=(1,))
        file.create_dataset("extensible", data=values(700, dtype="u1"), chunks=(1,), maxshape=(None,))
        file.create_dataset("single", data=values(8), chunks=(8,), compression="gzip")


def libhdf5() -> ctypes.CDLL:
    """The libhdf5 that h5py has loaded, for what h5py does not offer; identifiers of h5py are valid in it."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    found = [line.split()[-1] for line in lines if "/libhdf5" in line and "_hl" not in line]
    # A wheel of h5py brings its own, which is another one than kwload's.
    return ctypes.CDLL(next((path for path in found if "/h5py" in path), found[0]))


def call(name: str, *arguments: Any) -> None:
    """Calls a function of libhdf5; RuntimeError when it fails."""
    function = getattr(libhdf5(), name)
    # An identifier has 64 bits, where ctypes would pass an int as one of 32.
    if function(*(ctypes.c_int64(value) if isinstance(value, int) else value for value in arguments)) < 0:
        raise RuntimeError(name)


def with_bounds(libver: str) -> Any:
    plist = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    low = h5py.h5f.LIBVER_EARLIEST if libver == "earliest" else h5py.h5f.LIBVER_LATEST
    plist.set_libver_bounds(low, h5py.h5f.LIBVER_LATEST)
    return plist


@seed("shared-messages.h5")
def _shared_messages(path: Path, libver: str = "latest") -> None:
    """Types, shapes, filters and fill values that lie once in the file, in an index that is a list or a tree, and a
    heap in which the smallest ones are their own identifiers; attributes in one of their own."""
    create = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    call("H5Pset_shared_mesg_nindexes", create.id, 2)
    space, dtype, fill, filters, attribute = (1 << message for message in (1, 3, 5, 11, 12))
    call("H5Pset_shared_mesg_index", create.id, 0, space | dtype | fill | filters, 1)
    call("H5Pset_shared_mesg_index", create.id, 1, attribute, 20)
    call("H5Pset_shared_mesg_phase_change", create.id, 4, 2)
    file = h5py.File(h5py.h5f.create(bytes(path), h5py.h5f.ACC_TRUNC, create, with_bounds(libver)))
    with file:
        for index in range(6):
            options = {"compression": "gzip", "chunks": (2, 2)} if index > 3 else {}
            dataset = file.create_dataset(f"d{index}", data=values(3, index % 3 + 1), fillvalue=index, **options)
            dataset.attrs["a shared attribute"] = values(9)
            dataset.attrs[f"an attribute of {index}"] = values(9) + index
        file["scalar"] = np.float32(2)
        for index in range(12):
            file["scalar"].attrs[f"one of many {index}"] = values(9)


@seed("cache-image.h5")
def _cache_image(path: Path) -> None:
    """All metadata in one block, which the superblock's extension names."""

    class Config(ctypes.Structure):
        _fields_ = (
            ("version", ctypes.c_int),
            ("generate_image", ctypes.c_bool),
            ("save_resize_status", ctypes.c_bool),
            ("entry_ageout", ctypes.c_int),
        )

    access = with_bounds("latest")
    call("H5Pset_mdc_image_config", access.id, ctypes.byref(Config(1, True, False, -1)))
    with h5py.File(h5py.h5f.create(bytes(path), h5py.h5f.ACC_TRUNC, None, access)) as file:
        modern(file)


@seed("filtered-heap.h5")
def _filtered_heap(path: Path) -> None:
    """A group whose links lie in a heap of deflated blocks, beside one that is plain."""
    with h5py.File(path, "w", libver="latest") as file:
        plist = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
        call("H5Pset_deflate", plist.id, 6)
        group = h5py.Group(h5py.h5g.create(file.id, b"filtered", gcpl=plist))
        for index in range(12):
            group[f"name_{index}"] = values(1)
        file["plain/0"] = values(2)


@seed("huge-attributes.h5")
def _huge_attributes(path: Path) -> None:
    """Attributes that are too large for the blocks of their heap: its tree of huge objects has them."""
    with h5py.File(path, "w", libver="latest") as file:
        for index in range(10):
            file.attrs[f"small_{index}"] = values(2)
        for index in range(3):
            file.attrs[f"huge_{index}"] = values(1100) + index
        file["0"] = values(2)


@seed("superblock-1.h5")
def _superblock_1(path: Path) -> None:
    create = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    call("H5Pset_istore_k", create.id, 8)
    with h5py.File(h5py.h5f.create(bytes(path), h5py.h5f.ACC_TRUNC, create, with_bounds("earliest"))) as file:
        modern(file)
        file.create_dataset("chunked", data=values(20), chunks=(1,))


@seed("user-link.h5")
def _user_link(path: Path) -> None:
    """A link of a class that a program made up, beside a sound dataset."""
    callback = ctypes.CFUNCTYPE(ctypes.c_int64)(lambda: -1)

    class LinkClass(ctypes.Structure):
        _fields_ = (
            ("version", ctypes.c_int),
            ("id", ctypes.c_int),
            ("comment", ctypes.c_char_p),
            ("create", ctypes.c_void_p),
            ("move", ctypes.c_void_p),
            ("copy", ctypes.c_void_p),
            ("traverse", ctypes.c_void_p),
            ("delete", ctypes.c_void_p),
            ("query", ctypes.c_void_p),
        )

    of_link = LinkClass(1, 187, b"ours", None, None, None, ctypes.cast(callback, ctypes.c_void_p), None, None)
    call("H5Lregister", ctypes.byref(of_link))
    with h5py.File(path, "w", libver="latest") as file:
        file["0"] = values(2)
        call("H5Lcreate_ud", file.id.id, b"udlink", 187, b"where", 5, 0, 0)
    call("H5Lunregister", 187)


@seed("foreign.h5")
def _foreign(path: Path, libver: str = "earliest") -> None:
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("scale_offset", data=values(40, dtype="i4"), chunks=(20,), scaleoffset=0)
        file.create_dataset("scale_offset_real", data=values(40), chunks=(20,), scaleoffset=2)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((20,))
        plist.set_filter(h5py.h5z.FILTER_NBIT)
        narrow = h5py.h5t.STD_I32LE.copy()
        narrow.set_precision(20)
        dataset = h5py.h5d.create(file.id, b"nbit", narrow, h5py.h5s.create_simple((40,)), plist)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, values(40, dtype="i4"))
        if h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP):
            file.create_dataset("szip", data=values(64), chunks=(32,), compression="szip", compression_opts=("nn", 8))


@seed("links.weights.h5")
def _links(path: Path) -> None:
    """Links where Keras 3 has groups and variables, and keys that are no numbers."""
    with h5py.File(path, "w") as file:
        modern(file)
        file["layers/scale/vars/scale"], file["layers/scale/vars/b"] = values(2), values(2)
        file["layers/again"] = file["layers/dense"]
        file["layers/soft"] = h5py.SoftLink("/layers/dense")
        file["layers/vars_soft/vars"] = h5py.SoftLink("/layers/dense/vars")
        file["layers/key_soft/vars/0"] = h5py.SoftLink("/layers/dense/vars/0")
        file["layers/outside"] = h5py.ExternalLink("other.h5", "/")


@seed("lists.h5")
def _lists(path: Path) -> None:
    """Lists of names that name what is not there, and repeat themselves; one is no text."""
    with h5py.File(path, "w") as file:
        legacy(file)
        file.attrs["layer_names"] = ["dense", "gone", "bn", "dense", "number"]
        file["bn"].attrs["weight_names"] = ["bn/gamma:0", "bn/lost:0", "bn/gamma:0"]
        file.create_group("number").attrs["weight_names"] = [1, 2]
        file.create_group("top_level_model_weights").attrs["weight_names"] = ["w:0"]


@seed("keras-0.h5")
def _keras_0(path: Path) -> None:
    """Counts instead of names; one layer is not there, one has less than it says."""
    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = 3
        for layer, params in ((0, 2), (2, 1)):
            group = file.create_group(f"layer_{layer}")
            group.attrs["nb_params"] = params
            group["param_0"] = values(2)


@seed("hugging-face.h5")
def _hugging_face(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["bert/a/kernel:0"], file["bert/b/kernel:0"] = values(2), values(3)
        file.attrs["layer_names"] = ["bert/a/kernel:0", "bert/b/kernel:0", "bert/lost:0"]


@seed("many-layers.weights.h5")
def _many_layers(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for index in range(18):
            group = file.create_group(f"layers/dense_{index}/vars")
            group.attrs["name"] = f"dense_{index}"
            group["0"], group["1"] = values(2, 2), values(2)


for _name, _make, _libver in (
    ("legacy-latest.h5", _legacy, "latest"),
    ("whole-latest.h5", _whole, "latest"),
    ("types-latest.h5", _types, "latest"),
    ("layouts-latest.h5", _layouts, "latest"),
    ("foreign-latest.h5", _foreign, "latest"),
    ("attributes-earliest.h5", _attributes, "earliest"),
    ("shared-messages-earliest.h5", _shared_messages, "earliest"),
):
    SEEDS[_name] = partial(_make, libver=_libver)


def archive(path: Path, method: int) -> None:
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        modern(file)
    with zipfile.ZipFile(path, "w", method) as out:
        for name, content in {
            "metadata.json": b'{"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"}',
            "config.json": b'{"class_name": "Sequential", "config": {"name": "s", "layers": []}}',
            "model.weights.h5": weights.getvalue(),
        }.items():
            out.writestr(zipfile.ZipInfo(name), content, method)


@seed("stored.keras")
def _stored(path: Path) -> None:
    archive(path, zipfile.ZIP_STORED)


@seed("deflated.keras")
def _deflated_archive(path: Path) -> None:
    archive(path, zipfile.ZIP_DEFLATED)


def write(folder: Path) -> list[Path]:
    """Writes every seed; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, make in SEEDS.items():
        make(folder / name)
        paths.append(folder / name)
    return paths


def write_folders(above: Path) -> None:
    """Writes folders of several files each: an unzipped archive, a preset of shards, and what is none of Keras's."""
    for name in ("unzipped", "sharded", "orbax/12", "saved"):
        (above / name).mkdir(parents=True, exist_ok=True)
    for name in ("unzipped", "sharded"):
        (above / name / "config.json").write_text('{"class_name": "Sequential"}')
        (above / name / "metadata.json").write_text('{"keras_version": "3.15.1", "keras_hub_version": "0.18"}')
    _modern(above / "unzipped" / "model.weights.h5")
    (above / "sharded" / "tokenizer.json").write_text("{}")
    for index in range(2):
        with h5py.File(above / "sharded" / f"model_0000{index}.weights.h5", "w") as file:
            file[f"layers/dense/vars/{index}"] = values(3)
            file[f"layers/dense_{index + 1}/vars/0"] = values(4)
    (above / "sharded" / "model.weights.json").write_text(
        '{"metadata": {"total_size": 56}, "weight_map": {'
        '"/layers/dense/vars": ["model_00000.weights.h5", "model_00001.weights.h5"], '
        '"/layers/dense_1/vars": "model_00000.weights.h5", "/layers/dense_2/vars": "model_00001.weights.h5"}}'
    )
    (above / "saved" / "saved_model.pb").write_bytes(b"x")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        write_folders(Path(sys.argv[2]))
