"""Blocks of 64 bytes: the positions of the bytes of one kind, as the bits of a number.

Invariants: bit ``k`` of a block is set if byte ``i + k`` is of the kind and before ``last``. Kernels that search for rare
bytes (newlines, spaces, the first letter of a phrase) go from bit to bit. Testing byte by byte costs one mispredicted branch
per word: fastText's words are found at 1,850 MB/s with blocks, and at 600 MB/s byte by byte (2026-11).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters.jit import inline

Bytes = npt.NDArray[np.uint8]

NEWLINES, FASTTEXT_SPACES, ASCII_SPACES, LEADS, SEPARATORS, DIGITS, CAPITALS, ASCII_ALPHANUMERICS = map(
    np.int64, range(256, 264)
)
"""Kinds of bytes, besides single byte values from 0 to 255: newlines; fastText's separators; ASCII white space
(``str.isspace``); first bytes of characters beyond ASCII; ASCII separators of fastText or ``str.splitlines``; ASCII digits;
ASCII capital letters; ASCII letters and digits.

These and the bytes below are `np.int64`, since numba compiles `block` again for each value of a Python integer: a tenth of the
time that heuristics' kernels take to compile (2026-11)."""
HASH_SIGN, FULL_STOP, LESS_THAN, GREATER_THAN, AT_SIGN, LEAD_C2, LEAD_E2 = map(np.int64, (35, 46, 60, 62, 64, 0xC2, 0xE2))
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
def _different(w: Any, pattern: Any) -> Any:
    """Bit 7 of each byte that differs from the pattern's; the other bits are undefined."""
    x = w ^ pattern
    return ((x & np.uint64(0x7F7F7F7F7F7F7F7F)) + np.uint64(0x7F7F7F7F7F7F7F7F)) | x


@inline
def _marked(w: Any, kind: int) -> Any:
    """For eight bytes, bit 7 of each that is of the kind."""
    low = w & np.uint64(0x7F7F7F7F7F7F7F7F)
    if kind == NEWLINES:
        found = ~_different(w, np.uint64(0x0A0A0A0A0A0A0A0A))
    elif kind == FASTTEXT_SPACES:  # 9 to 13, space, NUL
        ranged = ((low + np.uint64(0x7777777777777777)) ^ (low + np.uint64(0x7272727272727272))) & ~w
        found = ranged | ~(_different(w, np.uint64(0x2020202020202020)) & _different(w, np.uint64(0)))
    elif kind == ASCII_SPACES:  # 9 to 13, 28 to 32
        ranged = (low + np.uint64(0x7777777777777777)) ^ (low + np.uint64(0x7272727272727272))
        ranged ^= (low + np.uint64(0x6464646464646464)) ^ (low + np.uint64(0x5F5F5F5F5F5F5F5F))
        found = ranged & ~w
    elif kind == SEPARATORS:  # 9 to 13, 28 to 30, space, NUL
        ranged = (low + np.uint64(0x7777777777777777)) ^ (low + np.uint64(0x7272727272727272))
        ranged ^= (low + np.uint64(0x6464646464646464)) ^ (low + np.uint64(0x6161616161616161))
        others = _different(w, np.uint64(0x2020202020202020)) & _different(w, np.uint64(0))
        found = (ranged & ~w) | ~others
    elif kind == LEADS:
        found = w & (w << np.uint64(1))
    elif kind == DIGITS:  # 48 to 57
        found = ((low + np.uint64(0x5050505050505050)) ^ (low + np.uint64(0x4646464646464646))) & ~w
    elif kind == ASCII_ALPHANUMERICS:  # 48 to 57, 65 to 90, and 97 to 122, which bit 5 maps to
        found = (low + np.uint64(0x5050505050505050)) ^ (low + np.uint64(0x4646464646464646))
        small = low | np.uint64(0x2020202020202020)
        found = (found | ((small + np.uint64(0x1F1F1F1F1F1F1F1F)) ^ (small + np.uint64(0x0505050505050505)))) & ~w
    elif kind == CAPITALS:  # 65 to 90
        found = ((low + np.uint64(0x3F3F3F3F3F3F3F3F)) ^ (low + np.uint64(0x2525252525252525))) & ~w
    else:
        found = ~_different(w, np.uint64(kind) * np.uint64(0x0101010101010101))
    return found & np.uint64(0x8080808080808080)


@inline
def _kind(w: Any, kind: int) -> Any:
    """For eight bytes, one bit each if it is of the kind, in the lowest eight bits."""
    return ((_marked(w, kind) >> np.uint64(7)) * np.uint64(0x0102040810204080)) >> np.uint64(56)


@inline
def block(utf8: Bytes, i: Any, last: Any, kind: int) -> Any:
    """The bytes of a kind among the 64 from ``i``, before ``last``: ``uint64``. Both indices are unsigned."""
    bits = np.uint64(0)
    if i + np.uint64(64) <= last:
        for k in range(np.uint64(8)):
            place = np.uint64(k) << np.uint64(3)
            bits |= _kind(eight(utf8, i + place), kind) << place
        return bits
    place = np.uint64(0)
    while i + np.uint64(8) <= last:
        bits |= _kind(eight(utf8, i), kind) << place
        i += np.uint64(8)
        place += np.uint64(8)
    if i < last:
        w = np.uint64(0)
        for k in range(last - i):
            w |= np.uint64(utf8[i + np.uint64(k)]) << (np.uint64(k) << np.uint64(3))
        inside = (np.uint64(1) << (last - i)) - np.uint64(1)
        bits |= (_kind(w, kind) & inside) << place
    return bits


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
    """The end of the run of bytes of a kind that begins at ``start``; for runs of a few bytes, such as words.

    ``kind``: none that has the byte 0.
    """
    i, last = np.uint64(start), np.uint64(end)
    while i < last:
        others = ~_marked(first_eight(utf8, i, last), kind) & np.uint64(0x8080808080808080)
        if others != np.uint64(0):
            return np.int64(i) + (lowest(others) >> 3)
        i += np.uint64(8)
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
