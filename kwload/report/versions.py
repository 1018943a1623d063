"""Findings on versions: what an architecture that is stored in a file needs, for ``kwload.check_model``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kwload import _core, paths
from kwload.report import container, own_code
from kwload.report.context import Context, columns, entry, finding, is_path, listed, named
from kwload.report.escape import escape, literal, quote
from kwload.report.facts import ErrorFacts, FileFacts, Options
from kwload.report.finding import Finding, Outcome, PredictedError, Prediction, Report
from kwload.report.text import plural
from kwload.report.unregistered import near, own_findings
from kwload.spec import registry
from kwload.versions import classes, differences, whole
from kwload.versions.differences import Difference
from kwload.versions.outcome import RaisedError
from kwload.versions.reader import NEWEST, NEWEST_2, Reader
from kwload.versions.whole import Forecast, Wish
from kwload.versions.writer import of

if TYPE_CHECKING:
    from kwload.report.itself import Held, Joined

_SEVERITIES: Final = {"error": 0, "warning": 1, "note": 2}
_SUFFIXES: Final = {"legacy-model": "h5"}
_PLAIN: Final = Wish()


def model_report(
    path: str,
    file: FileFacts,
    reader: Reader,
    custom: Mapping[str, Any],
    *,
    wish: Wish = _PLAIN,
    errors: Sequence[ErrorFacts] = (),
    times: Mapping[str, float] | None = None,
    joined: Callable[[], Joined | str] | None = None,
) -> Report:
    """The report on a file of which a whole model is wanted.

    Parameters
    ----------
    path : str
        The file as the user gave it.
    file : _core.File
        The opened file.
    reader : Reader
        The Keras whose ``load_model`` it is about.
    custom : mapping
        ``custom_objects``.
    wish : Wish
        The other options of ``load_model``.
    errors : sequence of _core.CoreError
        What went wrong after the file was opened.
    times : mapping of str to float, optional
        Seconds by step.
    joined : callable, optional
        Holds the file's architecture against its weights, or says why nobody can.
    """
    context = Context(path, file, None, None, Options(), failed=bool(errors), reader=reader.name)
    handed = registry.known(reader.flavour, custom)
    foreseen = whole.forecast(file, reader, handed, path, wish) if is_path(path) else None
    if errors and foreseen is not None:
        first = errors[0]
        foreseen = (
            whole.with_checksum(foreseen, file, reader, path, first.detail)
            if len(errors) == 1 and first.code == 205
            else Forecast("unknown", reason=whole.DAMAGED)
        )
    found = [*container.container_findings(context), *(container.core_error(context, error) for error in errors)]
    if not any(item.severity == "error" for item in found):
        found += _of_model(context, reader, handed, foreseen, wish)
    prediction = _prediction(foreseen, reader) if foreseen is not None else None
    counts: Mapping[str, int] = {}
    if joined is not None and _comes_to_weights(file, foreseen, found):
        weights = _weights(context, joined(), foreseen, reader)
        prediction, counts = weights.prediction or prediction, weights.counts
        found += weights.findings
    found.sort(key=lambda item: _SEVERITIES[item.severity])
    severities = [item.severity for item in found]
    return Report(
        path=path,
        format=file.layout if file.layout not in ("", "unknown") else file.content,
        findings=tuple(found),
        prediction=prediction,
        counts={
            "tensors": len(context.tensors),
            **counts,
            **{f"{severity}s": severities.count(severity) for severity in ("error", "warning", "note")},
        },
        times=dict(times or {}),
        contents=container.contents(context),
        architecture="the file itself" if counts else None,
    )


def _comes_to_weights(file: FileFacts, foreseen: Forecast | None, found: Sequence[Finding]) -> bool:
    """Whether Keras gets so far that it loads the weights, as far as one can see."""
    if file.config is None or foreseen is None:
        return False
    if foreseen.error is not None:
        return foreseen.error.is_late
    failed = foreseen.endless or foreseen.crossed is not None
    return not failed and not any(item.severity == "error" for item in found)


def _weights(context: Context, joined: Joined | str, foreseen: Forecast | None, reader: Reader) -> Held:
    """What the weights of the file are to its architecture."""
    from kwload.report.itself import Held, held

    if not isinstance(joined, str):
        return held(context, foreseen, joined, reader)
    unknown = Prediction(context.keras, "unknown", reason=joined[:200], call="load_model")
    return Held(unknown if foreseen is not None and foreseen.outcome == "loads" else None, [], {})


def _prediction(foreseen: Forecast, reader: Reader) -> Prediction:
    outcome: Outcome = "raises" if foreseen.error else "loads" if foreseen.outcome == "loads" else "unknown"
    return Prediction(
        keras=reader.name,
        outcome=outcome,
        error=_error(foreseen.error) if foreseen.error is not None else None,
        reason=foreseen.reason[:200] if foreseen.reason is not None else None,
        call="load_model",
    )


_WIDTH: Final = 96
"""Characters of an error's text with that of its cause; of a longer one only the cause is shown."""


def _error(error: RaisedError) -> PredictedError:
    """The error with its innermost cause, which is what a person needs of it."""
    root = error.root
    said = error.said
    if root is not error and root.said:
        said = f"{said} … {root.said}" if len(said) + len(root.said) < _WIDTH else f"… {root.said}"
    return PredictedError(
        error.type, error.prefix[:200], said if said.endswith((".", "}")) or not said else f"{said.rstrip()}…"
    )


def _of_model(
    context: Context, reader: Reader, custom: Mapping[str, Any], foreseen: Forecast | None, wish: Wish
) -> list[Finding]:
    """What keeps a sound file from being a model of this Keras."""
    if context.file.config is None:
        return [_weights_only(context, reader, foreseen)]
    suffix = paths.suffix_of(context.path) if is_path(context.path) else ""
    disagreement = container.name_and_content(context, suffix) if suffix else None
    config = whole.parsed(context.file.config)
    is_hdf5 = context.file.content == "hdf5"
    out = [disagreement] if disagreement is not None else []
    out += own_findings(context, config, reader, custom, foreseen, compiled=wish.compile)
    if foreseen is not None and foreseen.crossed is not None:
        return [*out, _mixed_up(context, reader, foreseen.crossed)]
    raises = foreseen is not None and foreseen.error is not None
    other = [item for item in differences.find(config, reader, custom, is_hdf5=is_hdf5) if item.kind != "lambda"]
    elsewhere = not is_hdf5 and any(item.kind == "module" for item in other)  # fails, and how depends on the process
    if other and (raises or foreseen is None or elsewhere):
        out.append(_version(context, other, reader, _as_if_known(out, custom), wish))
    if foreseen is not None and foreseen.error is not None and not any(item.severity == "error" for item in out):
        # The name alone makes Keras look for something else: what else would be wrong does not come up.
        refused = foreseen.error.prefix.startswith(BY_NAME) or (disagreement is not None and _is_zip_as_hdf5(context))
        out = (
            # The other way about: a model is wanted, and a new name is all it takes.
            [replace(item, severity="error", help=item.help[::-1]) for item in out]
            if out and refused
            else [*out, _refuses(context, reader, foreseen.error, custom, wish)]
        )
    if raises and {item.code for item in out if item.severity == "error"} == {"KW402"}:
        out += _also(context, reader, custom, out, wish)
    if not raises:
        out += silent(context, reader, config)
        out += _runs_code(context, reader, config) if wish.safe_mode else []
        out += own_code.of_config(context, config, custom)
    return [*out, _endless(context, reader)] if foreseen is not None and foreseen.endless else out


def _runs_code(context: Context, reader: Reader, config: Any) -> list[Finding]:
    """KW406 for Python code in a file that this Keras makes a model of: it is run unasked."""
    layers = differences.python_code(config)
    if not layers or (reader.is_3 and context.file.content != "hdf5"):
        return []
    return [
        finding(
            406,
            "warning",
            headline=f"load_model of {reader.name} runs the Python code in the file, `safe_mode` or not: "
            f"{named([name or 'a lambda' for name in layers])}",
            layer=layers[0] or None,
            notes=["load_model only a file that you trust; kwload.load_model does not run it"],
            help=[f"build the model in code, then {context.load()}"],
            related=layers[1:],
        )
    ]


def _mixed_up(context: Context, reader: Reader, layer: str) -> Finding:
    """KW406: a layer that Keras connects to the call of another model."""
    fails = reader.version >= (3, 14, 0)
    return finding(
        406,
        "error",
        headline=f"load_model of {reader.name} mixes up the calls of {quote(layer)} inside and outside of a model",
        layer=layer or None,
        notes=[
            "Keras counts the calls of a layer from the first, which is that of the model inside",
            *([] if fails else ["it may return a model, which then cannot be called"]),
            "the weights are not affected: they load into the same model built in code",
        ],
        keras=f"{context.keras_short} raises ValueError on load_model" if fails else None,
        help=[f"build the model in code, then {context.load()}"],
    )


def _also(
    context: Context, reader: Reader, custom: Mapping[str, Any], found: Sequence[Finding], wish: Wish
) -> list[Finding]:
    """What would still be wrong if all that is not registered were."""
    known = _as_if_known(found, custom)
    foreseen = whole.forecast(context.file, reader, known, context.path, wish)
    return [_refuses(context, reader, foreseen.error, known, wish)] if foreseen.error is not None else []


def _weights_only(context: Context, reader: Reader, foreseen: Forecast | None) -> Finding:
    """KW209: a model is wanted, and there is none."""
    held = container.contents(context)
    layers = sum(any(row >= 0 for _, row in group[3]) and not group[2] & _STATE for group in context.groups)
    amount = f"{plural(layers, 'layer')} with {plural(held.parameters, 'parameter')}" if layers else "no weights either"
    error = foreseen.error if foreseen is not None else None
    return finding(
        209,
        "error",
        headline=f"{entry(209).headline}: {amount}",
        expected="a whole model",
        found="weights",
        keras=f"{reader.name.removeprefix('Keras ')} {raises(error)} on load_model" if error is not None else None,
        help=[f"build the model in code, then {context.load()}"],
    )


def _is_zip_as_hdf5(context: Context) -> bool:
    """Whether the name leads Keras to open an archive as HDF5."""
    return context.file.content == "keras" and context.path.endswith((".h5", ".hdf5"))


BY_NAME: Final = ("No model config", "File not found", "File format")
"""How errors begin that the end of the file's name leads to."""

_STATE: Final = _core.GROUP_FLAGS["optimizer"] | _core.GROUP_FLAGS["metric"]


def raises(error: RaisedError) -> str:
    said = _error(error).said
    return f"raises {error.type}: {escape(said)}" if said else f"raises {error.type}"


def _as_if_known(found: Sequence[Finding], custom: Mapping[str, Any]) -> dict[str, Any]:
    """What is handed in, and what is said to be missing from it."""
    names = [str(name) for item in found if item.code == "KW402" for name in (item.found, *item.related)]
    return {**dict.fromkeys(names, len), **custom}


def _version(
    context: Context, found: Sequence[Difference], reader: Reader, custom: Mapping[str, Any], wish: Wish
) -> Finding:
    """KW405: the architecture is of a Keras that the reader does not understand."""
    writer = of(context.file).name
    return finding(
        405,
        "error",
        headline=entry(405).say(reader=reader.name, writer=f", which {escape(writer)} wrote" if writer else ""),
        expected=reader.name,
        found=writer,
        body=lines(found),
        notes=[
            *_alike(found, reader),
            *_code(context),
            "the weights are not affected: they load into the same model built in code",
        ],
        help=_remedies(context, reader, custom, wish),
    )


def _code(context: Context) -> list[str]:
    """That whoever loads the model runs code of the file."""
    if layers := differences.python_code(whole.parsed(context.file.config)):
        return [f"the architecture holds Python code, in {named(layers, 3)}: load_model only a file that you trust"]
    return []


def _alike(found: Sequence[Difference], reader: Reader) -> list[str]:
    """The class that may have been meant by one that no Keras knows."""
    known = classes.names(reader, "layers")
    names = [item.name for item in found if item.kind == "class" and not item.known_to][:3]
    pairs = [(name, near(name, known)) for name in names]
    return [f"{quote(name, 60)} is not known, {quote(other, 60)} is" for name, other in pairs if other]


def _cut(name: str, most: int = 32) -> str:
    """A key that a line has room for."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-most // 2 :]}"


def lines(found: Sequence[Difference]) -> list[str]:
    """What the reader does not know, a line for each class and each Keras that does."""
    grouped: dict[tuple[str, str, str], list[Difference]] = {}
    for item in found:
        key = (item.kind, item.where if item.kind in ("key", "needs") else item.name, item.known_to)
        grouped.setdefault(key, []).append(item)
    rows = []
    for (kind, name, known_to), items in grouped.items():
        known = f"known to {known_to}" if known_to else "known to no Keras 2 or 3"
        if kind == "needs":
            what = f"{escape(name, 60)}: {named([_cut(item.name) for item in items], 3)}"
            known = "not stored, and needed"
        elif kind == "key":
            what = f"{escape(name, 60)}: {named([_cut(item.name) for item in items], 3)}"
        elif kind == "name":
            names = items[0].layers
            what = f"`/` in {'the name' if len(names) == 1 else 'names'} {named(names, 2)}"
        elif kind == "module":
            what = f"{escape(name, 60)} in the module {quote(items[0].where, 80)}"
        elif kind == "policy":
            what = f"a dtype policy of class {escape(name, 60)}"
        else:
            what = f"the class {escape(name, 60)}"
        rows.append((what, known))
    return listed(columns(rows), 6)


def _remedies(context: Context, reader: Reader, custom: Mapping[str, Any], wish: Wish) -> list[str]:
    """The way that always works, and another Keras where that is foreseen to make the model."""
    remedies = [f"build the model in code, then {context.load()}"]
    written = of(context.file)
    if written.recorded and written.since is not None and written.generation == "Keras 3" and reader.is_3:
        version = ".".join(map(str, written.since[:2]))
        other, start = Reader("keras", written.since), f'upgrade: pip install "keras>={version}"'
    elif written.generation in ("tf.keras", "tf_keras", "Keras 2") and reader.is_3:
        other, start = Reader("tf_keras", NEWEST_2), "load it with Keras 2: pip install tf_keras"
    elif written.generation == "Keras 3" and not reader.is_3:
        other, start = Reader("keras", NEWEST), 'load it with Keras 3: pip install "keras>=3"'
    else:
        return remedies
    options = _options(context, other, custom, wish)
    if options is not None:
        package = "keras" if other.is_3 else "tf_keras"
        call = f", then {package}.models.load_model({literal(context.path)}{options})"
        remedies.append(start + (call if options or not other.is_3 else ""))
    return remedies


def _options(context: Context, reader: Reader, custom: Mapping[str, Any], wish: Wish) -> str | None:
    """What ``load_model`` of another Keras has to be called with besides; None when it would fail with that too."""
    has_code = bool(differences.python_code(whole.parsed(context.file.config)))
    for compiled, options in ((wish.compile, ""), (False, ", compile=False")):
        asked = Wish(compiled, wish.safe_mode and not has_code)
        foreseen = whole.forecast(context.file, reader, custom, context.path, asked)
        if foreseen.error is None:
            return options + (", safe_mode=False" if has_code else "")
    return None


def _refuses(context: Context, reader: Reader, error: RaisedError, custom: Mapping[str, Any], wish: Wish) -> Finding:
    """KW406: an error of ``load_model`` that no difference of versions explains."""
    said = _error(error.root).said
    alone = replace(wish, compile=False)
    package = "keras" if reader.is_3 else "tf_keras"
    notes = []
    helps = [f"build the model in code, then {context.load()}"]
    if "ambda" in said:
        notes.append(
            "the architecture holds Python code, which is only run when asked for; the weights are not affected"
        )
        helps.append(f"when you trust the file: {package}.models.load_model({literal(context.path)}, safe_mode=False)")
    elif wish.compile and whole.forecast(context.file, reader, custom, context.path, alone).error is None:
        notes.append("only how the model was compiled cannot be read; architecture and weights are fine")
        helps = [
            f"{package}.models.load_model({literal(context.path)}, compile=False), then compile it again",
            helps[0],
        ]
    return finding(
        406,
        "error",
        headline=f"load_model of {reader.name} would raise {error.type}" + (f": {escape(said)}" if said else ""),
        layer=error.root.operation[0] or None if error.root.operation is not None else None,
        cause=_as_layer(*error.root.operation) if error.root.operation is not None else None,
        notes=notes,
        help=helps,
    )


def _as_layer(name: str, cls: str) -> str:
    """How an operation of an ``.h5`` file comes to be called as a layer."""
    what = quote(name) if name else "it"
    return f"{what} is an operation, and an `.h5` file brings it back as the layer `{cls}`, which takes other arguments"


def _endless(context: Context, reader: Reader) -> Finding:
    """KW406: a ``load_model`` that never returns."""
    return finding(
        406,
        "error",
        headline=f"load_model of {reader.name} would never return",
        notes=[
            "the graph calls a model inside another as Keras 2 does: Keras before 3.15 looks for that call without end",
            "the weights are not affected: they load into the same model built in code",
        ],
        help=[
            f"build the model in code, then {context.load()}",
            f"load it with Keras 2: pip install tf_keras, then tf_keras.models.load_model({literal(context.path)})",
        ],
    )


def code_refused(path: str, layers: Sequence[str]) -> Finding:
    """KW406: Python code in a file that some Keras would run without being asked."""
    return finding(
        406,
        "error",
        headline=f"the architecture holds Python code, in {named(layers)}: it is not run",
        layer=layers[0] or None,
        found=list(layers),
        notes=["some releases of Keras run it, `safe_mode` or not; the weights are not affected"],
        help=[
            f"when you trust the file: kwload.load_model({literal(path)}, safe_mode=False)",
            f"build the model in code, then kwload.load_weights(model, {literal(path)})",
        ],
    )


def silent(context: Context, reader: Reader, config: Any) -> list[Finding]:
    """What ``load_model`` changes without a word: an axis that is lost, an input with one axis too many."""
    if not reader.is_3 or context.file.content != "hdf5":
        return []
    out = []
    shape = whole.first_shape(config)
    if shape is not None:
        wrong = f"({', '.join(map(str, [None, *shape[:6]]))})"
        out.append(
            finding(
                405,
                "warning",
                headline=f"{reader.name} gives the model one axis too many: its input becomes {escape(wrong)}",
                expected=shape,
                found=[None, *shape],
                cause="the file has no InputLayer, and Keras 3 takes its first layer's shape for one without batch",
                help=[f"build the model in code, then {context.load()}"],
            )
        )
    if lost := whole.lost_axes(config, reader):
        rows = [(f"`{escape(name or kind, 60)}` ({escape(kind, 40)})", _axis(axis)) for kind, name, axis in lost]
        out.append(
            finding(
                405,
                "warning",
                headline=f"{reader.name} drops the `axis` of {plural(len(lost), 'layer')} of an `.h5` file",
                layer=lost[0][1] or None,
                body=listed(columns(rows), 6),
                notes=["the outputs change, without a word"],
                help=[f"build the model in code, then {context.load()}"],
            )
        )
    return out


def _axis(axis: object) -> str:
    """An axis, or several, as text."""
    several = axis if isinstance(axis, list) else [axis]
    plain = len(several) < 9 and all(type(each) is int for each in several)
    return f"axis={axis}" if plain else "axis=…"
