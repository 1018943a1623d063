"""What ``load_weights`` and ``save_weights`` of Keras 1 to 3 say when file and model do not fit."""

from __future__ import annotations

from typing import Final

from kwload.explaining.causes_load import (
    BUILD,
    NESTED,
    NEW_NAMED_LEGACY,
    OLD_WRITER,
    RESET_AFTER,
    UNITS,
    axes,
    layers,
    layers_means,
    shapes,
    shapes_means,
    total,
    total_causes,
    variables,
    variables_means,
    weights,
    weights_means,
    wrong_format,
)
from kwload.explaining.match import Cause, Text
from kwload.explaining.texts_files import CHECK, INSPECT

_FROM_KERAS: Final = "Keras 3 or tf_keras"
_LEGACY_KERAS: Final = "Keras, reading an older .h5 file"

TEXTS: Final = (
    Text("A total of {count:d} objects could not be loaded", ".", "Keras 3", total, total_causes, 1),
    Text(
        "Layer '{layer}' expected {wanted:d} variables, but received",
        " {found:d} variables during loading. Expected: [{names:l}]",
        _FROM_KERAS,
        variables_means,
        variables,
    ),
    Text(
        "Layer '{layer}' was never built and thus it doesn't have any variables",
        ". However the weights file lists {found:d} variables for this layer.",
        "Keras 3",
        "`{layer}` has no variables yet, and the file has weights for it.",
        (
            Cause(
                "KW311",
                "The layer is made in `__init__` and first built in `call`: its parent has no `build` method that "
                "builds it.",
                (
                    "call the model once on data, then load",
                    "in `build` of the parent: self.layer.build(input_shape)",
                    CHECK,
                ),
            ),
        ),
    ),
    Text(
        "The shape of the target variable and the shape of the target value in `variable.assign(value)` must match",
        ". variable.shape={wanted:s}, Received: value.shape={found:s}. Target variable: <Variable path={variable},",
        "Keras 3",
        shapes_means,
        shapes,
    ),
    Text(
        "Shape mismatch in layer #{k:d}",
        " (named {layer}) for weight {variable}. Weight expects shape {wanted:s}. Received saved weight with shape "
        "{found:s}",
        _LEGACY_KERAS,
        shapes_means,
        shapes,
    ),
    Text(
        "Cannot assign value to variable '{variable}': Shape mismatch",
        ".The variable shape {wanted:s}, and the assigned value shape {found:s} are incompatible",
        "TensorFlow",
        shapes_means,
        shapes,
    ),
    Text(
        "Cannot assign to variable {variable} due to variable shape {wanted:s} and value shape",
        " {found:s}",
        "TensorFlow",
        shapes_means,
        shapes,
    ),
    Text(
        "in both shapes must be equal, but are {a:d} and {b:d}",
        ". Shapes are {wanted:s} and {found:s}",
        "TensorFlow 1",
        "One number differs between a variable and its tensor in the file: {a} and {b}.",
        shapes,
    ),
    Text(
        "Shape mismatch in top-level model",
        "",
        _LEGACY_KERAS,
        "A variable of the model itself has another shape.",
        (UNITS,),
        4,
    ),
    Text(
        "Shape mismatch in model for top-level weight",
        "",
        _LEGACY_KERAS,
        "A variable of the model itself has another shape.",
        (UNITS,),
        4,
    ),
    Text(
        "Layer count mismatch when loading weights",
        " from file. Model expected {wanted:d} layers, found {found:d} saved layers.",
        _LEGACY_KERAS,
        layers_means,
        layers,
    ),
    Text(
        "You are trying to load a weight file containing {found:d} layers",
        " into a model with {wanted:d} layers",
        "Keras 1 or 2",
        layers_means,
        layers,
    ),
    Text(
        "Weight count mismatch for layer #{k:d}",
        " (named {layer:n} in the current model, {saved:n} in the save file). Layer expects {wanted:d} weight(s). "
        "Received {found:d}",
        _LEGACY_KERAS,
        weights_means,
        weights,
    ),
    Text(
        "Weight count mismatch for layer #{k:d} (named {layer:n}). Layer expects",
        " {wanted:d} weight(s). Received {found:d}",
        _LEGACY_KERAS,
        weights_means,
        weights,
        6,
    ),
    Text(
        "Layer #{k:d} (named '{layer}' in the current model) was found to correspond to layer",
        " {saved} in the save file. However the new layer {again} expects {wanted:d} weights, but the saved weights "
        "have {found:d} elements",
        "Keras 1 or 2",
        weights_means,
        weights,
    ),
    Text(
        "(named '{layer}') expects {wanted:d} weight(s), but the saved weights",
        " have {found:d}",
        "Keras 1 or 2",
        weights_means,
        weights,
    ),
    Text(
        "Weight count mismatch for top-level weights",
        "",
        _LEGACY_KERAS,
        "The model itself has another number of variables of its own than the file has.",
        (
            Cause(
                "KW306", "The model, not one of its layers, has variables of its own, and they were changed.", (CHECK,)
            ),
            OLD_WRITER,
        ),
    ),
    Text(
        "axes don't match array",
        "",
        "NumPy, for Keras 2",
        "Keras 2 transposes a kernel, and this one has other axes.",
        axes,
    ),
    Text(
        "You are loading weights into a model that has not yet been built",
        "",
        "Keras 3",
        "The model has no variables yet.",
        (BUILD,),
    ),
    Text(
        "You are saving a model that has not yet been built",
        "",
        "Keras 3",
        "The model has no variables yet, so there is nothing to save.",
        (BUILD,),
    ),
    Text(
        "into a subclassed Model which has not created its variables yet",
        "",
        "Keras 2 or tf_keras",
        "The model has no variables yet.",
        (BUILD,),
    ),
    Text(
        "have not yet been created. Weights are created when the model is first called",
        "",
        "Keras 2 or tf_keras",
        "The model has no variables yet, so there is nothing to save or load.",
        (BUILD,),
    ),
    Text(
        "`by_name` only supports loading legacy '.h5' or '.hdf5' files",
        ". Received:",
        "Keras 3",
        "Keras matches by name in files of the older `.h5` layout only.",
        (
            Cause(
                "KW320",
                "The file is in the Keras 3 layout, where Keras knows layers by their place.",
                (
                    "kwload.load_weights(model, {path}, by_name=True)  # uses the names that Keras 3.6 and newer store",
                    CHECK,
                ),
            ),
            NEW_NAMED_LEGACY,
        ),
    ),
    Text(
        "Invalid keyword arguments: {",
        "'by_name'",
        "Keras 3",
        "Keras takes this option for files of the older `.h5` layout only.",
        (
            Cause(
                "KW320",
                "An option such as `by_name` was given with a file of the Keras 3 layout.",
                ("kwload.load_weights(model, {path}, by_name=True)", CHECK),
            ),
        ),
    ),
    Text(
        "skip_mismatch can only be set to True when by_name is True",
        "",
        "Keras 2 or tf_keras",
        "This Keras leaves out what does not fit only when it matches by name.",
        (
            Cause(
                "KW320",
                "`skip_mismatch=True` was given without `by_name=True`.",
                ("kwload.load_weights(model, {path}, skip_mismatch=True)  # leaves out a layer whole", CHECK),
            ),
        ),
    ),
    Text(
        "GRU(reset_after={a:w}) is not compatible with GRU(reset_after={b:w})",
        "",
        "Keras 2 or tf_keras",
        "The GRU in the file and the one in the model differ in `reset_after`.",
        (RESET_AFTER,),
    ),
    Text(
        "GRU(reset_after={a:w}) is not compatible with",
        " CuDNNGRU",
        "Keras 2 or tf_keras",
        "The GRU in the file and the one in the model differ in `reset_after`.",
        (RESET_AFTER,),
        4,
    ),
    Text(
        "CuDNNGRU is not compatible with GRU(reset_after=False)",
        "",
        "Keras 2 or tf_keras",
        "One side is a CuDNNGRU, which computes what `GRU(reset_after=True)` computes.",
        (RESET_AFTER,),
    ),
    Text(
        "Invalid bias shape:",
        " {found:s}",
        "Keras 2 or tf_keras",
        "The bias of a GRU or LSTM in the file has the shape {found}, which fits neither the plain layer nor the "
        "CuDNN one.",
        (UNITS, RESET_AFTER, Cause("KW405", "A recurrent layer of Keras 1.", (INSPECT,))),
    ),
    Text(
        "Skipping variable loading for optimizer '{name}', because it has {wanted:d} variables",
        " whereas the saved optimizer has {found:d} variables",
        "Keras 3",
        "A warning: the weights are loaded, the state of the optimizer `{name}` is not.",
        (
            Cause(
                "KW316",
                "Another optimizer, other frozen layers, or a model that was not compiled or fitted when it was "
                "saved. Harmless for inference; a training that is continued starts with a fresh optimizer.",
                (CHECK,),
            ),
        ),
        2,
    ),
    Text(
        "Error in loading the saved optimizer state",
        ". As a result, your model is starting with a freshly initialized optimizer.",
        "Keras 2",
        "A warning: the weights are loaded, the state of the optimizer is not.",
        (
            Cause(
                "KW316", "Harmless for inference; a training that is continued starts with a fresh optimizer.", (CHECK,)
            ),
        ),
        2,
    ),
    Text(
        "restore a checkpoint from a legacy Keras optimizer into a v2.11+ Optimizer",
        "",
        "Keras 2",
        "The checkpoint was written with an optimizer of TensorFlow before 2.11.",
        (
            Cause(
                "KW316",
                "Only the state of the optimizer is concerned.",
                ("model.compile(tf.keras.optimizers.legacy.Adam(…))  # to go on with the training",),
            ),
        ),
        4,
    ),
    Text(
        "Skipping nested container at '{place}'",
        ": no matching group found in the saved file",
        "Keras 3.15",
        "A warning: the file has nothing for the layers at `{place}`; they stay as initialised.",
        (NESTED, Cause(None, "The list holds no layers with weights: then nothing is lost.", (CHECK,))),
        3,
    ),
    Text(
        "File format not supported: filepath=",
        "",
        "Keras 3",
        "Keras goes by the end of the name, and does not know this one.",
        wrong_format,
    ),
    Text(
        "The filename must end in `.weights.h5`",
        ". Received: filepath=",
        "Keras 3",
        "Keras 3 saves weights only under names that end in `.weights.h5`.",
        (Cause(None, "The name is one of Keras 2.", ('model.save_weights("model.weights.h5")',)),),
    ),
    Text(
        "The filepath provided must end in `.keras`",
        "",
        "Keras 3",
        "Keras 3 saves whole models under `.keras`, and wants the same of `ModelCheckpoint`.",
        (
            Cause(
                None,
                "The name is one of Keras 2.",
                ('model.save("model.keras")', 'ModelCheckpoint("best.weights.h5", save_weights_only=True)'),
            ),
        ),
    ),
    Text(
        "maximum recursion depth exceeded",
        "",
        "Python",
        "Something is nested deeper than Python follows.",
        (
            Cause("KW605", "Layers of the model contain each other, or a group of the file contains itself.", (CHECK,)),
            Cause(
                None,
                "A very deep model: `Sequential` with about a thousand layers.",
                ("import sys; sys.setrecursionlimit(10_000)",),
            ),
        ),
        3,
    ),
    Text(
        "Save or restore weights that is not an instance of `tf.Variable` is not supported in h5",
        "",
        "tf_keras",
        "A layer keeps state that the older `.h5` layout cannot hold (a lookup table, for example).",
        (Cause("KW406", "The layer's state is no `tf.Variable`.", ('model.save("model.keras")', CHECK)),),
    ),
    *(
        Text(
            head,
            rest,
            "Keras 3",
            "Keras refuses the file: " + what,
            (Cause(code, why, (INSPECT, "do not load this file unless you know who made it")),),
        )
        for head, rest, what, code, why in (
            (
                "Not allowed: H5 file with ExternalLink",
                "",
                "it points at another file.",
                "KW601",
                "A link in the file leads to another file on this machine.",
            ),
            (
                "Not allowed: H5 file with SoftLink",
                "",
                "it holds a link where a tensor should be.",
                "KW601",
                "A name in the file leads to another place.",
            ),
            (
                "Not allowed: H5 file with external Dataset",
                "",
                "it keeps values in another file.",
                "KW602",
                "A tensor's values are in another file on this machine.",
            ),
            (
                "Not allowed: H5 file with virtual Dataset",
                "",
                "a tensor is put together from other files.",
                "KW603",
                "A tensor is put together from parts of other files.",
            ),
            (
                "refusing to load a potential decompression/shape bomb",
                "",
                "a tensor declares far more than the file holds.",
                "KW604",
                "A small file declares gigabytes, to exhaust the memory.",
            ),
            (
                "refusing to load a potential decompression bomb",
                "",
                "a member of the archive unpacks to far more than it holds.",
                "KW607",
                "A small archive unpacks to gigabytes, to exhaust the memory.",
            ),
            (
                "refusing to extract a potential decompression bomb",
                "",
                "a member of the archive unpacks to far more than it holds.",
                "KW607",
                "A small archive unpacks to gigabytes, to exhaust the memory.",
            ),
            (
                "Invalid path in H5 file",
                "",
                "a name in it has an empty or forbidden part.",
                "KW204",
                "A weight's name has `//` in it, or the file was made by hand.",
            ),
        )
    ),
    Text(
        "Not allowed: H5 file with ",
        "",
        "Keras 3",
        "Keras refuses the file: it refers to something outside itself.",
        (Cause("KW601", "The file holds a link, or values that lie elsewhere.", (INSPECT,)),),
        4,
    ),
    Text(
        "Invalid H5 file, expected Group but received",
        "",
        "Keras 3",
        "Keras looks for a group of layers and finds something else.",
        (
            Cause("KW206", "The file is in another layout than its name says, or was made by hand.", (INSPECT, CHECK)),
            Cause("KW601", "A link stands where the group should be.", (INSPECT,)),
        ),
    ),
    Text(
        ">: '{key:d}' List of objects that could not be loaded",
        "",
        "Keras 3",
        "A layer has as many weights in the file as it wants, but none with the key `{key}`.",
        (Cause("KW321", "The layer's class was changed, or the file by hand.", (CHECK,)),),
    ),
    Text(
        "KeyError: 'layer_names'",
        "",
        "h5py",
        "The file has no list of layers, which Keras writes into an older `.h5` file.",
        (
            NEW_NAMED_LEGACY,
            Cause("KW212", "Keras did not write it, or the list was lost.", (INSPECT,)),
        ),
    ),
    Text(
        "were not initialized from the model checkpoint",
        "",
        "Hugging Face",
        "A warning: the file has no weights for some layers, which start at random.",
        (
            Cause(
                "KW312", "All names differ by a prefix, such as `tf_bert_model/`, so none is found.", (INSPECT, CHECK)
            ),
            Cause("KW301", "The head is new and to be trained: then this is expected.", (CHECK,)),
        ),
        3,
    ),
    Text(
        "Some layers from the model checkpoint",
        "",
        "Hugging Face",
        "A warning: the file has layers that this model has not.",
        (
            Cause(
                "KW312", "All names differ by a prefix, such as `tf_bert_model/`, so none is used.", (INSPECT, CHECK)
            ),
            Cause("KW302", "The file belongs to a model with another head: then this is expected.", (CHECK,)),
        ),
        2,
    ),
)
