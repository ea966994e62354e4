"""The keys of documents between two passes: written by group of shards, read by band and range of keys.

Invariants: a file has a slice per band and bucket (`storage.slices`), then one per column of numbers. A *bucket* is the first
bits of a key, so a range of keys is a range of buckets: who reads it reads at most two buckets too many of each group.
"""

from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.filters.ngrams import Hashes, hashes
from goldwash.pipeline.dedup.pass_files import Spill, fixed_bytes
from goldwash.pipeline.dedup.plan import Numbers, counts_of, group_bounds, group_file, starts_of
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.shared_values import read_shared
from goldwash.pipeline.storage.slices import Slices, SliceWriter, opened_slices
from goldwash.pipeline.storage.tasks import Task, TaskOutput

BUCKET, MOST_BUCKETS = 1024, 256
"""Documents per bucket of a band, at least, and buckets, at most."""

HASHED_AT_ONCE = 8192
"""Documents whose keys are hashed together: of 14 bands and 200 documents, which a batch of 1 MB has, most of the time was
Python's (2026-11)."""

BAND_KEY_BYTES = 20
"""Bytes on disk of a key: two halves of 8, and its document's place in the group."""

LISTED = "bands.json"
"""What is known of the files, by group."""


@dataclass(frozen=True)
class BandColumns:
    """The columns of ``keys/`` that later passes read."""

    bands: tuple[str, ...]
    """Keys of a fixed size: documents that have the same one belong together."""
    numbers: tuple[str, ...]
    """float64 or int64, one per document."""


class GroupKeys:
    """The keys of a group of shards in a `Spill`, until they are written by band and bucket.

    Memory: the documents' weights and sizes, and the keys of `HASHED_AT_ONCE` of them; when it writes a band, about 40 bytes
    per document of the group.
    """

    def __init__(self, task: Task, columns: BandColumns) -> None:
        self.documents = 0
        self._task, self._spill = task, Spill(task.out)
        self._bands = columns.bands
        self._held: list[pa.Table] = []
        self._hashed = 0
        self._numbers: dict[str, list[Any]] = {name: [] for name in columns.numbers}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._spill.__exit__(kind, error, trace)

    def add(self, made: pa.Table) -> None:
        """Take the keys of the next documents."""
        for name, held in self._numbers.items():
            held.append(made[name].to_numpy())
        self.documents += made.num_rows
        self._held.append(made.select(self._bands))
        if self.documents - self._hashed >= HASHED_AT_ONCE:
            self._hash()

    def _hash(self) -> None:
        """Write the hashes of the keys that are held to the spill."""
        table = pa.concat_tables(self._held)
        for name in self._bands:
            first, second, place = key_hashes(table[name])
            self._spill.append(np.concatenate([first, second, (place + self._hashed).view(np.uint64)]))
        self._held, self._hashed = [], self.documents

    def write(self, output: TaskOutput) -> None:
        """Write a slice per band and bucket (both halves of its keys, and documents), and one per column of numbers."""
        if self._held:
            self._hash()
        buckets, bands = _buckets(self.documents), len(self._bands)
        output.attach("bands", SliceWriter(join(self._task.out, group_file("bands", self._task.index))))
        for band in range(bands):
            first, second, place = self._band(band)
            bucket = _bucket_of(first, buckets)
            order = np.argsort(bucket, kind="stable")
            for start, end in pairwise(np.searchsorted(bucket, np.arange(buckets + 1), sorter=order).tolist()):
                rows = order[start:end]
                output.write("bands", [first[rows], second[rows], place[rows]])
        for column in self._numbers.values():
            output.write("bands", column)
        output.close("bands")

    def _band(self, band: int) -> tuple[Hashes, Hashes, npt.NDArray[np.uint32]]:
        """Both halves of a band's keys, and their documents."""
        sizes, step = self._spill.sizes, len(self._bands)
        count = int(sizes[band::step].sum()) // 3
        first, second, place = np.empty(count, np.uint64), np.empty(count, np.uint64), np.empty(count, np.uint32)
        at = 0
        for n in range(band, len(sizes), step):
            some = self._spill[n].reshape(3, -1)
            end = at + some.shape[1]
            first[at:end], second[at:end], place[at:end] = some
            at = end
        return first, second, place


def _buckets(documents: int) -> int:
    """Buckets of each band of a group: a power of two, so that every range of keys is a range of buckets and their parts."""
    return 1 << min(MOST_BUCKETS.bit_length() - 1, max(0, (documents // BUCKET).bit_length() - 1))


def _bucket_of(first: Hashes, buckets: int) -> npt.NDArray[np.uint16]:
    """The bucket of each key, from its first bits: ``uint16[N]``."""
    bits = buckets.bit_length() - 1
    return (first >> np.uint64(64 - bits)).astype(np.uint16) if bits else np.zeros(len(first), np.uint16)


def key_hashes(column: pa.ChunkedArray) -> tuple[Hashes, Hashes, Numbers]:
    """128 bits of each key that is not null, as two halves, and the keys' places: ``uint64[M]`` twice, ``int64[M]``.

    A key of 128 bits is its own; a longer one is hashed forwards and backwards.
    """
    place = np.flatnonzero(np.asarray(pc.is_valid(column)))
    keys = pa.concat_arrays(column.drop_null().chunks) if column.num_chunks else pa.array([], column.type)
    size, data = keys.type.byte_width, fixed_bytes(keys)
    if size == 16:
        halves = data.view(np.uint64).reshape(-1, 2)
        return np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1]), place
    starts = np.arange(len(keys), dtype=np.int64) * size
    ends, backwards = starts + size, np.ascontiguousarray(data.reshape(-1, size)[:, ::-1]).reshape(-1)
    for read in (data, backwards, starts, ends):  # the form in which texts are hashed: the kernel is compiled once
        read.flags.writeable = False
    return np.asarray(hashes(data, starts, ends)), np.asarray(hashes(backwards, starts, ends)), place


class BandFiles:
    """The files of all groups, as `GroupKeys` wrote them."""

    def __init__(self, task: Task, columns: BandColumns) -> None:
        self._columns = columns
        self._starts = starts_of(counts_of(task))
        listed = read_shared(join(task.out, LISTED), task.extra["bands"])
        self._files = [(join(task.out, group_file("bands", group)), facts) for group, facts in enumerate(listed)]

    def range_of_keys(self, band: int, number: int, ranges: int) -> tuple[Hashes, Hashes, Numbers]:
        """One of ``ranges`` equal ranges of a band's keys: both halves, and their documents: ``uint64[M]`` twice, ``int64[M]``.

        Equal keys are in the order of their documents. The arrays grow in place: their parts and the whole are never held
        together.
        """
        width = -(-(1 << 64) // ranges)
        least, most = number * width, min((number + 1) * width, 1 << 64) - 1
        low, high = np.uint64(least), np.uint64(most)
        room = int(self._starts[-1]) // ranges + 1024
        first, second, numbers = np.empty(room, np.uint64), np.empty(room, np.uint64), np.empty(room, np.int64)
        at = 0
        for (location, facts), (start, _) in zip(self._files, group_bounds(self._starts), strict=True):
            with opened_slices(location, facts) as held:
                buckets = self._buckets_in(held)
                begin = band * buckets
                for data in held.each(begin + (least * buckets >> 64), begin + (most * buckets >> 64) + 1):
                    m = len(data) // BAND_KEY_BYTES
                    one, other = np.frombuffer(data, np.uint64, m), np.frombuffer(data, np.uint64, m, 8 * m)
                    place = np.frombuffer(data, np.uint32, m, 16 * m)
                    if ranges > 1:
                        inside = (one >= low) & (one <= high)
                        one, other, place = one[inside], other[inside], place[inside]
                    end = at + len(place)
                    if end > len(first):
                        more = end + len(first) // 8
                        first.resize(more, refcheck=False)
                        second.resize(more, refcheck=False)
                        numbers.resize(more, refcheck=False)
                    first[at:end], second[at:end], numbers[at:end] = one, other, place + start
                    at = end
        return first[:at], second[:at], numbers[:at]

    def numbers(self, group: int, name: str, dtype: type = np.float64) -> npt.NDArray[Any]:
        """A column of numbers of a group's documents."""
        location, facts = self._files[group]
        with opened_slices(location, facts) as held:
            place = held.count - len(self._columns.numbers) + self._columns.numbers.index(name)
            return np.frombuffer(held.read(place), dtype)

    def _buckets_in(self, held: Slices) -> int:
        return (held.count - len(self._columns.numbers)) // len(self._columns.bands)
