"""Tables on narrow terminals; errors as sentences; data that would write to the terminal."""

import errno
import logging
import os
import re
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.pipeline.cli import terminal
from goldwash.pipeline.cli.errors import sentence
from goldwash.pipeline.cli.terminal import Column, EscapedLog, Row, command, notify, say, show_table
from goldwash.pipeline.inspect.summary import loss_lines, losses_of
from goldwash.pipeline.parameters import RecipeError
from tests.pipeline.conftest import shard

CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff]")
HOSTILE = "https://a.example/[/url][bold]x[/bold]\x1b]8;;http://evil.example\x07?filter[b]=1\u202egnp.exe\u2028end"
COLUMNS = (Column("stage / rule"), Column("documents", True), Column("of all", True, 1), Column("bytes", True, 2))
ROWS = [Row(("extract reads", "1,000", "100.0%", "12.3 MB"), "bold"), Row(("  - language", "400", "40.0%", "1.2 MB"))]


def drawn(width, capsys, monkeypatch):
    monkeypatch.setattr(terminal, "WIDE", width)
    capsys.readouterr()
    show_table(COLUMNS, ROWS)
    return capsys.readouterr().out


def test_a_narrow_terminal_loses_columns_and_says_which(capsys, monkeypatch):
    wide = drawn(160, capsys, monkeypatch)
    assert "12.3 MB" in wide
    assert "not shown" not in wide
    narrow = drawn(35, capsys, monkeypatch)
    assert "bytes" not in narrow.splitlines()[0]
    assert "100.0%" in narrow
    assert narrow.splitlines()[-1] == "(not shown, the terminal is narrow: bytes)"
    narrowest = drawn(20, capsys, monkeypatch)
    assert "of all, bytes" in narrowest
    assert "documents" in narrowest.splitlines()[0] + narrowest.splitlines()[1]
    for text in (narrow, narrowest):
        assert all(len(line) <= 35 for line in text.splitlines()[:-1])


def test_cells_are_text_and_no_markup(capsys):
    show_table((Column("document"),), [Row((HOSTILE,))])
    printed = capsys.readouterr().out
    assert not CONTROL.search(printed)
    assert "[/url][bold]x[/bold]" in printed
    assert "?filter[b]=1" in printed


def test_lines_are_escaped_and_passwords_are_not_shown(capsys):
    say(HOSTILE)
    notify(f"reading https://me:secret@h.example/ {HOSTILE}")
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert not CONTROL.search(text)
        assert text.count("\n") == 1
    assert "secret" not in printed.err


def test_a_log_line_is_escaped_and_a_traceback_keeps_its_lines():
    try:
        raise ValueError("a\x1b[2J")
    except ValueError:
        record = logging.LogRecord("warcio", logging.WARNING, "x.py", 1, "bad record %s", ("\x1b[31m",), sys.exc_info())
    shown = EscapedLog().format(record)
    assert not CONTROL.search(shown)
    assert len(shown.splitlines()) > 3


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/a"), "out/a: No space left on device: free some space"),
        (
            PermissionError(errno.EACCES, "Permission denied", "b\x1b[1m"),
            r"b\x1b[1m: Permission denied: change its permissions",
        ),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "c", None, "d"), "c, d: No such file or directory"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files: raise the limit"),
        (OSError("the store is away"), "the store is away"),
        (RecipeError("https://me:pw@h.example: no\x07"), r"https://***@h.example: no\x07"),
        (KeyError("language"), "KeyError: 'language'"),
    ],
)
def test_errors_are_sentences(error, told):
    assert sentence(error).startswith(told)
    assert not CONTROL.search(sentence(error))


def test_an_error_of_ours_in_the_code_says_where_and_asks_for_a_report():
    try:
        {}["language"]
    except KeyError as error:
        told = sentence(error)
    assert "test_terminal.py:" in told
    assert "please report it" in told


def test_each_class_of_errors_is_known_to_the_command_line():
    from goldwash.classifiers.examples import TrainingError
    from goldwash.classifiers.fasttext import ModelError
    from goldwash.filters.fetch import FetchError
    from goldwash.filters.lists import ListError
    from goldwash.filters.signals import SignalError
    from goldwash.pipeline.report import ReportError
    from goldwash.pipeline.stage import RunError
    from goldwash.pipeline.storage.failures import DataError

    for kind in (TrainingError, ModelError, FetchError, ListError, SignalError, ReportError, RunError, DataError, RecipeError):
        assert sentence(kind("a b")) == "a b"


# --- data that would write to the terminal, through the commands


@pytest.fixture
def hostile(tmp_path, cli):
    """A stage's folder whose documents have hostile ids and URLs."""
    texts = [
        "The river runs down from the hills and the old mill turns with it all day. Nobody counts the stones." for _ in range(2)
    ]
    path = tmp_path / "in" / "a\x1b[31m.parquet"
    shard(path, [*texts, "no"])
    table = pq.read_table(path)
    table = table.set_column(0, "id", pa.array([f"id\x1b[2J[/b]{n}\r" for n in range(3)]))
    pq.write_table(table.set_column(1, "url", pa.array([f"{HOSTILE}{n}" for n in range(3)])), path)
    for name, steps in (("minhash", []), ("heuristics", ["--set", "steps=[{keep: word_count, min: 5}]"])):
        assert cli("stage", name, "--input", tmp_path / "in", "--out", tmp_path / name, "--workers", "1", *steps)[0] == 0
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["explain", "{}/minhash", f"{HOSTILE}0"],
        ["explain", "{}/heuristics", "id\x1b[2J[/b]2\r"],
        ["explain", "{}/minhash", "https://a.example/\x1b[1m"],
        ["explain", "{}/no\x1b[1mrun", "x"],
        ["near", "{}/minhash", "id\x1b[2J[/b]0\r"],
        ["near", "{}/minhash", "https://a.example/\x1b[1m"],
        ["near", "{}/minhash", "The river runs\x1b[1m down from the hills and the old mill turns with it all day."],
        ["status", "{}/minhash"],
        ["what-if", "{}/in", "--keep", "a\x1b[1m.min=3"],
        ["stage", "heuristics", "--input", "{}/in", "--out", "{}/o", "--set", "steps=[{{keep: 'a\x1b[1m'}}]"],
        ["stage", "bloom", "--input", "{}/gone\x1b[1m", "--out", "{}/o"],
        ["run", "\x1b[1m", "--input", "x", "--out", "y"],
        ["train", "--positive", "gone\x1b[1m.txt", "--negative", "x", "--out", "o"],
        ["score", "gone\x1b[1m.bin", "--input", "{}/in", "--out", "{}/o"],
        ["clean", "no\x1b[1mrun"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_no_command_writes_data_to_the_terminal_raw(cli, hostile, words):
    code, printed, error = cli(*(word.format(hostile) for word in words))
    assert code in (0, 1)
    assert printed + error
    assert not CONTROL.search(printed + error), repr(printed + error)
    assert "please report it" not in error


def test_losses_are_told_by_archive_with_place_bytes_and_cure():
    damage = [
        {"archive": "a.warc.gz", "offset": 1000, "bytes": 5_000_000, "reason": "cut off"},
        {"archive": "b\x1b.warc", "offset": 7, "bytes": 10, "reason": "no record"},
        {"archive": "a.warc.gz", "offset": 9, "bytes": None, "reason": "x"},
    ]
    lines = loss_lines(losses_of({"facts": {"damage": damage, "damaged_places": 3, "without_records": ["c.warc"]}}))
    assert lines[0] == "damaged input: 2 archives, 3 places, 5.0 MB lost"
    assert lines[1] == "  a.warc.gz: at byte 1,000, cut off, and 1 more place; 5.0 MB lost"
    assert lines[3] == "input with bytes and no record: c.warc"
    assert "fetch those files again" in lines[-1]
    assert loss_lines(losses_of(None)) == loss_lines(losses_of({"facts": {}})) == []
    listed = [{"archive": f"{n}.warc", "offset": 0, "bytes": 1, "reason": "cut off"} for n in range(30)]
    many = loss_lines(losses_of({"facts": {"damage": listed, "damaged_places": 5000, "damaged_bytes": 9000}}))
    assert many[0] == "damaged input: 30 archives, 5,000 places, 9.0 kB lost"
    assert any("and 20 more archives" in line for line in many)


def test_the_command_that_works_is_named(monkeypatch, tmp_path):
    script = tmp_path / "bin" / "goldwash"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command() == str(script)
    monkeypatch.setenv("PATH", str(script.parent))
    assert command() == "goldwash"
    monkeypatch.setattr(sys, "argv", [str(Path("src/goldwash/__main__.py"))])
    assert command().endswith("-m goldwash")
