"""What must hold of ``kwload.assign`` on every backend: called in-process for TensorFlow, in a subprocess for others.

Each check takes the Keras module (Keras 3 or tf_keras) and raises AssertionError.
"""

import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import ml_dtypes
import numpy as np

from kwload import assign, conversions
from kwload.spec.described import Flag, keras_of
from kwload.spec.live import describe

Check = Callable[[Any], None]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    CHECKS[function.__name__] = function
    return function


def interruptible(function: Check) -> Check:
    """Ctrl-C as a person's shell has it: what runs in the background was started with SIGINT ignored."""

    @functools.wraps(function)
    def run(keras: Any) -> None:
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            function(keras)
        finally:
            signal.signal(signal.SIGINT, before)

    return run


def backend_of(keras: Any) -> str:
    return keras_of(keras.layers.Layer()).backend


def chain(keras: Any, *layers: Any, shape: tuple[int, ...] = (4,)) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


def dense(keras: Any, count: int = 5) -> Any:
    return chain(keras, *(keras.layers.Dense(4) for _ in range(count)))


def value(variable: Any) -> np.ndarray[Any, Any]:
    if hasattr(variable, "_value") and hasattr(variable._value, "detach"):  # torch has no NumPy bfloat16
        tensor = variable._value.detach()
        if tensor.element_size() == 2 and tensor.is_floating_point():
            return np.array(tensor.view(__import__("torch").int16).numpy())
        return np.array(tensor.numpy())
    inner = getattr(variable, "_value", variable)
    return np.array(inner.numpy() if hasattr(inner, "numpy") else inner)


def output_of(net: Any, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    output = net(x)
    return np.array(output.detach() if hasattr(output, "detach") else output)


def bytes_of(variables: list[Any]) -> list[bytes]:
    return [value(variable).tobytes() for variable in variables]


def arrays_for(model: Any, seed: int = 1) -> list[tuple[Any, np.ndarray[Any, Any]]]:
    """Random arrays, aligned as the core's, one for each variable of a description."""
    random = np.random.default_rng(seed)
    pairs = []
    for variable in model.variables:
        array = assign._empty(assign._shape_of(variable), assign._dtype_of(variable))
        array[...] = random.integers(-8, 8, array.shape)
        pairs.append((variable, array))
    return pairs


def way_of(keras: Any) -> Any:
    ways: dict[str, Any] = {
        "tensorflow": assign._TensorFlow,
        "jax": assign._Jax,
        "torch": assign._Torch,
        "numpy": assign._NumPy,
    }
    return ways[backend_of(keras)]


@contextmanager
def at_write(way: Any, number: int, action: Callable[[], None]) -> Iterator[None]:
    """Calls *action* in place of the write with this number; the later writes are the backend's own."""
    original, count = way.write, 0

    def write(self: Any, target: Any, new: Any) -> None:
        nonlocal count
        count += 1
        if count == number:
            action()
        original(self, target, new)

    with mock.patch.object(way, "write", write):
        yield
    assert count >= number


def raising(error: BaseException) -> Callable[..., None]:
    def action(*_: object) -> None:
        raise error

    return action


def outcome(call: Callable[[], None]) -> BaseException | None:
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt is one of the things looked for
        return error
    return None


@check
def values_arrive(keras: Any) -> None:
    model = describe(dense(keras), "keras-3")
    pairs = arrays_for(model)
    expected = [array.tobytes() for _, array in pairs]
    assert bytes_of(model.variables) != expected
    assign.commit(assign.stage(model, pairs))
    assert bytes_of(model.variables) == expected


@check
def every_dtype_arrives(keras: Any) -> None:
    dtypes = ["float32", "float16", "bfloat16", "float64", "int8", "int32", "uint8", "bool"]
    if backend_of(keras) == "jax":
        dtypes.remove("float64")  # needs jax_enable_x64

    class Many(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, shape: Any) -> None:
            for shape in ((), (3,), (0, 2), (2, 3)):
                for dtype in dtypes:
                    self.add_weight(
                        name=f"{dtype}_{len(shape)}", shape=shape, dtype=dtype, initializer="zeros", trainable=False
                    )
            super().build(shape)

        def call(self, x: Any) -> Any:
            return x

    layer = Many()
    layer.build((None, 4))
    model = describe(chain(keras, layer), "keras-3")
    assert len(model.variables) == 4 * len(dtypes)
    pairs = arrays_for(model)
    expected = [array.tobytes() for _, array in pairs]
    assert {array.dtype.name for _, array in pairs} == set(dtypes)
    assert {group[4][0][4] for group in model.groups if group[4]} <= set(dtypes)
    assign.commit(assign.stage(model, pairs))
    assert bytes_of(model.variables) == expected


@check
def other_dtypes_are_cast(keras: Any) -> None:
    model = describe(chain(keras, keras.layers.Dense(4)), "keras-3")
    random = np.random.default_rng(0)
    kernel, bias = model.variables
    for dtype in ("float64", "float16", "int64", ml_dtypes.bfloat16, ">f4"):
        new = (random.standard_normal((4, 4)) * 50).astype(dtype)
        assign.commit(assign.stage(model, [(kernel, new), (bias, np.asfortranarray(np.ones(4, dtype)))]))
        np.testing.assert_array_equal(value(kernel), new.astype("float32"))
        np.testing.assert_array_equal(value(bias), np.ones(4, "float32"))


@check
def memory_of_any_alignment(keras: Any) -> None:
    """TensorFlow aborts the process when it computes with adopted memory that is not aligned."""
    net = chain(keras, keras.layers.Dense(64), shape=(64,))
    model = describe(net, "keras-3")
    for offset in (0, 1, 2, 4, 8, 16, 32, 64):
        memory = np.zeros(64 * 64 * 4 + 256, np.uint8)
        start = -memory.ctypes.data % 128 + offset
        kernel = memory[start : start + 64 * 64 * 4].view("float32").reshape(64, 64)
        kernel[...] = offset
        assign.commit(assign.stage(model, [(model.variables[0], kernel)]))
        np.testing.assert_array_equal(output_of(net, np.ones((1, 64), "float32")), np.full((1, 64), 64.0 * offset))


@check
def memory_is_adopted(keras: Any) -> None:
    model = describe(chain(keras, keras.layers.Dense(64), shape=(64,)), "keras-3")
    (kernel, array), _ = pairs = arrays_for(model)
    assign.commit(assign.stage(model, pairs))
    backend = backend_of(keras)
    tensor = getattr(kernel, "_value", kernel)
    if backend == "tensorflow":
        address = np.asarray(memoryview(tensor.read_value())).ctypes.data  # reading shares the buffer
    elif backend == "jax":
        address = tensor.unsafe_buffer_pointer()
    elif backend == "torch":
        address = tensor.data_ptr()
    else:
        address = tensor.ctypes.data
    assert address == array.ctypes.data


@check
def training_goes_on_as_after_set_weights(keras: Any) -> None:
    if backend_of(keras) == "numpy":
        return  # cannot train
    x = np.random.default_rng(0).standard_normal((16, 4)).astype("float32")
    y = x.sum(1, keepdims=True)

    def fitted(load: Callable[[Any], None]) -> tuple[list[bytes], np.ndarray[Any, Any]]:
        keras.utils.set_random_seed(0)
        net = chain(
            keras, keras.layers.Dense(8, activation="tanh"), keras.layers.BatchNormalization(), keras.layers.Dense(1)
        )
        net.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
        net.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
        before = net.predict(x, verbose=0)
        load(net)
        loaded = net.predict(x, verbose=0)  # through the function compiled before
        assert not np.array_equal(before, loaded)
        net.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        return bytes_of(net.weights), loaded

    def ours(net: Any) -> None:
        model = describe(net, "legacy")
        assign.commit(assign.stage(model, arrays_for(model)))

    def theirs(net: Any) -> None:
        for variable, array in arrays_for(describe(net, "legacy")):
            variable.assign(array)

    mine, keras_own = fitted(ours), fitted(theirs)
    np.testing.assert_array_equal(mine[1], keras_own[1])
    assert mine[0] == keras_own[0]


@check
def the_arrays_given_away_stay_ours(keras: Any) -> None:
    """A training step after loading writes into no array that another variable or the caller could hold."""
    if backend_of(keras) in ("numpy", "torch"):
        return  # numpy cannot train, torch trains in place: the array is given away
    net = dense(keras, 2)
    net.compile(keras.optimizers.SGD(0.1), "mse")
    model = describe(net, "legacy")
    pairs = arrays_for(model)
    copies = [array.copy() for _, array in pairs]
    assign.commit(assign.stage(model, pairs))
    net.fit(np.ones((4, 4), "float32"), np.zeros((4, 4), "float32"), verbose=0)
    for (_, array), copy in zip(pairs, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@check
def a_failure_half_way_changes_nothing(keras: Any) -> None:
    net = dense(keras)
    model = describe(net, "keras-3")
    before = bytes_of(model.variables)
    for error in (RuntimeError("the backend"), MemoryError(), KeyboardInterrupt(), SystemExit(3)):
        for number in (1, 2, 6, 10):
            staged = assign.stage(model, arrays_for(model))
            with at_write(way_of(keras), number, raising(error)):
                assert outcome(functools.partial(assign.commit, staged)) is error
            assert bytes_of(model.variables) == before
    assign.commit(assign.stage(model, arrays_for(model)))
    assert bytes_of(model.variables) != before


@check
def a_failure_of_assign_changes_nothing(keras: Any) -> None:
    """The same for variables that go by ``assign``."""
    with mock.patch.object(assign._Ways, "target", return_value=None):
        model = describe(dense(keras, 3), "keras-3")
        before = bytes_of(model.variables)
        for error in (RuntimeError("the backend"), KeyboardInterrupt()):
            staged = assign.stage(model, arrays_for(model))
            with at_write(assign._ByAssign, 4, raising(error)):
                assert outcome(functools.partial(assign.commit, staged)) is error
            assert bytes_of(model.variables) == before
        pairs = arrays_for(model)
        expected = [array.tobytes() for _, array in pairs]
        assign.commit(assign.stage(model, pairs))
        assert bytes_of(model.variables) == expected


@check
@interruptible
def control_c_puts_everything_back(keras: Any) -> None:
    model = describe(dense(keras), "keras-3")
    before = bytes_of(model.variables)
    staged = assign.stage(model, arrays_for(model))
    handler = signal.getsignal(signal.SIGINT)
    with at_write(way_of(keras), 4, lambda: os.kill(os.getpid(), signal.SIGINT)):
        assert isinstance(outcome(lambda: assign.commit(staged)), KeyboardInterrupt)
    assert bytes_of(model.variables) == before
    assert signal.getsignal(signal.SIGINT) is handler


@check
@interruptible
def a_second_control_c_ends_it(keras: Any) -> None:
    model = describe(dense(keras), "keras-3")
    before = bytes_of(model.variables)
    staged = assign.stage(model, arrays_for(model))

    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with at_write(way_of(keras), 4, twice):
        assert isinstance(outcome(lambda: assign.commit(staged)), KeyboardInterrupt)
    assert bytes_of(model.variables) == before


@check
def an_ignored_control_c_stays_ignored(keras: Any) -> None:
    model = describe(dense(keras), "keras-3")
    pairs = arrays_for(model)
    expected = [array.tobytes() for _, array in pairs]
    staged = assign.stage(model, pairs)
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with at_write(way_of(keras), 4, lambda: os.kill(os.getpid(), signal.SIGINT)):
            assert outcome(lambda: assign.commit(staged)) is None
    finally:
        signal.signal(signal.SIGINT, handler)
    assert bytes_of(model.variables) == expected


@check
@interruptible
def control_c_while_putting_back(keras: Any) -> None:
    model = describe(dense(keras), "keras-3")
    before = bytes_of(model.variables)
    staged = assign.stage(model, arrays_for(model))
    original, count = way_of(keras).write, 0

    def write(self: Any, target: Any, new: Any) -> None:
        nonlocal count
        count += 1
        if count == 5:
            raise RuntimeError("the backend")
        if count == 7:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        original(self, target, new)

    with mock.patch.object(way_of(keras), "write", write):
        error = outcome(lambda: assign.commit(staged))
    assert isinstance(error, KeyboardInterrupt)
    assert isinstance(error.__context__, RuntimeError)
    assert bytes_of(model.variables) == before


@check
def outside_the_main_thread(keras: Any) -> None:
    model = describe(dense(keras), "keras-3")
    pairs = arrays_for(model)
    expected = [array.tobytes() for _, array in pairs]
    errors: list[BaseException | None] = []
    thread = threading.Thread(target=lambda: errors.append(outcome(lambda: assign.commit(assign.stage(model, pairs)))))
    thread.start()
    thread.join()
    assert errors == [None]
    assert bytes_of(model.variables) == expected


@check
def a_wrong_shape_is_refused(keras: Any) -> None:
    model = describe(dense(keras, 2), "keras-3")
    before = bytes_of(model.variables)
    pairs = arrays_for(model)
    pairs[-1] = (pairs[-1][0], np.zeros((5,), "float32"))
    assert isinstance(outcome(lambda: assign.commit(assign.stage(model, pairs))), ValueError)
    assert bytes_of(model.variables) == before


@check
def one_variable_twice(keras: Any) -> None:
    model = describe(dense(keras, 1), "keras-3")
    kernel = model.variables[0]
    first, last = np.full((4, 4), 1, "float32"), np.full((4, 4), 2, "float32")
    before = bytes_of(model.variables)
    staged = assign.stage(model, [(kernel, first), (kernel, last)])
    with at_write(way_of(keras), 2, raising(RuntimeError())):
        assert outcome(lambda: assign.commit(staged)) is not None
    assert bytes_of(model.variables) == before
    assign.commit(assign.stage(model, [(kernel, first), (kernel, last)]))
    np.testing.assert_array_equal(value(kernel), last)


@check
def normalization_is_finished(keras: Any) -> None:
    norm = keras.layers.Normalization()
    norm.adapt(np.random.default_rng(0).standard_normal((32, 4)).astype("float32"))
    net = chain(keras, norm)
    x = np.ones((2, 4), "float32")
    for layout in ("keras-3", "legacy"):
        model = describe(net, layout)
        values = {"mean": 3.0, "variance": 4.0, "count": 0}
        pairs = []
        for variable, row in zip(model.variables, (row for group in model.groups for row in group[4]), strict=True):
            array = assign._empty(row[3], assign._dtype_of(variable))
            array[...] = values[row[0]]
            pairs.append((variable, array))
        before, mean = bytes_of(model.variables), norm.mean
        output = output_of(net, x)
        with mock.patch.object(type(norm), "finalize_state", raising_method(type(norm).finalize_state)):
            staged = assign.stage(model, pairs)
            assert isinstance(outcome(functools.partial(assign.commit, staged)), OSError)
        assert bytes_of(model.variables) == before
        assert norm.mean is mean
        np.testing.assert_array_equal(output_of(net, x), output)
        pairs = [(variable, array.copy()) for variable, array in pairs]
        assign.commit(assign.stage(model, pairs))
        np.testing.assert_allclose(output_of(net, x), np.full((2, 4), (1 - 3) / 2), rtol=1e-6)
        norm.adapt(np.random.default_rng(0).standard_normal((32, 4)).astype("float32"))


def raising_method(original: Callable[[Any], None]) -> Callable[[Any], None]:
    def method(self: Any) -> None:
        original(self)
        raise OSError("after the work was done")

    return method


def own_layer(keras: Any) -> Any:
    class Own(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """Loads itself, changes attributes of every kind, and fails when told to."""

        fail: BaseException | None = None

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.inner = keras.layers.Dense(4)
            self.loaded = 0
            self.history: list[int] = [1]
            self.notes = {"a": 1}

        def build(self, shape: Any) -> None:
            self.inner.build(shape)
            self.gain = self.add_weight(name="gain", shape=(4,), initializer="ones")
            self.offset = self.add_weight(name="offset", shape=(4,), initializer="zeros")
            super().build(shape)

        def call(self, x: Any) -> Any:
            return self.inner(x) * self.gain + self.offset

        def load_own_variables(self, store: Any) -> None:
            assert sorted(store.keys()) == ["0", "other"]
            self.loaded += 1
            self.fresh = "new"
            self.history.append(2)
            self.notes["b"] = 2
            self.offset.assign(store["0"])
            self.inner.kernel.assign(np.zeros((4, 4), "float32"))
            if self.fail is not None:
                raise self.fail
            self.gain.assign(store["other"])

    return Own()


@check
def a_layer_that_loads_itself(keras: Any) -> None:
    own = own_layer(keras)
    net = chain(keras, keras.layers.Dense(4), own)
    net(np.zeros((1, 4), "float32"))
    model = describe(net, "keras-3")
    assert next(group for group in model.groups if group[2] == "Own")[3] & Flag.OWN_LOAD
    rest = [pair for pair in arrays_for(model) if not any(pair[0] is variable for variable in own.weights)]
    store = {"0": np.full(4, 7, "float32"), "other": np.full(4, 9, "float32")}
    before = bytes_of(model.variables)
    attributes = dict(vars(own))
    for error in (RuntimeError("my own"), KeyboardInterrupt()):
        own.__dict__["fail"] = error
        assert outcome(lambda: assign.commit(assign.stage(model, rest, [(own, store)]))) is error
        del own.__dict__["fail"]
        assert bytes_of(model.variables) == before
        assert vars(own).keys() == attributes.keys()
        assert (own.loaded, list(own.history), dict(own.notes)) == (0, [1], {"a": 1})
        if isinstance(error, Exception):
            assert any("Own.load_own_variables" in note for note in error.__notes__)
    assign.commit(assign.stage(model, rest, [(own, store)]))
    assert own.loaded == 1
    np.testing.assert_array_equal(value(own.gain), store["other"])
    np.testing.assert_array_equal(value(own.offset), store["0"])
    np.testing.assert_array_equal(value(rest[0][0]), rest[0][1])


@check
def the_store_is_read_only(keras: Any) -> None:
    class Writer(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def load_own_variables(self, store: Any) -> None:
            store["1"] = 0

        def call(self, x: Any) -> Any:
            return x

    layer = Writer()
    model = describe(chain(keras, layer), "keras-3")
    assert isinstance(outcome(lambda: assign.commit(assign.stage(model, [], [(layer, {})]))), TypeError)


@check
def a_plan_is_carried_out(keras: Any) -> None:
    own = own_layer(keras)
    net = chain(keras, keras.layers.Dense(4), own)
    net(np.zeros((1, 4), "float32"))
    model = describe(net, "keras-3")
    at = next(k for k, group in enumerate(model.groups) if group[2] == "Own")
    rows = [k for k, owner in enumerate(model.owners) if owner.name.startswith("dense") and owner is not own.inner]
    gain = next(k for k, variable in enumerate(model.variables) if variable is own.gain)

    class File:
        groups = (("other", None, 0, (), None), ("layers/own", "own", 0, (("0", 5), ("other", 6), ("lost", -1)), None))

    class Plan:
        # the plan may pair a variable of a layer that loads itself: it is the layer's affair
        pairs = ((0, rows[0], "path", "same"), (1, rows[1], "path", "same"), (2, gain, "path", "same"))
        conversions = ((rows[0], (0, 7), ("join",)),)
        source_group = tuple(1 if k == at else -1 for k in range(len(model.groups)))

    wanted = assign.order(model, File(), Plan())  # type: ignore[arg-type]
    assert wanted.rows == [0, 1, 5, 6, 7]
    assert wanted.targets == [rows[0], rows[1], -1, -1, rows[0]]
    kernel, bias = np.full((4, 4), 1, "float32"), np.full(4, 2, "float32")
    fetched = [kernel[:, :1], bias, np.full(4, 5, "float32"), np.full(4, 6, "float32"), kernel[:, 1:]]
    assign.load(model, wanted, conversions.convert(Plan(), wanted.targets, fetched))
    np.testing.assert_array_equal(value(model.variables[rows[0]]), kernel)
    np.testing.assert_array_equal(value(model.variables[rows[1]]), bias)
    np.testing.assert_array_equal(value(own.offset), np.full(4, 5))
    np.testing.assert_array_equal(value(own.gain), np.full(4, 6))


@check
def lora_is_reset(keras: Any) -> None:
    if not hasattr(keras.layers.Dense, "enable_lora"):
        return
    net = chain(keras, keras.layers.Dense(4))
    net.layers[0].enable_lora(2)
    layer = net.layers[0]
    layer.lora_kernel_b.assign(np.ones((2, 4), "float32"))
    model = describe(net, "keras-3")
    assert [row[0] for row in model.groups[1][4]] == ["kernel", "bias"]
    before = bytes_of(layer.weights)
    staged = assign.stage(model, arrays_for(model))
    with at_write(way_of(keras), 4, raising(RuntimeError())):
        assert outcome(lambda: assign.commit(staged)) is not None
    assert bytes_of(layer.weights) == before
    pairs = arrays_for(model)
    assign.commit(assign.stage(model, pairs))
    np.testing.assert_array_equal(value(layer._kernel), pairs[0][1])
    assert not value(layer.lora_kernel_a).any()
    assert not value(layer.lora_kernel_b).any()
    # the legacy layouts store the two matrices
    model = describe(net, "legacy")
    pairs = arrays_for(model)
    assign.commit(assign.stage(model, pairs))
    assert [value(variable).tobytes() for variable, _ in pairs] == [array.tobytes() for _, array in pairs]


@check
def a_stateless_scope_is_refused(keras: Any) -> None:
    if not hasattr(keras, "StatelessScope"):
        return
    model = describe(dense(keras, 1), "keras-3")
    with keras.StatelessScope():
        error = outcome(lambda: assign.commit(assign.stage(model, arrays_for(model))))
    assert isinstance(error, RuntimeError)
    assert "StatelessScope" in str(error)


@check
def mixed_precision(keras: Any) -> None:
    net = chain(keras, keras.layers.Dense(4, dtype="mixed_bfloat16"), keras.layers.Dense(4, dtype="mixed_float16"))
    model = describe(net, "keras-3")
    assert {row[4] for group in model.groups for row in group[4]} == {"float32"}
    pairs = arrays_for(model)
    expected = [array.tobytes() for _, array in pairs]
    before = bytes_of(net.weights)
    with at_write(way_of(keras), 3, raising(RuntimeError())):
        assert outcome(lambda: assign.commit(assign.stage(model, pairs))) is not None
    assert bytes_of(net.weights) == before
    assign.commit(assign.stage(model, arrays_for(model)))
    assert bytes_of(net.weights) == expected
    assert np.isfinite(output_of(net, np.zeros((1, 4), "float32")).astype("float32")).all()


@check
def optimizer_variables(keras: Any) -> None:
    if backend_of(keras) == "numpy":
        return
    net = dense(keras, 2)
    net.compile("adam", "mse")
    net.fit(np.ones((4, 4), "float32"), np.zeros((4, 4), "float32"), verbose=0)
    model = describe(net, "keras-3")
    pairs = arrays_for(model)
    expected = [array.tobytes() for _, array in pairs]
    assert any("iteration" in row[0] for group in model.groups for row in group[4])
    assign.commit(assign.stage(model, pairs))
    assert bytes_of(model.variables) == expected
