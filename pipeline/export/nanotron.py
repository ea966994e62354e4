"""Tokens for nanotron, as datatrove writes them: ``.ds`` with the ids, ``.ds.index`` with the ends of documents.

Invariants: ids are ``uint16`` or ``uint32``, little endian, nothing between them. ``.ds.index`` has the end of each piece of a
document, counted in tokens from the file's beginning, as ``uint64``. ``.ds.loss`` has a byte per token, 0 where a token does
not count in the loss; it is there if there are tags. ``.ds.metadata`` has the tokenizer, the size of an id, and the tokens.

Source: datatrove, ``pipeline/tokens/tokenizer.py`` (``TokenizedFile``) and ``utils/dataset.py`` (``DatatroveFolderDataset``),
which reads windows of ``sequence_length + 1`` ids that do not overlap.
"""

import numpy as np

from goldwash.pipeline.tokenization.shards import Opener, PackedShard, TokenFormat
from goldwash.text_output import printable


def write_shard(shard: PackedShard, open_: Opener, masked: bool) -> None:
    """Write ``NNNNN.ds`` and what belongs to it."""
    name = f"{shard.name}.ds"
    open_(name).write(shard.ids)
    _, ends = shard.bounds()
    open_(f"{name}.index").write(ends.astype(np.uint64))
    if masked:
        open_(f"{name}.loss").write(shard.mask())
    size = shard.ids.itemsize
    facts = f"{printable(shard.vocabulary.name)}|{size}\n{len(shard.ids)}\n{_human(len(shard.ids))}\n"
    open_(f"{name}.metadata").write(facts.encode())


def _human(tokens: int) -> str:
    """A number of tokens as datatrove rounds it: 1.2 M tokens."""
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if tokens >= size:
            return f"{tokens / size:.1f} {unit} tokens"
    return f"{tokens} tokens"


FORMAT = TokenFormat("nanotron", write_shard, extra=1, masks=True)
