"""What of a benchmark's items is looked for in texts, and what of an item a text holds.

Law: an item is its words: the question's, then each option's. A *needle* is a run of them. Two rules say which runs, both named
by their source:

=========  ==================================================================================================================
``dclm``   the question's last sentence, lengthened to ``min_words`` words; a text that has it quotes the item if it has one of
           the options, too (2406.11794, section 4.6)
``ngram``  all runs of ``ngram`` words of the question and of each option (GPT-3, 2005.14165, appendix C: 13; Llama 2,
           2307.09288, A.6: 10; PaLM, 2204.02311, section 8: 8 with a coverage of 0.7); a question or option of fewer words,
           but at least ``min_words``, is a run as a whole; a text quotes the item if it holds at least ``min_coverage`` of
           its words
=========  ==================================================================================================================

The information of a needle is the sum over its words of how rare each is among the benchmark's own, in bits (add-one estimate
over 50,000 words more): "which of the following is" has little, a name has much.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2

import numpy as np
import numpy.typing as npt

from filters.cut import Rows
from filters.texts import Texts
from pipeline.benchmarks import Item
from pipeline.dedup.overlap import Index, found, index_of, normal_words

UNSEEN = 50_000


@dataclass(frozen=True)
class Rule:
    """Which runs of an item's words are looked for, and how much of it a text must hold."""

    name: str = "dclm"
    min_words: int = 5
    ngram: int = 13
    min_coverage: float = 0.0
    min_information: float = 0.0


@dataclass(frozen=True)
class Quote:
    """An item that a text quotes: byte ranges in the buffer, the item's words that were found, and their share of its words."""

    item: int
    spans: tuple[tuple[int, int], ...]
    words: tuple[tuple[int, int], ...]
    coverage: float


@dataclass(frozen=True, eq=False)
class Needles:
    """The needles of some items: of each its item, its first word there, and the index that finds it.

    ``sizes: int64[items]``: an item's words; ``options``: of each item the hashes of its options' words, and where they begin;
    ``unsearched``: items of which nothing is looked for, because all runs are too short or tell too little.
    """

    rule: Rule
    index: Index
    items: Rows
    firsts: Rows
    sizes: Rows
    options: tuple[tuple[tuple[int, npt.NDArray[np.uint64]], ...], ...]
    unsearched: int


def needles_of(items: Sequence[Item], rule: Rule) -> Needles:
    """What is looked for, of these items."""
    segments = Texts.of([text for item in items for text in (item.question, *item.options)])
    words, hashes = segments.uax29_words, normal_words(segments)
    counts = Counter(hashes.tolist())
    total = len(hashes) + UNSEEN
    bits = np.array([log2(total / (counts[h] + 1)) for h in hashes.tolist()], np.float64)
    chosen: list[tuple[int, int, int, int]] = []  # item, its first word there, and the run among all words
    sizes, options = np.zeros(len(items), np.int64), []
    segment = 0
    for number, item in enumerate(items):
        here = range(segment, segment + 1 + len(item.options))
        segment = here.stop
        begin = int(words.parents[here.start])
        bounds = [(int(words.parents[s]), int(words.parents[s + 1])) for s in here]
        sizes[number] = bounds[-1][1] - begin
        options.append(tuple((a - begin, hashes[a:b]) for a, b in bounds[1:] if b > a))
        if rule.name == "dclm":
            runs = [_last_sentence(item, bounds[0], rule)]
        else:
            runs = [run for a, b in bounds for run in _runs(a, b, rule)]
        chosen += [(number, a - begin, a, b) for a, b in runs if b > a and bits[a:b].sum() >= rule.min_information]
    texts = [segments.utf8[int(words.starts[a]) : int(words.ends[b - 1])].tobytes().decode("utf-8") for _, _, a, b in chosen]
    table = np.array([(n, first) for n, first, _, _ in chosen], np.int64).reshape(-1, 2)
    unsearched = len(items) - len(np.unique(table[:, 0]))
    return Needles(rule, index_of(texts), table[:, 0], table[:, 1], sizes, tuple(options), unsearched)


def _last_sentence(item: Item, question: tuple[int, int], rule: Rule) -> tuple[int, int]:
    a, b = question
    length = max(len(Texts.of([item.last_sentence]).uax29_words), min(rule.min_words, b - a))
    return max(a, b - length), b


def _runs(a: int, b: int, rule: Rule) -> list[tuple[int, int]]:
    if b - a < rule.ngram:
        return [(a, b)] if b - a >= rule.min_words else []
    return [(k, k + rule.ngram) for k in range(a, b - rule.ngram + 1)]


def quotes_of(texts: Texts, needles: Needles, ignored: Collection[int] = ()) -> dict[int, list[Quote]]:
    """The items that each text quotes, by row; texts without one are not there. ``ignored``: needles that count for nothing."""
    rows, firsts, which = found(texts, needles.index)
    if len(ignored):
        left = ~np.isin(which, np.fromiter(ignored, np.int64))
        rows, firsts, which = rows[left], firsts[left], which[left]
    if not len(rows):
        return {}
    words, hashed = texts.uax29_words, normal_words(texts)
    quotes: dict[int, list[Quote]] = {}
    order = np.lexsort((firsts, needles.items[which], rows))
    rows, firsts, which = rows[order], firsts[order], which[order]
    changes = np.flatnonzero(np.diff(rows) | np.diff(needles.items[which])) + 1
    for a, b in pairwise([0, *changes.tolist(), len(rows)]):
        row, item = int(rows[a]), int(needles.items[which[a]])
        lengths = needles.index.lengths[which[a:b]]
        runs = list(zip(firsts[a:b].tolist(), (firsts[a:b] + lengths).tolist(), strict=True))
        own = [(int(f), int(f + n)) for f, n in zip(needles.firsts[which[a:b]], lengths, strict=True)]
        if needles.rule.name == "dclm" and needles.options[item]:
            begin, end = int(words.parents[row]), int(words.parents[row + 1])
            met = _options(needles.options[item], hashed[begin:end])
            if not met:
                continue
            runs += [(begin + at, begin + at + n) for at, n, _ in met]
            own += [(first, first + n) for _, n, first in met]
        own = _joined(own)
        coverage = sum(y - x for x, y in own) / int(needles.sizes[item])
        if needles.rule.name != "dclm" and coverage < needles.rule.min_coverage:
            continue
        spans = tuple((int(words.starts[x]), int(words.ends[y - 1])) for x, y in _joined(runs))
        quotes.setdefault(row, []).append(Quote(item, spans, tuple(own), coverage))
    return quotes


def _options(
    options: Sequence[tuple[int, npt.NDArray[np.uint64]]], hashed: npt.NDArray[np.uint64]
) -> list[tuple[int, int, int]]:
    """Where options stand among a text's words: the place, their words, and their first word in the item."""
    met = []
    for first, option in options:
        n = len(option)
        if n > len(hashed):
            continue
        same = np.ones(len(hashed) - n + 1, bool)
        for k in range(n):
            same &= hashed[k : len(hashed) - n + 1 + k] == option[k]
        met += [(int(at), n, first) for at in np.flatnonzero(same)]
    return met


def _joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges sorted, those that touch or overlap made one."""
    out: list[tuple[int, int]] = []
    for a, b in sorted(ranges):
        if out and a <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], b))
        else:
            out.append((a, b))
    return out


def document_counts(texts: Texts, needles: Needles) -> Counter[int]:
    """In how many of these texts each needle stands."""
    rows, _, which = found(texts, needles.index)
    pairs = np.unique(np.stack([rows, which], axis=1), axis=0) if len(rows) else np.zeros((0, 2), np.int64)
    return Counter(pairs[:, 1].tolist())
