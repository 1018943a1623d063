"""The file of a model inside the model, and the file of a model around it (KW327)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from families import Family, every_family, same, values
from test_variants import run_help

import kwload

pytestmark = pytest.mark.keras


def inner(family: Family, *, given: bool = True, name: str = "inner") -> Any:
    layers = family.keras.layers
    names = ("s", "t") if given else (None, None)
    return family.keras.Sequential(
        [family.keras.Input((8,)), *(layers.Dense(8, name=part) for part in names)], name=name
    )


def whole(family: Family, *, given: bool = True, twice: bool = False) -> Any:
    start = family.keras.Input((8,))
    end = inner(family, given=given)(start)
    end = inner(family, given=given, name="other")(end) if twice else end
    return family.keras.Model(start, family.keras.layers.Dense(2, name="out" if given else None)(end))


@every_family
@pytest.mark.parametrize("given", [True, False], ids=["given", "automatic"])
def test_the_file_of_a_backbone(family: Family, given: bool, tmp_path: Path) -> None:
    saved, model = inner(family, given=given), whole(family, given=given)
    path = family.save(saved, tmp_path)
    report = kwload.check(model, path)
    assert [finding.code for finding in report.findings if finding.severity != "note"] == ["KW327"], str(report)
    assert "`inner`" in report.errors[0].headline and "functional" not in str(report)
    before = values(model)
    run_help(report.errors[0].help[0], model)
    assert same(values(model.get_layer("inner")), values(saved))
    assert same(values(model)[-2:], before[-2:])


@every_family
def test_the_file_of_the_model_around(family: Family, tmp_path: Path) -> None:
    saved, model = whole(family), inner(family)
    path = family.save(saved, tmp_path)
    report = kwload.check(model, path)
    assert [finding.code for finding in report.findings if finding.severity != "note"] == ["KW327"], str(report)
    assert "which holds a larger model" in report.errors[0].headline
    if family.named and not family.is_legacy:
        run_help(report.errors[0].help[0], model)
        assert same(values(model), values(saved.get_layer("inner")))


@every_family
def test_two_parts_that_a_file_fits_are_both_named(family: Family, tmp_path: Path) -> None:
    report = kwload.check(whole(family, twice=True), family.save(inner(family), tmp_path))
    assert report.errors[0].code == "KW327"
    assert [("inner" in line, "other" in line) for line in report.errors[0].help] == [(True, False), (False, True)]


@every_family
def test_a_backbone_of_other_widths_is_no_part(family: Family, tmp_path: Path) -> None:
    layers = family.keras.layers
    other = family.sequential(layers.Dense(8, name="s"), layers.Dense(9, name="t"), inputs=(8,))
    assert "KW327" not in str(kwload.check(whole(family), family.save(other, tmp_path)))
