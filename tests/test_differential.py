"""The HDF5 reader against libhdf5, on every HDF5 file of the corpus that libhdf5 reads: tree, links, attributes, shapes
and bytes are the same, but for what is listed with its reason in differential.txt."""

from __future__ import annotations

import os
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import seeds
from real_files import CORPUS, corpus_files

HERE = Path(__file__).parent
ROOT = HERE.parent
SIGNATURE = b"\x89HDF\r\n\x1a\n"
LARGEST = 30_000_000
FOLDERS = ("hdf5-official", "hdf5-other-writers", "keras-real", "keras-by-version", "keras-made", "hdf5-malformed")


def is_hdf5(path: Path) -> bool:
    if path.stat().st_size > LARGEST:
        return False
    with path.open("rb") as file:
        head = file.read(8200)
    return any(head[at : at + 8] == SIGNATURE for at in (0, 512, 1024, 2048, 4096, 8192))


def lines_of(command: list[str], files: list[Path]) -> dict[str, list[str]]:
    """What a program prints of each file; of one that ends it, that it did."""
    found: dict[str, list[str]] = {}
    todo = [str(path) for path in files]
    while todo:
        ended = subprocess.run(
            [*command, *todo], check=False, capture_output=True, text=True, errors="surrogateescape", timeout=300
        )
        now = ""
        for line in ended.stdout.split("\n"):
            if line.startswith("file "):
                now = line[5:]
                found[now] = []
            elif line:
                found[now].append(line)
        if ended.returncode == 0:
            break
        assert now, ended.stderr[-2000:]
        found[now] = [f"fault {ended.returncode}"]
        todo = todo[todo.index(now) + 1 :]
    return found


def reviewed() -> list[list[str]]:
    rows = [line.split(" | ") for line in (HERE / "differential.txt").read_text().splitlines()]
    return [row for row in rows if not row[0].startswith("#")]


def path_of(line: str) -> str:
    return line.split(" ")[1]


def differences(ours: list[str], theirs: list[str]) -> list[str]:
    """What libhdf5 reads and the reader does not, or otherwise; what the reader has beside it, where libhdf5 did not
    fail before."""
    if any(line.startswith("fault ") for line in theirs):
        return []
    lost = {path_of(line) for line in theirs if " fault " in line}
    here, there = set(ours), set(theirs)
    found = [f"h5py {line}" for line in there - here if " fault " not in line]
    for line in here - there:
        path = path_of(line)
        below = any(path == other or path.startswith(f"{other}/") for other in lost)
        if not below and " fault " not in line:
            found.append(f"ours {line}")
    return sorted(found)


@pytest.fixture(scope="module")
def dump() -> list[str]:
    made = ["make", "-s", "-f", "tests/c/Makefile", f"PY={sys.executable}", "dump"]
    subprocess.run(made, cwd=ROOT, check=True, env={**os.environ, "KWLOAD_WERROR": ""})
    return [str(ROOT / "build" / "c" / "plain" / "dump")]


def check(dump: list[str], files: list[Path]) -> int:
    ours, theirs = lines_of(dump, files), lines_of([sys.executable, str(HERE / "hdf5_oracle.py")], files)
    known = reviewed()
    compared = 0
    for path in map(str, files):
        assert "fault -" not in str(ours[path]), f"{path}: the reader crashed"
        compared += not any(line.startswith("fault ") for line in theirs[path])
        for line in differences(ours[path], theirs[path]):
            assert any(fnmatchcase(path, row[0]) and fnmatchcase(line, row[1]) for row in known), (path, line)
    return compared


def test_small_files_of_every_structure(dump: list[str], tmp_path: Path) -> None:
    files = [path for path in seeds.write(tmp_path) if is_hdf5(path)]
    assert check(dump, files) == len(files)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="THE CORPUS IS ABSENT")
def test_the_corpus(dump: list[str]) -> None:
    files = [path for path in corpus_files(*FOLDERS) if is_hdf5(path)]
    assert check(dump, files) > 600
