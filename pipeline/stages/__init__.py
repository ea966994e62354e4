"""The stages, one file each: what can be done to a crawl.

Law: a stage is in `STAGES` under its name, which is its file's too, and that is all that the recipe, the command line and the
workers know of it. A file is imported when its stage is asked for, so that a worker holds one stage and not all of them.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the names alone must cost nothing: `goldwash --help` lists them
    from goldwash.pipeline.stage import Stage

CLASSES = {
    "extract": "Extract",
    "heuristics": "Heuristics",
    "exact": "Exact",
    "minhash": "MinHash",
    "bloom": "Bloom",
    "quality": "Quality",
    "decontaminate": "Decontaminate",
    "score": "Score",
}
"""What each stage's class is called, in the order of the flow."""


class _Stages(Mapping[str, "type[Stage]"]):
    def __getitem__(self, name: str) -> "type[Stage]":
        class_ = CLASSES[name]
        kind: type[Stage] = getattr(import_module(f"goldwash.pipeline.stages.{name}"), class_)
        return kind

    def __iter__(self) -> Iterator[str]:
        return iter(CLASSES)

    def __len__(self) -> int:
        return len(CLASSES)

    def __contains__(self, name: object) -> bool:
        return name in CLASSES


STAGES: "Mapping[str, type[Stage]]" = _Stages()
"""Every stage by its name, in the order of the flow."""
