"""What architecture a file or a model looks like (KW322), told from the names and the shapes of its layers.

A signature is a set of layer names that only one family uses, or of kernel shapes that stand together in no other
common one; they were written down from the models of ``keras.applications`` and well-known repositories. Where none
fits, the kinds of the layers are told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from kwload.report.context import Context, entry, finding, shape_text
from kwload.report.escape import escape
from kwload.report.facts import Raw
from kwload.report.finding import Finding
from kwload.report.heads import model_layers
from kwload.report.text import plural
from kwload.report.words import file_layers, severity_of

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layers:
    """The layers with weights of a file or a model, in order as far as there is one.

    Attributes
    ----------
    names : tuple of str
        Names and paths.
    shapes : tuple of tuple of shapes
        Shapes of the variables of each layer.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[Shape, ...], ...]

    @cached_property
    def kernels(self) -> list[Shape]:
        """Shapes of two axes and more."""
        return [shape for several in self.shapes for shape in several if len(shape) > 1]

    @cached_property
    def convolutions(self) -> list[Shape]:
        """Kernels with two spatial axes."""
        return [shape for shape in self.kernels if len(shape) == 4]

    @cached_property
    def parameters(self) -> int:
        """How many values."""
        total = 0
        for several in self.shapes:
            for shape in several:
                count = 1
                for length in shape:
                    count *= length
                total += count
        return total

    @cached_property
    def text(self) -> str:
        """All names, each between newlines."""
        return "\n".join(("", *self.names, "")).lower()


@dataclass(frozen=True, slots=True)
class Signature:
    """What tells an architecture.

    Attributes
    ----------
    name : str
        What people call it.
    names : tuple of str
        Patterns that must all be found among the names of layers.
    kernels : tuple of shape
        Kernels that it must have; 0 stands for any length.
    counts : tuple of (shape, int, int)
        A kernel, and how often at least and at most; 0 stands for any length.
    """

    name: str
    names: tuple[str, ...] = ()
    kernels: tuple[Shape, ...] = ()
    counts: tuple[tuple[Shape, int, int], ...] = ()

    def fits(self, layers: Layers) -> bool:
        """Whether the layers are those of this architecture."""
        if not all(re.search(pattern, layers.text) for pattern in self.names):
            return False
        if not all(_count(layers, shape) for shape in self.kernels):
            return False
        return all(least <= _count(layers, shape) <= most for shape, least, most in self.counts)


def _count(layers: Layers, wanted: Shape) -> int:
    return sum(
        len(shape) == len(wanted) and all(b in (0, a) for a, b in zip(shape, wanted, strict=True))
        for shape in layers.kernels
    )


_3X3: Final = (3, 3, 0, 0)
_STEM: Final = (7, 7, 3, 64)
_MANY: Final = 10**9

SIGNATURES: Final = (
    Signature("EfficientNet", (r"block1a_dwconv", r"top_conv")),
    Signature("EfficientNetV2", (r"block1a_project_conv", r"block\d+a_expand_conv", r"top_conv")),
    Signature("MobileNetV3", (r"expanded_conv", r"squeeze_excite")),
    Signature("MobileNetV2", (r"block_\d+_expand", r"block_\d+_depthwise", r"block_\d+_project")),
    Signature("MobileNet", (r"conv_dw_\d+", r"conv_pw_\d+")),
    Signature("DenseNet201", (r"conv5_block32_1_conv", r"conv4_block48_1_conv", r"pool2_bn")),
    Signature("DenseNet169", (r"conv5_block32_1_conv", r"pool2_bn")),
    Signature("DenseNet121", (r"conv5_block16_1_conv", r"pool2_bn")),
    Signature("ResNet152V2", (r"conv4_block36_preact_bn",)),
    Signature("ResNet101V2", (r"conv4_block23_preact_bn",)),
    Signature("ResNet50V2", (r"conv4_block6_preact_bn",)),
    Signature("ResNet152", (r"conv4_block36_1_conv",)),
    Signature("ResNet101", (r"conv4_block23_1_conv",)),
    Signature("ResNet50", (r"conv5_block3_1_conv",)),
    Signature("ResNet50", (r"res5c_branch2[ac]",)),
    Signature("InceptionResNetV2", (r"conv_7b", r"block8_\d+_conv")),
    Signature("Xception", (r"block14_sepconv2",)),
    Signature("VGG19", (r"block5_conv4", r"block1_conv2")),
    Signature("VGG16", (r"block5_conv3", r"block1_conv2")),
    Signature("NASNet", (r"separable_conv_\d_(?:bn_)?(?:normal|reduction)",)),
    Signature("ConvNeXt", (r"convnext_\w{1,40}_stage_\d",)),
    Signature("BERT", (r"bert", r"encoder|transformer_layer")),
    Signature("GPT-2", (r"gpt2|/h_\._\d+/attn|c_attn",)),
    Signature("YOLO (Darknet)", (r"yolo|darknet",)),
    # By shapes alone: files that record no names of their own.
    Signature("VGG19", counts=((_3X3, 16, 16), ((3, 3, 3, 64), 1, 1), ((3, 3, 512, 512), 7, 7))),
    Signature("VGG16", counts=((_3X3, 13, 13), ((3, 3, 3, 64), 1, 1), ((3, 3, 512, 512), 5, 5))),
    Signature("DenseNet", kernels=(_STEM, (1, 1, 64, 128)), counts=(((3, 3, 128, 32), 16, _MANY),)),
    Signature("ResNet152", kernels=(_STEM, (1, 1, 64, 256)), counts=(((3, 3, 256, 256), 35, 36),)),
    Signature("ResNet101", kernels=(_STEM, (1, 1, 64, 256)), counts=(((3, 3, 256, 256), 22, 23),)),
    Signature("ResNet50", kernels=(_STEM, (1, 1, 64, 256)), counts=(((3, 3, 256, 256), 5, 6),)),
    Signature("ResNet18 or ResNet34", kernels=(_STEM, (3, 3, 64, 64), (1, 1, 64, 128), (3, 3, 512, 512))),
    Signature("Inception", kernels=((1, 7, 0, 0), (7, 1, 0, 0), (5, 5, 0, 0))),
    Signature("Xception", kernels=((1, 1, 728, 728), (3, 3, 728, 1))),
    Signature("MobileNet", kernels=((3, 3, 32, 1), (1, 1, 32, 64), (3, 3, 512, 1), (1, 1, 512, 512))),
    Signature("MobileNetV2", kernels=((3, 3, 32, 1), (1, 1, 32, 16), (1, 1, 16, 96), (3, 3, 960, 1))),
    Signature("ConvNeXt", kernels=((4, 4, 3, 0), (7, 7, 0, 1)), counts=(((7, 7, 0, 1), 9, _MANY),)),
    Signature("YOLOv3 (Darknet)", kernels=((3, 3, 3, 32), (3, 3, 32, 64), (1, 1, 64, 32), (3, 3, 512, 1024))),
    Signature("tiny YOLO (Darknet)", kernels=((3, 3, 3, 16), (3, 3, 16, 32), (3, 3, 32, 64), (3, 3, 512, 1024))),
)

_ATTENTION: Final = re.compile(r"attention|/query|query_dense|transformer")
_RECURRENT: Final = re.compile(r"(?:^|[/\n_])(?:lstm|gru|simple_rnn|bidirectional)")
_TURNED: Final = re.compile(r"conv[123]d_transpose")


def family_of(layers: Layers) -> str | None:
    """``"ResNet50"``, ``"a plain network of Dense layers"``; None where nothing tells."""
    for signature in SIGNATURES:
        if signature.fits(layers):
            return signature.name
    if _ATTENTION.search(layers.text):
        return "a transformer"
    if len(_TURNED.findall(layers.text)) > 1 and len(layers.convolutions) > 6 and _last_is_pointwise(layers):
        return "an encoder and decoder of convolutions, such as a U-Net"
    if _RECURRENT.search(layers.text):
        return "a recurrent network"
    if layers.kernels and all(len(shape) == 2 for shape in layers.kernels) and "embedding" not in layers.text:
        return "a plain network of Dense layers"
    return None


def _last_is_pointwise(layers: Layers) -> bool:
    return any(shape[:2] == (1, 1) for shape in layers.convolutions)


def of_file(context: Context) -> Layers:
    """The layers of the file."""
    rows = [row for row in file_layers(context) if context.file_tensors(row)]
    names = tuple(_text(*context.groups[row][:2]) for row in rows)
    return Layers(names, tuple(tuple(tuple(item.shape) for item in context.file_tensors(row)) for row in rows))


def of_model(context: Context) -> Layers:
    """The layers of the model."""
    groups = context.model.groups if context.model is not None else ()
    rows = model_layers(context)
    names = tuple(_text(groups[row][0], groups[row][1]) for row in rows)
    return Layers(names, tuple(tuple(context.variables[i].shape for i in context.rows_of[row]) for row in rows))


def _text(path: str, name: str | None) -> str:
    return f"{path} {name}" if name and name != path.rpartition("/")[2] else path


def described(layers: Layers) -> str:
    """``"ResNet50: 107 layers with weights, first kernel (7, 7, 3, 64), 25,636,712 parameters"``."""
    family = family_of(layers)
    kinds = Counter(len(shape) for shape in layers.kernels)
    parts = [plural(len(layers.names), "layer") + " with weights"]
    if kinds[4]:
        parts.append(f"{kinds[4]:,} kernels of convolutions")
    first = _first(layers)
    parts += [f"a kernel {shape_text(first)} on the input"] if first is not None else []
    parts.append(plural(layers.parameters, "parameter"))
    return f"{family + ': ' if family else ''}{', '.join(parts)}"


def _first(layers: Layers) -> Shape | None:
    """The kernel that stands at the input: of images, when there is one that takes 1, 3 or 4 channels."""
    images = [shape for shape in layers.convolutions if shape[2] in (1, 3, 4) and shape[3] > 1]
    if len(set(images)) == 1:
        return images[0]
    return None


def wrong_file(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """The file is another model's: what both look like."""
    raw = raws[0]
    held, wanted = of_file(context), of_model(context)
    old, new = family_of(held), family_of(wanted)
    what = f"it looks like {old}" if old else f"{plural(raw.a, 'layer')} with weights, and {raw.b:,} in the model"
    if old and new and old != new:
        what = f"it looks like {old}, the model like {new}"
    yield finding(
        322,
        severity_of(raw),
        headline=entry(322).say(what=what),
        expected=new,
        found=old,
        body=[f"file   {escape(described(held))}", f"model  {escape(described(wanted))}", *_examples(context)],
        help=["load the file that belongs to this model, or build the model that the file was saved from"],
    )


def _examples(context: Context) -> Sequence[str]:
    """Some names of each side, which a person may know."""
    from kwload.report.context import named

    file = [context.file_layer(row) for row in file_layers(context) if context.file_tensors(row)]
    model = [context.layer(row) for row in model_layers(context)]
    return [f"layers in the file:   {named(file)}", f"layers in the model:  {named(model)}"]


__all__ = ["SIGNATURES", "Layers", "Signature", "described", "family_of", "of_file", "of_model", "wrong_file"]
