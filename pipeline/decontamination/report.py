"""The contamination report published with a dataset: JSON for machines, Markdown for people.

Invariants:

* An item is *dirty* if at least 80% of its words were found in documents, *partly* dirty from 20%, else *clean* (Llama 2,
  2307.09288, A.6). The words found in all documents count together.
* Everything is made from the verified hits that the stage wrote; memory holds the items that were hit.
* Data in the Markdown (names, URLs, hosts, questions, texts) is escaped.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from goldwash.pipeline.decontamination.benchmarks import Item
from goldwash.pipeline.storage.atomic import write_json, write_text
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.verified import verified
from goldwash.text_output import markdown as escaped
from goldwash.text_output import markdown_code

PARTLY, DIRTY = 0.2, 0.8
DOCUMENTS_AN_ITEM, ITEMS_SHOWN, HOSTS_SHOWN, SPAN = 20, 100, 20, 400

HITS = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("url", pa.string()),
        ("item", pa.int64()),
        ("name", pa.string()),
        ("coverage", pa.float64()),
        ("words", pa.list_(pa.int64())),
        ("matched", pa.string()),
    ]
)
"""A hit: the document (row in the input shard, id, URL), the item (number, name), the share of the item's words that was found,
their ranges in the item (begin, end, begin, end ...), and the passage of the document."""


def disclosed(
    out: str,
    hits: Sequence[tuple[str, Mapping[str, Any]]],
    items: Sequence[Item],
    sizes: npt.NDArray[np.int64],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write ``decontamination.json`` and ``decontamination.md`` into a folder; returns the former.

    ``hits``: the files of hits, each with the size and digest that its marker has.
    """
    words: dict[int, npt.NDArray[np.bool_]] = {}
    documents: dict[int, list[dict[str, Any]]] = {}
    counts: Counter[int] = Counter()
    hosts: Counter[str] = Counter()
    pages = 0
    for file, written in hits:
        last = None
        with verified(file, written) as opened:
            for batch in pq.ParquetFile(opened, page_checksum_verification=True).iter_batches(1024, use_threads=False):
                for row in batch.to_pylist():
                    mask = words.setdefault(row["item"], np.zeros(int(sizes[row["item"]]), np.bool_))
                    for a, b in zip(row["words"][::2], row["words"][1::2], strict=True):
                        mask[a:b] = True
                    counts[row["item"]] += 1
                    shown = documents.setdefault(row["item"], [])
                    if len(shown) < DOCUMENTS_AN_ITEM:
                        shown.append({k: row[k] for k in ("id", "url", "coverage")} | {"matched": row["matched"][:SPAN]})
                    if row["row"] != last:
                        hosts[_host(row["url"])] += 1
                        pages += 1
                    last = row["row"]
    shares = {item: float(mask.mean()) for item, mask in words.items()}
    told = {
        "parameters": dict(facts),
        "documents_with_a_hit": pages,
        "benchmarks": _tally(items, shares, counts, lambda i: i.benchmark),
        "subjects": _tally(items, shares, counts, lambda i: f"{i.benchmark}/{i.subject}"),
        "hosts": dict(sorted(hosts.items(), key=lambda h: (-h[1], h[0]))[:HOSTS_SHOWN]),
        "items": [
            {
                "name": items[item].name,
                "status": status(shares[item]),
                "coverage": shares[item],
                "documents": counts[item],
                "question": items[item].question,
                "options": list(items[item].options),
                "in": documents[item],
            }
            for item in sorted(shares, key=lambda i: (-shares[i], i))
        ],
    }
    write_json(join(out, "decontamination.json"), told)
    write_text(join(out, "decontamination.md"), markdown(told))
    return told


def status(share: float) -> str:
    """The status of an item by the share of its words that was found: ``dirty``, ``partly`` or ``clean``."""
    return "dirty" if share >= DIRTY else "partly" if share >= PARTLY else "clean"


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "(no host)"
    except ValueError:
        return "(no host)"


def _tally(items: Sequence[Item], shares: Mapping[int, float], counts: Mapping[int, int], group: Any) -> dict[str, Any]:
    """Per benchmark or subject: how many items there are, are clean, partly dirty or dirty, or have a hit; and the hits."""
    out: dict[str, Any] = {}
    for number, item in enumerate(items):
        row = out.setdefault(group(item), {"items": 0, "clean": 0, "partly": 0, "dirty": 0, "hit": 0, "hits": 0})
        row["items"] += 1
        row[status(shares.get(number, 0.0))] += 1
        row["hit"] += number in shares
        row["hits"] += counts.get(number, 0)
    return dict(sorted(out.items()))


def _cell(text: object) -> str:
    """Data as the content of a table cell, escaped: no markup, link or further cell."""
    return escaped(" ".join(str(text).split()), SPAN)


def _value(value: Any) -> str:
    """A parameter's value, escaped: a user may have given anything."""
    values = value if isinstance(value, list | tuple) else [value]
    return ", ".join(markdown_code(v) if isinstance(v, str) else str(v) for v in values)


def markdown(told: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    parameters = told["parameters"]
    table = ["| | items | clean | partly | dirty | hit | hits |", "|---|---:|---:|---:|---:|---:|---:|"]
    for title in ("benchmarks", "subjects"):
        for name, row in told[title].items():
            if title == "benchmarks" or row["hit"]:
                figures = " | ".join(f"{row[k]:,}" for k in ("items", "clean", "partly", "dirty", "hit", "hits"))
                table.append(f"| {'**' + _cell(name) + '**' if title == 'benchmarks' else _cell(name)} | {figures} |")
    lines = [
        "# Decontamination",
        "",
        f"Of {parameters['documents']:,} documents {told['documents_with_a_hit']:,} quote one of {parameters['items']:,} "
        f"benchmark items (rule `{parameters['rule']}`, action `{parameters['action']}`). An item is dirty if at least "
        f"{DIRTY:.0%} of its words were found in documents, partly dirty from {PARTLY:.0%}, else clean (Llama 2, arXiv "
        "2307.09288, A.6).",
        "",
        "Parameters: " + ", ".join(f"{k} {_value(v)}" for k, v in parameters.items()) + ".",
        "",
        *table,
        "",
        "## Hosts",
        "",
        *([f"- {_cell(host)}: {n:,}" for host, n in told["hosts"].items()] or ["none"]),
        "",
        "## Items",
        "",
    ]
    if told["items"]:
        lines += ["| item | words found | documents | the item | a document has |", "|---|---:|---:|---|---|"]
    for item in told["items"][:ITEMS_SHOWN]:
        matched = item["in"][0]
        lines.append(
            f"| {_cell(item['name'])} ({item['status']}) | {item['coverage']:.0%} | {item['documents']:,} "
            f"| {_cell(item['question'])} | {_cell(matched['matched'])} ({markdown_code(matched['url'], SPAN)}) |"
        )
    if len(told["items"]) > ITEMS_SHOWN:
        lines += ["", f"{len(told['items']) - ITEMS_SHOWN:,} more in decontamination.json."]
    return "\n".join(lines if told["items"] else [*lines, "none was found"]) + "\n"
