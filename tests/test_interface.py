"""The public names of `goldwash`: few, documented, typed, and imported when they are used."""

import inspect
import subprocess
import sys

import pytest

import goldwash


def test_names_are_imported_when_they_are_used() -> None:
    code = (
        "import sys, goldwash\n"
        "heavy = {'numpy', 'pyarrow', 'goldwash.filters', 'goldwash.pipeline', 'importlib.metadata'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "goldwash.RecipeError\n"
        "assert 'goldwash.pipeline.stage' in sys.modules\n"
        "for name in goldwash.__all__: getattr(goldwash, name)\n"
        "assert not {'polars', 'datasets', 'ray', 'typer'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_names_are_those_that_are_promised() -> None:
    assert set(goldwash._PLACES) | {"__version__"} == set(goldwash.__all__) <= set(dir(goldwash))
    for name in goldwash.__all__:
        assert getattr(goldwash, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = goldwash.nothing


@pytest.mark.parametrize("name", sorted(set(goldwash.__all__) - {"__version__"}))
def test_every_name_is_documented_and_typed(name: str) -> None:
    found = getattr(goldwash, name)
    assert (inspect.getdoc(found) or "").strip(), name
    assert name in (goldwash.__doc__ or "") or inspect.isclass(found), name
    if inspect.isfunction(found):
        signature = inspect.signature(found)
        assert signature.return_annotation is not inspect.Signature.empty, name
        assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values()), name


def test_type_checkers_see_the_same_names() -> None:
    """The names under ``TYPE_CHECKING`` are those of the table."""
    import ast
    from pathlib import Path

    tree = ast.parse(Path(goldwash.__file__).read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        (alias.asname or alias.name): (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(seen) == set(goldwash._PLACES)
    for name, (module, own) in seen.items():
        assert getattr(goldwash, name) is getattr(sys.modules[str(module)], own), name
