"""What the digest of a module's code sees: its statements, not its words for readers; and what it imports, at any depth."""

import ast
from pathlib import Path

from goldwash.pipeline.code import _parsed, _statements

ROOT = Path(__file__).parents[2]

MODULE = '''"""A module."""
import a

class Thing:
    """A class."""
    if a:
        import b
    try:
        from goldwash import c
    except a.Error:
        import d

    async def work(self):
        """A method."""
        with self as held:
            from . import e
        match held:
            case 1:
                from .f import g
            case _:
                for n in held:
                    while n:
                        import h
                    else:
                        import i
        return lambda: "text"  # the end
'''


def test_imports_are_found_at_any_depth() -> None:
    assert _parsed("pipeline.thing", MODULE, False)[1] == [
        "a", "b", "d", "goldwash", "goldwash.c", "h", "i", "pipeline", "pipeline.e", "pipeline.f", "pipeline.f.g",
    ]  # fmt: skip


def test_comments_docstrings_and_empty_lines_do_not_count() -> None:
    digest = _parsed("pipeline.thing", MODULE, False)[0]
    for old, new in (("A module.", "Another"), ("A class.", "x\n\n"), ("A method.", "y"), ("import a\n", "import a\n\n# z\n")):
        assert old in MODULE
        assert _parsed("pipeline.thing", MODULE.replace(old, new), False)[0] == digest
    for old, new in (('"text"', '"texts"'), ("case 1", "case 2"), ("import i", "import j")):
        assert _parsed("pipeline.thing", MODULE.replace(old, new), False)[0] != digest


def test_all_statements_of_goldwash_are_seen() -> None:
    for room in ("filters", "classifiers", "pipeline"):
        for file in (ROOT / room).rglob("*.py"):
            tree = ast.parse(file.read_text("utf-8"))
            assert {id(node) for node in ast.walk(tree) if isinstance(node, ast.stmt)} <= {
                id(node) for node in _statements(tree)
            }
