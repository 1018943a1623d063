"""Fingerprints of code that decides as it runs: it is followed, or it is said that it was not. Without Keras."""

from __future__ import annotations

import ast
import importlib.util
import linecache
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from kwload.stamps import reach
from kwload.stamps.fingerprint import Change, Fingerprint, compare
from kwload.stamps.names import reads


class Files:
    """Modules of a project that is one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []

    def load(self, text: str, name: str = "mynet") -> ModuleType:
        """Imports a text as a module of this name, as if its file had just been edited."""
        path = self.folder / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
        linecache.clearcache()
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        self.names.append(name)
        exec(compile(path.read_text(), str(path), "exec", dont_inherit=True), module.__dict__)
        return module

    def seen(self, text: str) -> Fingerprint:
        return reach.of_class(self.load(text).Scale)

    def change(self, before: str, after: str) -> Change:
        return compare(self.seen(before), self.seen(after))


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    made = Files(tmp_path)
    yield made
    for name in made.names:
        sys.modules.pop(name, None)


def scale(expression: str, above: str = "", inside: str = "") -> str:
    """A class whose `call` computes this."""
    members = textwrap.indent(textwrap.dedent(inside), "    ")
    return f"{textwrap.dedent(above)}\nclass Scale:\n    def call(self, x):\n        return {expression}\n{members}\n"


HELPER = "def act(x):\n    return x + 1\n"


@pytest.mark.parametrize(
    "expression",
    [
        'globals()["act"](x)',
        'globals().get("act")(x)',
        'getattr(helpers, "act")(x)',
        'getattr(helpers, "act", None)(x)',
        'vars(helpers)["act"](x)',
        'helpers.__dict__["act"](x)',
    ],
)
def test_a_name_that_is_written_as_a_text_is_followed(files: Files, expression: str) -> None:
    above = "import helpers\nfrom helpers import act\n"
    found = []
    for text in (HELPER, HELPER.replace("+ 1", "+ 2")):
        files.load(text, "helpers")
        found.append(files.seen(scale(expression, above)))
    assert compare(*found) == Change(changed=("act",))


@pytest.mark.parametrize(
    "expression",
    [
        'vars(type(self))["_more"](self, x)',
        'type(self).__dict__["_more"](self, x)',
        'vars(type(self))[self.kind](self, x)',
        "type(self).__dict__[self.kind](self, x)",
        "dict(inspect.getmembers(self))[self.kind](x)",
        "object.__getattribute__(self, self.kind)(x)",
        "operator.methodcaller(self.kind, x)(self)",
    ],
)  # fmt: skip
def test_methods_that_are_reached_by_a_name_count(files: Files, expression: str) -> None:
    text = scale(expression, "import inspect, operator", "def _more(self, x):\n    return x + 1\n")
    assert files.change(text, text.replace("+ 1", "+ 2")) == Change(changed=("Scale._more",))


@pytest.mark.parametrize(
    ("expression", "what", "why"),
    [
        ("globals()[self.kind](x)", "Scale.call (globals())", "decided as it runs"),
        ("getattr(helpers, self.kind)(x)", "helpers", "which of its names"),
        ("vars(helpers)[self.kind](x)", "helpers", "which of its names"),
        ("helpers.__dict__[self.kind](x)", "helpers", "which of its names"),
        ("pick(helpers, self.kind)(x)", "helpers", "which of its names"),
        ("sys.modules[self.kind].act(x)", "Scale.call (sys.modules)", "decided as it runs"),
        ("importlib.import_module(self.kind).act(x)", "Scale.call (import_module())", "decided as it runs"),
        ("importlib.import_module('helpers').act(x)", "Scale.call (import_module())", "decided as it runs"),
        ("eval('x + 1')", "Scale.call (eval())", "made as it runs"),
        ("helpers.gone(x)", "helpers.gone", "not there"),
        ("gone(x)", "Scale.call (gone)", "not there"),
        ("np.load('t.npy') * x", "Scale.call (load())", "a file"),
        ("json.load(open('t.json')) * x", "Scale.call (open())", "a file"),
        ("Path('t.txt').read_text()", "Scale.call (read_text())", "a file"),
        ("float(os.environ['SCALE']) * x", "Scale.call (environ)", "the environment"),
        ("TABLE * x", "TABLE (load())", "a file"),
        ("helpers.table(x)", "table (open())", "a file"),
    ],
)
def test_what_is_decided_as_it_runs_is_said(files: Files, expression: str, what: str, why: str) -> None:
    files.load(HELPER + "def table(x):\n    with open('t') as file:\n        return x + len(file.read())\n", "helpers")
    above = """
        import importlib, json, os, sys, helpers
        from pathlib import Path
        import numpy as np
        if False:
            TABLE = np.load("t.npy")
        TABLE = 1
        def pick(module, name):
            return getattr(module, name)
        """
    text = scale(expression, above)
    found = files.seen(text)
    assert what in found.unknown
    assert why in found.unknown[what]
    assert not compare(found, files.seen(text)).any


@pytest.mark.parametrize(
    "expression",
    [
        "self.load(x) + self.open(x)",
        "helpers.load(x) + load(x)",
        "getattr(math, self.kind)(x)",
        "importlib.import_module('math').sin(x)",
        "[x for k in range(3) if (y := k)] + [y]",
        "__name__ + str(math.pi)",
        "TABLE['a'] + KIND + LIMITS[0] + MODE.value + FROZEN.rate",
    ],
)
def test_what_decides_nothing_elsewhere_is_not_said(files: Files, expression: str) -> None:
    files.load("def load(x):\n    return x\n", "helpers")
    above = """
        import enum, dataclasses, importlib, math, helpers
        from helpers import load
        TABLE = {"a": 1, "b": [1, {2}, None]}
        KIND: int = -3
        A, B = LIMITS = (1, 2)
        class Mode(enum.Enum):
            FAST = 1
        @dataclasses.dataclass(frozen=True)
        class Frozen:
            rate: int = 3
        MODE, FROZEN = Mode.FAST, Frozen()
        """
    inside = """
        def load(self, x):
            return x
        def open(self, x):
            return x
        """
    assert not files.seen(scale(expression, above, inside)).unknown


SET = """
    SCALE = 1
    TABLE = {"a": 1}
    ITEMS = []
    FUNCTIONS = {}
    def set_scale(to):
        global SCALE
        SCALE = to
    def reads_only():
        global KEPT
        return KEPT
    def set_table(to):
        TABLE["a"] = to
    def fill(to):
        TABLE = [to]
        ITEMS = TABLE
        ITEMS.append(to)
        return ITEMS
    def known(function):
        FUNCTIONS[function.__name__] = function
        return function
    @known
    def twice(x):
        return 2 * x
    KEPT = 3
    """


@pytest.mark.parametrize(
    ("name", "said"), [("SCALE", True), ("TABLE", True), ("ITEMS", False), ("KEPT", False), ("FUNCTIONS", False)]
)
def test_what_functions_of_the_module_set_is_said(files: Files, name: str, said: bool) -> None:
    found = files.seen(scale(f"{name}", SET))
    assert (name in found.unknown) == said
    assert name in found.units


@pytest.mark.parametrize(
    ("name", "how"),
    [("SCALE", "helpers.SCALE = 5"), ("TABLE", "helpers.TABLE['a'] = 5"), ("CONFIG", "helpers.CONFIG.rate = 5")],
)
def test_what_another_module_set_is_said(files: Files, name: str, how: str) -> None:
    text = "class Config:\n    rate = 1\nSCALE = 1\nTABLE = {'a': 1}\nCONFIG = Config()\n"
    user = "import helpers\n{}\n" + scale("helpers.SCALE + helpers.TABLE['a'] + helpers.CONFIG.rate")
    files.load(text, "helpers")
    assert not files.seen(user.format("")).unknown
    found = files.seen(user.format(how))
    assert list(found.unknown) == [name]


def test_an_attribute_of_a_class_that_was_set_later_is_said(files: Files) -> None:
    module = files.load(scale("x * self.rate", inside="rate = 1\n"))
    assert not reach.of_class(module.Scale).unknown
    module.Scale.rate = 2
    assert reach.of_class(module.Scale).unknown == {"Scale.rate": "it was set to another value after its statement ran"}


DISPATCH = """
    from functools import singledispatch, singledispatchmethod
    @singledispatch
    def act(x):
        return x
    @act.register
    def _(x: int):
        return x + 1
    @act.register
    def _(x: float):
        return x + 2
    class Tool:
        @singledispatchmethod
        def run(self, x):
            return x
        @run.register
        def _(self, x: int):
            return x + 3
    """


@pytest.mark.parametrize(
    ("old", "new"),
    [("+ 1", "+ 9"), ("+ 2", "+ 9"), ("+ 3", "+ 9"), ("def _(x: int)", "def _(x: bool)"), ("@act.register\n", "\n")],
)
def test_implementations_that_are_registered_count(files: Files, old: str, new: str) -> None:
    for above, expression in (
        (DISPATCH, "act(Tool().run(x))"),
        ("from helpers import act, Tool", "act(Tool().run(x))"),
    ):
        found = []
        for text in (DISPATCH, DISPATCH.replace(old, new, 1)):
            files.load(text, "helpers")
            found.append(files.seen(scale(expression, text if above == DISPATCH else above)))
        assert compare(*found).any
        assert not compare(*found).unknown


def test_the_order_in_which_they_are_registered_does_not_count(files: Files) -> None:
    parts = textwrap.dedent(DISPATCH).split("@act.register\n")
    tail = parts[2].partition("class Tool")
    swapped = "@act.register\n".join([parts[0], tail[0], parts[1] + tail[1] + tail[2]])
    text = textwrap.dedent(DISPATCH)
    assert files.change(text + scale("act(x)"), swapped + scale("act(x)")) == Change()


def test_what_a_module_makes_on_demand_counts(files: Files) -> None:
    text = "_MADE = {{}}\ndef __getattr__(name):\n    return lambda x: x + {}\n"
    found = []
    for by in (1, 2):
        files.load(text.format(by), "helpers")
        found.append(files.seen(scale("helpers.act(x)", "import helpers")))
    assert compare(*found).changed == ("__getattr__",)
    assert not compare(*found).unknown


def test_wrappers_of_the_language_around_imported_functions_are_looked_behind(files: Files) -> None:
    text = "import contextlib\n@contextlib.contextmanager\ndef act(x):\n    yield x + {}\n"
    found = []
    for by in (1, 2):
        files.load(text.format(by), "helpers")
        found.append(files.seen(scale("act(x)", "from helpers import act")))
    assert compare(*found) == Change(changed=("act",))


def test_a_notebook_and_the_modules_that_it_imports(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """`__main__` has no file there; what is not installed is the project."""
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    files.load(HELPER, "helpers")
    files.load("", "lib")
    files.load(HELPER.replace("act", "more"), "lib.deep")
    for number, cell in enumerate(("import helpers as h\nfrom lib.deep import more\n", scale("h.act(x) + more(x)"))):
        name = f"<cell {number}>"
        linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
        exec(compile(cell, name, "exec", dont_inherit=True), vars(main))
    found = reach.of_class(vars(main)["Scale"])
    assert {"act", "more"} <= set(found.units)
    assert not found.unknown
    assert not found.outside


def test_packages_below_a_script_are_of_the_project(files: Files) -> None:
    files.load("", "lib")
    found = []
    for text in (HELPER, HELPER.replace("+ 1", "+ 2")):
        files.load(text, "lib.deep")
        found.append(files.seen(scale("act(x)", "from lib.deep import act")))
    assert compare(*found) == Change(changed=("act",))


def test_what_is_neither_installed_nor_of_the_project_is_said(files: Files, tmp_path: Path) -> None:
    files.folder = tmp_path / "site-packages"
    files.load(HELPER, "installed")
    files.folder = tmp_path / "elsewhere"
    files.load(HELPER, "other")
    files.folder = tmp_path / "here"
    found = files.seen(scale("installed.act(x) + other.act(x)", "import installed, other"))
    assert found.outside == ("installed.act",)
    assert list(found.unknown) == ["other.act"]


def test_another_version_of_an_installed_package_is_said(files: Files, tmp_path: Path) -> None:
    found = []
    for version in ("1.0", "1.0", "1.1"):
        files.folder = tmp_path / "site-packages"
        files.load(f"__version__ = '{version}'\n{HELPER}", "installed")
        files.folder = tmp_path
        found.append(files.seen(scale("installed.act(x)", "import installed")))
    assert found[0].outside == ("installed.act 1.0",)
    assert compare(found[0], found[1]) == Change()
    why = "version 1.0 was installed when the stamp was made, and 1.1 is now"
    assert compare(found[0], found[2]) == Change(unknown={"installed": why})


def test_names_that_are_read_around_a_function_are_not_looked_for_in_the_module(files: Files) -> None:
    above = """
        import helpers as rate
        if rate is None:
            import torch
        def keep(to):
            return lambda function: function
        def made(local):
            @keep(local)
            def inner(x):
                return x
            return inner
        act = made(3)
        """
    inside = """
        @property
        def rate(self):
            return 3
        @rate.setter
        def rate(self, to):
            torch.set(to)
        """
    files.load(HELPER, "helpers")
    assert not files.seen(scale("act(x) + self.rate", above, inside)).unknown


def test_reads_tell_what_cannot_be_followed() -> None:
    text = """
    def f(self, path, name, *more):
        globals()["there"], vars(name)["attribute"], locals()["own"], name.get("key")
        globals(), eval(name), path.open(), self.open(), np.load(path), path.load(), json.loads(name)
    """
    found = reads(ast.parse(textwrap.dedent(text)).body)
    assert ("there",) in found.chains
    assert "attribute" in found.attributes
    assert set(found.obscure) == {"globals()", "eval()"}
    assert set(found.files) == {("", "open"), ("np", "load")}
    assert not found.computed


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters have a syntax since Python 3.12")
def test_type_parameters_are_no_names_of_the_module() -> None:
    found = reads(ast.parse("def f[T](x: T):\n    return T\nclass C[S]:\n    kind = S\n").body)
    assert not found.chains
