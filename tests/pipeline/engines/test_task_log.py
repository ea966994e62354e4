"""What a task prints, warns of and logs goes to its log, and none of it to a terminal, with control characters escaped."""

import logging
import sys
import warnings
from pathlib import Path

import fsspec
import pytest

from goldwash.pipeline.engines.local import local
from goldwash.pipeline.engines.task_log import last_lines, task_log
from goldwash.pipeline.engines.work import why_failed
from goldwash.pipeline.stage import RunError
from goldwash.pipeline.storage.states import log_of
from goldwash.pipeline.storage.tasks import Task
from goldwash.text_output import printable
from tests.conftest import ROOT
from tests.pipeline.engines.test_local import tasks_in
from tests.support.numbers import write_number

EVIL = "\x1b]0;owned\x07 \x9b31m \u202e\ud800 http://a.example/\r/x"
SENT = EVIL.encode("utf-8", "ignore").decode()
"""Without lone surrogates: pytest-xdist sends captured log records between processes as UTF-8."""


def task(out: str) -> Task:
    return Task({"name": "t"}, ("in",), out, 0, "i")


def read(out: Path) -> str:
    return Path(log_of(task(str(out)), 0)).read_text("utf-8")


def is_safe(text: str) -> bool:
    return all(c == "\n" or c.isprintable() for c in text) and "\u202e" not in text


@pytest.mark.filterwarnings("default")
def test_what_libraries_log_and_warn_of_is_escaped_in_the_log_and_not_shown(tmp_path, capfd):
    with task_log(task(str(tmp_path)), 0):
        logging.getLogger("a_parser").warning("Bad record at %s", SENT)
        warnings.warn(f"a page of {SENT}", stacklevel=1)
    text = read(tmp_path)
    assert "Bad record at \\x1b]0;owned\\x07" in text
    assert "a page of \\x1b]0;owned" in text
    assert is_safe(text)
    assert capfd.readouterr() == ("", "")


def test_an_error_is_logged_with_its_traceback_and_passes_on(tmp_path):
    with pytest.raises(KeyError), task_log(task(str(tmp_path)), 0):
        raise KeyError(SENT)
    assert "Traceback" in read(tmp_path)
    assert is_safe(read(tmp_path))


def test_a_task_with_nothing_to_say_leaves_no_log(tmp_path):
    for _ in range(2):
        with task_log(task(str(tmp_path)), 0):
            pass
    assert not Path(log_of(task(str(tmp_path)), 0)).exists()


def test_the_log_of_an_earlier_attempt_is_replaced(tmp_path):
    for words in ("first", "second"):
        with task_log(task(str(tmp_path)), 0):
            logging.getLogger("x").warning(words)
    assert "first" not in read(tmp_path)


def test_handlers_and_warnings_are_as_before(tmp_path):
    before = list(logging.getLogger().handlers), warnings.showwarning
    with task_log(task(str(tmp_path)), 0):
        pass
    assert (list(logging.getLogger().handlers), warnings.showwarning) == before


def test_a_log_in_a_store_is_put_there_at_the_end():
    out = "memory://task-log-test"
    with task_log(task(out), 0):
        logging.getLogger("x").warning("in a store")
    assert b"in a store" in fsspec.filesystem("memory").cat_file("/task-log-test/logs/part/logs/task_00000.log")
    fsspec.filesystem("memory").rm("/task-log-test", recursive=True)


def test_a_full_or_missing_disk_for_the_log_is_not_an_error_of_the_task(tmp_path):
    (tmp_path / "logs").write_text("a file where the folder should be")
    with task_log(task(str(tmp_path)), 0):
        logging.getLogger("x").warning("nowhere to go")


@pytest.mark.filterwarnings("default")
def test_what_workers_print_does_not_reach_the_terminal(tmp_path, capfd):
    """Warnings of warcio wrote control sequences of a URL to the terminal."""
    tasks = tasks_in(tmp_path / "a", 2, t0="print", t1="print")
    local(2)(write_number, tasks)
    assert capfd.readouterr() == ("", "")
    for rank, made in enumerate(tasks):
        text = Path(log_of(made, rank)).read_text("utf-8")
        assert "a title: \\x1b[31m" in text
        assert "warcio says \\x1b[31m" in text
        assert "by a C library" in text


def test_loguru_of_a_host_is_left_alone(tmp_path):
    """datatrove's own executor removes every handler of loguru for each task."""
    from loguru import logger

    lines: list[str] = []
    handler = logger.add(lambda message: lines.append(str(message)), format="{message}")
    try:
        local(1)(write_number, tasks_in(tmp_path / "a"))
        with pytest.raises(RunError):
            local(1)(write_number, tasks_in(tmp_path / "b", t0="raise"))
        logger.info("still here")
        assert [line.strip() for line in lines] == ["still here"]
    finally:
        logger.remove(handler)


def test_no_module_of_datatrove_is_patched():
    import inspect

    from datatrove.executor import base

    import goldwash.pipeline.engines.slurm_array  # noqa: F401

    for name in ("add_task_logger", "close_task_logger", "PipelineExecutor"):
        assert inspect.getmodule(getattr(base, name)).__name__.startswith("datatrove.")
    assert "goldwash" not in inspect.getsource(base)


# --- an error in a line


def test_an_error_of_a_users_filter_has_its_file_and_line(tmp_path):
    place = tmp_path / "my_filters.py"
    place.write_text("def shouting(text):\n    return 1 / text.count('!')\n")
    scope: dict = {}
    exec(compile(place.read_text(), str(place), "exec"), scope)
    with pytest.raises(ZeroDivisionError) as caught:
        scope["shouting"]("quiet")
    caught.value.add_note("document <urn:uuid:1>")
    assert why_failed(caught.value) == f"{place}:2, in shouting: ZeroDivisionError: division by zero; document <urn:uuid:1>"


def test_an_error_of_a_file_that_travels_with_the_recipe_has_its_name():
    scope: dict = {}
    exec(compile("def f(x):\n\n    raise ValueError('no ' + x)", "<my_filters.py>", "exec"), scope)
    with pytest.raises(ValueError, match="no") as caught:
        scope["f"]("\x1b[31m")
    assert why_failed(caught.value) == "my_filters.py:3, in f: ValueError: no \\x1b[31m"


def test_an_error_of_ours_has_its_place_and_one_in_words_has_not():
    with pytest.raises(TypeError) as caught:
        printable()  # type: ignore[call-arg]
    caught.value.__traceback__ = None
    assert why_failed(caught.value).startswith("TypeError: printable() missing 1 required")
    with pytest.raises(TypeError) as within:
        Task.from_dict(3)  # type: ignore[arg-type]
    within.value.__traceback__ = within.value.__traceback__ and within.value.__traceback__.tb_next
    assert "tasks.py:" in why_failed(within.value)
    assert why_failed(RunError("in words")) == "in words"
    assert why_failed(KeyError()) == "KeyError: KeyError"


def test_the_last_lines_of_a_log_are_safe_to_print():
    assert last_lines("a\nb\x1b[31m\nc\n", 2) == ("b\\x1b[31m", "c")
    assert last_lines("", 5) == ()


def test_a_worker_without_a_terminal_needs_none():
    import subprocess

    code = "from goldwash.pipeline.engines.task_log import Escaping; import io; Escaping(1).write('x\\x07\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "src", check=True)
    assert done.stdout == "x\\x07\n"
