"""The bucket, the weight and the copies of each document, from columns of its table.

Invariants: nothing is guessed. A column that is missing, null, or of a type that has no buckets is a `DataError` that names the
file, the column and the cure. A bucket's name is the names of its parts, in the order of the splits, joined by ``/``.

Scores are compared as float32: a float64 or a whole number is rounded to the nearest one first, which keeps the order.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.filters.texts import Texts
from goldwash.pipeline.mixing.sources import Rehydrate, Source, Split
from goldwash.pipeline.storage.failures import DataError
from goldwash.text_output import printable

Numbers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint32]
Parts = tuple[str, ...]
"""The parts of a group's name: a name for each split that is not by quantiles."""

TOKEN_COLUMN = "token_count"
MOST_BUCKETS = 10_000
"""Buckets that a source may have: a column with more values is not a topic."""


def needed_columns(source: Source, unit: str) -> list[str]:
    """The columns by which a source is planned, besides the text."""
    names = [split.column for split in source.split]
    names += [source.rehydrate.column] if source.rehydrate else []
    return list(dict.fromkeys([*names, *([TOKEN_COLUMN] if unit == "tokens" else [])]))


def check_columns(source: Source, unit: str, bytes_per_token: float | None, names: Sequence[str], location: str) -> None:
    """Refuse a file that lacks a column by which its source is planned."""
    place = f"{printable(location)} (source {source.name})"
    for name in needed_columns(source, ""):
        if name not in names:
            some = ", ".join(map(printable, sorted(names)[:12]))
            raise DataError(f"{place} has no column {printable(name)!r} to divide or repeat its documents by; it has {some}")
    if unit == "tokens" and TOKEN_COLUMN not in names and bytes_per_token is None:
        raise DataError(
            f"{place} has no column {TOKEN_COLUMN!r}, and the weights are in tokens: tokenize it first, or give "
            "bytes_per_token (English text has about 4.5), or weigh by bytes"
        )


def weights_of(table: pa.Table, unit: str, bytes_per_token: float | None, location: str) -> Numbers:
    """The weight of each document: ``int64[N]``, in tokens, bytes or documents."""
    if unit == "documents":
        return np.ones(table.num_rows, np.int64)
    if unit == "tokens" and TOKEN_COLUMN in table.column_names:
        return _whole(table, TOKEN_COLUMN, 0, location, "a number of tokens")
    size = np.asarray(pc.fill_null(pc.binary_length(table["text"]), 0), np.int64)
    if unit == "bytes":
        return size
    assert bytes_per_token is not None
    return np.asarray(np.floor(size / bytes_per_token + 0.5), np.int64)


def times_of(table: pa.Table, rehydrate: Rehydrate | None, location: str) -> Numbers:
    """How often the crawl had each document, at most `Rehydrate.most`: ``int64[N]``; ones without rehydration."""
    if rehydrate is None:
        return np.ones(table.num_rows, np.int64)
    return np.minimum(_whole(table, rehydrate.column, 1, location, "a number of copies"), rehydrate.most)


def _whole(table: pa.Table, name: str, least: int, location: str, what: str) -> Numbers:
    column = table[name]
    lowest = pc.min(column).as_py() if pa.types.is_integer(column.type) and len(column) > column.null_count else least
    if not (pa.types.is_integer(column.type) or (pa.types.is_null(column.type) and not len(column))) or column.null_count:
        nulls = f" with {column.null_count:,} nulls" if column.null_count else ""
        raise DataError(
            f"{printable(location)}, column {printable(name)}: expected {what} in each row, found {column.type}{nulls}: count "
            "again, or drop these documents"
        )
    if lowest < least:
        raise DataError(f"{printable(location)}, column {printable(name)}: expected {what}, {least} or more, found {lowest}")
    return np.asarray(column.cast(pa.int64()), np.int64)


class Groups:
    """Numbers for the groups of a file's documents, in the order of their first documents."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._splits = [split for split in source.split if not split.quantiles]
        self._known: dict[Parts, int] = {}
        self._several = len(source.split) > 1

    @property
    def names(self) -> list[Parts]:
        """The parts of each group's name, by number."""
        return list(self._known)

    def of(self, table: pa.Table, location: str) -> Numbers:
        """The group of each document: ``int64[N]``; all 0 for a source that is not split."""
        if not self._splits:
            self._known.setdefault((), 0)
            return np.zeros(table.num_rows, np.int64)
        coded = [_coded(table, split, location) for split in self._splits]
        rows = np.stack([codes for codes, _ in coded], axis=1)
        found, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        numbers = np.empty(len(found), np.int64)
        for n in np.argsort(first):
            parts = tuple(self._part(names[code]) for code, (_, names) in zip(found[n].tolist(), coded, strict=True))
            numbers[n] = self._known.setdefault(parts, len(self._known))
        if len(self._known) > MOST_BUCKETS:
            columns = ", ".join(printable(split.column) for split in self._splits)
            raise DataError(
                f"{printable(location)} (source {self._source.name}): {columns} divide it into more than {MOST_BUCKETS:,} "
                "buckets: expected columns of few values, such as a topic or a language; cut scores by quantiles"
            )
        return numbers[inverse.reshape(-1)]

    def _part(self, value: str) -> str:
        """A value as a part of a name: the character that joins parts is escaped."""
        return value.replace("%", "%25").replace("/", "%2F") if self._several else value


def _coded(table: pa.Table, split: Split, location: str) -> tuple[Numbers, list[str]]:
    """The values of a column as numbers, and the name of each number."""
    if split.hosts:
        return _by_host(table, split)
    column = table[split.column]
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    place = f"{printable(location)}, column {printable(split.column)}"
    if column.null_count:
        if split.missing is None:
            raise DataError(
                f"{place}: {column.null_count:,} of {len(column):,} rows are null and belong to no bucket: name one by "
                f"{{column: {printable(split.column)}, missing: NAME}}, or drop them first"
            )
        column = column.cast(kind) if pa.types.is_dictionary(column.type) else column
    text = any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean, pa.types.is_integer))
    if not text and not pa.types.is_null(kind):
        cure = f"; cut scores by {{column: {printable(split.column)}, quantiles: 20}}" if pa.types.is_floating(kind) else ""
        raise DataError(f"{place}: expected names, whole numbers or true and false as buckets, found {column.type}{cure}")
    values = (
        column.cast(kind).cast(pa.string())
        if not pa.types.is_null(kind)
        else pa.chunked_array([pa.nulls(len(column), pa.string())])
    )
    if split.missing is not None:
        values = pc.fill_null(values, split.missing)
    encoded = values.combine_chunks().dictionary_encode() if len(values) else pa.array([], pa.string()).dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.concat_arrays(encoded.chunks)
    return np.asarray(encoded.indices, np.int64), encoded.dictionary.to_pylist()


def _by_host(table: pa.Table, split: Split) -> tuple[Numbers, list[str]]:
    from goldwash.filters.url import url_host_count

    urls = Texts.of(pc.fill_null(table[split.column].cast(pa.large_string()), ""))
    codes = np.full(table.num_rows, len(split.hosts), np.int64)
    for n in range(len(split.hosts) - 1, -1, -1):
        codes[np.asarray(url_host_count.bind(hosts=split.hosts[n][1]).measure(urls)) > 0] = n
    assert split.missing is not None
    names = [name for name, _ in split.hosts] + [split.missing]
    return codes, names


def compile_hosts() -> None:
    """Compile the kernels of lists of hosts, on a short text."""
    from goldwash.filters.url import url_host_count

    url_host_count.bind(hosts=("a.example",)).measure(Texts.of(["http://a.example/"]))


def keys_of(table: pa.Table, split: Split, location: str) -> Keys:
    """The scores as whole numbers in the same order: ``uint32[N]``; those of the nearest float32."""
    column = table[split.column]
    place = f"{printable(location)}, column {printable(split.column)}"
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)) and (len(column) > column.null_count):
        raise DataError(f"{place}: expected numbers, to cut them into {split.quantiles} quantiles, found {column.type}")
    unknown = column.null_count
    values = np.asarray(pc.fill_null(column, 0).to_numpy() if len(column) > unknown else np.zeros(len(column)), np.float64)
    unknown += int(np.isnan(values).sum())
    if unknown:
        raise DataError(
            f"{place}: {unknown:,} of {len(column):,} rows are null or nan and have no quantile: score these documents, or "
            "drop them first"
        )
    with np.errstate(over="ignore"):
        bits = (values.astype(np.float32) + np.float32(0)).view(np.uint32)  # -0.0 and 0.0 are one value
    top = np.uint32(1 << 31)
    return np.where(bits & top, ~bits, bits | top).astype(np.uint32)


def bin_of(table: Mapping[int, int], wanted: float) -> tuple[int, float]:
    """The first bin at which the sum of weights from the lowest exceeds ``wanted``, and the weight wanted within that bin.

    ``table``: the weight of each bin. The last bin where none exceeds it; (0, 0) for an empty table.

    >>> bin_of({3: 10, 7: 10}, 12.0), bin_of({3: 10, 7: 10}, 10.0)
    ((7, 2.0), (7, 0.0))
    """
    reached, last = 0, 0
    for last in sorted(table):
        if reached + table[last] > wanted:
            return last, wanted - reached
        reached += table[last]
    return last, wanted - reached + table.get(last, 0)


def last_within(table: Mapping[int, int], wanted: float) -> int:
    """The last bin up to which the sum of weights is at most ``wanted``; -1 where the first bin has more.

    >>> last_within({3: 10, 7: 10}, 12.0), last_within({3: 10}, 9.0)
    (3, -1)
    """
    reached, last = 0, -1
    for b in sorted(table):
        reached += table[b]
        if reached > wanted:
            break
        last = b
    return last


def quantile_name(number: int, count: int) -> str:
    """The name of a quantile, from 1, lowest scores first, in as many digits as ``count`` has.

    >>> quantile_name(0, 20), quantile_name(19, 20)
    ('01', '20')
    """
    return f"{number + 1:0{len(str(count))}d}"


def full_parts(source: Source, group: Parts, quantile: int | None) -> Parts:
    """The parts of a bucket's name, one per split."""
    left = iter(group)
    return tuple(quantile_name(quantile or 0, split.quantiles) if split.quantiles else next(left) for split in source.split)
