"""Documents in the schema of DCLM's releases: JSON lines, zstd or gzip.

Law: a shard in, a file out, in the shard's order; what DCLM calls a thing is what it is called here, and what is not known is
left out. Fields (the card of mlfoundations/dclm-baseline-1.0): ``text``, ``url``, ``metadata`` (the record's WARC headers),
``warcinfo``, ``language_id_whole_page_fasttext``, and the classifier's score under DCLM's name. The headers are whole where
``extract`` had ``keep_headers: true``; else they are those that every document carries.
"""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import zstandard

from goldwash.pipeline.storage.atomic import atomic_write
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.parquet import read_batches

Packing = Literal["zst", "gz"]
SCORE = "fasttext_openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train_prob"
"""What DCLM-Baseline calls its classifier's score."""


def export_dclm(names: Sequence[str], out: str, packing: Packing = "zst") -> list[str]:
    """Write each shard as ``NAME_processed.jsonl.zst`` (or ``.gz``) below ``out``; the files' locations.

    Raises `DataError` where a name means no shard. Equal shards give equal bytes.
    """
    written = []
    for number, shard in enumerate(find_shards(names)):
        target = join(out, f"shard_{number:08d}_processed.jsonl.{packing}")
        with atomic_write(target) as half, Path(half).open("wb") as file, _packed(file, packing) as lines:
            for row in _rows(shard.path):
                lines.write(json.dumps(dclm_record(row), ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        written.append(target)
    return written


def _packed(file: Any, packing: Packing) -> Any:
    if packing == "gz":
        return gzip.GzipFile("", "wb", mtime=0, fileobj=file)
    return zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False)


def _rows(location: str) -> Iterator[dict[str, Any]]:
    for table in read_batches(location):
        yield from table.to_pylist()


def dclm_record(row: Mapping[str, Any]) -> dict[str, Any]:
    """A document of ours as DCLM has it.

    >>> dclm_record({"id": "urn:uuid:1", "url": "http://a.example/", "date": "2024-05-18T00:00:00Z", "text": "gold"})["metadata"]
    {'WARC-Type': 'response', 'WARC-Record-ID': '<urn:uuid:1>', 'WARC-Target-URI': 'http://a.example/', 'WARC-Date': '2024-05-18T00:00:00Z'}
    """  # noqa: E501
    known = {
        "WARC-Type": "response",
        "WARC-Record-ID": f"<{row['id']}>",
        "WARC-Target-URI": row["url"],
        "WARC-Date": row.get("date") or "",
    }
    record: dict[str, Any] = {
        "text": row["text"],
        "url": row["url"],
        "metadata": json.loads(row.get("warc_headers") or "null") or known,
        "warcinfo": row.get("warcinfo") or "",
    }
    if row.get("language"):
        record["language_id_whole_page_fasttext"] = {row["language"]: row.get("language_probability")}
    if row.get("quality_probability") is not None:
        record[SCORE] = row["quality_probability"]
    return record
