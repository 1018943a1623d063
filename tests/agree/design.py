"""What a model is, as plain data: its layers, how it holds them, their names, and what was changed.

A *role* names a layer whatever the model calls it: the tensor that the layer of a role saved belongs to the layer of
that role, so for each file and model it is known which tensor each variable must get.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

NAMINGS = ("auto", "shift", "given", "mixed")
CONTAINERS = (
    "seq",
    "func",
    "nested",
    "nested2",
    "attrs",
    "list",
    "dict",
    "nestlist",
    "layerlist",
    "layernest",
    "alias",
    "branches",
    "shared",
    "outputs",
    "fsub",
)


@dataclass(frozen=True)
class Item:
    """One layer."""

    role: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    name: str | None = None
    trainable: bool = True

    def but(self, **options: Any) -> Item:
        return replace(self, options={**self.options, **options})


@dataclass(frozen=True)
class Design:
    """A model to be built."""

    container: str
    shape: tuple[int, ...]
    items: tuple[Item, ...]
    naming: str
    inputs: str = "float32"
    dtype: str | None = None
    optimizer: str | None = None
    fitted: bool = False
    quantize: str | None = None
    lora: bool = False
    frozen: bool = False
    frozen_inner: bool = False
    dict_reversed: bool = False
    attributes_renamed: bool = False
    built: bool = True

    def place(self, role: str) -> int:
        return [item.role for item in self.items].index(role)


def item(role: str, kind: str, **options: Any) -> Item:
    return Item(role, kind, options)


def _three(kind: str, **options: Any) -> tuple[Item, ...]:
    return tuple(item(role, kind, **options) for role in ("alpha", "nu", "omega"))


HEAD = item("head", "dense", units=3)
BLOCKS: dict[str, tuple[tuple[int, ...], tuple[Item, ...]]] = {
    "dense": ((8,), (*_three("dense"), HEAD)),
    "norms": (
        (8,),
        (item("alpha", "dense"), item("bn", "bn"), item("nu", "dense"), item("ln", "ln"), item("omega", "bn"), HEAD),
    ),
    "convbn": (
        (6, 6, 4),
        (item("alpha", "conv"), item("bn", "bn"), item("nu", "conv"), item("omega", "bn"), item("pool", "pool"), HEAD),
    ),
    "conv1d": ((6, 4), (*_three("conv1d"), item("pool", "flatten"), HEAD)),
    "separable": (
        (6, 6, 4),
        (item("alpha", "depthwise"), item("sep", "separable"), item("nu", "depthwise"), item("omega", "separable")),
    ),
    "transposed": ((6, 6, 4), (item("alpha", "convt"), item("nu", "convt"), item("omega", "convt"))),
    "lstm": ((5, 6), (*_three("lstm"), item("pool", "flatten"), HEAD)),
    "gru": ((5, 6), (*_three("gru"), HEAD)),
    "rnn": ((5, 6), (*_three("rnn"), HEAD)),
    "bidir": ((5, 6), _three("bidir")),
    "td": ((5, 6), (item("alpha", "td"), item("nu", "td"), item("omega", "dense", units=6))),
    "cells": ((5, 6), (item("alpha", "cells"), item("nu", "cells"), HEAD)),
    "convlstm": ((3, 5, 5, 4), (item("alpha", "convlstm"), item("nu", "convlstm"))),
    "mha": ((5, 8), (item("alpha", "mha"), item("ln", "ln"), item("nu", "mha"), HEAD)),
    "gqa": ((5, 8), (item("alpha", "gqa"), item("nu", "gqa"), HEAD)),
    "transformer": ((5, 8), (*_three("tblock"), HEAD)),
    "embedding": ((5,), (item("emb", "emb"), item("alpha", "dense"), item("nu", "dense"), HEAD)),
    "scale": ((8,), (*_three("scale"), HEAD)),
    "block": ((8,), (*_three("block"), HEAD)),
    "own": ((8,), (item("alpha", "dense"), item("nu", "own"), HEAD)),
    "normalization": ((8,), (item("nrm", "normalization"), item("alpha", "dense"), item("nu", "dense"))),
    "prelu": ((8,), (item("alpha", "dense"), item("act", "prelu"), item("nu", "dense"), item("omega", "prelu"))),
    "einsum": ((5, 8), (*_three("einsum"), HEAD)),
    "spectral": ((8,), (item("alpha", "spectral"), item("nu", "spectral"), HEAD)),
    "groupnorm": ((6, 6, 4), (item("alpha", "conv"), item("gn", "gn"), item("nu", "conv"), item("omega", "gn"))),
    "dropout": ((8,), (item("alpha", "dense"), item("drop", "dropout"), item("nu", "dense"), item("act", "relu"))),
    "weightless": ((8,), (item("drop", "dropout"), item("act", "relu"))),
    "lookup": ((1,), (item("look", "lookup"), item("emb", "emb"), item("alpha", "dense"))),
}
WEIGHTLESS = {"pool", "flatten", "dropout", "relu"}


def base(container: str, block: str, naming: str) -> Design:
    """The unchanged design of a block of layers in a container."""
    shape, items = BLOCKS[block]
    inputs = {"embedding": "int32", "lookup": "string"}.get(block, "float32")
    return Design(container, shape, tuple(_named(items, naming)), naming, inputs)


def _named(items: tuple[Item, ...], naming: str) -> list[Item]:
    named = []
    for index, it in enumerate(items):
        given = naming == "given" or (naming == "mixed" and index % 2 == 0)
        named.append(replace(it, name=it.role if given else None))
    return named


# --- changes of a model ----------------------------------------------------------------------------------------------

Change = Callable[[Design], "Design | None"]


def _with(design: Design, items: list[Item] | tuple[Item, ...]) -> Design:
    return replace(design, items=tuple(items))


def _weighted(design: Design) -> list[int]:
    return [index for index, it in enumerate(design.items) if it.kind not in WEIGHTLESS]


def _twins(design: Design) -> tuple[int, int] | None:
    """Two places of one kind and options."""
    for first in range(len(design.items)):
        for second in range(len(design.items) - 1, first, -1):
            a, b = design.items[first], design.items[second]
            if a.kind == b.kind and a.options == b.options and a.kind not in WEIGHTLESS:
                return first, second
    return None


def _rename(old: Callable[[int, Item], str | None]) -> Change:
    def change(design: Design) -> Design | None:
        items = [replace(it, name=old(i, it)) if it.name else it for i, it in enumerate(design.items)]
        return _with(design, items) if tuple(items) != design.items else None

    return change


def _give(design: Design) -> Design | None:
    if design.naming not in ("auto", "shift"):
        return None
    return replace(_with(design, [replace(it, name=f"my_{it.role}") for it in design.items]), naming="given")


def _drop_names(design: Design) -> Design | None:
    if design.naming not in ("given", "mixed"):
        return None
    return replace(_with(design, [replace(it, name=None) for it in design.items]), naming="auto")


def _swap_order(design: Design) -> Design | None:
    twins = _twins(design)
    if twins is None:
        return None
    items = list(design.items)
    items[twins[0]], items[twins[1]] = items[twins[1]], items[twins[0]]
    return _with(design, items)


def _rotate(design: Design) -> Design | None:
    first = design.items[0]
    same = [i for i, it in enumerate(design.items) if it.kind == first.kind and it.options == first.options]
    if len(same) < 3:
        return None
    items = list(design.items)
    for k, i in enumerate(same):
        items[i] = design.items[same[(k + 1) % len(same)]]
    return _with(design, items)


def _reverse(design: Design) -> Design | None:
    if design.shape[-1:] == (1,) or design.items[0].kind == "emb":
        return None
    body = [it for it in design.items if it.role not in ("head", "pool")]
    tail = [it for it in design.items if it.role in ("head", "pool")]
    return _with(design, [*body[::-1], *tail]) if len(body) > 1 else None


def _insert(where: str, kind: str | None = None) -> Change:
    def change(design: Design) -> Design | None:
        weighted = [i for i in _weighted(design) if design.items[i].role != "head"]
        if not weighted:
            return None
        at = {"first": weighted[0], "middle": weighted[len(weighted) // 2], "last": weighted[-1]}[where]
        model = design.items[at]
        if model.kind in ("emb", "lookup", "normalization"):
            at = weighted[-1]
            model = design.items[at]
        name = "fresh" if design.naming in ("given", "mixed") else None
        new = Item("fresh", kind or model.kind, {} if kind else model.options, name)
        items = list(design.items)
        items.insert(at + (where == "last"), new)
        return _with(design, items)

    return change


def _remove(where: str) -> Change:
    def change(design: Design) -> Design | None:
        weighted = [i for i in _weighted(design) if design.items[i].role != "head"]
        if len(weighted) < 2 or design.items[weighted[0]].kind in ("emb", "lookup"):
            return None
        at = {"first": weighted[0], "middle": weighted[len(weighted) // 2], "last": weighted[-1]}[where]
        return _with(design, [it for i, it in enumerate(design.items) if i != at])

    return change


def _shift(design: Design) -> Design | None:
    """One same-shape layer more at the front, one fewer at the end: as many as before."""
    inserted = _insert("first")(design)
    if inserted is None:
        return None
    kind = next(it.kind for it in inserted.items if it.role == "fresh")
    last = max((i for i, it in enumerate(inserted.items) if it.kind == kind and it.role not in ("fresh", "head")))
    return _with(inserted, [it for i, it in enumerate(inserted.items) if i != last])


_SIZES: dict[str, dict[str, Any]] = {
    "dense": {"units": 9},
    "conv": {"filters": 5},
    "conv1d": {"filters": 5},
    "convt": {"filters": 5},
    "separable": {"filters": 5},
    "lstm": {"units": 7},
    "gru": {"units": 7},
    "rnn": {"units": 7},
    "bidir": {"units": 4},
    "td": {"units": 7},
    "cells": {"units": 7},
    "convlstm": {"filters": 5},
    "mha": {"dim": 5},
    "gqa": {"dim": 6},
    "tblock": {"inner": 5},
    "emb": {"width": 9},
    "scale": {"extra": True},
    "block": {"inner": 5},
    "own": {},
    "einsum": {"units": 9},
    "spectral": {"units": 9},
}


def _resize(where: str) -> Change:
    def change(design: Design) -> Design | None:
        places = [i for i in _weighted(design) if _SIZES.get(design.items[i].kind) and design.items[i].role != "head"]
        if not places:
            return None
        at = places[0] if where == "first" else places[-1]
        items = list(design.items)
        items[at] = items[at].but(**_SIZES[items[at].kind])
        return _with(design, items)

    return change


def _option(kinds: str, which: str = "all", **options: Any) -> Change:
    def change(design: Design) -> Design | None:
        places = [i for i, it in enumerate(design.items) if it.kind in kinds.split()]
        if not places:
            return None
        chosen = places if which == "all" else places[:1]
        items = [it.but(**options) if i in chosen else it for i, it in enumerate(design.items)]
        return _with(design, items) if tuple(items) != design.items else None

    return change


def _class(pairs: dict[str, str], which: str = "first") -> Change:
    def change(design: Design) -> Design | None:
        places = [i for i, it in enumerate(design.items) if it.kind in pairs and it.role != "head"]
        if not places:
            return None
        chosen = places if which == "all" else places[:1]
        items = [
            replace(it, kind=pairs[it.kind], role=it.role) if i in chosen else it for i, it in enumerate(design.items)
        ]
        return _with(design, items)

    return change


def _freeze(kind: str) -> Change:
    def change(design: Design) -> Design | None:
        if not any(it.kind == kind for it in design.items):
            return None
        first = next(i for i, it in enumerate(design.items) if it.kind == kind)
        return _with(design, [replace(it, trainable=i != first) for i, it in enumerate(design.items)])

    return change


def _set(**fields: Any) -> Change:
    def change(design: Design) -> Design | None:
        changed = replace(design, **fields)
        return changed if changed != design else None

    return change


def _container(*pairs: tuple[str, str]) -> Change:
    def change(design: Design) -> Design | None:
        to = dict(pairs).get(design.container)
        return replace(design, container=to) if to else None

    return change


def _dict_order(design: Design) -> Design | None:
    return replace(design, dict_reversed=True) if design.container == "dict" else None


def _attributes(design: Design) -> Design | None:
    return replace(design, attributes_renamed=True) if design.container in ("attrs", "alias") else None


def _inner_frozen(design: Design) -> Design | None:
    return replace(design, frozen_inner=True) if design.container in ("nested", "nested2") else None


def _head(design: Design) -> Design | None:
    if not any(it.role == "head" for it in design.items):
        return None
    return _with(design, [it.but(units=5) if it.role == "head" else it for it in design.items])


def _no_head(design: Design) -> Design | None:
    kept = [it for it in design.items if it.role != "head"]
    return _with(design, kept) if len(kept) < len(design.items) else None


def _channels(design: Design) -> Design | None:
    if design.inputs != "float32" or len(design.shape) < 1:
        return None
    return replace(design, shape=(*design.shape[:-1], design.shape[-1] + 1))


def _other(block: str) -> Change:
    def change(design: Design) -> Design | None:
        changed = base(design.container if design.container not in ("layerlist", "layernest") else "seq", block, "auto")
        return changed if changed.items[0].kind != design.items[0].kind else None

    return change


def _lora(design: Design) -> Design | None:
    if design.items[0].kind not in ("dense", "conv", "einsum", "emb"):
        return None
    return replace(design, lora=True)


def _empty(design: Design) -> Design | None:
    return _with(design, [Item("drop", "dropout")]) if design.container in ("seq", "func", "list") else None


def _unbuilt(design: Design) -> Design | None:
    subclassed = ("seq", "attrs", "list", "dict", "nestlist", "alias", "layerlist", "layernest")
    return replace(design, built=False) if design.container in subclassed else None


def _quantize(mode: str) -> Change:
    def change(design: Design) -> Design | None:
        kinds = {it.kind for it in design.items}
        return replace(design, quantize=mode) if kinds & {"dense", "einsum", "emb"} else None

    return change


_BIASED = "dense conv conv1d convt depthwise lstm gru rnn bidir mha einsum separable convlstm"

CHANGES: dict[str, Change] = {
    "same": lambda design: design,
    "rename_one": _rename(lambda i, it: f"other_{it.role}" if i == 0 else it.name),
    "rename_all": _rename(lambda i, it: f"layer_{i}_x"),
    "prefix": _rename(lambda i, it: f"swa_{it.name}"),
    "suffix": _rename(lambda i, it: f"{it.name}_v2"),
    "give_names": _give,
    "drop_names": _drop_names,
    "swap_order": _swap_order,
    "rotate": _rotate,
    "reverse": _reverse,
    "insert_first": _insert("first"),
    "insert_middle": _insert("middle"),
    "insert_last": _insert("last"),
    "insert_other": _insert("middle", "ln"),
    "insert_weightless": _insert("middle", "dropout"),
    "remove_first": _remove("first"),
    "remove_middle": _remove("middle"),
    "remove_last": _remove("last"),
    "shift": _shift,
    "size_first": _resize("first"),
    "size_last": _resize("last"),
    "kernel_size": _option("conv conv1d convt depthwise separable convlstm", kernel=2),
    "channels": _channels,
    "bias_off": _option(_BIASED, bias=False),
    "bias_off_one": _option("dense conv lstm gru", "first", bias=False),
    "bn_scale_off": _option("bn", scale=False),
    "bn_center_off": _option("bn ln gn", "first", center=False),
    "bn_to_ln": _class({"bn": "ln"}),
    "bn_off": lambda d: _with(d, k) if len(k := [i for i in d.items if i.kind != "bn"]) < len(d.items) else None,
    "reset_after": _option("gru", reset_after=False),
    "reset_after_one": _option("gru", "first", reset_after=False),
    "freeze_all": _set(frozen=True),
    "freeze_bn": _freeze("bn"),
    "freeze_one": _freeze("dense"),
    "freeze_inner": _inner_frozen,
    "dict_order": _dict_order,
    "attributes": _attributes,
    "nest": _container(("seq", "nested"), ("func", "nested"), ("nested", "nested2"), ("list", "nestlist")),
    "unnest": _container(("nested", "seq"), ("nested2", "nested"), ("nestlist", "list"), ("layernest", "layerlist")),
    "to_attributes": _container(("list", "attrs"), ("dict", "attrs"), ("seq", "attrs"), ("func", "attrs")),
    "to_list": _container(("attrs", "list"), ("dict", "list"), ("seq", "list")),
    "to_dict": _container(("attrs", "dict"), ("list", "dict")),
    "to_func": _container(("seq", "func"), ("func", "seq"), ("fsub", "func"), ("nested", "func")),
    "to_own_class": _class({"dense": "custom_dense", "scale": "scale2"}),
    "lstm_to_gru": _class({"lstm": "gru", "gru": "lstm", "rnn": "lstm"}, "all"),
    "rnn_to_cell": _class({"rnn": "rnn_cell", "lstm": "lstm_cell"}, "all"),
    "to_bidirectional": _class({"lstm": "bidir", "dense": "td"}),
    "activation": _option("dense conv", "first", activation="tanh"),
    "head": _head,
    "no_head": _no_head,
    "float16": _set(dtype="float16"),
    "bfloat16": _set(dtype="bfloat16"),
    "float64": _set(dtype="float64"),
    "mixed": _set(dtype="mixed_float16"),
    "adam": _set(optimizer="adam"),
    "adam_fitted": _set(optimizer="adam", fitted=True),
    "sgd_fitted": _set(optimizer="sgd", fitted=True),
    "rmsprop_fitted": _set(optimizer="rmsprop", fitted=True),
    "int8": _quantize("int8"),
    "int4": _quantize("int4"),
    "float8": _quantize("float8"),
    "lora": _lora,
    "unbuilt": _unbuilt,
    "empty": _empty,
    "other_conv": _other("convbn"),
    "other_lstm": _other("lstm"),
}


def parse(key: str) -> Design | None:
    """The design of ``"nested/dense/given/swap_order+adam"``; None when a change does not apply to it."""
    container, block, naming, changes = key.split("/")
    design: Design | None = base(container, block, naming)
    for change in changes.split("+"):
        if design is not None:
            design = CHANGES[change](design)
    return design
