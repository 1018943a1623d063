"""What every sentence is made from: the rows of file, model and plan, with the names that a person knows them by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from kwload import select
from kwload.report.codes import CATALOGUE, Entry
from kwload.report.escape import escape, literal, quote
from kwload.report.facts import FileFacts, FileGroup, ModelFacts, ModelGroup, Options, PlanFacts, Raw, Seen, TensorFacts
from kwload.report.finding import Finding, Severity
from kwload.report.text import plural

if TYPE_CHECKING:
    from kwload.spec.confirm import Verdict

MOST_ROWS: Final = 8
"""Lines of a list in a finding; what is left is counted."""

MOST_CHARS: Final = 160
"""Characters of a name that a call to paste may hold."""

LEGACY: Final = ("legacy", "legacy-model", "keras-0", "hf-shard")
V3: Final = ("keras-3", "tf-2.12")


_SKIPPABLE: Final = frozenset({301, 303, 306, 307, 308, 314, 315, 321, 324})
"""Codes of what does not matter once the layer is skipped."""


def is_path(name: str) -> bool:
    """False for ``"<bytes>"`` and its like: contents that were read from no path."""
    return not (name.startswith("<") and name.endswith(">"))


class Open(int):
    """A length that an architecture does not tell: no other length, and ``?`` in every text."""

    def __str__(self) -> str:
        return "?"

    __repr__ = __str__

    def __format__(self, _: str) -> str:
        return "?"


def _is_known(shape: Sequence[int | None] | None) -> bool:
    return shape is not None and None not in shape


def _opened(shape: Sequence[int | None] | None) -> tuple[int, ...]:
    """A shape of which something is not known; of None not even how many lengths it has."""
    return tuple(Open() if length is None else length for length in (shape if shape is not None else (None,)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """One variable of the model."""

    group: int
    name: str
    path: str
    layer: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Context:
    """The facts, and how to speak of them."""

    path: str
    file: FileFacts
    model: ModelFacts | None
    plan: PlanFacts | None
    options: Options
    failed: bool = False
    """Whether reading failed after the file was opened."""
    reader: str | None = None
    """The Keras that the prediction is about, when it is not the model's own."""
    writer: int | None = None
    """The other process that has locked the file for writing."""
    seen: Sequence[Seen] = ()
    """What is known of the values that the call loads."""
    witness: Any = None
    """What the stamp beside the file says of the code of the model (stamps.changed.Witness)."""
    signed: Sequence[Verdict] = ()
    """What users' signatures say of the layers of the model."""

    @cached_property
    def tensors(self) -> Sequence[TensorFacts]:
        """The file's tensors by row; the core makes the objects anew whenever it is asked."""
        return self.file.tensors

    @cached_property
    def groups(self) -> Sequence[FileGroup]:
        """The file's groups by row."""
        return self.file.groups

    @cached_property
    def variables(self) -> list[Wanted]:
        """The model's variables by row."""
        groups: Sequence[ModelGroup] = self.model.groups if self.model is not None else ()
        return [
            Wanted(row, name, path, layer, tuple(shape) if _is_known(shape) else _opened(shape), dtype)
            for row, group in enumerate(groups)
            for name, path, layer, shape, dtype, _ in group[4]
        ]

    @cached_property
    def rows_of(self) -> list[list[int]]:
        """Rows of the variables of each model group."""
        rows: list[list[int]] = [[] for _ in (self.model.groups if self.model is not None else ())]
        for row, variable in enumerate(self.variables):
            rows[variable.group].append(row)
        return rows

    @cached_property
    def keras(self) -> str:
        """``"Keras 3.15.1"``: the one that the prediction is about."""
        if self.reader is not None:
            return self.reader
        if self.model is None:
            return "Keras"
        package = "Keras" if self.model.keras.flavour == "keras" else "tf_keras"
        return f"{package} {'.'.join(map(str, self.model.keras.version))}"

    @property
    def keras_short(self) -> str:
        """``"3.15.1"``, or ``"tf_keras 2.21.0"``."""
        return self.keras.removeprefix("Keras ")

    def load(self, *options: str) -> str:
        """The call that a person can paste; in words where there is no path, or where the call has options that are
        not known here."""
        if not is_path(self.path) or self.options.own:
            return " and ".join(["the same call", *([", ".join(options)] if options else [])])
        return f"kwload.load_weights({', '.join(('model', literal(self.path), *options))})"

    def again(self, *options: str) -> str:
        """:meth:`load` with the options of the call that the report is about."""
        kept = [f"{name}=True" for name in ("by_name", "skip_mismatch") if getattr(self.options, name)]
        own = self.options.own or not is_path(self.path)
        return self.load(*(() if own else kept), *options)

    @cached_property
    def raws(self) -> list[Raw]:
        """The plan's findings."""
        return [Raw(*raw) for raw in self.plan.findings] if self.plan is not None else []

    def selectable(self, group: int) -> str:
        """The name by which ``only``, ``skip`` and ``mapping`` know a layer of the model."""
        return select.layer_path(self._model_group(group))

    def groups_of(self, raw: Raw) -> list[int]:
        """The groups of the model that a finding is about."""
        rows = [row for row in (raw.model_tensor, *raw.related) if row >= 0]
        groups = dict.fromkeys(self.variables[row].group for row in rows)
        if raw.model_group >= 0 and (not groups or self.rows_of[raw.model_group]):
            groups = dict.fromkeys([raw.model_group, *groups])
        return list(groups)

    @cached_property
    def in_the_way(self) -> tuple[str, ...]:
        """The layers, as ``skip`` takes them, without which the rest loads; none when skipping is not enough."""
        if self.plan is None or self.failed or self.file.faults:
            return ()
        if any(self.tensors[pair[0]].fault is not None for pair in self.plan.pairs):
            return ()
        groups: set[int] = set()
        for raw in self.raws:
            if raw.severity == "error" or raw.code == 308:  # a square kernel would be loaded as it is
                about = self.groups_of(raw)
                if raw.code not in _SKIPPABLE or not about:
                    return ()
                if raw.code == 301 and any(map(self.run_of, about)):  # it may be another that the file lacks
                    return ()
                groups.update(about)
        names = tuple(dict.fromkeys(self.selectable(group) for group in sorted(groups)))
        left = (self.variables[pair[1]].group for pair in self.plan.pairs)
        return names if any(not _within(self.selectable(group), set(names)) for group in left) else ()

    @cached_property
    def _runs(self) -> dict[int, Sequence[int]]:
        """Row of a model group -> the groups that nothing tells from it, itself among them."""
        runs = self.plan.undecidable if self.plan is not None else ()
        return {group: several for several in runs for group in several}

    def run_of(self, group: int) -> Sequence[int]:
        """The groups of the model that nothing tells apart, of which this is one; none when something does."""
        return self._runs.get(group, ())

    def fits(self, file_group: int, group: int) -> bool:
        """Whether a layer of the file has the shapes of a layer of the model."""
        has = [tuple(tensor.shape) for tensor in self.file_tensors(file_group)]
        return has == [self.variables[row].shape for row in self.rows_of[group]]

    def tensor(self, row: int) -> TensorFacts | None:
        """The tensor of the file, None for row -1."""
        return self.tensors[row] if row >= 0 else None

    def variable(self, row: int) -> Wanted | None:
        """The variable of the model, None for row -1."""
        return self.variables[row] if row >= 0 else None

    def layer(self, group: int) -> str:
        """What a person calls this layer of the model: ``"outer/dense_1"``."""
        path, name = self._model_group(group)[:2]
        if self.file.layout in LEGACY and name:  # a layer of the top level, whatever it holds
            return name
        rows = self.rows_of[group]
        return (self.variables[rows[0]].layer if rows else "") or name or path

    def model_path(self, group: int) -> str:
        """Where Keras 3 saves a layer of the model: ``"layers/dense_1"``."""
        return self._model_group(group)[0]

    def class_name(self, group: int) -> str:
        """The class of a layer of the model."""
        return self._model_group(group)[2] or ""

    def _model_group(self, group: int) -> ModelGroup:
        assert self.model is not None
        return self.model.groups[group]

    def file_layer(self, group: int) -> str:
        """What a person calls this layer of the file: its recorded name, else where it is."""
        path, name = self.groups[group][:2]
        return name or path or "the file's top level"

    def file_tensors(self, group: int) -> list[TensorFacts]:
        """The tensors of a group of the file that are there."""
        return [self.tensors[row] for _, row in self.groups[group][3] if row >= 0]

    @cached_property
    def group_of_tensor(self) -> dict[int, int]:
        """Row of a tensor of the file -> row of its group."""
        return {row: number for number, group in enumerate(self.groups) for _, row in group[3] if row >= 0}

    @cached_property
    def _keras_sources(self) -> dict[int, int]:
        """Row of a model group -> row of the file's group that Keras would fill it from."""
        pairs = self.plan.keras_pairs if self.plan is not None else ()
        return {self.variables[new].group: self.group_of_tensor.get(old, -1) for old, new, *_ in pairs}

    @cached_property
    def _file_names(self) -> dict[str, int]:
        """Path and name of each group of the file -> its row; the first of equal names."""
        rows: dict[str, int] = {}
        for row, group in enumerate(self.groups):
            for name in (group[0], group[1]):
                if name:
                    rows.setdefault(name, row)
        return rows

    @cached_property
    def _rows_named(self) -> dict[str | None, list[int]]:
        rows: dict[str | None, list[int]] = {}
        for row, group in enumerate(self.groups):
            rows.setdefault(group[1] or group[0], []).append(row)
        return rows

    def rows_named(self, name: str | None) -> Sequence[int]:
        """The groups of the file that are known by a name."""
        return self._rows_named.get(name, ())

    @cached_property
    def _by_order(self) -> dict[int, int]:
        """A layer of the model that has weights -> the group of the file that has as many such before it."""
        file = [row for row in range(len(self.groups)) if self.file_tensors(row)]
        model = [row for row, rows in enumerate(self.rows_of) if rows]
        return dict(zip(model, file, strict=False))

    def counterpart(self, group: int) -> int:
        """The group of the file that a layer of the model stands against, also where it does not fit; -1 for none."""
        found = self.giver(group)
        if found >= 0 or self.model is None:
            return found
        path, name = self.model.groups[group][:2]
        found = self._file_names.get(path, self._file_names.get(name or "", -1))
        if found < 0 and self.file.layout in LEGACY and not self.options.by_name:
            found = self._by_order.get(group, -1)
        return found

    def giver(self, group: int) -> int:
        """The group of the file whose weights Keras would give to a layer of the model, -1 when that is not known."""
        found = self._keras_sources.get(group, -1)
        return found if found >= 0 else self.source(group)

    def source(self, group: int) -> int:
        """The group of the file that a layer of the model takes its values from, -1 for none."""
        sources = self.plan.source_group if self.plan is not None else ()
        return sources[group] if 0 <= group < len(sources) else -1

    def own(self, group: int) -> int:
        """The group of the file that names give to a layer of the model which would get another's, -1 for none."""
        owns = self.plan.own_group if self.plan is not None else ()
        return owns[group] if 0 <= group < len(owns) else -1


def _within(path: str, names: set[str]) -> bool:
    """Whether a path, or one above it, is among the names."""
    parts = path.split("/")
    return any("/".join(parts[:depth]) in names for depth in range(1, len(parts) + 1))


def finding(
    number: int,
    severity: Severity,
    *,
    headline: str,
    layer: str | None = None,
    variable: str | None = None,
    path: str | None = None,
    expected: object = None,
    found: object = None,
    cause: str | None = None,
    body: Iterable[str] = (),
    notes: Iterable[str] = (),
    keras: str | None = None,
    help: Iterable[str] = (),
    related: Iterable[str] = (),
) -> Finding:
    """A finding with the code's own slug."""
    return Finding(
        code=entry(number).code,
        slug=entry(number).slug,
        severity=severity,
        headline=headline,
        layer=layer,
        variable=variable,
        path=path,
        expected=expected,
        found=found,
        cause=cause,
        body=tuple(body),
        notes=tuple(notes),
        keras=keras,
        help=tuple(help)[:4],
        related=tuple(related),
    )


def other_shape(
    number: int, severity: Severity, tensor: TensorFacts, variable: Wanted, *, headline: str, **more: Any
) -> Finding:
    """A finding about a variable whose shape is not that of its tensor; *more* as in :func:`finding`."""
    return finding(
        number,
        severity,
        headline=headline,
        layer=variable.layer,
        variable=variable.name,
        path=tensor.path,
        expected=list(variable.shape),
        found=list(tensor.shape),
        **more,
    )


def entry(number: int) -> Entry:
    """The catalogue's entry of a code."""
    return CATALOGUE[number]


def shape_text(shape: Sequence[int]) -> str:
    """``"(128, 10)"``, ``"(10,)"``, ``"()"``; ``"(?, 10)"`` where an architecture does not tell a length."""
    return f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"


def typed(shape: Sequence[int], dtype: str) -> str:
    """``"(128, 10) float32"``."""
    return f"{shape_text(shape)} {escape(dtype)}"


def values(tensors: Iterable[TensorFacts]) -> int:
    """How many elements."""
    return sum(math.prod(tensor.shape) for tensor in tensors)


def listed(lines: Sequence[str], most: int = MOST_ROWS) -> list[str]:
    """The first lines, and how many are left out."""
    if len(lines) <= most + 1:
        return list(lines)
    return [*lines[:most], f"… and {len(lines) - most:,} more"]


def named(names: Sequence[str], most: int = 4) -> str:
    """``"`a`, `b` and 3 more"``."""
    shown = [quote(name) for name in names[: most if len(names) > most + 1 else most + 1]]
    if len(names) > len(shown):
        return f"{', '.join(shown)} and {len(names) - len(shown):,} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else "nothing"


def columns(rows: Sequence[Sequence[str]], gap: str = "  ") -> list[str]:
    """Rows as aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return [gap.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def count_of(count: int, word: str, verb: str, verbs: str) -> str:
    """``"1 layer has"``, ``"3 layers have"``."""
    return f"{plural(count, word)} {verb if count == 1 else verbs}"
