"""What an architecture leaves open is taken from the file, so that the rest can be held against it.

    class that nobody knows   all that the file has in its place
    length that nobody knows  the length that the file has, where all that is known agrees

Nothing is claimed of either: :attr:`Described.unverified` names the layers, and that Keras would load the file is not
foreseen.  What the file does not show stays open.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from kwload.report.facts import FileFacts, FileGroup
from kwload.spec.architecture.describe import Described, Unverified
from kwload.spec.architecture.lists import gaps_of, in_order
from kwload.spec.architecture.things import Thing, Weight
from kwload.spec.architecture.unnamed import named_as_in
from kwload.spec.described import NAMED, V3_LAYOUTS, Edge, Flag, Group, Variable

_OWN_STATE = int(Flag.OPTIMIZER) | int(Flag.METRIC)


def adopted(described: Described, file: FileFacts) -> Described:
    """The description with what is not known taken from an opened file.

    Parameters
    ----------
    described : Described
        From :func:`kwload.spec.architecture.describe`, for the layout of the file.
    file : _core.File
        The opened file.
    """
    described = named_as_in(described, file)
    if not any(_is_open(group, made) for group, made in zip(described.groups, described.things, strict=True)):
        return described
    found = _V3(described, file) if file.layout in V3_LAYOUTS else _Legacy(described, file)
    found.run()
    return replace(
        described,
        groups=found.groups,
        nodes=found.nodes,
        variables=found.weights,
        unverified=found.unverified,
        unchecked=found.unchecked,
        unsure=found.unsure or _unsure(found.unverified),
        open_rows=frozenset(found.open_rows) if found.unsure is None else None,
    )


def _is_open(group: Group, made: Thing) -> bool:
    return made.why is not None or bool(gaps_of(made)) or any(not _is_known(row) for row in group[4])


def _is_known(row: Variable) -> bool:
    shape: tuple[int | None, ...] | None = row[3]
    return shape is not None and None not in shape


def _unsure(unverified: Sequence[Unverified]) -> str | None:
    """Why nobody can say that Keras loads the file."""
    classes = list(dict.fromkeys(each.cls for each in unverified if each.what != "shape"))
    if classes:
        return f"which variables `{classes[0]}` makes is not known"
    if unverified:
        return f"not all lengths of the variables of `{unverified[0].layer}` are known"
    return None


class _Adopting:
    """What both kinds of layout have in common."""

    def __init__(self, described: Described, file: FileFacts) -> None:
        self.file = file
        self.tensors = file.tensors
        self.things = described.things
        self.groups: list[Group] = list(described.groups)
        self.nodes = described.nodes
        self.rows: list[list[Weight]] = list(described.rows)
        self.unverified: list[Unverified] = []
        self.unsure: str | None = None
        self.unchecked = 0
        self.places = described.places
        self.open_rows: set[int] = set()

    @property
    def weights(self) -> list[Weight]:
        return [weight for row in self.rows for weight in row]

    def note_class(self, row: int, layer: str, made: Thing, count: int | None) -> None:
        """Says of a layer that nobody knows its class, and how many tensors stand in its place."""
        self.open_rows.add(row)
        what = "signature" if made.failed else "class"
        self.unverified.append(Unverified(layer, made.why or made.cls, what, count, made.given, made.signed))

    def note_shapes(self, row: int) -> None:
        """Says of the layers in a group that some lengths of their variables are not known."""
        self.open_rows.add(row)
        cls = self.groups[row][2]
        layers = dict.fromkeys(each[2] for each in self.groups[row][4] if not _is_known(each))
        self.unverified += [Unverified(layer, cls, "shape") for layer in layers]

    def shapes_in(self, slots: Sequence[int]) -> list[tuple[int, ...] | None]:
        return [self.tensors[row].shape if row >= 0 else None for row in slots]

    def fits(self, group: Group, slots: Sequence[int]) -> bool:
        """Whether a group of the file has all that is known of a group of the model."""
        if len(slots) != len(group[4]):
            return False
        found = self.shapes_in(slots)
        return all(_agree(row[3], shape) for row, shape in zip(group[4], found, strict=True))

    def fill(self, at: int, slots: Sequence[int]) -> None:
        """Takes unknown lengths from a group of the file, variable by variable."""
        path, name, cls, flags, rows = self.groups[at]
        found = [*self.shapes_in(slots), *[None] * len(rows)]
        filled = [
            row if _is_known(row) or shape is None else (*row[:3], _filled(row[3], shape), *row[4:])
            for row, shape in zip(rows, found, strict=False)
        ]
        self.groups[at] = (path, name, cls, flags, tuple(filled))


def _agree(known: tuple[int | None, ...] | None, shape: tuple[int, ...] | None) -> bool:
    if known is None or shape is None:
        return shape is not None
    return len(known) == len(shape) and all(a is None or a == b for a, b in zip(known, shape, strict=True))


def _filled(known: tuple[int | None, ...] | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    if known is None:
        return shape
    if len(known) != len(shape):
        return known  # type: ignore[return-value]
    return tuple(b if a is None else a for a, b in zip(known, shape, strict=True))


# ---- the V3 layouts: by path, and by the names that people gave ----


class _V3(_Adopting):
    def __init__(self, described: Described, file: FileFacts) -> None:
        super().__init__(described, file)
        self.edges: list[tuple[int, list[Edge]]] = [(row, list(edges)) for row, edges in described.nodes]
        self.node_of = {row: node for node, (row, _) in enumerate(described.nodes) if row >= 0}
        rows = [(group[0], at) for at, group in enumerate(file.groups) if not group[2] & _OWN_STATE]
        self.paths = sorted(rows)
        self.by_path = dict(reversed(rows))
        self.by_name: dict[str, int] = {}
        for at, group in enumerate(file.groups):
            if group[1] and group[2] & NAMED:
                self.by_name[group[1]] = -1 if group[1] in self.by_name else at

    def run(self) -> None:
        for at, made in enumerate(self.things):
            group = self.groups[at]
            if made.why is not None:
                count = self.take(at)
                self.unchecked += count
                self.note_class(at, self.places[at], made, count)
            elif any(not _is_known(row) for row in group[4]):
                self.note_shapes(at)
                self.fill(at, self.source(at))
        self.nodes = [(row, tuple(edges)) for row, edges in self.edges]

    def slots(self, at: int) -> list[int]:
        """The tensors of a group of the file by the keys ``"0"``, ``"1"``, …"""
        keys = dict(self.file.groups[at][3])
        return [keys[str(number)] for number in range(len(keys)) if str(number) in keys]

    def source(self, at: int) -> list[int]:
        """The tensors that a layer of the model gets its lengths from."""
        group = self.groups[at]
        automatic = group[3] & int(Flag.AUTO_NAME)
        named = -1 if automatic else self.by_name.get(group[1] or "", -1)
        places = [place for place in (named, self.by_path.get(group[0], -1)) if place >= 0]
        found = [self.slots(place) for place in places]
        return next((slots for slots in found if self.fits(group, slots)), found[0] if found else [])

    def take(self, at: int) -> int:
        """Takes all that the file has at the place of a layer, and below it; how many tensors that are."""
        path, name, cls, flags, _ = self.groups[at]
        layer = self.places[at]
        place = self.by_path.get(path)
        if place is not None:
            self.groups[at] = (path, name, cls, flags, self.rows_at(at, place, layer))
        nodes = {path: self.node_of[at]}
        count = len(self.groups[at][4])
        prefix = f"{path}/"
        start = bisect_left(self.paths, (prefix, -1))
        for below, place in self.paths[start:]:
            if not below.startswith(prefix):
                break
            count += self.add(below, place, nodes)
        return count

    def rows_at(self, at: int, place: int, layer: str) -> tuple[Variable, ...]:
        keys = sorted((key, row) for key, row in self.file.groups[place][3] if row >= 0 and key.isdecimal())
        keys.sort(key=lambda pair: (len(pair[0]), pair[0]))
        found = [self.tensors[row] for _, row in keys]
        rows = tuple(
            (key, f"{layer}/{key}", layer, tensor.shape, tensor.dtype, True)
            for (key, _), tensor in zip(keys, found, strict=True)
        )
        self.rows[at] = [Weight(row[0], row[3], row[4], True) for row in rows]
        return rows

    def add(self, path: str, place: int, nodes: dict[str, int]) -> int:
        """Adds a layer inside one that nobody knows, and the attributes that lead to it; how many variables it has."""
        at = path
        missing: list[str] = []
        while at not in nodes:
            missing.append(at)
            at = at.rpartition("/")[0]
        for each in reversed(missing):
            parent, _, attribute = each.rpartition("/")
            row = len(self.groups)
            self.rows.append([])
            self.groups.append((each, None, "", 0, ()))
            nodes[each] = len(self.edges)
            self.edges[nodes[parent]][1].append((attribute, nodes[each]))
            self.edges.append((row, []))
            if each == path:
                self.groups[row] = (each, self.file.groups[place][1], "", 0, self.rows_at(row, place, each))
        return len(self.rows[-1])


# ---- the legacy layouts: by name, and by order where the counts leave no choice ----


class _Legacy(_Adopting):
    def __init__(self, described: Described, file: FileFacts) -> None:
        super().__init__(described, file)
        self.keras = described.keras
        self.by_name: dict[str, int] = {}
        for at, group in enumerate(file.groups):
            if group[1]:
                self.by_name.setdefault(group[1], at)
        top = int(Flag.TOP_LEVEL)
        self.weighted = [at for at, group in enumerate(file.groups) if self.slots(group) and not group[2] & top]

    @staticmethod
    def slots(group: FileGroup) -> list[int]:
        return [row for _, row in group[3]]

    def run(self) -> None:
        sources = self.pair()
        for at, made in enumerate(self.things):
            group = self.groups[at]
            gaps = gaps_of(made) if not group[3] & int(Flag.TOP_LEVEL) else []
            if not gaps and all(_is_known(row) for row in group[4]):
                continue
            source = sources.get(at)
            count = self.take(at, source) if gaps and source is not None else 0
            self.unchecked += count
            is_open = bool(gaps) and at not in sources
            for path, inner in gaps:
                self.note_class(at, path, inner, None if is_open or len(gaps) > 1 else count)
            if is_open and not group[4]:
                self.unsure = f"whether `{gaps[0][1].why}` has variables is not known"
            if any(not _is_known(row) for row in self.groups[at][4]):
                self.note_shapes(at)
                self.fill(at, self.slots(self.file.groups[source]) if source is not None else [])

    def pair(self) -> dict[int, int | None]:
        """Row of a layer of the model -> the group of the file in its place; None for one that has no weights."""
        found: dict[int, int | None] = {}
        layers = range(len(self.things) - 1)
        maybe = {at for at in layers if not self.groups[at][4] and gaps_of(self.things[at])}
        for at in layers:
            named = self.by_name.get(self.groups[at][1] or "", -1)
            if named >= 0 and (at in maybe or self.fits(self.groups[at], self.slots(self.file.groups[named]))):
                found[at] = named if self.slots(self.file.groups[named]) else None
        certain = [at for at in layers if self.groups[at][4] or (at in maybe and found.get(at) is not None)]
        left = sorted(at for at in maybe if at not in found)
        if len(certain) == len(self.weighted):  # then those have none
            found.update(dict.fromkeys(left))
        elif len(certain) + len(left) == len(self.weighted):
            certain = sorted(certain + left)
        else:
            return found
        for at, place in zip(certain, self.weighted, strict=True):
            found.setdefault(at, place)
        return found

    def take(self, at: int, source: int) -> int:
        """Takes the weights of the file where a layer has parts that nobody knows; how many. What is known before and
        behind stays."""
        path, name, cls, flags, rows = self.groups[at]
        slots = self.file.groups[source][3]
        before, behind = _around(self.keras, self.things[at])
        if len(slots) < len(rows):
            return 0
        made = [self.row(slot, row, name or path) for slot, row in slots]
        head, tail = rows[:before], rows[len(rows) - behind :]
        middle = made[before : len(made) - behind]
        self.groups[at] = (path, name, cls, flags, (*head, *middle, *tail))
        own = self.rows[at]
        kept = [Weight(row[0], row[3], row[4], True) for row in middle]
        self.rows[at] = [*own[:before], *kept, *own[len(rows) - behind :]]
        return len(middle)

    def row(self, slot: str, row: int, layer: str) -> Variable:
        variable = slot.removesuffix(":0").rpartition("/")[2] or slot
        shape = self.tensors[row].shape if row >= 0 else ()
        dtype = self.tensors[row].dtype if row >= 0 else "float32"
        return variable, f"{layer}/{variable}", layer, shape, dtype, True


def _around(keras: object, made: Thing) -> tuple[int, int]:
    """How many variables come before the first part that nobody knows, and how many behind the last."""
    order = in_order(keras, made, with_gaps=True)  # type: ignore[arg-type]
    at = [number for number, owned in enumerate(order) if owned.weight is None]
    return at[0], len(order) - 1 - at[-1]
