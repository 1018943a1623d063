"""Dense layers and embeddings whose matrix is quantized, or has LoRA beside it.

A quantized kernel is not made trainable, so the bias comes first in ``layer.weights``:

    float   kernel bias                       int8   bias kernel(int8) kernel_scale
    LoRA    kernel bias a b                   int4   bias kernel(int8, two in a byte) kernel_scale [kernel_zero g_idx]

From ``quantized_build`` and ``enable_lora`` of ``keras/src/layers/core/{dense,einsum_dense,embedding}.py``, 3.15.1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kwload.spec.layers.options import Options
from kwload.spec.layers.policy import Policy, policy_of
from kwload.spec.layers.shapes import Length, ceil_div, times
from kwload.spec.layers.where import ConfigError
from kwload.spec.signature import Shape, Var

_BLOCK = 128  # Int4QuantizationConfig's own default


def quantization(options: Options, *modes: str) -> Policy:
    """How the layer is quantized.

    Raises
    ------
    ConfigError
        In a way that it does not know.
    """
    found = policy_of(options.config.get("dtype"))
    if not options.where.is_keras3 or found.mode is None:
        return replace(found, mode=None)
    if found.mode not in modes:
        raise ConfigError("dtype", f"this layer cannot be quantized as {found.mode}")
    recorded = options.config.get("quantization_config")
    if isinstance(recorded, dict) and isinstance(recorded.get("config"), dict):
        return _recorded(found, str(recorded.get("class_name")), Options(recorded["config"], options.where))
    return found


def _recorded(found: Policy, kind: str, said: Options) -> Policy:
    """The policy with what ``quantization_config`` says, which comes first."""
    if kind == "Int4QuantizationConfig" and found.mode == "int4":
        whole = said.get("block_size") if "block_size" in said.config else _BLOCK
        return replace(found, group=_group(whole))
    if kind in ("GPTQConfig", "AWQConfig") and found.mode in ("gptq", "awq"):
        bits = said.maybe_count("weight_bits", 1)
        group = _group(said.get("group_size")) if said.says("group_size") else found.group
        return replace(found, bits=bits or found.bits, group=group)
    return found


def _group(value: Any) -> int | None:
    if value is None or value == -1:
        return -1
    if type(value) is not int or value < 1:
        raise ConfigError("quantization_config", "has a block size that is none")
    return value


def matrix(options: Options, policy: Policy, shape: Shape, bias: Var | None, rank: int) -> list[Var]:
    """Variables of a Dense layer.

    Parameters
    ----------
    shape : tuple
        Of the float kernel: inputs, units.
    bias : Var, or None
        The bias, where there is one.
    rank : int
        Of LoRA, 0 without.
    """
    inputs, units = shape
    lora = lora_of(options, (inputs, rank), (rank, units))
    kernel = [Var("kernel", shape, trainable=not rank)]
    after: list[Var] = []
    if policy.mode == "int8":
        kernel = [Var("kernel", shape, "int8", False), Var("kernel_scale", (units,), None, False)]
    elif policy.mode == "int4":
        kernel = packed(options, policy, inputs, units)
    elif policy.mode in ("gptq", "awq"):
        kernel = calibrated(policy, inputs, units, "kernel_zero")
    elif policy.mode == "float8":
        after = float8(policy)
    return arranged(kernel, bias, lora, after)


def arranged(kernel: list[Var], bias: Var | None, lora: list[Var], before: list[Var]) -> list[Var]:
    """In the order of ``layer.weights``: those made as trainable first, among which LoRA leaves the float kernel."""
    made = [*before, *kernel]
    if bias is not None:
        made.append(bias)
    made += lora
    if len(kernel) == 1:
        return made
    return [var for var in made if var.trainable] + [var for var in made if not var.trainable]


def lora_of(options: Options, first: Shape, second: Shape, name: str = "kernel") -> list[Var]:
    """The two small matrices beside a kernel, none for rank 0; since Keras 3.15 float32 whatever the policy says."""
    if not second[0]:
        return []
    dtype = None if options.where.older((3, 15)) else "float32"
    return [Var(f"lora_{name}_a", first, dtype), Var(f"lora_{name}_b", second, dtype)]


def float8(policy: Policy) -> list[Var]:
    """Scales and what they follow from: trained, since gradients carry them."""
    found: list[Var] = []
    for name in ("inputs", "kernel", "outputs_grad"):
        found += [Var(f"{name}_scale", (), "float32"), Var(f"{name}_amax_history", (policy.history,), "float32")]
    return found


def packed(options: Options, policy: Policy, rows: Length, columns: Length) -> list[Var]:
    """An int4 kernel: two columns in a byte since Keras 3.14, two rows before (where no scale was shared)."""
    if options.where.older((3, 14)):
        kernel: Shape = (ceil_div(rows, 2), columns)
        return [Var("kernel", kernel, "int8", False), Var("kernel_scale", (columns,), None, False)]
    kernel = (rows, ceil_div(columns, 2))
    return [Var("kernel", kernel, "int8", False), *_scales(policy, "kernel", rows, columns)]


def _scales(policy: Policy, name: str, rows: Length, columns: Length) -> list[Var]:
    group = policy.group
    if group is None or group < 1:
        return [Var(f"{name}_scale", (columns,), None, False)]
    scale = (ceil_div(rows, group), columns)
    zero = Var(f"{name}_zero", scale, "int8", False)
    return [Var(f"{name}_scale", scale, None, False), zero, Var("g_idx", (rows,), "float32", False)]


def calibrated(policy: Policy, rows: Length, columns: Length, zero: str) -> list[Var]:
    """A kernel of GPTQ or AWQ: turned over, four bits packed."""
    bits = 4 if policy.mode == "awq" else policy.bits
    wide = None if bits is None else ceil_div(columns, 2) if bits == 4 else columns
    groups = None if policy.group is None else 1 if policy.group < 1 else ceil_div(rows, policy.group)
    found = [Var("kernel", (wide, rows), "uint8", False), Var("kernel_scale", (columns, groups), None, False)]
    found.append(Var(zero, (columns, groups), "uint8", False))
    if policy.mode == "awq":
        found.append(Var("awq_scales", (rows,), None, False))
    return [*found, Var("g_idx", (rows,), "float32", False)]


def table(policy: Policy, rows: int, width: int) -> list[Var]:
    """The quantized embeddings of a table of *rows* vectors: each vector has its scale, or each block of one."""
    if policy.mode == "int8":
        return [Var("embeddings", (rows, width), "int8", False), Var("embeddings_scale", (rows,), None, False)]
    found = [Var("embeddings", (rows, ceil_div(width, 2)), "int8", False)]
    group = policy.group
    if group is None or group < 1:
        return [*found, Var("embeddings_scale", (rows,), None, False)]
    scale = (rows, ceil_div(width, group))
    found.append(Var("embeddings_scale", scale, None, False))
    found.append(Var("embeddings_zero", scale, "int8", False))
    return [*found, Var("g_idx", (width,), "float32", False)]


def reverse_table(policy: Policy, rows: int, width: int) -> list[Var]:
    """What a ReversibleEmbedding has for its way back, when that is no transpose."""
    name = "reverse_embeddings"
    if policy.mode == "int8":
        return [Var(name, (width, rows), "int8", False), Var(f"{name}_scale", (rows,), None, False)]
    found = [Var(name, (ceil_div(width, 2), rows), "int8", False)]
    group = policy.group
    if group is None or group < 1:
        return [*found, Var(f"{name}_scale", (rows,), None, False)]
    scale = (ceil_div(width, group), rows)
    return [*found, Var(f"{name}_scale", scale, None, False), Var(f"{name}_zero", scale, None, False)]


def split(shape: Shape) -> tuple[Length, Length]:
    """Rows and columns that GPTQ and AWQ make of the kernel of an EinsumDense: the greatest length says which way."""
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) != 3 or None in shape:
        return None, None
    lengths = [length or 0 for length in shape]
    if lengths.index(max(lengths)) == 0:
        return shape[0], times(shape[1], shape[2])
    return times(shape[0], shape[1]), shape[2]
