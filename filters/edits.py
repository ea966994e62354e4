"""Edits: texts in, texts out.

Invariants: an edit returns as many texts as it gets. An unchanged text keeps its place in the buffer; if no text changes, the
same `Texts` object is returned, with its memoised values. The caller decides what happens to emptied texts.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from goldwash.filters import characters as c
from goldwash.filters.bits import NEWLINES, block, lowest
from goldwash.filters.cut import NEWLINE, RETURN, Bytes, Rows, strip
from goldwash.filters.jit import inline, kernel
from goldwash.filters.phrases import having
from goldwash.filters.signals import Keep, edit
from goldwash.filters.texts import Texts, copied, piece_rows


@dataclass(frozen=True)
class KeepLines:
    """Removes the lines that fail a `Keep`; empty lines stay, unless ``empty`` is False.

    ``strip``: strip the text afterwards.
    """

    keep: Keep
    strip: bool = True
    empty: bool = True

    @property
    def name(self) -> str:
        """The rule's name in reports: ``lines.`` and the signal's name."""
        return f"lines.{self.keep.signal.name}"

    def __call__(self, texts: Texts) -> Texts:
        """The texts without the lines that fail."""
        lines = texts.lines
        passed = self.keep.passes(self.keep.signal.measure(lines))
        if self.empty:
            passed |= lines.starts == lines.ends
        if not passed.all():
            texts = without_lines(texts, passed)
        return stripped(texts) if self.strip else texts


@edit
def squeeze_newlines(texts: Texts, max: int = 2) -> Texts:
    """Shorten runs of more than ``max`` newlines to ``max`` (RefinedWeb, 2306.01116, G.2). A line of spaces ends a run."""
    rows, utf8, starts, ends = squeezed(texts.utf8, texts.starts, texts.ends, max)
    return texts.replace(rows, Texts(utf8, starts, ends))


@edit
def remove_citations(texts: Texts) -> Texts:
    """Remove Wikipedia's marks: ``[1]``, ``[]``, ``[edit]``, ``[citation needed]`` (C4's code)."""
    rows = np.flatnonzero(having(texts, b"["))
    found = [(int(row), match) for row in rows for match in _CITATION.finditer(bytes(_row(texts, row)))]
    owners = np.array([row for row, _ in found], np.int64)
    firsts = np.array([texts.starts[row] + match.start() for row, match in found], np.int64)
    lasts = np.array([texts.starts[row] + match.end() for row, match in found], np.int64)
    return without_spans(texts, owners, firsts, lasts)


_CITATION = re.compile(rb"\[\d*\]|\[edit\]|\[citation needed\]")


def _row(texts: Texts, row: Any) -> Bytes:
    return texts.utf8[texts.starts[row] : texts.ends[row]]


@edit
def delete_phrase(
    texts: Texts, phrase: str, position: str = "anywhere", max_words: int = 10, dot_is_any_character: bool = False
) -> Texts:
    """Remove a phrase from short lines, with one white-space character beside it; a line that becomes blank is removed too.

    Case is ignored. ``position``: ``anywhere``, ``prefix`` or ``suffix`` of a line of up to ``max_words`` white-space words
    (RefinedWeb, 2306.01116, G.2). ``dot_is_any_character``: each ``.`` in the phrase matches any character, as in the
    reference, which forgets to escape them. The text is stripped.
    """
    pattern = phrase_pattern(phrase, position, dot_is_any_character)
    literal = max(phrase.split("."), key=len) if dot_is_any_character else phrase
    needle = literal.lower().encode() if literal.isascii() else b""  # the pattern handles capitals of every script
    having_it = np.flatnonzero(having(texts, needle))
    if len(having_it):
        lines = texts.lines
        having_it.flags.writeable = False  # as `Texts.take` has its rows: the kernel is compiled once
        found, _ = piece_rows(lines.parents, having_it)
        found = found[having(lines.take(found), needle)]
        left_out = np.ones(len(lines), bool)
        changed, new = [], []
        for line in found:
            text = lines[line]
            if len(text.split()) <= max_words and (after := pattern.sub("", text)) != text:
                if after and not after.isspace():
                    changed.append(line)
                    new.append(after)
                else:
                    left_out[line] = False
        lines_after = lines.replace(np.array(changed, np.int64), Texts.of(new))
        touched = np.union1d(np.array(changed, np.int64), np.flatnonzero(~left_out))
        if len(touched):
            rows = np.unique(np.searchsorted(lines.parents, touched, side="right") - 1)
            _, utf8, starts, ends = rejoined(
                lines_after.utf8, lines_after.starts, lines_after.ends, lines.parents, left_out, rows, True
            )
            texts = texts.replace(rows, Texts(utf8, starts, ends))
    return stripped(texts)


def phrase_pattern(phrase: str, position: str, dot_is_any_character: bool) -> re.Pattern[str]:
    """The regular expression of `delete_phrase`."""
    body = re.escape(phrase)
    end = r"(?=\s*$)"  # spaces before a line's end are no part of the phrase
    if dot_is_any_character:
        body, end = body.replace(r"\.", "."), "$"
    forms = {"anywhere": rf"\s?(?:{body})", "prefix": rf"^(?:{body})\s?", "suffix": rf"\s?(?:{body}){end}"}
    if position not in forms:
        raise ValueError(f"delete_phrase: position is {position!r}; give one of: {', '.join(forms)}")
    return re.compile(forms[position], re.IGNORECASE)


def stripped(texts: Texts) -> Texts:
    """The stripped texts; the same object if nothing changes."""
    starts, ends = strip(texts.utf8, texts.starts, texts.ends, c.classes())
    if np.array_equal(starts, texts.starts) and np.array_equal(ends, texts.ends):
        return texts
    return Texts(texts.utf8, starts, ends)


def without_lines(texts: Texts, passed: Any) -> Texts:
    """The texts reduced to the lines (rows of ``texts.lines``) that passed."""
    lines = texts.lines
    every = np.arange(len(texts))
    rows, utf8, starts, ends = rejoined(lines.utf8, lines.starts, lines.ends, lines.parents, passed, every, False)
    return texts.replace(rows, Texts(utf8, starts, ends))


def without_spans(texts: Texts, rows: Rows, span_starts: Rows, span_ends: Rows) -> Texts:
    """The texts without some byte ranges, given in order and without overlap; range ``k`` is in row ``rows[k]``."""
    return texts.replace(*_cut_out(texts, rows, span_starts, span_ends))


def _cut_out(texts: Texts, rows: Rows, span_starts: Rows, span_ends: Rows) -> tuple[Rows, Texts]:
    changed, utf8, starts, ends = cut_out(texts.utf8, texts.starts, texts.ends, rows, span_starts, span_ends)
    return changed, Texts(utf8, starts, ends)


@kernel
def rejoined(utf8: Bytes, starts: Rows, ends: Rows, parents: Rows, passed: Bytes, rows: Rows, all_: bool) -> Any:
    """Parents joined again from the lines that passed: those that lose a line, or all. ``(rows, utf8, starts, ends)``."""
    room = np.int64(0)
    for row in rows:
        for line in range(parents[row], parents[row + 1]):
            room += ends[line] - starts[line] + 1
    out = np.empty(room, np.uint8)
    out_rows, out_starts, out_ends = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    n, k = np.int64(0), np.int64(0)
    for row in rows:
        whole = True
        for line in range(parents[row], parents[row + 1]):
            whole &= passed[line] != 0
        if whole and not all_:
            continue
        out_rows[k], out_starts[k] = row, n
        first = True
        for line in range(parents[row], parents[row + 1]):
            if passed[line]:
                if not first:
                    out[n] = NEWLINE
                    n += 1
                first = False
                n = copied(utf8, starts[line], ends[line], out, n)
        out_ends[k] = n
        k += 1
    return out_rows[:k], out[:n], out_starts[:k], out_ends[:k]


@inline
def _long_run(utf8: Bytes, start: int, end: int, most: int) -> Any:
    """The place after the first ``most`` line ends of a run that has more; ``end`` if there is no such run."""
    i, last = np.uint64(start), np.uint64(end)
    run, expected, open_ = np.int64(0), np.int64(start), False
    while i < last:
        found = block(utf8, i, last, NEWLINES)
        close = found  # the third of three newlines with up to a byte between two, or the second if a run has more than one
        for _ in range(min(most, 2)):
            close &= (close << np.uint64(1)) | (close << np.uint64(2))
        at_the_end = found >> np.uint64(60) != np.uint64(0)  # a run may go on in the next 64 bytes
        if open_ or at_the_end or close != np.uint64(0):
            rest = found
            while rest != np.uint64(0):
                newline = np.int64(i) + lowest(rest)
                rest &= rest - np.uint64(1)
                follows = newline == expected or (newline == expected + 1 and utf8[expected] == RETURN)
                run = run + 1 if follows else np.int64(1)
                if run > most:
                    return expected
                expected = newline + 1
        else:
            run = np.int64(0)
        open_ = at_the_end
        i += np.uint64(64)
    return np.int64(end)


@kernel
def squeezed(utf8: Bytes, starts: Rows, ends: Rows, most: int) -> Any:
    """Texts with a run of more than ``most`` line ends, the runs cut to ``most``: ``(rows, utf8, starts, ends)``."""
    rows, room = np.empty(len(starts), np.int64), np.int64(0)
    k = np.int64(0)
    for row in range(len(starts)):
        if _long_run(utf8, starts[row], ends[row], most) < ends[row]:
            rows[k] = row
            k += 1
            room += ends[row] - starts[row]
    out, out_starts, out_ends = np.empty(room, np.uint8), np.empty(k, np.int64), np.empty(k, np.int64)
    n = np.int64(0)
    for j in range(k):
        out_starts[j] = n
        i, end = starts[rows[j]], ends[rows[j]]
        while i < end:
            stop = _long_run(utf8, i, end, most)
            n = copied(utf8, i, stop, out, n)
            i = stop
            while i < end and (utf8[i] == NEWLINE or (utf8[i] == RETURN and i + 1 < end and utf8[i + 1] == NEWLINE)):
                i += 1
        out_ends[j] = n
    return rows[:k], out[:n], out_starts, out_ends


@kernel
def cut_out(utf8: Bytes, starts: Rows, ends: Rows, rows: Rows, span_starts: Rows, span_ends: Rows) -> Any:
    """The rows that have spans, with the spans removed: ``(rows, utf8, starts, ends)``."""
    changed, room, k = np.empty(len(rows), np.int64), np.int64(0), np.int64(0)
    for span in range(len(rows)):
        if span == 0 or rows[span] != rows[span - 1]:
            changed[k] = rows[span]
            room += ends[rows[span]] - starts[rows[span]]
            k += 1
    out, out_starts, out_ends = np.empty(room, np.uint8), np.empty(k, np.int64), np.empty(k, np.int64)
    n, next_ = np.int64(0), np.int64(0)
    for j in range(k):
        out_starts[j] = n
        at = starts[changed[j]]
        while next_ < len(rows) and rows[next_] == changed[j]:
            n = copied(utf8, at, span_starts[next_], out, n)
            at = span_ends[next_]
            next_ += 1
        n = copied(utf8, at, ends[changed[j]], out, n)
        out_ends[j] = n
    return changed[:k], out[:n], out_starts, out_ends
