"""The description of a live model, held against the code of Keras that it stands for."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import live_replay
import numpy as np
import pytest
from live_grid import models
from live_replay import check_legacy, check_walk, untouched

import kwload
from kwload.spec import described, walk
from kwload.spec.described import Flag, is_model, keras_of
from kwload.spec.live import describe

TESTS = Path(__file__).parent

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:.*quantiz.*:UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def tf_keras() -> Any:
    return pytest.importorskip("tf_keras")


@pytest.fixture(params=["keras", "tf_keras"])
def library(request: pytest.FixtureRequest) -> Iterator[Any]:
    return pytest.importorskip(request.param)


def chain(keras: Any, *layers: Any, shape: tuple[int, ...] = (4,)) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


def test_walk_and_legacy_list_are_those_of_keras(library: Any, tmp_path: Path) -> None:
    different = {}
    count = 0
    for name, build in models(library):
        model = build()
        count += 1
        try:
            check_walk(model, tmp_path)
            check_legacy(model)
        except AssertionError as error:
            different[name] = str(error)
    assert not different
    assert count > 55


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy"])
def test_walk_is_that_of_keras_on_other_backends(backend: str, tmp_path: Path) -> None:
    pytest.importorskip("keras")
    pytest.importorskip(backend)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(TESTS / "isolated" / "walk_grid.py"), str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "DIFFERS" not in done.stdout
    assert done.stdout.count("equal") > (50 if backend == "torch" else 18)


def test_the_replay_notices_a_walk_that_differs(keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = dict(models(keras))["MultiHeadAttention"]()
    check_walk(model, tmp_path)
    monkeypatch.setattr(walk, "_BARREN_KERAS3", walk._BARREN_KERAS3 | {"query_dense"})
    with pytest.raises(AssertionError):
        check_walk(model, tmp_path)


def test_flags_are_those_of_the_core() -> None:
    core = importlib.import_module("kwload._core")
    for flag in Flag:
        assert core.GROUP_FLAGS[str(flag.name).lower()] == flag


def test_import_needs_no_keras() -> None:
    code = "import sys; import kwload.spec.live; print(sorted(set(sys.modules) & {'keras', 'tf_keras', 'tensorflow'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("layout", ["keras-3", "legacy"])
def test_describing_changes_nothing(library: Any, layout: str) -> None:
    grid = dict(models(library))
    for name in ("compiled", "fitted", "nested", "attributes", "LSTM", "MultiHeadAttention", "Normalization"):
        model = grid[name]()
        with untouched(model):
            describe(model, layout)


def test_describing_uses_up_no_automatic_name(keras: Any) -> None:
    model = dict(models(keras))["fitted"]()
    walk._SKIPPED.clear()
    first = keras.layers.Layer().name
    describe(model, "keras-3")
    assert keras.layers.Layer().name == f"layer_{int(first.partition('_')[2] or 0) + 1}"


def test_keras_of_a_model(library: Any) -> None:
    model = chain(library, library.layers.Dense(2))
    keras = keras_of(model)
    assert keras.flavour == library.__name__
    assert ".".join(map(str, keras.version)) == library.__version__.partition("rc")[0]
    assert keras.number == keras.version[0] * 10000 + keras.version[1] * 100 + keras.version[2]
    assert keras.backend == "tensorflow"
    assert keras_of(model.layers[0]) == keras
    assert is_model(model)
    assert not is_model(model.layers[0])


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3.15.1", (3, 15, 1)),
        ("3.16.0.dev2026", (3, 16, 0)),
        ("2.16.0rc1", (2, 16, 0)),
        ("3.5", (3, 5, 0)),
        ("", (0, 0, 0)),
    ],
)
def test_version_numbers(text: str, numbers: tuple[int, int, int]) -> None:
    assert described.numbers(text) == numbers


@pytest.mark.parametrize("target", [None, 3, "model.keras", {"class_name": "Sequential"}])
def test_what_is_no_model(target: object) -> None:
    assert not is_model(target)
    with pytest.raises(TypeError):
        keras_of(target)
    with pytest.raises(TypeError):
        describe(target, "keras-3")


def test_a_layer_is_no_model(library: Any) -> None:
    with pytest.raises(TypeError, match="Dense"):
        describe(library.layers.Dense(3), "keras-3")


def test_rows_and_display_paths(library: Any) -> None:
    inner = library.Sequential([library.Input((4,)), library.layers.Dense(3, name="deep")], name="inner")
    outer = library.Sequential(
        [library.Input((4,)), inner, library.layers.BatchNormalization(name="norm")], name="outer"
    )
    for layout, expected in (("keras-3", ["layers/sequential/layers/dense"]), ("legacy", ["inner"])):
        model = describe(outer, layout)
        rows = [row for group in model.groups for row in group[4]]
        assert next(group[0] for group in model.groups if group[4]) in expected
        assert rows[:2] == [
            ("kernel", "inner/deep/kernel", "inner/deep", (4, 3), "float32", True),
            ("bias", "inner/deep/bias", "inner/deep", (3,), "float32", True),
        ]
        assert rows[-1] == ("moving_variance", "norm/moving_variance", "norm", (3,), "float32", False)
        assert len(model.objects) == len(model.groups)
        assert len(model.owners) == len(model.variables) == len(rows)
        assert model.owners[0].name == "deep"


def test_top_level_weights(library: Any) -> None:
    class Net(library.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense = library.layers.Dense(2)
            self.gain = self.add_weight(name="gain", shape=(2,), initializer="ones")

        def call(self, x: Any) -> Any:
            return self.dense(x) * self.gain

    net = Net()
    net(np.zeros((1, 3), "float32"))
    path, name, _, flags, rows = describe(net, "legacy").groups[-1]
    assert (path, name, flags) == ("top_level_model_weights", None, Flag.TOP_LEVEL)
    assert [row[1] for row in rows] == ["gain"]
    assert describe(net, "keras-3").groups[0][4][0][1] == "gain"


def flags_of(model: Any, cls: str) -> Flag:
    return next(Flag(group[3]) for group in describe(model, "keras-3").groups if group[2] == cls)


def test_names_given_and_names_made(library: Any) -> None:
    library.backend.clear_session()
    la = library.layers
    model = chain(library, la.Dense(2), la.Dense(2), la.Dense(2, name="head"), la.Dense(2, name="dense_layer"))
    automatic = {group[1]: bool(group[3] & Flag.AUTO_NAME) for group in describe(model, "legacy").groups[:-1]}
    assert automatic == {"dense": True, "dense_1": True, "head": False, "dense_layer": False}
    assert {
        group[1]: bool(group[3] & Flag.AUTO_NAME) for group in describe(model, "keras-3").groups
    }.items() >= automatic.items()


def test_a_class_that_loads_itself(library: Any) -> None:
    class Own(library.layers.Dense):  # type: ignore[misc, name-defined]
        def load_own_variables(self, store: Any) -> None:
            super().load_own_variables(store)

    class More(library.layers.Dense):  # type: ignore[misc, name-defined]
        def build(self, shape: Any) -> None:
            super().build(shape)
            self.more = self.add_weight(name="more", shape=(), initializer="ones")

    model = chain(library, Own(2), More(2), library.layers.Dense(2))
    assert flags_of(model, "Own") & Flag.OWN_LOAD
    assert not flags_of(model, "Dense") & Flag.OWN_LOAD
    # Keras 3's Dense counts all, and loads kernel and bias; tf_keras's has no code of its own
    keras_3 = library.__name__ == "keras"
    assert bool(flags_of(model, "More") & Flag.OWN_LOAD) == bool(flags_of(model, "More") & Flag.COUNTED) == keras_3


def test_lookup_tables(library: Any) -> None:
    grid = dict(models(library))
    assert flags_of(grid["TextVectorization tf_idf"](), "TextVectorization") & Flag.OWN_LOAD
    assert flags_of(grid["StringLookup"](), "StringLookup") & Flag.NO_COUNT
    # the table inside is never built, and loads all the same
    assert not flags_of(grid["TextVectorization tf_idf"](), "StringLookup") & Flag.NOT_BUILT
    if library.__name__ == "tf_keras":  # whose legacy loader refuses a model with a table
        legacy = {group[2]: group[3] for group in describe(grid["TextVectorization"](), "legacy").groups}
        assert legacy["TextVectorization"] & Flag.NOT_LOADABLE


def test_lora_and_optimizer_and_metrics(library: Any) -> None:
    model = dict(models(library))["fitted"]()
    groups = describe(model, "keras-3").groups
    optimizer = next(group for group in groups if group[3] & Flag.OPTIMIZER)
    names = [row[0] for row in optimizer[4]]
    if library.__name__ == "keras":
        assert names[:2] == ["iteration", "learning_rate"]
        assert not any(group[3] & Flag.METRIC for group in groups)
        assert any(group[2] == "CompileLoss" and group[3] & Flag.NOT_LOADABLE for group in groups)
        lora = flags_of(dict(models(library))["LoRA"](), "Dense")
        assert lora & Flag.NO_COUNT
    else:
        assert names[0] == "iteration"
        assert any("dense" in name and "kernel" in name for name in names)
        assert any(group[3] & Flag.METRIC and len(group[4]) == 2 for group in groups)


def test_unbuilt_models(library: Any) -> None:
    class Net(library.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense = library.layers.Dense(2)

        def build(self, shape: Any) -> None:
            self.dense.build(shape)
            super().build(shape)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    for model in (library.Sequential([library.layers.Dense(2)]), Net(), library.Sequential([Net()])):
        for layout in ("keras-3", "legacy"):
            description = describe(model, layout)
            assert not description.built
            assert not description.variables
            assert any(group[3] & Flag.NOT_BUILT for group in description.groups)
    assert describe(chain(library, library.layers.Dense(2)), "legacy").built


def test_raw_tensorflow_variables(keras: Any, tf_keras: Any) -> None:
    tf = pytest.importorskip("tensorflow")

    def build(library: Any) -> Any:
        class Raw(library.layers.Layer):  # type: ignore[misc, name-defined]
            def __init__(self, **options: Any) -> None:
                super().__init__(**options)
                self.w = tf.Variable(1.0)
                self.listed = [1, {"k": tf.Variable(2.0)}]
                self.fine = self.add_weight(name="fine", shape=(), initializer="ones")
                self.view = getattr(self.fine, "_value", None)

            def call(self, x: Any) -> Any:
                return x * self.w * self.fine

        inner = library.Sequential([library.Input((2,)), Raw(name="raw")], name="inner")
        return library.Sequential([library.Input((2,)), library.layers.Dense(2), inner])

    for layout in ("keras-3", "legacy"):
        assert sorted(describe(build(keras), layout).untracked) == [("inner/raw", "listed"), ("inner/raw", "w")]
        assert describe(build(tf_keras), layout).untracked == []
        assert describe(chain(keras, keras.layers.Dense(2)), layout).untracked == []


def test_a_cycle_ends(keras: Any) -> None:
    class Child(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x

    class Parent(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.child = Child()
            self.ring: list[Any] = [self.child]

        def call(self, x: Any) -> Any:
            return self.child(x)

    parent = Parent()
    model = chain(keras, parent)
    object.__setattr__(parent.child, "parent", parent)  # past Keras's tracking, which does not survive a cycle
    list.append(parent.ring, parent.ring)
    nodes = describe(model, "keras-3").nodes
    rows = {describe(model, "keras-3").groups[row][2]: at for at, (row, _) in enumerate(nodes) if row >= 0}
    assert ("parent", rows["Parent"]) in nodes[rows["Child"]][1]


def test_a_property_that_raises_is_not_there(library: Any) -> None:
    class Net(library.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense = library.layers.Dense(2)

        @property
        def broken(self) -> Any:
            raise OSError("no such thing")

        @property
        def alias(self) -> Any:
            return self.dense

        def call(self, x: Any) -> Any:
            return self.dense(x)

    net = Net()
    net(np.zeros((1, 3), "float32"))
    model = describe(net, "keras-3")
    names = [name for name, _ in model.nodes[0][1]]
    assert "alias" in names
    assert "broken" not in names


class Impostor:
    """What is asked for its class raises."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise RuntimeError("no class")


def _odd_layers(library: Any) -> dict[str, type]:
    class Unlisted(library.layers.Dense):  # type: ignore[misc]
        def __dir__(self) -> list[str]:
            raise RuntimeError("no names")

    class Holder(library.layers.Dense):  # type: ignore[misc]
        def __init__(self, units: int) -> None:
            super().__init__(units)
            self.__dict__["impostor"] = Impostor()

    class Bottomless(library.layers.Dense):  # type: ignore[misc]
        def __init__(self, units: int) -> None:
            super().__init__(units)
            value: list[Any] = []
            for _ in range(3000):
                value = [value]
            self.__dict__["value"] = value

    return {cls.__name__: cls for cls in (Unlisted, Holder, Bottomless)}


@pytest.mark.parametrize("name", ["Unlisted", "Holder", "Bottomless"])
def test_code_that_raises_where_keras_lets_it_through(library: Any, name: str, tmp_path: Path) -> None:
    path = tmp_path / "net.weights.h5"
    chain(library, library.layers.Dense(4)).save_weights(path)
    model = chain(library, _odd_layers(library)[name](4))
    assert len(describe(model, "legacy").variables) == len(describe(model, "keras-3").variables) == 2
    prediction = kwload.check(model, path).prediction
    assert prediction is not None
    if name == "Bottomless" and library.__name__ == "keras":  # tf_keras does not look into lists in lists
        assert prediction.error is not None and prediction.error.type == "RecursionError"
        with pytest.raises(RecursionError):
            model.load_weights(path)


def test_objects_that_lie_deep_in_one_another(library: Any, tmp_path: Path) -> None:
    """Each layer holds the next one: the walk needs no room on Python's stack for that, Keras does."""

    class Link(library.layers.Layer):  # type: ignore[misc]
        pass

    top = link = Link(name="top")
    for i in range(1500):
        link.__dict__["below"] = link = Link(name=f"link_{i}")
    found = describe(chain(library, library.layers.Dense(4), top), "keras-3")
    assert sum(group[2] == "Link" for group in found.groups) == 1501


def test_the_replay_is_of_three_files() -> None:
    """What ``some`` hides is neither nothing nor everything."""
    hidden = [live_replay.some(f"layers/dense_{k}") for k in range(30)]
    assert 0 < sum(hidden) < 30
