"""The stages, one file each: what can be done to a crawl.

Invariants: a stage is listed in `STAGES` under its name, which is also its file's. The recipe reader, the command line and the
workers know nothing else of it. A file is imported when its stage is asked for, so that a worker loads one stage and not all.

A new stage is a file here and a line in `CLASSES`. An installed package can bring stages of its own under the entry points
``goldwash.stages``, as ``name = "package.module:Class"``.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from goldwash.pipeline.parameters import RecipeError

if TYPE_CHECKING:  # `goldwash --help` lists the names, and must load neither the stages nor the packages that they need
    from importlib.metadata import EntryPoint

    from goldwash.pipeline.stage import Stage

CLASSES = {
    "extract": "Extract",
    "heuristics": "Heuristics",
    "exact": "Exact",
    "minhash": "MinHash",
    "bloom": "Bloom",
    "semdedup": "SemDeDup",
    "quality": "Quality",
    "decontaminate": "Decontaminate",
    "score": "Score",
    "robots": "Robots",
    "mix": "Mix",
    "pack": "Pack",
    "tokenize": "Tokenize",
}
"""The name of each stage's class, in the order of the flow."""
PLUGINS = "goldwash.stages"


@cache
def _plugins() -> "Mapping[str, EntryPoint]":
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=PLUGINS) if point.name not in CLASSES}


def _plugin(point: "EntryPoint") -> "type[Stage]":
    """The class of an entry point; a `RecipeError` says which package brought it and why it cannot be used."""
    from goldwash.pipeline.stage import Stage

    origin = f"stage {point.name} of the package {point.dist.name if point.dist else point.value} ({point.value})"
    try:
        kind = point.load()
    except Exception as error:
        raise RecipeError(f"{origin} cannot be loaded: {type(error).__name__}: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, Stage) and getattr(kind, "name", None) == point.name):
        raise RecipeError(f"{origin}: expected a subclass of goldwash's Stage whose name is {point.name!r}, found {kind!r}")
    return kind


class _Stages(Mapping[str, "type[Stage]"]):
    def __getitem__(self, name: str) -> "type[Stage]":
        if name not in CLASSES:
            return _plugin(_plugins()[name])
        kind: type[Stage] = getattr(import_module(f"goldwash.pipeline.stages.{name}"), CLASSES[name])
        return kind

    def __iter__(self) -> Iterator[str]:
        yield from CLASSES
        yield from _plugins()

    def __len__(self) -> int:
        return len(CLASSES) + len(_plugins())

    def __contains__(self, name: object) -> bool:
        return name in CLASSES or name in _plugins()


STAGES: "Mapping[str, type[Stage]]" = _Stages()
"""Every stage by its name, in the order of the flow; then those of installed packages."""
