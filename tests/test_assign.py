"""Assignment, all or nothing, on every backend."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from assign_checks import CHECKS, arrays_for, at_write, bytes_of, chain, dense, outcome, raising
from live_grid import models

from kwload import assign
from kwload.spec.live import describe

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore::RuntimeWarning")]

SCRIPT = Path(__file__).parent / "isolated" / "assign_backend.py"


@pytest.fixture(params=["keras", "tf_keras"])
def library(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


@pytest.mark.parametrize("name", CHECKS)
def test_tensorflow(library: Any, name: str) -> None:
    CHECKS[name](library)


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy"])
def test_other_backends(backend: str) -> None:
    pytest.importorskip("keras")
    pytest.importorskip(backend)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT)],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passed") >= len(CHECKS)


def test_inside_a_graph(library: Any) -> None:
    tf = pytest.importorskip("tensorflow")
    model = describe(dense(library, 1), "keras-3")
    pairs = arrays_for(model)

    @tf.function
    def step() -> None:
        assign.stage(model, pairs)

    with pytest.raises(RuntimeError, match="graph"):
        step()


def test_idf_weights_and_their_return(library: Any) -> None:
    """A built-in that reads a key of its own into a variable that Keras 3 does not track."""
    net = dict(models(library))["TextVectorization tf_idf"]()
    lookup = net.layers[0]._lookup_layer
    model = describe(net, "keras-3")
    old = lookup.idf_weights_const.numpy()
    new = np.arange(len(old), dtype="float32")
    own = [(net.layers[0], {"idf_weights": new})]
    failing = dense(library, 1).layers[0]
    failing.load_own_variables = raising(OSError("later"))  # of one layer, after the first has loaded
    with pytest.raises(OSError, match="later"):
        assign.commit(assign.stage(model, [], [*own, (failing, {})]))
    np.testing.assert_array_equal(lookup.idf_weights.numpy(), old)
    np.testing.assert_array_equal(lookup.idf_weights_const.numpy(), old)
    assign.commit(assign.stage(model, [], own))
    np.testing.assert_array_equal(lookup.idf_weights.numpy(), new)
    np.testing.assert_array_equal(lookup.idf_weights_const.numpy(), new)


def test_distributed_variables(library: Any) -> None:
    """Mirrored variables are no plain resources: they go by their own ``assign``."""
    tf = pytest.importorskip("tensorflow")
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        net = dense(library, 2)
    model = describe(net, "keras-3")
    ways = assign._Ways(model.keras.backend, model.keras.flavour)
    assert isinstance(ways.kept(model.variables[0]).way, assign._ByAssign)
    before = [np.array(variable.numpy()) for variable in model.variables]
    pairs = arrays_for(model)
    with at_write(assign._ByAssign, 3, raising(RuntimeError("the backend"))):
        assert outcome(lambda: assign.commit(assign.stage(model, pairs))) is not None
    for variable, old in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)
    assign.commit(assign.stage(model, pairs))
    for variable, array in pairs:
        np.testing.assert_array_equal(variable.numpy(), array)


def test_a_variable_of_a_class_of_ones_own(library: Any) -> None:
    keras = pytest.importorskip("keras")

    class Doubling(keras.Variable):  # type: ignore[misc, name-defined]
        def assign(self, value: Any) -> Any:
            return super().assign(np.asarray(value) * 2)

    net = chain(keras, keras.layers.Dense(4))
    doubling = Doubling(np.ones(4, "float32"), name="doubling")
    model = describe(net, "keras-3")
    assign.commit(assign.stage(model, [(doubling, np.full(4, 3, "float32"))]))
    np.testing.assert_array_equal(doubling.numpy(), np.full(4, 6))


def test_an_interrupt_without_a_handler_of_python(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGINT handled outside Python cannot be deferred, and nothing breaks."""
    monkeypatch.setattr(assign.signal, "getsignal", lambda _: None)
    model = describe(dense(library, 1), "keras-3")
    pairs = arrays_for(model)
    assign.commit(assign.stage(model, pairs))
    assert bytes_of(model.variables) == [array.tobytes() for _, array in pairs]


def test_what_cannot_be_put_back_is_said(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = describe(dense(library, 2), "keras-3")
    staged = assign.stage(model, arrays_for(model))
    original, count = assign._TensorFlow.write, 0

    def write(self: Any, target: Any, value: Any) -> None:
        nonlocal count
        count += 1
        if count in (3, 5):
            raise RuntimeError(f"write {count}")
        original(self, target, value)

    before = bytes_of(model.variables)
    monkeypatch.setattr(assign._TensorFlow, "write", write)
    with pytest.raises(RuntimeError, match="write 3") as caught:
        assign.commit(staged)
    assert any("could not be put back" in note and "write 5" in note for note in caught.value.__notes__)
    after = bytes_of(model.variables)
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True, True]
