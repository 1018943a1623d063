"""The whole grid: files are written, cases judged, and what came out is held against the reviewed list.

``python -m agree.run [--rounds N]`` (``make agree``) writes README.md and table.csv beside this file, and ends with 1
when a case disagrees that is not in reviewed.txt.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from agree.grid import VERSIONS, Case, cases
from agree.judge import failed

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OLDER = Path(os.environ.get("KWLOAD_AGREE_KERAS", ROOT / ".venv" / "agree"))
PROCESSES = 2
SOURCES = ("design.py", "build.py", "files.py", "worker.py")


def path_of(version: str) -> Path | None:
    """The folder of an older Keras; None for one that is installed beside kwload."""
    folder = OLDER / f"keras-{version}"
    return folder if folder.is_dir() else None


def newest() -> str:
    from importlib.metadata import version

    return version("keras")


def available() -> tuple[str, ...]:
    """The versions of the grid that are here."""
    return tuple(v for v in VERSIONS if v in (newest(), "tf_keras") or path_of(v) is not None)


def cache_folder() -> Path:
    """Where files are kept between runs, as long as what writes them stays the same."""
    text = b"".join((HERE / name).read_bytes() for name in SOURCES)
    return ROOT / "build" / "agree" / hashlib.sha256(text).hexdigest()[:12]


def environment(version: str) -> dict[str, str]:
    """What a process of that Keras runs in."""
    folders = [str(folder) for folder in (path_of(version), HERE.parent, ROOT) if folder is not None]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "KERAS_BACKEND": "tensorflow"}


def work(version: str, jobs: Sequence[dict[str, Any]], cache: Path) -> list[dict[str, Any]]:
    """Runs jobs in processes of that Keras, a new one when one dies; the records of those that are cases."""
    env = environment(version)
    records: list[dict[str, Any]] = []
    while jobs:
        with tempfile.TemporaryDirectory() as scratch:
            todo, done = Path(scratch, "jobs"), Path(scratch, "results")
            todo.write_text("".join(json.dumps(job) + "\n" for job in jobs))
            command = [sys.executable, "-W", "ignore", "-m", "agree.worker", version, str(cache), str(todo), str(done)]
            ended = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
            lines = [json.loads(line) for line in done.read_text().splitlines()] if done.exists() else []
        records += [line for line in lines if "case" in line]
        if ended.returncode == 0:
            break
        if not lines or "case" not in jobs[len(lines) - 1]:
            raise SystemExit(f"the worker of Keras {version} ended with {ended.returncode}:\n{ended.stderr[-3000:]}")
        last, jobs = jobs[len(lines)], jobs[len(lines) + 1 :]
        records.append(failed(last["case"], f"the process ended with {ended.returncode}"))
    return records


def saves(chosen: Iterable[Case]) -> dict[str, list[dict[str, Any]]]:
    """For each Keras the files that it has to write."""
    wanted: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for case in chosen:
        wanted[case.writer][case.stored].add(case.layout)
    return {
        version: [{"save": key, "layouts": sorted(layouts)} for key, layouts in sorted(files.items())]
        for version, files in wanted.items()
    }


def portions(chosen: Sequence[Case], size: int) -> list[list[Case]]:
    """Runs of cases of one Keras, each about *size* long, that do not part the cases of one model."""
    found: list[list[Case]] = []
    for case in chosen:
        last = found[-1] if found else None
        fits = last is not None and last[-1].version == case.version
        if last is not None and fits and (len(last) < size or last[-1].model == case.model):
            last.append(case)
        else:
            found.append([case])
    return found


def judge(chosen: Sequence[Case], say: Callable[[str], None] = lambda _: None, size: int = 500) -> list[dict[str, Any]]:
    """The records of the cases, those left out that no Keras can build or write."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with ThreadPoolExecutor(PROCESSES) as pool:
        written = {
            version: [jobs[i : i + size] for i in range(0, len(jobs), size)] for version, jobs in saves(chosen).items()
        }
        for _ in pool.map(lambda pair: work(pair[0], pair[1], cache), [(v, p) for v in written for p in written[v]]):
            pass
        say(f"files written after {time.monotonic() - started:.0f} s")
        records: list[dict[str, Any]] = []
        parts = portions(chosen, size)
        results = pool.map(lambda part: work(part[0].version, [case.job() for case in part], cache), parts)
        for number, result in enumerate(results, 1):
            records += result
            bad = sum(bool(record["problems"]) for record in records)
            say(f"{number}/{len(parts)}: {len(records)} cases, {bad} disagree, {time.monotonic() - started:.0f} s")
    return records


def sample(flavours: Sequence[str], models: int, most: int = 12, seed: int = 4) -> list[Case]:
    """At most so many cases each of so many models, of the Keras installed beside kwload."""
    rng = random.Random(seed)
    versions = [newest() if flavour == "keras" else flavour for flavour in flavours]
    found: list[Case] = []
    for version in versions:
        own = [case for case in cases() if case.version == version and case.writer in versions]
        strata: dict[tuple[str, ...], list[Case]] = defaultdict(list)
        for case in own:
            strata[case.mutation, case.change if case.change != "none" else ""].append(case)
        keys = list(strata)
        rng.shuffle(keys)
        chosen: dict[str, None] = {}
        for key in sorted(keys, key=lambda key: bool(key[1])):
            if len(chosen) < models // len(versions):
                chosen[rng.choice(strata[key]).model] = None
        for model in chosen:
            loads = [case for case in own if case.model == model]
            found += rng.sample(loads, min(len(loads), most))
    return sorted(found, key=lambda case: (case.version, case.model, case.stored, case.name))


# --- what was reviewed -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reviewed:
    """A disagreement that stays, and why."""

    case: str  # fnmatch patterns
    problem: str
    reason: str


def reviewed() -> list[Reviewed]:
    rows = [line.split(" | ") for line in (HERE / "reviewed.txt").read_text().splitlines()]
    return [Reviewed(*(part.strip() for part in row)) for row in rows if len(row) == 3 and not row[0].startswith("#")]


def reason_of(record: dict[str, Any], known: Sequence[Reviewed]) -> str | None:
    """Why a record may disagree; None when no row of the list covers all its problems."""
    reasons = []
    for problem in record["problems"]:
        found = [row for row in known if fnmatch(record["case"], row.case) and fnmatch(problem, row.problem)]
        if not found:
            return None
        reasons.append(found[0].reason)
    return reasons[0]


def unexpected(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records that disagree and are not in the reviewed list."""
    known = reviewed()
    return [record for record in records if record["problems"] and reason_of(record, known) is None]


# --- the table -------------------------------------------------------------------------------------------------------


def _cells(records: Iterable[dict[str, Any]], key: Callable[[Case], tuple[str, ...]], by_name: dict[str, Case]) -> Any:
    """key -> [cases, disagreements, undecidable cases, disagreements among those]."""
    cells: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for record in records:
        cell = cells[key(by_name[record["case"]])]
        at = 0 if record["decidable"] else 2
        cell[at] += 1
        cell[at + 1] += bool(record["problems"])
    return cells


def _table(cells: dict[tuple[str, ...], list[int]], title: str) -> list[str]:
    """Rows by the second part of the key, a column a Keras."""
    versions = [v for v in VERSIONS if any(key[0] == v for key in cells)]
    lines = [f"| {title} | {' | '.join(versions)} |", f"|---|{'---|' * len(versions)}"]
    for row in dict.fromkeys(key[1] for key in sorted(cells, key=lambda key: key[1])):
        texts = []
        for version in versions:
            sure, wrong, open_, other = cells.get((version, row), [0, 0, 0, 0])
            texts.append(f"{sure}{f' ({wrong})' if wrong else ''} / {open_}{f' ({other})' if other else ''}")
        lines.append(f"| {row} | {' | '.join(texts)} |")
    return lines


def write_table(records: Sequence[dict[str, Any]], chosen: Sequence[Case], folder: Path = HERE) -> str:
    """Writes README.md and table.csv; the first as text."""
    by_name = {case.name: case for case in chosen}
    known = reviewed()
    bad = [record for record in records if record["problems"]]
    pairs = {
        (c.version, c.writer, c.layout, c.stored, c.model, c.change) for c in (by_name[r["case"]] for r in records)
    }
    sure = [record for record in records if record["decidable"]]
    open_ = [record for record in records if not record["decidable"]]
    wrong, unsure = sum(bool(r["problems"]) for r in sure), sum(bool(r["problems"]) for r in open_)
    lines = [
        "# How often kwload and Keras agree",
        "",
        "Written by `make agree`: a grid of files and models that real Keras loads; the package's docstring says how.",
        "",
        f"{len(records):,} loads of {len(pairs):,} pairs of a file and a model.",
        f"Decidable: {len(sure):,}, of which {wrong} disagree.",
        f"Undecidable, because nothing in file or model tells two layers apart: {len(open_):,}, of which {unsure} do.",
        "",
        "Cells: decidable / undecidable loads, in brackets those that disagree.",
        "",
    ]
    tables = {
        "layout": lambda c: (c.version, c.layout if c.writer == c.version else f"{c.layout}, other Keras"),
        "change of the model": lambda c: (c.version, c.mutation),
        "change of the file": lambda c: (c.version, c.change),
        "options": lambda c: (c.version, " ".join(c.options) or "none"),
        "container": lambda c: (c.version, c.model.split("/")[0]),
        "layers": lambda c: (c.version, c.model.split("/")[1]),
        "names": lambda c: (c.version, c.model.split("/")[2]),
    }
    for title, key in tables.items():
        lines += [*_table(_cells(records, key, by_name), title), ""]
    lines += ["## What disagrees", ""]
    groups = Counter(
        (reason_of(record, known) or "NOT REVIEWED", re.sub(r"'[^']*/[^']*", "'…", record["problems"][0])[:120])
        for record in bad
    )
    for (reason, problem), count in groups.most_common():
        lines.append(f"* {count} x {problem!r}: {reason}")
    if not bad:
        lines.append("Nothing.")
    text = "\n".join(lines).rstrip() + "\n"
    readme = folder / "README.md"
    _, mark, after = (readme.read_text() if readme.exists() else "").partition("\n# How often check_model")
    readme.write_text(text + mark + after)  # what agree.whole wrote stays
    cells = _cells(records, lambda c: (c.version, c.writer, c.layout, c.mutation, c.change), by_name)
    with open(folder / "table.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        head = ("keras", "writer", "layout", "model change", "file change")
        writer.writerow([*head, "decidable", "disagree", "undecidable", "disagree too"])
        writer.writerows([*key, *cell] for key, cell in sorted(cells.items()))
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    missing = [version for version in VERSIONS if version not in available()]
    if missing:
        print(f"not here, and left out: Keras {', '.join(missing)}", flush=True)
    here = set(available())
    chosen = [case for case in cases(rounds=options.rounds) if {case.version, case.writer} <= here]
    records = judge(chosen, lambda text: print(text, flush=True))
    (ROOT / "build" / "agree" / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    print(write_table(records, chosen))
    wrong = unexpected(records)
    for record in wrong[:40]:
        print(record["case"], f"{record['real']}, predicted {record['predicted']}", *record["problems"], sep="\n   ")
    print(f"{len(wrong)} disagreements that are not in reviewed.txt")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
