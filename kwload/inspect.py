"""What is in a weight file, as a table, a tree, or JSON, without Keras."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from kwload.report.container import contents
from kwload.report.context import Context, columns, shape_text
from kwload.report.escape import escape
from kwload.report.facts import ErrorFacts, FileFacts, Options, TensorFacts
from kwload.report.finding import Contents
from kwload.report.text import megabytes, plural

SCHEMA = 1


def summary(path: str, file: FileFacts) -> list[str]:
    """The head of both views: what the file is, who wrote it, how much is in it."""
    held = contents(Context(path, file, None, None, Options()))
    state = len(file.tensors) - held.tensors
    rows = [
        ("file", f"{escape(path)} ({megabytes(file.size)})"),
        ("content", held.phrase),
        ("written by", escape(held.written_by) if held.written_by else "not recorded"),
        *[("" if number else "evidence", line) for number, line in enumerate(held.evidence)],
        ("architecture", "stored in the file" if file.config is not None else "not in the file"),
        ("weights", _amount(held)),
    ]
    if state > 0:
        rows.append(("other", f"{plural(state, 'tensor')} of optimizer or metric state"))
    return columns(rows)


def _amount(held: Contents) -> str:
    return f"{plural(held.tensors, 'tensor')}, {plural(held.parameters, 'parameter')}, {megabytes(held.nbytes)}"


def table(path: str, file: FileFacts) -> str:
    """One line a tensor, in the order of the layers: layer, variable, shape, dtype, size, path; with shards, which."""
    tensors = _in_order(file)
    sharded = len({tensor.file for tensor in tensors}) > 1
    head = ("layer", "variable", "shape", "dtype", "size", "path in the file", *(["shard"] if sharded else []))
    lines = columns([head, *(_cells(tensor, sharded) for tensor in tensors)])
    return "\n".join([*summary(path, file), *(["", *lines] if tensors else [])])


def _in_order(file: FileFacts) -> list[TensorFacts]:
    """The tensors as the layout orders them ("10" after "9", layers as the model had them), then those of no layer."""
    tensors = file.tensors
    rows = dict.fromkeys(row for group in file.groups for _, row in group[3] if row >= 0)
    rows |= dict.fromkeys(range(len(tensors)))
    return [tensors[row] for row in rows]


def _cells(tensor: TensorFacts, sharded: bool) -> tuple[str, ...]:
    size = megabytes(tensor.nbytes) if tensor.fault is None else f"unreadable: {escape(tensor.fault[2])}"
    shard = [escape(os.path.basename(tensor.file))] if sharded else []
    names = escape(tensor.layer), escape(tensor.variable)
    return *names, shape_text(tensor.shape), escape(tensor.dtype), size, escape(tensor.path), *shard


def tree(path: str, file: FileFacts) -> str:
    """The groups of the file as an indented tree; each level of a path is printed once."""
    names = {group[0]: group[1] for group in file.groups if group[1]}
    lines: list[str] = []
    above: Sequence[str] = ()
    for tensor in file.tensors:
        parts = tensor.path.split("/")
        same = 0
        while same < min(len(above), len(parts) - 1) and above[same] == parts[same]:
            same += 1
        for depth in range(same, len(parts) - 1):
            name = names.get("/".join(parts[: depth + 1]))
            lines.append(f"{'  ' * depth}{escape(parts[depth])}/{f'  ({escape(name)})' if name else ''}")
        lines.append(f"{'  ' * (len(parts) - 1)}{escape(parts[-1])}  {_leaf(tensor)}")
        above = parts[:-1]
    return "\n".join([*summary(path, file), *(["", *lines] if lines else [])])


def _leaf(tensor: TensorFacts) -> str:
    size = megabytes(tensor.nbytes) if tensor.fault is None else f"unreadable: {escape(tensor.fault[2])}"
    return f"{shape_text(tensor.shape)} {escape(tensor.dtype)}, {size}"


def to_dict(path: str, file: FileFacts) -> dict[str, Any]:
    """The same facts as plain data, with ``"schema": 1``; the keys are those of :func:`unopened` too.

    ``path``, ``content`` (what the container is), ``format`` (the layout), ``size`` (bytes), ``metadata``, ``writer``
    (``name``, ``generation`` and the ``evidence`` where it is not recorded),
    ``architecture`` (whether one is stored), ``weights`` (``tensors``, ``parameters``, ``nbytes`` without the state of
    optimizers and metrics), ``tensors`` (a list, see ``_core.Tensor``), and ``faults``: a list of ``code``, ``at``
    (byte or null), ``detail`` and ``path`` (in the file), empty for a sound file.
    """
    held = contents(Context(path, file, None, None, Options()))
    return {
        **_head(path),
        "content": file.content,
        "format": file.layout,
        "size": file.size,
        "metadata": dict(file.metadata),
        "writer": {"name": held.written_by, "generation": held.generation, "evidence": list(held.evidence)},
        "architecture": file.config is not None,
        "weights": {"tensors": held.tensors, "parameters": held.parameters, "nbytes": held.nbytes},
        "tensors": [_tensor(tensor) for tensor in file.tensors],
        "faults": [_fault(code, at, detail, where) for code, at, detail, where, _, _ in file.faults],
    }


def unopened(path: str, error: ErrorFacts) -> dict[str, Any]:
    """:func:`to_dict` for what could not be opened: the same keys, null where nothing is known, and the reason as the
    one entry of ``faults``."""
    detail = error.detail or (os.strerror(error.errno) if error.errno else "")
    return {**_head(path), "faults": [_fault(error.code, error.at, detail, "")]}


def _head(path: str) -> dict[str, Any]:
    """All keys, and what is known before a file is opened."""
    return {
        "schema": SCHEMA,
        "path": path,
        "content": None,
        "format": None,
        "size": None,
        "metadata": {},
        "writer": {"name": None, "generation": None, "evidence": []},
        "architecture": False,
        "weights": {"tensors": 0, "parameters": 0, "nbytes": 0},
        "tensors": [],
        "faults": [],
    }


def _fault(code: int, at: int | None, detail: str, path: str) -> dict[str, Any]:
    return {"code": f"KW{code}", "at": at, "detail": detail, "path": path}


def _tensor(tensor: TensorFacts) -> dict[str, Any]:
    fault = tensor.fault
    return {
        "path": tensor.path,
        "layer": tensor.layer,
        "variable": tensor.variable,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "file": tensor.file,
        "offset": tensor.offset,
        "nbytes": tensor.nbytes,
        "parameters": math.prod(tensor.shape),
        "storage": tensor.storage,
        "fault": None if fault is None else {"code": f"KW{fault[0]}", "at": fault[1], "detail": fault[2]},
    }
