"""``keras=``: what a Keras does that is not installed.

The paths in the tables are those that the named versions wrote when they were run; ``tests/agree/other.py`` holds the
predictions against those of them that ``make agree`` installs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from families import save_legacy_weights

import kwload
from kwload import api
from kwload.spec import other

Build = Callable[[Any], Any]


@pytest.mark.parametrize(
    ("text", "flavour", "version", "said"),
    [
        ("3", "keras", (3, 99, 99), "Keras 3"),
        ("3.5", "keras", (3, 5, 99), "Keras 3.5"),
        ("keras 3.5.0", "keras", (3, 5, 0), "Keras 3.5.0"),
        ("2.15", "tf_keras", (2, 15, 99), "Keras 2.15"),
        ("2.16", "tf_keras", (2, 16, 99), "tf_keras 2.16"),
        ("tf_keras 2.15", "tf_keras", (2, 15, 99), "tf_keras 2.15"),
        ("tf.keras 2.4.0", "tf_keras", (2, 4, 0), "tf_keras 2.4.0"),
        ("2.3.1", "keras2", (2, 3, 1), "Keras 2.3.1"),
        ("1.2.2", "keras2", (1, 2, 2), "Keras 1.2.2"),
        ("keras", "keras", (3, 99, 99), "Keras 3"),
        ("tf_keras", "tf_keras", (2, 99, 99), "Keras 2"),
    ],
)
def test_versions_are_keras_own(text: str, flavour: str, version: tuple[int, int, int], said: str) -> None:
    asked = other.parse(text)
    assert (asked.flavour, asked.version, asked.said) == (flavour, version, said)


@pytest.mark.parametrize(
    "text", ["", "4", "0.3", "2.", "three", "2.15.0.1", "tf_keras 3.1", "tf_keras 2.3", "jax 3.8", "kera", "keras3.x"]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r'expected a version of Keras .*"2\.15"'):
        other.parse(text)


# --- V3: where each version looks ------------------------------------------------------------------------------------


def attributes(k: Any) -> Any:
    la = k.layers

    class Net(k.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.zeta = la.Dense(2)
            self.alpha = la.Dense(3)
            self._hidden = la.Dense(4)
            self.rows = [la.Dense(5), la.Dense(6)]
            self.inner = k.Sequential([la.Dense(7), la.Dense(8)])
            self.zz_alias = self.zeta

        def call(self, inputs: Any) -> Any:
            outputs = inputs
            for layer in (self.zeta, self.alpha, self._hidden, *self.rows, self.inner):
                outputs = layer(outputs)
            return outputs

    model = Net()
    model(np.zeros((1, 4), "float32"))
    return model


def attention(k: Any) -> Any:
    query, value = k.layers.Input((5, 8)), k.layers.Input((6, 8))
    return k.Model([query, value], k.layers.MultiHeadAttention(2, 4, value_dim=3)(query, value))


def recurrent(k: Any) -> Any:
    la = k.layers
    backward = la.GRU(3, go_backwards=True, return_sequences=True)
    both = la.Bidirectional(la.LSTM(3, return_sequences=True), backward_layer=backward)
    cells = la.RNN([la.GRUCell(4), la.LSTMCell(3)])
    return k.Sequential([la.Input((5, 4)), both, la.TimeDistributed(la.Dense(6)), cells])


def nested(k: Any) -> Any:
    la = k.layers
    deep = k.Sequential([la.Input((4,)), la.Dense(3), la.Dense(5), la.BatchNormalization()])
    inner, outer = la.Input((4,)), la.Input((4,))
    middle = k.Model(inner, la.Dense(7)(la.Dense(6)(deep(inner))))
    return k.Model(outer, la.Dense(2)(middle(outer)))


def listed(k: Any) -> Any:
    la = k.layers

    class Block(la.Layer):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.rows = [la.Dense(5), [la.Dense(6)]]

        def build(self, shape: Any) -> None:
            self.rows[0].build((None, 4))
            self.rows[1][0].build((None, 5))
            self.built = True

        def call(self, inputs: Any) -> Any:
            return self.rows[1][0](self.rows[0](inputs))

    return k.Sequential([la.Input((4,)), Block(), la.Dense(2)])


LIST = "_layer_checkpoint_dependencies"

# Model -> (the versions that wrote such a file, path of an object -> shapes of its variables).
Shapes = list[tuple[int, ...]]


def dense(inputs: int, units: int) -> Shapes:
    return [(inputs, units), (units,)]


def heads(prefix: str, underscore: str) -> dict[str, Shapes]:
    shapes = {"query": (8, 2, 4), "key": (8, 2, 4), "value": (8, 2, 3)}
    found: dict[str, Shapes] = {
        f"{prefix}/{underscore}{name}_dense": [shape, shape[1:]] for name, shape in shapes.items()
    }
    return {**found, f"{prefix}/{underscore}output_dense": [(2, 3, 8), (8,)]}


def net(*paths: str) -> dict[str, Shapes]:
    """The layers of `attributes` in the order of its constructor."""
    sizes = (4, 2, 3, 4, 5, 6, 7, 8)
    return {path: dense(*sizes[index : index + 2]) for index, path in enumerate(paths)}


def sequences(prefix: str) -> dict[str, Shapes]:
    return {
        f"{prefix}/bidirectional/backward_layer/cell": [(4, 9), (3, 9), (2, 9)],
        f"{prefix}/bidirectional/forward_layer/cell": [(4, 12), (3, 12), (12,)],
        f"{prefix}/time_distributed/layer": dense(6, 6),
        f"{prefix}/rnn/cell/cells/gru_cell": [(6, 12), (4, 12), (2, 12)],
        f"{prefix}/rnn/cell/cells/lstm_cell": [(4, 12), (3, 12), (12,)],
    }


def models(name: str, second: str) -> dict[str, Shapes]:
    """The layers of `nested`; *second* is the number of a second Dense."""
    inner = f"{name}/functional/{name}"
    return {
        f"{name}/dense": dense(7, 2),
        f"{inner}/dense": dense(5, 6),
        f"{inner}/dense{second}": dense(6, 7),
        f"{inner}/sequential/{name}/dense": dense(4, 3),
        f"{inner}/sequential/{name}/dense{second}": dense(3, 5),
        f"{inner}/sequential/{name}/batch_normalization": [(5,)] * 4,
    }


LAYOUTS: list[tuple[Build, str, dict[str, Shapes]]] = [
    (attributes, "2.12 2.13", net("layers/dense", "alpha", "_hidden", "layers/dense_3", "layers/dense_4",
                                  f"inner/{LIST}/dense", f"inner/{LIST}/dense_2")),
    (attributes, "2.14", net("layers/dense", "alpha", "_hidden", "layers/dense_1", "layers/dense_2",
                             f"inner/{LIST}/dense", f"inner/{LIST}/dense_1")),
    (attributes, "2.15 2.16", net("zz_alias", "layers/dense", "layers/dense_1", "rows/dense", "rows/dense_1",
                                  "layers/sequential/layers/dense", "layers/sequential/layers/dense_1")),
    (attributes, "3.0.0", net("layers/dense", "alpha", "_hidden", "layers/dense_3", "layers/dense_4",
                              "inner/layers/dense", "inner/layers/dense_1")),
    (attributes, "3.0.2 3.0 3.3 3.8 3.14 3", net("layers/dense", "alpha", "layers/dense_2", "layers/dense_3",
                                                 "layers/dense_4", "inner/layers/dense", "inner/layers/dense_1")),
    (attention, "2.12 2.13 2.14", heads(f"{LIST}/multi_head_attention", "_")),
    (attention, "2.15 2.16 3.0.0 3.0.2", heads("layers/multi_head_attention", "_")),
    (attention, "3.0.3 3.0 3.3 3.8 3.14 3", heads("layers/multi_head_attention", "")),
    (recurrent, "2.12 2.13 2.14", sequences(LIST)),
    (recurrent, "2.15 2.16 3.0.0 3.0.2 3.0 3.3 3.8 3.14 3", sequences("layers")),
    (nested, "2.12 2.13", models(LIST, "_2")),
    (nested, "2.14", models(LIST, "_1")),
    (nested, "2.15 2.16 3.0.0 3.0.2 3.0 3.3 3.8 3.14 3", models("layers", "_1")),
    (listed, "3.15 3", {"layers/block/rows/dense": dense(4, 5), "layers/block/rows/container/dense": dense(5, 6),
                        "layers/dense": dense(6, 2)}),
]  # fmt: skip


def write(path: Path, objects: Mapping[str, Shapes]) -> Path:
    with h5py.File(path, "w") as file:
        file.create_group("vars")
        for name, shapes in objects.items():
            for key, shape in enumerate(shapes):
                file[f"{name}/vars/{key}"] = np.zeros(shape, "float32")
    return path


def predicted(model: Any, path: Path, version: str | None = None, **options: Any) -> tuple[str, str, str]:
    """Outcome, and the exception's type and beginning; or the reason."""
    report = kwload.check(model, path, keras=version, **options)
    assert report.prediction is not None
    error = report.prediction.error
    if error is None:
        return report.prediction.outcome, "", report.prediction.reason or ""
    return report.prediction.outcome, error.type, error.message


@pytest.mark.keras
@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
@pytest.mark.parametrize("build", [attributes, attention, recurrent, nested, listed])
def test_each_version_finds_what_it_wrote_itself(flavour: str, build: Build, tmp_path: Path) -> None:
    """The layers have shapes of their own, so that what loads loads rightly. Up to 3.0.0 no version finds another's
    paths; from then on each object is tried at all of its paths, and at those of TensorFlow 2.12 to 2.14."""
    keras = pytest.importorskip(flavour)
    if build is listed and flavour == "tf_keras":
        return  # has no such variables
    model = build(keras)
    mine = [(versions.split(), objects) for made, versions, objects in LAYOUTS if made is build]
    wrong = []
    for writers, stored in mine:
        path = write(tmp_path / "model.weights.h5", stored)
        for version in [version for versions, _ in mine for version in versions]:
            outcome, _, text = predicted(model, path, version)
            strict = version.startswith("2") or version == "3.0.0"
            if outcome != ("loads" if version in writers else "raises") and (strict or version in writers):
                wrong.append(f"{version} with a file of {writers}: {outcome} {text}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.keras
@pytest.mark.parametrize(("version", "outcome"), [("3.14", "loads_part"), ("3.3", "loads_part"), ("3.15", "raises")])
def test_lists_in_lists_are_not_looked_into_before_3_15(version: str, outcome: str, tmp_path: Path) -> None:
    import keras

    stored = {"layers/block/rows/dense": dense(4, 5), "layers/dense": dense(6, 2), "layers/block/rows/container": []}
    stored["layers/block/rows/container/dense"] = dense(5, 7)  # of another shape, which 3.15 would find
    assert predicted(listed(keras), write(tmp_path / "m.weights.h5", stored), version)[0] == outcome


@pytest.mark.keras
def test_what_kwload_says_itself_stays(tmp_path: Path) -> None:
    import keras

    path = tmp_path / "model.weights.h5"
    model = attributes(keras)
    model.save_weights(path)
    alone, asked = kwload.check(model, path), kwload.check(model, path, keras="2.15")
    assert alone.prediction is not None and asked.prediction is not None
    assert (alone.prediction.keras, asked.prediction.keras) == (f"Keras {keras.__version__}", "Keras 2.15")
    assert asked.pairs == alone.pairs and asked.ok
    said = [("keras-refuses", "warning"), ("not-verifiable", "note")]  # the model's own class may have changed
    assert [(found.slug, found.severity) for found in asked.findings] == said
    assert "Keras 2.15" in asked.findings[0].headline


@pytest.mark.keras
def test_the_own_version_is_the_own_keras(tmp_path: Path) -> None:
    import keras

    path = tmp_path / "model.weights.h5"
    nested(keras).save_weights(path)
    series = ".".join(keras.__version__.split(".")[:2])
    for version in (keras.__version__, series, "3"):
        report = kwload.check(nested(keras), path, keras=version)
        assert report.prediction is not None and report.prediction.keras == f"Keras {keras.__version__}"


# --- legacy: texts and rules -----------------------------------------------------------------------------------------


def plain(k: Any, *units: int, name: str = "") -> Any:
    layers = [k.layers.Dense(size, name=f"{name}d{index}") for index, size in enumerate(units)]
    return k.Sequential([k.layers.Input((4,)), *layers])


COUNT = "Layer count mismatch when loading weights from file. Model expected "
OLD_COUNT = "You are trying to load a weight file containing "
SET = "The shape of the target variable and the shape of the target value in `variable.assign(value)` must match. "
SKIP = "When calling model.load_weights, skip_mismatch can only be set to True when by_name is True."

# What differs between file (of Dense layers with 8, 5 units) and model, options -> version -> outcome and text.
RULES: list[tuple[tuple[int, ...], dict[str, bool], dict[str, tuple[str, str]]]] = [
    ((8, 5), {}, dict.fromkeys(["2.2.4", "2.3.1", "2.4", "2.6", "2.7", "2.15", "3.0", "3.8", "3.14"], ("loads", ""))),
    (
        (8, 5, 3),
        {},
        {
            **dict.fromkeys(["2.2.4", "2.3.1", "2.4", "2.6"], ("raises", OLD_COUNT)),
            **dict.fromkeys(["2.7", "2.12", "2.15", "2.16", "3.0", "3.8", "3.14"], ("raises", COUNT)),
        },
    ),
    (
        (8, 6),
        {},
        {
            **dict.fromkeys(["2.3.1", "2.6"], ("raises", "")),
            **dict.fromkeys(["2.7", "2.15"], ("raises", "Cannot assign value to variable '")),
            **dict.fromkeys(["3.0", "3.5"], ("raises", SET)),
            **dict.fromkeys(["3.6", "3.14"], ("raises", "Shape mismatch in layer #")),
        },
    ),
    (
        (8, 6),
        {"by_name": True},
        {
            **dict.fromkeys(["2.3.1", "2.6"], ("raises", "Layer #")),
            **dict.fromkeys(["2.7", "2.15", "3.0", "3.14"], ("raises", "Shape mismatch in layer #")),
        },
    ),
    (
        (8, 6),
        {"skip_mismatch": True},
        {
            "2.3.1": ("raises", ""),  # the option is not looked at
            **dict.fromkeys(["2.6", "2.7", "2.15"], ("raises", SKIP)),
            "3.5": ("raises", SET),
            "3.10": ("raises", "Shape mismatch in layer #"),
            "3.11": ("loads_part", ""),
        },
    ),
    (
        (8, 6),
        {"by_name": True, "skip_mismatch": True},
        dict.fromkeys(["2.3.1", "2.6", "2.7", "2.15", "3.0", "3.14"], ("loads_part", "")),
    ),
]


@pytest.mark.keras
@pytest.mark.parametrize(("units", "options", "versions"), RULES)
def test_rules_and_texts_of_the_legacy_layouts(
    units: tuple[int, ...], options: dict[str, bool], versions: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    import keras

    save_legacy_weights(plain(keras, 8, 5), tmp_path / "weights.h5")
    model = plain(keras, *units)
    told = {version: predicted(model, tmp_path / "weights.h5", version, **options) for version in versions}
    assert {version: (outcome, text) for version, (outcome, _, text) in told.items()} == versions


@pytest.mark.keras
def test_the_name_of_the_file_decides_by_version(tmp_path: Path) -> None:
    """Before 2.12 every file is a legacy one, and by_name of a V3 file is refused in two ways, or not looked at."""
    import keras

    path, model = tmp_path / "model.weights.h5", plain(keras, 8, 5)
    save_legacy_weights(model, path)
    assert predicted(model, path, "2.11")[0] == predicted(model, path, "2.3.1")[0] == "loads"
    assert predicted(model, path, "2.12")[:2] == ("raises", "KeyError")
    assert predicted(model, path, "3.5")[:2] == ("raises", "ValueError")  # "A total of ..."
    model.save_weights(path)
    assert predicted(model, path, "2.11") == ("raises", "ValueError", COUNT)
    assert predicted(model, path, "2.3.1") == ("raises", "ValueError", OLD_COUNT)
    named = {version: predicted(model, path, version, by_name=True) for version in ("2.15", "3.10", "3.11")}
    assert named["2.15"][0] == "loads"
    assert named["3.10"][2] == "Invalid keyword arguments: "
    assert named["3.11"][2].startswith("`by_name` only supports loading legacy")


# --- what is not known -----------------------------------------------------------------------------------------------


def frozen(k: Any) -> Any:
    inner = k.Sequential([k.layers.Input((4,)), k.layers.Dense(4), k.layers.BatchNormalization()])
    inner.trainable = False
    return k.Sequential([k.layers.Input((4,)), inner])


def by_key(k: Any) -> Any:
    class Net(k.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.parts = {"z": k.layers.Dense(4), "a": k.layers.Dense(4)}

        def call(self, inputs: Any) -> Any:
            return self.parts["a"](self.parts["z"](inputs))

    model = Net()
    model(np.zeros((1, 4), "float32"))
    return model


def scaled(k: Any) -> Any:
    return k.Sequential([k.layers.Input((4,)), k.layers.Dense(4), k.layers.RMSNormalization()])


def trained(k: Any) -> Any:
    model = plain(k, 8, 5)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


UNKNOWN: list[tuple[Build, str, bool, str]] = [
    (frozen, "2.3.1", True, "Keras 2.3.1 orders the variables of a frozen model by which of its layers are frozen"),
    (by_key, "2.3.1", True, "Keras 2.3.1 does not find the layers that Net keeps in attributes"),
    (by_key, "2.15", True, "Keras 2.15 may list the layers that Net keeps in attributes in another order"),
    (by_key, "2.15", False, "Keras 2.15 may list the layers that Net keeps in attributes in another order"),
    (scaled, "3.8", False, "Keras 3.8 has no layer RMSNormalization"),
    (scaled, "2.15", True, "kwload does not know the variables that RMSNormalization has in Keras 2.15"),
    (attention, "2.5", True, "kwload does not know the variables that EinsumDense has in Keras 2.5"),
    (trained, "2.15", False, "the model was trained, and tf_keras would load the state of its metrics too"),
    (
        recurrent,
        "1.2",
        True,
        "Keras 1.2 gives layers other variables, or converts them by rules that kwload does not know",
    ),
]


@pytest.mark.keras
@pytest.mark.parametrize(("build", "version", "legacy", "reason"), UNKNOWN)
def test_unknown_only_with_a_reason(build: Build, version: str, legacy: bool, reason: str, tmp_path: Path) -> None:
    import keras

    model = build(keras)
    path = tmp_path / ("weights.h5" if legacy else "model.weights.h5")
    if legacy:
        save_legacy_weights(model, path)
    else:
        model.save_weights(path)
    assert predicted(model, path, version) == ("unknown", "", reason)
    assert predicted(model, path)[0] == "loads"


@pytest.mark.keras
def test_state_of_an_optimizer_is_no_reason(tmp_path: Path) -> None:
    import keras
    import tf_keras

    trained(keras).save_weights(tmp_path / "three.weights.h5")
    two = plain(tf_keras, 8, 5)
    two.compile("adam", "mse")
    two.train_on_batch(np.zeros((1, 4)), np.zeros((1, 5)))
    two.save_weights(tmp_path / "two.weights.h5")
    assert predicted(two, tmp_path / "three.weights.h5", "3.8")[0] == "loads"
    assert predicted(two, tmp_path / "three.weights.h5")[0] == "raises"
    assert predicted(trained(keras), tmp_path / "two.weights.h5", "3.8")[0] == "loads"


def test_a_bad_version_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"keras is '2\.x'"):
        api.Call(keras="2.x")
