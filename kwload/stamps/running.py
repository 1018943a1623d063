"""Runs a model once, in inference, and leaves everything as it was.

What a call can change and is put back, bit by bit: variables (states of recurrent layers, seeds, counters, whatever
the user's own code assigns), the random states of Python, NumPy, torch, TensorFlow and Keras. States of recurrent
layers begin at zero.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kwload import assign
from kwload.spec.described import Keras, keras_of


def outputs_of(model: Any, inputs: Any) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Name and value of each output of a model, called with ``training=False``."""
    keras = keras_of(model)
    with _untouched(model, keras), _no_gradients(keras):
        made = model(inputs, training=False)
        return [(name, _array(value)) for name, value in flattened(made)]


def flattened(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """The leaves of lists, tuples and dicts, dicts by sorted key, each with its place."""
    if isinstance(value, dict):
        pairs = [(str(key), value[key]) for key in sorted(value, key=str)]
    elif isinstance(value, (list, tuple)):
        pairs = [(str(number), item) for number, item in enumerate(value)]
    else:
        return [(name, value)]
    return [leaf for key, item in pairs for leaf in flattened(item, f"{name}/{key}" if name else key)]


def _array(value: Any) -> np.ndarray[Any, Any]:
    """A tensor of any backend as an array; what NumPy has no type for as float32."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
        return np.array(value.numpy())
    if hasattr(value, "numpy"):
        value = value.numpy()
    return np.array(value)


@contextlib.contextmanager
def _no_gradients(keras: Keras) -> Iterator[None]:
    torch: Any = sys.modules.get("torch") if keras.backend == "torch" else None
    with torch.no_grad() if torch is not None else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _untouched(model: Any, keras: Keras) -> Iterator[None]:
    """Puts variables and random states back."""
    ways = assign._Ways(keras.backend, keras.flavour)
    states = list(_states(model))
    kept = [ways.kept(variable) for variable in _variables(model, keras, states)]
    before = [(change, change.way.copy(change.target)) for change in kept]
    seeds = list(_seeds(keras))
    try:
        for variable in states:
            change = ways.zero(variable)
            change.way.write(change.target, change.value)
        yield
    finally:
        for change, value in before:
            change.way.write(change.target, value)
        for put_back in seeds:
            put_back()


def _variables(model: Any, keras: Keras, states: list[Any]) -> Iterator[Any]:
    seen = set()
    for variable in (*getattr(model, "variables", ()), *states, *_global_seeds(keras)):
        if id(variable) not in seen and hasattr(variable, "assign"):
            seen.add(id(variable))
            yield variable


def _states(model: Any) -> Iterator[Any]:
    """The states of stateful recurrent layers."""
    for layer in _layers(model):
        if getattr(layer, "stateful", False):
            try:
                states = layer.states
            except Exception:  # noqa: BLE001 - a property of anybody's
                continue
            for _, state in flattened(states):
                if hasattr(state, "assign"):
                    yield state


def _layers(model: Any) -> list[Any]:
    flatten = getattr(model, "_flatten_layers", None)
    return list(flatten()) if callable(flatten) else []


def _global_seeds(keras: Keras) -> Iterator[Any]:
    """The seed that layers and operations without a seed of their own take turns with."""
    state = keras.module("backend.common.global_state")
    get = getattr(state, "get_global_attribute", None)
    made = get("global_seed_generator") if get is not None else None
    if made is not None:
        yield made.state


def _seeds(keras: Keras) -> Iterator[Callable[[], Any]]:
    """For each source of random numbers a function that puts it back."""
    python = random.getstate()
    yield lambda: random.setstate(python)
    numbers = np.random.get_state()
    yield lambda: np.random.set_state(numbers)
    torch: Any = sys.modules.get("torch") if keras.backend == "torch" else None
    if torch is not None:
        torch_state = torch.get_rng_state()
        yield lambda: torch.set_rng_state(torch_state)
    context: Any = sys.modules.get("tensorflow.python.eager.context") if keras.backend == "tensorflow" else None
    source = getattr(context.context(), "_rng", None) if context is not None else None
    if source is not None and hasattr(source, "getstate"):
        eager = source.getstate()
        yield lambda: source.setstate(eager)
