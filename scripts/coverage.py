"""Which lines of the core run in the tests and on the corpus, from what gcov counted.

``python scripts/coverage.py FOLDER...`` prints the share of each room, and by function the lines that did not run, but
for those that ``tests/c/uncovered.md`` explains; it ends with 1 when a room has less than 97 %.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

ROOMS = ("base", "read", "plan")
LEAST = 97.0
REVIEWED = Path("tests/c/uncovered.md")

Place = tuple[str, str]
"""A file and a function in it."""


def count(folders: list[str]) -> dict[tuple[str, int], tuple[str, bool]]:
    """(file, line) -> (function, whether it ran)."""
    rooms = f"csrc/({'|'.join(ROOMS)})/"
    command = [sys.executable, "-m", "gcovr", "--root", ".", "--filter", rooms, "--json", "-", "-j", "2", *folders]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    lines: dict[tuple[str, int], tuple[str, bool]] = {}
    for file in report["files"]:
        for line in file["lines"]:
            # A header's line stands once for each object that it is part of.
            key = (file["file"], line["line_number"])
            ran = line["count"] > 0 or lines.get(key, ("", False))[1]
            lines[key] = (line.get("function_name", ""), ran)
    return lines


def reviewed() -> set[Place]:
    """The functions of which the list says why some lines do not run."""
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", REVIEWED.read_text(), re.MULTILINE)
    return {(f"csrc/{file}", function) for file, function in rows}


def ranges(numbers: Iterable[int]) -> str:
    """1-3, 7"""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)


def main() -> int:
    """Prints the report; the exit status."""
    lines = count(sys.argv[1:])
    missed: dict[Place, list[int]] = defaultdict(list)
    for (file, line), (function, ran) in lines.items():
        if not ran:
            missed[file, function].append(line)
    known = reviewed()
    for (file, function), numbers in sorted(missed.items()):
        if (file, function) not in known:
            print(f"{file}: {function}: {ranges(numbers)}")
    for file, function in sorted(known - missed.keys()):
        print(f"{REVIEWED}: all of {function} of {file} runs")
    explained = sum(len(numbers) for place, numbers in missed.items() if place in known)
    print(f"coverage: {explained} lines that do not run are explained in {REVIEWED}")
    short = False
    for room in ROOMS:
        of_room = [ran for (file, _), (_, ran) in lines.items() if file.startswith(f"csrc/{room}/")]
        share = 100 * sum(of_room) / max(len(of_room), 1)
        short = short or share < LEAST
        print(f"coverage: {share:.1f} % of {len(of_room)} lines of csrc/{room}")
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
