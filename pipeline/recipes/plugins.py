"""A user's own filters, named under ``use:`` in a recipe.

Invariants: a file's source travels with the recipe, so that it reaches any worker on any machine; a module is imported by its
name. The signals and edits that they declare (``@per_text``, ``@per_row``, ``@signal``, ``@edit``) are known by name from then
on.
"""

import hashlib
import importlib
import linecache
import sys
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from goldwash.filters.signals import EDITS, SIGNALS
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.recipes.reading import text_of

PREFIX = "goldwash_use_"
"""The prefix of the names of modules made from files."""

_declared: dict[str, frozenset[str]] = {}
"""The signals and edits of each loaded file or module, by its key."""


def packed(name: str, folder: Path) -> dict[str, str]:
    """A name under ``use:`` in the form that is sent to workers: a ``.py`` file's source, or a module's name."""
    if not name.endswith(".py"):
        return {"module": name}
    path = folder / Path(name).expanduser()
    if not path.exists():
        raise RecipeError(f"use: no file {path}; give the path of a .py file (relative to the recipe) or a module's name")
    return {"file": path.name, "source": text_of(path)}


def load_custom(used: Iterable[Any]) -> None:
    """Run what `packed` returned, once per process; a `RecipeError` says which file failed, where and why."""
    for item in used:
        values = dict(item) if isinstance(item, Mapping) else packed(str(item), Path.cwd())
        before = {*SIGNALS, *EDITS}
        try:
            if "module" in values:
                known = values["module"] in sys.modules
                importlib.import_module(values["module"])
            else:
                known = _module_name(values["source"]) in sys.modules
                _run_source(values["file"], values["source"])
        except (Exception, SystemExit) as error:
            name = values.get("file") or values["module"]
            line = line_in(error, name)
            where = f", line {line}" if line else ""
            raise RecipeError(f"use: {name} failed: {type(error).__name__}: {error}{where}") from error
        if not known:
            _declared[_key(values)] = frozenset({*SIGNALS, *EDITS} - before)


def declared_names(item: Mapping[str, str]) -> frozenset[str] | None:
    """The signals and edits that a packed file or module declares; None where that is not known."""
    return _declared.get(_key(item)) or None


def line_in(error: BaseException, file: str) -> int | None:
    """The line of a user's file in which an error was raised; None if it was raised elsewhere."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _label(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    if line is None and isinstance(error, SyntaxError) and error.filename == _label(file):
        return error.lineno
    return line


def _key(values: Mapping[str, str]) -> str:
    return values["module"] if "module" in values else _module_name(values["source"])


def _label(file: str) -> str:
    return f"<{file}>"


def _module_name(source: str) -> str:
    return f"{PREFIX}{hashlib.sha256(source.encode()).hexdigest()[:16]}"


def _run_source(file: str, source: str) -> None:
    name = _module_name(source)
    if name in sys.modules:
        return
    label = _label(file)
    linecache.cache[label] = (len(source), None, source.splitlines(keepends=True), label)
    module = types.ModuleType(name, f"The user's {file}.")
    module.__file__ = label
    sys.modules[name] = module
    try:
        exec(compile(source, label, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
