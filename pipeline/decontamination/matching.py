"""Choose the word runs of benchmark items to search for, and decide which items a text quotes.

Invariants: an item is a sequence of words: the question's, then each option's. A *needle* is a run of these words. Two rules,
named after their source, choose the runs:

=========  ==================================================================================================================
``dclm``   the question's last sentence, extended backwards to ``min_words`` words; questions of fewer words are not searched;
           a text that contains it quotes the item if it also contains one of the options (2406.11794, section 4.6)
``ngram``  all runs of ``ngram`` words of the question and of each option (GPT-3, 2005.14165, appendix C: 13; Llama 2,
           2307.09288, A.6: 10; PaLM, 2204.02311, section 8: 8 with a coverage of 0.7); a question or option of fewer words,
           but at least ``min_words``, is one run; a text quotes the item if it contains at least ``min_coverage`` of its
           words
=========  ==================================================================================================================

Once an item is quoted, all its options in the text count as found; with ``dclm``, so do the words before the last sentence.

The information of a needle, in bits, is the sum of its words' negative log2 frequencies in the benchmark (add-one smoothing
with 50,000 unseen words): low for "which of the following is", high for a name.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.cut import Rows
from goldwash.filters.texts import Texts
from goldwash.pipeline.decontamination.benchmarks import Item
from goldwash.pipeline.decontamination.index import Index, found, index_of_runs, normal_words

UNSEEN = 50_000


@dataclass(frozen=True)
class Rule:
    """Which runs of an item's words to search for, and how much of the item a text must contain."""

    name: str = "dclm"
    min_words: int = 5
    ngram: int = 13
    min_coverage: float = 0.0
    min_information: float = 0.0


@dataclass(frozen=True)
class Quote:
    """An item that a text quotes: byte ranges in the text's buffer, ranges of the item's words, and the share of its words."""

    item: int
    spans: tuple[tuple[int, int], ...]
    words: tuple[tuple[int, int], ...]
    coverage: float


@dataclass(frozen=True, eq=False)
class Needles:
    """The needles of a list of items: for each needle its item and its first word there; and the index that finds them.

    ``sizes: int64[items]``: words per item; ``words``: their hashes; ``options``: for each item, each option's first word and
    the hashes of its words; ``unsearched``: the number of items without a needle, because all runs are too short or too common.
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
    """The needles of these items by a rule."""
    segments = Texts.of([text for item in items for text in (item.question, *item.options)])
    parents, hashes = segments.uax29_words.parents, normal_words(segments)
    which = pa.array(hashes).dictionary_encode().indices.to_numpy()  # np.unique sorts: 70 ms for a fourth of MMLU, this 6
    bits = np.log2((len(hashes) + UNSEEN) / (np.bincount(which) + 1))[which]
    told = np.concatenate([[0.0], np.cumsum(bits)])
    first_segment = np.concatenate([[0], np.cumsum([1 + len(item.options) for item in items], dtype=np.int64)])
    begins = parents[first_segment]
    if rule.name == "dclm":
        lasts = parents[first_segment[:-1] + 1]
        sentences = np.diff(Texts.of([item.last_sentence for item in items]).uax29_words.parents)
        firsts = np.maximum(begins[:-1], lasts - np.maximum(sentences, rule.min_words))
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


def _runs(parents: Rows, rule: Rule) -> tuple[Rows, Rows]:
    """The runs of every segment: first and last word (exclusive), counted over the words of all items."""
    sizes = np.diff(parents)
    counts = np.where(sizes >= rule.ngram, sizes - rule.ngram + 1, (sizes >= rule.min_words).astype(np.int64))
    segment = np.repeat(np.arange(len(sizes)), counts)
    place = np.arange(len(segment)) - np.repeat(np.cumsum(counts) - counts, counts)
    firsts = parents[segment] + place
    return firsts, firsts + np.minimum(sizes[segment], rule.ngram)


def quotes_of(texts: Texts, needles: Needles, ignored: Collection[int] = ()) -> dict[int, list[Quote]]:
    """The items that each text quotes, by row; texts that quote none are left out. Needles in ``ignored`` are skipped."""
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
            pairs = zip(own, runs, strict=False)  # the options' runs come after these
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
    """The first of the item's words that match the text's words without a gap up to these two places."""
    while own > 0 and place > 0 and item[own - 1] == text[place - 1]:
        own, place = own - 1, place - 1
    return own


def _options(
    options: Sequence[tuple[int, npt.NDArray[np.uint64]]], hashed: npt.NDArray[np.uint64]
) -> list[tuple[int, int, int]]:
    """The options that a text contains: place in the text, length in words, and first word in the item."""
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
    """Sorted ranges; those that touch or overlap are merged."""
    out: list[tuple[int, int]] = []
    for a, b in sorted(ranges):
        if out and a <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], b))
        else:
            out.append((a, b))
    return out


def document_counts(texts: Texts, needles: Needles) -> Counter[int]:
    """The number of texts that contain each needle."""
    rows, _, which = found(texts, needles.index)
    pairs = np.unique(np.stack([rows, which], axis=1), axis=0) if len(rows) else np.zeros((0, 2), np.int64)
    return Counter(pairs[:, 1].tolist())
