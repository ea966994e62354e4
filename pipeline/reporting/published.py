"""The published funnel of DCLM-Baseline, and a run's own drops in the same steps.

Source: DataComp-LM (arXiv 2406.11794), figure 4, in percent of the documents of the pool. The pool is what resiliparse
extracted, so pages that a run drops before it has their text (status, type, no text) are a step of their own here.
"""

import re
from dataclasses import dataclass

from goldwash.pipeline.reporting.facts import Run

STEPS: tuple[tuple[str, float | None, re.Pattern[str]], ...] = (
    ("no page of text", None, re.compile(r"extract\.(?!url_|language|.*word_count).*")),
    ("URL", 0.8, re.compile(r"\w+\.url_.*")),
    ("English", 50.8, re.compile(r"\w+\.language.*")),
    ("page length", 7.9, re.compile(r"\w+\.(?!stop_)(\w+_)?word_count")),
    ("repetition", 9.6, re.compile(r"\w+\.(repeated_|top_\d).*")),
    ("words removed by line rules", 2.0, re.compile(r"\w+\.lost.*")),
    ("other heuristics", 9.0, re.compile(r"heuristics\..*")),
    ("duplicates", 6.2, re.compile(r"(minhash|bloom|exact)\..*")),
    ("quality", 12.3, re.compile(r"quality\..*")),
    ("anything else", None, re.compile(r".*")),
)
"""A step's name, its published percentage, and the rules of ours in it, as ``stage.rule``; the first that matches counts."""

KEPT_PERCENT = 1.4
"""What DCLM keeps."""


@dataclass(frozen=True)
class PublishedStep:
    """A step: the percentage of all documents that it dropped here, and as published (None: DCLM has no such step)."""

    name: str
    here: float
    published: float | None


def step_of(stage: str, rule: str) -> str:
    """The step of a rule.

    >>> step_of("extract", "language"), step_of("heuristics", "fasttext_word_count"), step_of("extract", "no_text")
    ('English', 'page length', 'no page of text')
    """
    return next(name for name, _, pattern in STEPS if pattern.fullmatch(f"{stage}.{rule}"))


def beside_published(run: Run) -> list[PublishedStep]:
    """A crawl's funnel beside the published one; ``[]`` where the input is not a crawl, or nothing was read."""
    done = run.finished
    if not run.reads_archives or not done or not done[0].read.documents:
        return []
    dropped: dict[str, int] = {}
    for stage in done:
        for rule, count in stage.dropped.items():
            name = step_of(stage.name, rule)
            dropped[name] = dropped.get(name, 0) + count.documents
    total = done[0].read.documents
    return [
        PublishedStep(name, 100 * dropped.get(name, 0) / total, published)
        for name, published, _ in STEPS
        if published is not None or dropped.get(name)
    ]
