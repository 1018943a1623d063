"""``kwload manifest``, ``kwload stamp`` and ``kwload verify``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import rich_click as click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kwload.report.finding import Report

_FILE: Final = click.Path(exists=False, path_type=str)
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
def stamp_command(files: tuple[str, ...], reference: str | None, input_shape: tuple[str, ...], source: bool) -> None:
    """Write down what weight files are now: checksums of each tensor, in FILE.kwload.json.

    With --model also what the model was, and fingerprints of the code of your own layers.
    """
    import kwload
    from kwload import cli
    from kwload.report.codes import exit_code
    from kwload.report.escape import escape

    if reference is None and (input_shape or source):
        raise click.UsageError("these options are about a model: give one with --model")
    model = None if reference is None else cli._model(reference, input_shape)
    worst = 0
    for path in files:
        try:
            made = kwload.stamp(model, path, source=source)
        except kwload.WeightsError as error:
            cli._echo(cli._coloured(error.report.render()))
            worst = max(worst, exit_code(error.report))
        except OSError as error:
            _unwritten(f"{path}.kwload.json", error)
        else:
            cli._echo(f"{escape(made.path)}: {len(made.tensors):,} tensors")
    sys.exit(worst)


@click.command("verify")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@click.option("--stamp", "stamp", type=_FILE, help="The stamp, when it is not FILE.kwload.json.")
@click.option("--all", "everything", is_flag=True, help="The whole report, however long.")
@click.option("--concise", is_flag=True, help="Verdict and headlines only.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one object a file and line.")
def verify_command(files: tuple[str, ...], stamp: str | None, everything: bool, concise: bool, as_json: bool) -> None:
    """Whether weight files are, byte by byte, what they were when they were stamped; names the tensors that are not.

    Exit codes: 0 unchanged, 1 changed, 3 the file or its stamp is absent or cannot be used.
    """
    import kwload
    from kwload import cli

    if stamp is not None and len(files) > 1:
        raise click.UsageError("--stamp is the stamp of one file: name one")

    def reports() -> Iterator[Report]:
        for path in files:
            yield kwload.verify(path, stamp=stamp)

    sys.exit(cli._print_reports(reports(), strict=False, everything=everything, concise=concise, as_json=as_json))


def _unwritten(path: str, error: OSError) -> None:
    """Ends with 3: the disk is full, the folder may not be written."""
    from kwload.report.escape import escape

    click.echo(f"kwload: {escape(path)} cannot be written: {error.strerror}", err=True)
    sys.exit(3)
