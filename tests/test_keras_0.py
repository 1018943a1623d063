"""Weights of Keras 0.x: no names of layers, `layer_0/param_0`; what the help of the report says loads them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import Family, each_keras
from test_variants import only, run_help

import kwload

pytestmark = pytest.mark.keras


def write(path: Path, sizes: list[int]) -> Path:
    """A file of Dense layers of these widths, an Activation without weights behind each."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = 2 * (len(sizes) - 1)
        for k, (inputs, units) in enumerate(pairwise(sizes)):
            for group, shapes in ((f"layer_{2 * k}", [(inputs, units), (units,)]), (f"layer_{2 * k + 1}", [])):
                file.create_group(group).attrs["nb_params"] = len(shapes)
                for i, shape in enumerate(shapes):
                    file[group][f"param_{i}"] = np.full(shape, k + 1, "float32")
    return path


def build(family: Family, sizes: list[int]) -> Any:
    return family.sequential(*(family.keras.layers.Dense(n) for n in sizes[1:]), inputs=(sizes[0],))


@each_keras
@pytest.mark.parametrize("sizes", [[4, 8, 3], [4] * 15], ids=["written out", "many"])
def test_the_help_loads_it_by_order(family: Family, sizes: list[int], tmp_path: Path) -> None:
    path, model = write(tmp_path / "k0.h5", sizes), build(family, sizes)
    report = kwload.check(model, path)
    finding = only(report, "KW310")
    assert "Keras 0.x wrote it" in finding.notes[0]
    assert len(finding.help) == 1 and run_help(finding.help[0], model).ok
    assert [float(np.asarray(value).mean()) for value in model.get_weights()[::2]] == list(range(1, len(sizes)))


@each_keras
def test_another_model_gets_no_call(family: Family, tmp_path: Path) -> None:
    finding = only(kwload.check(build(family, [4, 8, 8, 3]), write(tmp_path / "k0.h5", [4, 8, 3])), "KW310")
    assert finding.help and "load_weights" not in finding.help[0]
