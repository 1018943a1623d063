"""What kwload says with ``keras=``, held against that Keras: the model is built twice, in the process that predicts and
in the one that loads, and the same file goes into both.

``python -m agree.other`` asks about each Keras of the grid from the newest Keras 3 and from tf_keras, and ends with 1
when a prediction is wrong, or is ``unknown`` where it need not be.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agree.build import blank
from agree.design import BLOCKS, CHANGES, CONTAINERS
from agree.files import layouts_of
from agree.grid import KERAS3_ONLY, VERSIONS, Case, Pairs, _options
from agree.judge import Judge
from agree.run import available, cache_folder, environment, newest, saves, work
from agree.worker import Worker
from kwload import api

MOST = 160
"""Pairs of a file and a model of each Keras that is asked about."""

UNSURE = ("in another order", "makes itself", "SpectralNormalization", "was trained", "code of its own", "a name that")
"""Ends of reasons that are right in the grid; most for models of Keras 3 in tf_keras, or the other way round."""


def cases(asked: Sequence[str] = VERSIONS, seed: int = 11) -> list[Case]:
    """The loads: a sample of every change of a model, and every container with every block, with files of several
    writers."""
    rng = random.Random(seed)
    pairs = Pairs(rng)
    found: dict[str, Case] = {}
    for version in asked:
        for case in _cases(rng, pairs, version):
            found.setdefault(case.name, case)
    return sorted(found.values(), key=lambda case: (case.version, case.model, case.stored, case.name))


def _cases(rng: random.Random, pairs: Pairs, version: str) -> Iterator[Case]:
    both = [name for name in CHANGES if name not in KERAS3_ONLY]
    drawn = [(change, None, None) for change in (CHANGES if version != "tf_keras" else both)]
    drawn += [(rng.choice(both), container, block) for container in CONTAINERS for block in BLOCKS]
    for change, container, block in rng.sample(drawn, min(len(drawn), MOST)):
        pair = pairs.draw(change, container, block)
        if pair is None:
            continue
        writers = [writer for writer in (newest(), "tf_keras") if writer != "tf_keras" or change not in KERAS3_ONLY]
        writer = rng.choice([version, version, *writers])
        layout = rng.choice(layouts_of(writer))
        for options in _options(rng, layout):
            yield Case(version, pair[1], writer, pair[0], layout, "none", options)


class Teller(Worker):
    """One Keras, that loads or predicts."""

    def load(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """What Keras does with the call: the exception, and role -> number."""
        judge = self.judge_of(job)
        if judge is None:
            return None
        blank(judge.built)
        error, got = judge.load(job["options"])
        roles = {id(variable): role for role, variable in judge.roles}
        told = None if error is None else [type(error).__name__, str(error)]
        held = {roles[key]: number for key, number in got.items() if key in roles}
        return {"case": job["case"], "error": told, "held": held}

    def say(self, job: dict[str, Any], real: dict[str, Any], asked: str) -> list[str]:
        """How kwload's prediction for *asked* differs from what it did."""
        judge = self.judge_of(job)
        if judge is None:
            return []
        blank(judge.built)
        call = api.Call(job["options"].get("by_name"), job["options"].get("skip_mismatch", False), keras=asked)
        examined = api.examine(judge.built.model, str(judge.path), call)
        alone = api.examine(judge.built.model, str(judge.path), api.Call(call.by_name, call.skip_mismatch))
        if examined.plan is None or alone.plan is None:
            return []
        problems = []
        if sorted(examined.plan.pairs) != sorted(alone.plan.pairs):
            problems.append("kwload's own pairs are others")
        return problems + self.compare(judge, examined, real)

    def compare(self, judge: Judge, examined: api.Examined, real: dict[str, Any]) -> list[str]:
        assert examined.plan is not None
        prediction = examined.plan.prediction
        roles = {id(variable): role for role, variable in judge.roles}
        foreseen = judge.foreseen(examined, examined.plan.keras_pairs)
        held = {roles[key]: number for key, number in foreseen.items() if key in roles}
        if prediction["outcome"] == "unknown":
            return [f"unknown: {prediction['reason']}"]
        error = real["error"]
        if (error is not None) != (prediction["outcome"] == "raises"):
            return [f"predicted {prediction['outcome']}, Keras: {error or 'loads'!s:.300}"]
        if error is not None:
            if error[0] != prediction["error_type"] or not error[1].startswith(prediction["error_prefix"]):
                return [f"predicted {prediction['error_type']} {prediction['error_prefix']!r}, Keras: {error!s:.300}"]
            if prediction["inner_prefix"] and prediction["inner_prefix"] not in error[1]:
                return [f"predicted inner {prediction['inner_prefix']!r}, Keras: {error!s:.300}"]
        if held != real["held"]:
            differ = [role for role in {*held, *real["held"]} if held.get(role) != real["held"].get(role)]
            return [f"predicted {len(held)} values, Keras left {len(real['held'])}: {sorted(differ)[:4]}"]
        return []


def told(version: str, what: str, jobs: Path, records: Path, cache: Path) -> list[str]:
    """The lines that a process of that Keras prints."""
    command = [sys.executable, "-W", "ignore", "-m", "agree.other", what, version, str(cache), str(jobs), str(records)]
    done = subprocess.run(command, env=environment(version), check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the worker of Keras {version} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return [line for line in done.stdout.splitlines() if line.startswith("[")]


def ask(version: str, chosen: Sequence[Case], cache: Path) -> Iterator[tuple[str, str, str]]:
    """``(Keras that predicts, case, problem)`` of one Keras that is asked about."""
    number = version
    if version == "tf_keras":
        from importlib.metadata import version as version_of

        number = f"tf_keras {version_of('tf_keras')}"
    jobs, records = cache / f"asked-{version}.jsonl", cache / f"loaded-{version}.jsonl"
    jobs.write_text("".join(json.dumps({**case.job(), "asked": number}) + "\n" for case in chosen))
    told(version, "load", jobs, records, cache)
    loads = len(records.read_text().splitlines())
    for own in (newest(), "tf_keras"):
        if own == version:
            continue
        found = [json.loads(line) for line in told(own, "say", jobs, records, cache)]
        unknown = sum(problem.startswith("unknown: ") for _, problem in found)
        print(f"{version} from {own}: {loads} loads, {len(found) - unknown} differ, {unknown} unknown", flush=True)
        yield from ((own, case, problem) for case, problem in found)


def run() -> int:
    here = available()
    chosen = [case for case in cases(here) if case.writer in here]
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    for version, jobs in saves(chosen).items():
        work(version, jobs, cache)
    wrong, reasons = [], Counter[str]()
    for version in here:
        for own, case, problem in ask(version, [case for case in chosen if case.version == version], cache):
            if problem.startswith("unknown: ") and any(end in problem for end in UNSURE):
                reasons[problem] += 1
            else:
                wrong.append(f"from {own}: {case}\n   {problem}")
    print(*(f"{count} x {reason}" for reason, count in reasons.most_common()), *wrong[:40], sep="\n")
    print(f"{len(wrong)} predictions for another Keras are wrong")
    return 1 if wrong else 0


def main() -> int:
    if len(sys.argv) == 1:
        return run()
    what, version, cache, jobs, records = sys.argv[1:]
    teller = Teller(version, Path(cache))
    todo = [json.loads(line) for line in Path(jobs).read_text().splitlines()]
    warnings.simplefilter("ignore")
    if what == "load":
        with open(records, "w") as out:
            for job in todo:
                record = teller.load(job)
                if record is not None:
                    out.write(json.dumps(record) + "\n")
        return 0
    real = {record["case"]: record for record in map(json.loads, Path(records).read_text().splitlines())}
    for job in todo:
        if job["case"] in real:
            for problem in teller.say(job, real[job["case"]], job["asked"]):
                print(json.dumps([job["case"], problem]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
