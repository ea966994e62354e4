"""Two runs side by side: which documents a changed recipe keeps and loses, by rule, with samples, by id.

Invariants: documents are the same if their ids are. A document's fate is where a run left it: kept, or dropped by the first
rule that it failed. ``gained`` are kept by B and not by A; ``lost`` are kept by A and not by B. Of large runs the same parts of
both are compared, which takes the same inputs; large runs of different inputs are refused.
"""

import difflib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from goldwash.pipeline.inspect.summary import share, size
from goldwash.pipeline.report import Count
from goldwash.pipeline.reporting.facts import Run, facts_of
from goldwash.pipeline.reporting.page import MOST_BYTES, rendered, tokens
from goldwash.pipeline.reporting.parts import MOST_DOCUMENTS, Parts, chosen, fates, texts_by_id
from goldwash.pipeline.storage.atomic import write_text
from goldwash.pipeline.storage.failures import DataError

SAMPLES = 4
"""Documents that are shown of each change."""

CHANGES = 60
"""Changes that are listed."""

RECIPE_LINES = 400

ABSENT = "not in this run"


@dataclass(frozen=True)
class Fate:
    """Where a run left a document: ``""`` and ``kept``, or the stage and rule that dropped it, with value and detail."""

    stage: str
    rule: str
    value: float | None
    detail: str | None
    url: str

    @property
    def kept(self) -> bool:
        """Whether the document is in the dataset."""
        return not self.stage and self.rule != ABSENT

    @property
    def words(self) -> str:
        """Where it was left, for people."""
        return "kept" if self.kept else ABSENT if self.rule == ABSENT else f"{self.stage}: {self.rule}"


@dataclass(frozen=True)
class Sample:
    """A document of a change: its value in the run that dropped it, and the beginning of its text in the other one."""

    id: str
    url: str
    value: float | None
    detail: str | None
    text: str = ""
    kept: bool = True


@dataclass(frozen=True)
class Change:
    """The documents that run A left in one place and run B in another."""

    before: str
    after: str
    gained: bool
    lost: bool
    documents: int
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Two runs, compared: documents in both, kept by both, gained and lost, and every change of place."""

    a: Run
    b: Run
    compared: int
    both: int
    gained: int
    lost: int
    changes: tuple[Change, ...]
    same_inputs: bool
    whole: bool
    repeated_ids: int = 0


def write_comparison(a: str, b: str, out: str) -> str:
    """Write the page of two runs; returns its place. Raises `DataError` where a folder is neither a run nor a stage."""
    write_text(out, page(compared(facts_of(a), facts_of(b))))
    return out


def compared(a: Run, b: Run) -> Comparison:
    """Compare two runs, document by document.

    Raises `DataError` where they have different inputs and are too large to be read whole.
    """
    same = _inputs(a) == _inputs(b) and bool(_inputs(a))
    parts = chosen(a), chosen(b)
    if not same and not all(each.whole for each in parts):
        raise DataError(
            f"{a.folder} and {b.folder} have different inputs, so their documents can be compared only where each run has at "
            f"most {MOST_DOCUMENTS:,}: compare runs on the same inputs"
        )
    if same and len(parts[1].numbers) < len(parts[0].numbers):
        parts = _restricted(parts[0], parts[1]), parts[1]
    elif same:
        parts = parts[0], _restricted(parts[1], parts[0])
    (one, more_one), (other, more_other) = (_by_id(fates(run, p)) for run, p in zip((a, b), parts, strict=True))
    counts: dict[tuple[str, str], int] = {}
    shown: dict[tuple[str, str], list[tuple[int, str]]] = {}
    absent = Fate("", ABSENT, None, None, "")
    for id_ in {**one, **other}:
        before, after = one.get(id_, absent), other.get(id_, absent)
        key = (before.words, after.words)
        counts[key] = counts.get(key, 0) + 1
        if key[0] != key[1]:
            _offer(shown.setdefault(key, []), id_)
    places = {key: [id_ for _, id_ in sorted(ids)] for key, ids in shown.items()}
    texts = _texts(a, b, parts, one, other, places)
    changes = [_change(key, counts[key], places[key], one, other, texts) for key in places]
    changes.sort(key=lambda change: (not (change.gained or change.lost), -change.documents, change.before, change.after))
    both, gained, lost = (sum(n for key, n in counts.items() if test(key)) for test in (_both, _gained, _lost))
    whole = all(each.whole for each in parts)
    total, shown_changes, repeated = sum(counts.values()), tuple(changes[:CHANGES]), more_one + more_other
    return Comparison(a, b, total, both, gained, lost, shown_changes, same, whole, repeated)


def _inputs(run: Run) -> list[Any]:
    """The identities of a run's inputs."""
    held = run.finished[0].held.get("inputs") if run.finished else None
    return [(i.get("name") or i.get("path"), i.get("bytes")) for i in held or () if isinstance(i, Mapping)]


def _restricted(parts: Parts, to: Parts) -> Parts:
    """The parts that both runs read."""
    return replace(parts, numbers=tuple(n for n in parts.numbers if n in to.numbers) or to.numbers, unreadable=[])


def _by_id(table: pa.Table) -> tuple[dict[str, Fate], int]:
    """Fates by id, and how many ids were there more than once (the first counts)."""
    found: dict[str, Fate] = {}
    columns = [table[name].to_pylist() for name in ("id", "url", "stage", "rule", "value", "detail")]
    for id_, url, stage, rule, value, detail in zip(*columns, strict=True):
        found.setdefault(id_, Fate(stage, rule, value, detail, url))
    return found, table.num_rows - len(found)


def _offer(shown: list[tuple[int, str]], id_: str) -> None:
    """Keep the ids with the smallest hashes, so that the same documents are shown every time."""
    shown.append((zlib.crc32(id_.encode("utf-8", "replace")), id_))
    if len(shown) > 8 * SAMPLES:
        shown.sort()
        del shown[SAMPLES:]


def _both(key: tuple[str, str]) -> bool:
    return key == ("kept", "kept")


def _gained(key: tuple[str, str]) -> bool:
    return key[1] == "kept" and key[0] != "kept"


def _lost(key: tuple[str, str]) -> bool:
    return key[0] == "kept" and key[1] != "kept"


Texts = Mapping[str, str]


def _texts(
    a: Run,
    b: Run,
    parts: tuple[Parts, Parts],
    one: Mapping[str, Fate],
    other: Mapping[str, Fate],
    places: Mapping[Any, Sequence[str]],
) -> Texts:
    """The texts of the documents that are shown, from the run that keeps them, else from the first stage that has them."""
    ids = {id_ for each in places.values() for id_ in each[:SAMPLES]}
    found: dict[str, str] = {}
    for run, own, known in ((b, parts[1], other), (a, parts[0], one)):
        if not run.finished:
            continue
        kept = {id_ for id_ in ids - found.keys() if id_ in known and known[id_].kept}
        found |= texts_by_id(own, run.finished[-1], kept)
    for run, own in ((a, parts[0]), (b, parts[1])):
        if run.finished:
            found |= texts_by_id(own, run.finished[0], ids - found.keys())
    return found


def _change(
    key: tuple[str, str], count: int, ids: Sequence[str], one: Mapping[str, Fate], other: Mapping[str, Fate], texts: Texts
) -> Change:
    samples = []
    for id_ in ids[:SAMPLES]:
        before, after = one.get(id_), other.get(id_)
        gone = next((fate for fate in (after, before) if fate is not None and not fate.kept), None)
        url = next((fate.url for fate in (before, after) if fate is not None and fate.url), "")
        value, detail = (gone.value, gone.detail) if gone else (None, None)
        samples.append(Sample(id_, url, value, detail, texts.get(id_, ""), key[1] == "kept"))
    return Change(*key, _gained(key), _lost(key), count, tuple(samples))


def page(found: Comparison) -> str:
    """The page of a comparison."""
    samples = True
    while True:
        made = rendered("comparison.html.j2", _context(found, samples))
        if len(made.encode("utf-8", "replace")) <= MOST_BYTES or not samples:
            return made
        samples = False


def _context(found: Comparison, samples: bool) -> dict[str, Any]:
    sides = [(run, run.finished[-1].kept if run.finished else Count()) for run in (found.a, found.b)]
    return {
        "found": found, "samples": samples, "rules": _rules(found.a, found.b), "recipe": _recipe(found.a, found.b),
        "sides": [
            {"name": name, "run": run, "ledger": run.ledger, "bytes": size(kept.bytes), "tokens": tokens(kept.bytes),
             "share": share(run.ledger.kept, run.ledger.read)}
            for name, (run, kept) in zip("AB", sides, strict=True)
        ],
        "sections": [("rules", "Rules"), ("gained", "Gained"), ("lost", "Lost"), ("moved", "Moved"), ("recipe", "Recipe")],
    }  # fmt: skip


def _rules(a: Run, b: Run) -> list[dict[str, Any]]:
    """What each rule drops in both runs, the greatest difference first."""
    counts: dict[tuple[str, str], list[int]] = {}
    for side, run in enumerate((a, b)):
        for stage in run.finished:
            for rule, count in stage.dropped.items():
                counts.setdefault((stage.name, rule), [0, 0])[side] += count.documents
    rows = [{"stage": stage, "rule": rule, "a": n[0], "b": n[1], "change": n[1] - n[0]} for (stage, rule), n in counts.items()]
    return sorted(rows, key=lambda row: (-abs(int(row["change"])), row["stage"], row["rule"]))


def _recipe(a: Run, b: Run) -> list[tuple[str, str]]:
    """The lines that differ between the recipes, with their sign; stages' parameters where there is no recipe."""
    one, other = (run.recipe.splitlines() or [f"{s.key}: {dict(s.config)}" for s in run.stages] for run in (a, b))
    lines = list(difflib.unified_diff(one, other, lineterm="", n=2))[2:]
    return [(line[:1], line[1:]) for line in lines[:RECIPE_LINES] if not line.startswith("@@")]
