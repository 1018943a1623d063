"""Fingerprints of code: what counts, what does not, and what cannot be known. None of this needs Keras."""

from __future__ import annotations

import ast
import importlib.util
import linecache
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwload.stamps import canonical, reach
from kwload.stamps.fingerprint import Change, Fingerprint, compare
from kwload.stamps.names import reads

SOURCE = '''
import math
from functools import partial, wraps

SCALE = 2.0
UNUSED = 7
TABLE = {"a": 1, "b": (2, 3)}

def helper(x, power=2):
    """What it does."""
    return deeper(x) ** power

def deeper(x):
    return x + SCALE

def unrelated(x):
    return x - UNUSED

class Base:
    def finish(self, x):
        return x * 3

class Scale(Base):
    """A layer."""

    factor = 4
    unused_factor = 5

    def __init__(self, units=3, name=None):
        # a comment
        self.units = units

    def build(self, shape):
        self.w = [0.0] * self.units

    def call(self, x, training=False):
        if training and not self.units:
            return x
        return self.finish(self._scaled(helper(x))) + TABLE["b"][0] * math.sin(x)

    def _scaled(self, x):
        return [v * self.factor for v in (x, f"{x:>{self.units}} of {SCALE!r}")][0]

    def plot(self):
        return unrelated(self.unused_factor)

    def get_config(self):
        return {"units": self.units}
'''


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Any]:
    """Imports a text as a module of this name, as if its file had just been edited."""
    names: list[str] = []

    def make(text: str, name: str = "mynet") -> ModuleType:
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(text))
        linecache.clearcache()
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        names.append(name)
        code = compile(path.read_text(), str(path), "exec", dont_inherit=True)  # no bytecode of a second ago
        exec(code, module.__dict__)
        return module

    yield make
    for name in names:
        sys.modules.pop(name, None)


def change(load: Any, before: str, after: str, name: str = "Scale") -> Change:
    old = reach.of_class(getattr(load(before), name))
    return compare(old, reach.of_class(getattr(load(after), name)))


def test_what_counts(load: Any) -> None:
    found = reach.of_class(load(SOURCE).Scale)
    assert set(found.units) == {
        "Scale", "Scale.__init__", "Scale.build", "Scale.call", "Scale._scaled", "Scale.factor", "Base", "Base.finish",
        "helper", "deeper", "SCALE", "TABLE",
    }  # fmt: skip
    assert not found.unknown
    assert not found.outside


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("* self.units", "* (self.units + 1)", "Scale.build"),
        ("math.sin", "math.cos", "Scale.call"),
        ("training=False", "training=True", "Scale.call"),
        ("if training and not", "if training or not", "Scale.call"),
        ('TABLE["b"]', 'TABLE["a"]', "Scale.call"),
        ("** power", "* power", "helper"),
        ("power=2", "power=3", "helper"),
        ("x + SCALE", "x - SCALE", "deeper"),
        ("SCALE = 2.0", "SCALE = 2.5", "SCALE"),
        ("SCALE = 2.0", "SCALE = 2", "SCALE"),
        ("(2, 3)}", "(2, 4)}", "TABLE"),
        ("x * 3", "x * 4", "Base.finish"),
        ("factor = 4\n", "factor = 6\n", "Scale.factor"),
        ("!r}", "!s}", "Scale._scaled"),
        (":>{", ":<{", "Scale._scaled"),
        ("class Scale(Base)", "class Scale(Base, dict)", "Scale"),
    ],
)
def test_a_change_is_found_and_named(load: Any, old: str, new: str, where: str) -> None:
    assert old in SOURCE
    assert change(load, SOURCE, SOURCE.replace(old, new, 1)).changed == (where,)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another\n        # and one more"),
        ('"""A layer."""', '"""A better layer."""\n    pass'),
        ('"""What it does."""', '"""What it did."""'),
        ("units=3, name=None", "units: int = 3,\n        name: 'str | None' = None"),
        ("def build(self, shape):", "def build(self, shape: tuple) -> None:"),
        ("return x - UNUSED", "return x + UNUSED"),
        ("UNUSED = 7", "UNUSED = 8"),
        ("unused_factor = 5", "unused_factor = 6"),
        ('{"units": self.units}', '{"units": self.units, "more": 1}'),
        ("x * 3", "(x\n            * 3)"),
        ('"a": 1', "'a' : 1"),
        ("class Scale(Base):", "import sys\n\nclass Scale(\n    Base,\n):"),
    ],
)
def test_what_changes_nothing_is_no_change(load: Any, old: str, new: str) -> None:
    assert old in SOURCE
    found = change(load, SOURCE, SOURCE.replace(old, new))
    assert not found.any
    assert not found.unknown


def test_every_mutation_of_call_is_found(load: Any) -> None:
    """Each operator, name, attribute, constant and argument of what counts, one at a time."""
    old = reach.of_class(load(SOURCE).Scale)
    mutants = 0
    for mutant in mutations(SOURCE, {"call", "_scaled", "build", "__init__", "helper", "deeper", "finish"}):
        new = reach.of_class(load(mutant).Scale)
        assert compare(old, new).any, mutant
        mutants += 1
    assert mutants > 60


def mutations(text: str, functions: set[str]) -> Iterator[str]:
    """The source with one thing changed inside of one of the functions."""
    swap = {ast.Mult: ast.Add, ast.Add: ast.Sub, ast.Pow: ast.Mult, ast.And: ast.Or, ast.Not: ast.UAdd}
    count = sum(1 for _ in places(ast.parse(text), functions))
    for number in range(count):
        tree = ast.parse(text)
        node = list(places(tree, functions))[number]
        if isinstance(node, ast.Name):
            node.id += "_"
        elif isinstance(node, ast.Attribute):
            node.attr += "_"
        elif isinstance(node, ast.arg):
            node.arg += "_"
        elif isinstance(node, ast.Constant):
            node.value = "else" if isinstance(node.value, str) else not node.value
        elif isinstance(node, (ast.BinOp, ast.BoolOp, ast.UnaryOp)):
            node.op = swap[type(node.op)]()  # type: ignore[assignment]
        yield ast.unparse(tree)


def places(tree: ast.AST, functions: set[str]) -> Iterator[ast.AST]:
    kinds = (ast.Name, ast.Attribute, ast.arg, ast.Constant, ast.BinOp, ast.BoolOp, ast.UnaryOp)
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or function.name not in functions:
            continue
        idle = {id(item.value) for item in function.body if isinstance(item, ast.Expr)}
        for node in ast.walk(function):
            if isinstance(node, kinds) and id(node) not in idle:
                yield node


def test_two_classes_of_one_name_in_one_file(load: Any) -> None:
    """`inspect.getsource` takes the first for both."""
    text = """
        class A:
            def call(self, x):
                return x + 1
        First = A
        class A:
            def call(self, x):
                return x + {}
        """
    before = load(text.format(2))
    first, second = reach.of_class(before.First), reach.of_class(before.A)
    assert compare(first, second).changed == ("A.call",)
    after = load(text.format(3))
    assert not compare(first, reach.of_class(after.First)).any
    assert compare(second, reach.of_class(after.A)).changed == ("A.call",)


def test_captured_constants_count_and_other_captured_things_are_said(load: Any) -> None:
    module = load(
        """
        def make(k, act=None):
            class Scale:
                def call(self, x):
                    return act(x) * k
            return Scale
        def double(x):
            return 2 * x
        """
    )
    two, three = reach.of_class(module.make(2, module.double)), reach.of_class(module.make(3, module.double))
    assert compare(two, three).changed == ("make.<locals>.Scale.call",)
    assert "double" in two.units
    listed = reach.of_class(module.make([1]))
    assert listed.unknown == {"make.<locals>.Scale.call (captured k)": "the value of a list is not recorded"}


def test_lambdas_are_told_apart_by_their_place(load: Any) -> None:
    module = load("a, b = (lambda x: x + 1), (lambda x: x * 2); c = [lambda x: x, lambda y: y(0)]\n")
    prints = [reach.of_function(f) for f in (module.a, module.b, *module.c)]
    assert not any(each.unknown for each in prints)
    assert len({tuple(each.units.values()) for each in prints}) == 4


def test_what_dataclasses_make_is_known_by_its_fields(load: Any) -> None:
    text = """
        import dataclasses
        @dataclasses.dataclass
        class Options:
            k: int = 3
        class Scale:
            def __init__(self):
                self.options = Options()
            def call(self, x):
                return x * self.options.k
        """
    found = change(load, text, text.replace("= 3", "= 4"))
    assert found.changed == ("Options.k",)
    assert not found.unknown


def test_arguments_of_a_partial_count(load: Any) -> None:
    module = load("from functools import partial\ndef act(x, by=1):\n    return x * by\n")
    given = (partial(module.act, by=2), partial(module.act, by=3), module.act)
    two, three, plain = map(reach.of_function, given)
    assert compare(two, three).changed == ("act (arguments)",)
    assert "act" in two.units
    assert not plain.unknown
    assert reach.of_function(partial(module.act, [])).unknown
    assert reach.of_function(len).unknown


def test_a_class_that_takes_a_lambda_as_an_attribute(load: Any) -> None:
    text = "class Scale:\n    act = lambda self, x: x + {0}\n    def call(self, x):\n        return self.act(x)\n"
    assert change(load, text.format(1), text.format(2)).any


def test_decorators_count(load: Any) -> None:
    text = """
        from functools import wraps
        def plain(f):
            @wraps(f)
            def inner(*args):
                return f(*args) + {add}
            return inner
        def bare(f):
            def other(*args):
                return f(*args)
            return other
        class Scale:
            @plain
            def call(self, x):
                return self.more(x) * {by}
            @bare
            def more(self, x):
                return x - {off}
        """
    at = {"add": 1, "by": 2, "off": 3}
    for key, where in {"add": "plain", "by": "Scale.call", "off": "Scale.more"}.items():
        found = change(load, text.format(**at), text.format(**{**at, key: 9}))
        assert any(name.startswith(where) for name in found.changed), (key, found)
        assert not found.unknown


def test_what_has_no_source_is_said(load: Any) -> None:
    space: dict[str, Any] = {"__name__": "mynet"}
    exec("class Scale:\n    def call(self, x):\n        return x\n", space)
    found = reach.of_class(space["Scale"])
    assert found.unknown == {"Scale.call": "no source"}
    assert compare(found, found).unknown
    assert not compare(found, found).any
    module = load("import math\nclass Scale:\n    call = math.sin\n")
    assert "Scale.call" in {**reach.of_class(module.Scale).unknown, **reach.of_class(module.Scale).units}


def test_cells_of_a_notebook_have_source() -> None:
    name = "<ipython-input-1-kwload>"
    text = "class Scale:\n    def call(self, x):\n        return x * K\nK = 3\n"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, name, "exec", dont_inherit=True), space)
    found = reach.of_class(space["Scale"])
    assert not found.unknown
    assert "Scale.call" in found.units
    assert "K" in found.units


def test_a_file_that_was_edited_since_its_import_says_nothing_of_the_code(load: Any) -> None:
    module = load(SOURCE)
    path = Path(str(module.__file__))
    path.write_text(SOURCE.replace("math.sin", "math.cos"))
    found = reach.of_class(module.Scale)
    assert set(found.unknown) == {"Scale.call"}
    assert "edited" in found.unknown["Scale.call"]


def test_helpers_in_other_modules_of_the_project_count(load: Any) -> None:
    user = "import helpers\nfrom helpers import act, K\nclass Scale:\n    def call(self, x):\n        return act(x)"
    user += " + helpers.more(x) * K\n"
    other = "K = 3\ndef act(x):\n    return x + 1\ndef more(x):\n    return x + 2\ndef idle(x):\n    return x\n"
    prints = []
    for text in (other, other.replace("+ 1", "- 1"), other.replace("+ 2", "- 2"), other.replace("= 3", "= 4")):
        load(text, "helpers")
        prints.append(reach.of_class(load(user).Scale))
    assert set(prints[0].units) == {"Scale", "Scale.call", "act", "more", "K"}
    assert [compare(prints[0], each).changed for each in prints[1:]] == [("act",), ("more",), ("K",)]


def test_nothing_is_run_to_look(load: Any) -> None:
    module = load(
        """
        class Loud(type):
            def __getattr__(cls, name):
                raise SystemExit(name)
        class Thing:
            def __getattr__(self, name):
                raise SystemExit(name)
            @property
            def __wrapped__(self):
                raise SystemExit
        THING = Thing()
        class Scale(metaclass=Loud):
            thing = THING
            @property
            def value(self):
                raise SystemExit
            def call(self, x):
                return self.thing(x) + THING.value + self.value
        """
    )
    found = reach.of_class(module.Scale)
    assert {"Scale.call", "Scale.value", "Scale.thing", "THING"} <= set(found.units)


def test_versions_of_the_algorithm_are_not_compared() -> None:
    old, new = Fingerprint("A", "m", {"A.call": "1"}, algorithm="0"), Fingerprint("A", "m", {"A.call": "2"})
    assert not compare(old, new).any
    assert compare(old, new).unknown


def test_a_renamed_class_is_compared_as_if_it_was_not(load: Any) -> None:
    old = reach.of_class(load(SOURCE).Scale)
    new = reach.of_class(load(SOURCE.replace("Scale", "Scaling")).Scaling)
    assert not compare(old, new).any


def test_names_follow_the_scopes_of_python() -> None:
    text = """
    def f(a, *args, b=outer_default, **kw):
        import os.path as op
        from .other import thing as it
        global counter
        counter = [inner for inner in a if inner in limits]
        def g(c):
            nonlocal kw
            return c + a + free.attr.more
        with open(a) as handle, lock:
            pass
        try:
            getattr(a, "hidden"), getattr(a, b)
        except (KeyError, Special) as error:
            del error
        match a:
            case {"x": y, **rest}:
                return [(lambda z: z + y)(rest), op.join, it.part, counter]
        return super().call(handle)
    """
    found = reads(ast.parse(textwrap.dedent(text)).body)
    names = {chain[0] for chain in found.chains}
    assert names == {
        "outer_default", "limits", "free", "open", "lock", "getattr", "KeyError", "Special", "op", "it", "counter",
        "super",
    }  # fmt: skip
    assert ("free", "attr", "more") in found.chains
    assert found.imports == {"op": ("os.path", 0, None), "it": ("other", 1, "thing")}
    assert "hidden" in found.attributes
    assert found.supers == {"call"}
    assert found.computed


def functions(folder: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))]


def test_reformatting_keeps_the_form_of_real_code() -> None:
    """`ast.unparse` writes code in another layout: here all of kwload itself."""
    for text in functions(Path(reach.__file__).parent.parent):
        for node in ast.parse(text).body:
            again = ast.parse(ast.unparse(node)).body[0]
            assert canonical.form(again) == canonical.form(node)


@given(st.text(), st.binary(), st.floats(allow_nan=False), st.integers())
@settings(max_examples=50, deadline=None)
def test_constants_keep_their_form(text: str, data: bytes, number: float, count: int) -> None:
    values = (text, data, number, count, -count, None, ..., True)
    forms = [canonical.form(ast.parse(repr(value), mode="eval").body) for value in values]
    assert forms[0] == ascii(text)
    assert all(form.isascii() for form in forms)


FORMS = {
    'f"a{x}b" "c"': "(JoinedStr values:['a' (FormattedValue value:(Name id:x)) 'bc'])",
    'f"{x!r:>{w}}"': "(JoinedStr values:[(FormattedValue conversion:114 format_spec:(JoinedStr values:['>' "
    "(FormattedValue value:(Name id:w))]) value:(Name id:x))])",
    'f"{x:}"': "(JoinedStr values:[(FormattedValue value:(Name id:x))])",
    '"a" "b" f""': "'ab'",
    "u'a'": "'a'",
    "{**a, 'b': -1}": "(Dict keys:[~ 'b'] values:[(Name id:a) (UnaryOp op:(USub) operand:1)])",
    "x[1:, ...]": "(Subscript slice:(Tuple elts:[(Slice lower:1) Ellipsis]) value:(Name id:x))",
    "'\\u2603\\ud800'": "'\\u2603\\ud800'",
}


@pytest.mark.parametrize("text", FORMS)
def test_the_form_is_this(text: str) -> None:
    """It may not change without a new version of the algorithm: stamps hold its digests."""
    assert canonical.form(ast.parse(text, mode="eval").body) == FORMS[text]


def test_the_fingerprint_is_this(load: Any) -> None:
    """As above, of a whole class: the same on every Python."""
    assert canonical.digest(repr(sorted(reach.of_class(load(SOURCE).Scale).units.items()))) == GOLDEN


GOLDEN = "4fcd8617db8894450ccfbafff5a4b24e"


def test_other_pythons_find_the_same(tmp_path: Path) -> None:
    """Python 3.12 and 3.13, where they are installed, see what this one sees."""
    (tmp_path / "mynet.py").write_text(SOURCE)
    script = "import mynet; from kwload.stamps import reach; print(sorted(reach.of_class(mynet.Scale).units.items()))"
    root = str(Path(reach.__file__).parent.parent.parent)
    said = {}
    for version in ("3.11", "3.12", "3.13"):
        # pyenv puts a script of each name in front, which asks the environment for the version.
        env = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": root, "PYENV_VERSION": version}
        command = [f"python{version}", "-B", "-c", script]
        if shutil.which(command[0]) is None:
            continue
        done = subprocess.run(command, check=False, cwd=tmp_path, env=env, capture_output=True, text=True)
        if done.returncode == 0:
            said[version] = done.stdout
    if len(said) < 2:
        pytest.skip("one Python only")
    assert len(set(said.values())) == 1


LIVELY = """
import operator
from dataclasses import dataclass, field
from math import sin as act
import numpy as np

HIGH = True
TABLE = {"a": 1}
TABLE["b"] = 2
TABLE.update(c=3)
if HIGH:
    LEVEL = 3
else:
    LEVEL = 4
KNOWN = {}

def known(function):
    KNOWN[function.__name__] = function
    return function

@known
def twice(x):
    return x * 2

class Made(type):
    def __call__(cls, *args):
        made = super().__call__(*args)
        made.made = 5
        return made

class Base:
    def call(self, x):
        return x * 7

    def reached(self, x):
        return x * 6

    def also(self, x):
        return x * 11

@dataclass
class Config:
    rates: list = field(default_factory=lambda: [8])

class Scale(Base, metaclass=Made):
    function = staticmethod(np.tanh)
    late = 0

    def call(self, x):
        above = super()
        x = above.call(x) + act(x) + self.function(x) + TABLE["a"] + LEVEL + KNOWN["twice"](x) + self.late
        return x * Config().rates[0] + getattr(super(), "reached")(x) + operator.methodcaller("also", x)(self)

    def reached(self, x):
        return x

Scale.late = 9
"""


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("sin as act", "cos as act", "act"),
        ("np.tanh", "np.sinh", "Scale.function"),
        ('TABLE["b"] = 2', 'TABLE["b"] = 1', "TABLE"),
        ("update(c=3)", "update(c=4)", "TABLE"),
        ("if HIGH", "if not HIGH", "LEVEL"),
        ("x * 2", "x * 3", "twice"),
        ("made = 5", "made = 6", "Made.__call__"),
        ("x * 7", "x * 1", "Base.call"),
        ("x * 6", "x * 1", "Base.reached"),
        ("x * 11", "x * 1", "Base.also"),
        ("[8]", "[1]", "Config"),
        ("late = 9", "late = 1", "Scale.late"),
    ],
)
def test_what_is_decided_elsewhere_counts(load: Any, old: str, new: str, where: str) -> None:
    """Imports under another name, what statements further down change, registries, conditions, metaclasses."""
    assert old in LIVELY
    assert where in change(load, LIVELY, LIVELY.replace(old, new, 1)).changed


def test_how_a_module_is_imported_is_no_change(load: Any) -> None:
    before = "import os.path as where\nclass Scale:\n    def call(self, x):\n        return where.join(x)\n"
    assert change(load, before, before.replace("import os.path as", "from os import path as")) == Change()
    other = change(load, before, before.replace("import os.path as", "from os import sys as"))
    assert other.changed == ("where",)


def test_tables_of_other_modules_of_the_project_count(load: Any) -> None:
    def made(value: int, how: str) -> Fingerprint:
        load(f"TABLE = [{value}]\nSPARE = 1\n", "deep")
        load("from deep import TABLE\n", "helpers")
        load(f"{how}\nclass Scale:\n    def call(self, x):\n        return x * TABLE[0]\n")
        return reach.of_class(sys.modules["mynet"].Scale)

    for how in ("from helpers import TABLE", "from helpers import *"):
        assert compare(made(1, how), made(2, how)).changed == ("TABLE",)
        assert compare(made(1, how), made(1, how)) == Change()


def test_a_list_of_another_cell_is_not_known() -> None:
    cells = {"<cell 1>": "TABLE = [1]\n", "<cell 2>": "class Scale:\n    def call(self, x):\n        return TABLE[0]\n"}
    module = ModuleType("notebook_of_two_cells")
    sys.modules[module.__name__] = module
    try:
        for name, text in cells.items():
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            exec(compile(text, name, "exec"), vars(module))
        assert dict(reach.of_class(module.Scale).unknown) == {"TABLE": "the value of a list is not recorded"}
    finally:
        sys.modules.pop(module.__name__)
