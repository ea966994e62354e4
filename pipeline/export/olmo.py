"""Tokens for OLMo and OLMo-core, as dolma writes them: ``.npy`` with the ids, ``.csv.gz`` with the documents.

Invariants: ``part-NNNNN.npy`` has the ids as ``uint16`` or ``uint32`` and, in spite of its name, no NumPy header: OLMo maps it
as raw memory. ``part-NNNNN.csv.gz`` has a line per piece of a document: start and end in tokens, the document's id, its
source, and the piece's first token in the document. ``part-NNNNN.mask.npy`` (``label_mask_paths``) has a byte per token, 0
where a token does not count in the loss; it is there if there are tags.

Source: allenai/OLMo, ``olmo/data/memmap_dataset.py``; allenai/OLMo-core, ``olmo_core/data/utils.py``
(``iter_document_indices``). OLMo leaves out what is left after the last whole chunk of a file: train with chunks of
``sequence_length``.
"""

import csv
import io

from isal import igzip_lib

from goldwash.pipeline.tokenization.shards import Opener, PackedShard, TokenFormat
from goldwash.text_output import printable

COLUMNS = ("start", "end", "id", "source", "offset")


def write_shard(shard: PackedShard, open_: Opener, masked: bool) -> None:
    """Write ``part-NNNNN.npy`` and what belongs to it."""
    name = f"part-{shard.name}"
    open_(f"{name}.npy").write(shard.ids)
    if masked:
        open_(f"{name}.mask.npy").write(shard.mask())
    lines = io.StringIO()
    rows = csv.writer(lines, lineterminator="\n")
    for start, end, id_, source, offset in zip(*(shard.pieces[c].to_pylist() for c in COLUMNS), strict=True):
        rows.writerow((start, end, printable(id_ or ""), printable(source or ""), offset))
    open_(f"{name}.csv.gz").write(igzip_lib.compress(lines.getvalue().encode(), flag=igzip_lib.COMP_GZIP))


FORMAT = TokenFormat("olmo", write_shard, masks=True)
