"""Names of layers inside a user's layer that nothing records: those of the file, where it has such weights there.

    signature   block/?/kernel (8, 16)    block/?/bias (16,)     block/??/kernel (16, 8)
    file        block/dense/kernel        block/dense/bias       block/dense_2/kernel

Keras numbers such names through a whole process, so that no architecture tells them. What is called otherwise than in
the file would pass for a layer in another place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kwload.report.facts import FileFacts, FileGroup
from kwload.spec.architecture.describe import Described
from kwload.spec.architecture.things import Thing
from kwload.spec.described import V3_LAYOUTS, Flag, Group, Variable


def named_as_in(described: Described, file: FileFacts) -> Described:
    """The description with the names that nothing records taken from an opened file; of the legacy layouts, the only
    ones that hold the names of layers inside of others."""
    if file.layout in V3_LAYOUTS:
        return described
    groups = list(described.groups)
    for at, place in _pairs(described, file):
        paths = list(_unnamed(described.things[at]))
        if paths:
            groups[at] = _named(groups[at], paths, file.groups[place])
    return replace(described, groups=groups)


def _pairs(described: Described, file: FileFacts) -> Iterator[tuple[int, int]]:
    """Groups of the model and of the file: of one name, and else by order where as many have weights."""
    top = int(Flag.TOP_LEVEL)
    wanted = [at for at, group in enumerate(described.groups) if group[4] and not group[3] & top]
    there = [at for at, group in enumerate(file.groups) if group[3] and not group[2] & top]
    by_name = {name: at for at in there if (name := file.groups[at][1])}
    by_order = dict(zip(wanted, there, strict=True)) if len(wanted) == len(there) else {}
    for at in wanted:
        place = by_name.get(described.groups[at][1] or "", by_order.get(at))
        if place is not None:
            yield at, place


def _unnamed(top: Thing) -> Iterator[str]:
    """The paths of the layers inside a layer whose names nothing records."""
    todo = [(top.name or "", top)]
    while todo:
        path, made = todo.pop()
        if made.is_unnamed:
            yield path
        todo += [(f"{path}/{inside.name}", inside) for inside in made.children()]


def _named(group: Group, paths: list[str], there: FileGroup) -> Group:
    """A group with the names of the file's."""
    rows = group[4]
    slots = [slot.removesuffix(":0").split("/") for slot, _ in there[3]]
    if len(slots) != len(rows):
        return group
    ways = [row[1].split("/") for row in rows]
    made = [list(way) for way in ways]
    for path in paths:
        depth = path.count("/")
        inside = [number for number, row in enumerate(rows) if f"{row[1]}/".startswith(f"{path}/")]
        alike = all(len(slots[at]) == len(ways[at]) and slots[at][-1] == ways[at][-1] for at in inside)
        names = {slots[at][depth] for at in inside} if alike else set()
        if len(names) == 1:
            for at in inside:
                made[at][depth] = slots[at][depth]
    return (*group[:4], tuple(_row(row, way) for row, way in zip(rows, made, strict=True)))


def _row(row: Variable, way: list[str]) -> Variable:
    return (row[0], "/".join(way), "/".join(way[: row[2].count("/") + 1]), *row[3:])
