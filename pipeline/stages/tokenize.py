"""tokenize: turn documents into the tokens that a training run reads, packed, shuffled, and in its own format.

Invariants:

* A document is its tag, if there is one, its tokens, and the end-of-text token. None is lost: sequences run on across shards,
  and only the last one is padded.
* The order is a permutation of the sequences that the seed decides (`tokenization.permutation`), on any number of workers.
  With a tag, the documents of the last fraction (``cooldown``) have none, and their sequences come last.
* Memory does not grow with the input: a task holds about ``memory_tokens`` tokens, a few times over.
* Inputs are documents, or token shards of an earlier run of this stage. Of those only the index is written again, so that a
  further source costs the tokenising of that source alone.

============  =====================  ==================================================================================
pass          one task per           writes
============  =====================  ==================================================================================
part          shard                  ``part-*.parquet``: a row per document with its tokens (`tokenization.token_shards`)
chosen        shard                  only with a tag or weights: how many tokens of the shard each part of the order has
spread        range of the stream    ``spread/``: rows, sorted by the bucket of the order that they belong to; removed at
                                     the end
packed        bucket of the order    the shards of each format, ``FORMAT/``, and ``provenance.parquet/``
about         run                    each format's manifest or index, and ``about/``: ``tokens.json``, ``token_bytes.npy``,
                                     the tokenizer
============  =====================  ==================================================================================

Columns that are taken from documents where they have them: ``id``, ``url``, ``source``, ``host`` (else that of the URL),
``epoch``, and the score.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.texts import Texts
from goldwash.filters.url import url_hosts
from goldwash.pipeline.code import code_digest
from goldwash.pipeline.export import module_of, token_format
from goldwash.pipeline.large_texts import MAX_TEXT_BYTES, without_large
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Cost, Load, Run, Stage, Tasks, finish, markers_of, stage_of
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.binary import BinaryWriter
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats import format_of
from goldwash.pipeline.storage.locations import filesystem, join
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.states import heartbeat
from goldwash.pipeline.storage.tables import texts_of
from goldwash.pipeline.storage.tasks import Task, TaskOutput, finished_markers
from goldwash.pipeline.tokenization import provenance, tags
from goldwash.pipeline.tokenization.mixing import chosen_rows, epochs_of, repeats_for
from goldwash.pipeline.tokenization.packing import Documents, Rows, documents_of, sequences, whole
from goldwash.pipeline.tokenization.permutation import positions, uniform
from goldwash.pipeline.tokenization.plan import Plan, Stretch, plan_of
from goldwash.pipeline.tokenization.sections import SectionsWriter, sections
from goldwash.pipeline.tokenization.shards import PackedShard, TokenFormat
from goldwash.pipeline.tokenization.token_shards import (
    INDEX,
    Vocabulary,
    check_has_ids,
    check_same,
    flat,
    indexed,
    optional,
    packed_ids,
    schema_for,
    tables_of,
    vocabulary_of,
)
from goldwash.pipeline.tokenization.tokenizers import DEFAULT, Tokenizer, load

MAIN, COOLDOWN = 0, 1
"""The parts of the order: with tags, and after them without."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tokenize(Stage):
    """Turn documents into training tokens: packed, shuffled, in the format of a training stack."""

    name: ClassVar[str] = "tokenize"
    gives_documents: ClassVar[bool] = False
    tokenizer: str = DEFAULT
    """``goldwash``, a tokenizer.json (a path, https:// or hf://OWNER/REPO), tiktoken:NAME or tiktoken:FILE."""
    eot: str | int | None = None
    """The token that ends a document. Null: the vocabulary's own."""
    sequence_length: int | None = 2048
    """Tokens of the model's context. Null: rows are whole documents, for trainers that pack themselves."""
    formats: tuple[str, ...] = ("openlm",)
    """Formats to write: openlm, megatron, nanotron, mds, llmc, nanogpt, olmo. Empty: token shards alone, to mix later."""
    seed: int | None = 0
    """The seed of the order. Null: the order of the input."""
    tag: str = ""
    """What comes before each document, as "URL: {host}\\n\\n": {host}, {domain} or any column. It is left out of
    the loss where the format has a mask."""
    cooldown: float = 0.1
    """With a tag: the fraction of documents without it, whose sequences come last."""
    source: str = ""
    """The source's name, for documents without a column ``source``."""
    score: str = "quality_probability"
    """The column whose value is kept as the score of a document."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Shares of the tokens by source, as {web: 0.7, books: 0.3}. Empty: everything once."""
    tokens: int | None = None
    """With weights: tokens in total. Null: as many as there are without a repeat."""
    max_repeats: float = 4.0
    """With weights: how often a source may be repeated (Muennighoff et al., arXiv 2305.16264: up to 4 times costs little)."""
    shard_tokens: int = 1 << 24
    """Tokens per file, about."""
    memory_tokens: int = 1 << 25
    """Tokens that a task of the shuffle holds at once, about."""
    max_text_bytes: int = MAX_TEXT_BYTES
    """Drop longer texts as ``too_large``."""
    faster: bool = True
    """Encode with the package fastokens, where it is installed and gives the tokenizer's own ids, which is checked."""

    def __post_init__(self) -> None:
        for name, least in (("sequence_length", 2), ("tokens", 1), ("shard_tokens", 1), ("memory_tokens", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise RecipeError(f"stage tokenize: {name} is {value}; expected {least} or more", (name,))
        if self.seed is not None and self.seed < 0:
            raise RecipeError(f"stage tokenize: seed is {self.seed}; expected 0 or more, or null", ("seed",))
        if not 0 <= self.cooldown <= 1:
            raise RecipeError(f"stage tokenize: cooldown is {self.cooldown}; expected 0 to 1", ("cooldown",))
        if self.max_repeats < 1:
            raise RecipeError(f"stage tokenize: max_repeats is {self.max_repeats}; expected 1 or more", ("max_repeats",))
        if self.sequence_length is not None and self.shard_tokens < self.sequence_length:
            raise RecipeError(
                f"stage tokenize: shard_tokens is {self.shard_tokens}, less than a sequence of {self.sequence_length}",
                ("shard_tokens",),
            )
        if len(set(self.formats)) < len(self.formats):
            raise RecipeError(f"stage tokenize: formats are {list(self.formats)}; expected each once", ("formats",))
        extra = {made.name: made.extra for made in self.writers}
        if self.sequence_length is not None and len(set(extra.values())) > 1:
            raise RecipeError(
                f"stage tokenize: rows of {self._rows_in_words(extra)}: give each its own run, from the token shards of the "
                "first (goldwash export OUT --format NAME)",
                ("formats",),
            )
        tags.check(self.tag)
        repeats_for({}, self.weights, self.tokens, self.max_repeats, check_sources=False)

    def _rows_in_words(self, extra: Mapping[str, int]) -> str:
        length = self.sequence_length or 0
        return ", ".join(f"{name} have {length + more} tokens" for name, more in extra.items())

    @cached_property
    def writers(self) -> tuple[TokenFormat, ...]:
        """The formats, in the order of the recipe."""
        return tuple(token_format(name) for name in self.formats)

    @cached_property
    def loaded(self) -> Tokenizer:
        """The tokenizer."""
        return load(self.tokenizer, self.faster)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the ids mean."""
        return Vocabulary.of(self.loaded, self.loaded.end_of_text(self.eot), self.tag)

    @property
    def row_tokens(self) -> int | None:
        """Tokens of a row; None where rows are documents."""
        extra = self.writers[0].extra if self.writers else 0
        return None if self.sequence_length is None else self.sequence_length + extra

    def versions(self) -> dict[str, str]:
        """The tokenizer's digest and library, and the code of the formats."""
        found = {"tokenizer": self.loaded.digest, **self.loaded.versions}
        return {**found, **{f"format {name}": code_digest(module_of(name)) for name in self.formats}}

    def preflight(self) -> None:
        """Fetch the tokenizer; refuse an end-of-text token that is none, and formats that cannot hold the vocabulary."""
        for made in self.writers:
            made.check(self.vocabulary, self.sequence_length, self.shard_tokens)

    def notes(self) -> list[str]:
        """That the built-in tokenizer is small."""
        if self.tokenizer != DEFAULT:
            return []
        return [
            f"tokenize uses goldwash's built-in tokenizer of {self.vocabulary.size:,} tokens, which is for trying things out: "
            "give --set tokenizer=..., or train one with goldwash train-tokenizer"
        ]

    def warm_up(self) -> None:
        """Compile the kernel that finds hosts, and load the tokenizer."""
        url_hosts(Texts.of(["https://www.example.com/a"])).to_arrow()
        self.loaded.encode(["a"])

    def cost(self, load: Load) -> Cost:
        """Measured with a vocabulary of 32,768 (docs/tokens.md). On disk: token shards, spread rows and one format."""
        bytes_per_token = self.vocabulary.dtype.itemsize
        return Cost(2.0, 1.0, 3 * bytes_per_token * load.text_bytes / max(load.documents, 1) / 3.5, memory=self._memory())

    def _memory(self) -> int:
        """Bytes of the largest task of the shuffle: rows, their sorted copy, what a format makes of them, and pieces."""
        return 6 * self.vocabulary.dtype.itemsize * max(self.memory_tokens, self.shard_tokens) + (1 << 27)

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """The passes, in their order."""
        self.preflight()
        tasks = Tasks(self, inputs, out)
        parts = tasks.each("part")
        run(tokenize_shard, parts)
        if not self.writers:
            return finish(self, inputs, out, parts, self._facts(parts))
        plan = self._plan(tasks, parts, run)
        known = plan.write(out, [source.path for source in inputs])
        packing = [tasks.one("packed", n, memory=self._memory(), plan=known) for n in range(plan.buckets)]
        if any(marker is None for marker in finished_markers(packing)):
            spreading = [tasks.one("spread", n, memory=self._memory(), plan=known) for n in range(len(plan.ranges))]
            run(spread_rows, spreading)
            run(pack_bucket, packing)
        about = [tasks.one("about", 0, plan=known, packed=plan.write_shards(out, markers_of(packing)))]
        run(write_about, about)
        _remove_spread(out, len(plan.ranges))
        return finish(self, inputs, out, [*parts, *packing, *about], {**self._facts(parts), **plan.facts()})

    def _facts(self, parts: Sequence[Task]) -> dict[str, Any]:
        """Documents and tokens by source, for the report."""
        sources: dict[str, list[int]] = {}
        for marker in markers_of(parts):
            for name, counts in marker["facts"]["sources"].items():
                held = sources.setdefault(name, [0, 0, 0])
                held[:] = [a + b for a, b in zip(held, counts, strict=True)]
        names = ("documents", "tokens", "tag_tokens")
        found: dict[str, Any] = {"sources": {name: dict(zip(names, sources[name], strict=True)) for name in sorted(sources)}}
        several = _in_several_folders(parts) if self.weights else {}
        return {**found, "sources_in_several_folders": several} if several else found

    def _plan(self, tasks: Tasks, parts: Sequence[Task], run: Run) -> Plan:
        """What each pass of the shuffle does."""
        had = {name: counts["tokens"] + counts["documents"] for name, counts in self._facts(parts)["sources"].items()}
        repeats = repeats_for(had, self.weights, self.tokens, self.max_repeats)
        counting = parts
        if self.tag or repeats:
            counting = [tasks.one("chosen", task.index, repeats=repeats) for task in parts]
            run(count_chosen, counting)
        stretches = [marker["facts"]["stretches"] for marker in markers_of(counting)]
        files = [_ids_file(task, marker) for task, marker in zip(parts, markers_of(parts), strict=True)]
        exact = all(marker["facts"]["exact"] for marker in markers_of(parts))
        return plan_of(
            stretches,
            files,
            repeats,
            exact=exact and self.loaded.byte_lengths is not None,
            row_tokens=self.row_tokens,
            shard_tokens=self.shard_tokens,
            memory_tokens=self.memory_tokens,
        )


def _in_several_folders(parts: Sequence[Task]) -> dict[str, list[str]]:
    """The sources whose documents come from several folders, which share one weight, with what tells their folders apart."""
    folders: dict[str, set[str]] = {}
    for task, marker in zip(parts, markers_of(parts), strict=True):
        for name in marker["facts"]["sources"]:
            folders.setdefault(name, set()).add(task.source.path.rpartition("/")[0])
    return {name: _without_common(sorted(found)) for name, found in sorted(folders.items()) if len(found) > 1}


def _without_common(folders: Sequence[str]) -> list[str]:
    """Different folders without the parents that all of them share."""
    parts = [folder.split("/") for folder in folders]
    shared = next(n for n, names in enumerate(zip_longest(*parts)) if len(set(names)) > 1)
    return ["/".join(each[shared:]) or "." for each in parts]


def _ids_file(task: Task, marker: Mapping[str, Any]) -> dict[str, Any]:
    """Where the ids of a shard are: in the one that was written, or in the one that was read."""
    if marker["facts"]["indexed"]:
        return {**task.source.to_dict(), "path": "", "name": ""}
    name = f"{task.name}.parquet"
    facts = marker["files"][name]
    return Input(name, facts["bytes"], facts["sha256"], facts["rows"]).to_dict()


def _remove_spread(out: str, count: int) -> None:
    """Remove the files between the two passes; their markers go first, so that none is taken for finished."""
    for n in range(count):
        for file in (f"tasks/spread-{n:05d}.json", f"spread/spread-{n:05d}.bin"):
            fs, path = filesystem(join(out, file))
            with suppress(FileNotFoundError):
                fs.rm_file(path)


# --- part: documents to ids


def tokenize_shard(task: Task) -> None:
    """One shard of documents in, one token shard out; of a token shard, its index."""
    stage = stage_of(task, Tokenize)
    with format_of(task.source.path).opened(task.source) as rows:
        held = vocabulary_of(rows.schema)
        if held is not None:
            check_same(held, stage.vocabulary, task.source.path)
            check_has_ids(rows.tables(), task.source.path)
    if held is not None:
        _index_shard(task, stage)
        return
    schema, totals, exact = schema_for(stage.vocabulary), _Totals(), True
    makers = tags.columns_in(stage.tag, schema_of(task.source), task.source.path)
    with TaskOutput(task, schema) as output:
        for table, texts in output.batches(task.source):
            sifted = without_large(table, texts, stage.max_text_bytes)
            if sifted.gone is not None:
                output.write("dropped", sifted.gone)
            made, true = _tokenized(stage, sifted.table, sifted.texts, makers, task.source.path)
            exact = exact and true
            totals.add(made)
            output.write("kept", made)
            count = Count(len(sifted.texts), sifted.texts.bytes)
            output.report += sifted.report + Report(count, count)
        output.facts |= {"indexed": False, "exact": exact, **totals.facts()}


def _tokenized(stage: Tokenize, table: pa.Table, texts: Texts, makers: Sequence[str], place: str) -> tuple[pa.Table, bool]:
    """Rows of a token shard, and whether the tokens' own bytes add up to the texts'."""
    schema, tokenizer = schema_for(stage.vocabulary), stage.loaded
    ids, lengths = tokenizer.encode(table["text"].to_pylist())
    tag_texts = tags.texts(stage.tag, table, makers, place) if stage.tag else [""] * len(texts)
    tag_ids, tag_lengths = _encoded_once(tokenizer, tag_texts)
    hosts = optional(table, "host", pa.string(), place) if "host" in table.column_names else _hosts(table)
    columns = {
        "id": table["id"],
        "url": table["url"],
        "source": optional(table, "source", pa.string(), place, stage.source or None),
        "host": hosts,
        "score": optional(table, stage.score, pa.float64(), place),
        "epoch": optional(table, "epoch", pa.int32(), place, 0),
        "bytes": pa.array(texts.byte_counts, pa.int64()),
        "token_count": pa.array(lengths, pa.int64()),
        "tag_count": pa.array(tag_lengths, pa.int32()),
        "tokens": packed_ids(ids, lengths, stage.vocabulary.dtype),
        "tag": packed_ids(tag_ids, tag_lengths, stage.vocabulary.dtype),
    }
    exact = tokenizer.byte_lengths is not None and _adds_up(tokenizer.byte_lengths[ids], lengths, texts.byte_counts)
    return pa.table(columns, schema=schema), exact


def _hosts(table: pa.Table) -> pa.Array:
    return url_hosts(texts_of(table, "url", "")).to_arrow().cast(pa.string())


def _adds_up(sizes: npt.NDArray[np.int32], lengths: Numbers, wanted: Numbers) -> bool:
    found = np.zeros(len(lengths), np.int64)
    some = lengths > 0
    if len(sizes):
        found[some] = np.add.reduceat(sizes, (np.cumsum(lengths) - lengths)[some], dtype=np.int64)
    return bool((found == wanted).all())


def _encoded_once(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[npt.NDArray[np.uint32], Numbers]:
    """The ids of texts of which many are equal."""
    distinct = list(dict.fromkeys(texts))
    ids, lengths = tokenizer.encode(distinct)
    ends = np.cumsum(lengths)
    rows = {text: ids[end - n : end] for text, end, n in zip(distinct, ends.tolist(), lengths.tolist(), strict=True)}
    found = [rows[text] for text in texts]
    counts = np.fromiter(map(len, found), np.int64, len(found))
    return (np.concatenate(found) if found else ids[:0]), counts


def _index_shard(task: Task, stage: Tokenize) -> None:
    """The index of a token shard: its rows without their ids."""
    totals = _Totals()
    with TaskOutput(task, schema_for(stage.vocabulary)) as output:
        for table in tables_of(task.source, INDEX):
            totals.add(table)
            output.write("kept", indexed(table))
            count = Count(table.num_rows, int(np.asarray(table["bytes"], np.int64).sum()))
            output.report += Report(count, count)
            heartbeat(task, output.report.read.documents, output.report.read.bytes)
        output.facts |= {"indexed": True, "exact": False, **totals.facts()}


class _Totals:
    """Documents, tokens and tags of a shard, by source; and its one stretch, where nothing is chosen."""

    def __init__(self) -> None:
        self._sources: dict[str, list[int]] = {}

    def add(self, table: pa.Table) -> None:
        """Count a table of a token shard."""
        names = np.asarray(table["source"].to_pylist(), object)
        tokens, marks = (np.asarray(table[name], np.int64) for name in ("token_count", "tag_count"))
        for name in dict.fromkeys(names.tolist()):
            here = names == name
            held = self._sources.setdefault(name or "", [0, 0, 0])
            counts = (int(here.sum()), int(tokens[here].sum()), int(marks[here].sum()))
            held[:] = [a + b for a, b in zip(held, counts, strict=True)]

    def facts(self) -> dict[str, Any]:
        """For the task's marker."""
        documents = sum(counts[0] for counts in self._sources.values())
        tokens = sum(counts[1] for counts in self._sources.values())
        return {
            "sources": {name: self._sources[name] for name in sorted(self._sources)},
            "stretches": [[0, MAIN, documents, documents + tokens]],
        }


# --- chosen: which documents, how often, with or without a tag


def groups_of(stage: Tokenize, shard: int, rows: Numbers) -> Numbers:
    """The part of the order of each row of a shard: `MAIN` or `COOLDOWN`."""
    if not stage.tag:
        return np.full(len(rows), MAIN, np.int64)
    return np.where(uniform(stage.seed or 0, "cooldown", shard, rows) < stage.cooldown, COOLDOWN, MAIN).astype(np.int64)


def count_chosen(task: Task) -> None:
    """Count the documents and tokens of a shard in each epoch and part of the order."""
    stage, repeats = stage_of(task, Tokenize), task.extra["repeats"]
    epochs = epochs_of(repeats)
    counts = np.zeros((epochs, 2, 2), np.int64)
    row = 0
    for table in tables_of(Input(join(task.out, f"part-{task.index:05d}.parquet"), 0, ""), INDEX):
        rows = np.arange(row, row + table.num_rows)
        row += table.num_rows
        groups, tokens = groups_of(stage, task.index, rows), np.asarray(table["token_count"], np.int64) + 1
        tagged = tokens + np.asarray(table["tag_count"], np.int64)
        names = table["source"].to_pylist()
        for epoch in range(epochs):
            chosen = chosen_rows(repeats, epoch, names, stage.seed or 0, task.index, rows)
            for group, sizes in ((MAIN, tagged), (COOLDOWN, tokens)):
                here = chosen & (groups == group)
                counts[epoch, group] += (int(here.sum()), int(sizes[here].sum()))
    with TaskOutput(task, None, dropped=False) as output:
        found = [[e, g, *counts[e, g].tolist()] for e in range(epochs) for g in (MAIN, COOLDOWN)]
        output.facts["stretches"] = [each for each in found if each[2]]


# --- spread: rows to buckets


def spread_rows(task: Task) -> None:
    """Pack a range of the stream into rows, and write them by the bucket of the order that they belong to."""
    stage, plan = stage_of(task, Tokenize), Plan.read(task.out, task.extra["plan"])
    location = join(task.out, f"spread/{task.name}.bin")
    with TaskOutput(task, None, dropped=False) as output:
        writer = SectionsWriter(location, plan.buckets, plan.bucket_rows, task.fingerprint)
        output.attach("spread", writer)
        done = 0
        for rows in _rows_of_range(stage, plan, task):
            writer.write((rows, _positions(stage, plan, plan.ranges[task.index].group, rows)))
            done += len(rows)
            heartbeat(task, done, len(rows.ids))


def _positions(stage: Tokenize, plan: Plan, group: int, rows: Rows) -> Numbers:
    numbers = np.arange(rows.first, rows.first + len(rows), dtype=np.int64)
    if stage.seed is not None:
        numbers = positions(numbers, plan.group_rows(group), 2 * stage.seed + group)
    return numbers + plan.group_start(group)


def _rows_of_range(stage: Tokenize, plan: Plan, task: Task) -> Iterator[Rows]:
    range_ = plan.ranges[task.index]
    lengths = stage.loaded.byte_lengths if plan.exact else None
    documents = (some for stretch in plan.ahead(range_) for some in _documents(stage, plan, stretch, task.out))
    if plan.row_tokens is None:
        own = (some for stretch in plan.within(range_) for some in _documents(stage, plan, stretch, task.out))
        yield from whole(own, range_.rows[0], lengths, stage.memory_tokens)
        return
    yield from sequences(
        documents, plan.row_tokens, range_.begin, range_.rows, stage.vocabulary.end, lengths, stage.memory_tokens
    )


def _documents(stage: Tokenize, plan: Plan, stretch: Stretch, out: str) -> Iterator[Documents]:
    """The documents of a stretch of the stream."""
    row = 0
    for table in tables_of(plan.ids_of(stretch.shard, out)):
        rows = np.arange(row, row + table.num_rows)
        row += table.num_rows
        chosen = groups_of(stage, stretch.shard, rows) == stretch.group
        if plan.repeats:
            names = table["source"].to_pylist()
            chosen &= chosen_rows(plan.repeats, stretch.epoch, names, stage.seed or 0, stretch.shard, rows)
        if not chosen.any():
            continue
        if stretch.epoch:
            at = table.schema.get_field_index("epoch")
            later = np.asarray(table["epoch"], np.int32) + np.int32(stretch.epoch)
            table = table.set_column(at, table.schema.field(at), pa.array(later))
        ids, marks = (flat(table[name], stage.vocabulary.dtype) for name in ("tokens", "tag"))
        yield documents_of(table, ids, marks, stage.vocabulary.end, stretch.group == MAIN, chosen)


# --- packed: buckets to shards


def pack_bucket(task: Task) -> None:
    """Gather the rows of a bucket, in order, and write its shards in each format, with their provenance."""
    stage, plan = stage_of(task, Tokenize), Plan.read(task.out, task.extra["plan"])
    found: list[dict[str, Any]] = []
    with TaskOutput(task, None, dropped=False) as output:
        for shard in _shards_of(stage, plan, task):
            for made in stage.writers:
                _write_shard(output, task.out, made, shard, masked=bool(stage.tag))
            output.open("provenance", provenance.file_of(shard.number), provenance.PROVENANCE, group_rows=provenance.GROUP_ROWS)
            output.write("provenance", provenance.rows_of(shard.number, shard.pieces))
            output.close("provenance")
            found.append(shard.facts())
            heartbeat(task, len(found), len(shard.ids))
        output.facts["shards"] = found


def _write_shard(output: TaskOutput, out: str, made: TokenFormat, shard: PackedShard, masked: bool) -> None:
    made.check_shard(shard)
    opened: list[str] = []

    def open_(name: str) -> BinaryWriter:
        writer = BinaryWriter(join(out, made.name, name))
        opened.append(f"{made.name}/{name}")
        output.attach(opened[-1], writer)
        return writer

    made.write(shard, open_, masked)
    for name in opened:
        output.close(name)


def _shards_of(stage: Tokenize, plan: Plan, task: Task) -> Iterator[PackedShard]:
    """The shards of a bucket; a `DataError` where one of its rows is missing."""
    first = task.index * plan.bucket_rows
    count = min(plan.bucket_rows, plan.rows - first)
    ids, lengths, pieces = _gathered(stage, plan, task, first, count)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    owners = np.asarray(pieces["row"], np.int64)
    for a in range(0, count, plan.shard_rows):
        b = min(a + plan.shard_rows, count)
        low, high = np.searchsorted(owners, (a, b)).tolist()
        some, at = pieces.slice(low, high - low), pa.array(starts[owners[low:high]] - starts[a])
        for name in ("start", "end"):
            moved = pa.array(np.asarray(some[name], np.int64) + np.asarray(at))
            some = some.set_column(some.schema.get_field_index(name), name, moved)
        number = (first + a) // plan.shard_rows
        yield PackedShard(number, ids[starts[a] : starts[b]], lengths[a:b], some, stage.vocabulary)


def _gathered(stage: Tokenize, plan: Plan, task: Task, first: int, count: int) -> tuple[npt.NDArray[Any], Numbers, pa.Table]:
    """The rows of a bucket in order: ids, lengths, and pieces with the row's number in the bucket."""
    dtype, length = stage.vocabulary.dtype, plan.row_tokens
    lengths = np.zeros(count, np.int64)
    sequences_ = np.empty((count, length), dtype) if length else None
    documents: list[Any] = [None] * count
    tables: list[pa.Table] = []
    for n in range(len(plan.ranges)):
        for some in sections(join(task.out, f"spread/spread-{n:05d}.bin"), task.index, task.fingerprint, dtype):
            rows = some.positions - first
            lengths[rows] = some.lengths
            if sequences_ is not None:
                sequences_[rows] = some.ids.reshape(-1, sequences_.shape[1])
            else:
                for row, part in zip(rows.tolist(), np.split(some.ids, np.cumsum(some.lengths)[:-1]), strict=True):
                    documents[row] = part
            at = some.pieces.schema.get_field_index("row")
            moved = pa.array(rows[np.asarray(some.pieces["row"], np.int64)])
            tables.append(some.pieces.set_column(at, some.pieces.schema.field(at), moved))
    if not lengths.all():
        raise DataError(f"{task.out}: {int((lengths == 0).sum())} rows of bucket {task.index} are missing: run again")
    pieces = pa.concat_tables(tables)
    pieces = pieces.take(pa.array(np.argsort(np.asarray(pieces["row"], np.int64), kind="stable")))
    ids = sequences_.reshape(-1) if sequences_ is not None else np.concatenate(documents)
    return ids, lengths, pieces


# --- about: the files of the whole


def write_about(task: Task) -> None:
    """Write each format's files of the whole, and what the tokens are."""
    stage, plan = stage_of(task, Tokenize), Plan.read(task.out, task.extra["plan"])
    shards = plan.read_shards(task.out, task.extra["packed"])
    facts = {
        **asdict(stage.vocabulary),
        "dtype": stage.vocabulary.dtype.name,
        "formats": list(stage.formats),
        "sequence_length": stage.sequence_length,
        "seed": stage.seed,
        "shards": [{key: shard[key] for key in ("rows", "tokens")} for shard in shards],
        **plan.facts(),
    }
    files = {"about/tokens.json": json.dumps(facts, indent=1, ensure_ascii=False).encode() + b"\n"}
    if stage.loaded.byte_lengths is not None:
        buffer = io.BytesIO()
        np.save(buffer, stage.loaded.byte_lengths)
        files["about/token_bytes.npy"] = buffer.getvalue()
    ending = "tokenizer.json" if stage.loaded.file.suffix == ".json" else "tokenizer.tiktoken"
    files[f"about/{ending}"] = stage.loaded.file.read_bytes()
    for made in stage.writers:
        own = [_own_facts(shard, made.name) for shard in shards]
        files |= {f"{made.name}/{name}": data for name, data in made.files(own, stage.vocabulary, bool(stage.tag)).items()}
    with TaskOutput(task, None, dropped=False) as output:
        for name, data in files.items():
            writer = BinaryWriter(join(task.out, name))
            output.attach(name, writer)
            writer.write(data)


def _own_facts(shard: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The facts of a shard, with the files of one format."""
    start = f"{name}/"
    return {**shard, "files": {f.removeprefix(start): facts for f, facts in shard["files"].items() if f.startswith(start)}}
