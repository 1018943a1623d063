"""Findings about the file itself (KW2xx, KW6xx): what it is instead, how it is damaged, what survives."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from kwload import _core
from kwload.report import shards
from kwload.report.context import LEGACY, V3, Context, count_of, entry, finding, listed, named
from kwload.report.escape import escape, literal, quote
from kwload.report.facts import ErrorFacts, Fault
from kwload.report.finding import Contents, Finding
from kwload.report.text import megabytes, plural
from kwload.versions.writer import of

ContainerFault = tuple[int, int | None, str, str, int, int]
"""``(code, at, detail, path, a, b)``."""

_NOT_FOUND, _NOT_WEIGHTS, _TRUNCATED, _INTERRUPTED, _CORRUPT, _CHECKSUM = 105, 201, 202, 203, 204, 205
_UNSUPPORTED, _CHANGED, _NO_WEIGHTS, _MEMORY, _SHARD = 208, 211, 212, 213, 214
_MISSING_SHARD: Final = 207
_LINK, _MEMBER, _UNCLAIMED = 601, 607, 608

LAYOUTS: Final = {
    "legacy": "legacy .h5 weights",
    "legacy-model": "a whole model in legacy .h5",
    "keras-0": "weights of Keras 0.x",
    "hf-shard": "a Hugging Face shard of legacy .h5 weights",
    "keras-3": "Keras 3 weights",
    "tf-2.12": "Keras 3 weights as TensorFlow 2.12 to 2.14 write them",
    "optimizer-only": "the state of an optimizer",
    "hdf5": "an HDF5 file that Keras did not write",
}
"""Layout -> what to call a file of it."""

_ANY_FILE: Final = 1 << 50
"""Bytes that no weight file has: a header that declares more is itself damaged."""

_INSTEAD: Final = {
    "git-lfs-pointer": (
        "fetch the file itself: `git lfs pull` in the repository (if that changes nothing, its LFS quota is used up)",
    ),
    "html": ("delete it and download again from the direct link: the server answered with a page",),
    "gzip": ("unpack it first: `gunzip`, or `tar xzf` for a .tar.gz",),
    "zip": ("look inside with `unzip -l`: the weight file may be a member",),
    "tf-checkpoint": ("load it with TensorFlow, `tf.train.Checkpoint`, and save it again with `model.save_weights`",),
    "saved-model": ("load it with `keras.layers.TFSMLayer`, or with TensorFlow, and save it again",),
    "pytorch": ("convert it: Keras and PyTorch order the axes of kernels differently",),
    "empty": ("delete it and download or save it again",),
    "zeros": ("delete it and download or copy it again: its bytes were never written",),
}


def contents(context: Context) -> Contents:
    """What the file holds, for the text of a good report."""
    file = context.file
    kept = _weight_rows(context)
    tensors = [context.tensors[row] for row in kept]
    writer = of(file)
    return Contents(
        phrase=_phrase(context),
        written_by=written_by(context),
        tensors=len(tensors),
        parameters=sum(_elements(tensor.shape) for tensor in tensors),
        nbytes=sum(tensor.nbytes for tensor in tensors),
        size=file.size,
        generation=writer.generation,
        evidence=writer.evidence,
    )


def _elements(shape: Iterable[int]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total


def _weight_rows(context: Context) -> list[int]:
    """Rows of the tensors that are weights: those of groups that are not optimizer or metric state."""
    state = _core.GROUP_FLAGS["optimizer"] | _core.GROUP_FLAGS["metric"]
    rows = {row for group in context.groups if not group[2] & state for _, row in group[3] if row >= 0}
    return sorted(rows) if rows or context.groups else list(range(len(context.tensors)))


def _phrase(context: Context) -> str:
    known = LAYOUTS.get(context.file.layout, "")
    if context.file.content == "hdf5":
        return known or "an HDF5 file"
    phrase = _core.CONTENTS.get(context.file.content, context.file.content)
    return f"{known}, in {phrase}" if known and context.file.layout in (*V3, *LEGACY) else phrase


_SHARD_NAME: Final = re.compile(r"_\d{5}\.weights\.h5$")
"""How Keras calls the parts of a save (keras.src.saving.saving_lib.ShardedH5IOStore, 3.10)."""


def written_by(context: Context) -> str | None:
    """``"Keras 2.12.0, tensorflow"`` as far as the file records it, else what its structure tells."""
    metadata = context.file.metadata
    version, backend, guess = (metadata.get(key) for key in ("keras_version", "backend", "written_by"))
    if guess is not None:
        guess = of(context.file).name or guess
    if _SHARD_NAME.search(context.path) and version is None:
        guess = None  # what tells versions apart may lie in another shard of the same save
    writer = f"{_package(version)} {version}" if version else f"{guess}, to judge by its structure" if guess else None
    return ", ".join(part for part in (writer, backend, metadata.get("date_saved")) if part) or None


def _package(version: str) -> str:
    """Who counts so: Keras 2 ended at 2.15, and tf_keras went on from there."""
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    return "tf_keras" if major == "2" and minor.isdecimal() and int(minor[:4]) >= 16 else "Keras"


def container_findings(context: Context) -> list[Finding]:
    """One finding for each thing that is wrong with the file, and for each kind of fault of its tensors."""
    faults: dict[int, list[ContainerFault]] = defaultdict(list)
    for fault in context.file.faults:
        faults[fault[0]].append(fault)
    lost = _lost(context)
    found: list[Finding] = []
    for whole in (_TRUNCATED, _INTERRUPTED):
        if whole in faults:
            # What cannot be found behind the cut is the same cause, not another one.
            also = [row for code in (_TRUNCATED, _INTERRUPTED, _CORRUPT) for row in lost.pop(code, [])]
            first = faults[whole][0]
            found.append(_truncated(context, first, also) if whole == _TRUNCATED else _interrupted(context, first))
            for code in (_TRUNCATED, _INTERRUPTED, _CORRUPT, _NOT_WEIGHTS, _NO_WEIGHTS):
                faults.pop(code, None)
            break
    if _SHARD in faults:
        found += shards.mismatches(context, faults.pop(_SHARD))
    for code, several in faults.items():
        found.append(_container(context, several, lost.pop(code, [])))
    found += [_tensors(context, code, rows) for code, rows in lost.items()]
    return found


def has_links(context: Context) -> bool:
    """Whether a link stands where a group or a tensor of the layout should: what is behind it is not read."""
    link = _core.GROUP_FLAGS["link"]
    return any(group[2] & link or (group[4] is not None and group[4][0] == _LINK) for group in context.groups)


def sound_pairs(context: Context) -> list[tuple[int, int]]:
    """Rows of the tensors that can be read, each with that of the variable that it is for.

    Of a layer of which the cut took a part, and the plan makes no pairs, what is left goes by its key.
    """
    plan, tensors = context.plan, context.tensors
    if plan is None:
        return []
    pairs = [(pair[0], pair[1]) for pair in plan.pairs if tensors[pair[0]].fault is None]
    if context.file.layout not in V3 or all(fault[0] != _TRUNCATED for fault in context.file.faults):
        return pairs
    paired = {context.variables[pair[1]].group for pair in plan.pairs}
    for group, rows in enumerate(context.rows_of):
        source = context.counterpart(group) if rows and group not in paired else -1
        if source >= len(context.groups) or (source >= 0 and context.groups[source][0] != context.model_path(group)):
            continue
        slots = {name: row for name, row in context.groups[source][3] if row >= 0} if source >= 0 else {}
        left = [(slots[key], row) for key, row in zip(map(str, range(len(rows))), rows, strict=True) if key in slots]
        if all(tuple(tensors[old].shape) == context.variables[new].shape for old, new in left):
            pairs += [(old, new) for old, new in left if tensors[old].fault is None]
    return pairs


def locked(context: Context) -> Finding:
    """KW108: another process writes to the file."""
    return finding(
        108,
        "warning",
        headline=entry(108).say(pid=str(context.writer)),
        found=context.writer,
        help=["wait until it is done and check again"],
    )


def core_error(context: Context, error: ErrorFacts, path: str = "") -> Finding:
    """A finding for a failure of the core after the file was opened: a checksum, a change, a read that failed.

    *path* names the tensor that was asked for, where the error does not tell.
    """
    return _container(context, [(error.code, error.at, error.detail, path or error.path, 0, 0)], [])


def _lost(context: Context) -> dict[int, list[int]]:
    """Code -> rows of the tensors that cannot be read for that reason."""
    lost: dict[int, list[int]] = defaultdict(list)
    for row, tensor in enumerate(context.tensors):
        if tensor.fault is not None:
            lost[tensor.fault[0]].append(row)
    return lost


def _at(at: int | None) -> str:
    return "" if at is None else f" at byte {at:,}"


def _survivors(context: Context, lost: Sequence[int]) -> list[str]:
    """How many tensors are whole, and which are not: those that the cut took with their names cannot be counted."""
    total = len(context.tensors)
    if not total:
        return ["no tensor can be named: what names them was lost with the end"]
    said = f"{count_of(total - len(lost), 'tensor', 'is', 'are')} whole"
    if context.plan is not None and context.plan.wanted:
        gone = set(lost)
        short = context.plan.wanted - sum(row not in gone for row in _weight_rows(context))
        said += f", at least {short:,} that the model wants {'is' if short == 1 else 'are'} lost" if short > 0 else ""
    lines = [said]
    if lost:
        lines += listed([f"lost: {escape(context.tensors[row].path)}" for row in lost], 6)
    return lines


def _again(context: Context) -> str:
    return f"delete {literal(context.path)} and download or copy it again"


def _truncated(context: Context, fault: ContainerFault, lost: Sequence[int]) -> Finding:
    have, expected = fault[4] or context.file.size, fault[5]
    sizes = f"{count_of(have, 'byte', 'is', 'are')} there"
    if expected:
        sizes = f"{have:,} of {expected:,} bytes ({100 * have / expected:.1f} %)"
    return finding(
        _TRUNCATED,
        "error",
        headline=entry(_TRUNCATED).say(sizes=sizes),
        expected=expected or None,
        found=have,
        body=_survivors(context, lost),
        notes=[_missing_bytes(expected - have)] if have < expected < _ANY_FILE else [],
        help=[_again(context)],
        related=[context.tensors[row].path for row in lost],
    )


def _missing_bytes(count: int) -> str:
    return f"{megabytes(count)} {'is' if count == 1 else 'are'} missing at the end"


def _interrupted(context: Context, fault: ContainerFault) -> Finding:
    notes = ["it is not cut short: copying the file again does not help"]
    if not context.tensors:
        notes.insert(0, "no tensor can be named: HDF5 writes the names last")
    found = f"{escape(fault[2])}{_at(fault[1])}" if fault[2] else "no structure"
    return finding(
        _INTERRUPTED,
        "error",
        headline=entry(_INTERRUPTED).say(),
        found=context.file.size,
        body=[f"file   {context.file.size:,} bytes", f"found  {found}"],
        notes=notes,
        help=["use the file that was saved before this one, and save to a new name, then rename"],
    )


def _container(context: Context, faults: Sequence[ContainerFault], rows: Sequence[int]) -> Finding:
    code, at, text, path, _, _ = faults[0]
    if code == _TRUNCATED:
        return _truncated(context, faults[0], rows)
    if code == _UNCLAIMED:
        return _unclaimed(faults)
    if code in (_NOT_FOUND, _NOT_WEIGHTS, _NO_WEIGHTS) or (code == _UNSUPPORTED and not context.tensors):
        return _instead(context, code, text)
    names = {
        "path": quote(context.path),
        "where": f" in {quote(path)}{_at(at)}" if path else _at(at),
        "detail": escape(text) or "no more is known",
        "member": quote(path or _member(text)) if path or _member(text) else _summed(text),
        "shard": quote(path) if path else "a shard",
        "what": quote(path) if path else "a part of the file",
        "sizes": "bytes are missing",
    }
    if code >= 601:
        names["where"] = quote(path) if path else "something in the file"
    more = [f"{escape(other[3]) or 'the file'}: {escape(other[2])}{_at(other[1])}" for other in faults[1:]]
    lost = [context.tensors[row].path for row in rows]
    notes = [f"{count_of(len(lost), 'tensor', 'is', 'are')} affected: {named(lost)}"] if lost else []
    if code == _MISSING_SHARD:
        notes += shards.lost_with_it(context)
    if code == _CHECKSUM:
        notes += _checksum_notes(context, text, path)
    if code >= 601 and at is not None:
        notes.append(f"at byte {at:,}")
    return finding(
        code,
        "error",
        headline=entry(code).say(**names),
        path=path or None,
        body=[*(["elsewhere too:"] if more else []), *listed([f"  {line}" for line in more], 5)],
        notes=notes,
        help=_remedy(context, code, text, path),
        related=lost,
    )


def _unclaimed(faults: Sequence[ContainerFault]) -> Finding:
    total = sum(fault[4] for fault in faults)
    _, at, _, path, _, longest = max(faults, key=lambda fault: fault[5])
    where = f" of {quote(path)}" if path else ""
    return finding(
        _UNCLAIMED,
        "note",
        headline=entry(_UNCLAIMED).say(sizes=plural(total, "byte")),
        path=path or None,
        found=total,
        notes=[f"the longest run of them: {plural(longest, 'byte')}{_at(at)}{where}"],
    )


def _member(text: str) -> str:
    """The member of an archive that the core's sentence on a checksum names, or nothing."""
    found = re.match(r"CRC-32 of (.+) is [0-9a-f]{8}|(\S+)$", text)
    return (found[1] or found[2]) if found else ""


def _summed(text: str) -> str:
    """What a checksum that bears no name is of: HDF5 keeps them too, of chunks and of its own structure."""
    if text.startswith("fletcher32"):
        return "a tensor's chunk"
    return "the file's structure" if text.startswith(("checksum of", "fractal heap")) else "a member of the archive"


def _checksum_notes(context: Context, text: str, path: str) -> list[str]:
    if not _member(text) and _summed(text) != "a member of the archive":
        return [escape(text)]
    if path and not path.endswith(".h5"):
        return [escape(text)]  # of another member than the weights
    touched = f"any of its {plural(len(context.tensors), 'tensor')} may be touched"
    said = [escape(text)] if text and text != _member(text) else []
    return [*said, f"{touched}: HDF5 inside has no checksum of its own"]


def _remedy(context: Context, code: int, detail: str = "", path: str = "") -> list[str]:
    if code == _LINK and detail.startswith("a soft link"):
        return [
            "save the weights again without links: a link inside a file is not followed, and newer Keras refuses it"
        ]
    if code == _MEMBER and detail.startswith("in a folder"):
        folder = path.rpartition("/")[0]
        plain = re.fullmatch(r"\w[\w./-]*", folder, re.ASCII) is not None and ".." not in folder
        return [f"zip the contents, not the folder{f': `cd {folder} && zip -r ../model.keras .`' if plain else ''}"]
    match code:
        case 204 | 205 | 606:
            return [_again(context)]
        case 207:
            return ["put all files of the set into the folder of the map"]
        case 211:
            return ["wait until the writer is done and check again; save to a new name and rename when it is complete"]
        case 213:
            return ["close what else needs memory, or read single tensors with `kwload.open`"]
        case 601 | 602 | 603 | 604 | 605 | 607:
            return ["do not load this file unless you know who made it"]
    return []


def _instead(context: Context, code: int, text: str) -> Finding:
    """The file is something else, and what to do then."""
    content = context.file.content
    phrase = _core.CONTENTS.get(content, content)
    if code == _NOT_FOUND:
        headline = entry(code).say(path=quote(context.path))
    elif code == _NO_WEIGHTS:
        headline = entry(code).say()
    elif code == _UNSUPPORTED:
        said = text.removeprefix(phrase).lstrip(": ")
        headline = entry(code).say(what=phrase, detail=escape(said) or "not in this version")
    else:
        headline = entry(code).say(path=quote(context.path), content=phrase)
    title = context.file.title
    told = {"html": "its title: ", "git-lfs-pointer": "it points at: "}.get(content, "it says: ")
    notes = [f"{told}{escape(title)}"] if title else []
    if text and code not in (_UNSUPPORTED, _NOT_FOUND) and text not in phrase and text != title:
        notes.append(escape(text))
    if context.file.size:
        notes.append(f"the file has {plural(context.file.size, 'byte')}")
    return finding(
        code,
        "error",
        headline=headline,
        expected="a Keras weight file",
        found=content,
        notes=notes,
        help=_INSTEAD.get(content, ()),
    )


def _tensors(context: Context, code: int, rows: Sequence[int]) -> Finding:
    """Tensors that cannot be read, in a file that is otherwise sound. An error when a variable wants one of them."""
    paired = {pair[0] for pair in context.plan.pairs} if context.plan is not None else set()
    first = context.tensors[rows[0]]
    fault: Fault = first.fault if first.fault is not None else (code, None, "")
    names = {
        "where": f" in {quote(first.path)}{_at(fault[1])}" if code < 601 else quote(first.path),
        "detail": escape(fault[2]) or "no more is known",
        "what": quote(first.path),
        "member": quote(first.path),
        "shard": quote(first.file or first.path),
        "path": quote(context.path),
        "sizes": f"{quote(first.path)} is beyond its end",
    }
    wanted = context.plan is None or any(row in paired for row in rows)
    return finding(
        code,
        "error" if wanted else "warning",
        headline=entry(code).say(**names),
        layer=first.layer,
        variable=first.variable,
        path=first.path,
        body=listed([f"cannot be read: {escape(context.tensors[row].path)}" for row in rows[1:]], 6),
        notes=[] if wanted else ["no variable of the model wants it"],
        help=_remedy(context, code, fault[2]),
        related=[context.tensors[row].path for row in rows[1:]],
    )


def name_and_content(context: Context, suffix: str) -> Finding | None:
    """KW206: Keras chooses the reader by the end of the name (keras.src.saving.saving_api.load_weights)."""
    file, layout = context.file, context.file.layout
    if not _weight_rows(context) or layout not in (*V3, *LEGACY):
        return None
    zipped = file.content == "keras"
    legacy, flavour = layout in LEGACY, context.model.keras.flavour if context.model is not None else "keras"
    if suffix == "keras" and (zipped or file.content == "keras-folder" or (flavour == "tf_keras" and legacy)):
        return None
    if suffix == "weights.json" and file.content == "shards":
        return None
    if suffix == "weights.h5" and file.content == "hdf5" and not legacy:
        return None
    if file.content == "hdf5" and legacy and (suffix == "h5" or (flavour == "tf_keras" and suffix != "weights.h5")):
        return None  # tf_keras knows HDF5 by its content
    if file.content in ("preset", "hf-shards", "keras-folder"):
        return None
    assumed = {
        "keras": "a .keras archive",
        "weights.json": "a map of shards",
        "weights.h5": "an HDF5 file" if zipped else "Keras 3 weights",
        "h5": "an HDF5 file" if zipped else "legacy .h5 weights",
    }.get(suffix)
    content = f"is {_core.CONTENTS[file.content]}" if zipped else f"holds {LAYOUTS[layout]}"
    headline = entry(206).say(content=content, assumed=assumed)
    if assumed is None:
        headline = f"the file {content}, but Keras knows no weight file by such a name"
    writer = written_by(context)
    right = ".keras" if zipped else ".weights.h5" if not legacy else ".h5"
    return finding(
        206,
        "warning",
        headline=headline,
        expected=assumed,
        found=content.partition(" ")[2],
        notes=[f"it was written by {escape(writer)}"] if writer else [],
        help=[
            f"{context.load()}{_AS_IT_IS}",
            f"for Keras, rename it to {literal(_renamed(context.path, right))}",
        ],
    )


_AS_IT_IS: Final = "  reads it as what it is"


def without_the_call(item: Finding) -> Finding:
    """KW206 without the call that would read the file, which fails when something else is wrong too."""
    if item.code != "KW206":
        return item
    return replace(item, help=tuple(line for line in item.help if not line.endswith(_AS_IT_IS)))


def _renamed(path: str, suffix: str) -> str:
    """The path with the suffix that makes Keras read it rightly."""
    for known in (".weights.h5", ".weights.json", ".hdf5", ".h5", ".keras"):
        if path.endswith(known):
            return path[: -len(known)] + suffix
    return path + suffix


def whole_model() -> Finding:
    """KW210: the file is a whole model, of which only the weights are used."""
    return finding(210, "note", headline=entry(210).say(), found="whole model")
