"""Writers of other projects' formats: one file per format, listed in `EXPORTS`.

Invariants: there are two kinds. A format of documents is a function of the names of shards, the folder to write and the packing
of files; it returns the locations of the files. A format of tokens is a `TokenFormat`, called ``FORMAT`` in its file: the stage
``tokenize`` writes it, shard by shard, on any engine. Equal shards give equal bytes.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from goldwash.pipeline.parameters import RecipeError, nearest

if TYPE_CHECKING:
    from goldwash.pipeline.tokenization.shards import TokenFormat

EXPORTS: Mapping[str, str] = {
    "dclm": "goldwash.pipeline.export.dclm:export_dclm",
    "jsonl": "goldwash.pipeline.export.json_lines:export_jsonl",
    "parquet": "goldwash.pipeline.export.partitions:export_parquet",
    "text": "goldwash.pipeline.export.text:export_text",
    "openlm": "goldwash.pipeline.export.openlm:FORMAT",
    "megatron": "goldwash.pipeline.export.megatron:FORMAT",
    "nanotron": "goldwash.pipeline.export.nanotron:FORMAT",
    "mds": "goldwash.pipeline.export.mds:FORMAT",
    "llmc": "goldwash.pipeline.export.llmc:FORMAT",
    "nanogpt": "goldwash.pipeline.export.nanogpt:FORMAT",
    "olmo": "goldwash.pipeline.export.olmo:FORMAT",
}
"""Every format, and where it is written."""
TOKEN_FORMATS = tuple(name for name, place in EXPORTS.items() if place.endswith(":FORMAT"))
DOCUMENT_FORMATS = tuple(name for name in EXPORTS if name not in TOKEN_FORMATS)
PACKINGS = ("zst", "gz", "none")

Export = Callable[..., list[str]]


def exporter(name: str, packing: str = "zst") -> Export:
    """The writer of a format of documents; `RecipeError` where there is none, or the packing is unknown."""
    if name not in DOCUMENT_FORMATS:
        raise RecipeError(f"--format {name}: no such format: {nearest(name, list(EXPORTS))}")
    if packing not in PACKINGS:
        raise RecipeError(f"--packing {packing}: expected one of {', '.join(PACKINGS)}")
    found: Export = _imported(name)
    return found


def token_format(name: str) -> "TokenFormat":
    """The format of tokens of this name; `RecipeError` where there is none."""
    if name not in TOKEN_FORMATS:
        raise RecipeError(f"no format of tokens is called {name!r}: {nearest(name, list(TOKEN_FORMATS))}", ("formats",))
    found: TokenFormat = _imported(name)
    return found


def module_of(name: str) -> str:
    """The module that writes a format."""
    return EXPORTS[name].partition(":")[0]


def _imported(name: str) -> Any:
    module, _, attribute = EXPORTS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
