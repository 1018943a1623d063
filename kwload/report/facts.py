"""What the builder of a report reads: the surfaces of the core's and the model's objects, as far as it needs.

`_core.File`, `_core.Plan`, `_core.CoreError` and `spec.described.Model` have these attributes; so have those that tests
make by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from kwload.report.finding import Values

Fault = tuple[int, int | None, str]
"""``(code number, byte or None, detail)``."""

FileGroup = tuple[str, str | None, int, Sequence[tuple[str, int]], Fault | None]
"""``(path, name, flags, ((slot name, tensor row or -1), ...), fault)``."""

ModelVariable = tuple[str, str, str, tuple[int, ...], str, bool]
"""``(name, display path, layer, shape, dtype, trainable)``."""

ModelGroup = tuple[str, str | None, str, int, Sequence[ModelVariable]]
"""``(path, name, class_name, flags, variables)``, as handed to ``_core.Spec``."""


class TensorFacts(Protocol):
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
    def nbytes(self) -> int: ...
    @property
    def storage(self) -> str: ...
    @property
    def unmarked(self) -> bool: ...
    @property
    def fault(self) -> Fault | None: ...


class FileFacts(Protocol):
    """An opened file."""

    @property
    def content(self) -> str: ...
    @property
    def layout(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def tensors(self) -> Sequence[TensorFacts]: ...
    @property
    def groups(self) -> Sequence[FileGroup]: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...
    @property
    def faults(self) -> Sequence[tuple[int, int | None, str, str, int, int]]: ...
    @property
    def config(self) -> bytes | None: ...
    @property
    def training(self) -> bytes | None: ...
    @property
    def title(self) -> str | None: ...


class KerasFacts(Protocol):
    """The Keras that a model belongs to."""

    @property
    def flavour(self) -> str: ...
    @property
    def version(self) -> tuple[int, int, int]: ...


class ModelFacts(Protocol):
    """A live model, as its spec describes it."""

    @property
    def keras(self) -> KerasFacts: ...
    @property
    def groups(self) -> Sequence[ModelGroup]: ...
    @property
    def untracked(self) -> Sequence[tuple[str, str]]: ...


class PlanFacts(Protocol):
    """The join of file and model."""

    @property
    def pairs(self) -> Sequence[tuple[int, int, str, str]]: ...
    @property
    def keras_pairs(self) -> Sequence[tuple[int, int, str, str]]: ...
    @property
    def findings(self) -> Sequence[tuple[int, str, int, int, int, int, int, int, int, int, list[int]]]: ...
    @property
    def undecidable(self) -> Sequence[Sequence[int]]: ...
    @property
    def own_group(self) -> Sequence[int]: ...
    @property
    def source_group(self) -> Sequence[int]: ...
    @property
    def wanted(self) -> int: ...
    @property
    def unused(self) -> int: ...
    @property
    def prediction(self) -> Mapping[str, Any]: ...


class ErrorFacts(Protocol):
    """A failure of the core."""

    @property
    def code(self) -> int: ...
    @property
    def at(self) -> int | None: ...
    @property
    def detail(self) -> str: ...
    @property
    def errno(self) -> int: ...
    @property
    def path(self) -> str: ...


@dataclass(frozen=True, slots=True)
class CoreFailure:
    """An :class:`ErrorFacts` by hand: what a caller found himself (a file that changed, a backend that refused)."""

    code: int
    at: int | None = None
    detail: str = ""
    errno: int = 0
    path: str = ""


class Raw(NamedTuple):
    """A finding of the plan; rows are -1 for none."""

    code: int
    severity: str
    file_group: int
    model_group: int
    file_tensor: int
    model_tensor: int
    other_group: int
    axis: int
    a: int
    b: int
    related: Sequence[int]


class Seen(NamedTuple):
    """What was seen of the values of a tensor on its way to a variable."""

    tensor: int
    """Row of the file."""
    variable: int
    """Row of the model, -1 for a tensor that a layer's own code takes."""
    values: Values


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the call that a report speaks about, with Keras's names and meaning."""

    by_name: bool | None = None
    skip_mismatch: bool = False
    own: bool = False
    """Options that only kwload has were given (``only``, ``skip``, ``mapping``): no Keras can be asked."""
    refuse_values: bool = False
    """``values="error"``: what is not finite refuses."""
