"""Collects which classes and constructor keys each release of Keras knows: writes kwload/versions/classes.txt.

    python scripts/keras_classes.py KERAS TF_KERAS > kwload/versions/classes.txt

KERAS and TF_KERAS are git directories of keras-team/keras and keras-team/tf-keras with their tags. The source of each
release is read, never imported; the form of the lines is explained in kwload/versions/classes.py.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

Version = tuple[int, int, int]
Place = tuple[str, str]
"""Module and name of a class."""

KERAS_2 = ("v2.6.0", "v2.7.0", "v2.8.0", "v2.9.0", "v2.10.0", "v2.11.0", "v2.12.0", "v2.13.1", "v2.14.0", "v2.15.0")
SPACES = [
    "layers",
    "models",
    "initializers",
    "regularizers",
    "constraints",
    "optimizers",
    "optimizers.schedules",
    "optimizers.legacy",
    "optimizers.experimental",
    "losses",
    "metrics",
    "quantizers",
    "dtype_policies",
    "mixed_precision",
    "random",
    "activations",
]
FUNCTIONS = [
    "activations",
    "losses",
    "metrics",
    "ops",
    "ops.numpy",
    "ops.nn",
    "layers",
    "initializers",
    "constraints",
    "regularizers",
]
TOP = ("keras.Model", "keras.Sequential", "keras.Variable")
LEFT_OUT = re.compile(r"_test|benchmark|integration|/api/|/tests/|legacy_tf_layers|estimator|datasets|/testing|tools")
BASES = {
    3: ["activity_regularizer", "trainable", "dtype", "autocast", "name", "~input_dim", "~input_shape"],
    2: [
        "trainable",
        "name",
        "dtype",
        "dynamic",
        "~activity_regularizer",
        "~autocast",
        "~batch_input_shape",
        "~batch_size",
        "~implementation",
        "~input_dim",
        "~input_shape",
        "~weights",
    ],
}


@dataclass
class Found:
    """A class of one release: its name, its keys (required or not), those that it pops, who ends ``from_config``."""

    name: str
    keys: dict[str, bool]
    pops: list[str]
    ends: str


@dataclass
class Source:
    """The parsed modules of one release."""

    trees: dict[str, ast.Module]
    classes: dict[Place, ast.ClassDef] = field(default_factory=dict)
    imports: dict[str, dict[str, Place]] = field(default_factory=dict)
    by_name: dict[str, list[Place]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for module, tree in self.trees.items():
            names = self.imports.setdefault(module, {})
            inner = [item for node in tree.body if isinstance(node, (ast.If, ast.Try)) for item in node.body]
            for node in [*tree.body, *inner]:
                if isinstance(node, ast.ImportFrom) and node.module:
                    names |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
                elif isinstance(node, ast.ClassDef):
                    self.classes[module, node.name] = node
                elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
                    for target in node.targets:
                        if isinstance(target, ast.Name):
                            names.setdefault(target.id, ("", node.value.id))
        for place in self.classes:
            self.by_name.setdefault(place[1], []).append(place)

    def resolve(self, module: str, name: str, depth: int = 0) -> Place | None:
        """The class that a name means in a module, through imports and plain assignments."""
        if (module, name) in self.classes:
            return module, name
        origin = self.imports.get(module, {}).get(name)
        if origin is None or depth > 6:
            return None
        if origin[0] == "":
            return self.resolve(module, origin[1], depth + 1)
        return self.resolve(*origin, depth + 1)

    def base(self, module: str, node: ast.expr) -> Place | None:
        if isinstance(node, ast.Name):
            return self.resolve(module, node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            origin = self.imports.get(module, {}).get(node.value.id)
            found = self.resolve(".".join(origin), node.attr) if origin else None
            alike = [place for place in self.by_name.get(node.attr, []) if "_v1" not in place[0]]
            return found or (alike[0] if len(alike) == 1 else None)
        return None

    def lineage(self, place: Place, above: tuple[Place, ...] = ()) -> list[Place]:
        """The class and its bases, depth first."""
        line = [place]
        for node in self.classes[place].bases:
            base = self.base(place[0], node)
            if base is not None and base not in (*above, place):
                line += [each for each in self.lineage(base, (*above, place)) if each not in line]
        return line

    def method(self, place: Place, name: str) -> ast.FunctionDef | None:
        for node in self.classes[place].body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return node
        return None


def read(repository: str, tag: str) -> Source:
    """The modules of a release, out of git."""
    packed = subprocess.run(["git", "-C", repository, "archive", tag], capture_output=True, check=True).stdout
    trees = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = {member.name: member for member in archive if member.name.endswith(".py")}
        package = "tf_keras" if any(name.startswith("tf_keras/") for name in members) else "keras"
        inside = f"{package}/src/" if any(name.startswith(f"{package}/src/") for name in members) else f"{package}/"
        for name, member in members.items():
            held = archive.extractfile(member)
            if name.startswith(inside) and not LEFT_OUT.search(name) and held is not None:
                trees[name[:-3].replace("/", ".").removesuffix(".__init__")] = ast.parse(held.read())
    return Source(trees)


def exports(node: ast.ClassDef | ast.FunctionDef) -> Iterator[str]:
    """The public names of a class or function: what its ``keras_export`` says."""
    for mark in node.decorator_list:
        called = mark.func if isinstance(mark, ast.Call) else None
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if isinstance(mark, ast.Call) and name in ("keras_export", "tf_export"):
            for argument in mark.args:
                try:
                    value = ast.literal_eval(argument)
                except ValueError:
                    continue
                yield from [value] if isinstance(value, str) else value


def constructor(source: Source, place: Place) -> tuple[dict[str, bool], list[str]]:
    """The keys of a class's constructor and of those that it hands ``**kwargs`` to; and those that they pop."""
    keys: dict[str, bool] = {}
    pops: set[str] = set()
    first = True
    for each in source.lineage(place):
        made = source.method(each, "__init__")
        if made is None:
            continue
        names = [*made.args.posonlyargs, *made.args.args]
        plain = len(names) - len(made.args.defaults)
        for number, argument in enumerate(names[1:], 1):
            keys.setdefault(argument.arg, first and number < plain)
        for argument, default in zip(made.args.kwonlyargs, made.args.kw_defaults, strict=True):
            keys.setdefault(argument.arg, first and default is None)
        first = False
        rest = made.args.kwarg.arg if made.args.kwarg else None
        if rest is None:
            break
        pops |= set(popped(made, rest))
        passed = (word for node in ast.walk(made) if isinstance(node, ast.Call) for word in node.keywords)
        if not any(word.arg is None and getattr(word.value, "id", "") == rest for word in passed):
            break
    return keys, sorted(pops - set(keys))


def popped(made: ast.FunctionDef, rest: str) -> Iterator[str]:
    """The keys that a constructor looks for in its ``**kwargs``, or lists as allowed there."""
    for node in ast.walk(made):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("pop", "get"):
            if getattr(node.func.value, "id", "") == rest and node.args and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value
        elif isinstance(node, ast.Compare) and isinstance(node.left, ast.Constant):
            if any(getattr(other, "id", "") == rest for other in node.comparators):
                yield node.left.value
        elif isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == rest:
            if isinstance(node.slice, ast.Constant):
                yield node.slice.value
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Set) and is_allowed(node):
            yield from (item.value for item in node.value.elts if isinstance(item, ast.Constant))


def is_allowed(node: ast.Assign) -> bool:
    """Whether a set is one of ``allowed_kwargs``."""
    return any("allowed" in getattr(target, "id", "") for target in node.targets)


def ending(source: Source, place: Place) -> str:
    """How ``from_config`` ends: in Operation's or Layer's, which wraps errors, in one of its own, or none."""
    for each in source.lineage(place):
        made = source.method(each, "from_config")
        if made is not None:
            above = any(getattr(getattr(node, "func", None), "id", "") == "super" for node in ast.walk(made))
            return "wrapped" if each[1] in ("Operation", "Layer") or above else "own"
    return "-"


def collect(source: Source) -> tuple[dict[str, Found], set[str]]:
    """The classes of a release by public name (``ops:`` for operations, which have none), and its functions."""
    classes: dict[str, Found] = {}
    for place, node in source.classes.items():
        names = [name.removeprefix("keras.") for name in exports(node) if is_kept(name)]
        module = re.sub(r"^keras\.(src\.)?", "", place[0])
        if not list(exports(node)) and ("ops." in module or module.startswith("applications.")):
            names = [f"ops:{module}.{place[1]}"] * any(each[1] == "Operation" for each in source.lineage(place))
        if names:
            classes |= dict.fromkeys(names, Found(place[1], *constructor(source, place), ending(source, place)))
    nodes = (node for tree in source.trees.values() for node in tree.body if isinstance(node, ast.FunctionDef))
    functions = {name.removeprefix("keras.") for node in nodes for name in exports(node) if name.startswith("keras.")}
    return classes, {name for name in functions if name.rpartition(".")[0] in FUNCTIONS}


def is_kept(name: str) -> bool:
    return name in TOP or (name.startswith("keras.") and name[6:].rpartition(".")[0] in SPACES)


def short(version: Version) -> str:
    return ".".join(map(str, version if version[2] else version[:2]))


def spans(present: Iterable[Version], releases: list[Version]) -> list[tuple[int, int]]:
    """Runs of releases, as indices."""
    there = set(present)
    starts = [i for i, release in enumerate(releases) if release in there and (i == 0 or releases[i - 1] not in there)]
    ends = [next((j for j in range(i, len(releases)) if releases[j] not in there), len(releases)) for i in starts]
    return list(zip(starts, ends, strict=True))


def marks(present: Iterable[Version], life: list[Version]) -> list[str]:
    """``@3.2:3.9`` for each run of a key within the life of its class; nothing for all of it."""
    return [
        (f"@{short(life[a])}" if a else "") + (f":{short(life[b])}" if b < len(life) else "")
        for a, b in spans(present, life)
    ]


def words(by: dict[Version, Found], major: int) -> Iterator[str]:
    """The keys of a class over its releases."""
    life = sorted(by)
    order = dict.fromkeys(key for release in reversed(life) for key in by[release].keys)
    pops = sorted({key for release in life for key in by[release].pops} - set(order))
    rows = {}
    for key in order:
        present = [release for release in life if key in by[release].keys or key in by[release].pops]
        rows[key + "!" * by[life[-1]].keys.get(key, False)] = marks(present, life)
    for key in pops:
        rows[f"~{key}"] = marks([release for release in life if key in by[release].pops], life)
    if all(rows.get(key) == [""] for key in BASES[major]):
        yield "%"
        rows = {key: row for key, row in rows.items() if key not in BASES[major]}
    yield from (key + mark for key, row in rows.items() for mark in row)


def line(by: dict[Version, Found], releases: list[Version], major: int) -> str:
    life = sorted(by)
    last = by[life[-1]]
    name = last.name
    changed = [b for a, b in pairwise(life) if by[a].name != by[b].name]
    if len(changed) == 1:
        name = f"{by[life[0]].name}:{short(changed[0])}:{name}"
    runs = spans(life, releases)
    when = ",".join(
        f"{short(releases[a]) if a else ''}-{short(releases[b]) if b < len(releases) else ''}" for a, b in runs
    )
    return " ".join([name, when, last.ends, *words(by, major)])


Collected = tuple[dict[str, Found], set[str]]


def table(major: int, collected: dict[Version, Collected]) -> Iterator[str]:
    """The lines of one line of Keras."""
    releases = sorted(collected)
    classes: dict[str, dict[Version, Found]] = {}
    functions: dict[str, list[Version]] = {}
    for release in releases:
        found, named = collected[release]
        for name, each in found.items():
            classes.setdefault(name, {})[release] = each
        for name in named:
            functions.setdefault(name, []).append(release)
    same: dict[str, list[str]] = {}
    for name, by in classes.items():
        same.setdefault(line(by, releases, major), []).append(name)
    yield "# releases " + " ".join(".".join(map(str, release)) for release in releases)
    yield from sorted(f"{'|'.join(sorted(names))} {text}" for text, names in same.items())
    for space in sorted({name.rpartition(".")[0] for name in functions}):
        leaves = (name for name in functions if name.rpartition(".")[0] == space)
        yield f"= {space} " + " ".join(
            sorted(name.rpartition(".")[2] + ",".join(marks(functions[name], releases)) for name in leaves)
        )


def tags(repository: str, begin: str) -> list[str]:
    listed = subprocess.run(["git", "-C", repository, "tag"], capture_output=True, text=True, check=True).stdout.split()
    return [tag for tag in listed if re.fullmatch(rf"{begin}[\d.]+", tag)]


def version_of(tag: str) -> Version:
    major, minor, patch = (int(part) for part in tag.removeprefix("v").split("."))
    return major, minor, patch


def main(keras: str, tf_keras: str) -> None:
    new = {version_of(tag): collect(read(keras, tag)) for tag in tags(keras, "v3.")}
    print("\n".join(table(3, new)))
    old = {version_of(tag): collect(read(keras, tag)) for tag in KERAS_2}
    old |= {version_of(tag): collect(read(tf_keras, tag)) for tag in tags(tf_keras, "v2.") if tag != "v2.15.0"}
    print("\n".join(table(2, old)))


if __name__ == "__main__":
    main(*sys.argv[1:3])
