"""EinsumDense: what its equation says of kernel, bias and output.

    abc , cde -> abde      kernel: each letter's length, from the output where it stands there, else from the input

From ``keras/src/layers/core/einsum_dense.py``, 3.15.1 (the same in tf_keras 2.4 and newer).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kwload.spec.layers import quantized
from kwload.spec.layers.options import MOST_RANK, Options
from kwload.spec.layers.policy import Policy
from kwload.spec.layers.shapes import Length, ceil_div, one, times
from kwload.spec.layers.where import ConfigError, Where
from kwload.spec.signature import Shape, Shapes, Signature, Var

_EQUATION = re.compile(r"(0?)([a-zA-Z]+)(0?),([a-zA-Z]+)->(0?)([a-zA-Z]+)(0?)")


@dataclass(frozen=True, slots=True)
class Equation:
    """An equation, read.

    Attributes
    ----------
    ins, kernel, outs : str
        Letters of the axes.
    left, right : bool
        Where input and output have axes without letters.
    """

    ins: str
    kernel: str
    outs: str
    left: bool
    right: bool


def read(text: str) -> Equation:
    """The equation in a config.

    Raises
    ------
    ConfigError
        It is not of one of the three forms.
    """
    found = _EQUATION.match(text.replace("...", "0")) if len(text) < 1000 else None
    if found is None:
        raise ConfigError("equation", "is not of the form ab,bc->ac, ...ab,bc->...ac or ab...,bc->ac...")
    before, ins, after, kernel, out_before, outs, out_after = found.groups()
    if bool(before) != bool(out_before) or bool(after) != bool(out_after) or (before and after):
        raise ConfigError("equation", "has its ... on one side only")
    if max(len(ins), len(kernel), len(outs)) > MOST_RANK:
        raise ConfigError("equation", "has too many axes")
    for letter in kernel:
        if letter not in ins and letter not in outs:
            raise ConfigError("equation", f"{letter!r} of the kernel is neither in the input nor in the output")
    for letter in outs:
        if letter not in ins and letter not in kernel:
            raise ConfigError("equation", f"{letter!r} of the output comes from nowhere")
    return Equation(ins, kernel, outs, bool(before), bool(after))


@dataclass(frozen=True, slots=True)
class Shaped:
    """What an equation gives for one input."""

    kernel: Shape
    bias: Shape | None
    has_bias: bool
    output: Shape | None


def shaped(equation: Equation, given: Shape, bias_axes: str | None, shape: Shape | None) -> Shaped:
    """Lengths for an input.

    Parameters
    ----------
    given : tuple
        ``output_shape`` of the config: without the batch, and without axes that have no letter.
    bias_axes : str, or None
        Letters of the output that the bias has.
    shape : tuple, or None
        Of the input.

    Raises
    ------
    ConfigError
        The bias has an axis that the output has not.
    """
    elided = len(shape) - len(equation.ins) if shape is not None else None
    if elided is not None and (elided < 0 or (elided and not (equation.left or equation.right))):
        shape, elided = None, None
    if not (equation.left or equation.right):
        elided = 0
    ins = _inputs(equation, shape)
    stated = _stated(equation, given, shape)
    kernel = tuple([stated[letter] if letter in equation.outs else ins[letter] for letter in equation.kernel])
    bias = _bias(equation, bias_axes, stated, elided)
    return Shaped(kernel, bias, bool(bias_axes), _output(equation, given, stated, shape))


def _output(equation: Equation, given: Shape, stated: dict[str, Length], shape: Shape | None) -> Shape | None:
    """The output; Keras 3 takes the config at its word where that leaves a length open."""
    outs = tuple([stated[letter] for letter in equation.outs])
    if not (equation.left or equation.right):
        return outs
    if shape is None or len(given) + int(equation.right) != len(equation.outs):
        return None
    rest = shape[: len(shape) - len(equation.ins)] if equation.left else shape[len(equation.ins) :]
    return (*rest, *outs) if equation.left else (*outs, *rest)


def _seen(equation: Equation, output: Shape | None, shape: Shape | None) -> Shape | None:
    """The output of Keras 2, which computes it: what the config leaves open comes from the input."""
    if output is None or shape is None:
        return output
    ins = _inputs(equation, shape)
    start = len(output) - len(equation.outs) if equation.left else 0
    found = list(output)
    for at, letter in enumerate(equation.outs):
        if found[start + at] is None:
            found[start + at] = ins.get(letter)
    return tuple(found)


def _inputs(equation: Equation, shape: Shape | None) -> dict[str, Length]:
    if shape is None:
        return dict.fromkeys(equation.ins)
    start = len(shape) - len(equation.ins) if equation.left else 0
    return dict(zip(equation.ins, shape[start:], strict=False))


def _stated(equation: Equation, given: Shape, shape: Shape | None) -> dict[str, Length]:
    """The lengths that the config gives to the letters of the output."""
    found: dict[str, Length] = dict.fromkeys(equation.outs)
    if equation.left and (shape is None or len(shape) > len(equation.ins)):  # no batch among the letters
        return {**found, **dict(zip(equation.outs, given, strict=False))}
    batch = shape[0] if shape else None
    return {**found, **dict(zip(equation.outs, (batch, *given), strict=False))}


def _bias(equation: Equation, axes: str | None, stated: dict[str, Length], elided: int | None) -> Shape | None:
    if not axes:
        return None
    for letter in axes:
        if letter not in equation.outs:
            raise ConfigError("bias_axes", f"{letter!r} is not in the output")
    start = min(equation.outs.find(letter) for letter in axes)
    found = tuple([stated[letter] if letter in axes else 1 for letter in equation.outs[start:]])
    if not equation.right:
        return found
    return None if elided is None else found + (1,) * elided


def einsum_dense(options: Options, shapes: Shapes, where: Where) -> Signature:
    """EinsumDense."""
    equation = read(_text(options))
    given = options.shape("output_shape")
    if given is None:
        raise ConfigError("output_shape", "is missing")
    axes = options.get("bias_axes")
    if axes is not None and not isinstance(axes, str):
        raise ConfigError("bias_axes", "is not text")
    found = shaped(equation, given, axes, one(shapes))
    output = found.output if where.is_keras3 else _seen(equation, found.output, one(shapes))
    policy = quantized.quantization(options, "int8", "int4", "float8", "gptq", "awq")
    rank = options.count("lora_rank", 0) if where.is_keras3 else 0
    kernel = found.kernel
    lora = quantized.lora_of(options, (*kernel[:-1], rank), (rank, kernel[-1] if kernel else None))
    made = [Var("kernel", kernel, trainable=not rank)]
    before: list[Var] = []
    if policy.mode == "int8":
        scale = _scale(equation, kernel, one(shapes))
        made = [Var("kernel", kernel, "int8", False), Var("kernel_scale", scale, None, False)]
    elif policy.mode == "int4":
        made = _packed(options, policy, equation, kernel, one(shapes))
    elif policy.mode in ("gptq", "awq"):
        made = quantized.calibrated(policy, *quantized.split(kernel), "zero_point")
    elif policy.mode == "float8":
        before = quantized.float8(policy)
    bias = Var("bias", found.bias) if found.has_bias else None
    return Signature(tuple(quantized.arranged(made, bias, lora, before)), output)


def _text(options: Options) -> str:
    text = options.get("equation")
    if not isinstance(text, str):
        raise ConfigError("equation", "is missing" if text is None else "is not text")
    return text


def _reduced(equation: Equation) -> list[int]:
    """The axes of the kernel that the sum runs over."""
    return [at for at, letter in enumerate(equation.kernel) if letter not in equation.outs]


def _packed(options: Options, policy: Policy, equation: Equation, kernel: Shape, shape: Shape | None) -> list[Var]:
    reduced = _reduced(equation)
    if options.where.older((3, 14)):
        if not reduced:
            return [Var("kernel", None, "int8", False), Var("kernel_scale", None, None, False)]
        half = tuple([ceil_div(length, 2) if at == reduced[0] else length for at, length in enumerate(kernel)])
        scale = _scale(equation, kernel, shape)
        return [Var("kernel", half, "int8", False), Var("kernel_scale", scale, None, False)]
    rows = times(*[length for at, length in enumerate(kernel) if at in reduced])
    columns = times(*[length for at, length in enumerate(kernel) if at not in reduced])
    return quantized.packed(options, policy, rows, columns)


def _scale(equation: Equation, kernel: Shape, shape: Shape | None) -> Shape | None:
    """The scale of an int8 kernel: laid out as the output, 1 where the kernel has no such axis.

    As ``_analyze_quantization_info`` moves the axes: each axis that is summed takes the place of an output axis that
    the kernel lacks, as long as there are such.
    """
    outs = equation.outs
    if equation.left or equation.right:
        if shape is None:
            return None
        free = "?" * (len(shape) - len(equation.ins))
        outs = free + outs if equation.left else outs + free
    reduced = _reduced(equation)
    missing = [at for at, letter in enumerate(outs) if letter not in equation.kernel]
    order = [equation.kernel.find(letter) for letter in outs if letter in equation.kernel]
    squeezed = []
    index = None
    for axis in reduced:
        if missing:
            index = missing.pop(0)
        else:
            squeezed.append(axis)
        if index is None:
            return None
        order.insert(index, axis)
    found: list[Length] = [1 if axis in reduced else kernel[axis] for axis in order]
    for axis in missing:
        found.insert(axis, 1)
    for axis in sorted(squeezed, reverse=True):
        if axis >= len(found):
            return None
        found.pop(axis)
    return tuple(found)
