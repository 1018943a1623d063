"""The scan of files that nobody vouches for: what is found without a model, and what the command ends with."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import seeds
from click.testing import CliRunner

import kwload
from kwload import cli


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group["0"] = np.ones((64, 32), "f4")
        group.create_dataset("1", data=np.zeros(64, "f4"), chunks=(16,), compression="gzip", fletcher32=True)
    return path


def codes(path: Path) -> dict[str, str]:
    return {finding.code: finding.severity for finding in kwload.scan(path).findings}


def test_a_sound_file_has_no_errors(weights: Path) -> None:
    assert set(codes(weights).values()) <= {"note"}


def test_bytes_behind_the_end_are_counted(weights: Path) -> None:
    before = {finding.code: finding.found for finding in kwload.scan(weights).findings}.get("KW608", 0)
    with weights.open("ab") as file:
        file.write(b"x" * 5000)
    after = {finding.code: finding.found for finding in kwload.scan(weights).findings}
    assert after["KW608"] == before + 5000


def test_every_chunk_is_looked_at(weights: Path) -> None:
    data = bytearray(weights.read_bytes())
    with h5py.File(weights) as file:
        chunk = file["layers/dense/vars/1"].id.get_chunk_info(2)
    data[chunk.byte_offset + 3] ^= 1
    weights.write_bytes(data)
    assert codes(weights)["KW205"] == "error"


def test_what_leaves_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["away"] = h5py.ExternalLink("other.h5", "/x")
        file.create_dataset("storage", (2,), "f4", external=[("other.bin", 0, 8)])
        layout = h5py.VirtualLayout((2,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "x", (2,))
        file.create_virtual_dataset("virtual", layout)
    assert {code for code, severity in codes(path).items() if severity == "error"} == {"KW601", "KW602", "KW603"}


def test_two_chunks_on_one_place_overlap(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in "ab":
            file.create_dataset(name, data=np.arange(8, dtype="f4"), chunks=(8,))
        places = [file[name].id.get_chunk_info(0).byte_offset for name in "ab"]
    data = path.read_bytes().replace(places[1].to_bytes(8, "little"), places[0].to_bytes(8, "little"))
    path.write_bytes(data)
    assert codes(path)["KW606"] == "error"


def test_members_of_an_archive(tmp_path: Path, weights: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(weights, "model.weights.h5")
        archive.writestr("../outside", b"x")
    assert codes(path)["KW607"] == "error"


def test_the_command_scans_folders_and_ends_with_the_worst(tmp_path: Path, weights: Path) -> None:
    (tmp_path / "README.md").write_text("no weights")
    below = tmp_path / "below"
    below.mkdir()
    (below / "cut.h5").write_bytes(weights.read_bytes()[:3000])
    result = CliRunner().invoke(cli.main, ["scan", "--json", str(tmp_path)])
    paths = [Path(json.loads(line)["path"]).name for line in result.output.splitlines()]
    assert (sorted(paths), result.exit_code) == (["cut.h5", "model.weights.h5"], 3)
    assert CliRunner().invoke(cli.main, ["scan", str(weights)]).exit_code == 0
    assert CliRunner().invoke(cli.main, ["scan", str(tmp_path / "absent.h5")]).exit_code == 3


def test_what_h5py_leaves_by_itself_is_not_mentioned(weights: Path) -> None:
    assert codes(weights) == {}
    with h5py.File(weights, "a") as file:
        file["gone"] = np.ones(9000, "f4")
        file["behind"] = np.ones(9000, "f4")
    with h5py.File(weights, "a") as file:
        del file["gone"]
    assert codes(weights) == {"KW608": "note"}


def test_a_line_at_the_end_counts_the_files(tmp_path: Path, weights: Path) -> None:
    (tmp_path / "cut.h5").write_bytes(weights.read_bytes()[:3000])
    output = CliRunner().invoke(cli.main, ["scan", str(tmp_path)]).output
    assert output.splitlines()[-1] == "2 files: 1 sound, 1 with errors"
    assert "files:" not in CliRunner().invoke(cli.main, ["scan", str(weights)]).output


LAMBDAS = {
    "keras 3": {"class_name": "Lambda", "config": {"name": "lam", "function": {"class_name": "__lambda__"}}},
    "keras 2": {"class_name": "Lambda", "config": {"name": "lam", "function": ["4wE="], "function_type": "lambda"}},
}
FUNCTION = {"class_name": "Lambda", "config": {"name": "lam", "function": "f", "function_type": "function"}}


@pytest.mark.parametrize(("layer", "code"), [(layer, True) for layer in LAMBDAS.values()] + [(FUNCTION, False)])
def test_code_in_the_architecture_is_a_warning(
    layer: dict[str, object], code: bool, tmp_path: Path, weights: Path
) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(weights, "model.weights.h5")
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
    report = kwload.scan(path)
    assert codes(path) == ({"KW406": "warning"} if code else {})
    assert report.counts["warnings"] == code
    assert ("Python code: `lam`" in str(report)) is code


def test_shards_of_one_save_and_a_wrong_total(tmp_path: Path, weights: Path) -> None:
    for number in range(2):
        (tmp_path / f"m_0000{number}.weights.h5").write_bytes(weights.read_bytes())
        report = kwload.scan(tmp_path / f"m_0000{number}.weights.h5")
        assert "to judge by its structure" not in str(report)
    shards = {"/layers/dense": "m_00000.weights.h5"}
    for total, found in ((8448, {}), (12, {"KW214": "warning"})):
        text = {"metadata": {"total_size": total}, "weight_map": shards}
        (tmp_path / "m.weights.json").write_text(json.dumps(text))
        assert codes(tmp_path / "m.weights.json") == found


@pytest.mark.parametrize(
    ("at", "value"),
    [(9, 1), (10, 1), (12, 1), (16, bytes(2)), (18, bytes(2)), (20, 8), (32, 0), (72, 3)],
    ids=["free space", "root entry", "shared headers", "leaf nodes", "inner nodes", "flags", "free space at", "cache"],
)
def test_a_superblock_that_libhdf5_refuses_is_damage_and_its_tensors_are_listed(
    at: int, value: int | bytes, weights: Path
) -> None:
    data = bytearray(weights.read_bytes())
    new = bytes([value]) if isinstance(value, int) else value
    data[at : at + len(new)] = new
    weights.write_bytes(data)
    with pytest.raises(OSError, match="Unable"):
        h5py.File(weights)
    report = kwload.scan(weights)
    assert [finding.code for finding in report.findings] == ["KW204"]
    with kwload.open(weights) as file:
        assert file["layers/dense/vars/0"].shape == (64, 32)


def test_values_behind_the_end_that_the_superblock_tells(weights: Path) -> None:
    data = bytearray(weights.read_bytes())
    with h5py.File(weights) as file:
        end = file["layers/dense/vars/0"].id.get_offset() + 8000
    data[40:48] = end.to_bytes(8, "little")
    weights.write_bytes(data)
    assert "KW204" in codes(weights)


def test_a_user_defined_link_is_no_external_one(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    seeds._user_link(path)
    report = kwload.scan(path)
    assert [finding.code for finding in report.findings] == ["KW601"]
    assert "a user-defined link of kind 187" in str(report)


def number_of(bits: int, of: type[np.generic]) -> h5py.h5t.TypeID:
    number = h5py.h5t.py_create(np.dtype(of)).copy()
    if of is np.float32:
        number.set_fields(bits - 1, bits - 9, 8, 0, bits - 9)
    number.set_precision(bits)
    return number


@pytest.mark.parametrize(
    ("bits", "of", "said"),
    [(17, np.int32, "integer of 17 bits in 4 bytes"), (20, np.float32, "float of 20 bits in 4 bytes")],
)
def test_a_number_of_odd_precision_is_named(bits: int, of: type[np.generic], said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        h5py.h5d.create(file.id, b"odd", number_of(bits, of), h5py.h5s.create_simple((3,)))
        file["plain"] = np.ones(3)
    with kwload.open(path) as file:
        assert {tensor.path: tensor.dtype for tensor in file.tensors} == {"odd": said, "plain": "float64"}
        with pytest.raises(kwload.WeightsFileError, match=said):
            file["odd"]


def test_a_chunk_whose_filters_were_all_skipped(tmp_path: Path) -> None:
    path, values = tmp_path / "a.h5", np.arange(32, dtype="f4")
    with h5py.File(path, "w") as file:
        data = file.create_dataset("x", (32,), "f4", chunks=(16,), compression="gzip", shuffle=True, fletcher32=True)
        for start in (0, 16):
            data.id.write_direct_chunk((start,), values[start : start + 16].tobytes(), filter_mask=0b111)
    with kwload.open(path) as file:
        assert (file["x"] == values).all()
    assert codes(path) == {}
