"""Imports run down and never in a circle; numba and the disk stay in their rooms."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("filters", "classifiers", "pipeline", "evidence")
FILES = {
    ".".join(("goldwash", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): file
    for room in ROOMS
    for file in sorted((ROOT / room).rglob("*.py"))
}
MAY_IMPORT = {
    "filters": {"filters"},
    "classifiers": {"classifiers", "filters"},
    "pipeline": {"filters", "classifiers", "pipeline"},
    "evidence": set(ROOMS),
}
DISK = ("goldwash.pipeline.storage", "goldwash.pipeline.stages", "goldwash.pipeline.engines", "goldwash.pipeline.stage")
PURE = (
    "goldwash.pipeline.warc",
    "goldwash.pipeline.html",
    "goldwash.pipeline.dedup",
    "goldwash.pipeline.decontamination.index",
)
PASSES = tuple(f"goldwash.pipeline.dedup.{name}" for name in ("passes", "pass_files", "plan", "bands", "survivors"))
"""The passes that exact and minhash share, and the files that one leaves for another."""
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "core", "misc"}


def imported(tree: ast.AST, module: str, package: bool) -> Iterator[str]:
    """All that a module imports, wherever it does so: in functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: len(module.split(".")) - node.level + package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "import_module":
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def imports_of(module: str) -> set[str]:
    file = FILES[module]
    return set(imported(ast.parse(file.read_text("utf-8")), module, file.name == "__init__.py"))


def ours_of(module: str) -> set[str]:
    """The modules of ours that a module imports; a package only where nothing inside it is named."""
    found = {name for name in imports_of(module) if name in FILES}
    return {name for name in found if not any(other.startswith(name + ".") for other in found)} - {module}


def test_there_are_modules() -> None:
    assert len(FILES) > 30
    assert "goldwash.filters.texts" in ours_of("goldwash.filters.signals")
    assert {"a", "a.b", "c.d", "x.z", "x.y.q", "x.y"} <= set(
        imported(
            ast.parse("from a import b\nimport c.d\nif TYPE_CHECKING:\n  from .. import z\ndef f():\n  from . import q"),
            "x.y.w",
            False,
        )
    )


@pytest.mark.parametrize("module", FILES)
def test_imports_run_down(module: str) -> None:
    rooms = {name.split(".")[1] for name in imports_of(module) if name.startswith("goldwash.")} & set(ROOMS)
    assert rooms <= MAY_IMPORT[module.split(".")[1]]


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith(PURE) and name not in PASSES])
def test_warc_and_dedup_touch_no_disk(module: str) -> None:
    seen, ahead = set(), {module}
    while ahead:
        here = ahead.pop()
        seen.add(here)
        ahead |= ours_of(here) - seen
    assert sorted(name for name in seen if name.startswith(DISK)) == []


def test_no_circle() -> None:
    graph = {module: ours_of(module) - {module.rpartition(".")[0]} for module in FILES}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(FILES)


@pytest.mark.parametrize("module", FILES)
def test_numba_is_in_one_place(module: str) -> None:
    if module not in ("goldwash.filters.jit", "goldwash.filters.pieces"):
        assert not any(name.partition(".")[0] == "numba" for name in imports_of(module))


@pytest.mark.parametrize("module", FILES)
def test_names(module: str) -> None:
    assert not set(module.split(".")) & FORBIDDEN_NAMES


@pytest.mark.parametrize("module", FILES)
def test_every_module_says_what_it_holds(module: str) -> None:
    assert ast.get_docstring(ast.parse(FILES[module].read_text("utf-8")))


def folders(root: Path) -> set[str]:
    """The folders of the rooms below ``root`` that hold modules, as paths relative to it."""
    return {str(file.parent.relative_to(root)) for room in ROOMS for file in (root / room).rglob("*.py")}


UNTESTED = {"evidence", "evidence/cli", "evidence/tables", "pipeline/sample", "pipeline/storage/formats"}
"""Rooms without a folder of tests of their own: data that other rooms' tests read, and what is tested through its callers."""


def test_tests_mirror_the_folders() -> None:
    assert folders(ROOT / "tests") - folders(ROOT) == set(), "a folder of tests without a room"
    assert folders(ROOT) - folders(ROOT / "tests") - UNTESTED == set(), "a room without a folder of tests"


@pytest.mark.parametrize("file", sorted((ROOT / "tests").rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_folder_of_tests_holds_tests(file: Path) -> None:
    """What tests share is in ``tests/support``, in a conftest, or at the top of ``tests``; not among them."""
    place = file.relative_to(ROOT / "tests")
    if len(place.parts) > 1 and place.parts[0] in ROOMS:
        assert file.name.startswith("test_") or file.name in ("__init__.py", "conftest.py")


def test_links_point_to_the_rooms() -> None:
    for room in ROOMS:
        assert (ROOT / "src" / "goldwash" / room).resolve() == ROOT / room
