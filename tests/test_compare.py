"""Two weight files side by side: which tensor is which, and whether the values are the same."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from families import Family

import kwload
from kwload.cli import main

h5py = pytest.importorskip("h5py")


def write(path: Path, tensors: dict[str, Any]) -> Path:
    """A file of the Keras 3 layout by hand."""
    with h5py.File(path, "w") as file:
        for name, value in tensors.items():
            file[name] = np.asarray(value)
    return path


@pytest.fixture
def values() -> dict[str, Any]:
    numbers = np.random.default_rng(0)
    layers = ("layers/dense", "layers/dense_1")
    kernels = {f"{layer}/vars/0": numbers.normal(size=(4, 4)).astype("float32") for layer in layers}
    return kernels | {f"{layer}/vars/1": np.zeros(4, "float32") for layer in layers}


def test_equal_files_are_the_same(values: dict[str, Any], tmp_path: Path) -> None:
    values["layers/dense/vars/0"][0, 0] = np.nan
    one, other = (write(tmp_path / name, values) for name in ("a.weights.h5", "b.weights.h5"))
    found = kwload.diff(one, other)
    assert found.same and len(found.pairs) == 4 and {pair.rule for pair in found.pairs} == {"path"}
    assert str(found).startswith("a.weights.h5 and b.weights.h5: the same values in all 4 tensors\n")


def test_changed_values_are_counted_and_measured(values: dict[str, Any], tmp_path: Path) -> None:
    one = write(tmp_path / "a.weights.h5", values)
    values["layers/dense/vars/0"].flat[:3] += np.float32(0.5)
    other = write(tmp_path / "b.weights.h5", values)
    (pair,) = kwload.diff(one, other).different
    assert (pair.a, pair.difference, pair.count) == ("layers/dense/vars/0", "values", 3)
    assert pair.largest == pytest.approx(0.5)
    assert not kwload.diff(one, other, atol=0.4).same
    assert kwload.diff(one, other, atol=0.6).same
    assert "3 of 16 values, by up to 0.5" in str(kwload.diff(one, other))


def test_values_that_changed_places_are_found(values: dict[str, Any], tmp_path: Path) -> None:
    one = write(tmp_path / "a.weights.h5", values)
    kernels = [path for path in values if path.endswith("/0")]
    swapped = values | {kernels[0]: values[kernels[1]], kernels[1]: values[kernels[0]]}
    found = kwload.diff(one, write(tmp_path / "b.weights.h5", swapped))
    assert {pair.a: pair.elsewhere for pair in found.different} == dict(zip(kernels, reversed(kernels), strict=True))


@pytest.mark.parametrize(
    ("change", "difference"), [(np.zeros((4, 5), "float32"), "shape"), (np.zeros((4, 4), "float64"), "dtype")]
)
def test_shapes_and_types(values: dict[str, Any], change: Any, difference: str, tmp_path: Path) -> None:
    one = write(tmp_path / "a.weights.h5", values)
    found = kwload.diff(one, write(tmp_path / "b.weights.h5", values | {"layers/dense/vars/0": change}))
    assert [(pair.a, pair.difference) for pair in found.different] == [("layers/dense/vars/0", difference)]


def test_what_one_file_has_alone(values: dict[str, Any], tmp_path: Path) -> None:
    one = write(tmp_path / "a.weights.h5", values)
    more = {"layers/conv2d/vars/0": np.ones((3, 3, 1, 2), "float32"), **values, "optimizer/vars/0": np.int64(7)}
    found = kwload.diff(one, write(tmp_path / "b.weights.h5", more))
    assert (found.only_a, found.only_b, found.b.state) == ((), ("layers/conv2d/vars/0",), 1)
    assert not found.same and not found.different


def test_a_tensor_that_cannot_be_read_is_not_equal(values: dict[str, Any], tmp_path: Path) -> None:
    one, other = tmp_path / "a.weights.h5", tmp_path / "b.weights.h5"
    for path in (one, other):
        with h5py.File(path, "w") as file:
            for name, value in values.items():
                file.create_dataset(name, data=value, chunks=value.shape, compression="gzip")
    with kwload.open(other) as file:
        row = file.core.index("layers/dense/vars/0")
        size = file.core.tensors[row].nbytes
    packed = other.read_bytes()
    with h5py.File(other) as file:
        chunk = file["layers/dense/vars/0"].id.get_chunk_info(0)
    assert size == 64
    other.write_bytes(packed[: chunk.byte_offset] + bytes(chunk.size) + packed[chunk.byte_offset + chunk.size :])
    found = kwload.diff(one, other)
    assert [(pair.a, pair.difference) for pair in found.different] == [("layers/dense/vars/0", "unreadable")]
    assert CliRunner().invoke(main, ["diff", str(one), str(other)]).exit_code == 3


def test_the_command(values: dict[str, Any], tmp_path: Path) -> None:
    one = str(write(tmp_path / "a.weights.h5", values))
    values["layers/dense/vars/1"] = np.ones(4, "float32")
    other = str(write(tmp_path / "b.weights.h5", values))
    run = CliRunner().invoke
    assert run(main, ["diff", one, one]).exit_code == 0
    answer = run(main, ["diff", one, other, "--json"])
    assert answer.exit_code == 1
    data = json.loads(answer.output)
    assert data["schema"] == 1 and data["same"] is False
    assert [pair["difference"] for pair in data["pairs"]].count("values") == 1
    assert run(main, ["diff", one, other, "--atol", "1"]).exit_code == 0
    assert run(main, ["diff", one, "absent.h5"]).exit_code == 3
    assert run(main, ["diff", one, other, "--atol", "nan"]).exit_code == 2


def small(keras: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential([layers.Input((5, 4)), layers.LSTM(4, name="rec", return_sequences=True)], name="inner")
    inner.add(layers.BatchNormalization(name="norm"))
    inputs = layers.Input((5, 4))
    return keras.Model(inputs, layers.Dense(2)(layers.Dense(3)(inner(inputs))))


@pytest.mark.keras
@pytest.mark.parametrize(("name", "layout"), [("tf_keras", "legacy"), ("tf_keras", "v3"), ("keras", "legacy")])
def test_the_same_weights_in_two_layouts_are_the_same(name: str, layout: str, tmp_path: Path) -> None:
    old, new = Family(name, layout), Family("keras", "v3")
    keras_3 = small(new.keras)
    for weight in keras_3.weights:
        weight.assign(np.random.default_rng(1).normal(size=tuple(weight.shape)))
    model = small(old.keras)
    model.set_weights(keras_3.get_weights())
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    a, b = old.save(model, tmp_path / "a"), new.save(keras_3, tmp_path / "b")
    found = kwload.diff(a, b)
    assert found.same, found
    if layout == "legacy":
        assert "the same values in all 11 tensors, in different layouts" in str(found)
    mapping = found.mapping()
    assert len(mapping) == len(set(mapping.values())) == 11
    with kwload.open(a) as first, kwload.open(b) as second:
        assert all(np.array_equal(first[one], second[other]) for one, other in mapping.items())
    keras_3.layers[-1].bias.assign([1.0, 2.0])
    (pair,) = kwload.diff(a, new.save(keras_3, tmp_path / "b")).different
    assert (pair.b, pair.difference) == ("layers/dense_1/vars/1", "values")


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_that_is_cut_short_is_not_compared(values: dict[str, Any], tmp_path: Path, share: float) -> None:
    whole = write(tmp_path / "a.weights.h5", values)
    cut = tmp_path / "cut.weights.h5"
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])
    for pair in ((whole, cut), (cut, whole), (cut, cut)):
        with pytest.raises(kwload.WeightsFileError) as raised:
            kwload.diff(*pair)
        assert [item.code for item in raised.value.report.findings] == ["KW202"]
    result = CliRunner().invoke(main, ["diff", str(whole), str(cut)])
    assert result.exit_code == 3 and "KW202" in result.output


def test_an_archive_whose_checksum_is_wrong_is_not_compared(values: dict[str, Any], tmp_path: Path) -> None:
    weights = write(tmp_path / "a.weights.h5", values).read_bytes()
    whole, flipped = tmp_path / "a.keras", tmp_path / "flipped.keras"
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("model.weights.h5", weights)
    content = bytearray(whole.read_bytes())
    at = content.index(values["layers/dense/vars/1"].tobytes() + bytes(8)) + 20  # in what no tensor holds
    content[at] ^= 1
    flipped.write_bytes(content)
    assert kwload.diff(whole, whole).same
    with pytest.raises(kwload.WeightsFileError, match="KW205"):
        kwload.diff(whole, flipped)
