"""What deserves a look in a run, in sentences, the gravest first.

Invariants: each worry names numbers of this run and where to look. `worries_of` lists all that apply; the page shows the first
`SHOWN`. Severities only order the list: above 80 the dataset should not be used as it is, below 40 it is advice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from goldwash.pipeline.inspect.summary import share, size
from goldwash.pipeline.reporting.facts import Run
from goldwash.pipeline.reporting.families import Families
from goldwash.pipeline.reporting.hosts import Hosts
from goldwash.pipeline.reporting.published import beside_published
from goldwash.pipeline.reporting.values import Rule

SHOWN = 5
FEW_DOCUMENTS = 10_000
BIG_HOST, BIG_HOST_DOCUMENTS, BIG_FAMILY, STEEP, HEAVY_RULE, DIRTY = 0.05, 20, 0.01, 0.1, 0.3, 0.01
TWICE = 2.0
"""A step is far from the published one if it drops this many times as much, or as little, and `FAR_POINTS` points."""
FAR_POINTS = 5.0


@dataclass(frozen=True)
class Worry:
    """A sentence for the headline, one that explains it, and the place on the page."""

    severity: int
    title: str
    text: str
    place: str


def worries_of(run: Run, rules: Sequence[Rule], hosts: Hosts, families: Sequence[Families], contamination: Any) -> list[Worry]:
    """Everything that deserves a look, the gravest first."""
    found = [
        *_accounts(run), *_state(run), *_input(run), *_notes(run), *_funnel(run), *_rules(run, rules), *_hosts(hosts),
        *_families(run, families), *_contaminated(run, contamination),
    ]  # fmt: skip
    return sorted(found, key=lambda worry: -worry.severity)


def _accounts(run: Run) -> Iterator[Worry]:
    ledger = run.ledger
    if not ledger.adds_up:
        missing = ledger.read - ledger.kept - ledger.dropped - ledger.damaged
        yield Worry(
            100, f"{abs(missing):,} documents are not accounted for",
            "The stages' reports do not add up to what was read: files were changed by hand, or stages of several runs mixed.",
            "funnel",
        )  # fmt: skip
    for one, other in zip(run.finished, run.finished[1:], strict=False):
        if one.kept.documents != other.read.documents:
            yield Worry(
                99, f"{other.key} read {other.read.documents:,} documents, but {one.key} kept {one.kept.documents:,}",
                "A stage must read what the one before it kept.", "funnel",
            )  # fmt: skip


def _state(run: Run) -> Iterator[Worry]:
    if run.state == "finished":
        if run.finished and not run.ledger.kept:
            yield Worry(98, "no document is left", "Every document was dropped; the funnel shows where.", "funnel")
        elif run.finished and run.ledger.kept < FEW_DOCUMENTS:
            yield Worry(
                30, f"only {run.ledger.kept:,} document{'s are' if run.ledger.kept != 1 else ' is'} left",
                "Shares of rules and hosts are uncertain at this size, and thresholds that depend on the run move with it.",
                "funnel",
            )  # fmt: skip
        return
    left = [stage.key for stage in run.stages if not stage.finished]
    why = f" {run.failures[0]}" if run.failures else ""
    what = {"failed": "the run failed", "stopped": "the run stopped"}.get(run.state, "the run is not finished")
    yield Worry(95, what, f"Not finished: {', '.join(left)}. What follows is about the finished stages.{why}", "versions")


def _input(run: Run) -> Iterator[Worry]:
    if run.losses.places:
        yield Worry(
            85, f"{run.losses.places:,} damaged places in the input",
            f"{size(run.losses.bytes)} could not be read. Fetch those archives again, and give the same command again.",
            "damage",
        )  # fmt: skip
    for weight, files, what, why in (
        (90, run.losses.without_records, "with bytes and no record", "They may be half downloads, or of another format."),
        (75, run.losses.without_documents, "without a document", "They may be half downloads, or empty from the start."),
    ):
        if files:
            yield Worry(weight, f"{len(files):,} input file{'s' * (len(files) != 1)} {what}", why, "damage")


def _notes(run: Run) -> Iterator[Worry]:
    for stage in run.finished:
        for note in stage.held.get("notes") or ():
            first, rest = clauses(str(note))
            yield Worry(80, first, rest, f"stage-{stage.key}")


def clauses(note: str) -> tuple[str, str]:
    """The first clause of a note, and what follows.

    >>> clauses("the classifier is a toy: train one of your own"), clauses("so. Set b=1: x"), clauses("one")
    (('the classifier is a toy', 'train one of your own'), ('so', 'Set b=1: x'), ('one', ''))
    """
    first, _, rest = next((note.partition(mark) for mark in _marks(note)), (note, "", ""))
    return first, rest


def _marks(note: str) -> list[str]:
    """The marks that end a clause, in the order in which they come."""
    return sorted((mark for mark in (": ", ". ") if mark in note), key=note.index)


def _funnel(run: Run) -> Iterator[Worry]:
    far = []
    for step in beside_published(run):
        if step.published is not None and abs(step.here - step.published) >= FAR_POINTS:
            low, high = sorted((step.here, step.published))
            if high >= TWICE * low:
                far.append((high - low, f"“{step.name}” drops {step.here:.1f}% of the pages (DCLM {step.published:g}%)"))
    if far:
        far.sort(reverse=True)
        yield Worry(
            45, f"the funnel differs from DCLM's: {far[0][1]}",
            "; ".join([*(text for _, text in far[1:4]), "the input is no sample of Common Crawl, or a rule differs"]) + ".",
            "published",
        )  # fmt: skip


def _rules(run: Run, rules: Sequence[Rule]) -> Iterator[Worry]:
    for stage in run.finished:
        for name, count in stage.dropped.items():
            if (
                stage.name != "quality"
                and count.documents >= HEAVY_RULE * max(1, stage.read.documents)
                and count.documents > 20
            ):
                part = share(count.documents, stage.read.documents)
                yield Worry(
                    50, f"one rule, {name}, drops {part} of what {stage.key} reads",
                    "Read some of the pages that it drops before you trust it.", f"rule-{stage.key}-{name}",
                )  # fmt: skip
    steep = [(abs(o.change), rule, o) for rule in rules for o in rule.others if o.small]
    for change, rule, other in sorted(steep, key=lambda each: -each[0])[:1]:
        its = run.stage(rule.stage)
        if its is not None and change >= STEEP * max(1, its.kept.documents):
            verb = "lose" if other.change < 0 else "keep"
            yield Worry(
                40, f"{rule.name} decides on many documents near its threshold",
                f"With {other.bounds} the stage would {verb} {change:,.0f} {'' if other.change < 0 else 'more '}of its "
                f"{its.kept.documents:,} documents.", f"rule-{rule.stage}-{rule.name}",
            )  # fmt: skip


def _hosts(hosts: Hosts) -> Iterator[Worry]:
    if hosts.lost:
        worst = max(hosts.lost, key=lambda host: (not host.rule.startswith("language"), host.rule_documents, host.name))
        more = f", and {hosts.count_lost - 1:,} more hosts like it" if hosts.count_lost > 1 else ""
        yield Worry(
            60, f"{worst.name} lost {share(worst.read - worst.kept, worst.read)} of its {worst.read:,} documents{more}",
            f"Most of them by {worst.rule} ({worst.rule_documents:,}). A source that one rule takes away is often a fault of "
            "the rule.", "lost-hosts",
        )  # fmt: skip
    top = hosts.kept[0] if hosts.kept else None
    if (
        top is not None
        and hosts.count_kept > 1
        and top.kept > BIG_HOST * hosts.documents_kept
        and top.kept >= BIG_HOST_DOCUMENTS
    ):
        yield Worry(
            55, f"{top.name} alone makes up {share(top.kept, hosts.documents_kept)} of the dataset's documents",
            "Its style, its facts and its templates weigh as much.", f"kept-host-{top.name}",
        )  # fmt: skip


def _families(run: Run, families: Sequence[Families]) -> Iterator[Worry]:
    for each in families:
        stage = run.stage(each.stage)
        if stage is None or not each.largest:
            continue
        top = each.largest[0]
        if top.size >= BIG_FAMILY * max(1, stage.read.documents) and top.size >= 5:
            yield Worry(
                50, f"one family of copies has {top.size:,} documents",
                "Boilerplate that many pages share can chain different documents together; read its excerpt.", "families",
            )  # fmt: skip


def _contaminated(run: Run, contamination: Any) -> Iterator[Worry]:
    if not contamination:
        if run.state == "finished" and run.held and all(stage.name != "decontaminate" for stage in run.stages):
            yield Worry(
                65, "nothing was decontaminated",
                "The recipe has no decontaminate stage, so benchmark questions may be in the dataset.", "contamination",
            )  # fmt: skip
        return
    items = contamination.get("items") or []
    dirty = [item for item in items if item.get("status") == "dirty"]
    total = sum(row.get("items", 0) for row in (contamination.get("benchmarks") or {}).values())
    if dirty and len(dirty) >= DIRTY * max(1, total):
        kept = "were dropped" if (contamination.get("parameters") or {}).get("action") == "drop" else "were found"
        yield Worry(
            58, f"{len(dirty):,} of {total:,} benchmark items are in the crawl nearly word for word",
            f"The pages {kept}; reworded ones are not found by this rule.", "contamination",
        )  # fmt: skip
