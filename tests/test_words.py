"""Docstrings and comments are in plain English: subject first, one clause, no dialect.

Docstrings and comments of the package, the adapters, the tests and all scripts are
read. Texts of errors and warnings, and the names of tests, are not clean yet, and so
not checked.
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
        for folder in ("adapters", "benchmarks", "docs", "multiback", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ),
]

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


def docstrings(source):
    """Yield the line and the text of each docstring, attributes' among them."""
    for node in ast.walk(ast.parse(source)):
        for statement in getattr(node, "body", []) if has_docstrings(node) else []:
            if isinstance(statement, ast.Expr):
                value = statement.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield statement.lineno, value.value


def has_docstrings(node):
    """Return whether strings in a node's body are documentation."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds)


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
        for line, text in (*docstrings(source), *comments(source))
        for found in PATTERN.finditer(prose(text))
    ]


def test_docstrings_and_comments_are_in_plain_english():
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
    ],
)
def test_the_check_finds_a_phrase_in_docstrings_and_comments(source):
    assert refused(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""The kind of a sound; a skinny, listed, noon token."""',
        'def f():\n    """Read.\n\n    Args:\n        anew: Read again.\n    """',
        "x = 'Whoever'  # A text is not checked.",
        '"""Call `soon`."""',
    ],
)
def test_the_check_leaves_code_and_parts_of_words_alone(source):
    assert not refused(source)
