"""Finds libhdf5, libdeflate and libxxhash for setup.py, the C tests (`--cflags`, `--libs`), bootstrap.sh (`--missing`).

Looked for in this order: the prefix that HDF5_DIR names, pkg-config, the active conda environment.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Native:
    """A C library: its `-l` name, a header that proves it is there, its pkg-config modules and Debian's package."""

    name: str
    header: str
    modules: tuple[str, ...]
    package: str


@dataclass
class Place:
    """Where a library was found."""

    include_dirs: list[str] = field(default_factory=list)
    library_dirs: list[str] = field(default_factory=list)
    # Prefixes that the dynamic loader does not search by itself.
    runtime_dirs: list[str] = field(default_factory=list)


# Where both builds of HDF5 are installed, plain `hdf5` may be the MPI one, whose header asks for mpi.h.
LIBRARIES = (
    Native("hdf5", "hdf5.h", ("hdf5-serial", "hdf5"), "libhdf5-dev"),
    Native("deflate", "libdeflate.h", ("libdeflate",), "libdeflate-dev"),
    Native("xxhash", "xxhash.h", ("libxxhash",), "libxxhash-dev"),
)


def _in_prefix(library: Native, variable: str) -> Place | None:
    prefix = os.environ.get(variable)
    if not prefix or not Path(prefix, "include", library.header).is_file():
        return None
    # Debian's /usr/lib/<arch>/hdf5/serial has its libraries beside include/, not in a lib/.
    candidates = [str(Path(prefix, name)) for name in ("lib", "lib64", "")]
    found = [folder for folder in candidates if any(Path(folder).glob(f"lib{library.name}.*"))]
    return Place([str(Path(prefix, "include"))], found, found) if found else None


def _by_pkg_config(library: Native) -> Place | None:
    command = os.environ.get("PKG_CONFIG", "pkg-config")
    for module in library.modules:
        try:
            answer = subprocess.run([command, "--cflags", "--libs", module], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        flags = shlex.split(answer.stdout)
        return Place(
            [flag[2:] for flag in flags if flag.startswith("-I")], [flag[2:] for flag in flags if flag.startswith("-L")]
        )
    return None


def find(library: Native) -> Place | None:
    """Where `library` is, or None."""
    return _in_prefix(library, "HDF5_DIR") or _by_pkg_config(library) or _in_prefix(library, "CONDA_PREFIX")


def find_all() -> Place:
    """Where all libraries are, joined; exits with one sentence when one is missing."""
    places = [find(library) for library in LIBRARIES]
    missing = [library for library, place in zip(LIBRARIES, places, strict=True) if place is None]
    if missing:
        names = " and ".join(f"lib{library.name}" for library in missing)
        packages = " ".join(library.package for library in missing)
        sys.exit(
            f"kwload: {names} with headers not found: install pkg-config {packages} (the names on Debian and Ubuntu;"
            " Homebrew and conda-forge: pkg-config hdf5 libdeflate xxhash), or set HDF5_DIR to the folder"
            " of include/ and lib/"
        )
    joined = Place()
    for place in places:
        if place is not None:
            joined.include_dirs += place.include_dirs
            joined.library_dirs += place.library_dirs
            joined.runtime_dirs += place.runtime_dirs
    return joined


def main(wanted: str) -> None:
    """Prints what bootstrap.sh (`--missing`) or a makefile (`--cflags`, `--libs`) asks for, on one line."""
    if wanted == "--missing":
        packages = [library.package for library in LIBRARIES if find(library) is None]
        print(*(["pkg-config", *packages] if packages else []))
        return
    place = find_all()
    if wanted == "--cflags":
        print(*(f"-isystem{folder}" for folder in place.include_dirs))
    elif wanted == "--libs":
        print(
            *(f"-L{folder}" for folder in place.library_dirs),
            *(f"-Wl,-rpath,{folder}" for folder in place.runtime_dirs),
            *(f"-l{library.name}" for library in LIBRARIES),
        )
    else:
        sys.exit(f"unknown option {wanted}")


if __name__ == "__main__":
    main(sys.argv[1])
