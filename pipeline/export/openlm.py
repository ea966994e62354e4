"""Tokens for OpenLM, as DCLM trains: webdataset tars of sequences, and ``manifest.jsonl``.

Invariants: a sequence is a member ``SHARD_ROW.json.gz``, a JSON list of ``sequence_length + 1`` ids, gzipped. OpenLM predicts
``row[1:]`` from ``row[:-1]`` and passes over shorter rows. ``manifest.jsonl`` has a line per tar, as
``{"shard": "shard_00000000", "num_sequences": 8192}``.

Source: mlfoundations/open_lm, ``open_lm/data.py`` (``get_wds_dataset``) and ``open_lm/file_utils.py``; train with
``--data-key json.gz``. It has no loss mask of its own.
"""

import json

import orjson
from isal import igzip_lib

from goldwash.pipeline.tokenization.shards import Facts, Opener, PackedShard, TokenFormat
from goldwash.pipeline.tokenization.token_shards import Vocabulary

BLOCK = 512
MEMBERS_AT_ONCE = 256


def write_shard(shard: PackedShard, open_: Opener, _masked: bool) -> None:
    """Write ``shard_NNNNNNNN.tar``."""
    file = open_(f"shard_{shard.number:08d}.tar")
    rows = shard.ids.reshape(len(shard.lengths), -1)
    held: list[bytes] = []
    for n, row in enumerate(rows):
        data = igzip_lib.compress(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY), flag=igzip_lib.COMP_GZIP)
        held += [_header(f"{shard.number:08d}_{n:08d}.json.gz", len(data)), data, bytes(-len(data) % BLOCK)]
        if len(held) >= 3 * MEMBERS_AT_ONCE:
            file.write(b"".join(held))
            held = []
    file.write(b"".join([*held, bytes(2 * BLOCK)]))


def _header(name: str, size: int) -> bytes:
    """A member's header (POSIX.1-1988 ustar): mode 0444, no owner, no time."""
    head = b"%-100b0000444\x000000000\x000000000\x00%011o\x0000000000000\x00        0%-100bustar\x0000%-247b"
    block = (head.replace(b"%-100b", b"%b").replace(b"%-247b", b"%b")) % (
        name.encode().ljust(100, b"\0"),
        size,
        bytes(100),
        bytes(247),
    )
    checked = b"%06o\0 " % sum(block)
    return block[:148] + checked + block[156:]


def manifest(shards: Facts, _vocabulary: Vocabulary, _masked: bool) -> dict[str, bytes]:
    """``manifest.jsonl``."""
    lines = [json.dumps({"shard": f"shard_{n:08d}", "num_sequences": facts["rows"]}) for n, facts in enumerate(shards)]
    return {"manifest.jsonl": "".join(f"{line}\n" for line in lines).encode()}


FORMAT = TokenFormat("openlm", write_shard, manifest, extra=1, documents=False)
