"""Tokens for nanoGPT: ``.bin`` with the ids as ``uint16``, nothing else.

Invariants: ``cat train_*.bin > train.bin`` is what nanoGPT's ``data/*/prepare.py`` writes; its ``get_batch`` maps that one file
and takes windows from anywhere in it.

Source: karpathy/nanoGPT, ``data/openwebtext/prepare.py`` and ``train.py``. It has no loss mask.
"""

from goldwash.pipeline.tokenization.shards import Opener, PackedShard, TokenFormat


def write_shard(shard: PackedShard, open_: Opener, _masked: bool) -> None:
    """Write ``train_NNNNN.bin``."""
    open_(f"train_{shard.name}.bin").write(shard.ids)


FORMAT = TokenFormat("nanogpt", write_shard, largest_vocabulary=1 << 16)
