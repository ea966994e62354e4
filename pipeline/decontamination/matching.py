"""Which parts of a benchmark's items are looked for in texts, and which items a text quotes.

Invariants: an item is its words: the question's, then each option's. A *needle* is a run of them. Two rules, named by their
source, choose the runs:

=========  ==================================================================================================================
``dclm``   the question's last sentence, lengthened to ``min_words`` words; nothing of a question of fewer words; a text that
           holds it quotes the item if it holds one of the options, too (2406.11794, section 4.6)
``ngram``  all runs of ``ngram`` words of the question and of each option (GPT-3, 2005.14165, appendix C: 13; Llama 2,
           2307.09288, A.6: 10; PaLM, 2204.02311, section 8: 8 with a coverage of 0.7); a question or option of fewer words,
           but at least ``min_words``, is a run as a whole; a text quotes the item if it holds at least ``min_coverage`` of
           its words
=========  ==================================================================================================================

Once an item is quoted, all its options that the text holds count as found, and by ``dclm`` the words before the last sentence.

The information of a needle is the sum over its words of how rare each is among the benchmark's own, in bits (add-one estimate
over 50,000 words more): "which of the following is" has little, a name has much.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from goldwash.filters.cut import Rows
from goldwash.filters.texts import Texts
from goldwash.pipeline.decontamination.benchmarks import Item
from goldwash.pipeline.decontamination.index import Index, found, index_of_runs, normal_words

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

    ``sizes: int64[items]``: an item's words, ``words`` their hashes; ``options``: of each item the hashes of its options'
    words, and where they begin; ``unsearched``: items of which nothing is looked for, all runs being too short or too plain.
    """

    rule: Rule
    index: Index
    items: Rows
    firsts: Rows
    sizes: Rows
    words: tuple[npt.NDArray[np.uint64], ...]
    options: tuple[tuple[tuple[int, npt.NDArray[np.uint64]], ...], ...]
    unsearched: int


def needles_of(items: Sequence[Item], rule: Rule) -> Needles:
    """What is looked for, of these items."""
    segments = Texts.of([text for item in items for text in (item.question, *item.options)])
    parents, hashes = segments.uax29_words.parents, normal_words(segments)
    _, which, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    bits = np.log2((len(hashes) + UNSEEN) / (counts + 1))[which]
    told = np.concatenate([[0.0], np.cumsum(bits)])
    first_segment = np.concatenate([[0], np.cumsum([1 + len(item.options) for item in items], dtype=np.int64)])
    begins = parents[first_segment]
    if rule.name == "dclm":
        ends = parents[first_segment[:-1] + 1]
        firsts = np.array(
            [_last_sentence(i, int(a), int(b), rule) for i, a, b in zip(items, begins, ends, strict=False)], np.int64
        )
        lasts = ends
    else:
        firsts, lasts = _runs(parents, rule)
    least = rule.min_words if rule.name == "dclm" else 1  # the runs of `ngram` are long enough already
    kept = (lasts - firsts >= least) & (told[lasts] - told[firsts] >= rule.min_information)
    firsts, lasts = firsts[kept].astype(np.int64), lasts[kept].astype(np.int64)
    owners = np.searchsorted(begins, firsts, side="right") - 1
    owners = np.minimum(owners, len(items) - 1)
    words = tuple(hashes[a:b] for a, b in pairwise(begins))
    options = tuple(
        tuple(
            (int(parents[k] - begins[n]), hashes[parents[k] : parents[k + 1]])
            for k in range(a, b)
            if parents[k + 1] > parents[k]
        )
        for n, (a, b) in enumerate(zip(first_segment[:-1] + 1, first_segment[1:], strict=True))
    )
    index = index_of_runs(hashes, firsts, lasts)
    unsearched = len(items) - len(np.unique(owners))
    return Needles(rule, index, owners, firsts - begins[owners], np.diff(begins), words, options, unsearched)


def _last_sentence(item: Item, a: int, b: int, rule: Rule) -> int:
    """Where what is looked for of a question begins, among all words."""
    length = max(len(Texts.of([item.last_sentence]).uax29_words), min(rule.min_words, b - a))
    return max(a, b - length)


def _runs(parents: Rows, rule: Rule) -> tuple[Rows, Rows]:
    """The runs of every segment: where they begin and end, among all words."""
    sizes = np.diff(parents)
    counts = np.where(sizes >= rule.ngram, sizes - rule.ngram + 1, (sizes >= rule.min_words).astype(np.int64))
    segment = np.repeat(np.arange(len(sizes)), counts)
    place = np.arange(len(segment)) - np.repeat(np.cumsum(counts) - counts, counts)
    firsts = parents[segment] + place
    return firsts, firsts + np.minimum(sizes[segment], rule.ngram)


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
        begin, end = int(words.parents[row]), int(words.parents[row + 1])
        met = _options(needles.options[item], hashed[begin:end])
        if needles.rule.name == "dclm":
            if needles.options[item] and not met:
                continue
            runs += [(begin + at, begin + at + n) for at, n, _ in met]
            hay = hashed[begin:end]
            pairs = zip(own, runs, strict=False)  # the options' runs stand behind
            own += [(_before(needles.words[item], hay, x, f - begin), x) for (x, _), (f, _) in list(pairs)]
        own += [(first, first + n) for _, n, first in met]
        own = _joined(own)
        coverage = sum(y - x for x, y in own) / int(needles.sizes[item])
        if needles.rule.name != "dclm" and coverage < needles.rule.min_coverage:
            continue
        spans = tuple((int(words.starts[x]), int(words.ends[y - 1])) for x, y in _joined(runs))
        quotes.setdefault(row, []).append(Quote(item, spans, tuple(own), coverage))
    return quotes


def _before(item: npt.NDArray[np.uint64], text: npt.NDArray[np.uint64], own: int, place: int) -> int:
    """Where the words begin that an item and a text share without a gap before these places."""
    while own > 0 and place > 0 and item[own - 1] == text[place - 1]:
        own, place = own - 1, place - 1
    return own


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
