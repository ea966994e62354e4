"""The table of sites' robots.txt that ``goldwash robots`` writes, and the signal that looks a URL up in it.

Invariants: of several records of a host the last one counts, by date; of two of one date, the one that comes last. A file
counts before a redirect, and both before a server's error. A redirect means the rules of its target, over up to
`MOST_REDIRECTS` of them; one that leads to no file in the table means nothing. A host whose server failed disallows everything
(RFC 9309, section 2.3.1.4). A host that is not in the table said nothing. Hosts are in the normal form of the URL Standard,
without port.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.filters.ngrams import hashes
from goldwash.filters.signals import Values, signal
from goldwash.filters.texts import Texts
from goldwash.filters.url import url_hosts
from goldwash.pipeline.optouts.agents import AGENTS
from goldwash.pipeline.optouts.robots import disallowed
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.parquet_rows import opened
from goldwash.pipeline.storage.inputs import find_shards

SITES = pa.schema(
    [
        ("host", pa.string()), ("date", pa.string()), ("named", pa.string()), ("content_signal", pa.string()),
        ("rules", pa.large_string()), ("url", pa.string()), ("status", pa.int16()), ("target", pa.string()),
    ]
)  # fmt: skip
"""The columns of the table: a row for each robots.txt that names one of `AGENTS`, has a content signal, or has rules at all,
and for each request that failed. ``status``: the answer's; ``target``: the host to whose robots.txt it was redirected."""
OLD = tuple(name for name in SITES.names if name not in ("status", "target"))
"""The columns of tables that were made before redirects counted."""
MOST_REDIRECTS = 5
"""RFC 9309, section 2.3.1.2: at least five redirects in a row are followed; then the file counts as unavailable."""


@dataclass(frozen=True)
class Sites:
    """A table in memory: sorted hashes of hosts, and the rows that they mean."""

    keys: Any
    hosts: Texts
    rules: Texts
    denied: Any
    """Whether a content signal says ``ai-train=no``: ``bool[N]``."""
    failed: Any
    """Whether the server failed to answer: ``bool[N]``."""
    targets: tuple[str, ...]
    """The host to whose file each one was redirected; "" for the others."""

    def found(self, hosts: Texts) -> Any:
        """The row that says what each host's robots.txt says, after redirects; -1 if there is none: ``int64[N]``."""
        rows = self.rows_of(hosts)
        for n in np.flatnonzero(rows >= 0):
            hops = 0
            while rows[n] >= 0 and self.targets[rows[n]]:
                hops += 1
                rows[n] = self.rows_of(Texts.of([self.targets[rows[n]]]))[0] if hops <= MOST_REDIRECTS else -1
        return rows

    def rows_of(self, hosts: Texts) -> Any:
        """The row of each host, -1 for one that is not there: ``int64[N]``."""
        wanted = hashes(hosts.utf8, hosts.starts, hosts.ends)
        place = np.minimum(np.searchsorted(self.keys, wanted), max(0, len(self.keys) - 1))
        found = np.full(len(hosts), -1, np.int64)
        for n in np.flatnonzero(self.keys[place] == wanted) if len(self.keys) else ():
            if self.hosts[place[n]] == hosts[n]:
                found[n] = place[n]
        return found


@cache
def sites(table: str) -> Sites:
    """The table at a path: the folder that ``goldwash robots`` wrote, or Parquet files of its columns.

    Raises `DataError` where there is none, or a file cannot be read or has other columns.
    """
    parts: list[pa.Table] = []
    for source in find_shards([table]):
        with opened(source) as rows:
            if not set(OLD) <= set(rows.schema.names):
                raise DataError(
                    f"{source.path} is not a table of robots.txt: expected the columns {', '.join(OLD)}. "
                    "Make one with `goldwash robots`"
                )
            new = [name for name in ("status", "target") if name in rows.schema.names]
            parts += rows.tables(["host", "date", "content_signal", "rules", *new])
    whole = pa.concat_tables(parts, promote_options="default") if parts else SITES.empty_table()
    whole = whole if "status" in whole.column_names else whole.append_column("status", pa.nulls(len(whole), pa.int16()))
    whole = whole if "target" in whole.column_names else whole.append_column("target", pa.nulls(len(whole), pa.string()))
    status = pc.fill_null(whole["status"], 200).to_numpy()
    rank = np.where(status < 300, 2, np.where(status < 400, 1, 0))
    last = whole.append_column("n", pa.array(np.arange(whole.num_rows))).append_column("rank", pa.array(rank))
    last = last.sort_by([("host", "ascending"), ("rank", "ascending"), ("date", "ascending"), ("n", "ascending")])
    hosts = last["host"].to_pylist()
    keep = [n for n in range(len(hosts)) if n + 1 == len(hosts) or hosts[n + 1] != hosts[n]]
    last = last.take(pa.array(keep, pa.int64()))
    keys_of = Texts.of(last["host"].combine_chunks())
    keys = hashes(keys_of.utf8, keys_of.starts, keys_of.ends)
    order = np.argsort(keys)
    last = last.take(pa.array(order))
    denied = np.array(["ai-train=no" in said for said in last["content_signal"].to_pylist()], bool)
    targets = tuple(target or "" for target in last["target"].to_pylist())
    failed = np.array([rank == 0 for rank in last["rank"].to_pylist()], bool)
    return Sites(keys[order], Texts.of(last["host"]), Texts.of(last["rules"]), denied, failed, targets)


def table_digest(table: str) -> str:
    """A digest of the table's files, for fingerprints: by their content where goldwash wrote them, else by size and time."""
    return hashlib.sha256(repr([source.identity() for source in find_shards([table])]).encode()).hexdigest()[:16]


@signal(column="url")
def robots_disallowed_count(
    urls: Texts, table: str, agents: tuple[str, ...] = tuple(AGENTS), everyone: bool = False, content_signals: bool = True,
    failures: bool = True,
) -> Values:  # fmt: skip
    """How many of the agents the site's robots.txt keeps from the URL; 0 for an empty URL and an unknown host.

    ``table``: what ``goldwash robots`` wrote. ``everyone``: rules for ``*`` count for agents without a group of their own.
    ``content_signals``: a site that says ``ai-train=no`` counts as one more. ``failures``: a host whose server answered 5xx for
    its robots.txt keeps all agents from everything.
    """
    held = sites(table)
    rows = held.found(_lower(url_hosts(urls)))
    out = np.zeros(len(urls), np.int64)
    for n in np.flatnonzero(rows >= 0):
        if held.failed[rows[n]]:
            out[n] = len(agents) if failures else 0
            continue
        out[n] = disallowed(held.rules[rows[n]], urls[n], agents, everyone)
        out[n] += content_signals and held.denied[rows[n]]
    return out


def _lower(hosts: Texts) -> Texts:
    return Texts.of([host.lower() for host in hosts])
