"""A Bloom filter of n-grams, and the pass that removes what it has seen (Bloom 1970; DCLM 2406.11794, section 4.3).

Invariants:

* What a document loses depends on the documents before it and on the parameters alone: hashes have no seed that changes, and
  there is one writer.
* The filter is blocked: all bits of an n-gram are in one cache line of 512 bits, so that a look-up waits for memory once
  instead of seven times, for about a tenth more bits at the same rate (Putze, Sanders, Singler 2007).
* It has at most the promised false-positive rate once all n-grams that it was sized for are in it.

A *unit* is a line. Its n-grams are all runs of ``max_n`` tokens (UAX 29, with punctuation, without white space). A unit of
fewer tokens, but at least ``min_n``, is one n-gram; a shorter unit has none and is never removed. A unit is removed if more
than ``threshold`` of its n-grams were in the filter before any of its own went in; otherwise all of them go in. A document
is dropped if more than ``threshold`` of the n-grams of all its units had been seen.
"""

from dataclasses import dataclass
from math import ceil, exp, lgamma, log
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters import ngram_counts
from goldwash.filters.cut import NEWLINE, Bytes, Rows
from goldwash.filters.jit import inline, kernel, prefetch
from goldwash.filters.ngram_counts import ngrams_of
from goldwash.filters.ngrams import Hashes, hashes, mixed, rolled
from goldwash.filters.signals import Signal
from goldwash.filters.texts import Texts, copied

BLOCK_BITS = 512
WORDS = BLOCK_BITS // 64

LEAST_RATE = 1e-9
"""The lowest rate that 64-bit hashes can keep: one of 10^9 n-grams has the hash of a new one with a probability of 5e-11."""

MOST_BLOCKS = (1 << 32) - 1
"""The most blocks that `block_of` can address: 275 GB."""

AT_ONCE = 256
"""N-grams that are drawn together: their blocks take 16 kB of the cache."""

Places = npt.NDArray[np.uint16]

LINES, DOCUMENTS, BOTH = 0, 1, 2
MODES = {"lines": LINES, "documents": DOCUMENTS, "both": BOTH}


@dataclass(frozen=True)
class Sizing:
    """The size of a filter: blocks, and bits per n-gram."""

    blocks: int
    bits_per_ngram: int

    @property
    def bytes(self) -> int:
        """Memory of the filter, in bytes."""
        return self.blocks * BLOCK_BITS // 8

    def empty(self) -> Hashes:
        """An empty filter: ``uint64[blocks * 8]``, each block in one cache line.

        Without that, a block is in two lines and the walk takes 10% longer, with a large filter 25% (2026-11).
        """
        room = np.zeros((self.blocks + 1) * WORDS, np.uint64)
        first = -(room.ctypes.data // 8) % WORDS
        return room[first : first + self.blocks * WORDS]


def sizing(ngrams: int, false_positive_rate: float) -> Sizing:
    """The smallest blocked filter that has at most this false-positive rate when it holds ``ngrams`` distinct n-grams.

    >>> sizing(10**9, 0.01).bytes / 10**9 < 1.4
    True
    """
    if not LEAST_RATE <= false_positive_rate < 1:
        raise ValueError(f"the false-positive rate is {false_positive_rate}: expected {LEAST_RATE} or more and less than 1")
    best: Sizing | None = None
    for bits in range(max(1, round(-log(false_positive_rate, 2)) - 2), round(-log(false_positive_rate, 2)) + 3):
        if best is not None and (best.blocks == 1 or false_positives(ngrams, best.blocks - 1, bits) > false_positive_rate):
            continue  # no smaller
        low, high = 1, max(2, ceil(ngrams * 64 / BLOCK_BITS))
        while false_positives(ngrams, high, bits) > false_positive_rate:
            high *= 2
        while low < high:
            middle = (low + high) // 2
            if false_positives(ngrams, middle, bits) > false_positive_rate:
                low = middle + 1
            else:
                high = middle
        if best is None or high < best.blocks:
            best = Sizing(high, bits)
    assert best is not None
    return best


def false_positives(ngrams: int, blocks: int, bits: int) -> float:
    """The false-positive rate of a filter with ``ngrams`` n-grams; their number per block is Poisson distributed."""
    mean = ngrams / blocks
    log_mean = log(mean) if mean > 0 else 0.0
    total, weight = 0.0, 0.0
    spread = int(8 * mean**0.5 + 16)
    for filled in range(max(0, int(mean) - spread), int(mean) + spread):
        p = exp(filled * log_mean - mean - lgamma(filled + 1)) if mean > 0 else float(filled == 0)
        weight += p
        total += p * (1 - (1 - 1 / BLOCK_BITS) ** (bits * filled)) ** bits
    return total + max(0.0, 1 - weight)


@dataclass(frozen=True)
class Pass:
    """The parameters of a pass."""

    mode: str = "both"
    min_n: int = 13
    max_n: int = 13
    threshold: float = 0.8
    short_documents: bool = False

    @property
    def counts(self) -> Signal:
        """The signal that counts the n-grams that this pass looks up."""
        return ngram_counts.ngram_count.bind(
            min_n=self.min_n, max_n=self.max_n, by_lines=self.mode != "documents", short_documents=self.short_documents
        )


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result for N documents: which are dropped; for each, the n-grams seen before, all n-grams, and removed lines.

    ``texts`` are the documents without those lines; a line goes with the newline before it.
    """

    dropped: npt.NDArray[np.bool_]
    contained: Rows
    total: Rows
    removed_lines: Rows
    texts: Texts


def ngram_count(texts: Texts, parameters: Pass) -> int:
    """The number of n-grams that a pass looks up; the filter is sized from it."""
    return int(parameters.counts.measure(texts).sum())


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of N documents: each document's units, the tokens of each unit and document as offsets, and their hashes."""

    units: Rows
    unit_tokens: Rows
    document_tokens: Rows
    hashes: Hashes


def tokens_of(texts: Texts, parameters: Pass) -> Tokens:
    """What a pass looks up; it depends on the texts alone, not on the filter."""
    tokens = texts.uax29_tokens
    token_hashes = hashes(tokens.utf8, tokens.starts, tokens.ends)
    if parameters.mode == "documents":
        return Tokens(np.arange(len(texts) + 1), tokens.parents, tokens.parents, token_hashes)
    lines = texts.lines
    bounds = unit_bounds(lines.ends, lines.parents, tokens.starts, tokens.parents)
    return Tokens(lines.parents, bounds, tokens.parents, token_hashes)


def run_pass(texts: Texts, tokens: Tokens, filter_: Hashes, bits: int, parameters: Pass) -> Outcome:
    """Pass documents through the filter in order; the n-grams of what remains are added to the filter."""
    removed, dropped, contained, total = walk(
        tokens.units, tokens.unit_tokens, tokens.document_tokens, tokens.hashes, filter_, bits, parameters.min_n,
        parameters.max_n, parameters.threshold, MODES[parameters.mode], parameters.short_documents,
    )  # fmt: skip
    if parameters.mode == "documents" or not removed.any():
        return Outcome(dropped, contained, total, np.zeros(len(texts), np.int64), texts)
    lines = texts.lines
    rows, utf8, starts, ends = without_units(lines.utf8, lines.starts, lines.ends, lines.parents, removed)
    lost = sums(removed.astype(np.int64), tokens.units)
    return Outcome(dropped, contained, total, lost, texts.replace(rows, Texts(utf8, starts, ends)))


@kernel
def unit_bounds(line_ends: Rows, line_parents: Rows, token_starts: Rows, token_parents: Rows) -> Any:
    """The offsets of each line's tokens, ``int64[lines + 1]``; no token spans a newline."""
    out = np.zeros(len(line_ends) + 1, np.int64)
    for p in range(len(line_parents) - 1):
        token, last = token_parents[p], token_parents[p + 1]
        for line in range(line_parents[p], line_parents[p + 1]):
            while token < last and token_starts[token] < line_ends[line]:
                token += 1
            out[line + 1] = token
    return out


@kernel
def sums(values: Rows, parents: Rows) -> Any:
    """The sum of the values of each parent: ``int64[P]``."""
    out = np.zeros(len(parents) - 1, np.int64)
    for p in range(len(out)):
        for row in range(parents[p], parents[p + 1]):
            out[p] += values[row]
    return out


@inline
def block_of(h: int, blocks: int) -> Any:
    """The first word of an n-gram's block: the hash's upper half scaled to the number of blocks (below 2^32). Unsigned."""
    return (((np.uint64(h) >> np.uint64(32)) * np.uint64(blocks)) >> np.uint64(32)) * np.uint64(WORDS)


@inline
def _draw(filter_: Hashes, grams: Hashes, first: Any, count: Any, bits: int, drawn: Hashes, places: Places) -> Any:
    """Draw the bits of up to `AT_ONCE` n-grams in their blocks: ``places[bit * AT_ONCE + k]``; ``drawn`` is scratch.

    Vector instructions draw those of many n-grams together, and meanwhile their blocks come from memory.
    """
    blocks = len(filter_) // WORDS
    for k in range(np.uint64(count)):
        prefetch(filter_, block_of(grams[np.uint64(first) + k], blocks))
    for k in range(np.uint64(count)):
        drawn[k] = mixed(grams[np.uint64(first) + k])
    for bit in range(np.uint64(bits)):
        for k in range(np.uint64(count)):
            drawn[k] = drawn[k] * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)
            places[bit * np.uint64(AT_ONCE) + k] = np.uint16(drawn[k] >> np.uint64(55))


@inline
def _has(filter_: Hashes, own: Any, places: Places, k: Any, bits: Any) -> Any:
    """1 if all bits of the k-th n-gram drawn are set in the block from ``own``, else 0.

    A rate of 1% means six bits: with that number written down, the compiler makes no loop, and `walk` takes 0.86 of the time.
    """
    held = np.uint64(1)
    for bit in range(np.uint64(bits)):
        place = np.uint64(places[bit * np.uint64(AT_ONCE) + k])
        held &= filter_[own + (place >> np.uint64(6))] >> (place & np.uint64(63))
    return held


@inline
def _set(filter_: Hashes, own: Any, places: Places, k: Any, bits: Any) -> None:
    """Set all bits of the k-th n-gram drawn in the block from ``own``."""
    for bit in range(np.uint64(bits)):
        place = np.uint64(places[bit * np.uint64(AT_ONCE) + k])
        filter_[own + (place >> np.uint64(6))] |= np.uint64(1) << (place & np.uint64(63))


@inline
def _part(filter_: Hashes, grams: Hashes, first: Any, count: Any, done: Any, bits: int, drawn: Hashes, places: Places) -> Any:
    """The part of ``count`` n-grams from ``first`` after the first ``done``: its size, its first n-gram, its first place.

    Up to `AT_ONCE` n-grams are one part, and drawn already; of more, this part is drawn here.
    """
    size, begin = min(np.uint64(AT_ONCE), np.uint64(count) - done), np.uint64(first) + done
    if np.uint64(count) <= np.uint64(AT_ONCE):
        return size, begin, begin
    _draw(filter_, grams, begin, size, bits, drawn, places)
    return size, begin, np.uint64(0)


@inline
def _seen(filter_: Hashes, grams: Hashes, first: Any, count: Any, bits: int, drawn: Hashes, places: Places) -> Any:
    """How many of the n-grams from ``first`` are in the filter."""
    blocks, found = len(filter_) // WORDS, np.uint64(0)
    for done in range(np.uint64(0), np.uint64(count), np.uint64(AT_ONCE)):
        size, begin, at = _part(filter_, grams, first, count, done, bits, drawn, places)
        for k in range(size):
            own = block_of(grams[begin + k], blocks)
            found += _has(filter_, own, places, at + k, 6) if bits == 6 else _has(filter_, own, places, at + k, bits)
    return np.int64(found)


@inline
def _learn(filter_: Hashes, grams: Hashes, first: Any, count: Any, bits: int, drawn: Hashes, places: Places) -> None:
    """Add the n-grams to the filter, directly after `_seen` of them."""
    blocks = len(filter_) // WORDS
    for done in range(np.uint64(0), np.uint64(count), np.uint64(AT_ONCE)):
        size, begin, at = _part(filter_, grams, first, count, done, bits, drawn, places)
        for k in range(size):
            own = block_of(grams[begin + k], blocks)
            if bits == 6:
                _set(filter_, own, places, at + k, 6)
            else:
                _set(filter_, own, places, at + k, bits)


@inline
def _hash_units(token_hashes: Hashes, unit_tokens: Rows, first: int, last: int, min_n: int, max_n: int, grams: Hashes) -> Any:
    """Write the n-grams of units from ``first`` to ``grams``: as many units as have up to `AT_ONCE`, or one that has more.

    Returns the number of n-grams, and the first unit that is left.
    """
    held, unit = np.int64(0), first
    while unit < last:
        tokens = unit_tokens[unit + 1] - unit_tokens[unit]
        count = ngrams_of(tokens, min_n, max_n)
        if held > 0 and held + count > AT_ONCE:
            break
        if count > 0:
            rolled(token_hashes, unit_tokens[unit], tokens, max_n, grams[held:])
        held += count
        unit += 1
    return held, unit


@kernel
def walk(
    units: Rows, unit_tokens: Rows, document_tokens: Rows, token_hashes: Hashes, filter_: Hashes, bits: int, min_n: int,
    max_n: int, threshold: float, mode: int, short_documents: bool,
) -> Any:  # fmt: skip
    """Pass documents through the filter: removed units, dropped documents, and per document n-grams seen before and all.

    The n-grams of several units are drawn together: most lines are short, and a large filter is far away.
    """
    documents = len(units) - 1
    removed, dropped = np.zeros(len(unit_tokens) - 1, np.bool_), np.zeros(documents, np.bool_)
    contained, total = np.zeros(documents, np.int64), np.zeros(documents, np.int64)
    longest = np.int64(0)
    for p in range(documents):
        longest = max(longest, document_tokens[p + 1] - document_tokens[p])
    grams = np.empty(longest + 1, np.uint64)
    drawn, places = np.empty(AT_ONCE, np.uint64), np.empty(AT_ONCE * bits, np.uint16)
    for p in range(documents):
        unit = units[p]
        while unit < units[p + 1]:
            held, last = _hash_units(token_hashes, unit_tokens, unit, units[p + 1], min_n, max_n, grams)
            if held <= AT_ONCE:
                _draw(filter_, grams, 0, held, bits, drawn, places)
            first = np.int64(0)
            while unit < last:
                count = ngrams_of(unit_tokens[unit + 1] - unit_tokens[unit], min_n, max_n)
                if count > 0:
                    found = _seen(filter_, grams, first, count, bits, drawn, places)
                    contained[p] += found
                    total[p] += count
                    if found / count > threshold:
                        removed[unit] = True
                    else:
                        _learn(filter_, grams, first, count, bits, drawn, places)
                    first += count
                unit += 1
        if total[p] == 0 and short_documents and mode != DOCUMENTS:
            tokens = document_tokens[p + 1] - document_tokens[p]
            count = rolled(token_hashes, document_tokens[p], tokens, max_n, grams)
            if count <= AT_ONCE:
                _draw(filter_, grams, 0, count, bits, drawn, places)
            found = _seen(filter_, grams, 0, count, bits, drawn, places)
            contained[p], total[p] = found, count
            dropped[p] = count > 0 and found / count > threshold
            if not dropped[p]:
                _learn(filter_, grams, 0, count, bits, drawn, places)
        elif mode != LINES and total[p] > 0:
            dropped[p] = contained[p] / total[p] > threshold
    return removed, dropped, contained, total


@kernel
def without_units(utf8: Bytes, starts: Rows, ends: Rows, parents: Rows, removed: Bytes) -> Any:
    """Rewrite the documents that lose a line, with the newline before it: ``(rows, utf8, starts, ends)``."""
    room, k = np.int64(0), np.int64(0)
    rows = np.empty(len(parents) - 1, np.int64)
    for p in range(len(parents) - 1):
        for line in range(parents[p], parents[p + 1]):
            if removed[line]:
                rows[k] = p
                k += 1
                room += ends[parents[p + 1] - 1] - starts[parents[p]] + 1
                break
    out, out_starts, out_ends = np.empty(room, np.uint8), np.empty(k, np.int64), np.empty(k, np.int64)
    n = np.int64(0)
    for j in range(k):
        p = rows[j]
        out_starts[j] = n
        for line in range(parents[p], parents[p + 1]):
            if removed[line]:
                continue
            if line > parents[p]:
                out[n] = NEWLINE
                n += 1
            n = copied(utf8, starts[line], ends[line], out, n)
        out_ends[j] = n
    return rows[:k], out[:n], out_starts, out_ends
