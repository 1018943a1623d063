"""What a file is in itself: integrity and danger, without a model, for files that nobody vouches for.

    PATH --> files --> _core.File(audit=True): structure, ledger, chunks, checksums --> one report a file

libhdf5 is never called, and nothing of the values is kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kwload import _core
from kwload.report.build import build_report, path_report

if TYPE_CHECKING:
    from kwload.report.finding import Finding, Report

_THREADS: Final = 2
_NO_WEIGHTS: Final = frozenset(
    {"unknown", "text", "json", "html", "git-lfs-pointer", "empty", "zeros", "zip", "gzip", "npy"}
)


def scan(path: str | os.PathLike[str]) -> Report:
    """What is wrong with a weight file, or dangerous in it, whatever it would be loaded into.

    Parameters
    ----------
    path : str or os.PathLike
        A file: ``.h5``, ``.weights.h5``, ``.keras``, a shard map.

    Returns
    -------
    Report
        Findings KW1xx, KW2xx and KW6xx: damage with code and byte offset, checksums of archives, of HDF5's metadata and
        of chunks; links and storage that leave the file, names that occur twice, bytes that belong to two things or
        to none, sizes that are declared and not there, members of an archive that are not what they say; as a
        warning, Python code in a stored architecture.

    Notes
    -----
    Every structure is walked and every chunk inflated, a bounded part at a time; the size of what a file merely
    declares is never allocated. What szip, nbit and scale-offset packed is located but not unpacked: only libhdf5
    could, which is not made for files of strangers (HDF5's SECURITY.md).
    """
    try:
        file = _core.File(os.fsencode(path), audit=True)
    except _core.CoreError as error:
        return path_report(path, error)
    return _report(path, file)


def _report(path: str | os.PathLike[str], file: _core.File) -> Report:
    errors = []
    try:
        file.verify(threads=_THREADS)
    except _core.CoreError as error:
        errors.append(error)
    report = build_report(path=path, file=file, errors=errors)
    return _with_code(report, file)


def _with_code(report: Report, file: _core.File) -> Report:
    """The report, and a warning where the architecture holds Python code (KW406): only that of a strange file that
    would be run, whatever a Keras thinks of the rest of it."""
    from kwload.versions.differences import python_code
    from kwload.versions.whole import parsed

    layers = python_code(parsed(file.config)) if file.config is not None else []
    if not layers:
        return report
    errors = len(report.errors)
    findings = (*report.findings[:errors], _code(layers), *report.findings[errors:])
    return replace(
        report, findings=findings, counts={**report.counts, "warnings": report.counts.get("warnings", 0) + 1}
    )


def _code(layers: Sequence[str]) -> Finding:
    from kwload.report.context import finding, named

    return finding(
        406,
        "warning",
        headline=f"the architecture holds Python code: {named([name or 'a lambda' for name in layers])}",
        layer=layers[0],
        notes=[
            "the weights are not affected",
            "load_model runs it when told safe_mode=False, and from an .h5 file Keras before 3.11.3 runs it unasked",
        ],
        help=["build the model in code and load the weights alone, unless you trust whoever made the file"],
        related=layers[1:],
    )


def summary(reports: Sequence[tuple[int, int]]) -> str:
    """``"97 files: 94 sound, 1 with warnings, 2 with errors"``, of the numbers of errors and of warnings of each."""
    wrong = sum(errors > 0 for errors, _ in reports)
    doubtful = sum(not errors and warnings > 0 for errors, warnings in reports)
    parts = [(len(reports) - wrong - doubtful, "sound"), (doubtful, "with warnings"), (wrong, "with errors")]
    return f"{len(reports):,} files: {', '.join(f'{count:,} {what}' for count, what in parts if count)}"


def reports_of(path: str) -> Iterator[Report]:
    """The report on a file; of a folder, those on all below it that hold weights by their first bytes, in order. Links
    to folders are not followed."""
    if not os.path.isdir(path):
        yield scan(path)
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        for found in (os.path.join(folder, name) for name in sorted(names)):
            if not os.path.isfile(found):
                continue
            try:
                file = _core.File(os.fsencode(found), audit=True)
            except _core.CoreError as error:
                yield path_report(found, error)
                continue
            if file.content not in _NO_WEIGHTS:
                yield _report(found, file)
