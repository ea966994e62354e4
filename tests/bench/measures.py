"""The measurements of ``make bench``: each prepares, then returns the work to time and the bytes that it processes."""

import gc
import gzip
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from goldwash.__main__ import OBJECTS
from goldwash.filters.signals import SIGNALS
from goldwash.filters.texts import Texts
from goldwash.pipeline.storage.machine import keep_freed_memory
from tests.bench import tokens

REAL = Path(os.environ.get("GOLDWASH_REAL") or Path(__file__).parents[3] / "shared" / "data")
Work = Callable[[], object]
Measure = Callable[[], tuple[Work, int]]


class MeasureError(Exception):
    """No measurement has this name."""


@cache
def _texts() -> tuple[str, list[str], list[str]]:
    file = REAL / "reference" / "heuristics.parquet"
    if file.is_file():
        table = pq.read_table(file, columns=["text", "url"])
        return "real pages", table["text"].to_pylist(), table["url"].to_pylist()
    from goldwash.pipeline.html.extractors import resiliparse
    from goldwash.pipeline.sample.crawl import pages

    found = [page for page in pages() if page.status == 200]
    return "the sample crawl", [resiliparse(p.html.decode("utf-8", "replace")) for p in found], [p.url for p in found]


def corpus() -> tuple[str, int, int]:
    """The input's name, its bytes of text, its documents."""
    name, texts, _ = _texts()
    return name, sum(len(text.encode()) for text in texts), len(texts)


def part(most: float) -> list[str]:
    """The first texts up to so many MB, taken from all over the input."""
    _, texts, _ = _texts()
    step = max(1, int(sum(map(len, texts)) / 1e6 / most))
    return texts[::step]


def size(texts: Sequence[str]) -> int:
    """Bytes of texts."""
    return sum(len(text.encode()) for text in texts)


def batches(texts: Sequence[str], bytes_: int = 1 << 20) -> list[Texts]:
    """Batches as a stage makes them."""
    every = Texts.of(list(texts))
    ends = np.cumsum(every.byte_counts)
    cuts = [*np.searchsorted(ends, np.arange(0, ends[-1], bytes_)).tolist(), len(every)]
    return [every.take(np.arange(a, b)) for a, b in pairwise(cuts) if b > a]


def over(measure: Callable[[Texts], object], texts: Sequence[str]) -> tuple[Work, int]:
    """A measurement over batches, with kernels compiled beforehand."""
    all_ = batches(texts)
    measure(batches(texts[:40])[0])
    return lambda: [measure(batch) for batch in all_], size(texts)


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended: the extract stage reads in one."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime  # os.times() counts hundredths


def as_a_command() -> None:
    """Set this process up as ``goldwash run`` and ``goldwash stage`` do theirs."""
    gc.set_threshold(OBJECTS)
    keep_freed_memory()


def run(name: str) -> dict[str, float]:
    """Do a measurement in this process, set up as a command of goldwash (also for other tools)."""
    if name not in MEASURES:
        raise MeasureError(f"nothing is called {name!r}")
    as_a_command()
    work, bytes_ = MEASURES[name]()
    began = cpu_seconds()
    work()
    spent = cpu_seconds() - began
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * 1024
    return {"bytes": bytes_, "pages": getattr(bytes_, "pages", 0), "cpu": spent, "memory": memory}


def shard(folder: str) -> str:
    """The input as a Parquet shard."""
    _, texts, urls = _texts()
    path = f"{folder}/shard.parquet"
    columns = [pa.array([f"d{n}" for n in range(len(texts))]), pa.array(urls), pa.array(texts, pa.large_string())]
    pq.write_table(pa.table(columns, names=["id", "url", "text"]), path, compression="zstd", row_group_size=2000)
    return path


IN_A_RUN: Mapping[str, Mapping[str, Any]] = {
    "minhash": {"copy_text": False},
    "exact": {"copy_text": False},
    "bloom": {"count_column": "ngram_count"},
}
"""Parameters that a stage only has in a run, after another stage."""

COUNTED = [{"column": "ngram_count", "short_documents": True}]
"""The step of baseline.yaml that counts what bloom looks up."""


def stage(name: str, recipe: str, copies: int = 1, before: list[dict[str, Any]] | None = None, **settings: Any) -> Measure:
    """A whole stage, from Parquet to Parquet, in this process, over ``copies`` shards of the same documents.

    ``recipe``: the recipe that sets its parameters; "": the stage's defaults. ``before``: the steps of a stage heuristics whose
    output it reads, with the parameters of `IN_A_RUN`; None: it reads a user's shard. A setting may be a function that makes
    the value.
    """

    def preflight() -> tuple[Work, int]:
        from goldwash.pipeline.engines.local import local
        from goldwash.pipeline.flow import run_stage
        from goldwash.pipeline.recipes import recipe as recipes
        from goldwash.pipeline.stages import STAGES
        from goldwash.pipeline.storage.inputs import find_shards

        folder = tempfile.mkdtemp()
        path = shard(folder)
        given = recipes.stage_alone(name, recipe).config() if recipe else {}
        alone = STAGES[name].of({**given, **{key: value() if callable(value) else value for key, value in settings.items()}})
        made = alone if before is None else STAGES[name].of({**alone.config(), **IN_A_RUN[name]})
        run_stage(alone.whole(), find_shards([path]), f"{folder}/warm", local(1))
        names = [f"{folder}/copy-{n}.parquet" for n in range(copies)]
        for copy in names:
            os.link(path, copy)
        if before is not None:
            run_stage(STAGES["heuristics"].of({"steps": before}), find_shards(names), f"{folder}/before", local(1))
            names = [f"{folder}/before"]
        inputs = find_shards(names)
        return lambda: run_stage(made, inputs, f"{folder}/out", local(1)), copies * corpus()[1]

    return preflight


def signal(name: str) -> Measure:
    """A signal by itself, from nothing measured before."""
    return lambda: over(lambda batch: SIGNALS[name](Texts(batch.utf8, batch.starts, batch.ends)), _texts()[1])


def repetition() -> tuple[Work, int]:
    """All repetition signals of reference.yaml, word cutting included."""
    names = [n for n in SIGNALS if n.startswith(("repeated_", "top_"))]

    def measure(batch: Texts) -> None:
        fresh = Texts(batch.utf8, batch.starts, batch.ends)
        for name in names:
            SIGNALS[name](fresh)

    return over(measure, _texts()[1])


def twins(wanted: Callable[[str], bool]) -> Measure:
    """Signals' plain-Python twins."""

    def preflight() -> tuple[Work, int]:
        from tests.reference import REFERENCE

        texts = part(0.5)
        functions = [function for name, function in REFERENCE.items() if wanted(name)]
        return lambda: [function(text) for function in functions for text in texts], size(texts)

    return preflight


def datatrove(kind: str, most: float) -> Measure:
    """One of datatrove's filters, with its default tokeniser."""

    def preflight() -> tuple[Work, int]:
        from datatrove.data import Document
        from datatrove.pipeline import filters

        filter_ = getattr(filters, kind)()
        texts = part(most)
        documents = [Document(text=text, id=str(n)) for n, text in enumerate(texts)]
        filter_.filter(Document(text=texts[0], id="warm"))
        return lambda: [filter_.filter(document) for document in documents], size(texts)

    return preflight


def in_datatrove(steps: Callable[[str], Sequence[Any]], most: float = 0) -> Measure:
    """Steps of a datatrove pipeline on its documents, reading and writing left out; ``most``: a part of the input, in MB.

    ``steps`` gets a folder for what they write.
    """

    def preflight() -> tuple[Work, int]:
        from datatrove.data import Document

        _, texts, urls = _texts()
        every = max(1, int(sum(map(len, texts)) / 1e6 / most)) if most else 1
        texts, urls = texts[::every], urls[::every]

        def go(texts: Sequence[str]) -> None:
            found: Any = (Document(t, str(n), metadata={"url": u}) for n, (t, u) in enumerate(zip(texts, urls, strict=False)))
            for step in steps(tempfile.mkdtemp()):
                found = step.run(found)
            for _ in found:
                pass

        go(texts[:50])  # kernels are compiled, tokenizers loaded
        return lambda: go(texts), size(texts)

    return preflight


def _gopher_by_goldwash(folder: str) -> Sequence[Any]:
    from goldwash.datatrove import Clean

    return [Clean("gopher")]


def _gopher_by_datatrove(folder: str) -> Sequence[Any]:
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter

    return [GopherRepetitionFilter(), GopherQualityFilter()]


def _signed_by_goldwash(folder: str) -> Sequence[Any]:
    from goldwash.datatrove import MinHashSignatures

    return [MinHashSignatures(folder)]


def _signed_by_datatrove(folder: str) -> Sequence[Any]:
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

    class Signature(MinhashDedupSignature):  # type: ignore[misc]
        """The stock step yields nothing and is no generator."""

        def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
            super().run(data, rank, world_size)
            return iter(())

    return [Signature(folder, MinhashConfig())]


def words_by_uniseg() -> tuple[Work, int]:
    """uniseg's words, which the reference's repetition filter is built on."""
    from uniseg.wordbreak import words

    texts = part(0.5)
    return lambda: [list(words(text)) for text in texts], size(texts)


def language() -> tuple[Work, int]:
    """lid.176.ftz by our kernel."""
    from goldwash.classifiers.language import likeliest

    return over(lambda batch: likeliest(batch), _texts()[1])


def language_by_fasttext() -> tuple[Work, int]:
    """lid.176.ftz by fastText."""
    import fasttext

    from goldwash.classifiers.language import located

    model = fasttext.load_model(str(located("lid.176.ftz")))
    texts = part(6)
    return lambda: [model.f.predict(text.replace("\n", " ") + "\n", 1, 0.0, "strict") for text in texts], size(texts)


@cache
def _model() -> str:
    """A classifier trained as the reference trains it, on the sample's examples (not timed)."""
    from goldwash.classifiers.examples import examples
    from goldwash.classifiers.train import Settings, train
    from goldwash.pipeline.sample.crawl import write_sample

    folder = tempfile.mkdtemp()
    write_sample(folder)
    sides = [list(examples(Path(folder) / "classifier" / f"{side}.jsonl")) for side in ("positive", "negative")]
    train(sides[0], sides[1], f"{folder}/model", Settings())
    return f"{folder}/model"


def ngram() -> tuple[Work, int]:
    """Counting the 5-grams of up to 10 million tokens; encoding is not timed."""
    from goldwash.classifiers.ngram.model import NgramModel
    from goldwash.classifiers.ngram.tokenizer import ByteTokenizer

    _, found, _ = _texts()
    tokenizer = ByteTokenizer.train(found)
    ids, offsets = tokenizer.encode(Texts.of(found))
    most = min(len(ids), 10_000_000)
    bounds = np.append(offsets[offsets < most], most)
    NgramModel.train(ids[:1000], [0, 1000], tokenizer.vocab)
    return lambda: NgramModel.train(ids[:most], bounds, tokenizer.vocab), int(tokenizer.byte_counts[ids[:most]].sum())


def quality() -> tuple[Work, int]:
    """A folded classifier of dimension 100 with 2,000,000 buckets."""
    from goldwash.classifiers.quality import scores

    model = Path(_fold())
    return over(lambda batch: scores(batch, model), _texts()[1])


def _fold() -> str:
    return f"{_model()}/model.fold"


def quality_by_fasttext() -> tuple[Work, int]:
    """The same classifier by fastText."""
    import fasttext

    model = fasttext.load_model(f"{_model()}/model.bin")
    texts = part(10)
    return lambda: [model.f.predict(" ".join(t.strip().splitlines()) + "\n", 2, 0.0, "strict") for t in texts], size(texts)


PERMUTATIONS, NGRAM = 112, 5


def signatures() -> tuple[Work, int]:
    """Words cut, shingles hashed, signatures made."""
    from goldwash.pipeline.dedup import minhash

    permutations = minhash.permutations(PERMUTATIONS)
    return over(lambda b: minhash.signatures(Texts(b.utf8, b.starts, b.ends), NGRAM, permutations), _texts()[1])


def split_shingles(text: str) -> list[bytes]:
    """Shingles of words split at white space, as datasketch and rensa get them."""
    words = text.encode().split()
    if len(words) < NGRAM:
        return [b" ".join(words)] if words else []
    return list(map(b" ".join, zip(*(words[k:] for k in range(NGRAM)), strict=False)))


def shingles_by_python() -> tuple[Work, int]:
    """Only the shingles that datasketch and rensa get."""
    return peer(lambda texts: [len(split_shingles(text)) for text in texts], 12)


def signatures_by_datasketch(fast: bool) -> Measure:
    """datasketch's call for many sketches; ``fast``: with xxhash, which its documentation suggests, instead of SHA-1."""

    def preflight() -> tuple[Work, int]:
        import datasketch
        import xxhash

        settings = {"num_perm": PERMUTATIONS, "hashfunc": xxhash.xxh32_intdigest if fast else None}
        return peer(lambda texts: datasketch.MinHash.bulk(map(split_shingles, texts), **settings), 6)

    return preflight


def signatures_by_rensa() -> tuple[Work, int]:
    """rensa's call for many sketches of tokens that are bytes, one thread."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    from rensa import RMinHash  # type: ignore[import-untyped]

    return peer(lambda texts: RMinHash.digest_matrix_from_token_byte_sets(map(split_shingles, texts), PERMUTATIONS, 1), 12)


def signatures_by_gaoya() -> tuple[Work, int]:
    """gaoya's index, which splits, shingles and signs in Rust, one thread; insertion costs next to nothing."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    from gaoya.minhash import MinHashStringIndex  # type: ignore[import-untyped]

    layout = {"num_bands": 14, "band_size": 8, "analyzer": "word", "ngram_range": (NGRAM, NGRAM), "id_container": "smallvec"}

    def work(texts: list[str]) -> None:
        MinHashStringIndex(hash_size=32, **layout).par_bulk_insert_docs(list(range(len(texts))), texts)

    return peer(work, 12)


def peer(work: Callable[[list[str]], object], most: float) -> tuple[Work, int]:
    """A measurement of another tool's call on ``most`` MB of texts, after a warm-up on a few."""
    texts = part(most)
    work(texts[:40])
    return lambda: work(texts), size(texts)


def bloom(ngrams: int) -> Measure:
    """The pass through a filter sized for ``ngrams`` n-grams; words are cut and hashed."""

    def preflight() -> tuple[Work, int]:
        from goldwash.pipeline.dedup.bloom import Pass, run_pass, sizing, tokens_of

        all_ = batches(_texts()[1])
        parameters, size_ = Pass(), sizing(ngrams, 0.01)
        run_pass(all_[0], tokens_of(all_[0], parameters), sizing(10_000, 0.01).empty(), 6, parameters)
        filter_ = size_.empty()
        filter_ += np.uint64(0)  # touch every page of it
        fresh = [Texts(batch.utf8, batch.starts, batch.ends) for batch in all_]

        def work() -> None:
            for batch in fresh:
                run_pass(batch, tokens_of(batch, parameters), filter_, size_.bits_per_ngram, parameters)

        return work, corpus()[1]

    return preflight


MMLU = 14_042


def questions(count: int = 0) -> list[Any]:
    """The benchmark items; with a count, filled up to it with the same items, their words permuted by a seed."""
    from goldwash.pipeline.decontamination.benchmarks import Item, items_of

    folder = REAL / "mmlu" / "test"
    items = items_of(str(folder) if folder.is_dir() else "sample")
    draw = random.Random(1)

    def permuted(text: str) -> str:
        words = text.split(" ")
        return " ".join(draw.sample(words, len(words)))

    more = [
        Item(item.benchmark, f"{item.subject}-{n}", item.number, permuted(item.question), tuple(map(permuted, item.options)))
        for n in range(-(-count // len(items)) - 1)
        for item in items
    ]
    return [*items, *more][: count or len(items)]


def decontaminate(rule: str, count: int = 0) -> Measure:
    """The search for benchmark questions in the text, cutting into words included; ``count``: as `questions`.

    N-grams of the 3,482 MMLU questions are 291,242 needles in an index of 19 MB, of 14,042 questions 1,166,521 in 77 MB.
    """

    def preflight() -> tuple[Work, int]:
        from goldwash.pipeline.decontamination.matching import Rule, needles_of, quotes_of

        items = questions(count)
        needles = needles_of(items, Rule(rule))
        sys.stderr.write(f"{len(items)} items, {len(needles.items)} needles, an index of {needles.index.bytes / 1e6:.1f} MB\n")
        return over(lambda batch: quotes_of(Texts(batch.utf8, batch.starts, batch.ends), needles), _texts()[1])

    return preflight


def _mmlu() -> str:
    """The questions at hand; a few of goldwash's own where there are none."""
    return str(REAL / "mmlu") if (REAL / "mmlu").is_dir() else "sample"


def decontaminate_by_datatrove() -> tuple[Work, int]:
    """datatrove's n-gram filter with 12-grams of the questions, and with a hash that works with today's xxhash."""
    from datatrove.data import Document
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter, NGramsDecontIndexer
    from datatrove.utils.hashing import HashConfig

    config = NGramsDecontConfig(find_query_ngrams=True, hash_config=HashConfig(hash_fc="sha1"))
    NGramsDecontIndexer._requires_dependencies = []  # lighteval, for its own tasks; ours need the hashes alone
    indexer, folder = NGramsDecontIndexer(tempfile.mkdtemp(), config=config), tempfile.mkdtemp()
    hashes = {h for item in questions() for h in indexer.compute_hashes(" ".join(item.options), item.question)}
    np.array(list(hashes), config.hash_config.np_descr).tofile(f"{folder}/mmlu.index.hashes")
    filter_ = NGramsDecontFilter(folder, config=config)
    texts = part(1)
    documents = [Document(text=text, id=str(n)) for n, text in enumerate(texts)]
    filter_.filter(Document(text=texts[0], id="warm"))
    return lambda: [filter_.filter(document) for document in documents], size(texts)


MEASURED = ("resiliparse", "turbohtml", "blocks", "trafilatura")
"""Extractors that the whole stage is measured with; ``blocks`` is baseline.yaml's."""


def archives() -> list[str]:
    """The archives that extraction is measured on."""
    found = sorted(map(str, (REAL / "pages").glob("public-00[02].warc.gz")))
    if not found:
        from goldwash.pipeline.sample.crawl import write_sample

        folder = tempfile.mkdtemp()
        write_sample(folder)
        found = sorted(map(str, Path(folder).glob("crawl/*.warc.gz")))
    return found


class Html(int):
    """Bytes of HTML, and the number of pages."""

    pages: int

    @classmethod
    def of(cls, sizes: Sequence[int]) -> "Html":
        """Of pages of these sizes."""
        html = cls(sum(sizes))
        html.pages = len(sizes)
        return html


def html_bytes(names: list[str]) -> Html:
    """Bytes of payload in archives."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    return Html.of(
        [
            len(record.reader.read())
            for path in names
            for record in ArchiveIterator(path, record_types=WarcRecordType.response, auto_decode="all", fsspec_args=False)
        ]
    )


def extract(**settings: Any) -> Measure:
    """The extract stage, from .warc.gz to Parquet (MB of HTML); trafilatura, which is slow, gets one archive."""
    return lambda: _extract(archives()[-1:] if settings.get("extractor") == "trafilatura" else archives(), settings)


def extract_by_language(**settings: Any) -> Measure:
    """The same on a crawl of which half the pages are not English."""
    return lambda: _extract([mixed_archive()], settings)


def _extract(names: list[str], settings: Any) -> tuple[Work, int]:
    from goldwash.pipeline.engines.local import local
    from goldwash.pipeline.flow import run_stage
    from goldwash.pipeline.recipes import recipe as recipes
    from goldwash.pipeline.stages.extract import Extract
    from goldwash.pipeline.storage.inputs import find_archives

    out = tempfile.mkdtemp()
    baseline = recipes.load("baseline").stage("extract").config()
    settings = {**settings, "early": baseline["early"] if settings.get("early") == "baseline" else ()}
    made, inputs = Extract.of(settings), find_archives(names)
    made.warm_up()
    return lambda: run_stage(made, inputs, f"{out}/out", local(1)), html_bytes(names)


def mixed_archive() -> str:
    """An archive of records as they are, half of them not English by lid.176 on their visible text.

    Each page that is not English is paired with the unused English page whose record is nearest in size. Without pairing, the
    English pages, which are larger, would be more than half of the bytes.
    """
    from goldwash.classifiers.language import likeliest
    from goldwash.pipeline.html.visible_text import visible
    from goldwash.pipeline.warc.http import response
    from goldwash.pipeline.warc.records import Record, records

    sides: dict[bool, list[tuple[int, bytes]]] = {True: [], False: []}
    for path in sorted(map(str, (REAL / "pages").glob("public-00?.warc.gz"))) or archives():
        data = Path(path).read_bytes()
        with open(path, "rb") as stream:
            for record in records(stream, len(data)):
                if isinstance(record, Record) and record.kind == "response":
                    body = str(response(record.block, 1 << 30).body, "utf-8", "replace")
                    english = str(likeliest(visible([body.encode()]))[0][0]) == "en"
                    sides[english].append((record.size, data[record.offset : record.offset + record.length]))
    left, mixed = sorted(sides[True]), list[bytes]()
    for size_, record_ in sides[False]:
        nearest = min(range(len(left)), key=lambda n: abs(left[n][0] - size_))
        mixed += [record_, left.pop(nearest)[1]]
    path = f"{tempfile.mkdtemp()}/mixed.warc.gz"
    Path(path).write_bytes(b"".join(mixed))
    return path


def extract_bare(mixed: bool = False) -> Measure:
    """FastWARC and resiliparse alone, strict UTF-8, nothing written (MB of HTML)."""

    def preflight() -> tuple[Work, int]:
        names = [mixed_archive()] if mixed else archives()
        return lambda: [len(text) for text in _bare(names)], html_bytes(names)

    return preflight


def extract_as_the_reference() -> tuple[Work, int]:
    """The reference's path: FastWARC, strict UTF-8, resiliparse, all records written as JSONL.gz (MB of HTML)."""
    names, out = archives(), tempfile.mkdtemp()

    def work() -> None:
        with gzip.open(f"{out}/pages.jsonl.gz", "wt", encoding="utf-8") as file:
            for text in _bare(names):
                file.write(json.dumps({"text": text}) + "\n")

    return work, html_bytes(names)


def _bare(names: list[str]) -> Iterator[str]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text

    for path in names:
        for record in ArchiveIterator(path, record_types=WarcRecordType.response, fsspec_args=False):
            with suppress(UnicodeDecodeError):
                yield extract_plain_text(record.reader.read().decode(), main_content=True)


def extract_by_datatrove() -> tuple[Work, int]:
    """datatrove's WarcReader and Trafilatura, in this process, on part of the pages (MB of HTML)."""
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.readers import WarcReader

    name = Path(archives()[-1])

    def reader() -> Any:
        return WarcReader(str(name.parent), glob_pattern=name.name, limit=150).run()

    extractor, html = Trafilatura(timeout=30), Html.of([len(document.text.encode()) for document in reader()])
    return lambda: [len(document.text) for document in extractor.run(reader())], html


def _repeats(name: str) -> bool:
    return name.startswith(("repeated_", "top_"))


CHEAP = [
    name
    for name, declared in SIGNALS.items()
    if declared.column == "text" and not _repeats(name) and not name.startswith("duplicate_") and name != "phrase_count"
]

MEASURES: dict[str, Measure] = {
    "Heuristics: the whole stage under reference.yaml, Parquet to Parquet": stage("heuristics", "reference", copies=4),
    "Heuristics: the whole stage under baseline.yaml": stage("heuristics", "baseline", copies=4),
    "Heuristics: the whole stage under fineweb.yaml": stage("heuristics", "fineweb", copies=4),
    "Heuristics: datatrove GopherQualityFilter": datatrove("GopherQualityFilter", 1),
    "Heuristics: datatrove GopherRepetitionFilter": datatrove("GopherRepetitionFilter", 1),
    "Heuristics: datatrove C4QualityFilter": datatrove("C4QualityFilter", 1),
    "Heuristics: datatrove FineWebQualityFilter": datatrove("FineWebQualityFilter", 1),
    "In a datatrove pipeline: goldwash.datatrove.Clean, Gopher's rules and language": in_datatrove(_gopher_by_goldwash),
    "In a datatrove pipeline: its own GopherRepetitionFilter and GopherQualityFilter": in_datatrove(_gopher_by_datatrove, 1),
    "In a datatrove pipeline: goldwash.datatrove.MinHashSignatures, 14 x 8, 32 bits": in_datatrove(_signed_by_goldwash),
    "In a datatrove pipeline: its own MinhashDedupSignature, 14 x 8, 64 bits": in_datatrove(_signed_by_datatrove, 1),
    "Repetition: all 13 rules of reference.yaml, words cut": repetition,
    "Repetition: the same in plain Python": twins(_repeats),
    "Repetition: uniseg's words alone (the reference's)": words_by_uniseg,
    **{f"Signals, each from a cold start: {name}": signal(name) for name in CHEAP},
    "Signals, each from a cold start: all of these in plain Python": twins(lambda name: name in CHEAP),
    "Language: lid.176.ftz, our kernel": language,
    "Language: lid.176.ftz, fastText": language_by_fasttext,
    "Quality: folded classifier (dim 100, 2,000,000 buckets)": quality,
    "Quality: the same by fastText": quality_by_fasttext,
    "Quality: the whole stage with that classifier, the top tenth kept": stage("quality", "", model=_fold, fraction=0.1),
    "N-gram model: 5-grams of 10 million byte-pair tokens, counted": ngram,
    "MinHash: text to signature, 112 permutations of word 5-grams": signatures,
    "MinHash: the same by gaoya, its index filled (white-space words)": signatures_by_gaoya,
    "MinHash: the same by rensa, RMinHash (white-space words, cut in Python)": signatures_by_rensa,
    "MinHash: the same by datasketch, xxhash (white-space words, cut in Python)": signatures_by_datasketch(fast=True),
    "MinHash: the same by datasketch, its SHA-1 (white-space words, cut in Python)": signatures_by_datasketch(fast=False),
    "MinHash: those 5-grams alone in Python, nothing made of them": shingles_by_python,
    "MinHash: the whole stage under baseline.yaml": stage("minhash", "baseline"),
    "MinHash: the whole stage in a run, where texts are left": stage("minhash", "baseline", before=[]),
    "MinHash: the whole stage `exact`, by text": stage("exact", ""),
    "MinHash: the whole stage `exact`, where texts are left": stage("exact", "", before=[]),
    "Bloom: the pass, 1.2 GB filter": bloom(1_000_000_000),
    "Bloom: the pass, 4 MB filter": bloom(3_000_000),
    "Bloom: the whole stage under baseline.yaml": stage("bloom", "baseline"),
    "Bloom: the whole stage in a run, where n-grams are counted": stage("bloom", "baseline", before=COUNTED),
    "Decontaminate: DCLM's rule, questions at hand (MMLU: 3,482)": decontaminate("dclm"),
    "Decontaminate: n-grams of 13 words, the same questions (MMLU: 291,242 needles, 19 MB)": decontaminate("ngram"),
    "Decontaminate: the whole stage under baseline.yaml, those questions": stage("decontaminate", "baseline", benchmarks=_mmlu),
    "Decontaminate: DCLM's rule, 14,042 questions": decontaminate("dclm", MMLU),
    "Decontaminate: n-grams of 13 words, 14,042 questions (MMLU: 1.17 million needles, 77 MB)": decontaminate("ngram", MMLU),
    "Decontaminate: datatrove NGramsDecontFilter, n-grams of 12 words, the same questions at hand": decontaminate_by_datatrove,
    "Extract (MB of HTML): FastWARC and resiliparse alone, nothing written": extract_bare(),
    "Extract (MB of HTML): the reference's path, FastWARC and resiliparse to JSONL.gz": extract_as_the_reference,
    **{f"Extract (MB of HTML): the stage, {name}, .warc.gz to Parquet": extract(extractor=name) for name in MEASURED},
    **{
        f"Extract (MB of HTML): the stage, {name}, and early rules": extract(extractor=name, early="baseline")
        for name in MEASURED
    },
    "Extract (MB of HTML): datatrove, WarcReader and Trafilatura": extract_by_datatrove,
    "Extract, half of the pages not English (MB of HTML): FastWARC and resiliparse alone": extract_bare(mixed=True),
    **{
        f"Extract, half of the pages not English (MB of HTML): the stage, {name}{', and early rules' if early else ''}": (
            extract_by_language(extractor=name, early=early)
        )
        for name in ("resiliparse", "turbohtml", "blocks")
        for early in ((), "baseline")
    },
    **tokens.MEASURES,
}
"""Every measurement: ``table: row``."""
