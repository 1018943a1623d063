"""Where probes are asked for: when a file is stamped, when its weights were loaded, when it is verified.

A probe speaks of a model with the weights of the file, so a model with others is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kwload.report.finding import Finding, Report
from kwload.report.probed import not_run, probe_finding, unusable_probe
from kwload.stamps import probe as probes
from kwload.stamps import stamp as stamps
from kwload.stamps.domains import ProbeError
from kwload.stamps.probe import Probe
from kwload.stamps.sidecar import SidecarError


@dataclass(frozen=True, slots=True)
class Probing:
    """A probe that is to be run again.

    Attributes
    ----------
    path : str
        The weight file.
    sidecar : str
        Its stamp.
    then : Probe
        What the stamp holds.
    asked : True or inputs
        As the call has it.
    """

    path: str
    sidecar: str
    then: Probe
    asked: Any

    def run(self, model: Any) -> Finding:
        """Runs the model; what came out."""
        try:
            return probe_finding(self.path, self.sidecar, probes.hold(model, self.then, self.asked))
        except ProbeError as error:
            return not_run(self.path, str(error))


def find(path: str, sidecar: str, asked: Any) -> Probing | Finding:
    """The probe in the stamp of a file; else the finding that says why there is none to run."""
    try:
        made = stamps.load(sidecar)
    except FileNotFoundError:
        return unusable_probe(path, sidecar, "the file has no stamp")
    except OSError as error:
        return unusable_probe(path, sidecar, error.strerror or type(error).__name__)
    except SidecarError as error:
        return unusable_probe(path, sidecar, str(error))
    if made.probe is None:
        return unusable_probe(path, sidecar, "the stamp was made without one")
    return Probing(path, sidecar, made.probe, asked)


def make(model: Any, path: str, asked: Any) -> Probe:
    """The probe of a model with the weights of a file.

    Raises
    ------
    ProbeError
        It has others, or cannot be probed as asked.
    """
    _need_weights(model, path)
    return probes.make(model, asked)


def verified(report: Report, model: Any, path: str, sidecar: str, asked: Any) -> Report:
    """The report of a file with what a model with its weights computes."""
    found = find(path, sidecar, asked)
    if isinstance(found, Probing):
        try:
            _need_weights(model, path)
        except ProbeError as error:
            return with_finding(report, not_run(path, str(error)))
        found = found.run(model)
    return with_finding(report, found)


def with_finding(report: Report, found: Finding) -> Report:
    """The report with one finding more, in its place."""
    order = ("error", "warning", "note")
    findings = sorted((*report.findings, found), key=lambda item: order.index(item.severity))
    counts = {**report.counts, f"{found.severity}s": report.counts.get(f"{found.severity}s", 0) + 1}
    return replace(report, findings=tuple(findings), counts=counts)


def _need_weights(model: Any, path: str) -> None:
    """Raises ProbeError for a model that does not hold the values of the file."""
    from kwload import api, assign, conversions

    examined = api.examine(model, path, api.Call(values=False, stamp=False))
    file, plan = examined.file, examined.plan
    if file is None or plan is None:
        raise ProbeError("the file does not fit the model")
    order = assign.order(examined.model, file, plan)
    arrays = conversions.convert(plan, order.targets, file.fetch(order.rows, threads=api.THREADS))
    ways = assign._Ways(examined.model.keras.backend, examined.model.keras.flavour)
    for variable, array in zip(order.variables, arrays, strict=False):
        kept = ways.kept(variable)
        now = np.asarray(_plain(kept.way.read(kept.target)))
        then = np.asarray(array)
        if now.dtype != then.dtype and then.dtype.kind in "biufc" and now.dtype.kind in "biufc":
            with np.errstate(all="ignore"):
                then = then.astype(now.dtype)
        if now.shape != then.shape or now.tobytes() != then.tobytes():
            raise ProbeError("the model does not hold the weights of the file: load them first")


def _plain(value: Any) -> Any:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            import ml_dtypes

            return value.view(_torch_int16()).numpy().view(ml_dtypes.bfloat16)
    return value.numpy() if hasattr(value, "numpy") else value


def _torch_int16() -> Any:
    import sys

    return sys.modules["torch"].int16
