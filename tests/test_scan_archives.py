"""The scan of archives: bytes that no member has, members that are not what they say, and what real writers leave."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from real_files import corpus_files

import kwload

REAL = [file for file in corpus_files("keras-made", "keras-by-version", "keras-real") if zipfile.is_zipfile(file)]
METADATA, CONFIG = b'{"keras_version": "3.15.1"}', b'{"class_name": "Sequential", "config": {"layers": []}}'


def weights(behind: bytes = b"") -> bytes:
    room = io.BytesIO()
    with h5py.File(room, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "dense"
        group["0"] = np.arange(2048, dtype="f4").reshape(64, 32)
    return room.getvalue() + behind


def members(behind: bytes = b"") -> dict[str, bytes]:
    return {"metadata.json": METADATA, "config.json": CONFIG, "model.weights.h5": weights(behind)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.keras"


def write(
    path: Path, more: dict[str, bytes] | None = None, behind: bytes = b"", method: int = zipfile.ZIP_STORED
) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in (members(behind) | (more or {})).items():
            archive.writestr(name, data)


def found(path: Path) -> dict[str, tuple[str, object]]:
    return {finding.code: (finding.severity, finding.found) for finding in kwload.scan(path).findings}


def with_gap(data: bytes, at: int, gap: bytes) -> bytes:
    """The archive with bytes put in front of `at`, and every offset behind it made right."""
    end = data.rindex(b"PK\5\6")
    count, size, directory = struct.unpack_from("<HII", data, end + 10)
    out, entry = bytearray(data), directory
    for _ in range(count):
        name, extra, comment = struct.unpack_from("<HHH", out, entry + 28)
        (local,) = struct.unpack_from("<I", out, entry + 42)
        struct.pack_into("<I", out, entry + 42, local + len(gap) * (local >= at))
        entry += 46 + name + extra + comment
    struct.pack_into("<I", out, end + 16, directory + len(gap) * (directory >= at))
    assert entry == directory + size
    return bytes(out[:at] + gap + out[at:])


@pytest.mark.parametrize(
    ("where", "length", "said"),
    [
        ("front, offsets as they were", 1, True),
        ("front", 7, True),
        ("between", 4095, False),
        ("between", 4096, True),
        ("before the directory", 5000, True),
        ("behind", 1, True),
    ],
)
def test_bytes_that_no_member_has_are_counted(where: str, length: int, said: bool, path: Path) -> None:
    write(path)
    data, gap = path.read_bytes(), b"x" * length
    with zipfile.ZipFile(path) as archive:
        second = archive.infolist()[1].header_offset
        directory = archive.start_dir
    at = {"front": 0, "between": second, "before the directory": directory}.get(where)
    changed = with_gap(data, at, gap) if at is not None else data + gap if where == "behind" else gap + data
    path.write_bytes(changed)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    assert found(path) == ({"KW608": ("note", length)} if said else {})


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_bytes_behind_the_end_of_the_weights_inside(method: int, path: Path) -> None:
    write(path, behind=b"y" * 700, method=method)
    report = kwload.scan(path)
    assert found(path) == {"KW608": ("note", 700)}
    assert "of `model.weights.h5`" in report.findings[0].notes[0]


def test_a_comment_is_no_gap_and_one_that_is_cut_is_damage(path: Path) -> None:
    write(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"made by hand"
    assert found(path) == {}
    path.write_bytes(path.read_bytes()[:-3])
    assert set(found(path)) == {"KW204"}
    with kwload.open(path) as file:
        assert file["layers/dense/vars/0"][1, 0] == 32


def local_name(data: bytearray) -> None:
    data[data.index(b"config.json")] = ord("C")


def local_size(data: bytearray) -> None:
    data[data.index(b"config.json") - 8] ^= 1


def local_crc(data: bytearray) -> None:
    data[data.index(b"config.json") - 16] ^= 1


def one_place_twice(data: bytearray) -> None:
    """The directory's last entry points at the first member."""
    entry = data.rindex(b"PK\1\2")
    data[entry + 42 : entry + 46] = bytes(4)


@pytest.mark.parametrize(
    ("damage", "codes"),
    [(local_name, "KW607"), (local_size, "KW607"), (local_crc, "KW607"), (one_place_twice, "KW606")],
)
def test_headers_that_contradict_each_other(damage: object, codes: str, path: Path) -> None:
    write(path)
    data = bytearray(path.read_bytes())
    damage(data)  # type: ignore[operator]
    path.write_bytes(data)
    assert found(path)[codes][0] == "error"


@pytest.mark.parametrize("name", ["../outside", "a/../../b", "/etc/passwd", "C:/x", "a\\..\\b"])
def test_a_name_that_leaves_the_folder(name: str, path: Path) -> None:
    write(path, {"x" * len(name): b"x"})
    path.write_bytes(path.read_bytes().replace(b"x" * len(name), name.encode()))
    assert {code: severity for code, (severity, _) in found(path).items()} == {"KW607": "error"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(path: Path) -> None:
    write(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", CONFIG)
    assert found(path)["KW607"][0] == "error"


@pytest.mark.parametrize("name", ["model.weights.h5", "config.json", "assets/tokens.txt"])
def test_a_member_that_unpacks_to_far_more_is_a_bomb(name: str, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for known, data in members().items():
            if known != name:
                archive.writestr(known, data)
        with archive.open(name, "w") as member:
            for _ in range(300):
                member.write(bytes(1 << 20))
    assert found(path)["KW604"][0] == "error"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", [*members(), "assets/tokens.txt"])
def test_the_checksum_of_every_member_is_compared(name: str, method: int, path: Path) -> None:
    write(path, {"assets/tokens.txt": b"one two"}, method=method)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        crc = struct.pack("<I", archive.getinfo(name).CRC)
    while (at := data.find(crc)) >= 0:
        data[at] ^= 1
    path.write_bytes(data)
    report = kwload.scan(path)
    assert [finding.code for finding in report.findings] == ["KW205"]
    assert f"`{name}`" in report.findings[0].headline
    assert ("tensor may be touched" in str(report)) is (name == "model.weights.h5")


class Pipe(io.RawIOBase):
    """What zipfile cannot seek in, so that it writes data descriptors."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self.file.write(data)  # type: ignore[arg-type]

    def close(self) -> None:
        self.file.close()
        super().close()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_descriptors_and_64_bit_records_are_no_gaps(method: int, path: Path) -> None:
    with Pipe(path) as pipe, zipfile.ZipFile(pipe, "w", method) as archive:
        for name, data in members().items():
            with archive.open(name, "w", force_zip64=name.endswith("h5")) as member:
                member.write(data)
    assert b"PK\7\x08" in path.read_bytes()
    assert found(path) == {}


@pytest.mark.skipif(shutil.which("zip") is None, reason="Info-ZIP is not installed")
@pytest.mark.parametrize("options", [("-0",), ("-9",), ("-0", "-fd"), ("-0", "-X"), ("-0", "-fz")])
def test_what_info_zip_writes_is_sound(options: tuple[str, ...], tmp_path: Path, path: Path) -> None:
    folder = tmp_path / "contents"
    folder.mkdir()
    for name, data in members().items():
        (folder / name).write_bytes(data)
    subprocess.run(["zip", "-q", "-r", *options, str(path), "."], cwd=folder, check=True)
    assert found(path) == {}


def test_values_that_are_aligned_by_an_extra_field_are_sound(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members().items():
            info = zipfile.ZipInfo(name)
            info.extra = struct.pack("<HH", 0xD935, 4000) + bytes(4000)
            archive.writestr(info, data)
    assert found(path) == {}


@pytest.mark.parametrize("real", REAL, ids=lambda file: file.name)
def test_no_real_archive_has_such_bytes(real: Path) -> None:
    assert not {"KW204", "KW205", "KW604", "KW606", "KW607", "KW608"} & set(found(real))
