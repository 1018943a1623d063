"""A layer more, or fewer, inside of a nested model: which, and where, in legacy files of real Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from families import ALL, Family
from test_variants import only

import kwload

pytestmark = pytest.mark.keras

each_legacy = pytest.mark.parametrize("family", [f for f in ALL if f.layout == "legacy"], ids=str)
Parts = list[tuple[str | None, int]]
PLAIN: Parts = [("a", 8), ("b", 8), ("c", 5)]


def build(family: Family, parts: Parts) -> Any:
    """A model of Dense layers inside of another."""
    layers = family.keras.layers
    inner = family.keras.Sequential(
        [layers.Input((4,)), *(layers.Dense(units, name=name) for name, units in parts)], name="inner"
    )
    return family.sequential(inner, layers.Dense(2, name="head"), inputs=(4,))


def lines(family: Family, old: Parts, new: Parts, path: Path) -> list[str]:
    """What the one error says of the layers inside."""
    finding = only(kwload.check(build(family, new), family.save(build(family, old), path)), "KW306")
    assert finding.layer == "inner"
    return [line for line in finding.body if line.startswith("only in")]


@each_legacy
@pytest.mark.parametrize("units", [6, 8])
def test_a_layer_more_or_less_is_named_by_its_name(family: Family, units: int, tmp_path: Path) -> None:
    more = [PLAIN[0], ("new", units), *PLAIN[1:]]
    said = f"new: kernel (8, {units}), bias ({units},), after `a`"
    assert lines(family, PLAIN, more, tmp_path) == [f"only in the model: {said}"]
    assert lines(family, more, PLAIN, tmp_path) == [f"only in the file: {said}"]


@each_legacy
def test_of_automatic_names_shapes_tell_or_nothing_does(family: Family, tmp_path: Path) -> None:
    plain: Parts = [(None, 8), (None, 8), (None, 5)]
    (line,) = lines(family, plain, [(None, 8), (None, 6), (None, 8), (None, 5)], tmp_path)
    assert "kernel (8, 6), bias (6,), after `dense" in line
    (line,) = lines(family, plain, [(None, 8), (None, 8), (None, 8), (None, 5)], tmp_path)
    assert line.startswith("only in the model: 1 of `dense") and line.endswith("which are alike")
    assert lines(family, plain, [(None, 8), (None, 7), (None, 6), (None, 9), (None, 5)], tmp_path) == []
