"""``kwload manifest``, ``kwload stamp`` and ``kwload verify``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import rich_click as click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kwload.report.finding import Report

_FILE: Final = click.Path(exists=False, path_type=str)
_PROBED: Final = (
    "a probe runs the model: name what builds it with --model package.module:factory, in a module that imports the "
    "classes of your own layers and their Keras"
)
_SHAPES: Final = "Builds an unbuilt model: the shape of one input as keras.Input takes it. Once for each input."


@click.command("manifest")
@click.argument("reference", metavar="MODULE:FACTORY")
@click.option("-o", "--output", type=_FILE, help="Where it is written; without it, to the terminal.")
@click.option("--input-shape", "input_shape", multiple=True, metavar="SHAPE", help=_SHAPES)
@click.option("--source", is_flag=True, help="Keep the code of your own layers, so that a change can be shown.")
def manifest_command(reference: str, output: str | None, input_shape: tuple[str, ...], source: bool) -> None:
    """Describe a model as JSON, to be kept beside its code: variables, configuration, versions, fingerprints of code.

    `kwload check FILE --manifest model.kwload.json` needs neither the code nor Keras.
    """
    import kwload
    from kwload import cli

    made = kwload.manifest(cli._model(reference, input_shape), source=source)
    if output is None:
        cli._echo(made.to_json().rstrip("\n"))
        return
    try:
        made.save(output)
    except OSError as error:
        _unwritten(output, error)
    cli._echo(f"{output}: {len(made.variables):,} variables, {made.written_by}")


@click.command("stamp")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@click.option("--model", "reference", metavar="MODULE:FACTORY", help="Its model: fingerprints of own layers are kept.")
@click.option("--input-shape", "input_shape", multiple=True, metavar="SHAPE", help=_SHAPES)
@click.option("--source", is_flag=True, help="Keep the code of your own layers, so that a change can be shown.")
@click.option(
    "--probe",
    is_flag=True,
    help="With --model: load the file into it, run it on inputs made by a rule, and keep a sample of what comes out.",
)
def stamp_command(
    files: tuple[str, ...], reference: str | None, input_shape: tuple[str, ...], source: bool, probe: bool
) -> None:
    """Write down what weight files are now: checksums of each tensor, in FILE.kwload.json.

    With --model also what the model was, and fingerprints of the code of your own layers.
    """
    import kwload
    from kwload import cli
    from kwload.report.codes import exit_code
    from kwload.report.escape import escape

    if reference is None and probe:
        raise click.UsageError(_PROBED)
    if reference is None and (input_shape or source):
        raise click.UsageError("these options are about a model: give one with --model")
    model = None if reference is None else cli._model(reference, input_shape)
    worst = 0
    for path in files:
        try:
            if probe:
                kwload.load_weights(model, path)
            made = kwload.stamp(model, path, source=source, probe=probe)
        except kwload.WeightsError as error:
            cli._echo(cli._coloured(error.report.render()))
            worst = max(worst, exit_code(error.report))
        except OSError as error:
            _unwritten(f"{path}.kwload.json", error)
        except ValueError as error:  # nothing says what the model takes, or it is random
            cli._usage(str(error), "'--probe'")
        else:
            cli._echo(f"{escape(made.path)}: {len(made.tensors):,} tensors{', and a probe' if probe else ''}")
    sys.exit(worst)


@click.command("verify")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@click.option("--stamp", "stamp", type=_FILE, help="The stamp, when it is not FILE.kwload.json.")
@click.option(
    "--probe",
    is_flag=True,
    help="Also load the file into the model and run it as it was run for the probe in the stamp. Needs --model.",
)
@click.option("--model", "reference", metavar="MODULE:FACTORY", help="The model that --probe runs.")
@click.option("--input-shape", "input_shape", multiple=True, metavar="SHAPE", help=_SHAPES)
@click.option("--all", "everything", is_flag=True, help="The whole report, however long.")
@click.option("--concise", is_flag=True, help="Verdict and headlines only.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one object a file and line.")
def verify_command(
    files: tuple[str, ...],
    stamp: str | None,
    probe: bool,
    reference: str | None,
    input_shape: tuple[str, ...],
    everything: bool,
    concise: bool,
    as_json: bool,
) -> None:
    """Whether weight files are, byte by byte, what they were when they were stamped; names the tensors that are not.

    With --probe also whether a model computes from them what it computed then. Nothing is run without it.

    Exit codes: 0 unchanged, 1 changed, 3 the file or its stamp is absent or cannot be used.
    """
    import kwload
    from kwload import cli

    if stamp is not None and len(files) > 1:
        raise click.UsageError("--stamp is the stamp of one file: name one")
    if probe and reference is None:
        raise click.UsageError(_PROBED)
    if not probe and (reference is not None or input_shape):
        raise click.UsageError("a model is run with --probe only: give that too")
    model = None if reference is None else cli._model(reference, input_shape)

    def reports() -> Iterator[Report]:
        for path in files:
            report = kwload.verify(path, stamp=stamp)
            yield report if model is None or not report.ok else _probed(model, path, stamp)

    sys.exit(cli._print_reports(reports(), strict=False, everything=everything, concise=concise, as_json=as_json))


def _probed(model: object, path: str, stamp: str | None) -> Report:
    """The report on an unchanged file and a model that got its weights and was run; or on why they do not fit."""
    import kwload

    try:
        kwload.load_weights(model, path)
    except kwload.WeightsError as error:
        return error.report
    return kwload.verify(path, stamp=stamp, model=model)


def _unwritten(path: str, error: OSError) -> None:
    """Ends with 3: the disk is full, the folder may not be written."""
    from kwload.report.escape import escape

    click.echo(f"kwload: {escape(path)} cannot be written: {error.strerror}", err=True)
    sys.exit(3)
