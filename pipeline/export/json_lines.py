"""Documents as JSON lines with all of their columns; goldwash reads these files itself.

Invariants: a shard in, a file out, in the shard's order; the columns' names and values stay (`export.rows` says how values are
written).
"""

from collections.abc import Sequence

from goldwash.pipeline.export.rows import rows, write_lines
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locations import join


def export_jsonl(names: Sequence[str], out: str, packing: str = "zst") -> list[str]:
    """Write each shard as ``part-NNNNN.jsonl.zst`` (or ``.jsonl.gz``, ``.jsonl``) below ``out``; the files' locations.

    Raises `DataError` where a name means no shard.
    """
    ending = "jsonl" if packing == "none" else f"jsonl.{packing}"
    written = []
    for number, shard in enumerate(find_shards(names)):
        target = join(out, f"part-{number:05d}.{ending}")
        write_lines(target, rows(shard), packing)
        written.append(target)
    return written
