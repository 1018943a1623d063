"""Checks files against architectures where Keras cannot be imported: a line of JSON for each pair of arguments."""

import json
import sys

for name in ("keras", "tf_keras", "tensorflow", "torch", "jax", "h5py"):
    sys.modules[name] = None  # type: ignore[assignment]

import kwload  # noqa: E402

for target, path in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    report = kwload.check(target, path)
    counts, codes = dict(report.counts), [item.code for item in report.findings]
    assert report.prediction is not None
    print(json.dumps({"ok": report.ok, "outcome": report.prediction.outcome, "codes": codes, "counts": counts}))
assert not {"rich", "click", "kwload.spec.live", "kwload.report.versions"} & set(sys.modules)
