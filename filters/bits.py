"""Blocks of 64 bytes: the positions of the bytes of one kind, as the bits of a number.

Invariants: bit ``k`` of a block is set if byte ``i + k`` is of the kind and before ``last``. Kernels that search for rare
bytes (newlines, spaces, the first letter of a phrase) go from bit to bit. Testing byte by byte costs one mispredicted branch
per word: fastText's words are found at 1,850 MB/s with blocks, and at 600 MB/s byte by byte (2026-11).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters.jit import bare, inline, within

Bytes = npt.NDArray[np.uint8]

(
    NEWLINES, FASTTEXT_SPACES, ASCII_SPACES, BEYOND_ASCII, LEADS, CONTINUATIONS, FILE_SEPARATORS, DIGITS, CAPITALS,
    ASCII_LETTERS, ASCII_ALPHANUMERICS, MIDDLE_MARKS, DOMAIN_BEGINNINGS,
) = map(np.int64, range(256, 269))  # fmt: skip
"""Kinds of bytes, besides single byte values from 0 to 255: newlines; fastText's separators; ASCII white space
(``str.isspace``); bytes of characters beyond ASCII, the first ones of such characters, and the others; the ASCII separators at
which ``str.splitlines`` cuts and fastText does not; ASCII digits; capital letters; letters; letters and digits;
the marks that UAX 29 may join to what is beside them, but for the apostrophe; the first bytes of a top-level domain.

These and the bytes below are `np.int64`, since numba compiles `block` again for each value of a Python integer: a tenth of the
time that heuristics' kernels take to compile (2026-11)."""
(
    HASH_SIGN, APOSTROPHE, FULL_STOP, SLASH, COLON, LESS_THAN, GREATER_THAN, AT_SIGN, UNDERSCORE, SMALL_W, LEAD_C2, LEAD_E2,
) = map(np.int64, (35, 39, 46, 47, 58, 60, 62, 64, 95, 119, 0xC2, 0xE2))  # fmt: skip
"""Single bytes that kernels search for."""


@inline
def four(utf8: Bytes, i: Any) -> Any:
    """Four bytes as a number. The compiler turns it into one load if the index is unsigned (`filters.texts.copied`)."""
    low = np.uint64(utf8[i]) | (np.uint64(utf8[i + np.uint64(1)]) << np.uint64(8))
    high = np.uint64(utf8[i + np.uint64(2)]) | (np.uint64(utf8[i + np.uint64(3)]) << np.uint64(8))
    return low | (high << np.uint64(16))


@inline
def eight(utf8: Bytes, i: Any) -> Any:
    """Eight bytes as a little-endian number."""
    return four(utf8, i) | (four(utf8, i + np.uint64(4)) << np.uint64(32))


@inline
def first_eight(utf8: Bytes, start: Any, end: Any) -> Any:
    """The first eight bytes of a row, or fewer, as a little-endian number. Both indices are unsigned."""
    size = end - start
    if start + np.uint64(8) <= np.uint64(len(utf8)):
        w = eight(utf8, start)
        return w & (~np.uint64(0) >> (np.uint64(64) - (size << np.uint64(3)))) if size < np.uint64(8) else w
    w = np.uint64(0)
    for k in range(min(size, np.uint64(8))):
        w |= np.uint64(utf8[start + np.uint64(k)]) << (np.uint64(k) << np.uint64(3))
    return w


@inline
def either(flag: Any, one: Any, other: Any) -> Any:
    """``one`` if ``flag`` is 1, ``other`` if it is 0; all three are ``uint64``.

    LLVM may turn a conditional expression, or a comparison, into a branch. It does not where the flag comes from arithmetic
    alone, such as the sign bit of a difference, so that nothing can be mispredicted.
    """
    return other ^ ((one ^ other) & (np.uint64(0) - flag))


@inline
def bit_count(bits: Any) -> Any:
    """The number of bits set in 64."""
    bits = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555555555555555))
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))


@inline
def lowest(bits: Any) -> Any:
    """The index of the lowest bit that is set; 64 if none is."""
    return bit_count((bits - np.uint64(1)) & ~bits)


@inline
def _ranges(kind: int) -> Any:
    """The bytes of a kind, as three ranges, both ends inclusive; a range may be given twice."""
    if kind == NEWLINES:
        return 10, 10, 10, 10, 10, 10
    if kind == FASTTEXT_SPACES:
        return 9, 13, 32, 32, 0, 0
    if kind == ASCII_SPACES:
        return 9, 13, 28, 32, 28, 32
    if kind == BEYOND_ASCII:
        return 0x80, 0xFF, 0x80, 0xFF, 0x80, 0xFF
    if kind == LEADS:
        return 0xC0, 0xFF, 0xC0, 0xFF, 0xC0, 0xFF
    if kind == CONTINUATIONS:
        return 0x80, 0xBF, 0x80, 0xBF, 0x80, 0xBF
    if kind == FILE_SEPARATORS:
        return 28, 30, 28, 30, 28, 30
    if kind == DIGITS:
        return 48, 57, 48, 57, 48, 57
    if kind == CAPITALS:
        return 65, 90, 65, 90, 65, 90
    if kind == ASCII_LETTERS:
        return 65, 90, 97, 122, 97, 122
    if kind == ASCII_ALPHANUMERICS:
        return 48, 57, 65, 90, 97, 122
    if kind == MIDDLE_MARKS:
        return 44, 44, 46, 46, 58, 59
    if kind == DOMAIN_BEGINNINGS:
        return 97, 122, 0x80, 0xFF, 0x80, 0xFF
    return kind, kind, kind, kind, kind, kind


@bare
def _bits_at_the_end(utf8: Bytes, i: Any, last: Any, kind: int) -> Any:
    """`block` where fewer than 64 bytes are left in the buffer."""
    a, b, c, d, e, f = _ranges(kind)
    bits = np.uint64(0)
    for k in range(last - i):
        byte = np.int64(utf8[i + np.uint64(k)])
        found = (a <= byte <= b) | (c <= byte <= d) | (e <= byte <= f)
        bits |= np.uint64(found) << np.uint64(k)
    return bits


@inline
def block(utf8: Bytes, i: Any, last: Any, kind: int) -> Any:
    """The bytes of a kind among the 64 from ``i``, before ``last``: ``uint64``. Both indices are unsigned; ``i <= last``."""
    if i + np.uint64(64) <= np.uint64(len(utf8)):
        a, b, c, d, e, f = _ranges(kind)
        bits = within(utf8, i, a, b) | within(utf8, i, c, d) | within(utf8, i, e, f)
        return bits if i + np.uint64(64) <= last else bits & ((np.uint64(1) << (last - i)) - np.uint64(1))
    return _bits_at_the_end(utf8, i, last, kind)


@inline
def find(utf8: Bytes, start: int, end: int, kind: int) -> Any:
    """The index of the first byte of a kind from ``start``; ``end`` if there is none before it."""
    i, last = np.uint64(start), np.uint64(end)
    while i < last:
        found = block(utf8, i, last, kind)
        if found != np.uint64(0):
            return np.int64(i) + lowest(found)
        i += np.uint64(64)
    return np.int64(end)


@inline
def run_end(utf8: Bytes, start: int, end: int, kind: int) -> Any:
    """The end of the run of bytes of a kind that begins at ``start``."""
    i, last = np.uint64(start), np.uint64(end)
    while i < last:
        others = ~block(utf8, i, last, kind)
        if others != np.uint64(0):
            return np.int64(i) + lowest(others)
        i += np.uint64(64)
    return np.int64(end)


@inline
def put_edges(spaces: Any, outside: Any, i: Any, out: Any, n: int) -> Any:
    """Write the starts and ends of words, alternating, in the 64 bytes from ``i`` to ``out[n:]``; returns the next ``n``.

    ``spaces``: the block's bits. ``outside``: 1 if the block is preceded by a space or by nothing.
    """
    edges = spaces ^ ((spaces << np.uint64(1)) | outside)
    while edges != np.uint64(0):
        out[n] = np.int64(i) + lowest(edges)
        edges &= edges - np.uint64(1)
        n += 1
    return n
