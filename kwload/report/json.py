"""A report as JSON. The shape is ``"schema": 1``: keys are added to it, never changed or taken away."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from kwload.report.context import Open
from kwload.report.escape import json_text
from kwload.report.finding import Report, Values

SCHEMA = 1


def to_dict(report: Report) -> dict[str, Any]:
    """The report as dicts, lists, text and numbers. Names are as they are in the file: JSON escapes them."""
    return {
        "schema": SCHEMA,
        "path": report.path,
        "ok": report.ok,
        "format": report.format,
        "loaded": report.loaded,
        "counts": dict(report.counts),
        "contents": asdict(report.contents) if report.contents is not None else None,
        "prediction": asdict(report.prediction) if report.prediction is not None else None,
        "findings": [_plain(asdict(finding)) for finding in report.findings],
        "pairs": [{"tensor": tensor, "variable": variable} for tensor, variable in report.pairs],
        "undecidable": [list(group) for group in report.undecidable],
        "architecture": report.architecture,
        "values": {path: _values(seen) for path, seen in report.values.items()},
        "times": dict(report.times),
    }


def to_json(report: Report, indent: int | None = None) -> str:
    """One object, in ASCII, so that nothing from a file reaches a terminal or a log unescaped."""
    return json_text(to_dict(report), indent)


def _values(seen: Values) -> dict[str, Any]:
    """The range of the finite values, and what is odd."""
    return {"min": seen.low, "max": seen.high, "nan": seen.nan, "inf": seen.inf, "zeros": seen.zeros}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Open):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
