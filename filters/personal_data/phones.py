"""Phone numbers: international, North American, national, or after a word such as "Tel" (ITU-T E.164, NANP)."""

from typing import Any

import numpy as np

from goldwash.filters.cut import Bytes, Rows
from goldwash.filters.jit import inline
from goldwash.filters.personal_data.letters import is_letter, is_word
from goldwash.filters.personal_data.numbers import ends_here


@inline
def _digit(utf8: Bytes, groups: Any, n: int, number: int) -> Any:
    """A digit of a number in groups, counted from 0; -1 if it has fewer."""
    for g in range(n):
        size = groups[g, 1] - groups[g, 0]
        if number < size:
            return np.int64(utf8[groups[g, 0] + number]) - 48
        number -= size
    return np.int64(-1)


@inline
def _most(utf8: Bytes, end: int, groups: Any, n: int, least: int) -> Any:
    """The number of groups of the longest phone number of ``least`` to 15 digits; 0 if there is none."""
    total, best = 0, 0
    for g in range(n):
        total += groups[g, 1] - groups[g, 0]
        if total > 15:
            break
        if total >= least and ends_here(utf8, groups[g, 1], end):
            best = g + 1
    return best


@inline
def _international(utf8: Bytes, end: int, groups: Any, n: int) -> Any:
    """The number of groups of a number after a ``+``; 0 if it is none. Round millions ("+50 000 000") are none."""
    first = _digit(utf8, groups, n, 0)
    if first == 0:
        return 0
    if first == 1:
        total = 0
        for g in range(n):
            total += groups[g, 1] - groups[g, 0]
            if total == 11:
                plan = _digit(utf8, groups, n, 1) >= 2 and _digit(utf8, groups, n, 4) >= 2
                return g + 1 if plan and ends_here(utf8, groups[g, 1], end) else 0
        return 0
    best = _most(utf8, end, groups, n, 8)
    if best > 0:
        total = 0
        for g in range(best):
            total += groups[g, 1] - groups[g, 0]
        for k in range(total - 6, total):
            if _digit(utf8, groups, best, k) != 0:
                return best
    return 0


@inline
def _american(utf8: Bytes, floor: int, end: int, groups: Any, n: int) -> Any:
    """The number of groups of a North American number, ``(555) 555-0100`` or ``1-555-555-0100``; 0 if it is none."""
    lead = 1 if groups[0, 1] - groups[0, 0] == 1 and utf8[groups[0, 0]] == 49 else 0
    if n < lead + 3 or (lead == 1 and groups[0, 3] > 2):
        return 0
    area, exchange, line = lead, lead + 1, lead + 2
    sizes = groups[area, 1] - groups[area, 0] == 3 and groups[exchange, 1] - groups[exchange, 0] == 3
    if not sizes or groups[line, 1] - groups[line, 0] != 4:
        return 0
    if utf8[groups[area, 0]] < 50 or utf8[groups[exchange, 0]] < 50:
        return 0
    first, second = groups[area, 2], groups[exchange, 2]
    if groups[exchange, 3] != 1 or groups[area, 3] > 2 or second > 4:
        return 0
    enclosed = (first & 16) != 0 and groups[area, 0] > floor and utf8[groups[area, 0] - 1] == 40
    spaced = first == 1 and second == 1 and n == line + 1
    if not (enclosed or spaced or (second == 2 and first <= 8) or (first == 4 and second == 4)):
        return 0
    return line + 1 if ends_here(utf8, groups[line, 1], end) else 0


@inline
def _national(utf8: Bytes, end: int, groups: Any, n: int, more: bool) -> Any:
    """The number of groups of a national number with a leading 0, ``030 1234 5678`` or ``(030) 12345678``; 0 if it is none."""
    if utf8[groups[0, 0]] != 48 or groups[0, 1] - groups[0, 0] < 2 or utf8[groups[0, 0] + 1] == 48:
        return 0
    total, k = 0, 0
    while k < n:
        if groups[k, 1] - groups[k, 0] < 2:
            return 0
        total += groups[k, 1] - groups[k, 0]
        k += 1
        if groups[k - 1, 3] > 2:
            break
    if not 9 <= total <= 11 or (more and k == n):
        return 0
    marked = (groups[0, 2] & 24) != 0
    if k == 3 and total == 9 and groups[0, 1] - groups[0, 0] == 2:
        return 0  # 08-16-00334, a court's case
    if k == 1 or (k == 2 and not (marked and 3 <= groups[0, 1] - groups[0, 0] <= 6)):
        return 0
    for g in range(1, k - 1):
        if groups[g, 3] != 1 or groups[g, 2] != groups[1, 2]:
            return 0
    if k > 2 and not (marked or groups[0, 2] == 2 or (groups[0, 2] == groups[1, 2] and groups[0, 3] == 1)):
        return 0
    return k if ends_here(utf8, groups[k - 1, 1], end) else 0


@inline
def _labelled(utf8: Bytes, i: int, floor: int, words: Bytes, word_starts: Rows, word_ends: Rows) -> Any:
    """Whether a phone word, and up to four of ``.:(-`` and spaces, come before byte ``i``."""
    gap = 0
    if i > floor and utf8[i - 1] == 45:
        return False
    while gap < 4 and i > floor:
        b = utf8[i - 1]
        if b == 32 or b == 46 or b == 58 or b == 40 or b == 45:
            i -= 1
        elif b == 0xA0 and i - 1 > floor and utf8[i - 2] == 0xC2:
            i -= 2
        elif b == 0x9A and i - 2 > floor and utf8[i - 2] == 0xBC and utf8[i - 3] == 0xEF:  # full-width colon
            i -= 3
        else:
            break
        gap += 1
    for w in range(len(word_starts)):
        size = word_ends[w] - word_starts[w]
        start = i - size
        if start < floor:
            continue
        same = True
        for k in range(size):
            b = utf8[start + k]
            if 65 <= b <= 90:
                b += 32
            if b != words[word_starts[w] + k]:
                same = False
                break
        if same and not (is_letter(words[word_starts[w]]) and start > floor and is_letter(utf8[start - 1])):
            return True
    return False


@inline
def phone_groups(
    utf8: Bytes, floor: int, end: int, groups: Any, n: int, more: bool, words: Bytes, word_starts: Rows, word_ends: Rows
) -> Any:
    """The number of groups of the phone number that begins with the first one; 0 if there is none."""
    start = groups[0, 0]
    before = np.int64(utf8[start - 1]) if start > floor else np.int64(32)
    if before == 43:
        glued = start - 1 > floor and (is_word(utf8[start - 2]) or utf8[start - 2] == 43)
        return 0 if glued else _international(utf8, end, groups, n)
    free = not (before == 46 or before == 47 or before == 45 or before == 61 or before == 35 or before == 37 or before == 36)
    if free:
        found = _american(utf8, floor, end, groups, n)
        if found > 0:
            return found
    if _labelled(utf8, start, floor, words, word_starts, word_ends):
        found = _most(utf8, end, groups, n, 7)
        if found > 0:
            return found
    return _national(utf8, end, groups, n, more) if free else 0
