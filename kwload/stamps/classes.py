"""What counts of a class, and of its bases.

    __init__, build, call and their like, and __call__ of a metaclass             always
    what overrides one of Keras's, and what is read by name in anything that counts
    get_config, compute_output_shape, fit, ...: nothing that comes out of a loaded layer depends on them

Of several bases the one that Python takes, the others when ``super()`` asks for them.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Final

from kwload.stamps import canonical, sources
from kwload.stamps.names import ANY, reads
from kwload.stamps.objects import (
    FRAMEWORKS,
    attributes_set,
    dict_of,
    field_calls,
    fields_of,
    functions_in,
    is_own,
    is_set_again,
    is_users,
    mro_of,
    of_framework,
    package_of,
    registry_of,
)
from kwload.stamps.sources import Parsed
from kwload.stamps.statements import take_statements
from kwload.stamps.walk import Walk

_ENTRIES: Final = frozenset(
    {"__init__", "__new__", "__call__", "__getattr__", "__getattribute__", "__setattr__", "build", "call"}
)
_IDLE_NAMES: Final = """
    get_config from_config get_build_config build_from_config get_compile_config compile_from_config
    compute_output_shape compute_output_spec compute_output_signature save_own_variables save_assets load_assets
    train_step test_step predict_step train_function test_function predict_function make_train_function
    make_test_function make_predict_function compile fit evaluate predict train_on_batch test_on_batch
    predict_on_batch compute_loss compute_metrics metrics get_metrics_result reset_metrics summary export save
    save_weights load_weights to_json count_params name path __repr__ __str__ __reduce__ __reduce_ex__ __getstate__
    __setstate__ __deepcopy__ __copy__ __hash__ __eq__ __dir__ __doc__ __module__ __qualname__ __dict__ __weakref__
    __annotations__ __firstlineno__ __static_attributes__ __orig_bases__ __parameters__ __abstractmethods__
    __init_subclass__ __class_getitem__ __slots__ __annotate__ __annotate_func__ __annotations_cache__
"""
_IDLE: Final = frozenset(_IDLE_NAMES.split())
"""What decides nothing about the values that come out of a loaded layer."""
_REGISTERING: Final = frozenset({"register_keras_serializable", "register", "signature"})


def take_class(walk: Walk, cls: type) -> None:
    """Takes a class into a walk; its members come with `take_members`."""
    if cls in walk.classes:
        return
    walk.classes[cls] = None
    walk.home_is({"__name__": cls.__module__})
    _header(walk, cls)


def take_members(walk: Walk, cls: type) -> None:
    """Takes what counts of a class and its bases and was not taken before."""
    seen: dict[str, bool] = {}
    for base in mro_of(cls):
        own = is_own(base)
        for name, value in list(dict_of(base).items()):
            first = name not in seen
            if first:
                seen[name] = own
            if own and (first or walk.supers & {name, ANY}) and _counts(walk, cls, name):
                _take(walk, base, name, value)
    for base in mro_of(cls):
        if is_own(base):
            _header(walk, base)


def _header(walk: Walk, cls: type) -> None:
    """The bases by name: how a module imports Keras is no matter."""
    if not walk.is_new("header", cls):
        return
    text = f"(bases {' '.join(base.__name__ for base in cls.__bases__)})"
    node = _node(walk, cls)
    if isinstance(node, tuple):
        file, found = node
        decorators = [item for item in found.decorator_list if canonical.last_name(item) not in _REGISTERING]
        if decorators:
            text += f" [{' '.join(map(canonical.form, decorators))}]"
            text += f" [{' '.join(fields_of(found))}]"
            walk.follow_names(reads([*decorators, *field_calls(found)]), cls.__qualname__, file, _module(cls))
    walk.put(cls.__qualname__, text)
    if is_own(type(cls)):
        walk.follow_class(type(cls))


def _counts(walk: Walk, cls: type, name: str) -> bool:
    if name in _ENTRIES or name in walk.attributes:
        return True
    if name in _IDLE:
        return False
    if name.startswith("__") and name.endswith("__"):
        return not of_framework(cls)
    return walk.computed or any(
        name in dict_of(base) for base in mro_of(cls) if package_of(base.__module__) in FRAMEWORKS
    )


def _take(walk: Walk, cls: type, name: str, value: object) -> None:
    if not walk.is_new("member", cls, name):
        return
    shown = f"{cls.__qualname__}.{name}"
    functions = list(functions_in(value))
    for function in functions:
        walk.follow_function(function, shown, member=True)
    if registry_of(value):
        walk.follow_object(value, shown)
    if name not in _IDLE and not any(is_users(function.__globals__) for function in functions):
        _attribute(walk, cls, name, value, shown)  # `act = keras.ops.sin` too: which one is written there


def _attribute(walk: Walk, cls: type, name: str, value: object, shown: str) -> None:
    """An attribute of a class that is no function."""
    if isinstance(value, type):
        walk.follow_class(value)
        return
    node = _node(walk, cls)
    statements = sources.statements_in(node[1], name) if isinstance(node, tuple) else []
    if isinstance(node, tuple):  # `Scale.factor = 5` below the class
        statements += [item for item in node[0].bindings.get(cls.__name__, ()) if name in attributes_set(item)]
    text = canonical.plain_value(value)
    if isinstance(node, tuple) and statements:
        take_statements(walk, shown, statements, node[0], _module(cls))
        if text is not None and is_set_again(statements, value):
            walk.say(shown, sources.SET_AGAIN)
    elif text is not None:
        walk.put(shown, text)
    elif isinstance(node, str):
        walk.say(shown, node)


def _node(walk: Walk, cls: type) -> tuple[Parsed, Any] | str:
    """The statement that made a class, or why that is not known: the one that holds its functions."""
    functions = [item for value in dict_of(cls).values() for item in functions_in(value)]
    codes = [item.__code__ for item in functions if item.__code__.co_qualname.startswith(f"{cls.__qualname__}.")]
    module = _module(cls)
    name = codes[0].co_filename if codes else module.get("__file__")
    file = walk.files.file(name, module) if isinstance(name, str) else sources.NO_SOURCE
    if isinstance(file, str):
        return file
    lines = {code.co_firstlineno for code in codes if code.co_filename == name}
    found = file.classes.get(cls.__name__, [])
    if lines:
        found = [node for node in found if lines & {sources.first_line(item) for item in node.body}]
    elif len(found) > 1:
        found = [node for node in found if sources.first_line(node) == dict_of(cls).get("__firstlineno__")]
    return (file, found[0]) if len(found) == 1 else sources.NO_SOURCE


def _module(cls: type) -> dict[str, Any]:
    """The names of the module of a class: where that is not in memory under its name, those that its functions see."""
    module = sys.modules.get(str(cls.__module__))
    if type(module) is ModuleType:
        return vars(module)
    seen = (item.__globals__ for value in dict_of(cls).values() for item in functions_in(value))
    return next((space for space in seen if space.get("__name__") == cls.__module__), {})
