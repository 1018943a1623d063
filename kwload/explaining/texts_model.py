"""What ``load_model`` says of a stored configuration: the weights of such a file are nearly always fine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kwload.explaining.match import Cause, Facts, Text
from kwload.explaining.texts_files import CHECK, CHECK_MODEL, INSPECT, NAMED_OTHERWISE, NO_FILE, NO_ZIP

_REBUILD: Final = (
    CHECK_MODEL,
    "build the model in code, then kwload.load_weights(model, {path})  # takes the weights, leaves the config",
)
NEWER: Final = Cause(
    "KW405", "A newer Keras wrote the file; this one does not know all it says.", ("pip install -U keras", *_REBUILD)
)
KERAS_2: Final = Cause(
    "KW405",
    "Keras 2 (tf.keras before TensorFlow 2.16, or tf_keras) wrote the file, Keras 3 reads it. The weights are fine, "
    "the config is not.",
    (*_REBUILD, "or load it with tf_keras: `pip install tf_keras`, `TF_USE_LEGACY_KERAS=1`"),
)
KERAS_3: Final = Cause(
    "KW405",
    "Keras 3 wrote the file, Keras 2 (tf.keras before TensorFlow 2.16, or tf_keras) reads it. The weights are fine, "
    "the config is not.",
    ("pip install -U keras  # and `import keras`, not `tf_keras`", *_REBUILD),
)


def custom(name: str = "Name") -> Cause:
    """A class or function of the user's own that is not known; *name* when the text says it."""
    name = name if name.isidentifier() else "Name"
    return Cause(
        "KW402",
        "A layer, loss or function of your own is not known where the file is loaded.",
        (
            CHECK_MODEL,
            f'keras.models.load_model({{path}}, custom_objects={{"{name}": {name}}})',
            '@keras.saving.register_keras_serializable(package="My")  # over the class, and import it before loading',
        ),
    )


CUSTOM: Final = custom()
CHANGED: Final = Cause(
    "KW403",
    "The constructor of a class of your own no longer takes what `get_config` stored when the file was saved.",
    ("give the parameter back, or take `**kwargs` and drop it", *_REBUILD),
)
WEIGHTS_ONLY: Final = Cause(
    "KW209",
    "The file holds weights only: `save_weights` or `ModelCheckpoint(save_weights_only=True)` wrote it (TensorFlow "
    "2.4 set that option by itself for subclassed models).",
    (INSPECT, *_REBUILD),
)
_NEW_KEYS: Final = ("quantization_config", "input_axes", "output_axes", "optional", "renorm", "use_gate", "DTypePolicy")
_OLD_KEYS: Final = (
    "time_major",
    "'groups'",
    "batch_input_shape",
    "input_length",
    "query_shape",
    "implementation",
    "'ragged'",
    "interpolation",
)


def _unrecognized(facts: Facts) -> Sequence[Cause]:
    near = facts.paste.lower[facts.paste.lower.rfind("keywordargument") :][:400]
    if "batch_shape" in near and "batch_input_shape" not in near:
        return [KERAS_3, CHANGED]
    if any(key.lower() in near for key in _NEW_KEYS):
        return [NEWER, KERAS_3]
    if any(key.lower() in near for key in _OLD_KEYS):
        return [KERAS_2, CHANGED]
    return [CHANGED, KERAS_2, NEWER]


_BUILT_IN: Final = (
    "TFOpLambda",
    "SlicingOpLambda",
    "Functional",
    "CuDNNLSTM",
    "CuDNNGRU",
    "BatchNormalizationV1",
    "LocallyConnected1D",
    "LocallyConnected2D",
    "ThresholdedReLU",
    "ClassMethod",
)


def _unknown(facts: Facts) -> Sequence[Cause]:
    name = facts.get("name", "")
    if name in _BUILT_IN:
        return [KERAS_2, CUSTOM]
    if name in ("DTypePolicy", "InputLayer"):
        return [NEWER, KERAS_3]
    return [custom(name), KERAS_2]


def _unknown_means(facts: Facts) -> str:
    if facts.get("name") in _BUILT_IN:
        return "The config names `{name}`, which is Keras's own in version 2 and not known here."
    return (
        "The config names `{name}`, which is not known here."
        if "name" in facts
        else "The config names something unknown."
    )


def _not_located(facts: Facts) -> Sequence[Cause]:
    if facts.get("name") in ("mse", "mae", "mape", "msle", "kld", "cosine"):
        return [_SHORT_NAME, CUSTOM]
    if facts.says("tf_keras.src", "keras.src.engine", "keras.engine"):
        return [KERAS_2, CUSTOM]
    return _unknown(facts)


def _not_interpreted(facts: Facts) -> Sequence[Cause]:
    return [KERAS_2, CUSTOM] if facts.says("'module': 'keras.", "'module': 'tf_keras") else [CUSTOM, KERAS_2]


def _not_deserialized(facts: Facts) -> Sequence[Cause]:
    if facts.says("'module': 'tf_keras", "keras.src.engine"):
        return [KERAS_2, CUSTOM]
    if facts.says("'registered_name': 'Custom>", "'module': None", "'module': '__main__'"):
        return [CUSTOM, CHANGED, KERAS_2]
    return [CUSTOM, CHANGED, NEWER]


def _no_such(facts: Facts) -> Sequence[Cause]:
    return [NO_ZIP, NO_FILE] if facts.says("not a zip file", "BadZipFile") else [NO_FILE, NO_ZIP]


_COMPILED: Final = Cause(
    "KW405",
    "Keras 2 wrote the compile settings (optimizer, loss), which Keras 3 reads otherwise. Architecture and weights "
    "are not concerned.",
    ("keras.models.load_model({path}, compile=False)  # then compile", *_REBUILD),
)
_CONSTRUCTOR: Final = Cause(
    "KW403",
    "`get_config` of a class of your own does not return all that its constructor wants.",
    ("return every argument in `get_config`, and save again; or give it a default", *_REBUILD),
)
_SHORT_NAME: Final = Cause(
    "KW405",
    "The model was compiled with a short name such as `mse`, which this Keras does not find again in an `.h5` file.",
    (
        "keras.models.load_model({path}, compile=False)  # then compile",
        'compile with "mean_squared_error" before saving',
    ),
)

TEXTS: Final = (
    Text(
        "File not found: filepath=",
        "",
        "Keras 3",
        "There is no such file, or it is no `.keras` archive: Keras says the same of both.",
        _no_such,
    ),
    Text(
        "No file or directory found at",
        "",
        "tf_keras",
        "There is nothing at this path.",
        (NO_FILE,),
    ),
    Text(
        "No model config found in the file",
        " at",
        "Keras",
        "The file holds no architecture.",
        (WEIGHTS_ONLY, NAMED_OTHERWISE),
    ),
    Text(
        "No model found in config",
        " file",
        "Keras 1 or 2",
        "The file holds no architecture.",
        (WEIGHTS_ONLY, NAMED_OTHERWISE),
    ),
    Text("has no 'model_config' data", "", "Netron", "The file holds no architecture.", (WEIGHTS_ONLY,)),
    *(
        Text(f"Unknown {kind}:", " {name:e}", "Keras", _unknown_means, _unknown)
        for kind in (
            "layer",
            "initializer",
            "regularizer",
            "constraint",
            "activation function",
            "loss function",
            "metric function",
            "optimizer",
            "dtype policy",
            "object",
        )
    ),
    Text(
        "Unrecognized keyword arguments passed to {layer}:",
        " {'{key}'",
        "Keras 3",
        "The config of `{layer}` has the key `{key}`, which this Keras does not take.",
        _unrecognized,
    ),
    Text(
        "Unrecognized keyword arguments:",
        "",
        "Keras 2",
        "A config has a key that this Keras does not take.",
        _unrecognized,
        4,
    ),
    Text(
        "__init__() got an unexpected keyword argument",
        " '{key}'",
        "Python",
        "A class does not take `{key}`, which its stored config has.",
        _unrecognized,
        3,
    ),
    Text(
        "Could not locate class '{name}'",
        "",
        "Keras",
        "The config names the class `{name}`, which is not known here.",
        _not_located,
    ),
    Text(
        "Could not locate function '{name}'",
        "",
        "Keras",
        "The config names the function `{name}`, which is not known here.",
        _not_located,
    ),
    Text(
        "Could not deserialize class '{name}' because its parent module {module} cannot be imported",
        "",
        "Keras 3",
        "The config says that `{name}` is in the module {module}, which is not here.",
        lambda facts: (
            [KERAS_2, CUSTOM]
            if facts.get("module", "").startswith(("keras.", "tf_keras", "tensorflow"))
            else [CUSTOM, KERAS_2]
        ),
    ),
    Text(
        "because it is not a KerasSaveable subclass",
        "",
        "Keras 3",
        "A loss or metric in the stored compile settings is not found.",
        (_SHORT_NAME, CUSTOM),
    ),
    Text(
        "could not be deserialized properly",
        ". Please ensure that components",
        "Keras 3",
        "Some object of the stored config could not be made; the true reason is at the very end of the message.",
        _not_deserialized,
        1,
    ),
    Text(
        "Error when deserializing class '{name}'",
        " using config=",
        "Keras",
        "An object of class `{name}` could not be made from its stored config.",
        (CHANGED, KERAS_2, NEWER),
        1,
    ),
    Text(
        "'str' object has no attribute 'quantization_mode'",
        "",
        "Keras 3",
        "A dtype policy in the config is in the words of Keras 2.",
        (KERAS_2,),
    ),
    Text(
        "Shapes used to initialize variables must be fully-defined",
        "",
        "Keras 3",
        "A layer was made without knowing its input shape.",
        (
            Cause(
                "KW405",
                "A Sequential of Keras before 2.4, whose config has no input layer.",
                _REBUILD,
            ),
            Cause("KW311", "A dimension other than the batch is None where the layer needs a number.", (CHECK,)),
        ),
    ),
    *(
        Text(
            head,
            "",
            "Keras",
            "The model has a layer that stores code (`Lambda`); loading the model would run it.",
            (
                Cause(
                    None,
                    "The file is as it was saved. Its weights can be loaded without running anything.",
                    (
                        *_REBUILD,
                        "keras.models.load_model({path}, safe_mode=False)  # only if you know who made the file",
                    ),
                ),
            ),
        )
        for head in ("Requested the deserialization of a", "of this `Lambda` layer is a Python lambda")
    ),
    Text(
        "Argument(s) not recognized:",
        " {'{key}'",
        "Keras 3",
        "An optimizer in the stored compile settings has the key `{key}`, which this Keras does not take.",
        (_COMPILED,),
    ),
    Text(
        "Invalid value for argument `reduction`",
        "",
        "Keras 3",
        "A loss in the stored compile settings has a `reduction` of Keras 2.",
        (_COMPILED,),
    ),
    Text(
        "Argument `name` must be a string and cannot contain character `/`.",
        " Received: name={name} ",
        "Keras 3",
        "A layer or model has a `/` in its name, which Keras 2 took and Keras 3 does not.",
        (KERAS_2,),
    ),
    Text(
        "Only input tensors may be passed as positional arguments.",
        "",
        "Keras 3",
        "A number stands where a layer takes tensors alone.",
        (
            Cause(
                "KW406",
                "An operation of an `.h5` file (`x + 1`), which `load_model` makes a layer of. The weights are fine.",
                _REBUILD,
            ),
        ),
    ),
    Text(
        "__init__() missing {count:d} required positional argument",
        "",
        "Python",
        "A class wants an argument that its stored config has not.",
        (_CONSTRUCTOR, KERAS_2),
        3,
    ),
    Text(
        "Cannot deserialize object of type",
        " '{name}'",
        "Keras",
        "The config names `{name}`, which is not known here.",
        _unknown,
    ),
    *(
        Text(
            f"Could not interpret {kind} identifier:",
            "",
            "Keras",
            f"The config names an {kind} that is not known here.",
            _not_interpreted,
        )
        for kind in ("initializer", "activation function", "optimizer")
    ),
    *(
        Text(
            f"Could not interpret {kind} identifier:",
            "",
            "Keras",
            f"The config names a {kind} that is not known here.",
            _not_interpreted,
        )
        for kind in ("regularizer", "constraint", "loss", "metric")
    ),
    *(
        Text(
            head,
            "",
            "Keras",
            "The config of a `Sequential` is a bare list of layers.",
            (Cause("KW405", "Keras before 2.2.3 wrote the file.", _REBUILD),),
        )
        for head in (
            "pop expected at most 1 argument, got 2",
            "`model_from_config` expects a dictionary, not a list",
            "A Sequential model configuration must be",
        )
    ),
    Text(
        "Expected object to be an instance of `KerasSaveable`",
        "",
        "Keras 3",
        "An object of tf_keras, or of an older Keras, was handed to Keras 3.",
        (KERAS_2, Cause("KW405", "`keras` and `tf_keras` (or `tf.keras`) are mixed in one program.", ("pip list",))),
    ),
    *(
        Text(
            head,
            "",
            "Keras 3.0",
            "Keras 3.0 does not know what to make of a class in the config.",
            (KERAS_2, CUSTOM),
        )
        for head in (
            "cannot access local variable 'obj_type'",
            "local variable 'obj_type' referenced before assignment",
        )
    ),
    Text(
        "Kernel shape must have the same length as input, but received kernel of shape",
        "",
        "Keras 3",
        "A convolution is rebuilt with an input of another number of axes.",
        (Cause("KW405", "The model is rebuilt from a config of another Keras version.", _REBUILD),),
        4,
    ),
    Text(
        "Layer '{layer}' expected {wanted:d} input(s)",
        ". Received {found:d} instead",
        "Keras 3",
        "`{layer}` is called with {found} inputs instead of {wanted} when the model is rebuilt from its config.",
        (
            Cause(
                "KW405",
                "Keras 3.4 and some later versions rebuild a model inside a model wrongly from files of Keras 2. The "
                "weights are fine.",
                _REBUILD,
            ),
        ),
    ),
    Text(
        "'class_name': 'DTypePolicy'",
        "",
        "Keras",
        "The config names a dtype policy as Keras 3.4 and newer store it.",
        (NEWER, KERAS_3),
        0,
    ),
)
