"""Why ``load_weights`` and ``save_weights`` say what they say: the causes of the texts in ``texts_load``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kwload.explaining.match import Cause, Facts
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
INSERTED: Final = Cause(
    "KW305",
    "A layer of the same class was inserted: places are counted, so the last one of the class finds nothing, and those "
    "between get the weights of their neighbours.",
    (CHECK,),
)
HEADS: Final = Cause(
    "KW307",
    "The `num_heads` or `key_dim` of an attention layer was changed: when the shapes differ, Keras ends up with "
    "this message too.",
    (CHECK, "build the attention layer with the `num_heads` and `key_dim` that the next command shows", INSPECT),
)
LORA: Final = Cause(
    "KW325",
    "LoRA was enabled on one side only: it adds two small matrices to the weights of a layer.",
    (CHECK, "layer.enable_lora(rank)  # before loading, when the file has them"),
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


_PROJECTIONS: Final = ("query", "key", "value", "attention_output", "query_dense", "key_dense", "value_dense")
"""Layers inside MultiHeadAttention and GroupQueryAttention (keras.src.layers.attention, 3.0 to 3.15)."""


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
    if facts.get("layer") in _PROJECTIONS:
        return [HEADS, LEGACY_NAMED_NEW, SUBCLASS, INSERTED]
    many = facts.paste.lower.partition("atotalof")[2][:12]
    count = "".join(char for char in many.partition("objects")[0] if char.isdecimal())
    if count == "1":
        return [SUBCLASS, INSERTED, LEGACY_NAMED_NEW, OLD_WRITER, NESTED]
    return [LEGACY_NAMED_NEW, SUBCLASS, INSERTED, OLD_WRITER, NESTED]


def variables(facts: Facts) -> Sequence[Cause]:
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


def variables_means(facts: Facts) -> str:
    wanted, found = facts.number("wanted"), facts.number("found")
    if found is None or wanted is None:
        return "A layer has another number of variables than the file has for it."
    has = _count(wanted, "variable") if wanted else "no variables yet"
    return f"`{{layer}}` has {has}, the file has {found or 'none'} for it."


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def layers(facts: Facts) -> Sequence[Cause]:
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
    inserted = Cause(
        "KW305",
        "One layer more or fewer, where names or shapes tell which: the next command names it.",
        (CHECK,),
    )
    return [count, inserted, OTHER_FILE, BUILD]


def layers_means(facts: Facts) -> str:
    wanted, found = facts.number("wanted"), facts.number("found")
    if wanted is None or found is None:
        return "File and model have another number of layers with weights."
    if found == 0:
        return f"Keras found no list of layers in the file; the model has {_count(wanted, 'layer')} with weights."
    return f"The file has {_count(found, 'layer')} with weights, the model has {wanted}."


def weights(facts: Facts) -> Sequence[Cause]:
    wanted, found = facts.number("wanted"), facts.number("found")
    if wanted == 0:
        return [BUILD, SHIFTED]
    if wanted is not None and found is not None:
        if abs(wanted - found) == 1 and max(wanted, found) <= 3:
            return [BIAS, SHIFTED]
        if (wanted, found) in ((4, 2), (2, 4)):
            return [
                Cause("KW306", "A BatchNormalization of Keras 1, or one with other `scale` and `center`.", (CHECK,)),
                LORA,
                SHIFTED,
            ]
        if found in (9, 12):
            return [Cause("KW405", "A GRU or LSTM of Keras 1, which kept each gate apart.", (INSPECT,)), SHIFTED]
        if abs(wanted - found) == 2:
            return [LORA, SHIFTED]
    return [SHIFTED, BIAS]


def weights_means(facts: Facts) -> str:
    wanted, found = facts.number("wanted"), facts.number("found")
    if wanted is None or found is None:
        return "A layer has another number of weights than the file has for it."
    layer = "`{layer}`" if "layer" in facts else "The layer"
    saved = " (there called `{saved}`)" if facts.get("saved", facts.get("layer")) != facts.get("layer") else ""
    return f"{layer} has {_count(wanted, 'weight')}, the file has {found}{saved}."


def shapes(facts: Facts) -> Sequence[Cause]:
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


def shapes_means(facts: Facts) -> str:
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


def total_causes(facts: Facts) -> Sequence[Cause]:
    """Causes where the message inside is not there, or not known."""
    _, _, inside = facts.paste.lower.partition("exampleerrormessageforobject")
    if not inside.partition(">:")[2]:
        return _nothing_received(facts)
    own = "The layer's own code failed: its message is the example error in the text, and not one that Keras writes."
    return [Cause("KW404", own, (CHECK,)), SUBCLASS]


def total(facts: Facts) -> str:
    count = facts.number("count")
    return f"{_count(count, 'layer') if count else 'Layers'} of the model could not be loaded." if count != 0 else ""


def axes(facts: Facts) -> Sequence[Cause]:
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


def wrong_format(facts: Facts) -> Sequence[Cause]:
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
