"""The comparison of a stored configuration with a live model: the settings here, the graph in ``join.py``."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final

from kwload.meaning import join, live, pair, stored, tidy, values
from kwload.meaning.glance import Glance
from kwload.meaning.names import places
from kwload.meaning.net import Change, GraphChange, LayerChange, Meaning, Net, Unit
from kwload.meaning.tidy import Tidy
from kwload.report.facts import FileFacts, ModelFacts, PlanFacts

_DEEPEST: Final = 16
_NET_KINDS: Final = frozenset({"Sequential", "Functional", "Model", "Network"})


def compare(
    config: bytes,
    model: Any,
    sources: Sequence[tuple[str, str]] = (),
    *,
    legacy: bool = False,
    version: str = "",
    keras_3: bool | None = None,
) -> Meaning:
    """What the model computes otherwise than the one that was saved.

    Parameters
    ----------
    config : bytes
        The stored configuration (JSON), from anyone.
    model : keras.Model or Unit
        A live model of Keras 3 or tf_keras, which is only looked at; or one that a configuration describes.
    sources : sequence of (str, str)
        ``(group of the model, group of the file)`` of each layer whose weights are exchanged: paths in the Keras 3
        layouts (``"layers/dense"``), names of layers in the legacy ones.
    legacy : bool
        Whether *sources* are names.
    version : str
        Of the Keras that wrote the file, ``""`` when it is not recorded.
    keras_3 : bool, optional
        Whether the model is one of Keras 3; a live model says so itself.

    Notes
    -----
    Whatever bytes and model hold, this returns: what cannot be compared is left out, or named in ``mute``.
    """
    try:
        tree = stored.parse(config)
        if tree is None:
            long = len(config) > stored.MOST_BYTES
            return Meaning(unread="it is longer than 4 MiB" if long else "it cannot be read")
        comparison = _Comparison(sources, legacy, version)
        with warnings.catch_warnings():  # a Lambda warns when it is asked for its settings
            warnings.simplefilter("ignore")
            comparison.run(tree, model, keras_3)
    except RecursionError:
        return Meaning(unread="it is nested too deeply")
    return comparison.found


def compare_opened(
    file: FileFacts, model: Any, described: ModelFacts, plan: PlanFacts, stamped: tuple[bytes, str] | None = None
) -> Meaning | None:
    """:func:`compare` for a file that was opened and joined with the model; None when no configuration is recorded.

    Parameters
    ----------
    file : _core.File
        The opened file.
    model : keras.Model or Unit
        The live model, or one that a configuration describes.
    described : spec.described.Model
        Its description.
    plan : _core.Plan
        The join of the two.
    stamped : (bytes, str), optional
        The configuration in the stamp of the file, and the Keras that wrote it, for a file that has none itself.
    """
    if file.config is None and stamped is None:
        return None
    legacy = file.layout not in ("keras-3", "tf-2.12")
    ours, theirs = described.groups, file.groups
    sources = []
    for row, source in enumerate(plan.source_group):
        if 0 <= source < len(theirs) and ours[row][4]:
            new, old = (ours[row][1], theirs[source][1]) if legacy else (ours[row][0], theirs[source][0])
            if new and old:
                sources.append((new, old))
    keras_3 = described.keras.flavour == "keras"
    if file.config is not None:
        version = file.metadata.get("keras_version", "1." if legacy else "")
        return compare(file.config, model, sources, legacy=legacy, version=version, keras_3=keras_3)
    assert stamped is not None
    config, version = stamped
    found = compare(config, model, sources, legacy=legacy, version=version, keras_3=keras_3)
    found.stamped = True
    return found


@dataclass(frozen=True, slots=True)
class _Level:
    """Where two nets are: their path in the model, their places in the Keras 3 layout, and whether all of the model's
    gets its weights from the file."""

    path: str = ""
    stored: str = ""
    live: str = ""
    depth: int = 0
    loaded: bool = False


class _Comparison:
    """One comparison, while it runs."""

    def __init__(self, sources: Sequence[tuple[str, str]], legacy: bool, version: str) -> None:
        self.found = Meaning()
        self.legacy = legacy
        self.anchors = dict(sources) if legacy else _prefixes(sources)
        self.version = version
        self.keras_3 = True
        self.other_hard_sigmoid = False
        self.glance = Glance()
        self.identities: Counter[str] = Counter()
        self.code: dict[str, None] = {}

    def run(self, tree: Unit, model: Any, keras_3: bool | None) -> None:
        """Compares the two models and fills ``found``."""
        self.keras_3 = live.is_keras_3(model) if keras_3 is None else keras_3
        self.other_hard_sigmoid = self.version[:1].isdigit() and (self.version[:2] in ("1.", "2.")) == self.keras_3
        new = model if isinstance(model, Unit) else live.unit_of(model)
        new_net = new.net()
        old_net = tree.net() if new_net is not None else None
        if old_net is not None and new_net is not None:
            if new.custom:
                self.code[new.cls] = None
            self._nets(old_net, new_net, _Level())
        elif new_net is not None and not new.custom and tree.kind in _NET_KINDS:
            self.found.unread = "its layers do not hang together"
        else:
            if new.config is None and new.source is not None:
                live.configure(new)
            self._settings(tree, new, new.name)
        self.found.training_only = {kind: count for kind, count in self.identities.items() if count}
        self.found.code = list(self.code)

    def _nets(self, old: Net, new: Net, level: _Level) -> None:
        a, b = tidy.tidy(old), tidy.tidy(new)
        self._identities(a, b, level)
        stored_places, live_places = _places(old.units, level.stored), _places(new.units, level.live)
        anchors = self._anchored(old, new, stored_places, live_places, level)
        pairs, graph = _best(a, b, anchors, level.path)
        self.found.graph += graph
        for row in b.kept:
            if row not in pairs.stored_of:
                continue
            other = pairs.stored_of[row]
            below = _Level(
                f"{level.path}{new.units[row].name}/",
                f"{stored_places[other]}/",
                f"{live_places[row]}/",
                level.depth + 1,
                level.loaded or row in anchors,
            )
            self._units(old.units[other], new.units[row], level.path, below)

    def _units(self, old: Unit, new: Unit, above: str, below: _Level) -> None:
        """A layer, or a nested model, and its counterpart."""
        path = below.path[:-1]
        inner_new = new.net() if below.depth < _DEEPEST else None
        inner_old = old.net() if inner_new is not None else None
        if inner_old is not None and inner_new is not None:
            if new.custom:
                self.code[new.cls] = None
            self._nets(inner_old, inner_new, below)
        elif new.kind not in _NET_KINDS:
            if inner_new is not None and new.config is None and new.source is not None:
                live.configure(new)
            self._settings(old, new, path, above, below.loaded)
        self._literals(old, new, path, below.loaded)

    def _anchored(
        self, old: Net, new: Net, stored_places: list[str], live_places: list[str], level: _Level
    ) -> dict[int, int]:
        """Unit of the model -> unit of the file whose weights it gets."""
        if self.legacy and level.depth:
            return {}
        theirs = [unit.name for unit in old.units] if self.legacy else stored_places
        ours = [unit.name for unit in new.units] if self.legacy else live_places
        rows = {name: row for row, name in enumerate(theirs) if name}
        found = {row: rows.get(self.anchors.get(name, ""), -1) for row, name in enumerate(ours)}
        return {row: other for row, other in found.items() if other >= 0}

    def _identities(self, a: Tidy, b: Tidy, level: _Level) -> None:
        """Counts the layers that act in training only, and compares them when they are the same ones."""
        old, new = tidy.training_counts(a), tidy.training_counts(b)
        self.identities.update(new)
        self.identities.subtract(old)
        ours, theirs = ([t.net.units[row] for row in t.identities] for t in (b, a))
        if [unit.kind for unit in ours] == [unit.kind for unit in theirs]:
            for one, two in zip(theirs, ours, strict=True):
                self._settings(one, two, f"{level.path}{two.name}", level.path, level.loaded)

    def _settings(self, old: Unit, new: Unit, path: str, above: str = "", loaded: bool = True) -> None:
        """The settings of two layers."""
        if new.custom:
            self.code[new.cls] = None
        self._own_functions(old, new)
        if self.glance.is_same(old, new) and not self.other_hard_sigmoid:
            return
        if new.config is None:
            if old.config is not None:
                self.found.mute.append(path)
            return
        if old.config is None or old.kind != new.kind:
            return
        custom = new.custom or old.custom
        changes = values.differences(old.kind, old.config, new.config, custom=custom, layer=new.source)
        changes += self._hard_sigmoids(old.config, new.config)
        if new.said_by and new.kind != "Activation":  # an activation on its own, which was taken in
            moved = [change for change in changes if change.key == "activation"]
            changes = [change for change in changes if change.key != "activation"]
            self._add(f"{above}{new.said_by}", "Activation", moved, loaded)
        self._add(path, new.kind, changes, loaded)

    def _add(self, path: str, kind: str, changes: Sequence[Change], loaded: bool) -> None:
        if changes:
            self.found.settings.append(LayerChange(path, kind, tuple(changes), loaded))

    def _own_functions(self, old: Unit, new: Unit) -> None:
        """Notes a function of the user's: only its name is recorded."""
        if new.custom or old.config is None:
            return
        if new.kind == "Lambda":
            self.code[f"{new.name} (Lambda)"] = None
        for key in ("activation", "recurrent_activation"):
            if key in old.config:
                function = getattr(new.source, key, None)
                if isinstance(function, FunctionType) and live.is_own(function) and function.__name__ != "<lambda>":
                    self.code[function.__name__] = None

    def _hard_sigmoids(self, old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
        """Keras 3 computes another ``hard_sigmoid`` than Keras 1 and 2 do, under the same name."""
        if not self.other_hard_sigmoid:
            return []
        says = ("x / 6 + 0.5", "0.2 x + 0.5")
        was, now = says if self.keras_3 is False else says[::-1]
        ours = values.paths_of("hard_sigmoid", new)
        return [
            Change(key, f"hard_sigmoid = {was}", f"hard_sigmoid = {now}", "output")
            for key in values.paths_of("hard_sigmoid", old)
            if key in ours
        ]

    def _literals(self, old: Unit, new: Unit, path: str, loaded: bool) -> None:
        """What a layer or operation is called with besides tensors."""
        if old.kind != new.kind or len(old.calls) != len(new.calls):
            return
        changes = []
        for one, two in zip(old.calls, new.calls, strict=True):
            if one.literals.keys() != two.literals.keys() or one.slots != two.slots:
                continue
            for slot, value in two.literals.items():
                if values.same("", one.literals[slot], value) is False:
                    key = f"argument {slot}" if new.operation else slot
                    shown = (values.shown("", one.literals[slot]), values.shown("", value))
                    changes.append(Change(key, *shown, "output" if new.operation else "may"))
        self._add(path, new.kind, changes, loaded)


def _best(a: Tidy, b: Tidy, anchors: Mapping[int, int], path: str) -> tuple[pair.Pairs, list[GraphChange]]:
    """The pairs that leave the fewest differences of the graph, and these."""
    first = pair.by_order(a, b, anchors)
    graph = join.differences(a, b, first, path) if first is not None else []
    if first is not None and not graph:
        return first, []
    second = pair.by_evidence(a, b, anchors)
    other = join.differences(a, b, second, path)
    return (first, graph) if first is not None and len(graph) <= len(other) else (second, other)


def _prefixes(sources: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Place of a layer or nested model in the model -> in the file, from the places of what they hold."""
    found: dict[str, str] = {}
    for new, old in sources:
        ours, theirs = new.split("/"), old.split("/")
        for depth in range(2, min(len(ours), len(theirs)) + 1, 2):
            found.setdefault("/".join(ours[:depth]), "/".join(theirs[:depth]))
    return found


def _places(units: Sequence[Unit], above: str) -> list[str]:
    """Where Keras 3 stores the units; ``""`` for an operation, which has nothing to store."""
    names = iter(places([unit.cls for unit in units if not unit.operation]))
    return ["" if unit.operation else f"{above}layers/{next(names)}" for unit in units]
