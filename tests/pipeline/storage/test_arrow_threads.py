"""Parquet is read without Arrow's threads: one that outlives the interpreter's end aborts the process (SIGABRT)."""

import ast

import pytest

from tests.conftest import ROOT

READERS = {"read_table", "read_row_group", "read_row_groups", "iter_batches"}
FILES = sorted(file for room in ("filters", "classifiers", "pipeline", "evidence") for file in (ROOT / room).rglob("*.py"))


def threaded(source: str) -> list[int]:
    """The lines that read Parquet and do not say whether by threads."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in READERS
        and "use_threads" not in {keyword.arg for keyword in node.keywords}
    ]


def test_a_threaded_read_is_seen() -> None:
    assert threaded("import x\nx.read_table(1)\nx.iter_batches(1, use_threads=False)\n") == [2]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_read_of_parquet_says_so(file) -> None:  # type: ignore[no-untyped-def]
    assert threaded(file.read_text("utf-8")) == []
