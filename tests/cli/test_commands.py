"""The commands as a user runs them: in a process of their own."""

from support.command_line import multiback


def test_the_demo_runs_without_the_optional_libraries(tmp_path):
    without = ("sklearn", "torchmetrics")
    result = multiback("demo", "--epochs", "2", cwd=tmp_path, without=without)
    assert result.returncode == 0, result.stderr
    assert 'pip install "multiback[sklearn]"' in result.stdout
    assert 'pip install "multiback[torchmetrics]"' in result.stdout
    assert "What to type next" in result.stdout


def test_an_error_of_ours_is_one_message_and_not_a_traceback(tmp_path):
    result = multiback("ls", "nothing", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("NoCheckpointError: nothing holds no committed")
    assert "Traceback" not in result.stderr
