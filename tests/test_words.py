"""All texts are in plain English: subject first, one clause, no dialect.

Docstrings, comments, strings (errors and warnings among them) and the names of tests
are read in the package, the adapters, the tests and all scripts, and each page.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    ROOT / "noxfile.py",
    *(
        path
        for folder in (
            "adapters",
            "benchmarks",
            "docs",
            "examples",
            "multiback",
            "tests",
        )
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != Path(__file__)
    ),
]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

# Words and phrases that a reader whose first language is another has to read twice, and
# what to write for them.
REFUSED = {
    r"who(m|se)?(so)?ever": "the user, the caller, the process",
    r"no(body| one)": "no process, no user",
    r"some(body|one)": "a user, a process",
    r"theirs": "the noun itself",
    r"anew": "again",
    r"kin": "the names of the relatives",
    r"besides": "also, except",
    r"soon": "quickly, once",
    r"what is no": "anything that is not",
    r"that (is|are) no(ne)?": "that is not a",
    r"(is|are|it is) none of (ours|theirs|it|them)": "is not one of",
    r"(has|have) none": "does not have any",
    r"of (which|what is)": "the subject first",
    r"lets? go": "release",
    r"(tells?|told) of": "report",
    r"(hears?|heard)": "receive",
    r"(go|goes|going|went) on": "continue",
}
PATTERN = re.compile(rf"\b({'|'.join(REFUSED)})\b", re.IGNORECASE)


def texts(source):
    """Yield the line and the text of each string with a space, and each test's name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if " " in node.value:
                yield node.lineno, node.value
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.replace("_", " ")


def comments(source):
    """Yield the line and the text of each comment; neighbouring lines are one."""
    first, last, words = 0, -1, []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        if line != last + 1:
            yield first, " ".join(words)
            first, words = line, []
        last = line
        words.append(token.string.lstrip("# "))
    yield first, " ".join(words)


def prose(text):
    """Drop what is code: spans in backticks, examples, the names of arguments."""
    lines = [
        re.sub(r"^\s+\*{0,2}\w+:\s", "", line)
        for line in text.splitlines()
        if not line.lstrip().startswith((">>>", "..."))
    ]
    return re.sub(r"`[^`]*`", "`", " ".join(" ".join(lines).split()))


def refused(source):
    """Return `(line, words)` of each phrase that is refused."""
    return [
        (line, found.group())
        for line, text in (*texts(source), *comments(source))
        for found in PATTERN.finditer(prose(text))
    ]


def without_code(page):
    """Drop the blocks of code of a page."""
    return re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)


def test_pages_are_in_plain_english():
    found = [
        f"{path.relative_to(ROOT)}: {words.group()!r}"
        for path in PAGES
        for words in PATTERN.finditer(prose(without_code(path.read_text("utf-8"))))
    ]
    assert PAGES
    assert not found, "\n".join(["Say it in plain English:", *found])


def test_docstrings_comments_and_texts_are_in_plain_english():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {words!r}"
        for path in FILES
        for line, words in refused(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(["Say it in plain English:", *found])


@pytest.mark.parametrize(
    "source",
    [
        '"""Let it go on."""',
        '"""Let somebody else read it."""',
        "# Whoever holds the run is told of it.",
        "# A copy is no\n# one's to remove.",
        'class A:\n    """Refuse what is no model."""',
        'def f():\n    """Judge.\n\n    Args:\n        anew: Judge anew.\n    """',
        "raise ValueError(f'x= wants a run, and {x!r} has none')",
        "def test_a_run_that_is_no_run():\n    pass",
    ],
)
def test_the_check_finds_a_phrase_in_docstrings_comments_and_texts(source):
    assert refused(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""The kind of a sound; a skinny, listed, noon token."""',
        'def f():\n    """Read.\n\n    Args:\n        anew: Read again.\n    """',
        "x = 'whoever'  # A word alone is a key.",
        '"""Call `soon`."""',
    ],
)
def test_the_check_leaves_code_and_parts_of_words_alone(source):
    assert not refused(source)
