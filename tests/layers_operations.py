"""Models of operations on tensors, and their nodes as a walk over the config hands them on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kwload.spec.layers.operations import Tensor

Node = tuple[str, str | None, list[Any], dict[str, Any], Any]
"""``(name, module, args, kwargs, the real output)``."""


def keras_nodes() -> Iterator[Node]:
    """Operations of Keras 3."""
    import keras
    from keras import ops

    x, y = keras.Input((5, 3)), keras.Input((5, 3))
    images = keras.Input((8, 8, 3))
    total = x + y
    flat = ops.reshape(total, (-1, 15))
    mean = ops.mean(x, axis=1, keepdims=True)
    numbers = ops.cast(x, "int32")
    outputs = [
        *(
            flat,
            ops.reshape(x, (-1, 3, 5)),
            ops.reshape(x, (2, -1)),
            ops.transpose(ops.expand_dims(flat, 1), (0, 2, 1)),
        ),
        *(ops.transpose(x), ops.expand_dims(x, -1), x[:, 1], x[..., None, 1:4:2], x[:, -3:], x[:, ::-2, 0], x[0]),
        *(
            ops.concatenate([x, y], axis=-1),
            ops.concatenate([x, x, y], axis=1),
            ops.stack([x, y], axis=1),
            ops.stack([x, y]),
        ),
        *(
            ops.matmul(x, ops.transpose(y, (0, 2, 1))),
            ops.matmul(images, ops.ones((3, 4))),
            x * 2.0,
            1.0 - x,
            x / y,
            x**2,
        ),
        *(mean, ops.sum(x), ops.max(x, axis=-1), ops.min(x, axis=(1, 2)), ops.std(x, axis=1), ops.argmax(x, axis=-1)),
        *(ops.argmax(x), ops.any(x > 0, axis=1), ops.logsumexp(x, axis=1), ops.prod(x, axis=2, keepdims=True)),
        *(ops.squeeze(mean, 1), ops.einsum("abc,adc->abd", x, y), ops.einsum("abc->ac", x), ops.swapaxes(x, 1, 2)),
        *(ops.relu(x), ops.softmax(x), ops.gelu(x), ops.sigmoid(x), ops.log_softmax(x), ops.clip(x, 0, 1), ops.abs(x)),
        *(
            ops.exp(x),
            ops.sqrt(x),
            ops.where(x > 0, x, y),
            ops.where(x > 0, x, 0.0),
            ops.maximum(x, mean),
            ops.isnan(x),
        ),
        *(
            ops.pad(x, ((0, 0), (1, 1), (0, 2))),
            ops.one_hot(numbers, 4),
            ops.repeat(x, 2, axis=1),
            ops.tile(x, (1, 2, 3)),
        ),
        *(ops.take(x, 0, axis=1), ops.take(x, [0, 1], axis=-1), ops.broadcast_to(mean, (2, 5, 3)), ops.ravel(x)),
        *(*ops.split(x, 3, axis=-1), *ops.split(x, [2], axis=1), *ops.unstack(x, axis=1)),
        *(
            ops.cumsum(x, axis=1),
            ops.cumsum(x),
            ops.zeros_like(x),
            ops.tanh(images),
            ops.logical_not(x > 0),
            ops.equal(x, y),
        ),
        *(ops.stop_gradient(x), ops.floor(x), ops.rsqrt(x), ops.square(x), ops.mod(x, 2), ops.arctan2(x, y)),
    ]
    model = keras.Model([x, y, images], outputs)
    real = {operation.name: operation for operation in model._operations}
    for layer in json.loads(model.to_json())["config"]["layers"]:
        if ".ops." not in layer["module"]:
            continue
        node = layer["inbound_nodes"][0]
        options = {key: value for key, value in layer["config"].items() if key != "name"}
        output = real[layer["name"]].output
        yield (
            layer["class_name"],
            layer["module"],
            _tensors(node["args"]),
            {**options, **_tensors(node["kwargs"])},
            output,
        )


def _tensors(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return Tensor(tuple(value["config"]["shape"]))
        return {key: _tensors(item) for key, item in value.items()}
    return [_tensors(item) for item in value] if isinstance(value, list) else value


def tensorflow_nodes() -> Iterator[Node]:
    """Functions of TensorFlow in a model of tf_keras."""
    import tensorflow as tf
    import tf_keras as keras

    x, y = keras.Input((5, 3)), keras.Input((5, 3))
    total = x + y
    flat = tf.reshape(total, (-1, 15))
    mean = tf.reduce_mean(x, axis=1, keepdims=True)
    outputs = [
        *(
            flat,
            tf.reshape(x, (tf.shape(x)[0], 15)),
            tf.expand_dims(flat, 1),
            tf.transpose(x, (0, 2, 1)),
            tf.transpose(x),
        ),
        *(
            x[:, 1],
            x[..., None, 1:4:2],
            x[:, -3:],
            tf.concat([x, y], axis=-1),
            tf.stack([x, y], axis=1),
            x * 2.0,
            1.0 - x,
        ),
        *(
            tf.matmul(x, y, transpose_b=True),
            tf.matmul(x, x, transpose_a=True),
            mean,
            tf.reduce_sum(x),
            tf.squeeze(mean, 1),
        ),
        *(tf.reduce_max(x, axis=[1, 2]), tf.argmax(x, axis=-1), tf.argmax(x), tf.cast(x, "float16"), tf.nn.relu(x)),
        *(*tf.split(x, 3, axis=-1), *tf.split(x, [2, 3], axis=1), *tf.unstack(x, axis=1), tf.where(x > 0, x, y), x / y),
        *(tf.math.sigmoid(x), tf.nn.softmax(x), tf.clip_by_value(x, 0.0, 1.0), tf.pad(x, [[0, 0], [1, 1], [0, 2]]), -x),
        *(tf.gather(x, [0, 1], axis=1), tf.one_hot(tf.cast(x, tf.int32), 4), tf.tile(x, [1, 2, 3]), tf.exp(x), x**2),
        *(
            tf.maximum(x, mean),
            tf.math.squared_difference(x, y),
            tf.nn.l2_normalize(x, -1),
            tf.sqrt(x),
            tf.cumsum(x, 1),
        ),
        *(tf.nn.relu6(x), tf.nn.swish(x), tf.nn.gelu(x), tf.repeat(x, 2, axis=1), tf.identity(x), tf.zeros_like(x)),
    ]
    model = keras.Model([x, y], outputs)
    for layer in json.loads(model.to_json())["config"]["layers"]:
        if layer["class_name"] not in ("TFOpLambda", "SlicingOpLambda"):
            continue
        node = layer["inbound_nodes"][0]
        first = [_first(item, model) for item in node] if isinstance(node[0], list) else _first(node, model)
        options = node[0][3] if isinstance(node[0], list) else node[3]
        kwargs = {key: _refs(value, model) for key, value in options.items() if key != "name"}
        yield layer["config"]["function"], None, [first], kwargs, model.get_layer(layer["name"]).output


def _first(node: list[Any], model: Any) -> Any:
    return node[2] if node[0] == "_CONSTANT_VALUE" else _refs(node[:3], model)


def _refs(value: Any, model: Any) -> Any:
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        output = model.get_layer(value[0]).output
        output = output[value[2]] if isinstance(output, list) else output
        return Tensor(tuple(output.shape))
    return [_refs(item, model) for item in value] if isinstance(value, list) else value
