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

from goldwash.filters import characters as c
from goldwash.filters.bits import NEWLINES, bit_count, block, find
from goldwash.filters.cut import NEWLINE, SPACE, Bytes, Rows
from goldwash.filters.jit import inline, kernel, prefetch
from goldwash.filters.ngrams import Hashes, hashes, mixed, rolled
from goldwash.filters.texts import Texts, copied
from goldwash.filters.uax29 import ascii_pieces, put_uax29_pieces

BLOCK_BITS = 512
WORDS = BLOCK_BITS // 64

LEAST_RATE = 1e-9
"""The lowest rate that 64-bit hashes can keep: one of 10^9 n-grams has the hash of a new one with a probability of 5e-11."""

MOST_BLOCKS = (1 << 32) - 1
"""The most blocks that `block_of` can address: 275 GB."""

AT_ONCE = 256
"""N-grams that are looked up together: their bits take 16 kB."""

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
    counts = ngram_counts(
        texts.utf8, texts.starts, texts.ends, c.classes(), c.word_breaks(), parameters.min_n, parameters.max_n,
        parameters.mode != "documents", parameters.short_documents,
    )  # fmt: skip
    return int(counts.sum())


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


@inline
def _ngrams_of(tokens: int, min_n: int, max_n: int) -> Any:
    """The number of n-grams of a unit with this number of tokens."""
    return max(tokens - max_n, 0) + 1 if tokens >= min_n else 0


@kernel
def ngram_counts(
    utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes, breaks: Bytes, min_n: int, max_n: int, by_lines: bool,
    short_documents: bool,
) -> Any:  # fmt: skip
    """The number of n-grams of each text, whose units are its lines or itself: ``int64[N]``.

    Tokens are counted by bits, and cut only from where `ascii_pieces` is unsure to the end of the unit: 2.5 times as fast as
    cutting all of them and their lines (2026-11).
    """
    out, longest = np.zeros(len(starts), np.int64), np.int64(0)
    for row in range(len(starts)):
        longest = max(longest, ends[row] - starts[row])
    firsts, lasts = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    for row in range(len(starts)):
        i, last, least = np.uint64(starts[row]), np.uint64(ends[row]), np.uint64(starts[row])
        inside, tokens, earlier = np.uint64(0), np.int64(0), np.int64(0)  # tokens of this unit, and of those before
        while i < last:
            runs, marks, unsure = ascii_pieces(utf8, i, last, inside)
            if unsure == np.uint64(0):
                begins = (runs & ~((runs << np.uint64(1)) | inside)) | marks
                newlines = block(utf8, i, last, NEWLINES) if by_lines else np.uint64(0)
                while newlines != np.uint64(0):
                    before = (newlines - np.uint64(1)) & ~newlines
                    newlines &= newlines - np.uint64(1)
                    tokens += bit_count(begins & before)
                    begins &= ~before
                    out[row] += _ngrams_of(tokens, min_n, max_n)
                    earlier, tokens = earlier + tokens, np.int64(0)
                tokens += bit_count(begins)
                inside = runs >> np.uint64(63)
                i += np.uint64(64)
                continue
            if i > least:  # the byte before may be joined to the next: its token is counted again
                i -= np.uint64(1)
                tokens -= (classes[utf8[i]] & SPACE) == 0
            stop = find(utf8, np.int64(i), ends[row], NEWLINES) if by_lines else ends[row]
            tokens += put_uax29_pieces(utf8, np.int64(i), stop, classes, breaks, False, firsts, lasts, np.int64(0))
            out[row] += _ngrams_of(tokens, min_n, max_n)
            earlier, tokens = earlier + tokens, np.int64(0)
            i, inside = np.uint64(stop + 1), np.uint64(0)
            least = i
        out[row] += _ngrams_of(tokens, min_n, max_n)
        if out[row] == 0 and short_documents and by_lines:
            out[row] = _ngrams_of(earlier + tokens, 1, max_n)
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
def hashed_ngrams(token_hashes: Hashes, first: int, last: int, min_n: int, max_n: int, out: Hashes) -> Any:
    """Write the hashes of a unit's n-grams to ``out``; returns their number."""
    tokens = last - first
    if tokens < min_n:
        return 0
    return rolled(token_hashes, first, tokens, max_n, out)


@inline
def block_of(h: int, blocks: int) -> Any:
    """The first word of an n-gram's block: the hash's upper half scaled to the number of blocks (below 2^32). Unsigned."""
    return (((np.uint64(h) >> np.uint64(32)) * np.uint64(blocks)) >> np.uint64(32)) * np.uint64(WORDS)


@inline
def _put_masks(filter_: Hashes, grams: Hashes, first: int, count: int, bits: int, masks: Hashes, places: Places) -> Any:
    """Write the bits that each n-gram has in its block, `WORDS` words each, to ``masks``; ``places`` is scratch.

    The places of all n-grams are drawn together, by vector instructions. Meanwhile their blocks come from memory: without that,
    the walk takes 1.2 times as long with a filter of 500 MB (2026-11).
    """
    n, begin, blocks = np.uint64(count), np.uint64(first), len(filter_) // WORDS
    for k in range(n):
        prefetch(filter_, block_of(grams[begin + k], blocks))
    for k in range(n):
        masks[k] = mixed(grams[begin + k])
    for bit in range(np.uint64(bits)):
        for k in range(n):
            masks[k] = masks[k] * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)
            places[bit * n + k] = np.uint16(masks[k] >> np.uint64(55))
    for word in range(n * np.uint64(WORDS)):
        masks[word] = np.uint64(0)
    for k in range(n):
        own = k * np.uint64(WORDS)
        for bit in range(np.uint64(bits)):
            place = np.uint64(places[bit * n + k])
            masks[own + (place >> np.uint64(6))] |= np.uint64(1) << (place & np.uint64(63))


@inline
def _seen(filter_: Hashes, grams: Hashes, count: int, bits: int, masks: Hashes, places: Places) -> Any:
    """How many n-grams have all of their bits set. If they are at most `AT_ONCE`, their masks are in ``masks`` afterwards.

    A look-up is so short that the processor waits for several blocks of a large filter at once.
    """
    blocks, found = len(filter_) // WORDS, np.int64(0)
    for first in range(0, count, AT_ONCE):
        some = min(AT_ONCE, count - first)
        _put_masks(filter_, grams, first, some, bits, masks, places)
        for k in range(np.uint64(some)):
            place, own, missing = block_of(grams[np.uint64(first) + k], blocks), k * np.uint64(WORDS), np.uint64(0)
            for word in range(np.uint64(WORDS)):
                missing |= masks[own + word] & ~filter_[place + word]
            found += np.int64(missing == np.uint64(0))
    return found


@inline
def _learn(filter_: Hashes, grams: Hashes, count: int, bits: int, masks: Hashes, places: Places) -> Any:
    """Set all bits of n-grams, directly after `_seen` of them."""
    blocks = len(filter_) // WORDS
    for first in range(0, count, AT_ONCE):
        some = min(AT_ONCE, count - first)
        if count > AT_ONCE:
            _put_masks(filter_, grams, first, some, bits, masks, places)
        for k in range(np.uint64(some)):
            place, own = block_of(grams[np.uint64(first) + k], blocks), k * np.uint64(WORDS)
            for word in range(np.uint64(WORDS)):
                filter_[place + word] |= masks[own + word]


@kernel
def walk(
    units: Rows, unit_tokens: Rows, document_tokens: Rows, token_hashes: Hashes, filter_: Hashes, bits: int, min_n: int,
    max_n: int, threshold: float, mode: int, short_documents: bool,
) -> Any:  # fmt: skip
    """Pass documents through the filter: removed units, dropped documents, and per document n-grams seen before and all."""
    documents = len(units) - 1
    removed, dropped = np.zeros(len(unit_tokens) - 1, np.bool_), np.zeros(documents, np.bool_)
    contained, total = np.zeros(documents, np.int64), np.zeros(documents, np.int64)
    longest = np.int64(0)
    for p in range(documents):
        longest = max(longest, document_tokens[p + 1] - document_tokens[p])
    grams = np.empty(longest + 1, np.uint64)
    masks, places = np.empty(AT_ONCE * WORDS, np.uint64), np.empty(AT_ONCE * bits, np.uint16)
    for p in range(documents):
        for unit in range(units[p], units[p + 1]):
            count = hashed_ngrams(token_hashes, unit_tokens[unit], unit_tokens[unit + 1], min_n, max_n, grams)
            if count == 0:
                continue
            found = _seen(filter_, grams, count, bits, masks, places)
            contained[p] += found
            total[p] += count
            if found / count > threshold:
                removed[unit] = True
            else:
                _learn(filter_, grams, count, bits, masks, places)
        if total[p] == 0 and short_documents and mode != DOCUMENTS:
            count = hashed_ngrams(token_hashes, document_tokens[p], document_tokens[p + 1], 1, max_n, grams)
            found = _seen(filter_, grams, count, bits, masks, places)
            contained[p], total[p] = found, count
            dropped[p] = count > 0 and found / count > threshold
            if not dropped[p]:
                _learn(filter_, grams, count, bits, masks, places)
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
