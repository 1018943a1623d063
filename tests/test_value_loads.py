"""Values of real Keras files: what is judged, what refuses, and that it is what the model would hold."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import Family, same, values

import kwload

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.keras

KERAS = Family("keras", "v3")
KERNEL = "layers/dense/vars/0"


def net(dtype: str = "float32") -> Any:
    layers = KERAS.keras.layers
    return KERAS.sequential(
        layers.Dense(32, name="wide", dtype=dtype),
        layers.BatchNormalization(name="norm", dtype=dtype),
        layers.Dense(5, name="head", dtype=dtype),
    )


def codes(report: kwload.Report) -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in report.findings]


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """``saved(change)``: the weights of a model whose file *change* was given to."""

    def save(change: Callable[[Any], Any] = lambda file: None, dtype: str = "float32") -> Path:
        path = tmp_path / "net.weights.h5"
        net(dtype).save_weights(path)
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    return save


def spoil(path: str, value: float, at: Any = (1, 2)) -> Callable[[Any], Any]:
    return lambda file: file[path].__setitem__(at, value)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_what_is_not_finite_warns_or_refuses(value: float, saved: Callable[..., Path]) -> None:
    model, path = net(), saved(spoil(KERNEL, value))
    report = kwload.check(model, path)
    assert codes(report) == [("KW501", "warning")]
    assert "wide/kernel" in report.findings[0].headline
    assert "at [1, 2]" in report.findings[0].body[0]
    assert codes(kwload.check(model, path, values=False)) == []
    assert codes(kwload.check(model, path, values="error")) == [("KW501", "error")]
    before = values(model)
    for options in ({"values": "error"}, {"strict": True}):
        with pytest.raises(kwload.WeightsMismatchError, match="KW501"):
            kwload.load_weights(model, path, **options)
        assert same(before, values(model))
    loaded = kwload.load_weights(model, path)
    assert loaded.findings == report.findings
    assert loaded.values == report.values
    assert kwload.load_weights(model, path, values=False, strict=True).values == {}


def test_only_what_is_loaded_is_judged(saved: Callable[..., Path]) -> None:
    model, path = net(), saved(spoil(KERNEL, np.nan))
    assert codes(kwload.check(model, path, skip="wide")) == []
    assert codes(kwload.check(model, path, only="head")) == []
    assert codes(kwload.load_weights(model, path, skip="wide")) == []


def test_the_state_of_an_optimizer_is_not_judged(tmp_path: Path) -> None:
    model, path = net(), tmp_path / "net.keras"
    model.compile("adam", "mse")
    model.fit(np.ones((4, 10)), np.ones((4, 5)), verbose=0)
    for variable in model.optimizer.variables[2:]:
        variable.assign(variable * np.nan)
    model.save(path)
    assert "KW501" not in {code for code, _ in codes(kwload.check(net(), path))}


def test_a_variance_below_zero(saved: Callable[..., Path]) -> None:
    path = saved(spoil("layers/batch_normalization/vars/3", -0.5, 7))
    (finding,) = kwload.check(net(), path).findings
    assert (finding.code, finding.severity, finding.variable) == ("KW501", "warning", "moving_variance")
    assert kwload.check(net(), saved(spoil("layers/batch_normalization/vars/3", -1e-7, 7))).findings == ()


@pytest.mark.parametrize(
    ("old", "new", "value", "expected"),
    [
        ("float64", "float32", 1e300, [("KW503", "warning"), ("KW309", "note")]),
        ("float32", "float16", 1e6, [("KW503", "warning"), ("KW309", "note")]),
        ("float64", "float32", 1.1, [("KW309", "note")]),
        ("float32", "float16", 1e-9, [("KW309", "note")]),
        ("float16", "float32", 1.5, [("KW309", "note")]),
    ],
)
def test_a_cast_is_what_keras_makes_of_it(
    old: str, new: str, value: float, expected: list[tuple[str, str]], saved: Callable[..., Path]
) -> None:
    path = saved(spoil(KERNEL, value), old)
    model = net(new)
    report = kwload.check(model, path)
    assert codes(report) == expected
    model.load_weights(path)
    infinite = sum(int(np.isinf(variable.numpy()).sum()) for variable in model.weights)
    assert infinite == sum(seen.overflow for seen in report.values.values())
    other = net(new)
    assert codes(kwload.load_weights(other, path)) == expected
    assert same(values(other), values(model))
    if expected[0][1] == "note":
        kwload.load_weights(net(new), path, strict=True)
    assert kwload.check(net(new), path, values="error").ok is (infinite == 0)


def test_integers_that_a_float_cannot_hold(saved: Callable[..., Path]) -> None:
    def whole(first: int) -> Callable[[Any], None]:
        def change(file: Any) -> None:
            shape = file[KERNEL].shape
            del file[KERNEL]
            file[KERNEL] = first + np.arange(np.prod(shape)).reshape(shape)

        return change

    assert codes(kwload.check(net(), saved(whole(0)))) == [("KW309", "note")]
    assert codes(kwload.check(net(), saved(whole(2**24)))) == [("KW503", "warning")]


def test_constants_are_notes(saved: Callable[..., Path]) -> None:
    report = kwload.check(net(), saved(spoil(KERNEL, 0, ...)))
    assert codes(report) == [("KW504", "note")]
    assert kwload.check(net(), saved()).findings == ()


def test_a_bias_of_two_axes_begins_with_zeros(tmp_path: Path) -> None:
    model = KERAS.sequential(KERAS.keras.layers.GRU(4), inputs=(3, 2))
    model.save_weights(tmp_path / "gru.weights.h5")
    assert kwload.check(model, tmp_path / "gru.weights.h5").findings == ()


def test_every_container_is_looked_at(tmp_path: Path) -> None:
    model = net()
    kernel = np.random.default_rng(2).normal(size=model.weights[0].shape)
    kernel[2, 3] = np.nan
    model.weights[0].assign(kernel)
    model.save_weights(tmp_path / "net.weights.h5")
    model.save(tmp_path / "net.keras")
    model.save_weights(tmp_path / "net.weights.json", max_shard_size=1.5e-6)
    shutil.unpack_archive(tmp_path / "net.keras", tmp_path / "folder", "zip")
    for name in ("net.weights.h5", "net.keras", "net.weights.json", "folder"):
        report = kwload.check(net(), tmp_path / name)
        found = [finding for finding in report.findings if finding.code == "KW501"]
        assert [finding.found for finding in found] == [{"nan": 1, "inf": 0}], name
        assert len(report.values) == len(model.weights)
        seen = next(iter(seen for seen in report.values.values() if seen.nan))
        assert (seen.low, seen.high, seen.nan_at) == (
            np.nanmin(kernel.astype(np.float32)),
            np.nanmax(kernel.astype(np.float32)),
            2 * 32 + 3,
        )


def test_a_lost_block_is_named_beside_the_wrong_checksum(tmp_path: Path) -> None:
    model, path = KERAS.sequential(KERAS.keras.layers.Dense(2000, name="wide")), tmp_path / "net.keras"
    model.save(path)
    with kwload.open(path) as file:
        (tensor,) = (tensor for tensor in file.tensors if tensor.nbytes > 10_000)
    data = bytearray(path.read_bytes())
    at = -(-tensor.offset // 4096) * 4096
    data[at - 1 : at + 4097] = b"\1" + bytes(4096) + b"\1"  # a random value may begin or end with a zero
    path.write_bytes(data)
    report = kwload.check(model, path)
    assert codes(report) == [("KW205", "error"), ("KW502", "warning")]
    assert report.findings[1].found == 4096
    with pytest.raises(kwload.WeightsFileError) as caught:
        kwload.load_weights(model, path)
    assert codes(caught.value.report) == codes(report)


def test_values_is_one_of_three(saved: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="values is 'warn'"):
        kwload.check(net(), saved(), values="warn")  # type: ignore[arg-type]
