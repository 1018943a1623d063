"""Builds the one extension, kwload._core; everything else about the package is in pyproject.toml.

KWLOAD_WERROR=1 makes a compiler warning an error; KWLOAD_SANITIZE=1 builds with AddressSanitizer and UBSan;
KWLOAD_COVERAGE=1 counts the lines that run.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).parent / "scripts"))
import native

# The core is plain C; only the binding may see Python, and NumPy's headers.
CORE = ("base", "read", "plan", "value", "write")
BINDING = "python"

FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O3", "-fvisibility=hidden", "-pthread", "-Icsrc"]
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wshadow",
    "-Wconversion",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wvla",
]
# Asserts stay in a sanitized build, and the C library's own checks, which hide errors from the sanitizer, go.
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
SANITIZE_FLAGS = ["-O1", "-g", "-fno-omit-frame-pointer", "-UNDEBUG", "-U_FORTIFY_SOURCE"]
COVERAGE = ["--coverage"]
COVERAGE_FLAGS = ["-O0", "-fprofile-update=atomic"]

# A free-threaded interpreter before 3.15 has no limited API.
LIMITED_API = not sysconfig.get_config_var("Py_GIL_DISABLED")


def is_set(variable: str) -> bool:
    """True if the environment variable is there and neither empty nor 0."""
    return os.environ.get(variable, "") not in ("", "0")


class BuildCore(build_ext):
    """Compiles each room with its own flags, in parallel, and only what changed."""

    def build_extension(self, ext: Extension) -> None:
        """Overrides setuptools' way of giving all files of an extension the same flags."""
        place = native.find_all()
        instrument: list[str] = []
        common = FLAGS + WARNINGS
        for variable, both, compiling in (
            ("KWLOAD_SANITIZE", SANITIZE, SANITIZE_FLAGS),
            ("KWLOAD_COVERAGE", COVERAGE, COVERAGE_FLAGS),
        ):
            if is_set(variable):
                instrument += both
                common += both + compiling
        if is_set("KWLOAD_WERROR"):
            common.append("-Werror")
        flags = {room: common + system(place.include_dirs) for room in CORE}
        # The slots of the C API are void pointers that hold functions, which ISO C does not know.
        flags[BINDING] = [flag for flag in common if flag != "-Wpedantic"] + [
            "-DNPY_NO_DEPRECATED_API=NPY_1_23_API_VERSION",
            "-DNPY_TARGET_VERSION=NPY_1_23_API_VERSION",
            *(["-DPy_LIMITED_API=0x030B0000"] if LIMITED_API else []),
            *system([numpy.get_include(), *self.compiler.include_dirs]),
        ]

        def compile_one(source: str) -> str:
            return self.compile_source(source, flags[Path(source).parent.name])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compile_one, ext.sources))
        self.compiler.link_shared_object(
            objects,
            self.get_ext_fullpath(ext.name),
            libraries=[library.name for library in native.LIBRARIES] + ["m"],
            library_dirs=place.library_dirs,
            runtime_library_dirs=place.runtime_dirs,
            export_symbols=self.get_export_symbols(ext),
            extra_postargs=["-pthread", *instrument],
        )

    def compile_source(self, source: str, flags: list[str]) -> str:
        """The path of the object of `source`, compiled unless one of the same flags is newer than all it includes."""
        command = [*self.compiler.compiler_so, *flags, numpy.__version__]
        # What gcov writes beside an object counts, so its folder is one that can be emptied.
        kind = "coverage" if is_set("KWLOAD_COVERAGE") else "objects"
        folder = Path("build", kind, hashlib.sha256(shlex.join(command).encode()).hexdigest()[:12])
        target = folder / Path(source).with_suffix(".o")
        if self.force or not is_fresh(target):
            self.compiler.compile([source], output_dir=str(folder), extra_postargs=["-MMD", *flags])
        return str(target)


def system(folders: list[str]) -> list[str]:
    """Flags that search `folders` for other people's headers, whose warnings are not ours."""
    return [f"-isystem{folder}" for folder in folders]


def is_fresh(target: Path) -> bool:
    """True if `target` is newer than every file that the compiler's dependency file names."""
    try:
        rule = target.with_suffix(".d").read_text().replace("\\\n", " ")
        made = target.stat().st_mtime
        return all(os.stat(name).st_mtime < made for name in shlex.split(rule.partition(":")[2]))
    except OSError:
        return False


def headers() -> list[str]:
    """What the sources include, and this file: in the source distribution they belong to the extension."""
    return [*sorted(map(str, Path("csrc").rglob("*.h"))), "scripts/native.py"]


setup(
    ext_modules=[
        Extension(
            "kwload._core",
            sources=sorted(str(path) for room in (*CORE, BINDING) for path in Path("csrc", room).glob("*.c")),
            depends=headers(),
            py_limited_api=LIMITED_API,
        )
    ],
    cmdclass={"build_ext": BuildCore},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED_API else {},
)
