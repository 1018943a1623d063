"""The command: ``kwload inspect FILE`` and ``kwload check FILE --model package.module:factory``.

Exit codes: 0 fine, 1 errors (or warnings under ``--strict``), 2 usage, 3 a file is damaged or unreadable; of several
files the worst.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, Literal, NoReturn

import rich_click as click

from kwload.commands import stamps

if TYPE_CHECKING:
    from kwload.report.finding import Report

_COLOURS: Final = {"error": "red", "warning": "yellow", "note": "blue"}
_SEVERITY: Final = re.compile(r"^( *)(error|warning|note)(\[KW\d+\])")

_MOST_PIPED: Final = 1 << 23
"""Bytes that are read from a pipe: far more than any traceback."""

_FILE: Final = click.Path(exists=False, path_type=str)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(package_name="kwload")
def main() -> None:
    """Checks Keras weight files before they are loaded."""


@main.command("inspect")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@click.option("--tree", "as_tree", is_flag=True, help="The groups of the file as a tree instead of a table.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one object a file and line; `faults` says what is wrong.")
def inspect_command(files: tuple[str, ...], as_tree: bool, as_json: bool) -> None:
    """What is in a weight file: layers, variables, shapes, dtypes, sizes, and who wrote it."""
    worst = 0
    for number, path in enumerate(files):
        if number and not as_json:
            _echo()
        worst = max(worst, _inspect(path, as_tree=as_tree, as_json=as_json))
    sys.exit(worst)


def _inspect(path: str, *, as_tree: bool, as_json: bool) -> int:
    from kwload import _core, inspect
    from kwload.report.build import build_report, path_report
    from kwload.report.codes import exit_code
    from kwload.report.escape import json_text

    try:
        file = _core.File(os.fsencode(path))
    except _core.CoreError as error:
        report = path_report(path, error)
        _echo(json_text(inspect.unopened(path, error)) if as_json else _coloured(report.render()))
        return exit_code(report)
    report = build_report(path=path, file=file)
    if as_json:
        _echo(json_text(inspect.to_dict(path, file)))
        return exit_code(report)
    if file.tensors:
        _echo(inspect.tree(path, file) if as_tree else inspect.table(path, file))
    if report.errors:
        _echo(("\n" if file.tensors else "") + _coloured(report.render()))
    return exit_code(report)


@main.command("scan")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=_FILE)
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option("--all", "everything", is_flag=True, help="The whole report, however long.")
@click.option("--concise", is_flag=True, help="Verdict and headlines only.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one object a file and line.")
def scan_command(paths: tuple[str, ...], strict: bool, everything: bool, concise: bool, as_json: bool) -> None:
    """Whether weight files are whole and safe to open, whatever they would be loaded into.

    Of a folder all weight files below it. libhdf5 is never called.
    """
    from kwload import scanning

    seen = []

    def counted() -> Iterator[Report]:
        for report in (report for path in paths for report in scanning.reports_of(path)):
            seen.append((len(report.errors), len(report.warnings)))
            yield report

    worst = _print_reports(counted(), strict=strict, everything=everything, concise=concise, as_json=as_json)
    if len(seen) > 1 and not as_json:
        _echo(("" if concise else "\n") + scanning.summary(seen))
    sys.exit(worst)


@main.command("diff")
@click.argument("a", type=_FILE)
@click.argument("b", type=_FILE)
@click.option("--rtol", type=click.FloatRange(0), default=0.0, help="Relative tolerance, as numpy.allclose has it.")
@click.option("--atol", type=click.FloatRange(0), default=0.0, help="Absolute tolerance, as numpy.allclose has it.")
@click.option("--all", "everything", is_flag=True, help="The whole comparison, however long.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one object on one line.")
def diff_command(a: str, b: str, rtol: float, atol: float, everything: bool, as_json: bool) -> None:
    """Whether two weight files hold the same values, whatever their layouts. Exit code 1 when they do not."""
    import kwload
    from kwload.report.codes import exit_code

    try:
        found = kwload.diff(a, b, rtol=rtol, atol=atol)
    except kwload.WeightsError as error:
        _echo(error.report.to_json() if as_json else _coloured(error.report.render()))
        sys.exit(exit_code(error.report))
    except ValueError as error:
        _usage(str(error), "'--rtol' / '--atol'")
    _echo(found.to_json() if as_json else found.render(all=everything))
    if any(pair.difference == "unreadable" for pair in found.pairs):
        sys.exit(3)
    sys.exit(0 if found.same else 1)


@main.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@click.option(
    "--model",
    "reference",
    metavar="MODULE:FACTORY",
    help="The model: package.module:factory, with arguments m:build(10), or an instance. The current directory is on "
    "the import path. Without it: what load_model would make of the files.",
)
@click.option(
    "--config",
    "config",
    metavar="PATH",
    type=_FILE,
    help="The model by its architecture alone, without Keras: config.json, the text of model.to_json(), a .keras or "
    "whole-model .h5 file.",
)
@click.option(
    "--manifest",
    "manifest",
    metavar="PATH",
    type=_FILE,
    help="The model by what `kwload manifest` wrote, without Keras.",
)
@click.option(
    "--input-shape",
    "input_shape",
    multiple=True,
    metavar="SHAPE",
    help="Builds an unbuilt model: the shape of one input as keras.Input takes it, 28,28,1. Once for each input.",
)
@click.option(
    "--custom-objects",
    "custom",
    multiple=True,
    metavar="MODULE:NAME",
    help="Your own classes, as custom_objects: a dict by name, or one class or function. May be given several times. "
    "Signatures that [tool.kwload] of pyproject.toml declares are known anyway.",
)
@click.option(
    "--no-signatures", is_flag=True, help="Do not import the modules of signatures that pyproject.toml declares."
)
@click.option(
    "--build",
    is_flag=True,
    help="With --config: build your own classes to find their variables, or to confirm their signatures. This runs "
    "their code with the file's configuration. They must be imported: by --custom-objects, or by a module that "
    "[tool.kwload] signatures names.",
)
@click.option("--by-name", is_flag=True, help="Match layers by name, as load_weights(by_name=True).")
@click.option("--skip-mismatch", is_flag=True, help="Leave out layers that do not fit, as Keras's option.")
@click.option(
    "--keras",
    "keras",
    metavar="VERSION",
    callback=lambda _context, _option, text: _version(text),
    help="Predict for this Keras, installed or not, instead of the model's own: 3.8, 2.15, 2.3.1, tf_keras 2.16.",
)
@click.option(
    "--values",
    type=click.Choice(["on", "off", "error"]),
    default="on",
    show_default=True,
    help="Look at the values: NaN, Inf, lost blocks, lossy casts; error: NaN and Inf fail; off: do not look.",
)
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option("--all", "everything", is_flag=True, help="The whole report, however long.")
@click.option("--concise", is_flag=True, help="Verdict and headlines only.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one object a file and line.")
def check_command(
    files: tuple[str, ...],
    reference: str | None,
    config: str | None,
    manifest: str | None,
    input_shape: tuple[str, ...],
    custom: tuple[str, ...],
    no_signatures: bool,
    build: bool,
    by_name: bool,
    skip_mismatch: bool,
    keras: str | None,
    values: Literal["on", "off", "error"],
    strict: bool,
    everything: bool,
    concise: bool,
    as_json: bool,
) -> None:
    """Whether weight files fit a model, and what Keras would do with them. The model is never touched.

    Without --model, --config or --manifest: whether load_model makes a model of them.
    """
    import kwload

    if sum(given is not None for given in (reference, config, manifest)) > 1:
        raise click.UsageError("--model, --config and --manifest each say which model: give one of them")
    given = reference or config or manifest
    if given is None and (input_shape or by_name or skip_mismatch or values != "on"):
        raise click.UsageError("these options are about a model: give one with --model, --config or --manifest")
    if reference is None and given is not None and input_shape:
        raise click.UsageError("--input-shape builds the model of --model; an architecture says its own")
    if manifest is not None and keras is not None:
        raise click.UsageError("a manifest says what its own Keras wants: --keras goes with --model or --config")
    if build and config is None:
        raise click.UsageError("--build is about an architecture: give one with --config")
    if not no_signatures:
        _declared()
    own = _custom_objects(custom)
    if build:
        _buildable(own)
    model = _model(reference, input_shape) if reference is not None else None
    if config is not None:
        model = _architecture(config)
    if manifest is not None:
        model = _manifest(manifest)
    reports = (
        kwload.check_model(path, keras=keras, custom_objects=own)
        if model is None
        else kwload.check(
            model,
            path,
            by_name=True if by_name else None,
            skip_mismatch=skip_mismatch,
            values="error" if values == "error" else values == "on",
            keras=keras,
            custom_objects=own,
            build=build,
        )
        for path in files
    )
    sys.exit(_print_reports(reports, strict=strict, everything=everything, concise=concise, as_json=as_json))


def _print_reports(reports: Iterable[Report], *, strict: bool, everything: bool, concise: bool, as_json: bool) -> int:
    """Prints each report when it is made; the worst of their exit codes."""
    from kwload.report.codes import exit_code

    worst = 0
    for number, report in enumerate(reports):
        if as_json:
            _echo(report.to_json())
        else:
            if number and not concise:
                _echo()
            _echo(_coloured(report.render(all=everything, concise=concise, strict=strict)))
        worst = max(worst, exit_code(report, strict))
    return worst


@main.command("explain")
@click.argument("topics", metavar="[CODE|TEXT|-]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="JSON, one object.")
def explain_command(topics: tuple[str, ...], as_json: bool) -> None:
    """What a code means (KW307, 307, shape-mismatch), or what led to an error text.

    The text is pasted in quotes, or piped: `python train.py 2>&1 | kwload explain -`. Without anything: all codes.
    Ends with 1 when the text is not recognised.
    """
    from kwload.explaining import explain
    from kwload.report.escape import escape, json_text

    if topics == ("-",):
        text = sys.stdin.buffer.read(_MOST_PIPED).decode("utf-8", "replace")
        if not text.strip():
            raise click.UsageError("nothing was piped in")
        made: explain.Explanation = explain.explain(text)
    else:
        try:
            made = explain.explain_all(topics)
        except LookupError as error:
            raise click.UsageError(escape(str(error.args[0]), 600)) from None
    _echo(json_text(made.to_dict()) if as_json else str(made))
    sys.exit(0 if made.known else 1)


def _version(text: str | None) -> str | None:
    """What ``--keras`` says; a usage error when it is no version."""
    if text is None:
        return None
    from kwload.spec import asked

    try:
        asked.parse(text)
    except ValueError as error:
        _usage(str(error), "'--keras'")
    return text


def _model(reference: str, input_shape: tuple[str, ...]) -> object:
    """The model behind ``--model``; a usage error when there is none."""
    from kwload import modelref

    try:
        return modelref.resolve(reference, input_shape=input_shape or None)
    except modelref.InputShapeError as error:
        _usage(str(error), "'--input-shape'")
    except modelref.ModelRefError as error:
        _usage(str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001  (the user's own code: anything can come out of it)
        _raised(reference, error, "'--model'")


def _architecture(path: str) -> object:
    """The architecture behind ``--config``, read once; a usage error when there is none."""
    from kwload.spec.architecture import target

    try:
        return target.read(path)
    except ValueError as error:
        _usage(str(error), "'--config'")


def _manifest(path: str) -> object:
    """The manifest at a path; a usage error when there is none."""
    from kwload.stamps.manifest import Manifest

    try:
        return Manifest.load(path)
    except OSError as error:
        _usage(f"{path}: {error.strerror}", "'--manifest'")
    except ValueError as error:
        _usage(str(error), "'--manifest'")


def _declared() -> None:
    """Imports the signatures of the user's project; a usage error when that fails."""
    from kwload import declared

    path = declared.nearest()
    try:
        if path is not None:
            declared.load(path)
    except declared.DeclarationError as error:
        from kwload.report.escape import escape

        raise click.UsageError(escape(str(error), 600)) from None


def _custom_objects(references: tuple[str, ...]) -> dict[str, object] | None:
    """The objects behind ``--custom-objects``; a usage error when there are none."""
    from kwload import modelref

    found: dict[str, object] = {}
    for reference in references:
        try:
            found |= modelref.objects(reference)
        except modelref.ModelRefError as error:
            _usage(str(error), "'--custom-objects'")
        except (Exception, SystemExit) as error:  # noqa: BLE001  (the user's own code: anything can come out of it)
            _raised(reference, error, "'--custom-objects'")
    return found or None


def _buildable(own: dict[str, object] | None) -> None:
    """A usage error where no class is known that could be built."""
    import kwload
    from kwload.spec.registry import objects_of

    known = [*objects_of(own).values(), *(entry.cls for entry in kwload.registered().values())]
    if not any(isinstance(made, type) for made in known):
        raise click.UsageError(
            "--build builds classes of your own, and none is imported: name them with --custom-objects "
            "package.module:Class, or name the module that registers them in pyproject.toml, [tool.kwload] signatures"
        )


def _raised(reference: str, error: BaseException, option: str) -> NoReturn:
    """A usage error with what the user's own code raised, and where."""
    import traceback

    last = traceback.extract_tb(error.__traceback__)[-1]
    _usage(f"{reference} raised {type(error).__name__}: {error} ({last.filename}, line {last.lineno})", option)


def _usage(message: str, option: str = "'--model'") -> NoReturn:
    from kwload.report.escape import escape

    raise click.BadParameter(escape(message, 600), param_hint=option)


def _echo(text: str = "") -> None:
    """Prints; a reader that went away is no failure (exit code 0), a full disk is one (3)."""
    try:
        click.echo(text, color=_colour())
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):  # what is still in the buffer cannot be written at exit either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            sys.exit(0)
        click.echo(f"kwload: the output cannot be written: {error.strerror}", err=True)
        sys.exit(3)


def _colour() -> bool | None:
    """Whether the environment wants colour (no-color.org, force-color.org); None leaves it to the terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return False if os.environ.get("TERM") == "dumb" else None


def _coloured(text: str) -> str:
    """The severities in colour; click takes it away again where there is to be none."""
    return "\n".join(_SEVERITY.sub(_mark, line) for line in text.split("\n"))


def _mark(match: re.Match[str]) -> str:
    return match[1] + click.style(match[2] + match[3], fg=_COLOURS[match[2]], bold=True)


for _command in (stamps.manifest_command, stamps.stamp_command, stamps.verify_command):
    main.add_command(_command)
