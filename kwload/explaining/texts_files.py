"""What h5py, zipfile and the operating system say of a file that cannot be opened or read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kwload.explaining.match import Cause, Facts, Text

INSPECT: Final = "kwload inspect {file}"
CHECK: Final = "kwload check {file} --model package.module:factory"
CHECK_MODEL: Final = "kwload check {file}  # what load_model would make of it, and all that is in the way"
AGAIN: Final = "delete it and download or copy it again"

NAMED_OTHERWISE: Final = Cause(
    "KW206",
    "The file is a `.keras` archive, or something else that is no HDF5, under a name that ends in `.h5`.",
    (INSPECT, "rename it to what it is: `kwload inspect` says what"),
)
NO_FILE: Final = Cause(
    "KW101",
    "Nothing is at this path: a typo, or a relative path and another current directory than expected.",
    ("ls -l {file}", 'python -c "import os; print(os.getcwd())"  # where the program runs'),
)
NO_ZIP: Final = Cause(
    "KW206",
    "The file is there and is no `.keras` archive: HDF5 weights or an HDF5 model under this name, a cut download, a "
    "web page, a Git LFS pointer. Keras says `File not found` of all of them.",
    (INSPECT, "if it is HDF5, rename it so that it ends in `.h5` (or `.weights.h5`, as `kwload inspect` says)"),
)
INTERRUPTED: Final = Cause(
    "KW203",
    "The program that saved it was killed or the disk was full: the values are there, the structure, which HDF5 writes "
    "last, is not. Copying the file again does not help.",
    (INSPECT, "use the file that was saved before this one, and save to a new name, then rename"),
)
DAMAGED: Final = Cause("KW204", "Bytes of the file changed after it was written, on a disk or on the way.", (AGAIN,))


def _no_signature(facts: Facts) -> Sequence[Cause]:
    causes = [
        Cause(
            "KW201",
            "It is a Git LFS pointer: a text of some 130 bytes that stands for the file.",
            (INSPECT, "git lfs pull"),
        ),
        Cause("KW201", "It is a web page: the download link answered with HTML.", (INSPECT, "head -c 300 {file}")),
        NAMED_OTHERWISE,
        Cause("KW105", "It is empty, or not what its name says (pickle, safetensors, gzip, text).", (INSPECT,)),
        INTERRUPTED,
    ]
    if facts.ends_in == ".keras":
        causes.remove(NAMED_OTHERWISE)
    return causes


def _cut(facts: Facts) -> str:
    have, wanted = facts.number("have"), facts.number("wanted")
    if have is None or not wanted or have >= wanted:
        return "The file is shorter than it says in its own header."
    lost = 100 * (wanted - have) / wanted
    return f"The file has {have:,} bytes of the {wanted:,} that it should have: {lost:.1f} % are missing at the end."


_CUT_CAUSES: Final = (
    Cause(
        "KW202",
        "A download or copy was interrupted, or one part of a file in parts is missing.",
        (
            "kwload inspect {file}  # lists the tensors that are whole",
            "delete it, also where it is cached (`~/.keras/models`), and download or copy it again",
        ),
    ),
    Cause("KW203", "The save itself was interrupted.", ("use the file that was saved before this one",)),
    Cause("KW211", "Another process is still writing it.", ("wait until the writer is done",)),
)


def _cannot_open(facts: Facts) -> str:
    said = {
        2: "There is no such file.",
        13: "This user may not read the file, or the path is a directory.",
        17: "The file exists already.",
        21: "The path is a directory.",
        22: "The operating system does not accept the path.",
        36: "The path is too long.",
    }
    return said.get(facts.number("errno") or 0, "The operating system does not open the file.")


def _cannot_open_causes(facts: Facts) -> Sequence[Cause]:
    match facts.number("errno"):
        case 2:
            shard = Cause(
                "KW207",
                "It is one file of a set (`.weights.json` and its shards), and this one was not copied.",
                ("put all files of the set into the folder of the map", "kwload inspect {file}  # of the map"),
            )
            link = Cause("KW104", "A link stands at the path and its target is gone.", ("ls -l {file}",))
            number = (facts.paste.path or "").rpartition("_")[2].partition(".")[0]
            causes = [NO_FILE, link, shard]
            return [shard, NO_FILE, link] if len(number) == 5 and number.isdecimal() else causes
        case 13:
            denied = Cause(
                "KW102", "The file, or a folder on the way to it, is closed to this user.", ("ls -l {file}",)
            )
            return [denied, _DIRECTORY]
        case 21:
            return [_DIRECTORY]
        case 11 | 35:
            return [_BUSY]
    reading = Cause("KW107", "The operating system's own reason, as the message gives it.", ("ls -l {file}",))
    return [reading, NO_FILE]


_DIRECTORY: Final = Cause(
    "KW103",
    "The path is a directory: a SavedModel, an unzipped `.keras`, a checkpoint's folder, or a path one level too high.",
    ("ls {file}", INSPECT),
)
_BUSY: Final = Cause(
    "KW108",
    "Another process has it open for writing: a training that still runs, a notebook that was not closed.",
    ("lsof {file}  # who has it open", "wait for the writer, or close the other notebook"),
)


def _lock(facts: Facts) -> Sequence[Cause]:
    without = Cause(
        None,
        "The file system (network, container, FUSE) has no locks, which libhdf5 asks for. The file itself is fine.",
        ("export HDF5_USE_FILE_LOCKING=FALSE  # before Python starts", CHECK),
    )
    if facts.number("errno") in (11, 35):  # EAGAIN of Linux and of macOS
        return [_BUSY, without]
    return [without, _BUSY]


def _lock_means(facts: Facts) -> str:
    number = facts.number("errno")
    if number in (11, 35):
        return f"libhdf5 could not lock the file (errno {number}): somebody else holds a lock on it."
    with_number = f" (errno {number})" if number is not None else ""
    return f"libhdf5 could not lock the file{with_number}: the file system refuses locks. kwload reads without one."


def _no_object(facts: Facts) -> Sequence[Cause]:
    if facts.get("name") == "model_weights":
        return [
            Cause(
                "KW209",
                "A whole model was looked for; the file holds weights only, or is in the Keras 3 layout.",
                (INSPECT,),
            ),
            NAMED_OTHERWISE,
        ]
    listed = Cause(
        "KW301",
        "The file lists something that is not in it: it was changed after it was saved, or names in it are cut off.",
        (INSPECT, CHECK),
    )
    return [
        Cause(
            "KW206",
            "The code reads another layout than the file has: each generation of Keras has its own.",
            (INSPECT,),
        ),
        listed,
    ]


_ATTRIBUTE: Final = (
    Cause(
        "KW206",
        "The file is in the Keras 3 layout, which has no such list, and is read as one of the older `.h5` layout.",
        (CHECK, INSPECT),
    ),
    Cause("KW212", "It is an HDF5 file that Keras did not write.", (INSPECT,)),
)
_PREFIXED: Final = (
    Cause(
        None,
        "One layer's name is the beginning of another's path (`fire2` and `fire2/squeeze1x1`), or two weights have the "
        "same name: the older format makes a group of each. What was written so far is left behind, and is no weight "
        "file.",
        (
            'model.save_weights("model.weights.h5")  # the Keras 3 layout does not use the names',
            "give the layers names without a slash, each its own",
        ),
    ),
)
_DECODE: Final = (
    Cause(
        "KW405",
        "The file is fine. h5py 3 gives `str` where Keras before TensorFlow 2.4 expects `bytes`.",
        ("pip install 'h5py<3'  # in the old environment", CHECK),
    ),
)
_CAST: Final = (
    Cause(
        "KW406",
        "The file holds bfloat16, which HDF5 knows as two opaque bytes; the older `.h5` layout does not mark it, and "
        "Keras cannot read what it wrote. kwload can.",
        ("kwload.load_weights(model, {path})", INSPECT),
    ),
)

TEXTS: Final = (
    Text(
        "open file (file signature not found",
        ")",
        "h5py",
        "The file does not begin as an HDF5 file does. This one sentence is said of many things.",
        _no_signature,
    ),
    Text(
        "unable to find a valid file signature",
        "",
        "h5py",
        "The file does not begin as an HDF5 file does. This one sentence is said of many things.",
        _no_signature,
    ),
    Text(
        "(truncated file: eof = {have:d}",
        ", sblock->base_addr = {base:d}, stored_eo{x:w} = {wanted:d})",
        "h5py",
        _cut,
        _CUT_CAUSES,
    ),
    Text("truncated file", ": eof", "h5py", "The file is shorter than it says in its own header.", _CUT_CAUSES, 4),
    Text(
        "open file (bad object header version number",
        ")",
        "h5py",
        "The structure of the file is not where its header says.",
        (INTERRUPTED, DAMAGED),
    ),
    *(
        Text(said, "", "h5py", "The structure of the HDF5 file is damaged.", (DAMAGED, INTERRUPTED))
        for said in (
            "bad local heap signature",
            "wrong B-tree signature",
            "bad symbol table node signature",
            "bad global heap collection signature",
            "bad heap free list",
            "incorrect metadata checksum",
            "addr overflow, addr =",
            "unknown dimension information flag",
        )
    ),
    Text(
        "data (inflate() failed",
        ")",
        "h5py",
        "A compressed block of the file cannot be unpacked.",
        (DAMAGED, Cause("KW202", "The file is cut short.", (INSPECT,))),
    ),
    Text(
        "unable to lock file, errno = {errno:d}",
        ", error message = '{said}'",
        "h5py",
        _lock_means,
        _lock,
    ),
    Text("unable to lock file", "", "h5py", "libhdf5 could not lock the file.", _lock, 4),
    Text(
        "BlockingIOError: [Errno {errno:d}]",
        " Unable to",
        "h5py",
        _lock_means,
        _lock,
        4,
    ),
    Text(
        "(unable to open file: name = '{name}', errno = {errno:d}",
        ", error message = '{said}'",
        "h5py",
        _cannot_open,
        _cannot_open_causes,
    ),
    Text(
        "(file read failed: time = {time}, filename = '{name}', file descriptor = {fd:d}, errno = {errno:d}",
        ", error message = '{said}'",
        "h5py",
        _cannot_open,
        _cannot_open_causes,
    ),
    Text(
        "FileNotFoundError: [Errno {errno:d}]",
        " No such file or directory",
        "Python",
        "There is no such file.",
        _cannot_open_causes,
        4,
    ),
    Text(
        "PermissionError: [Errno {errno:d}]",
        " Permission denied",
        "Python",
        "This user may not read the file, or the path is a directory.",
        _cannot_open_causes,
        4,
    ),
    Text(
        "IsADirectoryError: [Errno {errno:d}]",
        " Is a directory",
        "Python",
        "The path is a directory.",
        (_DIRECTORY,),
        4,
    ),
    Text(
        "(object '{name}' doesn't exist",
        ")",
        "h5py",
        "The file has nothing called `{name}` where the code looks for it.",
        _no_object,
    ),
    Text(
        "(can't locate attribute: '{name}'",
        ")",
        "h5py",
        "The file has no attribute `{name}` where the code looks for it.",
        _ATTRIBUTE,
    ),
    Text(
        "object header message is too large",
        "",
        "h5py",
        "A list of names is longer than the 64 kB that an HDF5 attribute holds.",
        (
            Cause(
                None,
                "The names of all layers, or of all weights of one layer, do not fit into one attribute of the older "
                "`.h5` layout. Nothing is wrong with the model.",
                (
                    'model.save_weights("model.weights.h5")  # Keras 3, or TensorFlow 2.12 and newer',
                    "use shorter names",
                ),
            ),
        ),
    ),
    *(
        Text(
            f"Unable to create {kind} (name already exists",
            ")",
            "h5py",
            "Two things are to be saved under one name.",
            _PREFIXED,
        )
        for kind in ("group", "dataset", "link")
    ),
    *(
        Text(
            f"Unable to synchronously create {kind} (name already exists",
            ")",
            "h5py",
            "Two things are to be saved under one name.",
            _PREFIXED,
        )
        for kind in ("group", "dataset")
    ),
    Text(
        "'str' object has no attribute 'decode'",
        "",
        "Keras 2",
        "An old Keras or TensorFlow reads names from the file with a new h5py.",
        _DECODE,
    ),
    Text("No cast function available", ".", "NumPy", "NumPy cannot convert the type of a tensor in the file.", _CAST),
    Text(
        "setting an array element with a sequence",
        ".",
        "NumPy",
        "NumPy cannot make numbers of what is in the file.",
        (*_CAST, Cause("KW204", "The file holds something else than numbers there.", (INSPECT,))),
        4,
    ),
    Text(
        "'mbcs' codec can't encode",
        " character",
        "Python",
        "On Windows, an old h5py does not accept this path.",
        (
            Cause(
                None,
                "The path has characters outside the system's code page. The file is fine.",
                ("pip install -U h5py", "move the file to a path of plain letters"),
            ),
        ),
    ),
    Text(
        "UnicodeDecodeError: 'utf-8' codec can't decode byte",
        "",
        "Python",
        "A path, or a name in the file, is not UTF-8.",
        (
            Cause(
                None,
                "The path has letters such as `ü` or Cyrillic, which TensorFlow on Windows turns into other bytes.",
                ("move the file to a path of plain letters",),
            ),
            Cause("KW201", "The file is binary and is read as text, or names in it are damaged.", (INSPECT,)),
        ),
        4,
    ),
    Text(
        "Bad CRC-32 for file '{member}'",
        "",
        "zipfile",
        "The bytes of `{member}` in the archive are not those that were saved.",
        (
            Cause("KW205", "The file was damaged on a disk or on the way.", (AGAIN, INSPECT)),
            Cause("KW211", "It is being written by another process.", ("wait until the writer is done",)),
        ),
    ),
    Text(
        "File is not a zip file",
        "",
        "zipfile",
        "The file is no archive, though its name says so.",
        (
            NO_ZIP,
            Cause(
                "KW202",
                "It is a `.keras` archive that is cut short: a zip keeps its list at the end.",
                (INSPECT, AGAIN),
            ),
        ),
    ),
    Text(
        "There is no item named '{member}' in the archive",
        "",
        "zipfile",
        "The archive has no `{member}` at its top.",
        (
            Cause(
                "KW607",
                "It was zipped again with the folder around its contents.",
                (INSPECT, "cd the-folder && zip -0 ../model.keras *  # the contents, not the folder"),
            ),
            Cause("KW201", "It is some other zip, not a `.keras` archive.", ("unzip -l {file}",)),
        ),
    ),
    Text(
        "Object arrays cannot be loaded when allow_pickle=False",
        "",
        "NumPy",
        "The file holds pickled objects, which could run any code.",
        (
            Cause(
                "KW208",
                "The archive has its weights as `.npz`, a variant that Keras itself can no longer read.",
                (INSPECT, "load and save it again with the Keras that wrote it"),
            ),
        ),
    ),
    Text(
        "unable to truncate a file which is already open",
        "",
        "h5py",
        "The file is to be written and is open already.",
        (
            Cause(
                "KW108",
                "It is open in this very process: an `h5py.File` that was not closed, a checkpoint that is loaded "
                "lazily.",
                ("with h5py.File({path}) as file: …  # closes it", 'model.save_weights("new.weights.h5")'),
            ),
            _BUSY,
        ),
    ),
    *(
        Text(
            said,
            "",
            "Keras",
            "This Keras cannot read HDF5 without h5py, which is not installed here.",
            (Cause(None, "h5py is missing, or it is installed for another Python.", ("python -m pip install h5py",)),),
        )
        for said in ("h5py is not available", "requires h5py", "No module named 'h5py'")
    ),
    Text(
        "Unable to allocate",
        " {size} for an array with shape",
        "NumPy",
        "There is not enough memory for an array.",
        (
            Cause("KW213", "The weights are larger than what this process may use.", (INSPECT, "free -h")),
            Cause(
                "KW604", "The file declares far more than it holds.", ("do not load it unless you know who made it",)
            ),
        ),
        4,
    ),
    Text(
        "OOM when allocating tensor",
        "",
        "TensorFlow",
        "The memory of the device is full.",
        (
            Cause(
                "KW213",
                "The model does not fit beside what is there already, in this process or in another one on the same "
                "device.",
                ("nvidia-smi", "keras.backend.clear_session()  # before the model is built"),
            ),
        ),
        4,
    ),
    Text(
        "A local file was found, but it seems to be incomplete or outdated",
        "",
        "Keras",
        "A file in the cache is not the one that was asked for; Keras downloads it again.",
        (
            Cause("KW202", "An earlier download was interrupted.", ("ls -l ~/.keras/models", INSPECT)),
            Cause(None, "The publisher replaced the file; the new one is downloaded now.", ()),
        ),
        3,
    ),
)
