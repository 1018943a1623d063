"""What TensorFlow says of checkpoints and SavedModels, which kwload recognises and does not read yet."""

from __future__ import annotations

from typing import Final

from kwload.explaining.match import Cause, Text
from kwload.explaining.texts_files import AGAIN, INSPECT

_LIST: Final = (
    'python -c "import tensorflow as tf, sys; print(*tf.train.list_variables(sys.argv[1]), sep=chr(10))" PREFIX'
)
_PREFIX: Final = Cause(
    "KW208",
    "One file of a checkpoint was given (`.data-00000-of-00001`, `.index`, `.meta`, `checkpoint`), or a packed "
    "archive. TensorFlow wants the prefix: `ck` for `ck.index`.",
    (_LIST,),
)
_HDF5: Final = Cause(
    "KW206",
    "It is a Keras HDF5 file under a name without `.h5`, which TensorFlow therefore takes for a checkpoint.",
    (INSPECT, "rename it to end in `.h5` (or `.weights.h5`, as `kwload inspect` says)"),
)
_ROOT: Final = Cause(
    "KW208",
    "The object under which it was saved has another name: `Checkpoint(model=…)` saved, `Checkpoint(net=…)` "
    "restores. Then nothing at all is restored, and only a warning says so.",
    (_LIST, "tf.train.Checkpoint(…).restore(prefix).assert_existing_objects_matched()"),
)
_CHANGED: Final = Cause("KW208", "The model was changed after the checkpoint was written.", (_LIST,))
_ABSENT: Final = Cause(
    "KW101",
    "Nothing is at this prefix: a typo, another current directory, or `.index` or `.data-…` was not copied.",
    ("ls -l {file}*", _LIST),
)
_NOTE: Final = " kwload does not read TensorFlow checkpoints yet."

TEXTS: Final = (
    Text(
        "not an sstable (bad magic number)",
        "",
        "TensorFlow",
        "The file is no index of a checkpoint." + _NOTE,
        (_PREFIX, _HDF5),
    ),
    Text(
        "Failed to find any matching files for",
        "",
        "TensorFlow",
        "There is no checkpoint with this prefix. (tf_keras takes every name that does not end in `.h5`, `.hdf5` or "
        "`.keras` for one.)",
        (_ABSENT, _PREFIX),
    ),
    Text(
        "Read less bytes than requested",
        "",
        "TensorFlow",
        "The data file of the checkpoint is shorter than its index says." + _NOTE,
        (Cause("KW202", "A download, copy or save was interrupted.", (AGAIN,)),),
    ),
    Text(
        "Checksum does not match: stored",
        "",
        "TensorFlow",
        "The bytes of a tensor in the checkpoint are not those that were written." + _NOTE,
        (Cause("KW205", "The data file was damaged, or comes from another save than the index.", (AGAIN,)),),
    ),
    Text(
        "Received incompatible tensor with shape {found:s} when attempting to restore variable",
        " with shape {wanted:s} and name {variable}.",
        "TensorFlow",
        "`{variable}` has the shape {wanted} in the model and {found} in the checkpoint." + _NOTE,
        (
            Cause(
                "KW208", "A number of units, filters or classes was changed after the checkpoint was written.", (_LIST,)
            ),
            Cause("KW208", "Layers were added or removed, and attributes of the model shifted.", (_LIST,)),
        ),
    ),
    Text(
        "that were not bound to checkpointed values",
        "",
        "TensorFlow",
        "Variables of the model found nothing in the checkpoint." + _NOTE,
        (_ROOT, _CHANGED),
    ),
    Text(
        "Unresolved object in checkpoint",
        "",
        "TensorFlow",
        "The checkpoint has values that no variable of the model takes." + _NOTE,
        (_ROOT, _CHANGED),
        3,
    ),
    Text(
        "Value in checkpoint could not be found in the restored object",
        "",
        "TensorFlow",
        "The checkpoint has values that no variable of the model takes." + _NOTE,
        (
            _ROOT,
            Cause(
                "KW316",
                "They are the state of an optimizer or metric: harmless for inference.",
                ("….restore(prefix).expect_partial()",),
            ),
            _CHANGED,
        ),
        3,
    ),
    Text(
        "Key {key} not found in checkpoint",
        "",
        "TensorFlow",
        "The checkpoint has no `{key}`." + _NOTE,
        (_CHANGED, _ROOT),
    ),
    Text(
        "Could not find variable",
        " {variable}. This could mean that the variable has been deleted",
        "TensorFlow",
        "The SavedModel was saved without `{variable}`, which it uses.",
        (
            Cause(
                "KW317",
                "A Keras 3 layer inside a `tf.Module` is not tracked, and not saved.",
                ('model.export("folder")',),
            ),
        ),
        4,
    ),
    Text(
        "SavedModel file does not exist at",
        "",
        "TensorFlow",
        "There is no SavedModel at this path.",
        (_ABSENT, _HDF5),
    ),
)
