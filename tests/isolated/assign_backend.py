"""Runs the checks of assignment with the backend that KERAS_BACKEND selects, and what only that backend has."""

import sys
import traceback
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from assign_checks import CHECKS, arrays_for, bytes_of, chain, value

from kwload import assign
from kwload.spec.live import describe


def torch_parameters_keep_their_identity() -> None:
    import torch

    net = chain(keras, keras.layers.Dense(4, trainable=False), keras.layers.Dense(4))
    parameters = list(net.parameters())
    model = describe(net, "keras-3")
    assign.commit(assign.stage(model, arrays_for(model)))
    for parameter, other in zip(parameters, net.parameters(), strict=True):
        assert parameter is other
    kernels = [layer.kernel._value if hasattr(layer.kernel, "_value") else layer.kernel for layer in net.layers]
    assert [kernel.requires_grad for kernel in kernels] == [False, True]
    net(np.ones((1, 4), "float32")).sum().backward()
    assert isinstance(kernels[1].grad, torch.Tensor)


def torch_parts_of_a_storage_stay_parts() -> None:
    """Two parameters in one flat storage: the storage takes the values, and takes them back."""
    import torch

    net = chain(keras, keras.layers.Dense(4))
    model = describe(net, "keras-3")
    flat = torch.zeros(20)
    kernel, bias = (variable._value for variable in model.variables)
    kernel.data, bias.data = flat[:16].view(4, 4), flat[16:]
    pairs = arrays_for(model)
    assign.commit(assign.stage(model, pairs))
    np.testing.assert_array_equal(flat.numpy(), np.concatenate([array.ravel() for _, array in pairs]))


def jax_keeps_the_sharding() -> None:
    import jax

    net = chain(keras, keras.layers.Dense(4))
    model = describe(net, "keras-3")
    kernel, bias = model.variables
    free = jax.numpy.zeros(4)
    assert not free.committed
    bias._value = free
    mesh = jax.sharding.Mesh(np.array(jax.devices()).reshape(1), ("x",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    kernel._value = jax.device_put(kernel._value, sharding)
    pairs = arrays_for(model)
    assign.commit(assign.stage(model, pairs))
    assert kernel._value.sharding == sharding
    assert not bias._value.committed
    np.testing.assert_array_equal(value(kernel), pairs[0][1])


def jax_distribution() -> None:
    devices = keras.distribution.list_devices()
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    try:
        net = chain(keras, keras.layers.Dense(4))
        model = describe(net, "keras-3")
        before = model.variables[0]._value.sharding
        pairs = arrays_for(model)
        expected = [array.tobytes() for _, array in pairs]
        assign.commit(assign.stage(model, pairs))
        assert bytes_of(model.variables) == expected
        assert model.variables[0]._value.sharding == before
    finally:
        keras.distribution.set_distribution(None)


OWN: dict[str, list[Callable[[], None]]] = {
    "torch": [torch_parameters_keep_their_identity, torch_parts_of_a_storage_stay_parts],
    "jax": [jax_keeps_the_sharding, jax_distribution],
    "numpy": [],
}


def main() -> int:
    """Prints a line for each check; 1 when any fails."""
    failed = 0
    checks: list[tuple[str, Callable[[], Any]]] = [(name, lambda run=run: run(keras)) for name, run in CHECKS.items()]
    checks += [(run.__name__, run) for run in OWN[keras.backend.backend()]]
    for name, run in checks:
        try:
            run()
        except Exception:  # noqa: BLE001 - each check is reported
            failed += 1
            print("FAILED", name)
            traceback.print_exc(file=sys.stdout)
        else:
            print("passed", name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
