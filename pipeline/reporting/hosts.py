"""Hosts and languages of a run: which come in, which are left, and which rule takes them.

Invariants: a host is what a URL has between its scheme and its path, in lower case, without user, port and a leading ``www.``;
a URL without one counts under `NO_HOST`. Counts are of the documents in `parts.fates`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from goldwash.pipeline.reporting.parts import KEPT

NO_HOST = "(no host)"
SHOWN = 25
LOST_DOCUMENTS, LOST_SHARE = 10, 0.95
"""A host is listed as lost if it had at least so many documents and lost at least this share of them."""


@dataclass(frozen=True)
class Host:
    """A host: its documents in the first stage and in the last one, and the rule that dropped most of the others."""

    name: str
    read: int
    kept: int
    rule: str = ""
    rule_documents: int = 0

    @property
    def lost_share(self) -> float:
        """The share of its documents that was dropped."""
        return 1 - self.kept / self.read if self.read else 0.0


@dataclass(frozen=True)
class Hosts:
    """Hosts by documents in, by documents out, and those that lost nearly all; how many there are of each."""

    read: tuple[Host, ...] = ()
    kept: tuple[Host, ...] = ()
    lost: tuple[Host, ...] = ()
    count_read: int = 0
    count_kept: int = 0
    count_lost: int = 0
    documents_kept: int = 0


@dataclass(frozen=True)
class Language:
    """A language: documents that a language rule dropped, and documents kept."""

    name: str
    dropped: int
    kept: int


def host_of(urls: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The hosts of URLs: ``string[N]``.

    >>> host_of(pa.array(["https://me@WWW.a.example:80/b", "http://[::1]/x", "mailto:x", ""])).to_pylist()
    ['a.example', '[::1]', '(no host)', '(no host)']
    """
    found = pc.extract_regex(urls, r"^[A-Za-z][A-Za-z0-9+.\-]*://(?:[^/?#@]*@)?(?P<host>\[[^\]]*\]|[^/?#:]*)")
    host = pc.utf8_lower(pc.struct_field(found, "host"))
    host = pc.replace_substring_regex(host, r"^www\.", "")
    return pc.if_else(pc.equal(pc.fill_null(host, ""), ""), NO_HOST, host)


def hosts_of(fates: pa.Table) -> Hosts:
    """The hosts of documents with these fates."""
    if not fates.num_rows:
        return Hosts()
    counted = _counted(fates)
    made = [
        Host(name, kept + sum(rules.values()), kept, *(max(rules.items(), key=lambda r: (r[1], r[0])) if rules else ("", 0)))
        for name, (kept, rules) in counted.items()
    ]
    lost = [h for h in made if h.read >= LOST_DOCUMENTS and h.lost_share >= LOST_SHARE and h.name != NO_HOST]
    left = [h for h in made if h.kept]
    return Hosts(
        _top(made, lambda h: (-h.read, h.name)), _top(left, lambda h: (-h.kept, h.name)),
        _top(lost, lambda h: (-(h.read - h.kept), h.name)), len(made), len(left), len(lost),
        sum(h.kept for h in made),
    )  # fmt: skip


def _top(hosts: Sequence[Host], key: Callable[[Host], tuple[int, str]]) -> tuple[Host, ...]:
    return tuple(sorted(hosts, key=key)[:SHOWN])


def _counted(fates: pa.Table) -> dict[str, tuple[int, dict[str, int]]]:
    """By host: documents kept, and documents dropped by rule."""
    table = pa.table({"host": host_of(fates["url"]), "rule": fates["rule"], "stage": fates["stage"]})
    groups = table.group_by(["host", "rule", "stage"]).aggregate([([], "count_all")])
    found: dict[str, tuple[int, dict[str, int]]] = {}
    for row in groups.to_pylist():
        kept, rules = found.get(row["host"], (0, {}))
        if row["rule"] == KEPT and not row["stage"]:
            kept += row["count_all"]
        else:
            rules[row["rule"]] = rules.get(row["rule"], 0) + row["count_all"]
        found[row["host"]] = (kept, rules)
    return found


def languages_of(fates: pa.Table) -> tuple[Language, ...]:
    """Languages by documents, from the details of language rules and the label of kept documents; () where there is none."""
    is_rule = pc.starts_with(fates["rule"], "language")
    dropped = fates.filter(pc.and_(is_rule, pc.is_valid(fates["detail"])))["detail"]
    kept = fates.filter(pc.and_(pc.equal(fates["stage"], ""), pc.is_valid(fates["language"])))["language"]
    tables = [{str(v["values"]): int(v["counts"]) for v in pc.value_counts(c).to_pylist()} for c in (dropped, kept)]
    names = sorted({*tables[0], *tables[1]}, key=lambda n: (-(tables[0].get(n, 0) + tables[1].get(n, 0)), n))
    return tuple(Language(name, tables[0].get(name, 0), tables[1].get(name, 0)) for name in names)
