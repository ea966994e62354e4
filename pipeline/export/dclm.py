"""Documents in the schema of DCLM's releases, as JSON lines.

Invariants: a shard in, a file out, in the shard's order; fields have DCLM's names, and a field whose value is unknown is left
out. Fields (the card of mlfoundations/dclm-baseline-1.0): ``text``, ``url``, ``metadata`` (the record's WARC headers),
``warcinfo``, ``language_id_whole_page_fasttext``, and the classifier's score under DCLM's name. The headers are complete if
``extract`` ran with ``keep_headers: true``; otherwise they are the few that every document has.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from goldwash.pipeline.export.rows import rows, write_lines
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locations import join

SCORE = "fasttext_openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train_prob"
"""DCLM-Baseline's name for its classifier's score."""


def export_dclm(names: Sequence[str], out: str, packing: str = "zst") -> list[str]:
    """Write each shard as ``shard_NNNNNNNN_processed.jsonl.zst`` (or another packing) below ``out``; the files' locations.

    Raises `DataError` where a name means no shard.
    """
    ending = "jsonl" if packing == "none" else f"jsonl.{packing}"
    written = []
    for number, shard in enumerate(find_shards(names)):
        target = join(out, f"shard_{number:08d}_processed.{ending}")
        write_lines(target, map(dclm_record, rows(shard)), packing)
        written.append(target)
    return written


def dclm_record(row: Mapping[str, Any]) -> dict[str, Any]:
    """A document in DCLM's schema.

    >>> dclm_record({"id": "urn:uuid:1", "url": "http://a.example/", "date": "2024-05-18T00:00:00Z", "text": "gold"})["metadata"]
    {'WARC-Type': 'response', 'WARC-Record-ID': '<urn:uuid:1>', 'WARC-Target-URI': 'http://a.example/', 'WARC-Date': '2024-05-18T00:00:00Z'}
    """  # noqa: E501
    known = {
        "WARC-Type": "response",
        "WARC-Record-ID": f"<{row['id']}>",
        "WARC-Target-URI": row["url"],
        "WARC-Date": str(row.get("date") or ""),
    }
    record: dict[str, Any] = {
        "text": row["text"],
        "url": row["url"],
        "metadata": json.loads(row.get("warc_headers") or "null") or known,
        "warcinfo": row.get("warcinfo") or "",
    }
    if row.get("language"):
        record["language_id_whole_page_fasttext"] = {str(row["language"]): row.get("language_probability")}
    score = row.get("quality_probability")
    if score is not None and not (isinstance(score, float) and math.isnan(score)):
        record[SCORE] = score
    return record
