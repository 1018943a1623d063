"""One case: what Keras really did, what is true, and what kwload said."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import kwload
from agree.build import Built, blank, number_of
from kwload import api
from kwload.errors import WeightsError

_OWN = ("unknown: a layer loads", "kwload.load_weights put", "ok")


@dataclass
class Meta:
    """What the generator knows of a file: role -> number of the tensor, role of a layer -> its given name or None."""

    key: str
    layout: str
    version: str
    numbers: dict[str, float]
    names: dict[str, str | None]
    dtype: str | None = None

    def role_of(self, number: float | None) -> str | None:
        return next((role for role, known in self.numbers.items() if known == number), None)


@dataclass
class Stored:
    """What an independent look at the file shows: number -> shapes of the tensors that it fills, and recorded names."""

    shapes: dict[float, list[tuple[int, ...]]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    legacy: bool = False


@dataclass
class Record:
    """The outcome of one case."""

    case: str
    real: str
    predicted: str
    decidable: bool
    problems: list[str]
    noise: list[str]
    report: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def failed(case: str, problem: str) -> dict[str, Any]:
    """The record of a case that came to no end."""
    return asdict(Record(case, "?", "?", True, [problem], []))


def scan(path: Path) -> Stored:
    """Reads the file with h5py alone; what cannot be read is left out."""
    stored = Stored()
    sources: list[Any] = [path]
    if path.is_dir():
        sources = sorted(path.glob("*.h5"))
    elif path.suffix == ".json":
        sources = sorted(path.parent.glob("*.weights.h5"))
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            sources = [io.BytesIO(archive.read(name)) for name in archive.namelist() if name.endswith(".h5")]
            if "config.json" in archive.namelist():
                _scan_config(archive.read("config.json"), stored)
    for source in sources:
        try:
            with h5py.File(source, "r") as file:
                _scan(file, stored)
        except (OSError, RuntimeError):
            continue
    return stored


def _scan_config(config: bytes, stored: Stored) -> None:
    """The names of all layers that a configuration records."""
    try:
        todo = [json.loads(config)]
    except ValueError:
        return
    for item in todo:
        if isinstance(item, dict) and "class_name" in item:
            told = [at for at in (item, item.get("config")) if isinstance(at, dict)]
            stored.names.update(str(at["name"]) for at in told if "name" in at)
        todo += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()


def _scan(file: h5py.File, stored: Stored) -> None:
    def texts(values: Any) -> list[str]:
        return [v.decode() if isinstance(v, bytes) else str(v) for v in np.atleast_1d(values)]

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            array = np.asarray(node[()])
            if array.size and array.dtype.kind in "iuf" and bool((array == array.flat[0]).all()):
                stored.shapes.setdefault(float(array.flat[0]), []).append(array.shape)
            return
        if name.rpartition("/")[2] == "vars" and "name" in node.attrs:
            stored.names.update(texts(node.attrs["name"]))
        for key in ("layer_names", "weight_names"):
            if key in node.attrs:
                for text in texts(node.attrs[key]):
                    stored.names.update(text.split("/"))

    visit("", file)
    file.visititems(visit)
    stored.legacy = "layer_names" in file.attrs or "model_weights" in file


@dataclass
class Truth:
    """Which roles a load got right, by the numbers that the variables hold."""

    right: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # evidence shows it
    doubtful: list[str] = field(default_factory=list)  # wrong, and nothing can tell
    left: list[str] = field(default_factory=list)

    @property
    def outcomes(self) -> set[str]:
        """What the load may rightly be called."""
        if self.wrong:
            return {"loads_wrong"}
        got, wanted = len(self.right) + len(self.doubtful), len(self.right) + len(self.doubtful) + len(self.left)
        called = "loads" if got == wanted else "loads_part" if got else "loads_nothing"
        called_set = {called, "loads_wrong"} if self.doubtful else {called}
        return called_set | {"loads_nothing"} if wanted == 0 else called_set


class Judge:
    """Judges loads of one file into one model."""

    def __init__(self, built: Built, meta: Meta, path: Path) -> None:
        self.built, self.meta, self.path = built, meta, path
        self.stored = scan(path)
        self.roles = [
            (role, variable)
            for role, variable in built.roles()
            if "float" in str(variable.dtype) or "int" in str(variable.dtype)
        ]
        self.state = built.state()
        self.names = {item.role: item.name for item in built.design.items}
        self.own = any(item.kind == "own" for item in built.design.items)

    def held(self) -> dict[int, float]:
        """The numbers that variables hold now and did not before, by identity."""
        found = {}
        for variable in [*(variable for _, variable in self.roles), *self.state]:
            number = number_of(self.built.keras, variable)
            if number is not None and number > 0:
                found[id(variable)] = number
        return found

    def evident(self, role: str, number: float) -> bool:
        """True when names show that the variable of this role should not get the tensor of this number."""
        source = self.meta.role_of(number)
        layer, variable, _ = role.split("/")
        mine = self.names.get(layer)
        if source is None:
            return bool(mine and mine in self.stored.names)
        other, other_variable, _ = source.split("/")
        theirs = self.meta.names.get(other)
        if self.stored.legacy and other_variable != variable:
            return True
        if mine == theirs:
            return False
        recorded = mine is not None and mine in self.stored.names
        return recorded or (theirs is not None and theirs in self.stored.names and theirs in self.names.values())

    def truth(self, numbers: dict[int, float], v3: bool) -> Truth:
        truth = Truth()
        for role, variable in self.roles:
            if v3 and "lora_" in role:
                continue
            number = numbers.get(id(variable))
            if number is None:
                truth.left.append(role)
                continue
            shape = tuple(variable.shape)
            fits = shape in self.stored.shapes.get(number, [shape])
            if number == self.meta.numbers.get(role) and fits:
                truth.right.append(role)
            elif not fits or self.evident(role, number):
                truth.wrong.append(role)
            else:
                truth.doubtful.append(role)
        return truth

    def load(self, options: dict[str, Any]) -> tuple[Exception | None, dict[int, float]]:
        """What Keras raises, and what the variables hold then."""
        blank(self.built)
        error = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.built.model.load_weights(str(self.path), **options)
            except Exception as caught:  # noqa: BLE001  (whatever it raises is the answer)
                error = caught
        return error, self.held()

    def foreseen(self, examined: api.Examined, pairs: Any) -> dict[int, float]:
        assert examined.file is not None
        numbers = {}
        for file_row, model_row, _, _ in pairs:
            try:
                array = np.asarray(examined.file.fetch([file_row])[0])
            except Exception:  # noqa: BLE001  (a damaged tensor: it has no number)
                continue
            if array.dtype.kind not in "iufbc" and array.dtype.name != "bfloat16":
                continue
            same = array.size and bool((array == array.flat[0]).all())
            value = float(np.real(array.flat[0])) if same else -2.0
            numbers[id(examined.model.variables[model_row])] = value
        known = {id(v) for _, v in self.roles} | {id(v) for v in self.state}
        return {key: number for key, number in numbers.items() if key in known}

    def run(self, case: str, options: dict[str, Any], change: str) -> Record:
        blank(self.built)
        call = api.Call(options.get("by_name"), options.get("skip_mismatch", False))
        examined = api.examine(self.built.model, str(self.path), call)
        report = kwload.check(self.built.model, str(self.path), **options)
        problems: list[str] = []
        ours: dict[int, float] = {}
        prediction = None
        if examined.plan is not None:
            prediction = examined.plan.prediction
            foreseen = self.foreseen(examined, examined.plan.keras_pairs)
            ours = self.foreseen(examined, examined.plan.pairs)
        problems += self.assign(options, report, ours)
        error, got = self.load(options)
        v3 = not str(self.path).endswith((".h5", ".hdf5")) or str(self.path).endswith(".weights.h5")
        truth = self.truth(got, v3)
        real = "raises" if error is not None else "/".join(sorted(truth.outcomes))
        predicted = prediction["outcome"] if prediction is not None else "none"
        decidable = not truth.doubtful or error is not None
        if prediction is not None:
            problems += self.compare(prediction, error, got, foreseen, truth)
            told = report.prediction.assigned if report.prediction is not None else len(got)
            if told != len(got) and prediction["outcome"] != "unknown":
                problems.append(f"report says {told} overwritten, Keras overwrote {len(got)}")
        elif error is None:
            problems.append(f"no prediction, and Keras {real}")
        problems += self.severity(report, error, truth, self.truth(ours, v3), options)
        if self.own:  # what a class loads by code of its own nobody foresees
            problems = [p for p in problems if not p.startswith(_OWN) and "overw" not in p and "other pairs" not in p]
        noise = []
        if error is None and not truth.left and not truth.wrong and not truth.doubtful:
            noise = [f"{f.code} {f.slug}" for f in report.warnings]
        text = f"{error!r:.300}\n{report.render(concise=True)}" if problems else ""
        return Record(case, real, predicted, decidable, problems, noise, text)

    def compare(
        self,
        prediction: dict[str, Any],
        error: Exception | None,
        got: dict[int, float],
        foreseen: dict[int, float],
        truth: Truth,
    ) -> list[str]:
        """How the prediction differs from what Keras did."""
        outcome = prediction["outcome"]
        if outcome == "unknown":
            text = "a type that is not a number's" in prediction["reason"]  # what converts depends on the values
            return [] if text else [f"unknown: {prediction['reason']}"]
        if (error is not None) != (outcome == "raises"):
            return [f"predicted {outcome}, Keras: {error!r:.200}" if error else f"predicted raises, {truth.outcomes}"]
        problems = []
        if error is not None:
            if type(error).__name__ != prediction["error_type"]:
                problems.append(f"predicted {prediction['error_type']}, Keras: {error!r:.200}")
            elif not str(error).startswith(prediction["error_prefix"]):
                problems.append(f"predicted text {prediction['error_prefix']!r}, Keras: {str(error)!r:.200}")
            elif prediction["inner_prefix"] and prediction["inner_prefix"] not in str(error):
                problems.append(f"predicted inner {prediction['inner_prefix']!r}, Keras: {str(error)!r:.300}")
        elif outcome not in truth.outcomes:
            problems.append(f"predicted {outcome}, really {sorted(truth.outcomes)}")
        if len(got) != len(foreseen):
            problems.append(f"predicted {len(foreseen)} overwritten, Keras overwrote {len(got)}")
        elif got != foreseen:
            problems.append("predicted other pairs")
        return problems

    def severity(
        self, report: Any, error: Exception | None, truth: Truth, ours: Truth, options: dict[str, Any]
    ) -> list[str]:
        """Loads that go wrong in silence, and right ones that are refused."""
        problems = []
        loud = bool(report.errors or report.warnings)
        bad = truth.wrong or truth.left
        if error is None and bad and not loud:
            problems.append(f"silent: wrong {truth.wrong[:3]}, left {truth.left[:3]}")
        if error is None and truth.right and not bad and not truth.doubtful and report.errors:
            problems.append(f"refused a right load: {[f.code for f in report.errors]}")
        if report.ok and ours.wrong:
            problems.append(f"ok, and would assign wrong: {ours.wrong[:3]}")
        if report.ok and ours.left and not loud:
            problems.append(f"ok without a warning, and would leave {ours.left[:3]}")
        if report.ok and ours.left and not options:
            problems.append(f"ok, and would leave {ours.left[:3]}")
        return problems

    def assign(self, options: dict[str, Any], report: Any, ours: dict[int, float]) -> list[str]:
        """What kwload's own load does: what it said, or nothing."""
        try:
            kwload.load_weights(self.built.model, str(self.path), **options)
        except WeightsError:
            changed = self.held()
            if report.ok:
                return ["ok, and kwload.load_weights refuses"]
            return [f"refused, and {len(changed)} variables changed"] if changed else []
        except Exception as caught:  # noqa: BLE001  (a crash is a finding)
            if self.own and not self.held():  # the layer's own code raised, and nothing was changed
                return []
            return [f"kwload.load_weights fails: {caught!r:.200}"]
        if not report.ok:
            return ["not ok, and kwload.load_weights loads"]
        held = self.held()
        return [] if held == ours else [f"kwload.load_weights put {len(held)} values, its plan has {len(ours)}"]
