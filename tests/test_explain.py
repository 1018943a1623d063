"""``explain``: a page for each code; the true cause first for what Keras, h5py and TensorFlow really say."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import kwload
from kwload import cli
from kwload.explaining import page
from kwload.explaining.explain import Diagnosis, diagnose
from kwload.report.codes import CATALOGUE

ROOT = Path(__file__).parent.parent
each_code = pytest.mark.parametrize("number", CATALOGUE)


def run(*args: str, piped: bytes | None = None) -> Result:
    return CliRunner().invoke(cli.main, ["explain", *args], input=piped, catch_exceptions=False)


def first(text: str) -> str | None:
    made = diagnose(text)
    assert made.known, text
    return made.causes[0].code


# --- pages


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {path.name for path in page.PAGES.iterdir()} == {f"{entry.code}.txt" for entry in CATALOGUE.values()}


@each_code
def test_a_page_is_complete_and_fits_a_terminal(number: int) -> None:
    made = page.page_of(number)
    lines = str(made).split("\n")
    assert 20 <= len(lines) <= 56
    example = made.sections["Example"].split("\n")
    assert all(len(line) <= 100 for line in lines if line.strip() not in {one.strip() for one in example})
    assert example[0].split()[0].endswith(f"[{made.code}]")
    assert all(len(text) >= 20 for name, text in made.sections.items() if name != "See also")
    related = made.sections["See also"].split()
    assert related and made.code not in related and {int(code[2:]) for code in related} <= set(CATALOGUE)
    assert len(made.line) <= 75 and made.meaning not in (page.PAGES / f"{made.code}.txt").read_text()


@each_code
def test_a_code_is_found_by_number_and_by_slug(number: int) -> None:
    entry = CATALOGUE[number]
    asked = (entry.code, entry.code.lower(), f" {number} ", entry.slug, entry.slug.upper(), f"error[{entry.code}] x")
    for topic in (*asked, entry.slug.replace("-", "_")):
        made = kwload.explain(topic)
        assert isinstance(made, page.Page) and made.code == entry.code, topic


def test_the_list_has_every_code_once() -> None:
    text = str(kwload.explain())
    assert re.findall(r"KW\d{3}  ", text) == [f"{entry.code}  " for entry in sorted(CATALOGUE.values(), key=_number)]
    assert max(map(len, text.split("\n"))) <= 110
    assert str(kwload.explain("")) == text == run().output.rstrip("\n")


def _number(entry: object) -> int:
    return int(getattr(entry, "number"))  # noqa: B009


def test_several_pages_and_a_pasted_report() -> None:
    both = run("307", "transposed")
    assert both.exit_code == 0
    assert "\nKW307 shape-mismatch: " in both.output and "\nKW308 transposed: " in both.output
    report = "w.h5: 0 of 4 variables match; 2 errors\n  error[KW307] shape-mismatch: x\n  error[KW301] missing: y"
    assert str(kwload.explain(report)).startswith("KW307 shape-mismatch, KW301 missing")


def test_a_notebook_shows_it_escaped() -> None:
    hostile = "Layer '<img/src=x>' expected 2 variables, but received 0 variables"
    for made in (kwload.explain("KW307"), kwload.explain(), kwload.explain(hostile)):
        shown = made._repr_html_()  # type: ignore[attr-defined]
        assert "<img" not in shown and shown.count("<div") == shown.count("</div>") == 1
    assert "&lt;img/src=x&gt;" in shown


# --- texts

RAISES = re.findall(
    r'X\((\w+), "\w+",\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)',
    (ROOT / "csrc" / "plan" / "rules.h").read_text().replace("\\\n", ""),
)


def test_every_text_that_the_core_foresees_is_recognised() -> None:
    texts = {name: "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', parts)) for name, parts in RAISES}
    assert len(texts) > 25
    for name, text in texts.items():
        if text:
            assert diagnose(text).known, (name, text)


QUOTED = [
    (text.strip(), None if code == "-" else code, words)
    for code, words, text in re.findall(
        r"^## (\S+) \| (.+)\n((?:(?!## ).*\n?)+)", (ROOT / "tests" / "quoted_errors.txt").read_text(), re.MULTILINE
    )
]


@pytest.mark.parametrize(("text", "code", "words"), QUOTED, ids=range(len(QUOTED)))
def test_what_threads_quote_is_explained(text: str, code: str | None, words: str) -> None:
    assert first(text) == code
    made = diagnose(text)
    flat = " ".join(str(made).split())
    assert words in flat
    assert "{" not in re.sub(r"custom_objects=\{[^}]*\}", "", flat), "a place was not filled in"


LONG = (
    "ValueError: Shape mismatch in layer #3 (named block_1)for weight net/block_1/kernel. Weight expects shape (64, "
    "10). Received saved weight with shape (64, 25)"
)
MANY = (
    "A total of 2 objects could not be loaded. Example error message for object <Dense name=d, built=True>:\n\nLayer "
    "'d' expected 2 variables, but received 3 variables during loading. Expected: ['kernel', 'bias']\n\nList of "
    "objects that could not be loaded:\n[<Dense name=d, built=True>, <Dense name=e, built=True>]"
)
DISGUISES = {
    "lines of 37": lambda text: "\n".join(text[i : i + 37] for i in range(0, len(text), 37)),
    "wrapped": lambda text: textwrap.fill(text, 50),
    "windows": lambda text: text.replace("\n", "\r\n"),
    "mail": lambda text: "\n".join(f"> {line}" for line in textwrap.wrap(text, 60)),
    "pytest": lambda text: "\n".join(f"E       {line}" for line in textwrap.wrap(text, 60)),
    "rich": lambda text: "╭─ Traceback ─╮\n" + "\n".join(f"│ {line:<60} │" for line in textwrap.wrap(text, 60)),
    "colours": lambda text: "\x1b[31m" + text.replace(" ", "\x1b[0m \x1b[1;31m") + "\x1b[0m",
    "colours without the escape": lambda text: "[0;31m" + text.replace(": ", "[0m: ") + "[0m",
    "html": lambda text: f"<span class='ansi-red-fg'>{html.escape(text)}</span>",
    "curly": lambda text: text.replace("'", "\u2019").replace('"', "\u201c"),
    "backquotes": lambda text: text.replace("'", "`"),
    "json": lambda text: json.dumps({"error": text}),
    "repr": repr,
    "lower": str.lower,
    "traceback": lambda text: (
        'Traceback (most recent call last):\n  File "/usr/lib/python3/site-packages/keras/src/legacy/saving/'
        f'legacy_h5_format.py", line 391, in load_weights_from_hdf5_group\n    raise ValueError(\n{text}\n\nDuring '
        "handling of the above exception, another exception occurred:\nSystemExit: 1"
    ),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_paste_is_recognised_however_it_looks(disguise: str) -> None:
    shown = DISGUISES[disguise](LONG)
    made = diagnose(shown)
    assert first(shown) == "KW307"
    assert "net/block_1/kernel` has the shape (64, 10) in the model and (64, 25) in the file" in made.says
    shown = DISGUISES[disguise](MANY)
    assert first(shown) == "KW315"
    assert diagnose(shown).says == "`d` has 2 variables, the file has 3 for it."


@pytest.mark.parametrize("text", [LONG, MANY])
def test_a_paste_that_is_cut_off_is_still_recognised(text: str) -> None:
    for end in range(34, len(text)):
        made = diagnose(text[:end])
        assert made.known, text[:end]
        assert "{" not in str(made)


def test_the_error_itself_comes_before_what_wraps_or_accompanies_it() -> None:
    optimizer = next(text for text, code, _ in QUOTED if code == "KW316")
    made = diagnose(f"{optimizer}\n{LONG}\n{optimizer}")
    assert made.causes[0].code == "KW307"
    assert made.also == ("A warning: the weights are loaded, the state of the optimizer `adam` is not.",)


PATHS = [
    ("model.load_weights('my weights.h5')\n{}", "'my weights.h5'"),
    ('File "train.py", line 3\n    model.load_weights("runs/1/best.weights.h5")\n{}', "runs/1/best.weights.h5"),
    (
        "[Errno 2] Unable to synchronously open file (unable to open file: name = '/data/ü/w.h5', errno = 2, error",
        "'/data/ü/w.h5'",
    ),
    ("ValueError: File not found: filepath=C:\\models\\m.keras. Please ensure the file is", "'C:\\models\\m.keras'"),
    ("loading /mnt/a/model.weights.h5 ...\n{}", "/mnt/a/model.weights.h5"),
    ("Downloading data from https://example.org/vgg16_weights.h5\n{}", "FILE"),
    ("KeyError: \"There is no item named 'model.weights.h5' in the archive\"", "FILE"),
    ("legacy V1/V2 `.h5` files, `.weights.h5` files\n{}", "FILE"),
    ("load_weights('-rf.h5')\n{}", "./-rf.h5"),
    ("load_weights('a\x07;rm -rf.h5')\n{}", "FILE"),
    ("load_weights('$(reboot).h5')\n{}", "'$(reboot).h5'"),
]


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("Layer 'key' expected 2 variables, but received 0 variables during loading.", "KW307", 0),
        (
            "A total of 1 objects could not be loaded. Layer 'z' expected 2 variables, but received 0 variables",
            "KW305",
            1,
        ),
        (
            "Layer count mismatch when loading weights from file. Model expected 4 layers, found 3 saved layers.",
            "KW305",
            1,
        ),
        (
            "Weight count mismatch for layer #0 (named x). Layer expects 2 weight(s). Received 4 saved weight(s)",
            "KW325",
            1,
        ),
        (
            "Weight count mismatch for layer #0 (named x). Layer expects 3 weight(s). Received 1 saved weight(s)",
            "KW325",
            0,
        ),
    ],
)
def test_what_check_would_name_is_among_the_causes(text: str, code: str, place: int) -> None:
    said = re.findall(r"KW\d{3}", str(kwload.explain(text)))
    assert list(dict.fromkeys(said))[place] == code


@pytest.mark.parametrize(("text", "shown"), PATHS, ids=range(len(PATHS)))
def test_the_file_of_the_message_is_in_the_commands(text: str, shown: str) -> None:
    made = diagnose(text.format("OSError: Unable to open file (file signature not found)"))
    commands = [line for cause in made.causes for line in cause.do]
    assert any(line.split("  #")[0] in (f"kwload inspect {shown}", f"ls -l {shown}") for line in commands), commands


def test_the_suffix_in_the_message_decides_between_causes() -> None:
    none = "A total of 1 objects could not be loaded. Layer 'x' expected 2 variables, but received 0 variables during"
    assert first(none) == "KW301"
    assert first(none.replace("1 objects", "4 objects")) == "KW206"
    inside = [
        cause.code for cause in diagnose(f"load_weights('m.keras')\n{none.replace('1 objects', '4 objects')}").causes
    ]
    assert inside[0] == "KW301" and "KW206" not in inside


@pytest.mark.parametrize(
    "text", ["hello", "ValueError", "Layer", "a total waste", "KeyError: 'dense'", "\x00\ud800", "?" * 50]
)
def test_what_is_not_known_is_said_so(text: str) -> None:
    made = kwload.explain(text)
    assert isinstance(made, Diagnosis) and not made.known and not made.causes
    assert "not one that kwload knows" in str(made) and "kwload inspect FILE" in str(made)


def test_an_exception_can_be_explained_as_it_is() -> None:
    error = OSError("Unable to synchronously open file (file signature not found)")
    assert str(kwload.explain(error)) == str(kwload.explain(f"OSError: {error}"))


PIECES = st.sampled_from(
    [LONG, MANY, *(text for text, _, _ in QUOTED), "Layer '", "'", "(", "filepath=", "name = '", " " * 999]
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text()), max_size=6).map("".join)))
def test_any_text_has_an_answer(text: str) -> None:
    made = kwload.explain(text)
    shown = str(made)
    assert shown and all(line.isprintable() for line in shown.split("\n"))
    assert made._repr_html_()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "piece",
    [
        "Layer '",
        "a",
        " ",
        "' ",
        "filepath=",
        "name = '",
        "x.h5 ",
        "(" * 9,
        "[0m",
        "\\n",
        "<a ",
        "&lt;",
        "> ",
        "\n",
        "Layer 'x' expected ",
        "1,",
        "GRU(reset_after=",
    ],
)
def test_a_megabyte_does_not_hang(piece: str) -> None:
    """No pattern looks at all places again from each place: that would take hours, whatever the machine."""
    text = piece * (1_000_000 // len(piece)) + "expected 2 variables, but received 0 variables"
    started = time.process_time()
    kwload.explain(text)
    assert time.process_time() - started < 30


# --- the command


def test_a_traceback_is_piped() -> None:
    done = run("-", piped=f"\x1b[31m{LONG}\x1b[0m\n".encode() + b"\xff\xfe")
    assert done.exit_code == 0
    assert "(64, 25) in the file" in done.output and "kwload explain KW307" in done.output
    assert json.loads(run("-", "--json", piped=LONG.encode()).output)["causes"][0]["code"] == "KW307"


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["KW307"], 0, "KW307 shape-mismatch"),
        (["axes", "don't", "match", "array"], 0, "Keras 2 transposes"),
        (["nobody knows this"], 1, "not one that kwload knows"),
        (["KW999"], 2, "no code 'KW999'"),
        (["shape-mismach"], 2, "did you mean shape-mismatch"),
        (["KW307", "KW399"], 2, "no code 'KW399'"),
    ],
)
def test_what_the_command_ends_with(words: list[str], status: int, says: str) -> None:
    done = run(*words)
    assert done.exit_code == status
    assert says in " ".join(done.output.replace("│", " ").split())


def test_nothing_piped_is_a_usage_error() -> None:
    assert run("-", piped=b" \n").exit_code == 2


def test_explaining_imports_nothing_heavy() -> None:
    code = (
        "import sys, kwload; kwload.explain('KW307'); kwload.explain('axes do not match'); "
        "print(sorted({'numpy', 'keras', 'tensorflow', 'h5py', 'click', 'rich', 'kwload._core'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- real failures


@pytest.mark.keras
def test_the_true_cause_of_real_failures_comes_first(tmp_path: Path, subtests: pytest.Subtests) -> None:
    import provoked

    assert len(provoked.failures()) >= 50
    said: dict[str, str] = {}
    for name, (code, provoke) in provoked.failures().items():
        folder = tmp_path / name
        folder.mkdir()
        text = provoked.text_of(provoke, folder)
        alike = said.setdefault(text.replace(str(folder), ""), name)
        with subtests.test(name):
            made = kwload.explain(text)
            assert isinstance(made, Diagnosis) and made.known, text
            # Two failures with one text cannot both come first.
            assert code in [cause.code for cause in made.causes[: 1 if alike == name else 2]], text
