"""One process of one Keras: writes files of designs, or judges cases.

``python -m agree.worker VERSION CACHE JOBS RESULTS``.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from agree.build import Built, build, fill
from agree.design import parse
from agree.files import changed, save
from agree.judge import Judge, Meta, failed


def folder_of(cache: Path, version: str, key: str, layout: str) -> Path:
    return cache / version / key.replace("/", "-") / layout


class Worker:
    def __init__(self, version: str, cache: Path) -> None:
        self.version, self.cache = version, cache
        self.keras: Any = importlib.import_module("tf_keras" if version == "tf_keras" else "keras")
        if version != "tf_keras" and self.keras.__version__ != version:
            raise SystemExit(f"this is Keras {self.keras.__version__}, not {version}")
        if version == "tf_keras":
            import absl.logging

            absl.logging.set_verbosity("error")
        self.models: dict[str, Built | None] = {}
        gc.collect()
        gc.freeze()  # `clear_session` collects, and need not look at Keras itself each time

    def build(self, key: str) -> Built | None:
        design = parse(key)
        if design is None:
            return None
        try:
            return build(self.keras, design)
        except Exception as error:  # noqa: BLE001  (Keras cannot build this combination)
            print(f"cannot build {key}: {error!r:.150}", file=sys.stderr)
            return None

    def write(self, key: str, layouts: list[str]) -> None:
        todo = [la for la in layouts if not (folder_of(self.cache, self.version, key, la) / "meta.json").exists()]
        if not todo:
            return
        built = self.build(key)
        for layout in todo:
            folder = folder_of(self.cache, self.version, key, layout)
            folder.mkdir(parents=True, exist_ok=True)
            meta: dict[str, Any] = {}
            if built is not None:
                numbers = fill(built, merged=layout in ("v3", "keras", "shards"))
                try:
                    path = save(built, layout, folder)
                    names = {item.role: item.name for item in built.design.items}
                    meta = {"path": path.name, "numbers": numbers, "names": names, "dtype": built.design.dtype}
                except Exception as error:  # noqa: BLE001  (Keras cannot write this combination)
                    print(f"cannot save {key} {layout}: {error!r:.150}", file=sys.stderr)
            (folder / "meta.json").write_text(json.dumps(meta))

    def judge_of(self, job: dict[str, Any]) -> Judge | None:
        """The model and the file of a case; None when there is no such case."""
        stored = job["file"]
        folder = folder_of(self.cache, stored["version"], stored["key"], stored["layout"])
        meta = json.loads((folder / "meta.json").read_text())
        if not meta:
            return None
        key = job["model"]
        if key not in self.models:
            self.models = {key: self.build(key)}
        built = self.models[key]
        if built is None:
            return None
        scratch = self.cache / f"changed-{os.getpid()}"
        path = changed(folder / meta["path"], job["change"], scratch)
        if path is None:
            return None
        known = Meta(stored["key"], stored["layout"], stored["version"], meta["numbers"], meta["names"], meta["dtype"])
        return Judge(built, known, path)

    def judge(self, job: dict[str, Any]) -> str | None:
        """The record of a case; None when there is no such case."""
        judge = self.judge_of(job)
        return judge.run(job["case"], job["options"], job["change"]).to_json() if judge is not None else None


def main() -> None:
    version, cache, jobs, results = sys.argv[1:]
    worker = Worker(version, Path(cache))
    with open(results, "w") as out:  # a line for each job, so that it is known which one ended the process
        for line in Path(jobs).read_text().splitlines():
            job = json.loads(line)
            record: str | None = None
            if "save" in job:
                worker.write(job["save"], job["layouts"])
            else:
                try:
                    record = worker.judge(job)
                except Exception:  # noqa: BLE001  (a crash of ours is a finding)
                    record = json.dumps(failed(job["case"], "crash: " + traceback.format_exc(limit=-3)))
            out.write((record or "{}") + "\n")
            out.flush()


if __name__ == "__main__":
    main()
