"""goldwash: from Common Crawl archives to a training set, the DCLM way.

The Python interface, for scripts and notebooks (docs/python.md)::

    run, report, explain, recipe         run a recipe; read what a run did, and why a page was kept or dropped
    stage, apply                         one stage on a list of texts, a table, a data frame or a dataset in memory
    measure, signals                     numbers of texts
    classifier                           scores of texts
    near_duplicates, decontaminate       texts that are nearly the same; texts that quote benchmark questions
    per_text, per_row, signal, edit      signals and edits of your own
    RecipeError, DataError, RunError     errors in the recipe, in the data, in a task

Invariants: a name is imported when it is first used, so that ``import goldwash`` takes milliseconds. `_PLACES`
lists them; the code is in `goldwash.pipeline.interface`, on the objects that the command line uses.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldwash.filters.signals import edit, per_row, per_text, signal
    from goldwash.filters.texts import Texts
    from goldwash.pipeline.interface.memory import Applied, apply, stage
    from goldwash.pipeline.interface.runs import RunReport, explain, report, run
    from goldwash.pipeline.interface.runs import load_recipe as recipe
    from goldwash.pipeline.interface.texts import (
        Classifier,
        NearDuplicates,
        classifier,
        decontaminate,
        measure,
        near_duplicates,
        signals,
    )
    from goldwash.pipeline.parameters import RecipeError
    from goldwash.pipeline.stage import RunError
    from goldwash.pipeline.storage.failures import DataError

    __version__: str

_PLACES = {
    "run": "pipeline.interface.runs",
    "report": "pipeline.interface.runs",
    "explain": "pipeline.interface.runs",
    "recipe": "pipeline.interface.runs:load_recipe",
    "RunReport": "pipeline.interface.runs",
    "stage": "pipeline.interface.memory",
    "apply": "pipeline.interface.memory",
    "Applied": "pipeline.interface.memory",
    "measure": "pipeline.interface.texts",
    "signals": "pipeline.interface.texts",
    "classifier": "pipeline.interface.texts",
    "Classifier": "pipeline.interface.texts",
    "near_duplicates": "pipeline.interface.texts",
    "NearDuplicates": "pipeline.interface.texts",
    "decontaminate": "pipeline.interface.texts",
    "per_row": "filters",
    "per_text": "filters",
    "signal": "filters",
    "edit": "filters",
    "Texts": "filters",
    "RecipeError": "pipeline.stage",
    "RunError": "pipeline.stage",
    "DataError": "pipeline.storage.locations",
}
"""Where each name is: ``MODULE``, or ``MODULE:NAME`` if it has another name there."""

__all__ = [
    "Applied", "Classifier", "DataError", "NearDuplicates", "RecipeError", "RunError", "RunReport", "Texts", "__version__",
    "apply", "classifier", "decontaminate", "edit", "explain", "measure", "near_duplicates", "per_row", "per_text", "recipe",
    "report", "run", "signal", "signals", "stage",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "__version__":
        globals()[name] = _version()
        return globals()[name]
    if name not in _PLACES:
        raise AttributeError(f"module 'goldwash' has no attribute {name!r}")
    module, _, own = _PLACES[name].partition(":")
    found = getattr(import_module(f"goldwash.{module}"), own or name)
    globals()[name] = found
    return found


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # 30 ms

    try:
        return version("goldwash")
    except PackageNotFoundError:  # a checkout on the path, not installed
        return "0+unknown"


def __dir__() -> list[str]:
    """The public names."""
    return sorted({*globals(), *__all__})
