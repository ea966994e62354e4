"""What a stage did to each source: host, registered domain, crawl, and the column ``source``.

Invariants: counts are of documents. A source's share is compared with that of all others together. Sources of fewer than
`LEAST` documents are not listed, and raise no alarm; they count among the others. At most `MOST` documents are looked at, in
evenly spaced shards; ``documents`` says how many. The result depends on the shards alone.

An alarm is a source of which the stage took far more than of the others: it keeps at most half as large a share, or loses a
fifth and four times as large a share; and by chance this would not happen (six standard errors).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.filters.domains import registered_domain
from goldwash.pipeline.storage.locations import filesystem, join
from goldwash.pipeline.storage.source import Input
from goldwash.text_output import printable

LEAST = 50
MOST = 2_000_000
LISTED = 50
"""Sources of each kind that a report lists, the largest first."""
ALARMS = 20
KINDS = ("host", "domain", "crawl", "source")
SURE = 6.0

Counts = dict[str, tuple[int, int]]
"""Documents read and dropped, by source."""


def by_source(out: str, files: Mapping[str, Any], inputs: Sequence[Input], score: str = "") -> dict[str, Any]:
    """The entry ``sources`` of a stage's report; empty if its shards have no URLs.

    ``files``: the shards below ``out``, with their rows. ``inputs``: one per shard, in order; only then crawls and the column
    ``source`` are known, since the shards of dropped documents do not have them. ``score``: the column by which a classifier
    ranked; its spread within sources and the AUC of the source alone are added.
    """
    parts = sorted(file for file in files if "/" not in file and f"dropped/{file}" in files)
    rows = sum(int(files[f].get("rows") or 0) for part in parts for f in (part, f"dropped/{part}"))
    step = max(1, -(-rows // MOST))
    read: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    left: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    spread, documents = _Spread(), 0
    for n, part in list(enumerate(parts))[::step]:
        kept, dropped = _table(join(out, part), score), _table(join(out, f"dropped/{part}"), "value")
        if kept is None or dropped is None:
            return {}
        documents += kept.num_rows + dropped.num_rows
        for table, column, counters in ((kept, score, (read, left)), (dropped, "value", (read,))):
            hosts = hosts_of(table["url"])
            for host, count in counts_of(hosts):
                if host := host.strip("."):
                    for counter in counters:
                        counter["host"][host] += count
                        counter["domain"][registered_domain(host)] += count
            if score and column in table.column_names:
                spread.take(hosts, table[column])
        if len(inputs) == len(parts):
            _count_origins(kept, kept.num_rows + dropped.num_rows, inputs[n], read, left)
    return _facts(read, left, documents, spread if score else None) if documents else {}


def _facts(
    read: Mapping[str, Counter[str]], left: Mapping[str, Counter[str]], documents: int, spread: "_Spread | None"
) -> dict[str, Any]:
    found: dict[str, Any] = {"documents": documents}
    alarms: list[dict[str, Any]] = []
    counts = {kind: {name: (n, n - left[kind][name]) for name, n in read[kind].items()} for kind in KINDS}
    for kind in KINDS:
        found[kind] = _listed(counts[kind])
        alarms += [{"kind": kind, **alarm} for alarm in _alarms(counts[kind])]
    found["alarms"] = sorted(_once(alarms), key=lambda a: (-a["excess"], a["kind"], a["name"]))[:ALARMS]
    if spread is not None:
        found["scores"] = {"auc_of_source": auc_of_source(counts["domain"]), **spread.facts()}
    return found


def _table(location: str, score: str) -> pa.Table | None:
    """The columns of a shard that say where documents come from; None for a shard without URLs."""
    return _columns(location, ("url", "archive", "source", score))


def _columns(location: str, wanted: Sequence[str]) -> pa.Table | None:
    fs, path = filesystem(location)
    with fs.open(path, "rb") as file:
        parquet = pq.ParquetFile(file)
        names = parquet.schema_arrow.names
        if "url" not in names:
            return None
        return parquet.read([name for name in wanted if name in names], use_threads=False)


def _count_origins(
    kept: pa.Table, documents: int, source: Input, read: Mapping[str, Counter[str]], left: Mapping[str, Counter[str]]
) -> None:
    """Count crawls and the column ``source``: read from the input's columns, or from its name if it is an archive."""
    if crawl := crawl_of(source.path):
        read["crawl"][crawl] += documents
        left["crawl"][crawl] += kept.num_rows
        return
    if not source.path.endswith(".parquet") or source.groups is not None:
        return
    whole = _columns(source.path, ("archive", "source"))
    if whole is None or whole.num_rows != documents:
        return
    for table, counter in ((whole, read), (kept, left)):
        if "archive" in table.column_names:
            _count(counter["crawl"], ((crawl_of(archive), count) for archive, count in counts_of(table["archive"])))
        if "source" in table.column_names:
            _count(counter["source"], ((str(name or ""), count) for name, count in counts_of(table["source"])))


def _count(counter: Counter[str], names: Iterable[tuple[str, int]]) -> None:
    for name, count in names:
        if name:
            counter[name] += count


def counts_of(column: pa.Array | pa.ChunkedArray) -> Iterator[tuple[Any, int]]:
    """The values of a column and how often they occur, in the order of first occurrence; only strings are added up."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        yield from ((pair["values"], pair["counts"]) for pair in pc.value_counts(column).to_pylist())
    else:
        yield from ((value, 1) for value in column.to_pylist())


PLAIN_HOST = r"https?://(?P<host>[a-z0-9._-]+)(?:[/?#]|$)"
"""A URL without a port or a user, whose host needs no parser: most have one, and it is ten times as fast."""

_PLAIN_HOST = re.compile(PLAIN_HOST.replace("$", r"\Z"))


def hosts_of(urls: pa.ChunkedArray) -> pa.Array:
    """`host_of` each URL, perhaps with dots at its ends; "" for null."""
    urls = pa.concat_arrays([pa.array([], pa.string()), *urls.cast(pa.string()).chunks])
    found = pc.struct_field(pc.extract_regex(urls, f"^{PLAIN_HOST}"), "host")
    if not found.null_count:
        return found
    rest = [host_of(url or "") for url in urls.filter(pc.is_null(found)).to_pylist()]
    return pc.replace_with_mask(found, pc.is_null(found), pa.array(rest, pa.string()))


def host_of(url: str) -> str:
    """The host of a URL in lower case; "" where it has none."""
    if plain := _PLAIN_HOST.match(url):
        return plain[1].strip(".")
    try:
        return (urlsplit(url).hostname or "").strip(".")
    except ValueError:
        return ""


def crawl_of(archive: object) -> str:
    """The crawl that an archive is of, from its path; "" where the path has none, and for what is no path.

    >>> crawl_of("crawl-data/CC-MAIN-2024-10/segments/1/warc/a.warc.gz"), crawl_of("crawl-data/CC-NEWS/2024/03/a.warc.gz")
    ('CC-MAIN-2024-10', 'CC-NEWS/2024/03')
    """
    parts = archive.split("/") if isinstance(archive, str) else []
    for n, part in enumerate(parts[:-1]):
        if part == "CC-NEWS":
            return "/".join(parts[n : n + 3])
        if part.startswith(("CC-MAIN-", "CC-SUPPLEMENTAL-")):
            return part
    return ""


def _listed(counts: Counts) -> list[dict[str, Any]]:
    largest = sorted(((name, c) for name, c in counts.items() if c[0] >= LEAST), key=lambda item: (-item[1][0], item[0]))
    return [
        {"name": name, "read": read, "dropped": dropped, "share": round(dropped / read, 4)}
        for name, (read, dropped) in largest[:LISTED]
    ]


def _alarms(counts: Counts) -> Iterator[dict[str, Any]]:
    all_read, all_dropped = (sum(c[n] for c in counts.values()) for n in (0, 1))
    for name, (read, dropped) in counts.items():
        rest = all_read - read
        if read < LEAST or rest < LEAST:
            continue
        share, others = dropped / read, (all_dropped - dropped) / rest
        error = math.sqrt(max(others * (1 - others), 1 / rest) / read)
        lost = 1 - share <= (1 - others) / 2 or (share >= 0.2 and share >= 4 * others)
        if lost and share - others >= SURE * error:
            excess = round(dropped - others * read)
            yield {
                "name": name, "read": read, "dropped": dropped, "share": round(share, 4), "others": round(others, 4),
                "excess": excess,
            }  # fmt: skip


def _once(alarms: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Alarms without hosts that are all of an alarming domain."""
    domains = {(a["read"], a["dropped"]): a["name"] for a in alarms if a["kind"] == "domain"}

    def same(alarm: dict[str, Any]) -> bool:
        domain = domains.get((alarm["read"], alarm["dropped"]))
        return alarm["kind"] == "host" and domain is not None and alarm["name"].endswith(domain)

    return [alarm for alarm in alarms if not same(alarm)]


def auc_of_source(counts: Counts) -> float | None:
    """How well the source alone predicts what is kept: the AUC of its share kept, over sources of at least `LEAST` documents.

    Each document is predicted by the others of its source. 0.5: the source says nothing; 1: it says all. None if nothing was
    kept, or nothing dropped.
    """
    ranked: Counter[tuple[float, bool]] = Counter()
    for read, dropped in counts.values():
        if read < LEAST:
            continue
        kept = read - dropped
        if kept:
            ranked[((kept - 1) / (read - 1), True)] += kept
        if dropped:
            ranked[(kept / (read - 1), False)] += dropped
    goods = sum(n for (_, good), n in ranked.items() if good)
    bads = sum(n for (_, good), n in ranked.items() if not good)
    if not goods or not bads:
        return None
    below, wins = 0, 0.0
    for value in sorted({value for value, _ in ranked}):
        good, bad = ranked[(value, True)], ranked[(value, False)]
        wins += good * (below + bad / 2)
        below += bad
    return round(wins / (goods * bads), 4)


class _Spread:
    """Scores within sources: their number, sum and sum of squares by domain."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._sums = np.zeros((0, 3))

    def take(self, hosts: pa.Array, scores: pa.ChunkedArray) -> None:
        """Add the scores of documents, by the domains of their hosts, one after the other."""
        values = np.asarray(pc.fill_null(scores.cast(pa.float64(), safe=False), np.nan))
        known = ~np.isnan(values)
        coded = hosts.filter(pa.array(known)).dictionary_encode()
        domains = [registered_domain(host.strip(".")) for host in coded.dictionary.to_pylist()]
        places = np.array([self._places.setdefault(domain, len(self._places)) for domain in domains], np.int64)
        self._sums = np.vstack([self._sums, np.zeros((len(self._places) - len(self._sums), 3))])
        with np.errstate(over="ignore", invalid="ignore"):  # scores of a user's column may be infinite, or their squares
            added = np.column_stack([np.ones(known.sum()), values[known], values[known] ** 2])
            np.add.at(self._sums, places[np.asarray(coded.indices)], added)

    def facts(self) -> dict[str, Any]:
        """The mean standard deviation within sources, that over all, and the sources whose scores hardly differ."""
        sums = self._sums.tolist()
        large = [held for held in sums if held[0] >= LEAST]
        if not large:
            return {"sources": 0}
        whole = [sum(held[n] for held in sums) for n in range(3)]
        deviations = [_deviation(held) for held in large]
        return {
            "sources": len(large),
            "deviation": round(_deviation(whole), 4),
            "deviation_within_sources": round(sum(deviations) / len(deviations), 4),
            "sources_below_a_tenth": sum(d < 0.1 * _deviation(whole) for d in deviations),
        }


def _deviation(held: Sequence[float]) -> float:
    return math.sqrt(max(0.0, held[2] / held[0] - (held[1] / held[0]) ** 2))


def sentences(stage: str, sources: Mapping[str, Any]) -> list[str]:
    """Alarms for people: a line each, and one if the source alone decides what a classifier keeps."""
    lines = [
        f"{stage} took {alarm['share']:.0%} of {alarm['kind']} {printable(alarm['name'])} ({alarm['dropped']:,} of "
        f"{alarm['read']:,} documents; {alarm['others']:.0%} of the others)"
        for alarm in sources.get("alarms", ())
    ]
    auc = sources.get("scores", {}).get("auc_of_source")
    if auc is not None and auc >= 0.85:
        told = "the classifier may rank sources, not quality"
        lines.append(f"{stage}: the source alone predicts what is kept (AUC {auc:.2f}): {told}")
    return lines
