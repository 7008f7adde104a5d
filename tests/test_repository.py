"""Pages name files that exist, and CI runs the sessions that `nox` runs."""

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("CONTRIBUTING.md", "docs/architecture.md", "docs/glossary.md")
CODE = re.compile(r"(?<!`)`([\w.-]+(?:/[\w.-]+)*/?)`(?!`)")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")
SUFFIXES = (".md", ".py", ".toml", ".yml")
FOLDERS = ("adapters", "docs", "multiback", "tests")


@pytest.fixture(scope="module")
def paths():
    """Return the repository's files and folders, relative to it."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    return [
        "/" + path.relative_to(ROOT).as_posix() for path in (*found, *ROOT.iterdir())
    ]


def named_paths(text):
    """Return what a page names in backticks that can only be a file or a folder."""
    names = CODE.findall(text)
    return [each for each in names if "/" in each or each.endswith(SUFFIXES)]


def missing(names, paths):
    """Return the names that no path of the repository ends with."""
    return [
        name
        for name in names
        if not any(path.endswith("/" + name.rstrip("/")) for path in paths)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_the_files_and_folders_that_a_page_names_exist(page, paths):
    names = named_paths((ROOT / page).read_text())
    assert len(names) >= 9
    assert missing(names, paths) == []


def test_a_file_that_does_not_exist_is_found(paths):
    names = named_paths("`multiback/gone.py`, `store/none/`, `noxfile.py`, `Best`")
    assert missing(names, paths) == ["multiback/gone.py", "store/none/"]


def test_each_place_in_the_table_of_the_architecture_exists():
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    assert len(rows) > 10
    for row in rows:
        first, *others = re.findall(r"`([\w/.]+)`", row)
        home = ROOT if first == "adapters" else ROOT / "multiback"
        beside = (home / first).parent  # `store/local`, `remote`
        assert (home / first).exists(), first
        assert [name for name in others if not (beside / name).is_dir()] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_to_files(page):
    links = LINK.findall((ROOT / page).read_text())
    assert links or page == "docs/glossary.md"
    where = (ROOT / page).parent
    assert [link for link in links if not (where / link).exists()] == []


def sessions_of_nox():
    """Read `nox.options.sessions`, for which nox need not be installed."""
    values = {
        ast.unparse(node.targets[0]): node.value
        for node in ast.parse((ROOT / "noxfile.py").read_text()).body
        if isinstance(node, ast.Assign)
    }
    backends = ast.literal_eval(values["BACKENDS"])
    listed = compile(ast.Expression(values["nox.options.sessions"]), "noxfile", "eval")
    return eval(listed, {"BACKENDS": backends})  # noqa: S307 - our own file


def test_ci_runs_the_sessions_that_nox_runs():
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    matrix = re.search(r"^ +session:\n((?: +- \S+\n)+)", workflow, re.MULTILINE)
    in_ci = re.findall(r"- (\S+)", matrix[1])
    assert len(in_ci) == len(set(in_ci))
    assert set(in_ci) == set(sessions_of_nox())


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is not a clone")
def test_a_run_of_tests_left_nothing_in_the_repository():
    listed = subprocess.run(
        [shutil.which("git"), "ls-files"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    top = {path.partition("/")[0] for path in listed.stdout.splitlines()}
    folders = {name for name in top if (ROOT / name).is_dir()}
    hidden = {".ci", ".github"}
    assert folders - hidden == {*FOLDERS, "benchmarks", "examples"}
    written = (".ckpt", ".keras", ".safetensors", ".pyc")
    saved = re.compile(r"tests/\w+/saved_by_\w+/")
    assert [
        path
        for path in listed.stdout.splitlines()
        if path.endswith(written) and not saved.match(path)
    ] == []


def annotated_in_branches(source):
    """Return names that have a type and a value in a branch, and are used after it."""
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        names = [each for each in ast.walk(function) if isinstance(each, ast.Name)]
        for branch in ast.walk(function):
            if not isinstance(branch, ast.If | ast.While | ast.For):
                continue
            inside = {id(each) for each in ast.walk(branch)}
            outside = {each.id for each in names if id(each) not in inside}
            for each in ast.walk(branch):
                if isinstance(each, ast.AnnAssign) and isinstance(
                    each.target, ast.Name
                ):
                    name = each.target.id
                    yield from {name} & outside


def test_autograph_can_read_every_branch_of_a_metric():
    """It makes each branch a function, where such a name may have no type."""
    found = {
        path.name: names
        for path in (ROOT / "multiback" / "metrics").rglob("*.py")
        if (names := [*annotated_in_branches(path.read_text())])
    }
    assert found == {}, "write the type in a line of its own before the branch"


def test_a_name_with_a_type_in_a_branch_is_found():
    lines = ("def f(x):", "    if x:", "        y: int = 1", "    return y")
    assert [*annotated_in_branches("\n".join(lines))] == ["y"]
