"""The straight line: a path becomes a file, a model becomes a spec, their join a plan, the plan a report and, when
nothing refuses, loaded weights."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from kwload import _core, locks, paths, select
from kwload.file import File, Source, core_source
from kwload.report.build import build_report, path_report
from kwload.report.facts import CoreFailure, ErrorFacts, Options
from kwload.report.finding import Report

# Reading is bound by memory: more threads than this gain nothing and disturb others.
THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Call:
    """The options of one call, with Keras's names and meaning where Keras has them."""

    by_name: bool | None = None
    skip_mismatch: bool = False
    only: str | Iterable[str] | None = None
    skip: str | Iterable[str] | None = None
    mapping: select.Mapping | None = None

    @property
    def options(self) -> Options:
        own = self.only is not None or self.skip is not None or self.mapping is not None
        return Options(by_name=self.by_name, skip_mismatch=self.skip_mismatch, own=own)


@dataclass(slots=True)
class Examined:
    """What one look at a file and a model gave, in the order in which it was found."""

    path: str
    call: Call
    file: _core.File | None = None
    model: Any = None
    plan: _core.Plan | None = None
    failures: list[ErrorFacts] = field(default_factory=list)
    writer: int | None = None
    times: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    def lap(self, step: str) -> None:
        """Notes how long the step took that ends here."""
        now = time.perf_counter()
        self.times[step] = now - self.started
        self.started = now

    def report(self) -> Report:
        if self.file is None:
            return path_report(self.path, self.failures[0], times=self.times)
        return build_report(
            path=self.path,
            file=self.file,
            model=self.model,
            plan=self.plan,
            options=self.call.options,
            errors=self.failures,
            times=self.times,
            writer=self.writer,
        )


def examine(model: Any, source: Source, call: Call) -> Examined:
    """Opens the file, describes the model and joins the two; touches neither.

    Raises TypeError for something that is no model or no file, ValueError for an option that names no layer. Whatever
    is wrong with the file itself becomes a failure or a finding.
    """
    from kwload.spec import live

    if not live.is_model(model):
        raise TypeError(f"expected a Keras model, not {type(model).__name__}")
    target, name = core_source(source)
    examined = Examined(name, call)
    try:
        examined.file = file = _core.File(target)
    except _core.CoreError as error:
        examined.failures.append(error)
        examined.lap("open")
        return examined
    examined.writer = locks.writer_of(target) if isinstance(target, bytes) else None
    examined.lap("open")
    examined.model = live.describe(model, file.layout)
    examined.lap("describe")
    examined.plan = _plan(file, examined.model, name, call)
    examined.lap("plan")
    return examined


def _plan(file: _core.File, model: Any, name: str, call: Call) -> _core.Plan:
    spec = _core.Spec(file.layout, model.groups, model.nodes)
    selection = select.resolve(model.groups, file.groups, only=call.only, skip=call.skip, mapping=call.mapping)
    return _core.plan(
        file,
        spec,
        flavour=model.keras.flavour,
        version=model.keras.number,
        suffix=paths.suffix_of(name),
        by_name=call.by_name,
        skip_mismatch=call.skip_mismatch,
        selected=selection.selected,
        mapped=selection.mapped,
    )


def _read_chunked(examined: Examined) -> None:
    """Reads the chunked tensors that the plan pairs, one at a time, and lets them go: only that shows whether their
    index, filters and checksums are sound. The others lie plain, and were looked at when the file was opened."""
    file, plan = examined.file, examined.plan
    if file is None or plan is None:
        return
    tensors = file.tensors
    for row in sorted({pair[0] for pair in plan.pairs}):
        if tensors[row].storage == "chunked":
            file.fetch([row])


def open(path: Source) -> File:
    """Open a Keras weight file for reading, without Keras and without TensorFlow.

    Parameters
    ----------
    path : str, os.PathLike, bytes or file object
        A path; or the contents, as ``bytes`` (told from a path by the NUL bytes that every weight file holds), any
        object with the buffer protocol, or an object with ``read``. ``.h5``, ``.weights.h5``, ``.keras`` (archive or
        folder), ``.weights.json`` and KerasHub preset folders are known by their content, whatever their names.

    Returns
    -------
    File
        A read-only mapping from path to array; a context manager.

    Raises
    ------
    WeightsNotFoundError, WeightsPermissionError, WeightsIsADirectoryError
        As the operating system says it.
    WeightsFileError
        The file is not a weight file, or so damaged that no tensor can be named. A file that is damaged in part opens;
        ``tensors`` says which are whole.
    """
    try:
        file = File(path)
    except _core.CoreError as error:
        path_report(core_source(path)[1], error).raise_if_failed()
        raise
    if not len(file):
        build_report(path=file.path, file=file.core).raise_if_failed()
    return file


def check(
    model: Any,
    path: Source,
    *,
    by_name: bool | None = None,
    skip_mismatch: bool = False,
    only: str | Iterable[str] | None = None,
    skip: str | Iterable[str] | None = None,
    mapping: select.Mapping | None = None,
) -> Report:
    """Say everything that is wrong with a weight file for this model, and what Keras would do with it.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        A live model. It is described, never changed.
    path : str, os.PathLike, bytes or file object
        As for :func:`kwload.open`.
    by_name : bool, optional
        Match layers by name instead of by order; Keras's own option, for the legacy layouts.
    skip_mismatch : bool
        Leave out layers that do not fit. kwload leaves out a layer whole, never half.
    only, skip : str or iterable of str, optional
        Layers of the model that this call is about, by path (``"outer/inner"``) or glob.
    mapping : dict, (prefix, prefix), (re.Pattern, replacement) or callable, optional
        Name of a layer in the file -> path of a layer of the model, for names that differ.

    Returns
    -------
    Report
        ``report.ok`` is True when every variable that the call selects gets its own tensor.

    Raises
    ------
    TypeError
        ``model`` is not a Keras model, or ``path`` is nothing that can be opened.
    ValueError
        An option names a layer that is not there. A bad weight file never raises.
    """
    examined = examine(model, path, Call(by_name, skip_mismatch, only, skip, mapping))
    if examined.file is not None:
        try:
            examined.file.verify(threads=THREADS)
            _read_chunked(examined)
        except _core.CoreError as error:
            examined.failures.append(error)
        examined.lap("verify")
        if not examined.file.unchanged() and not any(failure.code == 211 for failure in examined.failures):
            examined.failures.append(CoreFailure(211))
    return examined.report()


def load_weights(
    model: Any,
    path: Source,
    *,
    by_name: bool | None = None,
    skip_mismatch: bool = False,
    only: str | Iterable[str] | None = None,
    skip: str | Iterable[str] | None = None,
    mapping: select.Mapping | None = None,
    strict: bool = False,
) -> Report:
    """Load weights, all or nothing: check, read every value, then assign.

    Whatever happens before the last value is assigned (a refusal, a damaged file, an error of the backend, Ctrl-C)
    leaves every variable bit-identical to before.

    Parameters
    ----------
    model, path, by_name, skip_mismatch, only, skip, mapping
        As for :func:`kwload.check`.
    strict : bool
        Warnings refuse too.

    Returns
    -------
    Report
        With ``loaded`` True.

    Raises
    ------
    WeightsMismatchError
        The file does not fit the model; a ``ValueError``.
    WeightsFileError
        The file is absent, unreadable or damaged where it matters; an ``OSError``, and by kind also
        ``FileNotFoundError``, ``PermissionError``, ``IsADirectoryError``.
    TypeError, ValueError
        As for :func:`kwload.check`.
    """
    from kwload import assign

    examined = examine(model, path, Call(by_name, skip_mismatch, only, skip, mapping))
    report = examined.report()
    report.raise_if_failed(strict=strict)
    file, plan = examined.file, examined.plan
    if file is None or plan is None:  # nothing to read, and nothing that refused: the model wants nothing
        return replace(report, loaded=True)
    try:
        wanted = assign.order(examined.model, file, plan)
        arrays = file.fetch(wanted.rows, threads=THREADS, verify=True)
    except _core.CoreError as error:
        examined.failures.append(error)
        examined.report().raise_if_failed()
        raise
    examined.lap("read")
    assign.load(examined.model, wanted, arrays)
    examined.lap("assign")
    return replace(report, loaded=True, times=examined.times)
