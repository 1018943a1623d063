"""check and load_weights as one line: what one of them sees the other sees too, and nothing passes unread."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import Family, same, values

import kwload

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.keras

KERAS = Family("keras", "v3")


def dense(*units: int) -> Any:
    return KERAS.sequential(*(KERAS.keras.layers.Dense(count, name=f"layer_{at}") for at, count in enumerate(units)))


def refused_by_both(model: Any, path: Path, kind: type[Exception]) -> kwload.Report:
    """The report of check, when load_weights refuses too and the model is as before."""
    before = values(model)
    report = kwload.check(model, path)
    assert not report.ok, report
    with pytest.raises(kind) as caught:
        kwload.load_weights(model, path)
    assert isinstance(caught.value, kwload.WeightsError)
    assert same(before, values(model))
    return report


def empty(file: Any) -> None:
    pass


def groups_only(file: Any) -> None:
    file.create_group("layers/dense/vars")


def no_layer_names(file: Any) -> None:
    file.attrs["layer_names"] = []


@pytest.mark.parametrize("write", [empty, groups_only, no_layer_names])
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_a_file_without_weights_is_refused(write: Any, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        write(file)
    if suffix == ".keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("metadata.json", "{}")
            archive.writestr("model.weights.h5", memory.getvalue())
    else:
        path.write_bytes(memory.getvalue())
    refused_by_both(dense(4, 3), path, ValueError)


def test_one_dataset_under_two_layers(tmp_path: Path) -> None:
    """Hard links share bytes: each layer gets them, also where the CRC is taken in the same pass."""
    saved = dense(10, 10)
    saved.save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    memory = io.BytesIO(members["model.weights.h5"])
    with h5py.File(memory, "r+") as file:
        del file["layers/dense_1/vars/0"]
        file["layers/dense_1/vars/0"] = file["layers/dense/vars/0"]
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, memory.getvalue() if name == "model.weights.h5" else content)
    model, by_keras = dense(10, 10), dense(10, 10)
    kwload.load_weights(model, path)
    by_keras.load_weights(path)
    assert same(values(model), values(by_keras))


def test_damage_behind_a_chunk_index_is_seen_by_check(tmp_path: Path) -> None:
    saved = dense(10)
    path = KERAS.save(saved, tmp_path)
    with h5py.File(path, "r+") as file:
        value = file["layers/dense/vars/0"][()]
        del file["layers/dense/vars/0"]
        chunked = file.create_dataset("layers/dense/vars/0", data=value, chunks=(5, 5), fletcher32=True)
        where = chunked.id.get_chunk_info(0).byte_offset
    report = kwload.check(dense(10), path)
    assert report.ok
    data = bytearray(path.read_bytes())
    data[where + 3] ^= 1
    path.write_bytes(data)
    report = refused_by_both(dense(10), path, OSError)
    assert report.findings[0].code == "KW205"
    assert report.findings[0].headline.startswith("the bytes of `layers/dense/vars/0` are not those that were saved")
    assert report.prediction is not None and report.prediction.outcome == "unknown"
    with pytest.raises(ValueError, match="A total of 1 objects"):
        dense(10).load_weights(path)


def test_damage_in_what_a_layer_loads_itself(tmp_path: Path) -> None:
    import keras

    class Own(keras.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.table = self.add_weight(name="table", shape=(4,))

        def call(self, inputs: Any) -> Any:
            return inputs

        def save_own_variables(self, store: Any) -> None:
            store["table"] = np.asarray(self.table)

        def load_own_variables(self, store: Any) -> None:
            self.table.assign(store["table"])

    def build() -> Any:
        return KERAS.sequential(Own(name="own"), keras.layers.Dense(3), inputs=(4,))

    saved, model = build(), build()
    saved.layers[0].table.assign([1.0, 2.0, 3.0, 4.0])
    path = tmp_path / "model.keras"
    saved.save(path)
    report = kwload.load_weights(model, path)
    assert "KW404" in {finding.code for finding in report.findings}
    assert same(values(model), values(saved))
    with kwload.open(path) as file:
        offset = next(tensor.offset for tensor in file.tensors if tensor.path.endswith("table"))
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    refused_by_both(build(), path, OSError)
