"""What `check_model` says of whole models, held against the `load_model` of three Keras.

``python -m agree.whole`` (part of ``make agree``): each of them writes some five hundred files, which are loaded by all
three as they are, handed the user's own classes, and with other options; then files with a changed architecture or
name, files whose weights and architecture were set at odds, and the whole models of the corpus. Each load runs in a
process of its own Keras, with a limit of time. The table goes into README.md; it ends with 1 when one disagrees that is
not in reviewed_whole.txt.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from real_files import corpus_files

import kwload
from agree.run import HERE, ROOT, environment, newest, path_of
from agree.whole_changes import CHANGES, NAMES, changed
from agree.whole_edits import EDITS, WEIGHTS, edited
from kwload import _core

KERAS = (newest(), "3.8.0", "tf_keras")
SOURCES = ("whole_cases.py", "whole_changes.py", "whole_edits.py", "whole_worker.py")
OWN = ("own_", "lambda_named", "activation_own", "initializer_own", "loss_own", "metric_own")
"""How the files begin that name something of the user's own."""
CODE = ("lambda", "activation_lambda", "loss_lambda")
BATCH = 150
ENDLESS = [f"{name}.h5" for name in ("shared_model", "shared_around", "shared_graphs", "shared_chains")]
ENDLESS += ["nested_graph_twice.h5"]
"""Graphs of tf_keras that Keras before 3.15 never returns from."""

LONGEST = 45
"""Seconds for one load: of those that never end, too."""

TITLE = "# How often check_model and load_model agree"


def cache_folder() -> Path:
    """Where files and loads are kept, as long as what makes them stays the same."""
    text = b"".join((HERE / name).read_bytes() for name in SOURCES)
    return ROOT / "build" / "agree" / f"whole-{hashlib.sha256(text).hexdigest()[:12]}"


def _environment(keras: str) -> dict[str, str]:
    flavour = "tf_keras" if keras == "tf_keras" else "keras"
    return {**environment(keras), "KWLOAD_TEST_FLAVOUR": flavour}


def written(keras: str, cache: Path) -> list[Path]:
    """The files that a Keras writes."""
    folder = cache / "made" / keras
    done = cache / f"{keras}.saved"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-W", "ignore", "-m", "agree.whole_worker", "save", str(folder)]
        subprocess.run(command, env=_environment(keras), check=True, capture_output=True)
        done.touch()
    return sorted(folder.iterdir())


def altered(files: Sequence[Path], cache: Path, seed: int = 5) -> list[Path]:
    """Changed copies: each change of some files of each writer and format."""
    folder = cache / "changed"
    if not folder.is_dir():
        folder.mkdir()
        rng = random.Random(seed)
        simple = [path for path in files if path.name.startswith(("layer-", "nested", "loss-m", "named", "residual"))]
        for writer in sorted({path.parent.name for path in files}):
            for suffix in (".keras", ".h5"):
                pool = [path for path in simple if path.parent.name == writer and path.suffix == suffix]
                for change in (*CHANGES, *NAMES):
                    for path in rng.sample(pool, min(5, len(pool))):
                        changed(path, change, folder)
    return sorted(folder.iterdir())


def at_odds(files: Sequence[Path], cache: Path, seed: int = 7) -> list[Path]:
    """Edited copies: each edit of some files of each writer and format; of all with shared layers those of weights."""
    folder = cache / "edited"
    if not folder.is_dir():
        folder.mkdir()
        rng = random.Random(seed)
        for writer in sorted({path.parent.name for path in files}):
            for suffix in (".keras", ".h5"):
                pool = [path for path in files if path.parent.name == writer and path.suffix == suffix]
                pool = [path for path in pool if not path.name.startswith(("loss", "metric", "optimizer", "own_"))]
                pool = [path for path in pool if not (writer == "tf_keras" and path.name in ENDLESS)]
                shared = [path for path in pool if path.name.startswith("shared")]
                for edit in (*EDITS, *WEIGHTS):
                    made = sum(edit in WEIGHTS and edited(path, edit, folder) is not None for path in shared)
                    for path in rng.sample(pool, len(pool)):
                        made += path not in shared and edited(path, edit, folder) is not None
                        if made == 12:
                            break
    return sorted(folder.iterdir())


def whole_models() -> list[Path]:
    """The files of the corpus that hold an architecture."""
    found = []
    for path in corpus_files("keras-by-version", "keras-made", "keras-real", "hdf5-other-writers"):
        try:
            config = _core.File(os.fsencode(path)).config
        except _core.CoreError:
            config = None
        if config is not None or path.suffix == ".keras":
            found.append(path)
    return found


def jobs(files: Iterable[Path]) -> list[dict[str, Any]]:
    """The loads of these files: as they are, and with options where these matter."""
    made: list[dict[str, Any]] = []
    for path in files:
        name, job = path.name, {"path": str(path)}
        made.append(job)
        if name.startswith(OWN):
            made.append({**job, "own": True})
        if name.startswith((*CODE, "loss-m", "own_Mine.", "optimizer-ftrl")):
            made.append({**job, "own": True, "options": {"compile": False}})
        if name.startswith(CODE):
            made.append({**job, "own": True, "options": {"safe_mode": False}})
    return made


def loaded(keras: str, todo: Sequence[dict[str, Any]], cache: Path) -> list[dict[str, Any]]:
    """What the `load_model` of a Keras does; kept from run to run."""
    store = cache / f"loads-{keras}.jsonl"
    known = {_key(item): item for item in map(json.loads, store.read_text().splitlines())} if store.exists() else {}
    left = [job for job in todo if _key(job) not in known]
    while left:
        batch = left[:BATCH]
        lines, ended = _batch(keras, batch)
        if ended and len(lines) < len(batch):
            lines.append({**batch[len(lines)], "keras": _number(keras), "type": "Ended", "begins": ended})
        with open(store, "a") as out:
            out.writelines(json.dumps(line) + "\n" for line in lines)
        known |= {_key(line): line for line in lines}
        left = left[len(lines) :]
        print(f"{keras}: {len(left)} left", flush=True)
    return [known[_key(job)] for job in todo]


def _batch(keras: str, batch: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """The lines of one process, and how it ended when that was not well."""
    with tempfile.TemporaryDirectory() as scratch:
        given, made = Path(scratch, "jobs"), Path(scratch, "results")
        given.write_text("".join(json.dumps(job) + "\n" for job in batch))
        command = [sys.executable, "-W", "ignore", "-m", "agree.whole_worker", "load", str(given), str(made)]
        with open(Path(scratch, "errors"), "w+b") as errors:
            done = subprocess.Popen(command, env=_environment(keras), stdout=subprocess.DEVNULL, stderr=errors)
            is_done = _ends(done, made)
            errors.seek(0)
            ended = "" if done.returncode == 0 else f"ended with {done.returncode}: {errors.read()[-500:]!r}"
        lines = made.read_text().splitlines() if made.exists() else []
    return [json.loads(line) for line in lines], ended if is_done else "took too long"


def _ends(process: subprocess.Popen[bytes], made: Path) -> bool:
    """Waits for a process; False when it makes no line for too long, and is ended."""
    size = -1
    while True:
        try:
            process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            now = made.stat().st_size if made.exists() else 0
            if now == size:
                process.kill()
                process.wait()
                return False
            size = now
        else:
            return True


def _key(job: dict[str, Any]) -> str:
    return json.dumps([job["path"], bool(job.get("own")), job.get("options", {})])


def _number(keras: str) -> str:
    return version_of("tf_keras") if keras == "tf_keras" else keras


def own_objects() -> dict[str, Any]:
    """Something under each of the names that the caller hands in; which class it is does not matter."""
    names = ["Registered", "WithWeights", "Whole", "bend", "Gentle", "own_loss"]
    return {**dict.fromkeys(names, len), **{f"Known>{name}": len for name in names}, "Mine": len, "Custom>Mine": len}


def judged(real: dict[str, Any]) -> tuple[str, str]:
    """``("agrees" | "unknown" | "differs", what differs)`` of a load."""
    asked = ("tf_keras " if real["keras"][0] == "2" else "") + real["keras"]
    custom = own_objects() if real.get("own") else None
    report = kwload.check_model(real["path"], keras=asked, custom_objects=custom, **real.get("options", {}))
    foreseen, kind = report.prediction, real.get("type")
    really = f"really {kind} {real.get('begins', '')[:100]!r}" if kind else "it loads"
    if foreseen is None:
        return ("agrees", "") if kind else ("differs", f"no prediction, {really}")
    if foreseen.outcome == "unknown":
        return ("unknown", str(foreseen.reason)) if report.ok or kind else ("differs", "refused, it loads")
    if (foreseen.outcome != "loads") == report.ok:
        return "differs", f"{foreseen.outcome}, and ok is {report.ok}"
    if foreseen.error is None:
        return ("differs", f"loads, {really}") if kind else ("agrees", "")
    said = real.get("begins", "").startswith(foreseen.error.message)
    if foreseen.error.type == kind and said:
        return "agrees", ""
    return "differs", f"raises {foreseen.error.type} {foreseen.error.message[:60]!r}, {really}"


def reviewed() -> list[tuple[str, str, str]]:
    """Pattern of the load, pattern of what differs, reason."""
    lines = (HERE / "reviewed_whole.txt").read_text().splitlines()
    rows = [line.split(" | ") for line in lines if line and not line.startswith("#")]
    return [(row[0], row[1], row[2]) for row in rows]


def name_of(real: dict[str, Any]) -> str:
    """``"3.8.0 <- tf_keras/lstm.h5 own"``."""
    path = Path(real["path"])
    options = " ".join(f"{name}={value}" for name, value in real.get("options", {}).items())
    return f"{real['keras']} <- {path.parent.name}/{path.name}{' own' * bool(real.get('own'))} {options}".strip()


def write(records: Sequence[tuple[dict[str, Any], str, str]]) -> list[str]:
    """Puts the table into README.md; the disagreements that nobody has looked at."""
    known, open_ = reviewed(), []
    cells: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for real, verdict, _ in records:
        folder = Path(real["path"]).parent.name
        group = f"written by {folder}" if folder in KERAS else folder if folder in ("changed", "edited") else "corpus"
        cells[group, "tf_keras" if real["keras"][0] == "2" else real["keras"]][verdict] += 1
    groups = sorted({group for group, _ in cells})
    lines = [TITLE, "", __doc__.splitlines()[0], ""] if __doc__ else []
    count = Counter(verdict for _, verdict, _ in records)
    total = f"{len(records):,} loads: {count['agrees']:,} agree, {count['differs']} differ, "
    total += f"{count['unknown']} are not foreseen."
    lines += [total, "", "Cells: agree / not foreseen, in brackets those that differ.", ""]
    lines += ["| files | " + " | ".join(KERAS) + " |", "|---|" + "---|" * len(KERAS)]
    for group in groups:
        row = [cells[group, keras] for keras in KERAS]
        shown = [
            f"{cell['agrees']}{' (' + str(cell['differs']) + ')' if cell['differs'] else ''} / {cell['unknown']}"
            for cell in row
        ]
        lines.append(f"| {group} | " + " | ".join(shown) + " |")
    lines += ["", "What is not foreseen:", ""]
    reasons = Counter(reason for _, verdict, reason in records if verdict == "unknown")
    lines += [f"* {number} x {reason}" for reason, number in reasons.most_common()]
    lines += ["", "What differs:", ""]
    for real, verdict, problem in records:
        if verdict == "differs":
            name = name_of(real)
            why = next((row[2] for row in known if fnmatch(name, row[0]) and fnmatch(problem, row[1])), None)
            lines.append(f"* {name}: {problem[:160]}: {why or 'NOT REVIEWED'}")
            open_ += [f"{name}: {problem}"] if why is None else []
    if not count["differs"]:
        lines.append("Nothing.")
    readme = HERE / "README.md"
    before = readme.read_text().partition(f"\n{TITLE}")[0].rstrip() + "\n\n"
    readme.write_text(before + "\n".join(lines) + "\n")
    return open_


def main() -> int:
    here = [keras for keras in KERAS if keras in (newest(), "tf_keras") or path_of(keras) is not None]
    cache = cache_folder()
    made = [path for keras in here for path in written(keras, cache)]
    todo = jobs([*made, *altered(made, cache), *at_odds(made, cache), *whole_models()])
    records = [(real, *judged(real)) for keras in here for real in loaded(keras, todo, cache)]
    open_ = write(records)
    print(*open_[:40], f"{len(records)} loads, {len(open_)} disagreements that are not in reviewed_whole.txt", sep="\n")
    return 1 if open_ else 0


if __name__ == "__main__":
    sys.exit(main())
