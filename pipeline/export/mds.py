"""Tokens for MosaicML Streaming (LLM Foundry, Composer): ``shard.NNNNN.mds`` and ``index.json``.

Invariants: a sample is a row, with ``tokens`` (``uint16`` or ``int32``) and, if there are tags, ``loss_mask`` (``uint8``, 0
where a token does not count in the loss). Sequences of one length have a static shape. ``index.json`` has the SHA-256 of each
shard.

Source: mosaicml/streaming, ``base/format/mds/writer.py`` (layout of a shard: ``uint32`` samples, ``uint32`` offsets, the
columns as JSON, the samples) and ``encodings.py`` (``NDArray``). LLM Foundry's ``StreamingTextDataset`` reads the column
``tokens``.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.tokenization.shards import Facts, Opener, PackedShard, TokenFormat
from goldwash.pipeline.tokenization.token_shards import Vocabulary

HASH = "sha256"
MOST_BYTES = (1 << 32) - 1
"""Offsets in a shard are ``uint32``."""


def write_shard(shard: PackedShard, open_: Opener, masked: bool) -> None:
    """Write ``shard.NNNNN.mds``. Raises `DataError` for a shard whose offsets do not fit."""
    same = len(set(shard.lengths.tolist())) == 1
    length = int(shard.lengths[0]) if same else None
    columns = _columns(shard.vocabulary, length, masked)
    config = json.dumps(_config(columns), sort_keys=True).encode()
    ids = shard.ids.astype(columns["tokens"][1], copy=False)
    mask = shard.mask().astype(np.uint8) if masked else None
    sizes = shard.lengths * (ids.itemsize + (mask is not None))
    if not same:
        heads = [_heads(int(n), ids.itemsize, masked) for n in shard.lengths]
        sizes = sizes + np.array([len(a) + sum(map(len, b)) for a, b in heads], np.int64)
    begin = 4 + 4 * (len(sizes) + 1) + len(config)
    offsets = begin + np.concatenate([[0], np.cumsum(sizes)])
    if int(offsets[-1]) > MOST_BYTES:
        raise DataError(
            f"shard {shard.number} has {int(offsets[-1]):,} bytes, and format mds holds at most {MOST_BYTES:,}: lower "
            "shard_tokens, or sequence_length, which cuts documents"
        )
    file = open_(f"shard.{shard.name}.mds")
    file.write(np.array([len(sizes)], np.uint32))
    file.write(offsets.astype(np.uint32))
    file.write(config)
    if same and mask is None:
        file.write(ids)
        return
    starts = np.cumsum(shard.lengths) - shard.lengths
    for n, (a, b) in enumerate(zip(starts.tolist(), (starts + shard.lengths).tolist(), strict=True)):
        values = [*([mask[a:b].tobytes()] if mask is not None else []), ids[a:b].tobytes()]
        if same:
            file.write(b"".join(values))
        else:
            before, shapes = heads[n]
            file.write(before + b"".join(s + v for s, v in zip(shapes, values, strict=True)))


def _heads(length: int, itemsize: int, masked: bool) -> tuple[bytes, list[bytes]]:
    """What is before a sample of its own length: the sizes of its columns, and each one's number of axes and shape."""
    kind = np.uint8 if length < 1 << 8 else np.uint16 if length < 1 << 16 else np.uint32
    shape = bytes([(1 << 2) | (kind().itemsize.bit_length() - 1)]) + np.array([length], kind).tobytes()
    widths = [*([1] if masked else []), itemsize]
    return np.array([len(shape) + length * w for w in widths], np.uint32).tobytes(), [shape for _ in widths]


def _columns(vocabulary: Vocabulary, length: int | None, masked: bool) -> dict[str, tuple[str, Any, int | None]]:
    """The columns in order: their encoding, type and size in bytes, None where it varies."""
    dtype = np.dtype(np.uint16 if vocabulary.dtype.itemsize == 2 else np.int32)
    kinds = {**({"loss_mask": np.dtype(np.uint8)} if masked else {}), "tokens": dtype}
    return {
        name: (f"ndarray:{kind.name}" + (f":{length}" if length else ""), kind, length * kind.itemsize if length else None)
        for name, kind in kinds.items()
    }


def _config(columns: Mapping[str, tuple[str, Any, int | None]]) -> dict[str, Any]:
    return {
        "version": 2,
        "format": "mds",
        "compression": None,
        "hashes": [HASH],
        "size_limit": None,
        "column_names": list(columns),
        "column_encodings": [encoding for encoding, _, _ in columns.values()],
        "column_sizes": [size for _, _, size in columns.values()],
    }


def index(shards: Facts, vocabulary: Vocabulary, masked: bool) -> dict[str, bytes]:
    """``index.json``."""
    found = []
    for n, facts in enumerate(shards):
        name = f"shard.{n:05d}.mds"
        length = facts["length"]
        file = facts["files"][name]
        raw = {"basename": name, "bytes": file["bytes"], "hashes": {HASH: file["sha256"]}}
        config = _config(_columns(vocabulary, length, masked))
        found.append({"samples": facts["rows"], "raw_data": raw, "zip_data": None, **config})
    return {"index.json": json.dumps({"version": 2, "shards": found}, sort_keys=True).encode()}


FORMAT = TokenFormat("mds", write_shard, index, masks=True, largest_bytes=MOST_BYTES)
