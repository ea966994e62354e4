"""Tokens for llm.c: ``.bin`` with a header of 256 ``int32`` and the ids.

Invariants: the header says 20240520, version 1 and the tokens, and ids are ``uint16``; for vocabularies above 65,536 it says
20240801, version 7, and ids are ``uint32`` (Llama 3's kind). Each file ends with one more end-of-text token: the loader reads
batches of ``B * T + 1`` tokens and moves by ``B * T``, so that it would leave out the last batch of each file.

Source: karpathy/llm.c, ``dev/data/data_common.py`` and ``llmc/dataloader.h``. It has no loss mask.
"""

import numpy as np

from goldwash.pipeline.tokenization.shards import Opener, PackedShard, TokenFormat

HEADER = 256
SMALL, LARGE = (20240520, 1), (20240801, 7)
MOST_TOKENS = (1 << 31) - 1


def write_shard(shard: PackedShard, open_: Opener, _masked: bool) -> None:
    """Write ``shard_NNNNN.bin``."""
    header = np.zeros(HEADER, np.int32)
    header[:3] = (*(SMALL if shard.ids.itemsize == 2 else LARGE), len(shard.ids) + 1)
    file = open_(f"shard_{shard.name}.bin")
    file.write(header)
    file.write(shard.ids)
    file.write(np.array([shard.vocabulary.end], shard.ids.dtype))


FORMAT = TokenFormat("llmc", write_shard, largest_shard=MOST_TOKENS - 1)
