"""A user's own filters, named under ``use:`` in a recipe.

Law: a file's source travels with the recipe, so that it reaches any worker on any machine; a module is imported by its name.
What they declare (``@per_text``, ``@signal``, ``@edit``) is known by name from then on.
"""

import hashlib
import importlib
import linecache
import sys
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from goldwash.pipeline.stage import RecipeError


def packed(name: str, folder: Path) -> dict[str, str]:
    """A name under ``use:`` as it travels: a ``.py`` file's source, or a module's name."""
    if not name.endswith(".py"):
        return {"module": name}
    path = Path(name) if Path(name).is_absolute() else folder / name
    if not path.is_file():
        raise RecipeError(f"use: no file {path}; give the path of a .py file (relative to the recipe) or a module's name")
    return {"file": path.name, "source": path.read_text("utf-8")}


def load_custom(used: Iterable[Any]) -> None:
    """Run what `packed` packed, each once a process; a `RecipeError` says which file failed and why."""
    for item in used:
        values = dict(item) if isinstance(item, Mapping) else packed(str(item), Path.cwd())
        try:
            if "module" in values:
                importlib.import_module(values["module"])
            else:
                _run_source(values["file"], values["source"])
        except (Exception, SystemExit) as error:
            raise RecipeError(
                f"use: {values.get('file') or values['module']} failed: {type(error).__name__}: {error}"
            ) from error


def _run_source(file: str, source: str) -> None:
    name = f"goldwash_use_{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return
    label = f"<{file}>"
    linecache.cache[label] = (len(source), None, source.splitlines(keepends=True), label)
    module = types.ModuleType(name, f"The user's {file}.")
    module.__file__ = label
    sys.modules[name] = module
    try:
        exec(compile(source, label, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
