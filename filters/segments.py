"""Statistics of a text's segments, its stripped lines or paragraphs: how they begin and end, and how many repeat.

Invariants: one pass over a text gives all columns, memoised, since rules on lines come in groups. Segments are not empty. Two
are equal if their 64-bit hashes are (`filters.ngrams`). The sums are integers, so fractions do not depend on their order.
"""

from typing import Any

import numpy as np

from goldwash.filters import characters as c
from goldwash.filters.cut import Bytes, Rows, code_point, code_point_before, put_segments
from goldwash.filters.jit import inline, kernel
from goldwash.filters.ngrams import row_hash, row_length, slot_of, table_size
from goldwash.filters.signals import Values
from goldwash.filters.texts import Texts

LINES, PARAGRAPHS = 1, 2
"""The newlines between two segments."""

SEGMENTS, CHARACTERS, BULLETS, ELLIPSES, REPEATED_SEGMENTS, REPEATED_CHARACTERS, DUPLICATE_SEGMENTS, DUPLICATE_CHARACTERS = (
    range(8)
)
"""The columns of `segment_counts`."""


def fraction(texts: Texts, newlines: int, part: int, whole: int, without: float) -> Values:
    """One column of `segment_counts` divided by another: ``float64[N]``; ``without`` where a text has no segments."""

    def make(texts: Texts) -> Values:
        return np.asarray(segment_counts(texts.utf8, texts.starts, texts.ends, c.classes(), newlines))

    counts = np.asarray(texts.remember(("segment_counts", newlines), make))
    with np.errstate(invalid="ignore"):
        return np.where(counts[:, SEGMENTS] > 0, counts[:, part] / counts[:, whole], without)


@inline
def _begins_with_bullet(utf8: Bytes, start: int) -> Any:
    first = code_point(utf8, start)[0]
    return first == 0x25CF or first == 0x2022 or first == 42 or first == 45


@inline
def _ends_with_ellipsis(utf8: Bytes, a: int, z: int) -> Any:
    last = code_point_before(utf8, z)[0]
    if last == 46 and z - a >= 3 and utf8[z - 2] == 46 and utf8[z - 3] == 46:
        return True
    if last == 46 and z - a >= 5 and utf8[z - 3] == 46 and utf8[z - 5] == 46:
        return utf8[z - 2] == 32 and utf8[z - 4] == 32
    return last == 0x2026


@kernel
def segment_counts(utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes, newlines: int) -> Any:
    """Counts of each text's segments: ``int64[N, 8]``, zeros for a text without.

    The segments; their code points; those that begin with a bullet; that end with an ellipsis; that occur more than once, and
    their code points; that occurred earlier, and their code points.
    """
    out = np.zeros((len(starts), 8), np.int64)
    longest = np.int64(0)
    for row in range(len(starts)):
        longest = max(longest, ends[row] - starts[row])
    room = longest // 2 + 1  # a segment and the newline after it
    firsts, lasts = np.empty(room, np.int64), np.empty(room, np.int64)
    table, counts = np.empty(16, np.uint64), np.empty(16, np.int64)
    for row in range(len(starts)):
        segments = put_segments(utf8, starts[row], ends[row], classes, newlines, firsts, lasts, np.int64(0))
        size = table_size(segments)
        if size > len(table):
            table, counts = np.empty(size, np.uint64), np.empty(size, np.int64)
        counts[:size] = 0
        characters, bullets, ellipses = np.int64(0), np.int64(0), np.int64(0)
        repeated, repeated_characters, duplicate, duplicate_characters = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        for k in range(segments):
            a, z = firsts[k], lasts[k]
            bullets += _begins_with_bullet(utf8, a)
            ellipses += _ends_with_ellipsis(utf8, a, z)
            length = row_length(utf8, a, z)
            characters += length
            h = row_hash(utf8, a, z, False)
            slot = slot_of(table, counts, size, h)
            table[slot] = h
            if counts[slot] > 0:  # the second occurrence counts the first too
                times = 2 if counts[slot] == 1 else 1
                repeated += times
                repeated_characters += times * length
                duplicate += 1
                duplicate_characters += length
            counts[slot] += 1
        out[row, 0], out[row, 1], out[row, 2], out[row, 3] = segments, characters, bullets, ellipses
        out[row, 4], out[row, 5], out[row, 6], out[row, 7] = repeated, repeated_characters, duplicate, duplicate_characters
    return out
