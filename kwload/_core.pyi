"""The C core: reads weight files into a tensor table, joins two tables into a plan.

Everything here states facts; the sentences are made in :mod:`kwload.report`.
Objects are immutable once made.
"""

from collections.abc import Sequence
from typing import Any, Final, final

import numpy as np

CODES: Final[dict[int, str]]
"""Number -> slug of every code (``csrc/base/codes.h``): ``{307: "shape-mismatch", ...}``."""

CONTENTS: Final[dict[str, str]]
"""Slug -> phrase of every content that is recognised: ``{"html": "a web page", ...}``."""

GROUP_FLAGS: Final[dict[str, int]]
"""Name -> bit of ``Group.flags``: named absent no_list optimizer metric top_level own_load not_built no_count
auto_name not_loadable
counted config_name."""

class CoreError(Exception):
    """A failure of the core: ``code`` (number), ``at`` (byte or None), ``detail``, ``errno`` (0 if none), ``path`` (of
    the one tensor that could not be read, or empty)."""

    code: int
    at: int | None
    detail: str
    errno: int
    path: str

ValueFacts = tuple[
    int,
    int,
    int | None,
    int,
    int | None,
    float | None,
    float | None,
    int,
    int,
    int,
    int,
    tuple[int, int, int, int | None] | None,
]
"""``(size, nan, nan_at, inf, inf_at, low, high, zeros, overflow, flushed, inexact, lost)``: see
:class:`kwload.report.finding.Values`; *lost* is ``(first, size, nbytes, offset)``."""

@final
class Tensor:
    """One tensor of a file."""

    @property
    def path(self) -> str: ...
    @property
    def layer(self) -> str: ...
    @property
    def variable(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def offset(self) -> int | None: ...
    @property
    def big_endian(self) -> bool: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def storage(self) -> str: ...
    @property
    def unmarked(self) -> bool: ...
    @property
    def fault(self) -> tuple[int, int | None, str] | None: ...

@final
class File:
    """``File(path)``, ``File(buffer)`` or ``File((size, pread))``: opened when made.

    *path* is bytes as the file system has them; *buffer* supports the buffer protocol (a ``bytes`` object is a
    path, so wrap file contents in ``memoryview``); *pread(offset, length) -> bytes* is called with the GIL held.

    Raises CoreError for KW1xx, KW211 and KW213; a damaged or foreign file is opened, see ``faults`` and ``content``.
    """

    def __new__(cls, source: Any, /, *, inflate_limit: int = 0, audit: bool = False) -> File: ...
    content: Final[str]
    layout: Final[str]
    size: Final[int]
    tensors: Final[tuple[Tensor, ...]]
    groups: Final[
        tuple[tuple[str, str | None, int, tuple[tuple[str, int], ...], tuple[int, int | None, str] | None], ...]
    ]
    """``(path, name, flags, ((slot name, tensor row or -1), ...), fault)`` in the order of the layout."""
    metadata: Final[dict[str, str]]
    faults: Final[tuple[tuple[int, int | None, str, str, int, int], ...]]
    """``(code, at, detail, path, a, b)`` of what is wrong with the container."""
    config: Final[bytes | None]
    training: Final[bytes | None]
    """How a whole-model .h5 says that it was compiled (JSON)."""
    title: Final[str | None]
    def __len__(self) -> int:
        """How many tensors there are."""
    def index(self, path: str, /) -> int:
        """Row of the tensor with this path, -1 when there is none."""
    def view(self, row: int, /) -> np.ndarray[Any, Any]:
        """The tensor as a read-only array: a view of the mapping, or a copy when not contiguous."""
    def fetch(
        self,
        rows: Sequence[int],
        /,
        *,
        threads: int = 2,
        verify: bool = False,
        dtypes: Sequence[str] | None = None,
        facts: list[ValueFacts | None] | None = None,
    ) -> list[np.ndarray[Any, Any]]:
        """Writable arrays, aligned to 64 bytes; *verify* checks the member's CRC-32 in the same pass.

        With *facts* the values are looked at in the same pass: one entry a row is appended, of the values as they are
        in the file, and of what they lose when they become those of *dtypes*; also when a checksum is wrong, and None
        for what was not read whole.
        """
    def scan(
        self,
        rows: Sequence[int],
        dtypes: Sequence[str],
        facts: list[ValueFacts | None],
        /,
        *,
        threads: int = 2,
        verify: bool = False,
    ) -> None:
        """The looking of :meth:`fetch` alone, in memory that does not grow with what lies plain in the file; a tensor
        with a fault, or not of numbers, gives None."""
    def digest(self, rows: Sequence[int], /, *, threads: int = 2) -> list[bytes]:
        """XXH3-128 of the values of each tensor, little-endian in C order: 16 bytes in libxxhash's canonical form."""
    def verify(self, *, threads: int = 2) -> None:
        """Raises CoreError KW205 when a member's CRC-32 is wrong."""
    def unchanged(self) -> bool:
        """False when the file's size or time differ from those at opening."""

@final
class Spec:
    """What a model wants, for one layout.

    *groups*: ``(path, name, class_name, flags, variables)`` with *variables* a sequence of
    ``(name, path, layer, shape, dtype, trainable)``.  *nodes*: ``(group row or -1, (edge, ...))`` with *edge*
    ``(name or None, target node)``; given for the V3 layouts, empty for the legacy ones.  *units*: one list a group,
    of :data:`kwload.spec.units.Unit`: what the conversion of weights looks at in a layer; none where nobody converts.
    """

    def __new__(
        cls, layout: str, groups: Sequence[Any], nodes: Sequence[Any] = (), units: Sequence[Any] = (), /
    ) -> Spec: ...

@final
class Plan:
    pairs: Final[list[tuple[int, int, str, str]]]
    """``(file tensor, model tensor, rule, cast)``: path, order, name, mapped; same, exact, rounds, overflows."""
    keras_pairs: Final[list[tuple[int, int, str, str]]]
    conversions: Final[list[tuple[int, list[int], list[str]]]]
    """``(model tensor, file tensors, steps)`` of pairs whose values are made of the file's (``plan.h``: KW_STEPS)."""
    findings: Final[list[tuple[int, str, int, int, int, int, int, int, int, int, list[int]]]]
    """``(code, severity, file group, model group, file tensor, model tensor, other group, axis, a, b, related)``,
    -1 for none."""
    undecidable: Final[list[list[int]]]
    source_group: Final[list[int]]
    own_group: Final[list[int]]
    """For a model group that would get another's tensors: the file group that names give it, else -1."""
    wanted: Final[int]
    unused: Final[int]
    prediction: Final[dict[str, Any]]
    """outcome, error_type, error_prefix, inner_prefix, error_group, error_tensor, a, b, assigned, reason."""

def plan(
    file: File,
    spec: Spec,
    /,
    *,
    flavour: str,
    version: int,
    suffix: str,
    by_name: bool | None = None,
    skip_mismatch: bool = False,
    selected: bytes | None = None,
    mapped: Sequence[int] | None = None,
    other: tuple[Spec, str, int, str | None] | None = None,
) -> Plan:
    """*flavour* "keras", "tf_keras" or "keras2" (2.x by itself); *version* 31501 for 3.15.1; *suffix* as Keras looks at
    it: "keras", "weights.h5", "weights.json", "h5", "other".

    *other*: the Keras that the prediction is about when it is not the model's own, as ``(what the model is there,
    flavour, version, why that is not known)``; the rows of that Spec begin with those of *spec*."""

def digest(source: Any, stretches: Sequence[tuple[int, int]], /, *, threads: int = 2) -> list[bytes]:
    """XXH3-128 of each ``(offset, length)`` of what :class:`File` opens; CoreError KW202 past the end."""

def nearest(name: str, candidates: Sequence[str], count: int = 3, /) -> list[str]:
    """The candidates most like *name*, best first; those too far away are left out."""
