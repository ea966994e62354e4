"""A digest of the code that decides a stage's output: outputs of other code are redone, never mixed.

Invariants: a module's digest covers its own source and that of every goldwash module it imports, directly or not, except
those that cannot change an output's bytes (`NO_OUTPUT`). Comments, docstrings and blank lines do not count. The digest does not
depend on the version of Python.
"""

import ast
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from goldwash.filters.cache import cache_home

PACKAGE = Path(__file__).resolve().parent.parent
NO_OUTPUT = (
    "pipeline.engines",
    "pipeline.cli",
    "pipeline.inspect",
    "pipeline.export",
    "pipeline.flow",
    "pipeline.code",
    "pipeline.by_source",
)
ROOMS = ("filters", "classifiers", "pipeline")


@cache
def code_digest(module: str) -> str:
    """A digest of a goldwash module and of what it imports, 16 hexadecimal digits; "" for a module outside goldwash.

    ``module``: as ``goldwash.pipeline.stages.bloom``.
    """
    name = module.removeprefix("goldwash.")
    sources = _sources()
    if name not in sources:
        return ""
    seen, ahead = set[str](), {name}
    while ahead:
        here = ahead.pop()
        seen.add(here)
        ahead |= {n for n in sources[here][1] if n in sources and not n.startswith(NO_OUTPUT)} - seen
    return hashlib.sha256(json.dumps([(n, sources[n][0]) for n in sorted(seen)]).encode()).hexdigest()[:16]


def forget_sources() -> None:
    """Read the sources again at the next digest, in a process forked from one that had read them."""
    _sources.cache_clear()
    code_digest.cache_clear()


@cache
def _sources() -> dict[str, tuple[str, list[str]]]:
    """Each module's digest and imports. Parsing all of them takes 0.8 seconds, so the result is cached on disk."""
    files = {_name(file): file for room in ROOMS for file in sorted((PACKAGE / room).rglob("*.py"))}
    content = {name: file.read_bytes() for name, file in files.items()}
    key = hashlib.sha256(json.dumps([(n, hashlib.sha256(c).hexdigest()) for n, c in content.items()]).encode()).hexdigest()
    kept = cache_home() / f"code-{key[:16]}.json"
    with suppress(OSError, ValueError):
        return {name: (digest, imports) for name, (digest, imports) in json.loads(kept.read_text("utf-8")).items()}
    sources = {name: _parsed(name, text.decode("utf-8"), files[name].name == "__init__.py") for name, text in content.items()}
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        half = kept.with_suffix(f".{os.getpid()}")
        half.write_text(json.dumps(sources), "utf-8")
        os.replace(half, kept)
    return sources


def _name(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def _parsed(name: str, text: str, package: bool) -> tuple[str, list[str]]:
    tree = ast.parse(text)
    lines = text.splitlines()
    for node in _statements(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):  # a docstring
                for n in range(statement.lineno - 1, statement.end_lineno or statement.lineno):
                    lines[n] = ""
    code = "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return hashlib.sha256(code.encode()).hexdigest(), sorted(set(_imports(tree, name, package)))


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """The tree, and all statements in it: a twelfth of its nodes, and all that have a docstring or imports."""
    ahead = [tree]
    while ahead:
        yield (node := ahead.pop())
        ahead += [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt | ast.excepthandler | ast.match_case)]


def _imports(tree: ast.AST, name: str, package: bool) -> Iterator[str]:
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("goldwash.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: len(name.split(".")) - node.level + package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])]).removeprefix("goldwash.")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
