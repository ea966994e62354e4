"""Blocks of 64 bytes against byte-by-byte Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.filters.bits import (
    ASCII_ALPHANUMERICS,
    ASCII_LETTERS,
    ASCII_SPACES,
    BEYOND_ASCII,
    CAPITALS,
    CONTINUATIONS,
    DIGITS,
    DOMAIN_BEGINNINGS,
    FASTTEXT_SPACES,
    FILE_SEPARATORS,
    LEADS,
    MIDDLE_MARKS,
    NEWLINES,
    bit_count,
    block,
    either,
    find,
    lowest,
)
from goldwash.filters.jit import LANES, conjunction, copy_block, kernel, matching

KINDS = {
    NEWLINES: lambda b: b == 10,
    FASTTEXT_SPACES: lambda b: b in (0, 9, 10, 11, 12, 13, 32),
    ASCII_SPACES: lambda b: b < 128 and chr(b).isspace(),
    LEADS: lambda b: b >= 0xC0,
    BEYOND_ASCII: lambda b: b >= 0x80,
    CONTINUATIONS: lambda b: 0x80 <= b < 0xC0,
    FILE_SEPARATORS: lambda b: b in (28, 29, 30),
    ASCII_LETTERS: lambda b: b < 128 and chr(b).isalpha(),
    DIGITS: lambda b: b < 128 and chr(b).isdigit(),
    CAPITALS: lambda b: b < 128 and chr(b).isupper(),
    ASCII_ALPHANUMERICS: lambda b: b < 128 and chr(b).isalnum(),
    MIDDLE_MARKS: lambda b: b in b".:,;",
    DOMAIN_BEGINNINGS: lambda b: b >= 0x80 or 97 <= b <= 122,
    46: lambda b: b == 46,
    0xE2: lambda b: b == 0xE2,
    0: lambda b: b == 0,
    255: lambda b: b == 255,
}


@kernel
def blocks(utf8, start, end, kind):  # type: ignore[no-untyped-def]
    out = np.zeros((end - start + 63) // 64, np.uint64)
    for k in range(len(out)):
        out[k] = block(utf8, np.uint64(start + 64 * k), np.uint64(end), kind)
    return out


@kernel
def first_of(utf8, start, end, kind):  # type: ignore[no-untyped-def]
    return find(utf8, start, end, kind)


@kernel
def counted(bits):  # type: ignore[no-untyped-def]
    return bit_count(bits), lowest(bits)


@pytest.mark.parametrize("kind", KINDS)
@given(st.binary(max_size=300) | st.lists(st.sampled_from([0, 9, 10, 14, 28, 32, 46, 97, 128, 0xC2, 0xE2, 255])).map(bytes))
def test_a_block_is_what_a_loop_over_its_bytes_says(kind: int, data: bytes) -> None:
    utf8 = np.frombuffer(b"x" + data + b"\n .\xe2\x00\xff", np.uint8).copy()  # what lies outside does not count
    found = blocks(utf8, 1, 1 + len(data), kind)
    bits = [bool(int(found[i // 64]) >> (i % 64) & 1) for i in range(64 * len(found))]
    wanted = [KINDS[kind](b) for b in data]
    assert bits == wanted + [False] * (len(bits) - len(wanted))
    assert first_of(utf8, 1, 1 + len(data), kind) == 1 + (wanted.index(True) if any(wanted) else len(data))


def test_every_byte_at_every_place() -> None:
    for kind, right in KINDS.items():
        for shift in range(8):
            utf8 = np.array([127] * shift + list(range(256)) + [127] * 8, np.uint8)
            found = blocks(utf8, 0, len(utf8), kind)
            assert [i - shift for i in range(len(utf8)) if int(found[i // 64]) >> (i % 64) & 1] == [
                b for b in range(256) if right(b)
            ]


@given(st.integers(0, 2**64 - 1))
def test_bits_are_counted(bits: int) -> None:
    count, low = counted(np.uint64(bits))
    assert (count, low) == (bits.bit_count(), (bits & -bits).bit_length() - 1 if bits else 64)


@kernel
def chosen(flag, one, other):  # type: ignore[no-untyped-def]
    return either(flag, one, other)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_a_flag_chooses_one_of_two(one: int, other: int) -> None:
    assert [chosen(np.uint64(flag), np.uint64(one), np.uint64(other)) for flag in (1, 0)] == [one, other]


@kernel
def moved(source, i, target, at):  # type: ignore[no-untyped-def]
    copy_block(source, np.uint64(i), target, np.uint64(at))


@pytest.mark.parametrize(("i", "at"), [(0, 0), (1, 0), (0, 3), (136, 72), (7, 63)])
def test_a_block_is_copied_and_nothing_else(i: int, at: int) -> None:
    source, target = np.arange(200, dtype=np.uint8), np.full(136, 255, np.uint8)
    moved(source, i, target, at)
    assert target[at : at + 64].tolist() == list(range(i, i + 64))
    assert (np.delete(target, np.arange(at, at + 64)) == 255).all()


@kernel
def joined(table, at, rows, bounds, masks, first, last, target):  # type: ignore[no-untyped-def]
    conjunction(table, at, rows, bounds, masks, first, last, target)


@pytest.mark.parametrize(("at", "first", "last"), [(0, 0, 40), (5, 3, 4), (8, 7, 7), (8, 39, 40)])
def test_masks_of_the_tests_that_hold_are_joined(at: int, first: int, last: int) -> None:
    draw = np.random.default_rng(at)
    table = draw.integers(-3, 4, (6, LANES + 8)).astype(np.float32)
    table[2] = np.nan
    rows, bounds = draw.integers(0, 6, 40), draw.integers(-3, 4, 40).astype(np.float32)
    masks, target = draw.integers(0, 2**32, 40, np.uint32), np.zeros(LANES + 1, np.uint32)
    joined(table, at, rows, bounds, masks, first, last, target)
    for k in range(LANES):
        expected = 0xFFFFFFFF
        for n in range(first, last):
            expected &= int(masks[n]) if table[rows[n], at + k] > bounds[n] else 0xFFFFFFFF
        assert target[k] == expected
    assert target[LANES] == 0


@kernel
def matched(table, i, low):  # type: ignore[no-untyped-def]
    return matching(table, np.uint64(i), np.uint64(low))


@given(st.lists(st.sampled_from([0, 1, 5, 2**31, 2**32 - 1]), min_size=8, max_size=20), st.data())
def test_numbers_are_matched_by_their_lower_half(lows: list[int], data: st.DataObject) -> None:
    i, low = data.draw(st.integers(0, len(lows) - 8)), data.draw(st.sampled_from([1, 5, 2**31, 2**32 - 1]))
    table = np.array([n + (k * 0x9E3779B9 % 2**32 << 32) for k, n in enumerate(lows)], np.uint64)
    assert matched(table, i, low) == sum(1 << k for k in range(8) if lows[i + k] in (0, low))
