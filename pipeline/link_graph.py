"""PageRank of hosts, from the links of the user's own pages.

Invariants:

- A host is a node, and the graph has an edge from one to another if any page of the one links to any page of the other, however
  often; links within a host do not count. This is Common Crawl's host graph (commoncrawl.org/web-graphs).
- Links are read from shards with a column ``links`` (``--set extract.links=true``), and from WAT files.
- PageRank is the stationary distribution of a walk that follows a link with probability `DAMPING` and else jumps to any host;
  from a host without links it jumps to any (Page and others 1998, "The PageRank citation ranking"). The ranks sum to 1.
- The result depends on the set of pages, not on their order. The written file is one of Common Crawl's form, which the scorer
  ``pagerank:FILE`` reads.
- Memory: 8 bytes per different edge of a file, and of the whole; hosts are held as strings once.
"""

import gzip
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_matrix

from goldwash.classifiers.ranks import reversed_host
from goldwash.filters.texts import Texts
from goldwash.filters.url import url_hosts
from goldwash.pipeline.html.out_links import resolved
from goldwash.pipeline.storage.atomic import atomic_write
from goldwash.pipeline.storage.batches import read_batches, schema_of
from goldwash.pipeline.storage.downloads import local_copy
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_shards, find_wats
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.warc.records import Record, records

DAMPING = 0.85
TOLERANCE, MOST_ROUNDS = 1e-12, 1000
COLUMN = "links"
WAT_LINKS = ("A@/href", "AREA@/href")
PAGES_AT_ONCE = 2000
HEADER = "#pr_pos\t#pr_val\t#host_rev\n"

Edges = npt.NDArray[np.int64]
Ranks = npt.NDArray[np.float64]
Pages = Iterator[tuple[list[str], list[list[str]]]]


@dataclass
class Graph:
    """Hosts and the links between them, gathered page by page."""

    hosts: dict[str, int] = field(default_factory=dict)
    pages: int = 0
    links: int = 0
    broken: int = 0
    """Records of WAT files that are no JSON."""
    _edges: list[Edges] = field(default_factory=list)

    def add(self, urls: list[str], links: list[list[str]]) -> None:
        """Add pages and their links."""
        self.pages += len(urls)
        self.links += sum(map(len, links))
        source = np.repeat(self._numbers(urls), [len(some) for some in links])
        target = self._numbers([link for some in links for link in some])
        known = (source >= 0) & (target >= 0) & (source != target)
        self._edges.append(np.unique(source[known] << 32 | target[known]))

    def _numbers(self, urls: list[str]) -> Edges:
        """The hosts of URLs as numbers: ``int64[N]``, -1 for a URL without a host."""
        names = [reversed_host(host) for host in url_hosts(Texts.of(urls))] if urls else []
        return np.array([self.hosts.setdefault(name, len(self.hosts)) if name else -1 for name in names], np.int64)

    def joined(self) -> None:
        """Bring the edges together, each once."""
        self._edges = [np.unique(np.concatenate([np.zeros(0, np.int64), *self._edges]))]

    def edges(self) -> tuple[list[str], Edges, Edges]:
        """The hosts in alphabetical order, and the edges as the numbers of their ends in it: ``int64[M]`` twice."""
        self.joined()
        names = sorted(self.hosts)
        place = np.empty(len(names), np.int64)
        place[[self.hosts[name] for name in names]] = np.arange(len(names))
        source, target = place[self._edges[0] >> 32], place[self._edges[0] & 0xFFFFFFFF]
        order = np.lexsort((target, source))
        return names, source[order], target[order]


def page_rank(hosts: int, source: Edges, target: Edges, damping: float = DAMPING) -> Ranks:
    """The PageRank of each host: ``float64[hosts]``, which sum to 1; none for no hosts. Edges are unique.

    Raises `DataError` if it does not settle within `MOST_ROUNDS`, which a damping near 1 causes.
    """
    if not hosts:
        return np.zeros(0)
    out = np.bincount(source, minlength=hosts)
    matrix = csr_matrix((1.0 / out[source], (target, source)), (hosts, hosts))
    ranks = np.full(hosts, 1.0 / hosts)
    for _ in range(MOST_ROUNDS):
        jumping = 1.0 - damping + damping * ranks[out == 0].sum()
        moved = damping * (matrix @ ranks) + jumping / hosts
        moved /= moved.sum()
        change = float(np.abs(moved - ranks).sum())
        ranks = moved
        if change < TOLERANCE:
            return np.asarray(ranks)
    raise DataError(f"PageRank does not settle in {MOST_ROUNDS} rounds with a damping of {damping}: give a lower --damping")


def graph_of(names: Sequence[str], notify: Callable[[str], None] = lambda _: None) -> Graph:
    """The graph of shards with a column of links, and of WAT files, as the user names them."""
    graph = Graph()
    for name in names:
        wats = find_wats([name])
        for source in wats or find_shards([name]):
            for urls, links in _wat_pages(source, graph) if wats else _shard_pages(source):
                graph.add(urls, links)
            graph.joined()
            notify(f"{source.label}: {graph.pages:,} pages, {graph.links:,} links, {len(graph.hosts):,} hosts so far")
    if not graph.links:
        raise DataError(
            f"{', '.join(names)}: {graph.pages:,} pages and no link. Extract with --set extract.links=true, or name WAT files"
        )
    return graph


def _shard_pages(source: Input) -> Pages:
    schema = schema_of(source)
    kind = schema.field(COLUMN).type if COLUMN in schema.names else None
    if kind is None or not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not _is_text(kind.value_type):
        found = f"holds {kind}" if kind is not None else f"is missing (there are: {', '.join(schema.names)})"
        raise DataError(f"{source.path}: expected a column {COLUMN} of lists of URLs, and it {found}: use extract.links=true")
    for table in read_batches(source):
        lists = table[COLUMN].to_pylist()
        yield table["url"].to_pylist(), [[link for link in some or () if link] for some in lists]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _wat_pages(source: Input, graph: Graph) -> Pages:
    """The pages of a WAT file: its metadata records about responses."""
    urls, links = list[str](), list[list[str]]()
    with local_copy(source.path) as path, open(path, "rb") as stream:
        for found in records(stream, os.path.getsize(path)):
            if not isinstance(found, Record):
                raise DataError(f"{source.path} is broken at byte {found.offset:,} ({found.reason}): fetch it again")
            if found.kind != "metadata":
                continue
            try:
                page = wat_links(json.loads(found.block))
            except (ValueError, TypeError, AttributeError):
                graph.broken += 1
                continue
            if page is not None:
                urls.append(page[0])
                links.append(page[1])
            if len(urls) >= PAGES_AT_ONCE:
                yield urls, links
                urls, links = [], []
    yield urls, links


def wat_links(record: Any) -> tuple[str, list[str]] | None:
    """The URL and the links of a page, from the JSON of a WAT record; None for a record about anything but an HTML response."""
    envelope = record.get("Envelope", {})
    html = envelope.get("Payload-Metadata", {}).get("HTTP-Response-Metadata", {}).get("HTML-Metadata")
    if html is None:
        return None
    url = str(envelope.get("WARC-Header-Metadata", {}).get("WARC-Target-URI", ""))
    found = [str(link.get("url", "")) for link in html.get("Links", []) if link.get("path") in WAT_LINKS]
    return url, resolved(found, url, str(html.get("Head", {}).get("Base", "")))


def write_ranks(hosts: Sequence[str], ranks: Ranks, out: str) -> None:
    """Write a file of ranks, the highest first; packed if its name ends in ``.gz``. Equal graphs give equal bytes."""
    order = np.lexsort((np.arange(len(hosts)), -ranks))
    with atomic_write(out) as half, Path(half).open("wb") as file:
        packed: Any = gzip.GzipFile("", "wb", 6, file, mtime=0) if out.endswith(".gz") else file
        packed.write(HEADER.encode())
        for position, n in enumerate(order.tolist(), 1):
            packed.write(_line(position, ranks[n], hosts[n]))
        if packed is not file:
            packed.close()


def _line(position: int, rank: float, host: str) -> bytes:
    return f"{position}\t{float(rank):.12g}\t{host}\n".encode("utf-8", "backslashreplace")
