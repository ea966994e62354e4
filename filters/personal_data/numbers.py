"""Numbers in groups of digits: the groups, payment cards and IBANs.

Invariants: a card has an issuer's first digits, one of its lengths and Luhn's check digit (ISO/IEC 7812); an IBAN has its
country's length and right check digits (SWIFT registry).
"""

from typing import Any

import numpy as np

from goldwash.filters.cut import Bytes, Rows
from goldwash.filters.jit import inline
from goldwash.filters.personal_data.letters import is_digit, is_word, leads_to_address, separator_at, word_at


@inline
def _check_digits(utf8: Bytes, start: int) -> Any:
    """An IBAN's country and check digits as the six digits that are moved to its end."""
    letters = (np.int64(utf8[start]) - 55) * 100 + np.int64(utf8[start + 1]) - 55
    return letters * 100 + (np.int64(utf8[start + 2]) - 48) * 10 + np.int64(utf8[start + 3]) - 48


@inline
def iban_end(utf8: Bytes, start: int, end: int, ibans: Rows) -> Any:
    """The end of an IBAN that begins at byte ``start`` with two capitals; -1 if there is none."""
    size = ibans[(np.int64(utf8[start]) - 65) * 26 + np.int64(utf8[start + 1]) - 65]
    if size == 0:
        return -1
    rest, seen = np.int64(0), 0
    i: Any = start
    while seen < size:
        if i >= end:
            return -1
        b = np.int64(utf8[i])
        if is_digit(b):
            value = b - 48
        elif 65 <= b <= 90:
            value = b - 55
        else:
            kind, width = separator_at(utf8, i, end)
            after = i + width
            if (kind != 1 and b != 45) or seen < 4 or after >= end or not is_word(utf8[after]):
                return -1
            i = after
            continue
        if seen >= 4:  # the country and the check digits come last
            rest = (rest * (100 if value > 9 else 10) + value) % 97
        seen += 1
        i += 1
    if word_at(utf8, i, end) or (rest * 1000000 + _check_digits(utf8, start)) % 97 != 1:
        return -1
    return -1 if leads_to_address(utf8, i, end) else i


MOST_DIGITS = 19
"""Digits of the longest card number; a phone number has at most 15."""


@inline
def digit_groups(utf8: Bytes, i: int, end: int, out: Any) -> Any:
    """The groups of digits from byte ``i``, up to `MOST_DIGITS`: their number, and whether more digits follow.

    ``out: int64[20, 4]``: start, end, kinds of the separators after it, and their number. A group that a letter follows is not
    part of the number; the first one then makes it empty.
    """
    n, total = 0, 0
    while True:
        start = i
        while i < end and is_digit(utf8[i]) and i - start <= MOST_DIGITS:
            i += 1
        if total + i - start > MOST_DIGITS:
            return n, True
        if word_at(utf8, i, end):
            return n, False
        total += i - start
        out[n, 0], out[n, 1], out[n, 2], out[n, 3] = start, i, 0, 0
        n += 1
        kinds, gap, at = 0, 0, i
        while gap < 3:
            kind, width = separator_at(utf8, at, end)
            if kind == 0:
                break
            kinds |= kind
            at += width
            gap += 1
        sentence = gap > 1 and kinds & 4 != 0  # "12. 34"
        if gap == 0 or sentence or at >= end or not is_digit(utf8[at]):
            return n, False
        out[n - 1, 2], out[n - 1, 3] = kinds, gap
        i = at


@inline
def ends_here(utf8: Bytes, i: int, end: int) -> Any:
    """Whether a number may end before byte ``i``: no digits follow a dot, slash or colon, no word a hyphen, and no address."""
    if i + 1 < end and is_word(utf8[i + 1]):
        b = utf8[i]
        if b == 45 or (is_digit(utf8[i + 1]) and (b == 46 or b == 47 or b == 58)):
            return False
    return not leads_to_address(utf8, i, end)


@inline
def _issued(utf8: Bytes, groups: Any, n: int) -> Any:
    """Whether the first ``n`` groups are a card number: an issuer's first digits, its lengths, and Luhn's check digit."""
    size, six = 0, np.int64(0)
    for g in range(n):
        for i in range(groups[g, 0], groups[g, 1]):
            if size < 4:
                six = six * 10 + utf8[i] - 48
            size += 1
    if size < 13:
        return False
    two, three = six // 100, six // 10
    long_ = size >= 16
    visa = 40 <= two <= 49 and (size == 13 or size == 16 or size == 19)
    mastercard = size == 16 and (51 <= two <= 55 or 2221 <= six <= 2720)
    amex = size == 15 and (two == 34 or two == 37)
    discover = long_ and (six == 6011 or 644 <= three <= 649 or two == 65 or two == 62 or 3528 <= six <= 3589)
    diners = size >= 14 and (300 <= three <= 305 or two == 36 or two == 38 or two == 39)
    if not (visa or mastercard or amex or discover or diners):
        return False
    total, k = np.int64(0), size
    for g in range(n):
        for i in range(groups[g, 0], groups[g, 1]):
            digit = np.int64(utf8[i]) - 48
            if k % 2 == 0:
                digit = 2 * digit - 9 if digit > 4 else 2 * digit
            total += digit
            k -= 1
    return total % 10 == 0


@inline
def card_end(utf8: Bytes, floor: int, end: int, groups: Any, n: int) -> Any:
    """The end of a card number that begins with the first group; -1 if there is none."""
    start = groups[0, 0]
    if start > floor:
        b = utf8[start - 1]
        between = b == 46 or b == 47 or b == 45
        if b == 43 or (between and start - 1 > floor and is_digit(utf8[start - 2])):
            return -1
    most = 1
    if groups[0, 1] - start == 4:
        while most < min(n, 5):
            gap, size = groups[most - 1, 2], groups[most, 1] - groups[most, 0]
            if groups[most - 1, 3] != 1 or gap != groups[0, 2] or gap > 2:
                break
            third = most == 2 and (size == 4 or size == 5) and groups[1, 1] - groups[1, 0] == 6
            if not (size == 4 or (most == 1 and size == 6) or third or (most > 2 and size < 4)):
                break
            most += 1
    for k in range(most, 0, -1):
        if _issued(utf8, groups, k) and ends_here(utf8, groups[k - 1, 1], end):
            return groups[k - 1, 1]
    return -1
