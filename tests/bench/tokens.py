"""What ``make bench`` measures of training tokens: tokenising, the shuffle, the writers; and of mixing documents.

Tokenising is measured beside the library whose ids it gives, on the same texts, with one thread each. The vocabulary is trained
on a part of the input beforehand; tiktoken gets the same tokens in its own format. The shuffle and the writers work on made-up
tokens. Mixing is measured beside reading and writing the same files with pyarrow, once and twice.
"""

import base64
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from goldwash.pipeline.export import TOKEN_FORMATS, token_format
from goldwash.pipeline.storage.binary import BinaryWriter

Work = Callable[[], object]
Measure = Callable[[], tuple[Work, int]]

VOCABULARY, TRAINED_MB, TOKENISED_MB = 16_384, 2.0, 10.0
ROW, SHARD_TOKENS = 2048, 1 << 22
BATCH = 1 << 20
"""Bytes of text that the libraries alone are given at once, as the stage does."""


@cache
def tokenizer() -> Path:
    """A vocabulary of the input."""
    from goldwash.pipeline.tokenization.training import Settings, train
    from tests.bench.measures import part

    path = Path(tempfile.mkdtemp()) / "tokenizer.json"
    path.write_text(train(part(TRAINED_MB), Settings(VOCABULARY)), "utf-8")
    return path


@cache
def ranks() -> Path:
    """The same tokens as tiktoken has them: bytes in base64, and ranks in the order of the merges."""
    import json

    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = _bytes_of_characters(sorted(ByteLevel.alphabet()))
    vocab = json.loads(tokenizer().read_text("utf-8"))["model"]["vocab"]
    words = [text for text, _ in sorted(vocab.items(), key=lambda item: int(item[1])) if not text.startswith("<|")]
    data = [bytes(alphabet[c] for c in word) for word in words]
    path = tokenizer().with_name("cl100k_base.tiktoken")
    path.write_text("".join(f"{base64.b64encode(word).decode()} {n}\n" for n, word in enumerate(data)))
    return path


def _bytes_of_characters(alphabet: list[str]) -> dict[str, int]:
    """The byte of each character of GPT-2's alphabet: printable ones stand for themselves, others from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [n for n in range(256) if n not in plain]
    found = {chr(n): n for n in plain} | {chr(256 + k): n for k, n in enumerate(others)}
    assert set(found) == set(alphabet)
    return found


def _texts() -> tuple[list[str], int]:
    from tests.bench.measures import part, size

    texts = part(TOKENISED_MB)
    return texts, size(texts)


def _batches(texts: list[str]) -> list[list[str]]:
    batches: list[list[str]] = [[]]
    held = 0
    for text in texts:
        if held > BATCH:
            batches.append([])
            held = 0
        batches[-1].append(text)
        held += len(text.encode())
    return batches


def tokenizers_alone() -> tuple[Work, int]:
    """``encode_batch_fast`` and the ids of its answers, one thread."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import tokenizers

    made = tokenizers.Tokenizer.from_file(str(tokenizer()))
    texts, size = _texts()
    batches = _batches(texts)
    made.encode_batch_fast(texts[:20])
    return lambda: [[e.ids for e in made.encode_batch_fast(b, add_special_tokens=False)] for b in batches], size


def tiktoken_alone() -> tuple[Work, int]:
    """``encode_ordinary``, text by text."""
    from goldwash.pipeline.tokenization.tokenizers import load

    made: Any = load(f"tiktoken:{ranks()}").backend
    library = made._made
    texts, size = _texts()
    library.encode_ordinary(texts[0])
    return lambda: [library.encode_ordinary(text) for text in texts], size


def fastokens_alone() -> tuple[Work, int]:
    """``encode_batch_flat``, text by text, one thread."""
    os.environ["FASTOKENS_BPE_THREADS"] = "1"
    from fastokens import Tokenizer

    made = Tokenizer.from_file(str(tokenizer()))
    texts, size = _texts()
    made.encode_batch_flat(texts[:1])
    return lambda: [made.encode_batch_flat([text], split_special_tokens=True) for text in texts], size


def tokenize(name: Callable[[], str], **settings: Any) -> Measure:
    """The whole stage on the same texts, Parquet to a format."""

    def preflight() -> tuple[Work, int]:
        from goldwash.pipeline.interface.memory import in_process
        from goldwash.pipeline.stages import STAGES
        from goldwash.pipeline.storage.inputs import find_shards

        texts, size = _texts()
        folder = Path(tempfile.mkdtemp())
        columns = {"id": [str(n) for n in range(len(texts))], "url": [f"https://a.example/{n}" for n in range(len(texts))]}
        for count, place in ((20, "warm"), (len(texts), "in")):
            (folder / place).mkdir()
            some = {key: values[:count] for key, values in columns.items()}
            pq.write_table(pa.table({**some, "text": pa.array(texts[:count], pa.large_string())}), folder / place / "0.parquet")
        made = STAGES["tokenize"].of({"tokenizer": name(), **settings})
        made(find_shards([str(folder / "warm")]), str(folder / "warm-out"), in_process())
        inputs = find_shards([str(folder / "in")])
        return lambda: made(inputs, str(folder / "out"), in_process()), size

    return preflight


def shuffle(copies: int, memory_tokens: int = 1 << 21) -> Measure:
    """Packing and shuffling token shards of ``copies`` times eight million tokens, written for nanoGPT."""

    def preflight() -> tuple[Work, int]:
        from goldwash.pipeline.interface.memory import in_process
        from goldwash.pipeline.stages import STAGES
        from goldwash.pipeline.storage.inputs import find_shards

        folder = Path(tempfile.mkdtemp())
        settings = {"formats": ["nanogpt"], "shard_tokens": 1 << 20, "memory_tokens": memory_tokens}
        stage: Any = STAGES["tokenize"].of(settings)
        tokens = sum(token_shard(stage, folder / "in" / f"{n:03d}.parquet", n) for n in range(8 * copies))
        inputs = find_shards([str(folder / "in")])
        return lambda: stage(inputs, str(folder / "out"), in_process()), 2 * tokens

    return preflight


def token_shard(stage: Any, path: Path, number: int) -> int:
    """A token shard of a million made-up tokens, in documents of a thousand."""
    from goldwash.pipeline.storage.parquet import ShardWriter
    from goldwash.pipeline.tokenization.token_shards import packed_ids, schema_for

    schema, documents, each = schema_for(stage.vocabulary), 1000, 1000
    random = np.random.default_rng(number)
    ids = random.integers(1, stage.vocabulary.size, documents * each, np.uint32)
    lengths = np.full(documents, each, np.int64)
    nothing = np.zeros(documents, np.int64)
    columns = {
        "id": [f"{number}-{n}" for n in range(documents)], "url": [""] * documents, "source": ["s"] * documents,
        "host": ["a.example"] * documents, "score": [0.5] * documents, "epoch": [0] * documents, "bytes": lengths * 4,
        "token_count": lengths, "tag_count": nothing, "tokens": packed_ids(ids, lengths, stage.vocabulary.dtype),
        "tag": packed_ids(ids[:0], nothing, stage.vocabulary.dtype),
    }  # fmt: skip
    writer = ShardWriter(str(path), schema)
    writer.write(pa.table(columns, schema=schema))
    writer.commit()
    return documents * each


HALF = 3_750_000
"""About half of the tokens of `documents`."""


@cache
def documents(copies: int = 1) -> tuple[Path, int]:
    """``copies`` shards of all texts, with ``token_count`` as a quarter of their bytes; and their bytes of text."""
    from goldwash.pipeline.storage.parquet import ShardWriter
    from tests.bench.measures import _texts as every
    from tests.bench.measures import size

    _, texts, urls = every()
    folder = Path(tempfile.mkdtemp())
    kinds = {"id": pa.string(), "url": pa.string(), "text": pa.large_string(), "token_count": pa.int64()}
    for copy in range(copies):
        made = ShardWriter(str(folder / f"{copy}.parquet"), pa.schema(kinds))
        for a in range(0, len(texts), 100):
            some = texts[a : a + 100]
            ids = [f"<urn:uuid:{copy:08x}-{a + n:024x}>" for n in range(len(some))]
            made.write(pa.table([ids, urls[a : a + 100], some, [len(t.encode()) // 4 for t in some]], pa.schema(kinds)))
        made.commit()
    return folder, copies * size(texts)


def parquet_alone(passes: int = 1) -> Measure:
    """Row group by row group, with pyarrow's own settings but for zstd; ``passes``: how often in turn."""

    def preflight() -> tuple[Work, int]:
        folder, size = documents()

        def work() -> None:
            place = folder / "0.parquet"
            for _ in range(passes):
                file = pq.ParquetFile(place)
                place = Path(tempfile.mkdtemp()) / "copy.parquet"
                with pq.ParquetWriter(place, file.schema_arrow, compression="zstd") as copy:
                    for n in range(file.num_row_groups):
                        copy.write_table(file.read_row_group(n, use_threads=False))

        work()
        return work, size

    return preflight


def mixing(name: str, in_memory: bool = True, **settings: Any) -> Measure:
    """A whole stage, `mix` of one source or `pack`, Parquet to Parquet; the shuffle in memory, or through files."""

    def preflight() -> tuple[Work, int]:
        from goldwash.pipeline.interface.memory import in_process
        from goldwash.pipeline.mixing import passes
        from goldwash.pipeline.stages import STAGES
        from goldwash.pipeline.storage.inputs import find_shards

        folder, size = documents()
        made: Any = STAGES[name].of(settings)
        inputs = find_shards([str(folder)])
        passes.WHOLE_BYTES = passes.WHOLE_BYTES if in_memory else 0
        made(inputs, tempfile.mkdtemp(), in_process())
        return lambda: made(inputs, tempfile.mkdtemp(), in_process()), size

    return preflight


def writer(name: str) -> Measure:
    """A format's writer on one shard of made-up sequences, files on disk; bytes are those of the ids."""

    def preflight() -> tuple[Work, int]:
        from goldwash.pipeline.tokenization.packing import PIECES
        from goldwash.pipeline.tokenization.shards import PackedShard
        from goldwash.pipeline.tokenization.token_shards import Vocabulary

        made = token_format(name)
        length = ROW + made.extra
        rows = SHARD_TOKENS // length
        ids = np.random.default_rng(0).integers(0, 50_000, rows * length, np.uint16)
        starts = np.arange(rows * 2, dtype=np.int64) * (length // 2)
        ends = np.concatenate([starts[1:], [len(ids)]])
        count = len(starts)
        columns = {
            "row": starts // length, "start": starts, "end": ends, "masked": [0] * count, "offset": [0] * count,
            "bytes": [4000] * count, "id": [f"<urn:uuid:{n:032x}>" for n in range(count)], "source": ["web"] * count,
            "host": ["www.example.com"] * count, "score": [0.5] * count, "epoch": [0] * count,
        }  # fmt: skip
        pieces = pa.table(columns, schema=PIECES)
        shard = PackedShard(0, ids, np.full(rows, length), pieces, Vocabulary("", "bench", 0, 50_257))
        folder = tempfile.mkdtemp()

        def work() -> None:
            files: list[BinaryWriter] = []

            def open_(file: str) -> BinaryWriter:
                files.append(BinaryWriter(f"{folder}/{file}"))
                return files[-1]

            made.write(shard, open_, False)
            for each in files:
                each.commit()

        work()
        return work, ids.nbytes

    return preflight


MEASURES: dict[str, Measure] = {
    "Tokenise: tokenizers alone (encode_batch_fast), one thread": tokenizers_alone,
    "Tokenise: the whole stage with its ids, Parquet to OpenLM's tars": tokenize(lambda: str(tokenizer())),
    "Tokenise: the same, to token shards alone": tokenize(lambda: str(tokenizer()), formats=[]),
    "Tokenise: the same, to OpenLM's tars without fastokens": tokenize(lambda: str(tokenizer()), faster=False),
    "Tokenise: fastokens alone (encode_batch_flat)": fastokens_alone,
    "Tokenise: tiktoken alone (encode_ordinary), the same tokens": tiktoken_alone,
    "Tokenise: the whole stage with its ids, Parquet to OpenLM's tars (tiktoken)": tokenize(lambda: f"tiktoken:{ranks()}"),
    "Tokenise: the same, without fastokens (tiktoken)": tokenize(lambda: f"tiktoken:{ranks()}", faster=False),
    **{f"Pack and shuffle (MB of ids): {8 * n} million tokens, tasks of 2 million, to nanoGPT": shuffle(n) for n in (1, 2, 4)},
    "Mix: reading and writing once, pyarrow alone (zstd)": parquet_alone(),
    "Mix: reading and writing twice, pyarrow alone (zstd)": parquet_alone(2),
    "Mix: pack in the crawl's order, a copy into shards of another size": mixing("pack", order="crawl", shard_bytes=8 << 20),
    "Mix: pack, shuffled in memory": mixing("pack", order="shuffled", shard_bytes=8 << 20),
    "Mix: pack, shuffled through files": mixing("pack", False, order="shuffled", shard_bytes=8 << 20),
    "Mix: mix, every document once, in memory": mixing("mix", documents="all", shard_bytes=8 << 20),
    "Mix: mix, every document once, through files": mixing("mix", False, documents="all", shard_bytes=8 << 20),
    "Mix: mix, half of the tokens, in memory": mixing("mix", tokens=HALF, shard_bytes=8 << 20),
    "Mix: mix, half of the tokens, through files": mixing("mix", False, tokens=HALF, shard_bytes=8 << 20),
    **{f"Writers (MB of ids): {name}": writer(name) for name in TOKEN_FORMATS},
}
"""Every measurement of tokens: ``table: row``."""
