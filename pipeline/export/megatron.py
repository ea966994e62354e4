"""Tokens for Megatron-core: ``.bin`` with the ids and ``.idx`` with where each row begins.

Invariants: each row is a sequence and a document of Megatron's: with ``sequence_length: null`` that is what
``preprocess_data.py --append-eod`` writes. Ids are ``uint16`` for vocabularies below 65,500 and ``int32`` above, as Megatron's
own writer chooses (`DType.optimal_dtype`). ``data_args.txt`` is for ``--data-args-path``: each shard's tokens as its weight,
and its name.

Source: NVIDIA/Megatron-LM, ``megatron/core/datasets/indexed_dataset.py``: header ``MMIDIDX\\0\\0``, ``uint64`` version 1,
``uint8`` code of the type, ``uint64`` sequences, ``uint64`` documents + 1, ``int32`` lengths, ``int64`` byte offsets,
``int64`` indices of documents. It has no loss mask.
"""

import struct

import numpy as np

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.tokenization.shards import Facts, Opener, PackedShard, TokenFormat
from goldwash.pipeline.tokenization.token_shards import Vocabulary

HEADER = b"MMIDIDX\x00\x00"
UINT16, INT32 = 8, 4
"""Megatron's codes of types."""
LARGEST_OF_UINT16 = 65_500
LONGEST_ROW = (1 << 31) - 1


def write_shard(shard: PackedShard, open_: Opener, _masked: bool) -> None:
    """Write ``shard_NNNNN.bin`` and ``shard_NNNNN.idx``. Raises `DataError` for a document longer than the index can say."""
    if len(shard.lengths) and int(shard.lengths.max()) > LONGEST_ROW:
        raise DataError(
            f"a document has {int(shard.lengths.max()):,} tokens, and Megatron's index holds at most {LONGEST_ROW:,}: set "
            "sequence_length, which cuts documents"
        )
    small = shard.vocabulary.size < LARGEST_OF_UINT16
    ids = shard.ids.astype(np.uint16 if small else np.int32, copy=False)
    open_(f"shard_{shard.name}.bin").write(ids)
    index, count = open_(f"shard_{shard.name}.idx"), len(shard.lengths)
    index.write(HEADER + struct.pack("<QBQQ", 1, UINT16 if small else INT32, count, count + 1))
    index.write(shard.lengths.astype(np.int32))
    index.write((np.cumsum(shard.lengths) - shard.lengths) * ids.itemsize)
    index.write(np.arange(count + 1, dtype=np.int64))


def data_args(shards: Facts, _vocabulary: Vocabulary, _masked: bool) -> dict[str, bytes]:
    """``data_args.txt``."""
    blend = [f"{facts['tokens']} shard_{n:05d}" for n, facts in enumerate(shards)]
    return {"data_args.txt": (" ".join(blend) + "\n").encode()}


FORMAT = TokenFormat("megatron", write_shard, data_args)
