"""Run the variants of a recipe in one folder, and say what each made.

Invariants: variants share the run's folder. A stage's folder is named by its fingerprint, so that what two variants have in
common is run once, on every engine. A variant stops after its last stage: no ``dataset/`` is made, and the last stage's shards
are its dataset.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from goldwash.evidence.ablate.meter import Book, Metered, Spent
from goldwash.evidence.ablate.variants import Variant
from goldwash.evidence.errors import EvidenceError
from goldwash.pipeline import flow
from goldwash.pipeline.engines.local import Local
from goldwash.pipeline.engines.settings import Screen, Settings
from goldwash.pipeline.report import Count


@dataclass(frozen=True)
class Place:
    """Where variants run: ``inputs`` as the user gave them, the folder, the engine's name and settings, a run's options."""

    inputs: Sequence[str]
    out: str
    on: str
    settings: Settings
    options: flow.Options = field(default_factory=flow.Options)


@dataclass(frozen=True)
class Made:
    """What a variant made. ``folder``: its last stage's; ``kept``: documents and bytes there; ``shared``: stages it reused."""

    variant: Variant
    folder: str
    kept: Count
    spent: Spent
    stages: int
    shared: int

    def values(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "variant": self.variant.name, "folder": self.folder.rpartition("/")[2], "documents": self.kept.documents,
            "bytes": self.kept.bytes, "cpu_seconds": round(self.spent.seconds, 2), "cpu_seconds_measured": self.spent.measured,
            "stages": self.stages, "shared_stages": self.shared,
        }  # fmt: skip


def fitted(variants: Sequence[Variant], place: Place, notify: flow.Notify) -> list[Variant]:
    """The variants for these inputs, after every early check of every variant."""
    out = [replace(variant, recipe=flow.fitted(variant.recipe, place.inputs, notify)) for variant in variants]
    for variant in out:
        flow.checked(variant.recipe, place.inputs, place.out, None, place.options)
    place.settings.check()
    return out


def run(variants: Sequence[Variant], place: Place, screen: Screen) -> list[Made]:
    """Run the variants, one after the other. Raises `EvidenceError` where one of them keeps no document."""
    book = Book.of(place.out)
    settings = place.settings
    if type(settings) is Local:
        settings = Metered(settings.workers, book)
    out, seen = list[Made](), set[str]()
    for number, variant in enumerate(variants, 1):
        screen.notify(f"variant {number} of {len(variants)}: {variant.name}")
        last = variant.recipe.stage_names()[-1]
        settings.walk(flow.Request(variant.recipe, place.inputs, place.out, last, place.on, place.options), screen)
        folders = flow.run_folders(place.out)
        names = [folder for folder, _ in folders]
        spent = book.of_stages(variant.recipe.stages, names, [report for _, report in folders])
        kept = Count(**folders[-1][1]["report"]["kept"])
        if not kept.documents:
            raise EvidenceError(
                f"variant {variant.name} kept no document ({names[-1]}/report.json says why): loosen it, or leave the value out"
            )
        out.append(Made(variant, names[-1], kept, spent, len(names), len(seen & set(names))))
        seen |= set(names)
    return out
