"""What ``load_model`` of a file would do: the container, the architecture, the weights, the compilation, in the order
in which Keras gets to them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kwload import _core
from kwload.report.facts import FileFacts
from kwload.versions.constants import misfits
from kwload.versions.names import Config
from kwload.versions.outcome import CrossedError, EndlessError, RaisedError, UnknownError
from kwload.versions.reader import Reader
from kwload.versions.replay import Replay
from kwload.versions.replay_2 import Replay2
from kwload.versions.writer import number

_MOST_BYTES: Final = 16 << 20
"""Of a stored text; a vocabulary of a million words is in it."""

DAMAGED: Final = "the file is damaged, and what Keras makes of that depends on the place"
_LEGACY: Final = ("legacy", "legacy-model", "keras-0", "hf-shard")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is foreseen.

    Attributes
    ----------
    outcome : {"loads", "raises", "unknown"}
    error : RaisedError or None
        With ``raises``.
    reason : str or None
        With ``unknown``.
    endless : bool
        Whether Keras never returns; then ``unknown``.
    crossed : str or None
        A layer that Keras connects to the call of another model.
    is_followed : bool
        Whether all that the architecture describes was followed to the end: with ``unknown``, then only what the code
        of the user's own does is open, and not which layers there are.
    """

    outcome: str
    error: RaisedError | None = None
    reason: str | None = None
    endless: bool = False
    crossed: str | None = None
    is_followed: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What a call of ``load_model`` asks for, with Keras's names and meaning.

    Attributes
    ----------
    compile : bool
    safe_mode : bool
    """

    compile: bool = True
    safe_mode: bool = True


def forecast(file: FileFacts, reader: Reader, custom: Mapping[str, Any], name: str, wish: Wish = Wish()) -> Forecast:
    """What ``load_model(name, custom_objects=custom)`` of a Keras would do.

    Parameters
    ----------
    file : FileFacts
        The opened file, damaged or not.
    reader : Reader
        Whose ``load_model``.
    custom : mapping
        ``custom_objects``.
    name : str
        The path: Keras chooses its reader by how it ends.
    wish : Wish
        The other options of the call.
    """
    try:
        replay = _load(file, reader, custom, name, wish)
    except RaisedError as error:
        if reader.is_newer_than_known and error.type != "ValueError":
            return Forecast("unknown", reason=f"{reader.name} is newer than the releases that are known here")
        return Forecast("raises", error)
    except CrossedError as crossed:
        if reader.version >= (3, 14, 0):
            return Forecast("raises", RaisedError("ValueError", "Output with path `"), crossed=crossed.layer)
        return Forecast("unknown", reason=crossed.reason, crossed=crossed.layer)
    except UnknownError as unknown:
        return Forecast("unknown", reason=unknown.reason, endless=isinstance(unknown, EndlessError))
    if replay.assumed:
        return Forecast("unknown", reason=replay.assumed[0], is_followed=True)
    return Forecast("loads", is_followed=True)


def parsed(text: bytes | None) -> Any:
    """A stored JSON text; None when there is none, or none that can be read, or one of a length or depth that no model
    has: what it becomes takes many times its bytes."""
    from kwload.meaning.json_text import tree_of

    return tree_of(text, _MOST_BYTES) if text is not None else None


def _load(file: FileFacts, reader: Reader, custom: Mapping[str, Any], name: str, wish: Wish) -> Replay:
    """``load_model`` by the end of the name; the replay when nothing raises."""
    _damaged(file, reader, name)
    replay = Replay(reader, custom) if reader.is_3 else Replay2(reader, custom)
    replay.is_safe = wish.safe_mode
    if not reader.is_3 and reader.version < (2, 12, 0):
        raise UnknownError(f"{reader.name} is older than the releases that are known here (2.12 and newer)")
    folder = file.content == "keras-folder" and reader.is_3 and reader.version >= (3, 4, 0)
    if folder or (name.endswith(".keras") and _is_zip(file)):
        _archive(file, replay, wish)
    elif name.endswith((".h5", ".hdf5")) or not reader.is_3:
        _hdf5(file, replay, wish)
    elif name.endswith(".keras"):
        raise RaisedError("ValueError", "File not found: filepath=")
    else:
        raise RaisedError("ValueError", "File format not supported: filepath=")
    return replay


def _is_zip(file: FileFacts) -> bool:
    return file.content in ("keras", "zip", "npz", "pytorch")


def _damaged(file: FileFacts, reader: Reader, name: str) -> None:
    """What is raised for a file that does not open, or that is none of Keras's."""
    codes = {fault[0] for fault in file.faults}
    if file.content == "hdf5" and codes & {202, 203} and (name.endswith((".h5", ".hdf5")) or not reader.is_3):
        raise RaisedError("OSError", "")
    if codes & {202, 203, 204, 205, 207} or any(600 < code < 700 for code in codes):
        if name.endswith(".keras") and reader.is_3 and (not _is_zip(file) or _has_no_directory(file)):
            raise RaisedError("ValueError", "File not found: filepath=")
        raise UnknownError(DAMAGED)


def _has_no_directory(file: FileFacts) -> bool:
    """Whether a ZIP archive has lost its end, without which ``zipfile.is_zipfile`` takes it for none."""
    return any(fault[0] == 202 and "directory" in fault[2] and "lost" in fault[2] for fault in file.faults)


def with_checksum(foreseen: Forecast, file: FileFacts, reader: Reader, name: str, member: str) -> Forecast:
    """What is foreseen when the checksum of a member turns out to be wrong: Keras 3.8 and newer read the weights whole,
    after the architecture, and Python's ``zipfile`` compares. Older ones read here and there, and may not notice."""
    weights = foreseen.outcome == "loads" or (foreseen.error is not None and foreseen.error.prefix == "A total of ")
    whole = file.content == "keras" and name.endswith(".keras") and reader.is_3 and reader.version >= (3, 8, 0)
    if whole and weights and member == "model.weights.h5":
        return Forecast("raises", RaisedError("BadZipFile", "Bad CRC-32 for file "))
    return foreseen if whole and foreseen.error is not None else Forecast("unknown", reason=DAMAGED)


def _archive(file: FileFacts, replay: Replay, wish: Wish) -> None:
    """``saving_lib.load_model``: config.json, then the weights."""
    if file.config is None:
        raise RaisedError("KeyError", "\"There is no item named 'config.json' in the archive\"")
    config = parsed(file.config)
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise UnknownError("the stored config is no model")
    _constants(config, file.config, replay)
    replay.object(config if wish.compile else {**config, "compile_config": None})
    if file.layout == "unknown" or not file.groups:
        _no_weights(file)
    if any("\\" in group[0] for group in file.groups):  # TF 2.13 on Windows: paths that no Keras looks for
        raise RaisedError("ValueError", "A total of " if replay.reader.is_3 else "Layer '")
    if file.layout == "tf-2.12":
        _gapped(file, replay.reader)
    if _has_third_cell(replay.reader, file.config):
        raise RaisedError("ValueError", "A total of ")
    if _is_unmarked(file):
        raise (
            RaisedError("ValueError", "A total of ")
            if replay.reader.is_3
            else RaisedError("ValueError", "No cast function available.")
        )


def _no_weights(file: FileFacts) -> None:
    """An archive without ``model.weights.h5``."""
    if any(fault[0] == 208 for fault in file.faults):
        raise RaisedError("ValueError", "Object arrays cannot be loaded when allow_pickle=False")


def _gapped(file: FileFacts, reader: Reader) -> None:
    """Weights as TF 2.12 to 2.14 name them: 2.15 and newer find none, Keras 3 all of 2.14, whose numbers have no gaps,
    and of those before the first of each class."""
    if not reader.is_3:
        if reader.version >= (2, 15, 0):
            raise RaisedError("ValueError", "Layer '")
        return
    taken = {path for path, _, _, slots, _ in file.groups if slots}
    for path in taken:
        name, _, count = path.rpartition("_")
        if count.isdecimal() and len(count) < 6 and (f"{name}_{int(count) - 1}" if count != "1" else name) not in taken:
            raise RaisedError("ValueError", "A total of ")


def _is_unmarked(file: FileFacts) -> bool:
    """Whether there are bfloat16 tensors by a writer that does not mark them as such (before 3.0.5, and Keras 2):
    h5py then hands out two bytes without a type."""
    if not any(tensor.dtype == "bfloat16" for tensor in file.tensors):
        return False
    written = number(file.metadata.get("keras_version", ""))
    return written is not None and written < (3, 0, 5)


def _has_third_cell(reader: Reader, config: bytes) -> bool:
    """Keras 3.0 makes a third layer in a `Bidirectional` that it reads from a config, and no file has its weights."""
    if not reader.is_3 or reader.version >= (3, 3, 0) or b'"Bidirectional"' not in config:
        return False
    if reader.version >= (3, 1, 0):
        raise UnknownError("how many cells this Keras makes in a `Bidirectional` was not measured")
    return True


def _hdf5(file: FileFacts, replay: Replay, wish: Wish) -> None:
    """``load_model_from_hdf5``: the attribute ``model_config``, the weights in order, the compilation."""
    if file.content != "hdf5":
        raise RaisedError("OSError", "")
    if file.config is None:
        raise RaisedError("ValueError", "No model config found in the file at ")
    config = parsed(file.config)
    if isinstance(config, list):
        raise RaisedError("TypeError", "`model_from_config` expects a dictionary, not a list.")
    if not isinstance(config, dict):
        raise UnknownError("the stored config is no model")
    replay.is_hdf5 = True
    _constants(config, file.config, replay)
    replay.legacy_layer(config)
    replay.dropped = _other_axes(config, replay)
    if replay.reader.is_3:
        _shifted(config)
    _legacy_weights(file, replay, config)
    if file.training is not None and wish.compile:
        training = parsed(file.training)
        if not isinstance(training, dict):
            raise UnknownError("the stored training config is no object")
        try:
            replay.training_config(training)
        except RaisedError as error:
            error.is_late = not replay.assumed
            raise


def _legacy_weights(file: FileFacts, replay: Replay, config: Config) -> None:
    """``load_weights_from_hdf5_group`` as far as the file alone decides."""
    absent = _core.GROUP_FLAGS["absent"]
    if any(group[2] & absent for group in file.groups):
        raise RaisedError("KeyError", "")
    if _has_third_cell(replay.reader, file.config or b""):
        raise RaisedError("ValueError", "Weight count mismatch for layer #")
    if replay.reader.is_3 and b'"QuantizedFloat8DTypePolicy"' in (file.config or b""):
        # Made at once the layer has its scales first; quantized after it was built, as it was saved, its kernel.
        raise RaisedError("ValueError", "Shape mismatch in layer #")
    if replay.reader.is_3:
        replay.axis_weights()
    if any(tensor.dtype == "bfloat16" for tensor in file.tensors):
        raise RaisedError("ValueError", "")
    if any(tensor.fault is not None for tensor in file.tensors):
        raise UnknownError("a tensor of the file cannot be read")


def _constants(config: Config, text: bytes, replay: Replay) -> None:
    """Which layers of a given mean cannot be built; the shapes are looked for when there is such a layer."""
    if b'"Normalization"' in text and b'"mean"' in text:
        replay.misfits = misfits(config, replay.reader, is_hdf5=replay.is_hdf5)


# ---- a Sequential without InputLayer ----

_KEEP_RANK: Final = frozenset(
    (
        "Dense",
        "Dropout",
        "Activation",
        "ReLU",
        "LeakyReLU",
        "ELU",
        "Softmax",
        "GaussianNoise",
        "GaussianDropout",
        "AlphaDropout",
        "ActivityRegularization",
        "Masking",
    )
)
_RECURRENT: Final = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN"})


def first_shape(config: Any) -> list[Any] | None:
    """The ``batch_input_shape`` of the first layer of an ``.h5`` Sequential that records no InputLayer (standalone
    Keras up to 2.3): Keras 3 takes it for the shape without the batch, and gives the model one axis too many."""
    inner = config.get("config") if isinstance(config, dict) and config.get("class_name") == "Sequential" else None
    layers = inner.get("layers") if isinstance(inner, dict) else None
    first = layers[0] if isinstance(layers, list) and layers else None
    if not isinstance(first, dict) or "module" in first or first.get("class_name") == "InputLayer":
        return None
    keys = first.get("config")
    shape = keys.get("batch_input_shape") if isinstance(keys, dict) else None
    plain = isinstance(shape, list) and len(shape) < 9 and all(size is None or type(size) is int for size in shape)
    return shape if plain else None


def lost_axes(config: Any, reader: Reader) -> list[tuple[str, str, Any]]:
    """Class, name and ``axis`` of the layers of an ``.h5`` file whose ``axis`` Keras 3 loses, and takes another for."""
    replay = Replay(reader, {})
    with contextlib.suppress(RaisedError, UnknownError):
        if isinstance(config, dict):
            replay.legacy_layer(config)
    return _other_axes(config, replay)


def _other_axes(config: Any, replay: Replay) -> list[tuple[str, str, Any]]:
    """Of the layers whose ``axis`` is lost those of which it is not, or may not be, the last axis."""
    if not replay.dropped:
        return []
    from kwload.spec.architecture.last import with_last_axis
    from kwload.spec.architecture.target import release

    same = with_last_axis(config, release(replay.reader.flavour, replay.reader.version))
    return [item for item in replay.dropped if isinstance(item[2], list) or item not in same]


def _shifted(config: Config) -> None:
    """Walks the rank through a model whose input has one axis too many, as far as that decides what is raised."""
    shape = first_shape(config)
    if shape is None:
        return
    rank = len(shape) + 1
    for layer in config["config"]["layers"]:
        name, keys = layer.get("class_name"), layer.get("config")
        keys = keys if isinstance(keys, dict) else {}
        if name == "Embedding":
            rank += 1
        elif name in _RECURRENT and rank != 3:
            raise RaisedError("ValueError", "Input 0 ")
        elif name in ("Conv1D", "Conv2D", "Conv3D"):
            if keys.get("data_format") == "channels_first":
                raise RaisedError("TypeError", "")
            raise RaisedError(
                "ValueError", "Kernel shape must have the same length as input, but received kernel of shape "
            )
        elif name not in _KEEP_RANK:
            raise UnknownError("Keras 3 gives the model one axis too many")
