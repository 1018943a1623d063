"""What versions mean for loading weights into a model: a backend that nothing records, and an architecture beside the
weights that this Keras cannot rebuild (KW405)."""

from __future__ import annotations

from kwload.report.context import Context, finding, is_path
from kwload.report.converted import backend_unknown
from kwload.report.escape import escape
from kwload.report.finding import Finding
from kwload.versions.reader import Reader
from kwload.versions.writer import of


def version_findings(context: Context) -> list[Finding]:
    """What versions mean for loading weights into a model: a backend that nothing records, and a note when the
    architecture beside the weights is one that this Keras cannot rebuild."""
    if context.model is None or context.failed:
        return []
    return [made for made in (backend_unknown(context), _config_note(context)) if made is not None]


def _config_note(context: Context) -> Finding | None:
    """A note that ``load_model`` of this file would fail, although its weights load."""
    model, file = context.model, context.file
    if model is None or file.config is None or file.faults or not is_path(context.path):
        return None
    reader = Reader(model.keras.flavour, model.keras.version)
    writer = of(file)
    if writer.recorded and writer.since == reader.version and (writer.generation == "Keras 3") == reader.is_3:
        return None
    from kwload.report import versions
    from kwload.spec import registry
    from kwload.versions import differences, whole

    foreseen = whole.forecast(file, reader, registry.known(reader.flavour), context.path)
    error = foreseen.error
    if error is None or error.type == "OSError" or error.prefix.startswith(versions.BY_NAME):
        return None
    found = differences.find(whole.parsed(file.config), reader, {}, is_hdf5=file.content == "hdf5")
    other = [item for item in found if item.kind != "lambda"]
    if not other:
        return None
    return finding(
        405,
        "note",
        headline=f"the weights can be loaded; the architecture beside them cannot be rebuilt by {reader.name}",
        expected=reader.name,
        found=writer.name,
        body=versions.lines(other),
        notes=[f"{escape(writer.name)} wrote it"] if writer.name else [],
        keras=f"{context.keras_short} {versions.raises(error)} on load_model",
    )
