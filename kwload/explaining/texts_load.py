"""What ``load_weights`` and ``save_weights`` of Keras 1 to 3 say when file and model do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kwload.explaining.match import Cause, Facts, Text
from kwload.explaining.texts_files import CHECK, INSPECT

LEGACY_NAMED_NEW: Final = Cause(
    "KW206",
    "The file is in the older `.h5` layout and named `*.weights.h5` (TensorFlow before 2.12, Keras 2), so Keras 3 "
    "looks for its own layout in it and finds nothing.",
    (
        INSPECT,
        "kwload.load_weights(model, {path})  # reads it as what it is",
        "for Keras, rename it to end in `.h5` only",
    ),
)
NEW_NAMED_LEGACY: Final = Cause(
    "KW206",
    "The file is in the Keras 3 layout and named `.h5`, so Keras takes its reader for the older layout, which finds "
    "no list of layers.",
    (
        INSPECT,
        "kwload.load_weights(model, {path})  # reads it as what it is",
        "for Keras, rename it to end in `.weights.h5`",
    ),
)
OTHER_FILE: Final = Cause("KW322", "It is the file of another model or variant.", (INSPECT, CHECK))
BUILD: Final = Cause(
    "KW311",
    "The model, or a layer in it, was never called or built, so it has no variables yet.",
    (
        "model.build((None, …))  # or call it once on data; then load",
        CHECK + "  # says which input shape the file suggests",
    ),
)
SUBCLASS: Final = Cause(
    "KW301",
    "The model has layers that the file has not: added since, or kept under other attributes (a renamed `self.…`, "
    "another order of definition).",
    (CHECK,),
)
OLD_WRITER: Final = Cause(
    "KW405",
    "TensorFlow 2.12 or 2.13, or tf_keras, wrote it: they number or name some layers otherwise.",
    (INSPECT, CHECK),
)
NESTED: Final = Cause(
    "KW324",
    "The layers are in lists inside lists, which Keras before 3.15 did not save.",
    (CHECK, "save again with Keras 3.15 or newer"),
)
BIAS: Final = Cause("KW306", "`use_bias` is set otherwise than when the file was saved.", (CHECK,))
CLASS_CHANGED: Final = Cause(
    "KW306",
    "The layer is of another class, or has other options (`use_bias`, `scale`, `center`), than the one that was "
    "saved here; or one was inserted before it, so that all after it shift.",
    (CHECK,),
)
QUANTIZED: Final = Cause(
    "KW315",
    "The file is quantized (int8: one scale more for each kernel), the model is not.",
    (CHECK, 'model.quantize("int8")  # then load'),
)
QUANTIZED_MODEL: Final = Cause(
    "KW315",
    "The model is quantized, the file is not.",
    ("load the weights first, then quantize", CHECK),
)
UNITS: Final = Cause(
    "KW307",
    "A number of units, filters or classes was changed after the file was saved, or it is another variant's file.",
    (CHECK, "kwload.load_weights(model, {path}, skip_mismatch=True)  # loads the layers that fit, each whole"),
)
SHIFTED: Final = Cause(
    "KW305",
    "A layer was inserted, removed or moved: weights go by order, and all after it get their neighbour's.",
    (CHECK,),
)
TRANSPOSED: Final = Cause(
    "KW308",
    "The kernels are in another order of axes: written by another framework (PyTorch, Theano), or channels first.",
    (CHECK, "with kwload.open({path}) as f: …  # transpose what it gives, and assign"),
)
RESET_AFTER: Final = Cause(
    "KW314",
    "A GRU was saved with another `reset_after` (Keras 2 before TensorFlow 2: False; since: True): its bias has one "
    "row or two, and it computes something else.",
    (CHECK, "build the layer as the file has it: `GRU(…, reset_after=False)` or `True`"),
)
FROZEN: Final = Cause(
    "KW313",
    "A model inside the model was saved with other layers frozen: the older layout stores trainable weights first, "
    "so the order in the file is another one.",
    (CHECK, "set `trainable` as it was when the file was saved, load, set it back"),
)


def _nothing_received(facts: Facts) -> Sequence[Cause]:
    """Causes of a layer of which the V3 reader found nothing."""
    if facts.says("'total:0'", "'count:0'"):
        return [
            Cause(
                "KW405",
                "A compiled and fitted tf_keras model also wants the state of its metrics, which no Keras 3 saves. The "
                "weights are not at fault.",
                ("kwload.load_weights(model, {path})", "load before `compile` and `fit`"),
            )
        ]
    if facts.ends_in == ".keras":
        return [SUBCLASS, NESTED, OLD_WRITER]
    many = facts.paste.lower.partition("atotalof")[2][:12]
    count = "".join(char for char in many.partition("objects")[0] if char.isdecimal())
    if count == "1":
        return [SUBCLASS, LEGACY_NAMED_NEW, OLD_WRITER, NESTED]
    return [LEGACY_NAMED_NEW, SUBCLASS, OLD_WRITER, NESTED]


def _variables(facts: Facts) -> Sequence[Cause]:
    wanted, found = facts.number("wanted"), facts.number("found")
    names = [name for name in facts.get("names", "").replace("'", "").split(",") if name]
    bases = [name.rpartition("/")[2].partition(":")[0] for name in names]
    if found == 0:
        return _nothing_received(facts)
    if wanted == 0:
        return [BUILD]
    if wanted is None or found is None:
        return [LEGACY_NAMED_NEW, CLASS_CHANGED, BUILD]
    if len(set(bases)) < len(bases) and set(bases) <= {"kernel", "bias"}:
        twice = "A fault of one Keras release with frozen layers, which counts variables twice."
        return [Cause("KW405", twice, ("pip install -U keras",)), CLASS_CHANGED]
    if found > wanted:
        if bases in (["kernel", "bias"], ["embeddings"]):
            return [QUANTIZED, CLASS_CHANGED]
        return [BIAS, QUANTIZED, CLASS_CHANGED] if bases == ["kernel"] else [CLASS_CHANGED, QUANTIZED]
    if any("scale" in base and base != "scale" for base in bases):
        return [QUANTIZED_MODEL, CLASS_CHANGED]
    return [BIAS, CLASS_CHANGED] if "bias" in bases and found == wanted - 1 else [CLASS_CHANGED]


def _variables_means(facts: Facts) -> str:
    wanted, found = facts.number("wanted"), facts.number("found")
    if found is None or wanted is None:
        return "A layer has another number of variables than the file has for it."
    has = _count(wanted, "variable") if wanted else "no variables yet"
    return f"`{{layer}}` has {has}, the file has {found or 'none'} for it."


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _layers(facts: Facts) -> Sequence[Cause]:
    wanted, found = facts.number("wanted"), facts.number("found")
    if found == 0:
        old = Cause(
            "KW212",
            "The file has no list `layer_names`: Keras did not write it, Keras before 1.1 did, or the list was lost.",
            (INSPECT,),
        )
        return [NEW_NAMED_LEGACY, old]
    if wanted == 0:
        return [BUILD, OTHER_FILE]
    count = Cause(
        "KW306",
        "The model was changed after the file was saved: a layer with weights more or fewer, or a `*_notop` file and "
        "a model with its head.",
        (CHECK, "kwload.load_weights(model, {path}, by_name=True)  # where the layers have names of their own"),
    )
    if wanted is not None and found is not None and not 0.5 <= found / wanted <= 2:
        return [OTHER_FILE, count, BUILD]
    return [count, OTHER_FILE, BUILD]


def _layers_means(facts: Facts) -> str:
    wanted, found = facts.number("wanted"), facts.number("found")
    if wanted is None or found is None:
        return "File and model have another number of layers with weights."
    if found == 0:
        return f"Keras found no list of layers in the file; the model has {_count(wanted, 'layer')} with weights."
    return f"The file has {_count(found, 'layer')} with weights, the model has {wanted}."


def _weights(facts: Facts) -> Sequence[Cause]:
    wanted, found = facts.number("wanted"), facts.number("found")
    if wanted == 0:
        return [BUILD, SHIFTED]
    if wanted is not None and found is not None:
        if abs(wanted - found) == 1 and max(wanted, found) <= 3:
            return [BIAS, SHIFTED]
        if (wanted, found) in ((4, 2), (2, 4)):
            return [
                Cause("KW306", "A BatchNormalization of Keras 1, or one with other `scale` and `center`.", (CHECK,)),
                SHIFTED,
            ]
        if found in (9, 12):
            return [Cause("KW405", "A GRU or LSTM of Keras 1, which kept each gate apart.", (INSPECT,)), SHIFTED]
    return [SHIFTED, BIAS]


def _weights_means(facts: Facts) -> str:
    wanted, found = facts.number("wanted"), facts.number("found")
    if wanted is None or found is None:
        return "A layer has another number of weights than the file has for it."
    layer = "`{layer}`" if "layer" in facts else "The layer"
    saved = " (there called `{saved}`)" if facts.get("saved", facts.get("layer")) != facts.get("layer") else ""
    return f"{layer} has {_count(wanted, 'weight')}, the file has {found}{saved}."


def _shapes(facts: Facts) -> Sequence[Cause]:
    wanted, found = facts.shape("wanted"), facts.shape("found")
    if wanted is None or found is None or wanted == found:
        return [UNITS, SHIFTED, TRANSPOSED]
    if _is_row(wanted, found) or _is_row(found, wanted):
        return [RESET_AFTER, UNITS]
    if len(wanted) != len(found):
        changed = Cause("KW307", "The class of the layer was changed, or another layer stands in its place.", (CHECK,))
        return [changed, SHIFTED, FROZEN]
    if len(wanted) > 2 and sorted(map(str, wanted)) == sorted(map(str, found)):
        return [TRANSPOSED, UNITS, SHIFTED]
    if len(wanted) > 2 and wanted[:2] == found[-2:] != wanted[-2:]:
        return [TRANSPOSED, UNITS]
    if wanted == found[::-1]:
        return [TRANSPOSED, SHIFTED, UNITS]
    return (
        [UNITS, SHIFTED] if sum(a != b for a, b in zip(wanted, found, strict=True)) == 1 else [UNITS, SHIFTED, FROZEN]
    )


def _is_row(one: tuple[int | None, ...], two: tuple[int | None, ...]) -> bool:
    """Whether these are the biases of a GRU of one row and of two."""
    return len(two) == 2 and two[0] == 2 and one == (two[1],) and (two[1] or 1) % 3 == 0


def _shapes_means(facts: Facts) -> str:
    if "wanted" not in facts or "found" not in facts:
        return "A variable of the model has another shape than its tensor in the file."
    name = next((f"`{{{key}}}`" for key in ("variable", "layer") if key in facts), "a variable")
    said = f"{name} has the shape {{wanted}} in the model and {{found}} in the file"
    said = said[:1].upper() + said[1:]
    if facts["wanted"] == facts["found"]:
        return f"{said}, says the message, which contradicts itself; the next command shows both."
    wanted, found = facts.shape("wanted") or (), facts.shape("found") or ()
    if len(wanted) == len(found):
        axes = [i for i, (a, b) in enumerate(zip(wanted, found, strict=True)) if a != b]
        if len(axes) == 1 and len(wanted) > 1:
            at = axes[0]
            return f"{said}: they differ on axis {at}, {found[at]} in the file and {wanted[at]} in the model."
    return f"{said}."


def _total_causes(facts: Facts) -> Sequence[Cause]:
    """Causes where the message inside is not there, or not known."""
    _, _, inside = facts.paste.lower.partition("exampleerrormessageforobject")
    if not inside.partition(">:")[2]:
        return _nothing_received(facts)
    own = "The layer's own code failed: its message is the example error in the text, and not one that Keras writes."
    return [Cause("KW404", own, (CHECK,)), SUBCLASS]


def _total(facts: Facts) -> str:
    count = facts.number("count")
    return f"{_count(count, 'layer') if count else 'Layers'} of the model could not be loaded." if count != 0 else ""


def _axes(facts: Facts) -> Sequence[Cause]:
    return [
        Cause(
            "KW307",
            "A convolution's kernel in the file has another shape: Keras 2 tries to transpose it before it compares, "
            "which fails.",
            (CHECK,),
        ),
        FROZEN,
        SHIFTED,
        Cause("KW405", "Keras 1 wrote the file, and its kernels are converted on loading.", (INSPECT,)),
    ]


def _format(facts: Facts) -> Sequence[Cause]:
    path = (facts.paste.path or "").rstrip("/")
    name = path.rpartition("/")[2]
    checkpoint = Cause(
        "KW208",
        "It is a TensorFlow checkpoint or a SavedModel, which Keras 3 does not read. kwload names it and does not "
        "read it either.",
        (
            "pip install tf_keras; export TF_USE_LEGACY_KERAS=1",
            'model.load_weights({path}); model.save_weights("model.weights.h5")  # with tf_keras',
            INSPECT,
        ),
    )
    renamed = Cause(
        "KW206",
        "It is a weight file under a name that Keras does not know: only the end of the name counts for it.",
        (
            INSPECT,
            "kwload.load_weights(model, {path})  # goes by the content",
            "for Keras, rename it as `kwload inspect` says",
        ),
    )
    odd = "." in name.strip(".") and not any(part in name for part in (".ckpt", ".index", ".data-", ".tf", ".meta"))
    return [renamed, checkpoint] if odd else [checkpoint, renamed]


_FROM_KERAS: Final = "Keras 3 or tf_keras"
_LEGACY_KERAS: Final = "Keras, reading an older .h5 file"

TEXTS: Final = (
    Text("A total of {count:d} objects could not be loaded", ".", "Keras 3", _total, _total_causes, 1),
    Text(
        "Layer '{layer}' expected {wanted:d} variables, but received",
        " {found:d} variables during loading. Expected: [{names:l}]",
        _FROM_KERAS,
        _variables_means,
        _variables,
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
        _shapes_means,
        _shapes,
    ),
    Text(
        "Shape mismatch in layer #{k:d}",
        " (named {layer}) for weight {variable}. Weight expects shape {wanted:s}. Received saved weight with shape "
        "{found:s}",
        _LEGACY_KERAS,
        _shapes_means,
        _shapes,
    ),
    Text(
        "Cannot assign value to variable '{variable}': Shape mismatch",
        ".The variable shape {wanted:s}, and the assigned value shape {found:s} are incompatible",
        "TensorFlow",
        _shapes_means,
        _shapes,
    ),
    Text(
        "Cannot assign to variable {variable} due to variable shape {wanted:s} and value shape",
        " {found:s}",
        "TensorFlow",
        _shapes_means,
        _shapes,
    ),
    Text(
        "in both shapes must be equal, but are {a:d} and {b:d}",
        ". Shapes are {wanted:s} and {found:s}",
        "TensorFlow 1",
        "One number differs between a variable and its tensor in the file: {a} and {b}.",
        _shapes,
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
        _layers_means,
        _layers,
    ),
    Text(
        "You are trying to load a weight file containing {found:d} layers",
        " into a model with {wanted:d} layers",
        "Keras 1 or 2",
        _layers_means,
        _layers,
    ),
    Text(
        "Weight count mismatch for layer #{k:d}",
        " (named {layer:n} in the current model, {saved:n} in the save file). Layer expects {wanted:d} weight(s). "
        "Received {found:d}",
        _LEGACY_KERAS,
        _weights_means,
        _weights,
    ),
    Text(
        "Weight count mismatch for layer #{k:d} (named {layer:n}). Layer expects",
        " {wanted:d} weight(s). Received {found:d}",
        _LEGACY_KERAS,
        _weights_means,
        _weights,
        6,
    ),
    Text(
        "Layer #{k:d} (named '{layer}' in the current model) was found to correspond to layer",
        " {saved} in the save file. However the new layer {again} expects {wanted:d} weights, but the saved weights "
        "have {found:d} elements",
        "Keras 1 or 2",
        _weights_means,
        _weights,
    ),
    Text(
        "(named '{layer}') expects {wanted:d} weight(s), but the saved weights",
        " have {found:d}",
        "Keras 1 or 2",
        _weights_means,
        _weights,
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
        _axes,
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
        _format,
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
