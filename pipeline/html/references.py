"""Character references of a text in UTF-8, replaced as `decoding.unescaped` replaces them, ten times as fast.

Invariants: `replaced` equals ``unescaped`` on every text. The kernel knows names of at most eight letters with a semicolon and
numbers of ordinary characters; a text with another reference is left to `unescaped` as a whole. Linear in the text.
"""

from html.entities import html5
from typing import Any

import numpy as np

from goldwash.filters.bits import eight, first_eight
from goldwash.filters.cut import Bytes
from goldwash.filters.jit import bare, inline
from goldwash.pipeline.html.decoding import unescaped

SLOT_BITS = 12
LETTERS = 8
"""The longest name in the table: as many letters as a ``uint64`` has bytes."""
MOST_DIGITS = 7
"""The most digits of a number that the kernel reads; 1114111 is the last character."""


def _names() -> Any:
    """A hash table (open addressing) of names, ``uint64[4096]``, and of their code points, ``int64[4096]``."""
    keys, points = np.zeros(1 << SLOT_BITS, np.uint64), np.zeros(1 << SLOT_BITS, np.int64)
    for name, text in html5.items():
        if name.endswith(";") and len(name) <= LETTERS + 1 and len(text) == 1:
            code = int.from_bytes(name[:-1].encode(), "little")
            at = (code * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> 64 - SLOT_BITS
            while keys[at]:
                at = (at + 1) % (1 << SLOT_BITS)
            keys[at], points[at] = code, ord(text)
    return keys, points


NAMES = _names()


@inline
def named_point(keys: Any, points: Any, code: Any) -> Any:
    """The code point of a name; -1 if it has none here."""
    at = (code * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - SLOT_BITS)
    while keys[at] != np.uint64(0):
        if keys[at] == code:
            return points[at]
        at = (at + np.uint64(1)) & np.uint64((1 << SLOT_BITS) - 1)
    return np.int64(-1)


@inline
def ordinary(point: int) -> bool:
    """Whether a number stands for the character with this code point: none that HTML replaces, drops or maps to another."""
    if point < 127:
        return point >= 32 or point == 9 or point == 10
    if point < 0xFDD0:
        return 160 <= point < 0xD800 or point >= 0xE000
    return 0xFDF0 <= point <= 0x10FFFF and point & 0xFFFE != 0xFFFE


@bare
def reference_at(text: Bytes, at: int, end: int, keys: Any, points: Any) -> Any:
    """The code point of the reference at an ampersand, and where it ends.

    The point is -1 if there is none, and -2 if there may be one that is not known here.
    """
    i = at + 1
    c = text[i] if i < end else np.uint8(32)
    if c == 32 or c == 9 or c == 10 or c == 12 or c == 38 or c == 59 or c == 60:
        return np.int64(-1), i
    if c == 35:
        base = np.int64(10)
        i += 1
        if i < end and text[i] | 32 == 120:
            base = np.int64(16)
            i += 1
        first, value = i, np.int64(0)
        while i < end and i - first <= MOST_DIGITS:
            c = text[i]
            digit = np.int64(c) - 48 if 48 <= c <= 57 else np.int64(c | 32) - 87 if base == 16 and 97 <= c | 32 <= 102 else -1
            if digit < 0:
                break
            value = value * base + digit
            i += 1
        if i == first:
            return np.int64(-1), at + 1
        if i - first > MOST_DIGITS or not ordinary(value):
            return np.int64(-2), i
        return value, i + 1 if i < end and text[i] == 59 else i
    while i < end and i - at <= LETTERS and (48 <= text[i] <= 57 or 97 <= text[i] | 32 <= 122):
        i += 1
    if i == end or text[i] != 59 or i == at + 1:
        return np.int64(-2), i
    point = named_point(keys, points, first_eight(text, np.uint64(at + 1), np.uint64(i)))
    return (point, i + 1) if point >= 0 else (np.int64(-2), i)


@bare
def put_character(out: Bytes, n: int, point: int) -> Any:
    """Write a character in UTF-8 to ``out[n:]``; returns the next ``n``."""
    if point < 0x80:
        out[n] = point
        return n + 1
    if point < 0x800:
        out[n] = 0xC0 | point >> 6
        out[n + 1] = 0x80 | point & 63
        return n + 2
    if point < 0x10000:
        out[n] = 0xE0 | point >> 12
        out[n + 1] = 0x80 | point >> 6 & 63
        out[n + 2] = 0x80 | point & 63
        return n + 3
    out[n] = 0xF0 | point >> 18
    out[n + 1] = 0x80 | point >> 12 & 63
    out[n + 2] = 0x80 | point >> 6 & 63
    out[n + 3] = 0x80 | point & 63
    return n + 4


@bare
def replace(text: Bytes, keys: Any, points: Any, out: Bytes) -> Any:
    """Write the text with its references replaced and no-break spaces as spaces: its bytes; -1 for one that is not known.

    No reference that is known here is shorter than its character, so ``out`` has room if it is as long as the text.
    """
    n, at, end = np.int64(0), np.int64(0), len(text)
    while at < end:
        if at + 8 <= end:  # eight bytes at once, without & and without the first byte of a no-break space
            w = eight(text, np.uint64(at))
            x, y = w ^ np.uint64(0x2626262626262626), w ^ np.uint64(0xC2C2C2C2C2C2C2C2)
            low, high = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
            if ((x - low) & ~x | (y - low) & ~y) & high == np.uint64(0):
                for k in range(np.uint64(8)):
                    out[np.uint64(n) + k] = text[np.uint64(at) + k]
                n += 8
                at += 8
                continue
        c = text[at]
        if c == 0xC2 and at + 1 < end and text[at + 1] == 0xA0:
            out[n] = 32
            n += 1
            at += 2
            continue
        point, after = reference_at(text, at, end, keys, points) if c == 38 else (np.int64(-1), at + 1)
        if point == -2:
            return -1
        if point < 0:
            out[n] = c
            n += 1
        else:
            n = put_character(out, n, np.int64(32) if point == 0xA0 else point)
        at = after
    return n


def replaced(text: Any) -> bytes:
    """A text in UTF-8 (``uint8[bytes]``) with its references replaced and no-break spaces as spaces; b"" for an empty one."""
    out = np.empty(len(text), np.uint8)
    size = replace(text, *NAMES, out)
    return out[:size].tobytes() if size >= 0 else unescaped(text.tobytes().decode()).encode("utf-8", "replace")
