"""A manifest: what a live model wants of a weight file, as data that needs no Keras.

    live model --describe (twice)--> variables + the list of layers + the graph of objects --> JSON
    JSON ---------------------------------------------------------------------------------> spec.described.Model

Two families of layouts see a model in two ways (``kwload/spec/live.py``); both are stored as they are, so that a check
against the manifest is the check against the model.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kwload.spec.described import V3_LAYOUTS, Edge, Flag, Group, Keras, Model, Node, Variable
from kwload.stamps import sidecar
from kwload.stamps.fingerprint import Fingerprint
from kwload.stamps.layers import Code
from kwload.stamps.sidecar import SidecarError, need

_V3: Final = "keras-3"
_LEGACY: Final = "legacy"
_FLAGS: Final = {str(flag.name).lower(): int(flag) for flag in Flag}


@dataclass(frozen=True, slots=True)
class Recorded(Model):
    """A description that a manifest holds.

    Attributes
    ----------
    units : list
        As :func:`kwload.spec.units.units_of` gives them.
    """

    units: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a model wants in one family of layouts.

    Attributes
    ----------
    groups, nodes
        As in :class:`kwload.spec.described.Model`.
    keys : tuple of str
        The variable of each row: two rows with one key are one variable.
    units : list
        As :func:`kwload.spec.units.units_of` gives them; empty for the Keras 3 layouts.
    """

    groups: list[Group]
    nodes: list[Node]
    keys: tuple[str, ...]
    units: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a model is, without the model; made by :func:`kwload.manifest`.

    Attributes
    ----------
    keras : spec.described.Keras
        Which Keras it belongs to, with the backend.
    python, kwload : str
        Versions: ``"3.11"``, ``"0.1.0"``.
    model : str
        Class of the model.
    built : bool
        Whether it has its variables.
    variables : mapping of str to tuple
        Each variable by its path: ``(name, path, layer, shape, dtype, trainable)``.
    layouts : mapping of str to Layout
        ``"keras-3"`` and ``"legacy"``.
    untracked : tuple of (str, str)
        ``(layer, attribute)`` of each raw ``tf.Variable``.
    config : dict or None
        The configuration, as Keras serialises it.
    config_missing : str
        Why there is none.
    code : tuple of Code
        Fingerprints of the layers that are the user's own.
    """

    keras: Keras
    python: str
    kwload: str
    model: str
    built: bool
    variables: dict[str, Variable]
    layouts: dict[str, Layout]
    untracked: tuple[tuple[str, str], ...] = ()
    config: dict[str, Any] | None = None
    config_missing: str = ""
    code: tuple[Code, ...] = ()

    def __repr__(self) -> str:
        return f"<Manifest of a {self.model}: {len(self.variables)} variables, {self.written_by}>"

    @property
    def written_by(self) -> str:
        """``"Keras 3.15.1, jax"``."""
        package = "Keras" if self.keras.flavour == "keras" else "tf_keras"
        return f"{package} {'.'.join(map(str, self.keras.version))}, {self.keras.backend}"

    def described(self, layout: str) -> Recorded:
        """What the model wants of a file of this layout, as :func:`kwload.spec.live.describe` says it."""
        found = self.layouts[_V3 if layout in V3_LAYOUTS else _LEGACY]
        return Recorded(
            self.keras,
            self.built,
            groups=found.groups,
            nodes=found.nodes,
            variables=list(found.keys),
            untracked=list(self.untracked),
            units=found.units,
        )

    def to_dict(self) -> dict[str, Any]:
        """The manifest as plain data."""
        return {"schema": sidecar.SCHEMA, "kind": "manifest", **to_tree(self)}

    def to_json(self) -> str:
        """JSON in ASCII: keys sorted, a line for each variable, no times, a newline at the end."""
        return sidecar.text_of(self.to_dict())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes :meth:`to_json`, whole or not at all. Raises OSError."""
        sidecar.write(os.fspath(path), self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Manifest:
        """Reads what :meth:`save` wrote, or the manifest in a stamp.

        Raises
        ------
        OSError
            As the operating system says it.
        ValueError
            The file is no manifest; the message says why.
        """
        name = os.fspath(path)
        try:
            try:
                return from_tree(sidecar.read(name, "manifest"))
            except SidecarError as error:
                if str(error) != "it is a stamp":
                    raise
                return from_tree(need(sidecar.read(name, "stamp"), "manifest", dict))
        except SidecarError as error:
            raise ValueError(f"{name} is no manifest: {error}") from None


def manifest(model: Any, *, source: bool = False) -> Manifest:
    """Describe the architecture of a live model: variables, configuration, versions, fingerprints of own code.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        A live model. Its layers' ``get_config`` is called, as saving calls it.
    source : bool
        Keep the lines of the code of own layers, so that a change can be shown.

    Returns
    -------
    Manifest
        ``to_json()`` and ``save(path)`` write it; :func:`kwload.check` takes it in place of the model.

    Raises
    ------
    TypeError
        ``model`` is not a Keras model.
    """
    import kwload
    from kwload.spec import live, units
    from kwload.stamps.layers import code_of

    found = {name: live.describe(model, name) for name in (_V3, _LEGACY)}
    keys = _Keys()
    layouts = {}
    for name, described in found.items():
        converted = units.units_of(described.keras, described.objects) if name == _LEGACY else []
        layouts[name] = Layout(described.groups, described.nodes, keys.of(described), converted)
    config, missing = _config(model)
    return Manifest(
        keras=found[_V3].keras,
        python="{}.{}".format(*sys.version_info[:2]),
        kwload=kwload.__version__,
        model=type(model).__name__,
        built=found[_V3].built,
        variables=keys.variables,
        layouts=layouts,
        untracked=tuple(found[_V3].untracked),
        config=config,
        config_missing=missing,
        code=code_of(model, source=source),
    )


class _Keys:
    """A text for each variable, by which both layouts call it: its path, with a number when that is another's too."""

    def __init__(self) -> None:
        self.variables: dict[str, Variable] = {}
        self._known: dict[tuple[int, Variable], str] = {}
        self._count: dict[str, int] = {}

    def of(self, described: Model) -> tuple[str, ...]:
        rows = [row for group in described.groups for row in group[4]]
        return tuple(self._key(id(live), row) for live, row in zip(described.variables, rows, strict=True))

    def _key(self, identity: int, row: Variable) -> str:
        known = self._known.get((identity, row))
        if known is None:
            path = row[1]
            self._count[path] = number = self._count.get(path, 0) + 1
            known = self._known[identity, row] = path if number == 1 else f"{path} #{number}"
            while known in self.variables:
                known = self._known[identity, row] = f"{known}'"
            self.variables[known] = row
        return known


def _config(model: Any) -> tuple[dict[str, Any] | None, str]:
    """The configuration as Keras writes it; else None and why there is none."""
    try:
        with warnings.catch_warnings():  # a Lambda warns when it is asked for its settings
            warnings.simplefilter("ignore")
            tree = json.loads(model.to_json())
    except Exception as error:  # noqa: BLE001 - Keras and the user's own classes raise what they like
        return None, f"to_json raised {type(error).__name__}"
    return (tree, "") if isinstance(tree, dict) else (None, "to_json gave no object")


# --- as JSON ---------------------------------------------------------------------------------------------------------


def to_tree(made: Manifest) -> dict[str, Any]:
    """A manifest as plain data, without what says that it is one."""
    keras = made.keras
    return {
        "versions": {
            "backend": keras.backend,
            "keras": ".".join(map(str, keras.version)),
            "kwload": made.kwload,
            "package": keras.flavour,
            "python": made.python,
            "root": keras.root,
        },
        "model": {"built": made.built, "class": made.model},
        "variables": {key: _variable_tree(key, row) for key, row in made.variables.items()},
        "layouts": {name: _layout_tree(layout) for name, layout in made.layouts.items()},
        "untracked": [list(pair) for pair in made.untracked],
        "config": made.config if made.config is not None else {"missing": made.config_missing},
        "code": [_code_tree(code) for code in made.code],
    }


def _variable_tree(key: str, row: Variable) -> dict[str, Any]:
    name, path, layer, shape, dtype, trainable = row
    tree = {"dtype": dtype, "layer": layer, "name": name, "shape": list(shape), "trainable": trainable}
    return tree if path == key else {**tree, "path": path}


def _layout_tree(layout: Layout) -> dict[str, Any]:
    keys = iter(layout.keys)
    groups = [
        {
            "class": kind,
            "flags": [name for name, bit in _FLAGS.items() if flags & bit],
            "name": name,
            "path": path,
            "variables": [next(keys) for _ in rows],
        }
        for path, name, kind, flags, rows in layout.groups
    ]
    nodes = [[row, *[[name, target] for name, target in edges]] for row, edges in layout.nodes]
    return {
        "groups": groups,
        **({"nodes": nodes} if nodes else {}),
        **({"units": layout.units} if layout.units else {}),
    }


def _code_tree(code: Code) -> dict[str, Any]:
    made = code.fingerprint
    tree: dict[str, Any] = {
        "algorithm": made.algorithm,
        "attribute": code.attribute,
        "layers": list(code.layers),
        "module": made.module,
        "name": made.name,
        "named": list(code.named),
        "units": dict(made.units),
    }
    more = {"unknown": dict(made.unknown), "outside": list(made.outside)}
    tree |= {key: value for key, value in more.items() if value}
    if made.source:
        tree["source"] = {name: text.splitlines() for name, text in made.source.items()}
    return tree


# --- from JSON -------------------------------------------------------------------------------------------------------


def from_tree(tree: dict[str, Any]) -> Manifest:
    """A manifest from plain data of anyone.

    Raises
    ------
    SidecarError
        Something in it is not what it should be.
    """
    versions = sidecar.table(need(tree, "versions", dict), "versions")
    model = need(tree, "model", dict)
    variables = {key: _variable(key, row) for key, row in need(tree, "variables", dict).items()}
    config = need(tree, "config", dict)
    missing = config.get("missing") if set(config) == {"missing"} else None
    return Manifest(
        keras=_keras(versions),
        python=versions.get("python", ""),
        kwload=versions.get("kwload", ""),
        model=need(model, "class", str),
        built=need(model, "built", bool),
        variables=variables,
        layouts={name: _layout(need(need(tree, "layouts", dict), name, dict), variables) for name in (_V3, _LEGACY)},
        untracked=tuple(_pair(item) for item in need(tree, "untracked", list)),
        config=None if isinstance(missing, str) else config,
        config_missing=missing if isinstance(missing, str) else "",
        code=tuple(_code(item) for item in need(tree, "code", list)),
    )


def _keras(versions: dict[str, str]) -> Keras:
    parts = versions.get("keras", "").split(".")
    if len(parts) != 3 or not all(part.isdecimal() and len(part) < 6 for part in parts):
        raise SidecarError("`versions.keras` is no version")
    if versions.get("package") not in ("keras", "tf_keras"):
        raise SidecarError("`versions.package` is neither keras nor tf_keras")
    major, minor, patch = map(int, parts)
    return Keras(versions["package"], (major, minor, patch), versions.get("root", ""), versions.get("backend", ""))


def _variable(key: str, tree: Any) -> Variable:
    path = tree.get("path", key) if isinstance(tree, dict) else None
    if not isinstance(path, str):
        raise SidecarError("`variables` holds something else than variables")
    return (
        need(tree, "name", str),
        path,
        need(tree, "layer", str),
        sidecar.lengths(need(tree, "shape", list), "shape"),
        need(tree, "dtype", str),
        need(tree, "trainable", bool),
    )


def _layout(tree: Any, variables: dict[str, Variable]) -> Layout:
    groups: list[Group] = []
    keys: list[str] = []
    for item in need(tree, "groups", list):
        own = sidecar.texts(need(item, "variables", list), "variables")
        if unknown := [key for key in own if key not in variables]:
            raise SidecarError(f"a layer has the variable {unknown[0][:80]!r}, which is not described")
        flags = sidecar.texts(need(item, "flags", list), "flags")
        bits = sum(_FLAGS.get(name, 0) for name in set(flags))
        name = need(item, "name", str, type(None))
        groups.append(
            (need(item, "path", str), name, need(item, "class", str), bits, tuple(variables[key] for key in own))
        )
        keys.extend(own)
    nodes = [_node(item) for item in tree.get("nodes", [])] if isinstance(tree.get("nodes", []), list) else []
    for row, edges in nodes:
        if not -1 <= row < len(groups) or any(not 0 <= target < len(nodes) for _, target in edges):
            raise SidecarError("`nodes` leads to something that is not there")
    return Layout(groups, nodes, tuple(keys), _units(tree.get("units", []), len(groups)))


def _node(item: Any) -> Node:
    if not isinstance(item, list) or not item or type(item[0]) is not int:
        raise SidecarError("`nodes` holds something else than nodes")
    return item[0], tuple(_edge(edge) for edge in item[1:])


def _edge(item: Any) -> Edge:
    if (
        not isinstance(item, list)
        or len(item) != 2
        or not isinstance(item[0], (str, type(None)))
        or type(item[1]) is not int
    ):
        raise SidecarError("`nodes` holds something else than edges")
    return item[0], item[1]


def _units(value: Any, count: int) -> list[Any]:
    """What the conversion of old weights looks at, as the core takes it: numbers, texts and tuples."""
    if not isinstance(value, list) or len(value) not in (0, count):
        raise SidecarError("`units` is something else")
    return [[_unit(unit) for unit in units] for units in value if isinstance(units, list)]


def _unit(unit: Any) -> tuple[Any, ...]:
    try:
        name, known, counts, order, window, shape, span = unit
        listed = [tuple(map(int, part)) for part in (counts, window)]
        first = None if shape is None else sidecar.lengths(list(shape), "units")
        made = (str(name), bool(known), listed[0], tuple(map(bool, order)), listed[1], first, int(span))
    except (TypeError, ValueError, OverflowError):
        raise SidecarError("`units` is something else") from None
    if len(made[2]) != 4 or len(made[3]) != 2 or len(made[4]) != 2:
        raise SidecarError("`units` is something else")
    return made


def _pair(item: Any) -> tuple[str, str]:
    pair = sidecar.texts(item, "untracked")
    if len(pair) != 2:
        raise SidecarError("`untracked` is something else")
    return pair[0], pair[1]


def _code(tree: Any) -> Code:
    source: dict[str, Sequence[str]] = (
        {name: sidecar.texts(lines, "source") for name, lines in tree.get("source", {}).items()}
        if isinstance(tree, dict) and isinstance(tree.get("source", {}), dict)
        else {}
    )
    made = Fingerprint(
        name=need(tree, "name", str),
        module=need(tree, "module", str),
        units=sidecar.table(need(tree, "units", dict), "units"),
        unknown=sidecar.table(tree.get("unknown", {}), "unknown"),
        outside=sidecar.texts(tree.get("outside", []), "outside"),
        source={name: "\n".join(lines) for name, lines in source.items()},
        algorithm=need(tree, "algorithm", str),
    )
    return Code(
        made,
        need(tree, "attribute", str),
        sidecar.texts(need(tree, "layers", list), "layers"),
        sidecar.texts(need(tree, "named", list), "named"),
    )
