"""E-mail addresses and public IP addresses: where one begins and ends.

Invariants: an e-mail address has a known top-level domain; an IP address is public (IANA's special-purpose registries).
"""

from typing import Any

import numpy as np

from goldwash.filters.cut import Bytes
from goldwash.filters.jit import inline
from goldwash.filters.lists import in_table
from goldwash.filters.ngrams import Hashes, row_hash
from goldwash.filters.personal_data.letters import hex_value, is_digit, is_letter, is_local, is_word, leads_to_address, word_at


@inline
def _domain_end(utf8: Bytes, start: int, end: int, tlds: Hashes, longest: int) -> Any:
    """The end of the longest domain that begins at ``start``, has two labels or more and a known last one; -1 if there is none.

    The last label may end at a hyphen: ``mail@example.com-more``.
    """
    best: Any = -1
    i: Any = start
    label: Any = start
    while i - start <= 255:
        inside = i < end and (is_digit(utf8[i]) or is_letter(utf8[i]) or utf8[i] == 45)
        hyphen = inside and utf8[i] == 45
        if hyphen and i == label:
            break
        if not inside or hyphen:
            known = i > label and utf8[i - 1] != 45 and label > start and i - label <= longest
            if known and in_table(tlds, row_hash(utf8, label, i, True)):
                best = i
        if not inside:
            if i >= end or utf8[i] != 46 or i == label or utf8[i - 1] == 45:
                break
            label = i + 1
        i += 1
    return best


@inline
def email_span(utf8: Bytes, at: int, floor: int, end: int, tlds: Hashes, longest: int) -> Any:
    """The start and end of the address around an ``@``; ``(-1, -1)`` if there is none."""
    stop = _domain_end(utf8, at + 1, end, tlds, longest)
    if stop < 0 or at == floor:
        return -1, -1
    last = utf8[at - 1]
    if not (is_word(last) or last == 43 or last == 45):
        return -1, -1
    start = at
    while start > floor and at - start < 64 and is_local(utf8[start - 1]):
        start -= 1
    while start < at and not is_word(utf8[start]):
        start += 1
    if start == at:
        return -1, -1
    git = at - start == 3 and utf8[start] == 103 and utf8[start + 1] == 105 and utf8[start + 2] == 116
    if git and stop < end and utf8[stop] == 58:  # git@github.com:user/repository
        return -1, -1
    return start, stop


@inline
def in_version(utf8: Bytes, i: int, floor: int, words: Hashes) -> Any:
    """Whether a letter and a slash, or a word as "version", comes before byte ``i``."""
    if i - floor >= 2 and utf8[i - 1] == 47 and is_letter(utf8[i - 2]):
        return True
    gap = 0
    while gap < 3 and i > floor:
        if utf8[i - 1] == 32 or utf8[i - 1] == 46 or utf8[i - 1] == 58:
            i -= 1
        elif utf8[i - 1] == 0xA0 and i - 1 > floor and utf8[i - 2] == 0xC2:
            i -= 2
        else:
            break
        gap += 1
    if gap == 0:
        return False
    start = i
    while start > floor and i - start < 16 and is_letter(utf8[start - 1]):
        start -= 1
    return i > start and in_table(words, row_hash(utf8, start, i, True))


@inline
def ipv4_end(utf8: Bytes, i: int, end: int, special: Any) -> Any:
    """The end of a public IPv4 address in decimal form at byte ``i``; -1 if there is none."""
    address = np.int64(0)
    for group in range(4):
        value, digits = np.int64(0), 0
        while i < end and digits < 4 and is_digit(utf8[i]):
            value = value * 10 + utf8[i] - 48
            i += 1
            digits += 1
        if digits == 0 or digits > 3 or value > 255 or (digits > 1 and utf8[i - digits] == 48):
            return -1
        address = (address << 8) | value
        if group < 3:
            if i >= end or utf8[i] != 46:
                return -1
            i += 1
    if word_at(utf8, i, end) or (i + 1 < end and utf8[i] == 46 and is_digit(utf8[i + 1])):
        return -1
    for k in range(len(special)):
        if (address ^ special[k, 0]) >> (32 - special[k, 1]) == 0:
            return -1
    return -1 if leads_to_address(utf8, i, end) else i


@inline
def ipv6_end(utf8: Bytes, start: int, end: int) -> Any:
    """The end of a public IPv6 address at byte ``start``; -1 if there is none.

    Public addresses begin with 2000 to 3fff. Without Teredo and 2001::/23, 2001:db8::/32, 2002::/16 and 3fff::/20.
    """
    i: Any = start
    groups, digits, first, second = 0, 0, np.int64(0), np.int64(0)
    gap = False
    done = False
    while not done:
        value = hex_value(utf8[i]) if i < end else np.int64(-1)
        if value >= 0:
            digits += 1
            if digits > 4:
                return -1
            if groups == 0:
                first = first * 16 + value
            elif groups == 1 and not gap:
                second = second * 16 + value
            i += 1
            continue
        groups += digits > 0
        if groups == 1 and digits != 4 and i - start <= 4:
            return -1
        digits = 0
        if i >= end or utf8[i] != 58:
            done = True
        elif i + 1 < end and utf8[i + 1] == 58:
            if gap:
                return -1
            gap = True
            i += 2
            if i < end and utf8[i] == 58:
                return -1
        elif i + 1 < end and hex_value(utf8[i + 1]) >= 0:
            i += 1
        else:
            done = True
    if word_at(utf8, i, end) or (i + 1 < end and utf8[i] == 46 and is_digit(utf8[i + 1])):
        return -1
    if groups < 3 or (groups != 8 and not gap) or (gap and groups > 7) or not 0x2000 <= first <= 0x3FFF:
        return -1
    if first == 0x2001 and (second < 0x200 or second == 0xDB8):
        return -1
    return -1 if first == 0x2002 or (first == 0x3FFF and second < 0x1000) else i
