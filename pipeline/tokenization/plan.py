"""The plan of the shuffle: which documents are where in the stream, and which rows belong to which bucket of the order.

Invariants: the stream of a part of the order is, epoch by epoch, the chosen documents of each shard in order. A *stretch* is
what a shard gives to a part in an epoch. A *range* is a few neighbouring stretches, the work of one task; it owns the rows that
begin in it. The plan is one file, ``plan.json``, and tasks carry its digest alone. It has no location, so that it has equal
bytes wherever a run is; where token shards of earlier runs are, ``inputs.json`` says.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import join, read_json
from goldwash.pipeline.storage.source import Input

PLAN, SHARDS, PLACES = "plan.json", "packed.json", "inputs.json"


@dataclass(frozen=True)
class Stretch:
    """What a shard gives to a part of the order in an epoch."""

    shard: int
    epoch: int
    group: int
    documents: int
    tokens: int


@dataclass(frozen=True)
class Range:
    """Stretches ``first`` to before ``last``; ``begin``: their first token in the stream; the rows that they own."""

    group: int
    first: int
    last: int
    begin: int
    rows: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """The plan of a run; ``group_counts``: rows of each part of the order; ``padding``: tokens at the ends of the parts."""

    files: Sequence[Mapping[str, Any]]
    """For each shard, the file with its ids: plain values of an `Input`, ``path`` "" where it is an input's."""
    stretches: Sequence[Stretch]
    ranges: Sequence[Range]
    group_counts: Sequence[int]
    repeats: Mapping[str, float]
    exact: bool
    row_tokens: int | None
    shard_rows: int
    bucket_rows: int
    padding: int

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(self.group_counts)

    @property
    def buckets(self) -> int:
        """Buckets of the order, each the work of one task."""
        return -(-self.rows // self.bucket_rows)

    def group_rows(self, group: int) -> int:
        """The rows of a part of the order."""
        return self.group_counts[group]

    def group_start(self, group: int) -> int:
        """The first row of a part of the order."""
        return sum(self.group_counts[:group])

    def within(self, range_: Range) -> Sequence[Stretch]:
        """The stretches of a range."""
        return self.stretches[range_.first : range_.last]

    def ahead(self, range_: Range) -> Iterator[Stretch]:
        """The stretches of a range, and those after it in its part of the order: its last row may end there."""
        for stretch in self.stretches[range_.first :]:
            if stretch.group != range_.group:
                return
            yield stretch

    def facts(self) -> dict[str, Any]:
        """What the report says of the order."""
        tokens = sum(stretch.tokens for stretch in self.stretches)
        documents = sum(stretch.documents for stretch in self.stretches)
        return {
            "rows": self.rows,
            "row_tokens": self.row_tokens,
            "shard_rows": self.shard_rows,
            "documents_packed": documents,
            "tokens_packed": tokens,
            "padding_tokens": self.padding,
            "untagged_rows": self.group_counts[1],
            "byte_lengths": "exact" if self.exact else "in proportion",
            "repeats": dict(self.repeats),
        }

    def write(self, out: str, places: Sequence[str]) -> str:
        """Write the plan; returns the digest that tasks carry. ``places``: where the inputs are."""
        if any(not file["path"] for file in self.files):
            write_json(join(out, PLACES), list(places))
        values = asdict(self)
        write_json(join(out, PLAN), values)
        return _digest(values)

    @staticmethod
    def read(out: str, digest: str) -> "Plan":
        """The plan of a task; `DataError` where it is missing or changed."""
        values = dict(_checked(join(out, PLAN), digest))
        values["stretches"] = [Stretch(**each) for each in values["stretches"]]
        values["ranges"] = [Range(**{**each, "rows": tuple(each["rows"])}) for each in values["ranges"]]
        return Plan(**values)

    def ids_of(self, shard: int, out: str) -> Input:
        """The file with the ids of a shard."""
        file = self.files[shard]
        return Input(**{**file, "path": join(out, file["path"]) if file["path"] else read_json(join(out, PLACES))[shard]})

    def write_shards(self, out: str, markers: Iterable[Mapping[str, Any]]) -> str:
        """Write the facts of all packed shards, each with its files; returns the digest that a task carries."""
        found: list[dict[str, Any]] = []
        for marker in markers:
            files: dict[int, dict[str, Any]] = {}
            for name, facts in marker["files"].items():
                files.setdefault(_number(name), {})[name] = facts
            for shard in marker["facts"]["shards"]:
                found.append({**shard, "files": files[len(found)]})
        write_json(join(out, SHARDS), found)
        return _digest(found)

    @staticmethod
    def read_shards(out: str, digest: str) -> list[dict[str, Any]]:
        """What `write_shards` wrote."""
        return list(_checked(join(out, SHARDS), digest))


def files_with_ids(out: str) -> list[str]:
    """The files that hold the ids of a finished run over token shards, in the order of its inputs.

    Empty for a run over documents, and for one that wrote no format: their ids, if any, are in their own shards.
    """
    places = read_json(join(out, PLACES))
    if places is None:
        return []
    files = read_json(join(out, PLAN))["files"]
    found = (join(out, file["path"]) if file["path"] else place for file, place in zip(files, places, strict=True))
    return list(dict.fromkeys(found))  # a large file is an input several times, with other row groups


def _number(name: str) -> int:
    """The number of a shard in the name of one of its files."""
    return int(next(part for part in name.rpartition("/")[2].replace("-", ".").replace("_", ".").split(".") if part.isdigit()))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _checked(location: str, digest: str) -> Any:
    value = read_json(location)
    if value is None or _digest(value) != digest:
        raise DataError(f"{location} is missing or changed since this work was planned: run again")
    return value


def plan_of(
    counts: Sequence[Sequence[Sequence[int]]],
    files: Sequence[Mapping[str, Any]],
    repeats: Mapping[str, float],
    *,
    exact: bool,
    row_tokens: int | None,
    shard_tokens: int,
    memory_tokens: int,
) -> Plan:
    """The plan for shards that give ``counts``: of each, ``[epoch, group, documents, tokens]``."""
    made = [Stretch(shard, e, g, d, t) for shard, each in enumerate(counts) for e, g, d, t in each if d]
    stretches = sorted(made, key=lambda s: (s.group, s.epoch, s.shard))
    ranges: list[Range] = []
    group_counts, padding = [], 0
    for group in (0, 1):
        first = next((n for n, s in enumerate(stretches) if s.group == group), 0)
        own = [s for s in stretches if s.group == group]
        tokens = sum(s.tokens for s in own)
        group_counts.append(_rows(own, tokens, row_tokens))
        padding += group_counts[-1] * row_tokens - tokens if row_tokens else 0
        ranges += _ranges(own, group, first, row_tokens, memory_tokens)
    rows, tokens = sum(group_counts), sum(s.tokens for s in stretches)
    size = row_tokens if row_tokens else max(1, -(-tokens // max(rows, 1)))
    shard_rows = max(1, shard_tokens // size)
    bucket_rows = shard_rows * max(1, memory_tokens // (shard_rows * size))
    return Plan(files, stretches, ranges, group_counts, repeats, exact, row_tokens, shard_rows, bucket_rows, padding)


def _rows(stretches: Sequence[Stretch], tokens: int, row_tokens: int | None) -> int:
    return -(-tokens // row_tokens) if row_tokens else sum(s.documents for s in stretches)


def _ranges(
    stretches: Sequence[Stretch], group: int, first: int, row_tokens: int | None, memory_tokens: int
) -> Iterator[Range]:
    """Ranges of about ``memory_tokens`` tokens, or of one stretch that has more."""
    begin = end = row = 0
    start = 0
    for n, stretch in enumerate(stretches, 1):
        end += stretch.tokens
        if end - begin < memory_tokens and n < len(stretches):
            continue
        own = sum(s.documents for s in stretches[start:n])
        last = -(-end // row_tokens) if row_tokens else row + own
        yield Range(group, first + start, first + n, begin, (row, last))
        begin, start, row = end, n, last
