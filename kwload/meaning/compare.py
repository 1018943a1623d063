"""The comparison of a stored configuration with a live model: the settings here, the graph in ``join.py``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from kwload.meaning import join, live, pair, stored, tidy, values
from kwload.meaning.names import places
from kwload.meaning.net import Change, LayerChange, Meaning, Net, Unit
from kwload.meaning.tidy import Tidy
from kwload.report.facts import FileFacts, ModelFacts, PlanFacts

_DEEPEST: Final = 16
_NET_KINDS: Final = frozenset({"Sequential", "Functional", "Model", "Network"})


def compare(
    config: bytes, model: Any, sources: Sequence[tuple[str, str]] = (), *, legacy: bool = False, version: str = ""
) -> Meaning:
    """What the model computes otherwise than the one that was saved.

    Parameters
    ----------
    config : bytes
        The stored configuration (JSON), from anyone.
    model : keras.Model
        A live model of Keras 3 or tf_keras; it is only looked at.
    sources : sequence of (str, str)
        ``(group of the model, group of the file)`` of each layer whose weights are exchanged: paths in the Keras 3
        layouts (``"layers/dense"``), names of layers in the legacy ones.
    legacy : bool
        Whether *sources* are names.
    version : str
        Of the Keras that wrote the file, ``""`` when it is not recorded.

    Notes
    -----
    Whatever bytes and model hold, this returns: what cannot be compared is left out, or named in ``mute``.
    """
    try:
        tree = stored.parse(config)
        if tree is None:
            return Meaning(unread="its configuration cannot be read")
        comparison = _Comparison(sources, legacy, version)
        comparison.run(tree, model)
    except RecursionError:
        return Meaning(unread="its configuration is nested too deeply")
    return comparison.found


def compare_opened(file: FileFacts, model: Any, described: ModelFacts, plan: PlanFacts) -> Meaning | None:
    """:func:`compare` for a file that was opened and joined with the model; None when it records no configuration.

    Parameters
    ----------
    file : _core.File
        The opened file.
    model : keras.Model
        The live model.
    described : spec.live.Model
        Its description.
    plan : _core.Plan
        The join of the two.
    """
    if file.config is None:
        return None
    legacy = file.layout not in ("keras-3", "tf-2.12")
    ours, theirs = described.groups, file.groups
    sources = []
    for row, source in enumerate(plan.source_group):
        if 0 <= source < len(theirs) and ours[row][4]:
            new, old = (ours[row][1], theirs[source][1]) if legacy else (ours[row][0], theirs[source][0])
            if new and old:
                sources.append((new, old))
    version = file.metadata.get("keras_version", "1." if legacy else "")
    return compare(file.config, model, sources, legacy=legacy, version=version)


class _Comparison:
    """One comparison, while it runs."""

    def __init__(self, sources: Sequence[tuple[str, str]], legacy: bool, version: str) -> None:
        self.found = Meaning()
        self.legacy = legacy
        self.anchors = dict(sources) if legacy else _prefixes(sources)
        self.version = version
        self.keras_3 = True
        self.identities: Counter[str] = Counter()
        self.code: dict[str, None] = {}

    def run(self, tree: Unit, model: Any) -> None:
        """Compares the two models and fills ``found``."""
        self.keras_3 = live.is_keras_3(model)
        new = live.read(model)
        new_net = new.net()
        old_net = tree.net() if new_net is not None else None
        if old_net is not None and new_net is not None:
            if new.custom:
                self.code[new.cls] = None
            self._nets(old_net, new_net, "", ("", ""), 0)
        else:
            if new.config is None:
                live.configure(new)
            self._settings(tree, new, new.name)
        self.found.training_only = {kind: count for kind, count in self.identities.items() if count}
        self.found.code = list(self.code)

    def _nets(self, old: Net, new: Net, path: str, at: tuple[str, str], depth: int) -> None:
        """Two nets at two places (of the file and of the model) in the Keras 3 layout."""
        a, b = tidy.tidy(old), tidy.tidy(new)
        self._identities(a, b, path)
        stored_places, live_places = _places(old.units, at[0]), _places(new.units, at[1])
        pairs, graph = self._pairs(a, b, stored_places, live_places, path)
        self.found.graph += graph
        for row in b.kept:
            if row not in pairs.stored_of:
                continue
            other = pairs.stored_of[row]
            one, two = old.units[other], new.units[row]
            inner_new = two.net() if depth < _DEEPEST else None
            inner_old = one.net() if inner_new is not None else None
            if inner_old is not None and inner_new is not None:
                if two.custom:
                    self.code[two.cls] = None
                where = (f"{stored_places[other]}/", f"{live_places[row]}/")
                self._nets(inner_old, inner_new, f"{path}{two.name}/", where, depth + 1)
            elif two.kind not in _NET_KINDS:
                self._settings(one, two, f"{path}{two.name}", path)
            self._literals(one, two, f"{path}{two.name}")

    def _pairs(
        self, a: Tidy, b: Tidy, stored_places: list[str], live_places: list[str], path: str
    ) -> tuple[pair.Pairs, list[Any]]:
        """The pairs that leave the fewest differences of the graph, and these."""
        anchors = self._anchored(a, b, stored_places, live_places, path)
        first = pair.by_order(a, b, anchors)
        graph = join.differences(a, b, first, path) if first is not None else None
        if first is not None and not graph:
            return first, []
        second = pair.by_evidence(a, b, anchors)
        other = join.differences(a, b, second, path)
        if first is not None and graph is not None and len(graph) <= len(other):
            return first, graph
        return second, other

    def _anchored(
        self, a: Tidy, b: Tidy, stored_places: list[str], live_places: list[str], path: str
    ) -> Mapping[int, int]:
        """Unit of the model -> unit of the file whose weights it gets."""
        if self.legacy and path:
            return {}
        old = [unit.name for unit in a.net.units] if self.legacy else stored_places
        new = [unit.name for unit in b.net.units] if self.legacy else live_places
        rows = {name: row for row, name in enumerate(old) if name}
        found = {row: rows.get(self.anchors.get(name, ""), -1) for row, name in enumerate(new)}
        return {row: other for row, other in found.items() if other >= 0}

    def _identities(self, a: Tidy, b: Tidy, path: str) -> None:
        old, new = tidy.training_counts(a), tidy.training_counts(b)
        self.identities.update(new)
        self.identities.subtract(old)
        if old == new and [a.net.units[i].kind for i in a.identities] == [b.net.units[i].kind for i in b.identities]:
            for i, j in zip(a.identities, b.identities, strict=True):
                self._settings(a.net.units[i], b.net.units[j], f"{path}{b.net.units[j].name}")

    def _settings(self, old: Unit, new: Unit, path: str, above: str = "") -> None:
        """The settings of two layers."""
        if new.custom:
            self.code[new.cls] = None
        if new.config is None:
            if old.config is not None:
                self.found.mute.append(path)
            return
        if old.config is None or old.kind != new.kind:
            return
        custom = new.custom or old.custom
        rank = live.rank_of(new.source)
        changes = values.differences(old.kind, old.config, new.config, custom=custom, rank=rank)
        changes += self._hard_sigmoids(old.config, new.config)
        self._own_functions(new)
        if new.said_by and new.kind != "Activation":  # an activation on its own, which was taken in
            moved = tuple(change for change in changes if change.key == "activation")
            changes = [change for change in changes if change.key != "activation"]
            self._add(f"{above}{new.said_by}", "Activation", moved)
        self._add(path, new.kind, changes)

    def _add(self, path: str, kind: str, changes: Iterable[Change]) -> None:
        found = tuple(changes)
        if found:
            self.found.settings.append(LayerChange(path, kind, found))

    def _own_functions(self, new: Unit) -> None:
        """Notes a function of the user's: only its name is recorded."""
        config = new.config or {}
        if new.kind == "Lambda" and not new.custom:
            self.code[f"{new.name} (Lambda)"] = None
        for key in ("activation", "recurrent_activation"):
            if callable(getattr(new.source, key, None)) and not new.custom:
                function = getattr(new.source, key)
                if live.is_own(function) and isinstance(values.activation(config.get(key)), str):
                    self.code[str(getattr(function, "__name__", key))] = None

    def _hard_sigmoids(self, old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
        """Keras 3 computes another ``hard_sigmoid`` than Keras 1 and 2 do, under the same name."""
        wrote_2 = self.version[:2] in ("1.", "2.")
        if not self.version[:1].isdigit() or wrote_2 != self.keras_3:
            return []
        says = ("0.2 x + 0.5", "x / 6 + 0.5") if wrote_2 else ("x / 6 + 0.5", "0.2 x + 0.5")
        return [
            Change(key, f"hard_sigmoid = {says[0]}", f"hard_sigmoid = {says[1]}", "output")
            for key in values.paths_of("hard_sigmoid", old)
            if key in values.paths_of("hard_sigmoid", new)
        ]

    def _literals(self, old: Unit, new: Unit, path: str) -> None:
        """What a layer or operation is called with besides tensors."""
        if old.kind != new.kind or len(old.calls) != len(new.calls):
            return
        changes = []
        for one, two in zip(old.calls, new.calls, strict=True):
            if one.literals.keys() != two.literals.keys() or one.slots != two.slots:
                continue
            for slot, value in two.literals.items():
                if values.same("", one.literals[slot], value) is False:
                    key = f"argument {slot}" if slot.isdigit() else slot
                    shown = (values.shown("", one.literals[slot]), values.shown("", value))
                    changes.append(Change(key, *shown, "output" if new.operation else "may"))
        self._add(path, new.kind, changes)


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
