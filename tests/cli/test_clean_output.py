"""A directory of unknown origin never controls the reader's terminal."""

import warnings

import pytest

from multiback.errors import StoreError, cleaned
from multiback.store import RunDirectory

EVIL = "x\x1b[2J\x1b]0;owned\x07\r\b\u202e\ud800\x9b1m"


@pytest.fixture
def hostile(save, tmp_path):
    """A run directory whose ids, names and files hold control characters."""
    run = tmp_path / "run"
    for epoch in (1, 2):
        save(epoch, run_id=f"run {EVIL}", metrics={f"val_{EVIL}": 0.5, "val_f1": 0.5})
    runs = RunDirectory(run)
    runs.start_run(f"run {EVIL}", {})
    runs.append_history(
        {"run_id": f"run {EVIL}", "epoch": 1, "step": 1, "metrics": {EVIL: 0.5}}
    )
    name = EVIL.replace("\ud800", "")
    (run / "checkpoints" / name).mkdir()
    (run / "checkpoints" / f"{name}2").symlink_to(name)
    (run / f"arch-{name}.json").touch()
    yield run
    runs.end_run(f"run {EVIL}")


@pytest.mark.parametrize(
    "command",
    [
        ("ls", "RUN"),
        ("ls", "RUN", "--json"),
        ("ls", "RUN", "--run", EVIL.replace("\ud800", "")),
        ("show", "ONE"),
        ("show", "RUN"),
        ("best", "RUN", "--monitor", "val_f1", "--mode", "max"),
        ("best", "RUN", "--monitor", f"val_{EVIL}".replace("\ud800", "")),
        ("history", "RUN"),
        ("history", "RUN", "--csv"),
        ("verify", "RUN"),
        ("diff", "ONE", "TWO"),
        ("prune", "RUN", "--keep", "Last(1)", "--dry-run"),
        ("gc", "RUN", "--dry-run"),
    ],
    ids=lambda command: cleaned(" ".join(command)).replace("\ufffd", "?"),
)
def test_no_command_prints_a_control_character(call, hostile, command):
    one, two = RunDirectory(hostile).checkpoints()
    places = {"RUN": hostile, "ONE": one.path, "TWO": two.path}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(*(places.get(word, word) for word in command))
    printed = result.out + result.err + "".join(str(one.message) for one in caught)
    assert printed
    assert [c for c in printed if not c.isprintable() and c != "\n"] == []


def test_warnings_and_errors_of_the_store_escape_what_they_quote(tmp_path):
    runs = RunDirectory(tmp_path)
    runs.start_run(f"run {EVIL}", {})
    assert runs.writers()[0].text.isprintable()
    with pytest.raises(StoreError) as caught:
        runs.prune(list, run_id=EVIL)
    assert str(caught.value).isprintable()
    runs.end_run(f"run {EVIL}")
    assert not list(tmp_path.glob("lock-*"))
