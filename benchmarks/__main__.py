"""Measures every claim, prints one table and writes it into README.md.

`python -m benchmarks listing small` measures some and only prints.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks import architecture, compressed, failing, groups, importing, large, listing, small, values
from benchmarks.measure import Row, in_fresh_process

# A claim: what makes its files, and what measures it.
CLAIMS = {
    "listing": (listing.prepare, [listing.measure]),
    "groups": (groups.prepare, [groups.measure]),
    "compressed": (compressed.prepare, [compressed.measure]),
    "large": (large.prepare, [large.measure_opening, large.measure_loading]),
    "small": (small.prepare, [small.measure]),
    "values": (values.prepare, [values.measure]),
    "failing": (failing.prepare, [failing.measure]),
    "architecture": (architecture.prepare, [architecture.measure]),
    "importing": (importing.prepare, [importing.measure]),
}
BEGIN, END = "<!-- written by `make bench` -->", "<!-- end -->"


def machine() -> str:
    """What the numbers were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        cpu = names[0] if names else cpu
    packages = ("kwload", "keras", "tensorflow", "h5py", "safetensors", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{cpu}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}"


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| claim | compared with | kwload | target | measured | |", "|---|---|---|---|---|---|"]
    for row in rows:
        verdict = "met" if row.met else "**missed**"
        lines.append(f"| {row.claim} | {row.peer} | {row.ours} | {row.target} | {row.measured} | {verdict} |")
    return "\n".join(lines)


def main(wanted: list[str]) -> int:
    """0 if every claim that was measured is met."""
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    rows: list[Row] = []
    for name in wanted or CLAIMS:
        prepare, measures = CLAIMS[name]
        print(f"measuring {name} ...", file=sys.stderr)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            in_fresh_process(prepare, folder)
            for measure in measures:
                rows += in_fresh_process(measure, folder)
    report = f"{machine()}\n\n{table(rows)}"
    print(report)
    if not wanted:
        page = Path(__file__).with_name("README.md")
        before, _, rest = page.read_text().partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{report}\n{END}{rest.partition(END)[2]}")
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
