"""One process of one Keras: writes whole models, or says what its `load_model` does with files.

``python -m agree.whole_worker save FOLDER`` writes every case in both formats, ``load JOBS RESULTS`` loads a file for
each line of JOBS (``{"path": …, "own": …, "options": …}``) and writes a line of JSON for each.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
warnings.simplefilter("ignore")

from agree.whole_cases import cases, classes  # noqa: E402 - after the environment is set

keras: Any = importlib.import_module(os.environ.get("KWLOAD_TEST_FLAVOUR", "keras"))
FORMATS = (".keras", ".h5")


def save(folder: Path) -> None:
    """Every case in both formats; those that this Keras cannot make or save are left out."""
    own = classes(keras)
    for name, make in cases(keras, own):
        keras.backend.clear_session()
        try:
            model = make()
        except Exception as error:  # noqa: BLE001  (this Keras cannot make it)
            print("not made", name, repr(error)[:200], file=sys.stderr)
            continue
        for suffix in FORMATS:
            path = folder / f"{name}{suffix}"
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    model.save(path)
            except Exception as error:  # noqa: BLE001  (nor save it so)
                path.unlink(missing_ok=True)
                print("not saved", path.name, repr(error)[:200], file=sys.stderr)


def load(jobs: Path, results: Path) -> None:
    """What load_model does with each file, a line for each, so that it is known which one ended the process."""
    own = classes(keras)
    known = keras.saving.get_custom_objects() if hasattr(keras, "saving") else keras.utils.get_custom_objects()
    for name in [name for name, made in known.items() if any(made is item for item in own.values())]:
        del known[name]
    gc.collect()
    gc.freeze()  # `clear_session` collects, and need not look at Keras itself each time
    with open(results, "w") as out:
        for line in jobs.read_text().splitlines():
            out.write(json.dumps(_load(json.loads(line), own)) + "\n")
            out.flush()
            keras.backend.clear_session()


def _load(job: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    custom = named(own) if job.get("own") else None
    found: dict[str, Any] = {**job, "keras": keras.__version__}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            keras.models.load_model(job["path"], custom_objects=custom, **job.get("options", {}))
    except Exception as error:  # noqa: BLE001  (whatever it raises is the answer)
        text = str(error)
        found |= {"type": type(error).__name__, "begins": text[:600], "ends": text[-1500:]}
    return found


def named(own: dict[str, Any]) -> dict[str, Any]:
    """What a caller hands in who knows all of them, by both of their names."""
    return {
        **own,
        **{f"Known>{name}": made for name, made in own.items() if name != "Mine"},
        "Custom>Mine": own["Mine"],
    }


if __name__ == "__main__":
    if sys.argv[1] == "save":
        save(Path(sys.argv[2]))
    else:
        load(Path(sys.argv[2]), Path(sys.argv[3]))
