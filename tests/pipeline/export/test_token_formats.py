"""Every format of tokens, read back by its stack's own reader (`tests.support.token_readers`)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tokenizers

from goldwash.pipeline.export import TOKEN_FORMATS, token_format
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.tokenization.packing import PIECES
from goldwash.pipeline.tokenization.shards import PackedShard
from goldwash.pipeline.tokenization.token_shards import Vocabulary
from goldwash.pipeline.tokenization.tokenizers import MODELS
from tests.pipeline.conftest import here, shard
from tests.support.token_readers import READERS, read_all

LENGTH, TAG, END = 48, "URL: {host}\n\n", 0
TEXTS = [f"Document {n}: gold lies in the gravel of the bend, and nobody counts it. " * (n * n % 11) for n in range(90)]
TEXTS[12] *= 40  # longer than a shard
KINDS = ("sequences", "tagged", "documents", "large")
"""Sequences of one length; with tags and masks; whole documents; ids of 32 bits."""


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """The built-in tokenizer, with a special token far above 65,536."""
    made = json.loads((MODELS / "goldwash.json").read_text("utf-8"))
    for token in made["model"]["vocab"]:
        made["model"]["vocab"][token] += 100_000 if token != "<|endoftext|>" else 0
    path = tmp_path_factory.mktemp("large") / "tokenizer.json"
    path.write_text(json.dumps(made), "utf-8")
    return path


def config_of(kind: str, large: Path) -> dict[str, Any]:
    config: dict[str, Any] = {"sequence_length": LENGTH, "seed": None, "shard_tokens": 512, "memory_tokens": 1024}
    if kind == "tagged":
        config |= {"tag": TAG, "cooldown": 0.0}
    if kind == "documents":
        config |= {"sequence_length": None}
    if kind == "large":
        config |= {"tokenizer": str(large)}
    return config


def possible(name: str, kind: str) -> bool:
    made = token_format(name)
    return (kind != "documents" or made.documents) and (kind != "large" or made.largest_vocabulary > 1 << 16)


CASES = [(name, kind) for name in TOKEN_FORMATS for kind in KINDS if possible(name, kind)]


@pytest.fixture(scope="module")
def answers(tmp_path_factory, large) -> dict[tuple[str, str], dict[str, Any]]:
    """What each reader reads of each kind of tokens, in one process."""
    folder = tmp_path_factory.mktemp("formats")
    for n in range(3):
        shard(folder / "in" / f"{n}.parquet", TEXTS[n * 30 : n * 30 + 30])
    inputs = find_shards([str(folder / "in")])
    jobs = []
    for name, kind in CASES:
        stage = STAGES["tokenize"].of({**config_of(kind, large), "formats": [name]})
        out = folder / f"{name}-{kind}"
        stage(inputs, str(out), here)
        jobs.append(
            {
                "format": name, "folder": str(out / name), "length": stage.row_tokens, "end": END,
                "dtype": stage.vocabulary.dtype.name, "size": stage.vocabulary.size,
            }
        )  # fmt: skip
    return dict(zip(CASES, read_all(jobs), strict=True))


def packed(texts: Sequence[str], file: Path, length: int | None, tag: str = "") -> tuple[list[list[int]], list[list[bool]]]:
    """The rows and masks that are due, by plain Python on the library's own ids."""
    library = tokenizers.Tokenizer.from_file(str(file))
    before = library.encode(tag, add_special_tokens=False).ids if tag else []
    documents = [[*before, *library.encode(text, add_special_tokens=False).ids, END] for text in texts]
    masks = [[n >= len(before) for n in range(len(d))] for d in documents]
    if length is None:
        return documents, masks
    stream, mask = [t for d in documents for t in d], [m for d in masks for m in d]
    missing = -len(stream) % length
    stream, mask = stream + [END] * missing, mask + [False] * missing
    every = range(0, len(stream), length)
    return [stream[n : n + length] for n in every], [mask[n : n + length] for n in every]


def test_every_format_has_a_reader():
    assert set(READERS) == set(TOKEN_FORMATS)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_stack_reads_what_was_tokenised(name, kind, answers, large):
    answer = answers[name, kind]
    if "missing" in answer:
        pytest.skip(answer["missing"])
    made = token_format(name)
    file = large if kind == "large" else MODELS / "goldwash.json"
    tag = TAG.format(host="a.example") if kind == "tagged" else ""
    rows, masks = packed(TEXTS, file, None if kind == "documents" else LENGTH + made.extra, tag)
    assert answer["rows"] == rows
    assert answer.get("masks") == (masks if kind == "tagged" and made.masks else None)


def shard_of(tokens: int, size: int = 4096) -> PackedShard:
    """A shard of one document whose ids take no memory."""
    ids = np.broadcast_to(np.zeros(1, Vocabulary("", "t", 0, size).dtype), (tokens,))
    return PackedShard(3, ids, np.array([tokens]), PIECES.empty_table(), Vocabulary("", "t", 0, size))


def test_a_limit_that_shards_of_one_length_would_break_is_told_before_the_work():
    for name, tokens, size, message in (
        ("llmc", 1 << 31, 4096, "format llmc holds at most 2,147,483,646 tokens per file, and shard_tokens is 2,147,483,648"),
        (
            "mds",
            1 << 31,
            4096,
            "mds holds at most 4,294,967,295 bytes per file, .* of 2 bytes: give 2,147,483,647 or less",
        ),
        ("mds", 1 << 30, 1 << 17, "of 4 bytes: give 1,073,741,823 or less"),
        ("nanogpt", 100, 1 << 17, "format nanogpt holds ids below 65,536, and t has 131,072"),
    ):
        with pytest.raises(RecipeError, match=message):
            token_format(name).check(Vocabulary("", "t", 0, size), 2048, tokens)
        token_format(name).check(Vocabulary("", "t", 0, 4096), 2048, 1 << 24)


def test_a_shard_of_long_documents_that_breaks_a_limit_is_not_written():
    with pytest.raises(DataError, match=r"shard 3 has 2,147,483,647 tokens, and format llmc .* most 2,147,483,646: lower"):
        token_format("llmc").check_shard(shard_of((1 << 31) - 1))
    token_format("llmc").check_shard(shard_of(1000))
    token_format("olmo").check_shard(shard_of(1 << 33))


def test_nanotron_counts_positions_from_each_documents_beginning(answers):
    answer = answers["nanotron", "sequences"]
    if "missing" in answer:
        pytest.skip(answer["missing"])
    for row, positions in zip(answer["rows"][:-1], answer["positions"][:-1], strict=True):
        expected, at = [], 0
        for token in row:
            expected.append(at)
            at = 0 if token == END else at + 1
        assert positions == expected


def test_megatron_and_mds_choose_the_type_by_the_vocabulary(answers):
    for kind, small, other in (("sequences", "uint16", "uint16"), ("large", "int32", "int32")):
        for name, wanted in (("megatron", small), ("mds", other)):
            if "missing" not in answers[name, kind]:
                assert answers[name, kind]["dtype"] == [wanted]


def test_a_manifest_names_every_tar_and_tar_reads_them(tmp_path):
    import tarfile

    shard(tmp_path / "in" / "0.parquet", TEXTS[:20])
    stage = STAGES["tokenize"].of({"sequence_length": LENGTH, "shard_tokens": 512})
    stage(find_shards([str(tmp_path / "in")]), str(tmp_path / "out"), here)
    lines = [json.loads(line) for line in (tmp_path / "out" / "openlm" / "manifest.jsonl").read_text().splitlines()]
    tars = sorted((tmp_path / "out" / "openlm").glob("*.tar"))
    assert [line["shard"] for line in lines] == [tar.stem for tar in tars]
    for line, path in zip(lines, tars, strict=True):
        with tarfile.open(path) as tar:
            names = tar.getnames()
        assert len(names) == line["num_sequences"] == len(set(names))
        assert path.stat().st_size % 512 == 0


# --- text


def test_text_is_what_nanochat_iterates(cli, tmp_path):
    """By nanochat's ``parquets_iter_batched``: row groups of 1,024, the last file for validation."""
    texts = [f"text {n}" for n in range(2600)]
    for n in range(2):
        shard(tmp_path / "in" / f"{n}.parquet", texts[n * 1300 : n * 1300 + 1300])
    assert cli("export", tmp_path / "in", "--out", tmp_path / "out", "--format", "text")[0] == 0
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["shard_00000.parquet", "shard_00001.parquet"]
    groups = [
        held.read_row_group(n).column("text").to_pylist()
        for held in map(pq.ParquetFile, files)
        for n in range(held.num_row_groups)
    ]
    assert [len(group) for group in groups] == [1024, 1024, 552]
    assert [text for group in groups for text in group] == texts
    assert pq.read_schema(files[0]).names == ["text"]


def test_torchtitan_reads_text_by_datasets(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    shard(tmp_path / "in" / "0.parquet", ["one", "", "three"])
    assert cli("export", tmp_path / "in", "--out", tmp_path / "out", "--format", "text")[0] == 0
    held = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "out" / "*.parquet"), split="train", streaming=True, cache_dir=str(tmp_path / "c")
    )
    assert [row["text"] for row in held] == ["one", "", "three"]


def test_text_files_end_at_a_row_group(tmp_path):
    from goldwash.pipeline.export.text import export_text

    shard(tmp_path / "in" / "0.parquet", [f"{n:05d}" for n in range(5000)])
    files = export_text([str(tmp_path / "in")], str(tmp_path / "out"), "none", shard_characters=8000)
    held = [pq.ParquetFile(file) for file in files]
    assert [file.metadata.num_rows for file in held] == [2048, 2048, 904]
    assert all(file.metadata.row_group(n).num_rows == 1024 for file in held[:-1] for n in range(file.num_row_groups))
    assert np.sum([file.metadata.num_rows for file in held]) == 5000
