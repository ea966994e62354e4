"""Texts: many strings in one UTF-8 buffer.

Invariants: a text is a row, ``utf8[starts[i]:ends[i]]``, of one ``uint8`` buffer. Documents, lines, words and URLs are all
rows, so one kernel measures any of them. A `Texts` never changes. Values measured or pieces cut from it are memoised
(`remember`); a selection of rows (`take`) copies no text and slices memoised values when they are next needed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.errors import GoldwashError
from goldwash.filters import characters, cut
from goldwash.filters.buffers import buffer
from goldwash.filters.jit import inline, kernel
from goldwash.filters.segmentation import SPACES, UAX29, Cutters, icu_words
from goldwash.filters.uax29 import uax29_pieces


class TextError(GoldwashError, ValueError):
    """A column is not valid text; the message gives the row and the reason."""


def _frozen(array: npt.ArrayLike, dtype: type) -> npt.NDArray[Any]:
    """A read-only, contiguous view, so that kernels see one array type; an array that is one is returned."""
    if type(array) is np.ndarray and array.dtype == dtype and not array.flags.writeable and array.flags.c_contiguous:
        return array
    view: npt.NDArray[Any] = np.ascontiguousarray(array, dtype).view()
    view.flags.writeable = False
    return view


def writable(view: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array below a frozen view, if it is writable."""
    return view if view.flags.writeable or view.base is None else writable(view.base)


@dataclass(frozen=True, eq=False)
class Texts:
    """N strings: ``utf8: uint8[bytes]``, ``starts: int64[N]``, ``ends: int64[N]``.

    If the rows are pieces of other texts, ``parents: int64[P + 1]`` assigns them: the pieces of text ``p`` are rows
    ``parents[p]`` to ``parents[p + 1]``.
    """

    utf8: cut.Bytes
    starts: cut.Rows
    ends: cut.Rows
    parents: cut.Rows = field(default_factory=lambda: np.zeros(1, np.int64))
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)
    room: list[int] | None = field(default=None, repr=False)
    """The start of the buffer's unused end, if this object may write there (`replace`)."""
    origin: tuple["Texts", npt.NDArray[np.int64]] | None = field(default=None, repr=False)
    """The texts that these were taken from, and the rows taken."""
    cutters: Cutters | None = field(default=None, repr=False)
    """How the words of each text are cut (`filters.segmentation`); None: all at spaces."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "utf8", _frozen(self.utf8, np.uint8))
        object.__setattr__(self, "starts", _frozen(self.starts, np.int64))
        object.__setattr__(self, "ends", _frozen(self.ends, np.int64))
        object.__setattr__(self, "parents", _frozen(self.parents, np.int64))

    @staticmethod
    def of(column: pa.Array | pa.ChunkedArray | Iterable[str], checked: bool = False) -> "Texts":
        """The strings of an Arrow column, without copying its bytes, or of a Python sequence.

        ``checked``: the column is known to be UTF-8, and is not checked again: kernels read beyond a text that is not.
        An empty column gives a `Texts` of length 0. Raises `TextError` for a null, a column that is not text, and invalid
        UTF-8, with the row.

        >>> [t.upper() for t in Texts.of(["gold", "wash"])]
        ['GOLD', 'WASH']
        """
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        elif not isinstance(column, pa.Array):
            column = _encoded(list(column))
        if pa.types.is_string(column.type):
            width: type = np.int32
        elif pa.types.is_large_string(column.type):
            width = np.int64
        else:
            raise TextError(f"expected a column of strings, found {column.type}: cast it to string first")
        if column.null_count:
            row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise TextError(f"row {row} is null: a document needs a text (an empty one is allowed); drop the row or fill it")
        if len(column) == 0:
            return Texts(np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64))
        if not checked:
            _check_utf8(column)
        _, offset_buffer, data = column.buffers()
        offsets = np.frombuffer(offset_buffer, width)[column.offset : column.offset + len(column) + 1].astype(np.int64)
        utf8 = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
        return Texts(utf8, offsets[:-1], offsets[1:])

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int | np.integer[Any]) -> str:
        return str(self.utf8[self.starts[row] : self.ends[row]].tobytes(), "utf-8")

    def to_arrow(self) -> pa.Array:
        """A ``large_string`` column with its own copy of the bytes."""
        offsets = self._packed_offsets()
        utf8 = np.empty(offsets[-1], np.uint8)
        gather_bytes(self.utf8, self.starts, self.ends, offsets, utf8)
        return pa.LargeStringArray.from_buffers(len(self), pa.py_buffer(offsets), pa.py_buffer(utf8))

    def _packed_offsets(self) -> cut.Rows:
        """Where each text begins, and the last ends, if they follow each other: ``int64[N + 1]``."""
        offsets = np.zeros(len(self) + 1, np.int64)
        np.cumsum(self.byte_counts, out=offsets[1:])
        return offsets

    @cached_property
    def byte_counts(self) -> cut.Rows:
        """Bytes of each text: ``int64[N]``."""
        return np.asarray(self.ends - self.starts)

    @cached_property
    def bytes(self) -> int:
        """Bytes of all texts."""
        return int(self.byte_counts.sum())

    def remember(self, key: Any, make: Callable[["Texts"], Any]) -> Any:
        """The result of ``make`` on these texts, an array of N rows or a `Texts` of pieces; computed once.

        If it was already computed for the texts that these were taken from, its rows are sliced instead, on first access.
        """
        if key not in self.memo:
            self.memo[key] = self._inherited(key) if self._inherits(key) else make(self)
        return self.memo[key]

    def _inherits(self, key: Any) -> bool:
        texts = self
        while texts.origin is not None:
            texts = texts.origin[0]
            if key in texts.memo:
                return True
        return False

    def _inherited(self, key: Any) -> Any:
        assert self.origin is not None
        parent, rows = self.origin
        value = parent.memo[key] if key in parent.memo else parent._inherited(key)
        if not isinstance(value, Texts):
            return value[rows]
        pieces, parents = piece_rows(value.parents, _frozen(rows, np.int64))
        cutters = None if value.cutters is None else value.cutters[pieces]
        return Texts(value.utf8, value.starts[pieces], value.ends[pieces], parents, cutters=cutters)

    def take(self, rows: npt.NDArray[np.int64]) -> "Texts":
        """The texts of these rows, in this order, with their memoised values."""
        cutters = None if self.cutters is None else self.cutters[rows]
        return Texts(self.utf8, self.starts[rows], self.ends[rows], room=self.room, origin=(self, rows), cutters=cutters)

    @property
    def whole(self) -> "Texts":
        """Each text as its own only piece."""
        return Texts(self.utf8, self.starts, self.ends, np.arange(len(self) + 1), cutters=self.cutters)

    def cut_by(self, cutters: Cutters | None) -> "Texts":
        """The same texts with their words cut in other ways; memoised values are forgotten, as they may be of words.

        >>> from goldwash.filters.segmentation import CUTTERS
        >>> thai = Texts.of(["ภาษาไทย", "one two"]).cut_by(np.array([CUTTERS.index("uax29"), 0], np.uint8))
        >>> np.diff(thai.words.parents).tolist()
        [7, 2]
        """
        if cutters is not None and not cutters.any():
            cutters = None
        return Texts(self.utf8, self.starts, self.ends, self.parents, room=self.room, cutters=cutters)

    def replace(self, rows: npt.NDArray[np.int64], texts: "Texts") -> "Texts":
        """These texts with other texts at some rows; memoised values are forgotten.

        The new bytes go to the buffer's unused end. If there is none, the rows are copied once into a larger buffer, so that
        a series of edits copies each text once and then only what changes.
        """
        if len(rows) == 0:
            return self
        new = len(texts.utf8)
        utf8, starts, ends, room = self.utf8, self.starts.copy(), self.ends.copy(), self.room
        if room is None or room[0] + new > len(utf8):
            offsets = self._packed_offsets()
            utf8 = buffer(2 * self.bytes + 2 * new)
            gather_bytes(self.utf8, self.starts, self.ends, offsets, utf8)
            starts, ends, room = offsets[:-1].copy(), offsets[1:].copy(), [self.bytes]
        at, room[0] = room[0], room[0] + new
        writable(utf8)[at : at + new] = texts.utf8
        starts[rows], ends[rows] = texts.starts + at, texts.ends + at
        return Texts(utf8, starts, ends, room=room, cutters=self.cutters)

    def _pieces(self, key: str, kernel_: Callable[..., cut.Cut], *arguments: Any) -> "Texts":
        def make(texts: "Texts") -> "Texts":
            starts, ends, parents = kernel_(texts.utf8, texts.starts, texts.ends, *arguments)
            cutters = None if texts.cutters is None else np.repeat(texts.cutters, np.diff(parents))
            return Texts(texts.utf8, starts, ends, parents, cutters=cutters)

        pieces = self.remember(key, make)
        assert isinstance(pieces, Texts)
        return pieces

    @property
    def lines(self) -> "Texts":
        """Rows between newlines, including empty ones: ``text.split("\\n")``."""
        return self._pieces("lines", cut.lines)

    @property
    def stripped_lines(self) -> "Texts":
        """Lines stripped of white space, without empty ones."""
        return self._pieces("stripped_lines", cut.stripped_segments, characters.classes(), 1)

    @property
    def paragraphs(self) -> "Texts":
        """Pieces between blank lines (two newlines), stripped, without empty ones."""
        return self._pieces("paragraphs", cut.stripped_segments, characters.classes(), 2)

    @property
    def words(self) -> "Texts":
        """White-space words, as ``str.split()`` cuts them; of texts with another cutter, its words."""
        if self.cutters is None:
            return self._pieces("words", cut.whitespace_words, characters.classes())
        pieces = self.remember("words", _mixed_words)
        assert isinstance(pieces, Texts)
        return pieces

    @property
    def uax29_words(self) -> "Texts":
        """UAX 29 words that begin with a letter or digit."""
        return self._pieces("uax29_words", uax29_pieces, characters.classes(), characters.word_breaks(), True)

    @property
    def uax29_tokens(self) -> "Texts":
        """UAX 29 words and punctuation: every piece except white space."""
        return self._pieces("uax29_tokens", uax29_pieces, characters.classes(), characters.word_breaks(), False)


def _mixed_words(texts: Texts) -> Texts:
    """The words of texts with different cutters: those of each cutter's texts, put in order."""
    assert texts.cutters is not None
    owners, starts, ends = [], [], []
    for cutter in np.unique(texts.cutters):
        rows = np.flatnonzero(texts.cutters == cutter)
        part = Texts(texts.utf8, texts.starts[rows], texts.ends[rows])
        pieces = part.words if cutter == SPACES else part.uax29_words if cutter == UAX29 else _icu_pieces(part)
        owners.append(np.repeat(rows, np.diff(pieces.parents)))
        starts.append(pieces.starts)
        ends.append(pieces.ends)
    owner = np.concatenate([np.zeros(0, np.int64), *owners])
    order = np.argsort(owner, kind="stable")
    parents = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(texts)))])
    first, last = (np.concatenate([np.zeros(0, np.int64), *part])[order] for part in (starts, ends))
    return Texts(texts.utf8, first, last, parents)


def _icu_pieces(texts: Texts) -> Texts:
    return Texts(texts.utf8, *icu_words(texts.utf8, texts.starts, texts.ends))


def _encoded(strings: Sequence[str]) -> pa.Array:
    try:
        return pa.array(strings, pa.large_string())
    except (UnicodeEncodeError, pa.ArrowException) as error:
        for row, string in enumerate(strings):
            try:
                string.encode()
            except UnicodeEncodeError as cause:
                raise TextError(f"row {row} cannot be UTF-8 ({cause.reason}): replace lone surrogates first") from cause
            except AttributeError as cause:
                raise TextError(f"row {row} is {string!r}, not a string") from cause
        raise TextError(f"expected strings: {error}") from error


def _check_utf8(column: pa.Array) -> None:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise TextError(f"invalid UTF-8 ({error}): decode the text again with errors='replace'") from error


@inline
def copied(utf8: cut.Bytes, start: int, end: int, out: cut.Bytes, at: int) -> Any:
    """Copy bytes to ``out[at:]``; returns the index after the last byte written.

    Indices are unsigned: for signed ones numba checks each time whether they are negative, which prevents vector copies.
    """
    source, target = np.uint64(start), np.uint64(at)
    for k in range(np.uint64(max(end - start, 0))):
        out[target + k] = utf8[source + k]
    return at + max(end - start, 0)


@kernel
def gather_bytes(utf8: cut.Bytes, starts: cut.Rows, ends: cut.Rows, offsets: cut.Rows, out: cut.Bytes) -> Any:
    """Copy each row's bytes to ``out``, from its offset on."""
    for row in range(len(starts)):
        copied(utf8, starts[row], ends[row], out, offsets[row])


@kernel
def piece_rows(parents: cut.Rows, rows: cut.Rows) -> Any:
    """The rows of some parents' pieces, and the new ``parents`` array of these parents."""
    new_parents = np.zeros(len(rows) + 1, np.int64)
    for i in range(len(rows)):
        new_parents[i + 1] = new_parents[i] + parents[rows[i] + 1] - parents[rows[i]]
    pieces = np.empty(new_parents[len(rows)], np.int64)
    for i in range(len(rows)):
        n = new_parents[i]
        for piece in range(parents[rows[i]], parents[rows[i] + 1]):
            pieces[n] = piece
            n += 1
    return pieces, new_parents
