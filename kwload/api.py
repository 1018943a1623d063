"""The straight line: a path becomes a file, a model becomes a spec, their join a plan, the plan a report and, when
nothing refuses, loaded weights."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kwload import _core, locks, paths, select
from kwload.file import File, Source, core_source
from kwload.report.build import build_report, path_report
from kwload.report.facts import CoreFailure, ErrorFacts, Options, Seen
from kwload.report.finding import Lost, Report, Values

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
    values: bool | Literal["error"] = True
    keras: str | None = None
    custom_objects: Mapping[str, Any] | None = None
    build: bool = False
    stamp: bool | str | os.PathLike[str] = True

    def __post_init__(self) -> None:
        if not isinstance(self.values, bool) and self.values != "error":
            raise ValueError(f'values is {self.values!r}, expected True, False or "error"')
        _by_name(self.custom_objects)
        if self.keras is not None:
            from kwload.spec import asked

            asked.parse(self.keras)

    @property
    def options(self) -> Options:
        own = self.only is not None or self.skip is not None or self.mapping is not None
        return Options(
            by_name=self.by_name,
            skip_mismatch=self.skip_mismatch,
            own=own,
            refuse_values=self.values == "error",
        )


def _by_name(custom_objects: Any) -> None:
    """TypeError for custom objects that are no dict by name."""
    if custom_objects is not None and not isinstance(custom_objects, Mapping):
        raise TypeError(f"custom_objects is a {type(custom_objects).__name__}, expected a dict by name")


@dataclass(slots=True)
class Examined:
    """What one look at a file and a model gave, in the order in which it was found."""

    path: str
    call: Call
    file: _core.File | None = None
    model: Any = None
    plan: _core.Plan | None = None
    failures: list[ErrorFacts] = field(default_factory=list)
    reader: str | None = None
    writer: int | None = None
    seen: list[Seen] = field(default_factory=list)
    meaning: Any = None
    signed: Sequence[Any] = ()
    witness: Any = None
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
            reader=self.reader,
            writer=self.writer,
            seen=self.seen,
            meaning=self.meaning,
            signed=self.signed,
            witness=self.witness,
        )


def examine(model: Any, source: Source, call: Call, *, targets: bool = False) -> Examined:
    """Opens the file, describes the model and joins the two; touches neither.

    With *targets* the model may be an architecture.

    Raises TypeError for something that is no model or no file, ValueError for an option that names no layer, or an
    architecture that is none. Whatever is wrong with the file itself becomes a failure or a finding.
    """
    from kwload.spec import asked as keras
    from kwload.spec import described

    architecture = None
    if not described.is_model(model):
        if not (targets and _is_target(model)):
            raise TypeError(f"expected a Keras model{' or an architecture' * targets}, not {type(model).__name__}")
        core_source(source)  # that the two were exchanged is said first
        architecture = model if _is_manifest(model) else _architecture(model)
    asked = keras.parse(call.keras) if call.keras is not None else None
    if asked is not None and _is_manifest(model):
        raise ValueError("keras= is about a live model or an architecture: a manifest says what its own Keras wants")
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
    if architecture is not None:
        if _is_manifest(architecture):
            examined.model = architecture.described(file.layout)
            examined.plan = _plan(file, examined.model, None, name, call)
            examined.lap("plan")
        else:
            _examine_architecture(examined, file, architecture, asked)
        return examined
    from kwload.spec import live

    examined.model = live.describe(model, file.layout)
    examined.signed = _signed(model, call.custom_objects)
    if isinstance(target, bytes):
        examined.witness = _witness(model, name, call.stamp)
    examined.lap("describe")
    there = _there(model, examined.model, file, asked, call) if asked is not None else None
    examined.reader = there.keras.said if there is not None else None
    examined.plan = _plan(file, examined.model, there, name, call)
    examined.lap("plan")
    if file.config is not None or examined.witness is not None:
        _compare(examined, file, model)
        examined.lap("meaning")
    return examined


def _compare(examined: Examined, file: _core.File, model: Any) -> None:
    """Holds the model against the configuration in the file, or in the stamp of a file that has none."""
    from kwload import meaning

    assert examined.plan is not None
    if file.config is not None:
        examined.meaning = meaning.compare_opened(file, model, examined.model, examined.plan)
        return
    from kwload.stamps import changed

    stamped = changed.recorded(examined.witness, model)
    found = meaning.compare_opened(file, model, examined.model, examined.plan, stamped)
    if found is not None and found.differs and not changed.is_of(examined.path, examined.witness):
        examined.witness = replace(examined.witness, stale=True)
        return
    examined.meaning = found


def _witness(model: Any, name: str, stamp: bool | str | os.PathLike[str]) -> Any:
    """What the stamp of the file says of the model's code; None when there is none, or when nobody asks."""
    if stamp is False or (stamp is True and not os.path.lexists(name.rstrip(os.sep) + ".kwload.json")):
        return None
    from kwload.stamps import changed

    return changed.witness(model, name, None if isinstance(stamp, bool) else stamp)


def _is_target(model: Any) -> bool:
    """Whether an architecture may stand there."""
    if isinstance(model, (Mapping, list, str, bytes, os.PathLike)) or callable(getattr(model, "read", None)):
        return True
    if _is_manifest(model):
        return True
    from kwload.spec.architecture.target import Target

    return isinstance(model, Target)


def _is_manifest(model: Any) -> bool:
    """Whether it is a manifest; who has one has imported its module."""
    manifests = sys.modules.get("kwload.stamps.manifest")
    return manifests is not None and isinstance(model, manifests.Manifest)


def _architecture(target: Any) -> Any:
    """The architecture that a target holds; ValueError when it holds none."""
    from kwload.spec.architecture import target as targets

    return target if isinstance(target, targets.Target) else targets.read(target)


def _examine_architecture(examined: Examined, file: _core.File, architecture: Any, asked: Any) -> None:
    """Describes an architecture for the file and joins the two."""
    from kwload.spec.architecture import of_file
    from kwload.spec.registering import handed

    with handed(examined.call.custom_objects, build=examined.call.build):
        examined.model, keras = of_file(architecture, file, asked, examined.call.custom_objects)
    examined.reader = keras.said
    examined.signed = examined.model.failed
    examined.lap("describe")
    examined.plan = _plan(file, examined.model, None, examined.path, examined.call)
    examined.lap("plan")
    if file.config is not None and file.config != architecture.text:
        from kwload import meaning
        from kwload.meaning import stored

        unit = stored.unit_of(dict(architecture.tree))
        examined.meaning = meaning.compare_opened(file, unit, examined.model, examined.plan)
        examined.lap("meaning")


def _there(model: Any, described: Any, file: _core.File, asked: Any, call: Call) -> Any:
    """What the model would be in the Keras that the call is about."""
    from kwload.spec import other
    from kwload.spec.registering import handed

    with handed(call.custom_objects):
        return other.describe(model, described, file.layout, asked, by_name=bool(call.by_name))


def _signed(model: Any, custom_objects: Mapping[str, Any] | None) -> Sequence[Any]:
    """What users' signatures say of the layers of the model; nothing is imported for a user who has none."""
    if custom_objects is None and "kwload.spec.registry" not in sys.modules:
        return ()
    from kwload.spec import confirm

    return confirm.of_model(model, custom_objects)


def _plan(file: _core.File, model: Any, there: Any, name: str, call: Call) -> _core.Plan:
    converted = _units(file, model, there)
    spec = _core.Spec(file.layout, model.groups, model.nodes, converted)
    other = None
    if there is not None:
        there_spec = _core.Spec(file.layout, there.groups, there.nodes, converted)
        other = (there_spec, there.keras.flavour, there.keras.number, there.unsure)
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
        other=other,
    )


def _units(file: _core.File, model: Any, there: Any) -> list[Any]:
    """What the conversion of weights looks at, where this file or a Keras that the call is about converts any."""
    if model.nodes or file.layout not in ("legacy", "legacy-model"):
        return []
    facts = file.metadata
    old = facts.get("keras_version", "1").split(".")[0] == "1" or facts.get("backend") == "theano"
    if not old and model.keras.flavour == "keras" and (there is None or there.keras.flavour == "keras"):
        return []
    if hasattr(model, "things"):
        from kwload.spec.architecture.units import units_of

        return units_of(model.keras, model.things)
    if hasattr(model, "units"):
        return list(model.units)
    from kwload.spec import units

    return units.units_of(model.keras, model.objects)


def _read(examined: Examined, file: _core.File) -> None:
    """Reads what only reading shows: whether checksums, the index of chunks and filters are sound, and, when the call
    wants it, what the values are. Nothing is kept."""
    plan, tensors = examined.plan, file.tensors
    wanted = [] if plan is None else sorted({pair[0] for pair in plan.pairs})
    looked: set[int] = set()
    if examined.call.values and plan is not None:
        looked = _look(examined, file, plan, tensors)
    else:
        file.verify(threads=THREADS)
    for row in wanted:
        if tensors[row].storage == "chunked" and row not in looked:
            file.fetch([row])


def _look(examined: Examined, file: _core.File, plan: _core.Plan, tensors: tuple[_core.Tensor, ...]) -> set[int]:
    """Looks at the values that the call loads; the rows of those that could be read."""
    from kwload import assign

    order = assign.order(examined.model, file, plan)
    # What a layer's own code takes has any size that the file declares.
    places = [
        (row, target)
        for row, target in zip(order.rows, order.targets, strict=True)
        if target >= 0 or tensors[row].storage == "contiguous"
    ]
    rows, targets = [row for row, _ in places], [target for _, target in places]
    told: list[_core.ValueFacts | None] = []
    try:
        file.scan(rows, _types(examined, tensors, rows, targets), told, threads=THREADS, verify=True)
    finally:
        examined.seen = _seen(rows, targets, told)
    return {seen.tensor for seen in examined.seen}


def _types(examined: Examined, tensors: tuple[_core.Tensor, ...], rows: list[int], targets: list[int]) -> list[str]:
    """The type that each tensor becomes: the variable's, or its own when a layer's own code takes it."""
    wanted = [variable[4] for group in examined.model.groups for variable in group[4]]
    return [wanted[target] if target >= 0 else tensors[row].dtype for row, target in zip(rows, targets, strict=True)]


def _seen(rows: list[int], targets: list[int], told: list[_core.ValueFacts | None]) -> list[Seen]:
    """What the core told of each row; what it could not read whole is left out."""
    return [
        Seen(row, target, Values(*facts[:-1], Lost(*facts[-1]) if facts[-1] is not None else None))
        for row, target, facts in zip(rows, targets, told, strict=False)
        if facts is not None
    ]


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
    values: bool | Literal["error"] = True,
    keras: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    build: bool = False,
    stamp: bool | str | os.PathLike[str] = True,
) -> Report:
    """Say everything that is wrong with a weight file for this model, and what Keras would do with it.

    Parameters
    ----------
    model : keras.Model, tf_keras.Model, dict, str, os.PathLike or bytes
        A live model, which is described and never changed. Or, for which no Keras is needed, its
        :func:`kwload.manifest`, or an architecture: a
        configuration (``model.get_config()``, ``model.to_json()``), or the path of what holds one: a JSON file, a
        ``.keras`` archive or folder, a whole-model ``.h5`` file.
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
    values : bool or "error"
        Look at the values that the call loads: NaN and Inf, blocks that were lost, what a cast to the variable's type
        loses, constants, range. ``"error"`` makes what would be NaN or Inf in the model an error; False reads only
        what a checksum is of.
    keras : str, optional
        Predict for this Keras instead of the model's own; it need not be installed: ``"3.8"``, ``"2.15"``, ``"2.3.1"``,
        ``"tf_keras 2.16"``. The prediction is about the same architecture there, and ``unknown`` with the reason where
        nobody can tell what that is. An architecture is by default that of the Keras that wrote it.
    custom_objects : dict, optional
        Names of your own classes -> a signature (:func:`kwload.signature`; a function of two parameters), the class,
        or a pair of both. A signature of a class in the model is held against the layers of that class.
    build : bool
        For an architecture: build the classes of your own that are known, to find or confirm their variables. This
        runs their code with the configuration in the file, and needs their Keras imported.
    stamp : bool, str or os.PathLike
        Hold the code of the model's own layers against the fingerprints in the stamp beside the file, or in the one at
        this path, and the settings of all layers against its configuration where the file has none; False does not
        look for one.

    Returns
    -------
    Report
        ``report.ok`` is True when every variable that the call selects gets its own tensor.

    Raises
    ------
    TypeError
        ``model`` is neither a Keras model nor an architecture, or ``path`` is nothing that can be opened.
    ValueError
        An option names a layer that is not there, ``keras`` no version, or ``model`` holds no architecture that can be
        read. A bad weight file never raises.
    """
    call = Call(by_name, skip_mismatch, only, skip, mapping, values, keras, custom_objects, build, stamp)
    examined = examine(model, path, call, targets=True)
    if examined.file is not None:
        try:
            _read(examined, examined.file)
        except _core.CoreError as error:
            examined.failures.append(error)
        examined.lap("verify")
        if not examined.file.unchanged() and not any(failure.code == 211 for failure in examined.failures):
            examined.failures.append(CoreFailure(211))
    return examined.report()


def check_model(
    path: Source,
    *,
    keras: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Report:
    """Say what ``load_model`` would make of a file, without making anything: no Keras is imported, no code is run.

    Parameters
    ----------
    path : str, os.PathLike, bytes or file object
        A ``.keras`` archive or folder, or a whole-model ``.h5`` file; as for :func:`kwload.open`.
    keras : str, optional
        The Keras that it is about, installed or not: ``"3.8"``, ``"2.15"``, ``"tf_keras 2.16"``. Without it the Keras
        that is imported (of two that one of the line that wrote the file), else the one that is installed, else the
        newest that is known.
    custom_objects : dict, optional
        As for ``load_model``: names of the user's own classes and functions -> themselves. What is registered with
        the imported Keras counts too.
    compile, safe_mode : bool
        As for ``load_model``.

    Returns
    -------
    Report
        ``report.prediction`` foresees ``load_model``: ``loads``, ``raises`` with the error, or ``unknown`` with the
        reason. ``report.ok`` is False when it would raise, and the findings say why; weights alone, which no model
        can be made from, are an error. The weights are held against the architecture beside them, as by
        :func:`check`; classes of the user's own without a signature are left out of that.

    Raises
    ------
    TypeError
        ``path`` is nothing that can be opened.
    ValueError
        ``keras`` is no version.
    """
    from kwload.report.versions import model_report
    from kwload.versions import reader, writer
    from kwload.versions.whole import Wish

    named = None if keras is None else reader.parse(keras)
    target, name = core_source(path)
    examined = Examined(name, Call())
    try:
        examined.file = file = _core.File(target)
        examined.lap("open")
        file.verify(threads=THREADS)
    except _core.CoreError as error:
        examined.failures.append(error)
    if examined.file is None:
        return examined.report()
    examined.lap("verify")
    asked = reader.installed(lambda: writer.package_of(file)) if named is None else named
    return model_report(
        name,
        examined.file,
        asked,
        dict(custom_objects or {}),
        wish=Wish(compile, safe_mode),
        errors=examined.failures,
        times=examined.times,
        joined=lambda: _of_itself(file, asked, name, custom_objects),
    )


def _of_itself(file: _core.File, reader: Any, name: str, custom_objects: Mapping[str, Any] | None) -> Any:
    """The architecture of a whole model as a Keras makes it, joined with the weights beside it; or why not."""
    from kwload.report.escape import escape
    from kwload.report.itself import Joined
    from kwload.spec.architecture import ArchitectureError
    from kwload.spec.architecture import target as targets
    from kwload.spec.architecture.itself import of_itself
    from kwload.spec.registering import handed

    keras = targets.release(reader.flavour, reader.version)
    try:
        tree = targets.of_file(file, escape(name)).tree
        with handed(custom_objects):
            itself = of_itself(tree, file, keras, custom_objects)
    except ArchitectureError as error:
        return str(error).removeprefix(f"{escape(name)}: ")
    end = "h5" if file.content == "hdf5" else "keras"  # load_model knows no weights in a file of their own
    return Joined(tree, itself, _plan(file, itself.model, None, f"model.{end}", Call()))


def load_weights(
    model: Any,
    path: Source,
    *,
    by_name: bool | None = None,
    skip_mismatch: bool = False,
    only: str | Iterable[str] | None = None,
    skip: str | Iterable[str] | None = None,
    mapping: select.Mapping | None = None,
    values: bool | Literal["error"] = True,
    strict: bool = False,
    custom_objects: Mapping[str, Any] | None = None,
    probe: Any = False,
) -> Report:
    """Load weights, all or nothing: check, read every value, then assign.

    Whatever happens before the last value is assigned (a refusal, a damaged file, an error of the backend, Ctrl-C)
    leaves every variable bit-identical to before.

    Parameters
    ----------
    model, path, by_name, skip_mismatch, only, skip, mapping, values
        As for :func:`kwload.check`; the values are looked at while they are read.
    strict : bool
        Warnings refuse too.
    custom_objects : dict, optional
        As for :func:`kwload.check`.
    probe : bool or inputs
        Run the model as it was run for the probe in the stamp beside the file (:func:`kwload.stamp`), and load nothing
        when other outputs come out (KW413): True, or the inputs when it was made with inputs of your own.

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
    from kwload import assign, conversions

    examined = examine(model, path, Call(by_name, skip_mismatch, only, skip, mapping, values, None, custom_objects))
    file, plan = examined.file, examined.plan
    if file is None or plan is None:
        report = examined.report()
        report.raise_if_failed(strict=strict)
        return replace(report, loaded=True)  # nothing to read, and nothing that refused: the model wants nothing
    if file.faults or any(finding[1] == "error" for finding in plan.findings):  # refused before anything is read
        examined.report().raise_if_failed()
    try:
        wanted = assign.order(examined.model, file, plan)
        arrays = _fetch(examined, file, wanted)
    except _core.CoreError as error:
        examined.failures.append(error)
        examined.report().raise_if_failed()
        raise
    examined.lap("read")
    report = examined.report()
    report.raise_if_failed(strict=strict)
    probed = _Probed(model, report, examined.path, probe)
    check = probed.check if probed.wanted else None
    assign.load(examined.model, wanted, conversions.convert(plan, wanted.targets, arrays), check)
    examined.lap("assign")
    return replace(probed.report, loaded=True, times=examined.times)


class _Probed:
    """A report that gets what a probe of the loaded model found; raises when that refuses."""

    def __init__(self, model: Any, report: Report, path: str, asked: Any) -> None:
        self.report = report
        self.wanted = asked is not None and asked is not False
        self._model = model
        self._probing: Any = None
        if self.wanted:
            from kwload.stamps import probing, stamp

            found = probing.find(path, stamp.path_of(path), asked)
            if isinstance(found, probing.Probing):
                self._probing = found
            else:
                self._add(found)

    def check(self) -> None:
        """Runs the model."""
        self._add(self._probing.run(self._model))

    def _add(self, found: Any) -> None:
        from kwload.stamps import probing

        self.report = probing.with_finding(self.report, found)
        self.report.raise_if_failed()


def _fetch(examined: Examined, file: _core.File, wanted: Any) -> list[Any]:
    """The arrays of an order, their values looked at in the same pass when the call wants it."""
    if not examined.call.values:
        return file.fetch(wanted.rows, threads=THREADS, verify=True)
    told: list[_core.ValueFacts | None] = []
    types = _types(examined, file.tensors, wanted.rows, wanted.targets)
    try:
        return file.fetch(wanted.rows, threads=THREADS, verify=True, dtypes=types, facts=told)
    finally:
        examined.seen = _seen(wanted.rows, wanted.targets, told)
