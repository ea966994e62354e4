"""The search for personal data: one pass over the bytes, from left to right.

Invariants: found spans do not overlap. The search stops at ``@`` and at the first digit of each run of digits.
"""

from typing import Any

import numpy as np

from goldwash.filters.bits import AT_SIGN, DIGITS, block, lowest
from goldwash.filters.cut import Bytes, Rows, room_for
from goldwash.filters.jit import inline, kernel
from goldwash.filters.lists import in_table
from goldwash.filters.ngrams import Hashes, row_hash
from goldwash.filters.personal_data.addresses import email_span, in_version, ipv4_end, ipv6_end
from goldwash.filters.personal_data.kinds import CARD, EMAIL, IBAN, IPV4, IPV6, PHONE, PLACEHOLDER
from goldwash.filters.personal_data.letters import is_digit, is_word
from goldwash.filters.personal_data.numbers import card_end, digit_groups, iban_end
from goldwash.filters.personal_data.phones import phone_groups
from goldwash.filters.texts import copied


@inline
def with_parenthesis(utf8: Bytes, start: int, stop: int, floor: int) -> Any:
    """The start of a span, one earlier if a parenthesis that closes in it opens there."""
    if start > floor and utf8[start - 1] == 40:
        for i in range(start, stop):
            if utf8[i] == 40:
                return start
            if utf8[i] == 41:
                return start - 1
    return start


@inline
def digits_follow(utf8: Bytes, i: int, end: int) -> Any:
    """Whether byte ``i`` could begin a number of seven digits: a cheap test that most numbers of a page fail."""
    stop = min(end, i + 64)
    count = 0
    while i < stop:
        b = utf8[i]
        if is_digit(b):
            count += 1
            if count == 7:
                return True
        elif b < 0x80 and not (b == 32 or b == 40 or b == 41 or 45 <= b <= 47):
            return False
        i += 1
    return False


@kernel
def personal_spans(
    utf8: Bytes, starts: Rows, ends: Rows, tlds: Hashes, longest: int, versions: Hashes, placeholders: Hashes, ibans: Rows,
    special: Any, words: Bytes, word_starts: Rows, word_ends: Rows,
) -> Any:  # fmt: skip
    """Personal data from left to right: ``(rows, starts, ends, kinds)``, ``int64[M]`` each.

    The search is for ``@`` and for the first digit of each run of digits.
    """
    room = room_for(starts, ends, 6, 0)
    rows, span_starts, span_ends = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    kinds = np.empty(room, np.int64)
    groups = np.empty((20, 4), np.int64)
    n = np.int64(0)
    for row in range(len(starts)):
        floor, end = starts[row], ends[row]
        begin = floor
        place, last = np.uint64(floor), np.uint64(end)
        carry = np.uint64(0)
        while place < last:
            digits = block(utf8, place, last, DIGITS)
            found = block(utf8, place, last, AT_SIGN) | (digits & ~((digits << np.uint64(1)) | carry))
            carry = digits >> np.uint64(63)
            while found != np.uint64(0):
                i = np.int64(place) + lowest(found)
                found &= found - np.uint64(1)
                if i < floor:
                    continue
                kind, start, stop = np.int64(-1), i, np.int64(-1)
                if utf8[i] == 64:
                    start, stop = email_span(utf8, i, floor, end, tlds, longest)
                    kind = np.int64(EMAIL)
                else:
                    before = np.int64(utf8[i - 1]) if i > begin else np.int64(32)
                    if 65 <= before <= 90 and i - 2 >= floor and 65 <= utf8[i - 2] <= 90 and i + 1 < end:
                        if is_digit(utf8[i + 1]) and not (i - 2 > begin and is_word(utf8[i - 3])):
                            start = i - 2
                            stop = iban_end(utf8, start, end, ibans)
                            kind = np.int64(IBAN)
                    if stop < 0 and not is_word(before):
                        start = i
                        colon = i + 4 < end and utf8[i + 4] == 58
                        if colon and before != 58 and (utf8[i] == 50 or utf8[i] == 51):
                            stop = ipv6_end(utf8, i, end)
                            kind = np.int64(IPV6)
                        dotted = i + 6 < end and (utf8[i + 1] == 46 or utf8[i + 2] == 46 or utf8[i + 3] == 46)
                        if stop < 0 and (dotted or i + 6 >= end):
                            if not (before == 46 and i - 2 >= begin and is_digit(utf8[i - 2])):
                                stop = ipv4_end(utf8, i, end, special)
                                kind = np.int64(IPV4)
                                if stop >= 0 and in_version(utf8, i, begin, versions):
                                    stop = np.int64(-1)
                        if stop < 0 and digits_follow(utf8, i, end):
                            size, more = digit_groups(utf8, i, end, groups)
                            if size > 0:
                                stop = card_end(utf8, begin, end, groups, size)
                                kind = np.int64(CARD)
                                if stop < 0:
                                    size = phone_groups(utf8, begin, end, groups, size, more, words, word_starts, word_ends)
                                    if size > 0:
                                        stop = groups[size - 1, 1]
                                        start = i - 1 if before == 43 else i
                                        start = with_parenthesis(utf8, start, stop, begin)
                                        kind = np.int64(PHONE)
                if stop >= 0:
                    if kind <= IPV4 and in_table(placeholders, row_hash(utf8, start, stop, False)):
                        kind = np.int64(PLACEHOLDER)
                    rows[n], span_starts[n], span_ends[n], kinds[n] = row, start, stop, kind
                    n += 1
                    floor = stop
            place += np.uint64(64)
    return rows[:n], span_starts[:n], span_ends[:n], kinds[:n]


@kernel
def spliced(
    utf8: Bytes, starts: Rows, ends: Rows, rows: Rows, span_starts: Rows, span_ends: Rows, which: Rows, new: Bytes,
    new_starts: Rows, new_ends: Rows,
) -> Any:  # fmt: skip
    """The rows that have spans, span ``k`` replaced by the text ``which[k]``: ``(rows, utf8, starts, ends)``."""
    changed, room, k = np.empty(len(rows), np.int64), np.int64(0), np.int64(0)
    for span in range(len(rows)):
        if span == 0 or rows[span] != rows[span - 1]:
            changed[k] = rows[span]
            room += ends[rows[span]] - starts[rows[span]]
            k += 1
        room += new_ends[which[span]] - new_starts[which[span]]
    out, out_starts, out_ends = np.empty(room, np.uint8), np.empty(k, np.int64), np.empty(k, np.int64)
    n, next_ = np.int64(0), np.int64(0)
    for j in range(k):
        out_starts[j] = n
        at = starts[changed[j]]
        while next_ < len(rows) and rows[next_] == changed[j]:
            n = copied(utf8, at, span_starts[next_], out, n)
            n = copied(new, new_starts[which[next_]], new_ends[which[next_]], out, n)
            at = span_ends[next_]
            next_ += 1
        n = copied(utf8, at, ends[changed[j]], out, n)
        out_ends[j] = n
    return changed[:k], out[:n], out_starts, out_ends
