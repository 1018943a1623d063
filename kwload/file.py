"""An opened weight file: a read-only mapping from path to array, without Keras and without TensorFlow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from kwload import _core
from kwload._core import Tensor

Source: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes] | Any"


def core_source(source: Source) -> tuple[Any, str]:
    """What the core opens, and the name by which messages call it.

    ``str`` and ``os.PathLike`` are paths. ``bytes`` are a path unless they hold a NUL byte, which no path can and
    every weight file does; then they are the contents. Other objects with the buffer protocol are contents. A file
    object is read from its beginning to its end, wherever it stands, and is put back there.

    Raises
    ------
    TypeError
        For anything else: also a file object in text mode, and a buffer that is not contiguous.
    """
    if isinstance(source, (str, os.PathLike)) or (isinstance(source, bytes) and b"\0" not in source):
        path = os.fspath(source)
        return os.fsencode(path), os.fsdecode(path)
    if callable(getattr(source, "read", None)):
        return _contents(source), f"<{getattr(source, 'name', 'file object')}>"
    try:
        buffer = memoryview(source)
    except TypeError:
        raise TypeError(f"expected a path, bytes or a file object, not {type(source).__name__}") from None
    if not buffer.contiguous:
        raise TypeError("the bytes of a weight file must be contiguous in memory; pass a copy of them")
    return buffer, "<bytes>"


def _contents(file: Any) -> memoryview:
    """All bytes of a file object."""
    seekable = callable(getattr(file, "seekable", None)) and file.seekable()
    position = file.tell() if seekable else 0
    if seekable:
        file.seek(0)
    contents = file.read()
    if seekable:
        file.seek(position)
    if isinstance(contents, str):
        raise TypeError("the file object is in text mode; open the file with mode 'rb'")
    return memoryview(contents)


class File(Mapping[str, np.ndarray[Any, Any]]):
    """A weight file that is open for reading; made by :func:`kwload.open`.

    A mapping from the path of each dataset, without a leading ``/``, to a read-only NumPy array. Every dataset is
    there, also in an HDF5 file that Keras did not write. The structure is read when the file is opened; bytes are
    mapped at the first access, and an array is a view of that mapping (zero-copy, also inside a ``.keras`` archive
    whose member is stored) or, when the bytes are chunked or compressed, a copy.

    An array keeps the mapping alive, also after :meth:`close`. A mapping shows the file, not a copy of it: when
    another process overwrites the file in place the values change, and when it cuts the file short, touching the lost
    part ends the process (``SIGBUS``). Keras and most tools write a new file or overwrite in place, so copy
    (``f[path].copy()``) what must outlive the next save. :func:`kwload.check` and :func:`kwload.load_weights` never
    use a mapping.
    """

    def __init__(self, source: Source) -> None:
        target, self._name = core_source(source)
        self._is_path = isinstance(target, bytes)
        self._core: _core.File | None = _core.File(target)

    @property
    def core(self) -> _core.File:
        """The core's view of the file. Raises ``ValueError`` when it was closed."""
        if self._core is None:
            raise ValueError(f"{self._name} was closed")
        return self._core

    @property
    def path(self) -> str:
        """The path as it was given; ``"<bytes>"`` for contents."""
        return self._name

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Every tensor: ``path, layer, variable, shape, dtype, file, offset, nbytes, storage, fault``.

        ``offset`` is that of the first byte in ``file`` (a shard, the ``.keras`` itself), ``None`` when the bytes are
        not contiguous there. ``fault`` is ``None`` or ``(code, byte, detail)``; a faulted tensor raises when read.
        """
        return self.core.tensors

    @property
    def format(self) -> str:
        """The layout: ``keras-3``, ``tf-2.12``, ``legacy``, ``legacy-model``, ``keras-0``, ``hf-shard``,
        ``optimizer-only``, ``hdf5``."""
        return self.core.layout

    @property
    def metadata(self) -> dict[str, str]:
        """What the container says of itself: ``format``, ``container``, and as recorded ``keras_version``,
        ``backend``, ``date_saved``, ...; ``written_by`` where only traits tell."""
        core = self.core
        return {"format": core.layout, "container": core.content, **core.metadata}

    @property
    def architecture(self) -> dict[str, Any] | None:
        """The stored config (``config.json`` or the attribute ``model_config``), or None when the file has none.

        Raises
        ------
        ValueError
            When it is there but is not a JSON object.
        """
        config = self.core.config
        if config is None:
            return None
        try:
            value = json.loads(config)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the config stored in {self._name} is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise ValueError(f"the config stored in {self._name} is not a JSON object")
        return value

    def __getitem__(self, path: str) -> np.ndarray[Any, Any]:
        core = self.core
        row = core.index(path)
        if row < 0:
            near = _core.nearest(path, [tensor.path for tensor in core.tensors])
            raise KeyError(f"{path!r} is not in {self._name}" + (f"; nearest: {', '.join(near)}" if near else ""))
        try:
            return core.view(row)
        except _core.CoreError as error:
            from kwload.report.build import tensor_report

            raise tensor_report(self._name, core, core.tensors[row], error).exception() from error

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.core.index(path) >= 0

    def __iter__(self) -> Iterator[str]:
        return (tensor.path for tensor in self.core.tensors)

    def __len__(self) -> int:
        return len(self.core)

    def close(self) -> None:
        """Lets go of the file. Arrays that were taken from it stay valid."""
        self._core = None

    def __enter__(self) -> File:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[File], tuple[str]]:
        if not self._is_path:
            raise TypeError(f"{self._name} was opened from memory and cannot be pickled; open it from a path")
        return File, (self._name,)

    def __repr__(self) -> str:
        if self._core is None:
            return f"<kwload.File {self._name!r} closed>"
        return f"<kwload.File {self._name!r} {self.format}: {len(self)} tensors>"
