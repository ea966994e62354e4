"""ASCII letters, digits and separators, as the searches for personal data class them."""

from typing import Any

import numpy as np

from goldwash.filters.cut import Bytes
from goldwash.filters.jit import inline


@inline
def is_digit(b: int) -> Any:
    """ASCII digits."""
    return 48 <= b <= 57


@inline
def is_letter(b: int) -> Any:
    """ASCII letters."""
    return 97 <= (b | 32) <= 122


@inline
def is_word(b: int) -> Any:
    """ASCII letters, digits and ``_``."""
    return is_digit(b) or is_letter(b) or b == 95


@inline
def is_local(b: int) -> Any:
    """Characters of an e-mail address before its ``@``: letters, digits and ``._%+'&-``."""
    return is_word(b) or b == 46 or b == 37 or b == 43 or b == 39 or b == 38 or b == 45


@inline
def hex_value(b: int) -> Any:
    """The value of a hexadecimal digit; -1 if it is none."""
    if is_digit(b):
        return np.int64(b) - 48
    small = np.int64(b) | 32
    return small - 87 if 97 <= small <= 102 else np.int64(-1)


@inline
def word_at(utf8: Bytes, i: int, end: int) -> Any:
    """Whether byte ``i`` is before the end, and of a word."""
    return i < end and is_word(utf8[i])


@inline
def leads_to_address(utf8: Bytes, i: int, end: int) -> Any:
    """Whether up to 64 characters of an e-mail address and an ``@`` follow: a number before them is part of the address."""
    stop = min(end, i + 65)
    while i < stop and is_local(utf8[i]):
        i += 1
    return i < stop and utf8[i] == 64


@inline
def separator_at(utf8: Bytes, i: int, end: int) -> Any:
    """Of a separator inside a number: its kind (1 space, 2 hyphen, 4 dot, 8 slash, 16 parenthesis; 0: none) and its bytes."""
    if i >= end:
        return 0, 1
    b = utf8[i]
    if b == 32:
        return 1, 1
    if b == 45:
        return 2, 1
    if b == 46:
        return 4, 1
    if b == 47:
        return 8, 1
    if b == 40 or b == 41:
        return 16, 1
    if b == 0xC2 and i + 1 < end and utf8[i + 1] == 0xA0:
        return 1, 2
    if b == 0xE2 and i + 2 < end and utf8[i + 1] == 0x80:  # hyphens and the en dash
        c = utf8[i + 2]
        if c == 0x90 or c == 0x91 or c == 0x93:
            return 2, 3
    return 0, 1
