"""A stamp: checksums of every byte of a weight file, by tensor, and what its model was; in ``<file>.kwload.json``.

    file   |structure| tensor 0 |gap| tensor 1 | tensor 2 |structure ...|     each byte has one checksum
    stamp   rest[0]    tensors[0] .. tensors[1]  tensors[2]  rest[2], rest[3] ...   (rest: at most 1 MiB each)

What lies plain in the file (uncompressed, little-endian, inside of a ``.keras`` too) needs one checksum, that of its
values; other tensors have one of their values besides those of the bytes that hold them.

XXH3-128 finds damage and change by accident; it is no signature, and who wants to can make two files with one sum.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

from kwload import _core
from kwload.stamps import probe as probes
from kwload.stamps import sidecar
from kwload.stamps.manifest import Manifest, from_tree, to_tree
from kwload.stamps.probe import Probe
from kwload.stamps.sidecar import SidecarError, lengths, need

CHECKSUM: Final = "XXH3-128"
THREADS: Final = min(4, os.cpu_count() or 1)

_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Stamped:
    """A tensor that was stamped.

    Attributes
    ----------
    path : str
        In the file.
    shape : tuple of int
        Its lengths.
    dtype : str
        Its type.
    sum : str or None
        Checksum of its values in C order, little-endian, in hex; None for values that the file does not hold.
    part : int
        Row of the file that holds it.
    offset : int or None
        Of its first byte there; None when the values do not lie plain.
    nbytes : int
        Of the values.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    sum: str | None
    part: int
    offset: int | None
    nbytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """One of the files that a weight file consists of.

    Attributes
    ----------
    name : str
        Relative to the folder of the stamped file, or to the stamped folder itself; ``""`` for the stamped file.
    size : int
        Bytes.
    rest : tuple of (int, int, str)
        Offset, length and checksum of what lies in no plain tensor.
    """

    name: str
    size: int
    rest: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a weight file was; made by :func:`kwload.stamp`.

    Attributes
    ----------
    path : str
        The sidecar.
    file : str
        Name of the stamped file.
    layout : str
        Its layout.
    parts : tuple of Part
        The files that it consists of.
    tensors : tuple of Stamped
        In the order of the file.
    manifest : Manifest or None
        What its model was.
    kwload : str
        The version that made the stamp.
    probe : Probe or None
        What the model computed.
    """

    path: str
    file: str
    layout: str
    parts: tuple[Part, ...]
    tensors: tuple[Stamped, ...]
    manifest: Manifest | None
    kwload: str
    probe: Probe | None = None

    def __repr__(self) -> str:
        with_probe = ", with a probe" if self.probe is not None else ""
        return f"<Stamp of {self.file!r} in {self.path!r}: {len(self.tensors)} tensors{with_probe}>"

    def to_dict(self) -> dict[str, Any]:
        """The stamp as plain data."""
        return {
            "schema": sidecar.SCHEMA,
            "kind": "stamp",
            "kwload": self.kwload,
            "checksum": CHECKSUM,
            "file": self.file,
            "layout": self.layout,
            "manifest": to_tree(self.manifest) if self.manifest is not None else None,
            **({"probe": probes.to_tree(self.probe)} if self.probe is not None else {}),
            "parts": [
                {"name": part.name, "rest": [list(item) for item in part.rest], "size": part.size}
                for part in self.parts
            ],
            "tensors": [
                {
                    "dtype": tensor.dtype,
                    "nbytes": tensor.nbytes,
                    "offset": tensor.offset,
                    "part": tensor.part,
                    "path": tensor.path,
                    "shape": list(tensor.shape),
                    "sum": tensor.sum,
                }
                for tensor in self.tensors
            ],
        }

    def to_json(self) -> str:
        """JSON in ASCII: keys sorted, a line for each tensor, no times, a newline at the end."""
        return sidecar.text_of(self.to_dict())


def path_of(path: str) -> str:
    """Where the stamp of a file lies: beside it."""
    return path.rstrip(os.sep) + sidecar.SUFFIX


def stamp(model: Any, path: str | os.PathLike[str], *, source: bool = False, probe: Any = False) -> Stamp:
    """Write down what a weight file is now, beside it: ``<file>.kwload.json``.

    Parameters
    ----------
    model : keras.Model, tf_keras.Model or None
        The model whose weights they are: its manifest, with fingerprints of the code of own layers, becomes part of
        the stamp. None for the checksums alone.
    path : str or os.PathLike
        The weight file; of a shard map all shards, of a ``.keras`` folder all files that hold weights.
    source : bool
        Keep the lines of the code too, so that :func:`kwload.check` shows what changed.
    probe : bool or inputs
        True runs the model on inputs that are made by a rule (:mod:`kwload.stamps.generator`) and keeps a sample of
        what comes out, at most 64 values of each output; or the inputs to run it on, in the form in which the model
        is called, of which a checksum is kept. The model must hold the weights of the file, and is left as it is.

    Returns
    -------
    Stamp
        What was written; ``path`` says where.

    Raises
    ------
    WeightsMismatchError
        The file does not fit the model: it would be a false witness.
    WeightsFileError
        The file is absent, unreadable or damaged.
    OSError
        The stamp cannot be written.
    TypeError
        ``model`` is no model, or ``path`` no path.
    ValueError
        The model cannot be probed: it holds other weights, nothing says what it takes, or it is random.

    Notes
    -----
    An old stamp is replaced whole. Checksums are XXH3-128, threaded, each byte of the file is read once.
    """
    import kwload
    from kwload.stamps.manifest import manifest

    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"a stamp lies beside a file: expected a path, not {type(path).__name__}")
    name = os.fspath(path)
    if model is not None:
        kwload.check(model, name, values=False, stamp=False).raise_if_failed()
    probed = None
    if probe is not None and probe is not False:
        from kwload.stamps import probing

        if model is None:
            raise TypeError("a probe runs a model: give one")
        probed = probing.make(model, name, probe)
    opened = _open(name)
    made = Stamp(
        path=path_of(name),
        file=os.path.basename(name.rstrip(os.sep)),
        layout=opened.layout,
        parts=(),
        tensors=(),
        manifest=manifest(model, source=source) if model is not None else None,
        kwload=kwload.__version__,
        probe=probed,
    )
    made = _with_sums(made, name, opened)
    sidecar.write(made.path, made.to_json())
    return made


def _open(name: str) -> _core.File:
    """The opened file. Raises the error of its report when it is damaged."""
    from kwload.report.build import build_report, path_report

    try:
        opened = _core.File(os.fsencode(name))
    except _core.CoreError as error:
        path_report(name, error).raise_if_failed()
        raise
    failed = []
    try:
        opened.verify(threads=THREADS)
    except _core.CoreError as error:
        failed.append(error)
    build_report(path=name, file=opened, errors=failed).raise_if_failed()
    return opened


def _with_sums(made: Stamp, name: str, opened: _core.File) -> Stamp:
    from dataclasses import replace

    from kwload.report.build import build_report
    from kwload.report.facts import CoreFailure

    failed: list[Any] = []
    try:
        files, tensors = _tensors(name, opened)
        sums = [_sums(part, [tensor for tensor in tensors if tensor.part == row]) for row, part in enumerate(files)]
        told = {id(tensor): found for _, of in sums for tensor, found in of}
        values = [row for row, tensor in enumerate(tensors) if tensor.offset is None and tensor.sum is None]
        held = [row for row in values if opened.tensors[row].storage != "fill" and opened.tensors[row].dtype != "?"]
        told |= {
            id(tensors[row]): found.hex() for row, found in zip(held, opened.digest(held, threads=THREADS), strict=True)
        }
        if not opened.unchanged():
            failed.append(CoreFailure(211))
    except _core.CoreError as error:
        failed.append(error)
    build_report(path=name, file=opened, errors=failed).raise_if_failed()
    parts = tuple(
        Part(_relative(name, file), os.path.getsize(file), rest) for file, (rest, _) in zip(files, sums, strict=True)
    )
    return replace(made, parts=parts, tensors=tuple(replace(tensor, sum=told.get(id(tensor))) for tensor in tensors))


def _relative(name: str, file: str) -> str:
    """What a file of several is called in the stamp."""
    folder = name if os.path.isdir(name) else os.path.dirname(name)
    return "" if os.path.samefile(name, file) else os.path.relpath(file, folder or os.curdir)


def _tensors(name: str, opened: _core.File) -> tuple[list[str], list[Stamped]]:
    """The files, the stamped one first, and the tensors of all; those that share bytes with others do not lie plain."""
    listed = opened.tensors
    files = list(dict.fromkeys([*([] if os.path.isdir(name) else [name]), *(item.file or name for item in listed)]))
    if os.path.isdir(name):
        files += [entry.path for entry in sorted(os.scandir(name), key=lambda entry: entry.name) if entry.is_file()]
        files = list(dict.fromkeys(map(os.path.normpath, files)))
    else:
        files = list(dict.fromkeys(map(os.path.normpath, files)))
    rows = {file: row for row, file in enumerate(files)}
    plain = _plain(listed)
    made = [
        Stamped(
            item.path,
            item.shape,
            item.dtype,
            None,
            rows[os.path.normpath(item.file or name)],
            item.offset if row in plain else None,
            item.nbytes,
        )
        for row, item in enumerate(listed)
    ]
    return files, made


def _plain(listed: tuple[_core.Tensor, ...]) -> set[int]:
    """Rows of the tensors whose bytes are their values, and no other's."""
    found: set[int] = set()
    ends: dict[str, int] = {}
    order = sorted(
        (row for row, item in enumerate(listed) if _is_plain(item)), key=lambda row: (listed[row].offset or 0, row)
    )
    for row in order:
        item = listed[row]
        offset = item.offset or 0
        if offset >= ends.get(item.file, 0):
            found.add(row)
            ends[item.file] = offset + item.nbytes
    return found


def _is_plain(item: _core.Tensor) -> bool:
    return (
        item.offset is not None
        and item.nbytes > 0
        and item.storage in ("contiguous", "compact")
        and item.fault is None
        and item.dtype != "?"
        and not item.big_endian
    )


Sums = tuple[tuple[tuple[int, int, str], ...], list[tuple[Stamped, str]]]


def _sums(file: str, tensors: list[Stamped]) -> Sums:
    """Checksums of all bytes of a file: those of no tensor, and those of each."""
    plain = sorted((tensor for tensor in tensors if tensor.offset is not None), key=lambda tensor: tensor.offset or 0)
    rest: list[tuple[int, int]] = []
    end = 0
    for tensor in plain:
        rest += pieces(end, tensor.offset or 0)
        end = (tensor.offset or 0) + tensor.nbytes
    rest += pieces(end, os.path.getsize(file))
    stretches = [*rest, *((tensor.offset or 0, tensor.nbytes) for tensor in plain)]
    found = [item.hex() for item in _core.digest(os.fsencode(file), stretches, threads=THREADS)]
    return (
        tuple((off, length, text) for (off, length), text in zip(rest, found, strict=False)),
        list(zip(plain, found[len(rest) :], strict=True)),
    )


def pieces(start: int, end: int) -> list[tuple[int, int]]:
    """A run of bytes as offsets and lengths of at most 1 MiB."""
    return [(at, min(_PIECE, end - at)) for at in range(start, end, _PIECE)]


# --- from JSON -------------------------------------------------------------------------------------------------------


def load(path: str) -> Stamp:
    """Reads a stamp.

    Raises
    ------
    OSError
        As the operating system says it.
    SidecarError
        It is none, or something in it is not what it should be.
    """
    tree = sidecar.read(path, "stamp")
    if tree.get("checksum") != CHECKSUM:
        raise SidecarError("its checksums are of a kind that this kwload does not know")
    parts = tuple(_part(item) for item in need(tree, "parts", list))
    tensors = tuple(_stamped(item, parts) for item in need(tree, "tensors", list))
    manifest = need(tree, "manifest", dict, type(None))
    made = Stamp(
        path,
        need(tree, "file", str),
        need(tree, "layout", str),
        parts,
        tensors,
        from_tree(manifest) if manifest is not None else None,
        need(tree, "kwload", str),
        probes.from_tree(need(tree, "probe", dict)) if "probe" in tree else None,
    )
    _check_cover(made)
    return made


def _part(tree: Any) -> Part:
    name = need(tree, "name", str)
    if os.path.isabs(name) or os.pardir in name.replace("\\", "/").split("/") or "\0" in name:
        raise SidecarError("it names a file outside of its folder")
    return Part(name, lengths([need(tree, "size", int)], "size")[0], tuple(map(_rest, need(tree, "rest", list))))


def _rest(item: Any) -> tuple[int, int, str]:
    if not isinstance(item, list) or len(item) != 3 or not _is_sum(item[2]):
        raise SidecarError("`rest` is something else")
    off, length = lengths(item[:2], "rest")
    return off, length, item[2]


def _is_sum(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 32 and not set(value) - set("0123456789abcdef")


def _stamped(tree: Any, parts: tuple[Part, ...]) -> Stamped:
    found, part = need(tree, "sum", str, type(None)), need(tree, "part", int)
    if not 0 <= part < len(parts) or not (found is None or _is_sum(found)):
        raise SidecarError("`tensors` holds something else than tensors")
    offset = need(tree, "offset", int, type(None))
    return Stamped(
        need(tree, "path", str),
        lengths(need(tree, "shape", list), "shape"),
        need(tree, "dtype", str),
        found,
        part,
        None if offset is None else lengths([offset], "offset")[0],
        lengths([need(tree, "nbytes", int)], "nbytes")[0],
    )


def _check_cover(made: Stamp) -> None:
    """That each byte of each file has one checksum: a stamp that leaves some out would find nothing there."""
    for row, part in enumerate(made.parts):
        runs = [(off, length) for off, length, _ in part.rest]
        runs += [
            (tensor.offset, tensor.nbytes)
            for tensor in made.tensors
            if tensor.part == row and tensor.offset is not None and tensor.sum is not None
        ]
        end = 0
        for off, length in sorted(runs):
            if off != end:
                raise SidecarError("its checksums do not cover the file")
            end += length
        if end != part.size:
            raise SidecarError("its checksums do not cover the file")
