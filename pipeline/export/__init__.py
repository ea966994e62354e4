"""Writers of other projects' formats: one file per format, listed in `EXPORTS`.

Invariants: a writer is a function of the names of shards, the folder to write and the packing; it returns the locations of the
files. Equal shards give equal bytes.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence

from goldwash.pipeline.parameters import RecipeError, nearest

EXPORTS: Mapping[str, str] = {
    "dclm": "goldwash.pipeline.export.dclm:export_dclm",
    "jsonl": "goldwash.pipeline.export.json_lines:export_jsonl",
}
PACKINGS = ("zst", "gz", "none")

Export = Callable[[Sequence[str], str, str], list[str]]


def exporter(name: str, packing: str = "zst") -> Export:
    """The writer of this name; `RecipeError` where there is none, or the packing is unknown."""
    if name not in EXPORTS:
        raise RecipeError(f"--format {name}: no such format: {nearest(name, list(EXPORTS))}")
    if packing not in PACKINGS:
        raise RecipeError(f"--packing {packing}: expected one of {', '.join(PACKINGS)}")
    module, _, function = EXPORTS[name].partition(":")
    found: Export = getattr(importlib.import_module(module), function)
    return found
