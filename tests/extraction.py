"""Scores of the extractors on pages with known text: ``python -m tests.extraction`` prints the tables of docs/extraction.md.

``--structure`` prints the second one only: F1 and structure (`tests.structure`) on the pages that the forest is not fitted to.
``--wcxb FOLDER`` prints F1 by type on the held-out split of a clone of WCXB (`wcxb`), which the forest is not fitted to.
``--webmainbench FILE`` runs the extractors on a file of that benchmark (`tests.webmainbench`).

Score: precision, recall and F1 of words as a multiset (a CJK character is a word) per page, then the mean over a type's pages,
then over types. With known segments, recall is the share of the required segments that are in the text, and precision the share
of required ones among all known segments in the text. For recipes: the recall of ingredients and instructions only.
"""

import gzip
import hashlib
import io
import json
import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import zstandard

from goldwash.pipeline.html.decoding import decoded
from goldwash.pipeline.html.extractors import extractor_of
from goldwash.pipeline.warc.http import response
from goldwash.pipeline.warc.records import Record, records
from tests.structure import WORD, Counts, counted, structure_of

Scores = tuple[float, float, float]
"""F1, precision, recall."""
BY_EXTRACTORS = ("omnivore", "readability", "goose3", "llmwebkit")
"""Data sets that are left out: an extractor wrote their texts, or they have too few pages."""

EXTRACTORS = ("resiliparse", "turbohtml", "trafilatura", "resiliparse_all", "turbohtml_all")
"""The columns of the table, besides blocks."""


@dataclass(frozen=True)
class Known:
    """A page with its known text, or with segments that must and must not be in the text."""

    type: str
    html: str
    text: str | None = None
    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    url: str = field(default="", repr=False)
    collection: str = field(default="pages", repr=False)
    neutral: str = field(default="", repr=False)
    """Text that may be in the extracted text or not: user comments that the known text leaves out."""


def known_pages(folder: Path) -> Iterator[Known]:
    """Pages with ground truth, in the order of their records."""
    rows = {row["id"].strip("<>"): row for row in pq.read_table(folder / "pages" / "index.parquet").to_pylist()}
    for path in sorted((folder / "pages").glob("public-00?.warc.gz")):
        with path.open("rb") as stream:
            for record in records(stream, os.path.getsize(path)):
                if isinstance(record, Record) and record.kind == "response" and (known := _known(rows[record.id], record)):
                    yield known


def _known(row: Mapping[str, Any], record: Record) -> Known | None:
    kind, truth = row["ground_truth_kind"] or "", json.loads(row["ground_truth"] or "null")
    if not truth or row["dataset"] in BY_EXTRACTORS or not kind.startswith(("full_text", "segments", "fields")):
        return None
    sent = response(record.block, 1 << 30)
    html = decoded(sent.body, sent.headers)[0]
    if kind == "segments":
        return Known("segments, many types", html, None, tuple(truth["with"]), tuple(truth["without"]), record.url)
    if kind.startswith("fields"):
        wanted = [s for s in [*truth.get("ingredients", []), *truth.get("instructions_list", [])] if isinstance(s, str)]
        return Known("recipe", html, None, tuple(wanted), url=record.url) if wanted else None
    text = truth if isinstance(truth, str) else truth.get("main_content") or truth.get("text")
    return Known(_type(row["dataset"], row["genre"]), html, text, url=record.url) if text else None


COLLECTIONS = ("dragnet", "trafilatura-eval", "fundus-tests", "cleanportaleval", "llm-webkit")
"""Further collections, in ``extraction/``."""
ADDRESS = re.compile(
    r"""<(?:link|meta)[^>]+(?:canonical|og:url)[^>]+(?:href|content)=["']?(https?://[^"'\s>]+)""", re.IGNORECASE
)


def collected(folder: Path, name: str) -> Iterator[Known]:
    """The pages of one of `COLLECTIONS`. Where it names no URL, the one that the page gives, or the page's name."""
    with (folder / "extraction" / f"{name}.jsonl.zst").open("rb") as stream:
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(stream)
        for line in io.TextIOWrapper(reader, "utf-8"):
            row = json.loads(line)
            url = row.get("url") or ""
            if not url.startswith("http"):
                found = ADDRESS.search(row["html"])
                url = found[1] if found else f"file://{row['name']}"
            wanted, unwanted = (tuple(row.get(side) or ()) for side in ("with", "without"))
            neutral = row.get("note") if name == "dragnet" else ""
            yield Known(f"{name}, {row['type']}", row["html"], row.get("truth"), wanted, unwanted, url, name, neutral or "")


def wcxb(folder: Path, split: str) -> Iterator[Known]:
    """The pages of a split, ``dev`` or ``test``, of the Web Content Extraction Benchmark, whose text is known.

    ``folder`` is a clone of https://github.com/Murrough-Foley/web-content-extraction-benchmark (CC BY 4.0; fitted to c039d5e).
    Pages whose text is only in scripts have an empty known text and are left out.
    """
    truths = sorted((folder / split / "ground-truth").glob("*.json"))
    if not truths:
        raise FileNotFoundError(f"expected JSON files in {folder / split / 'ground-truth'}, found none: is it a clone of WCXB?")
    for path in truths:
        row = json.loads(path.read_text("utf-8"))
        if text := row["ground_truth"].get("main_content"):
            kind = row["_internal"]["page_type"]["primary"]
            html = gzip.decompress((folder / split / "html" / f"{path.stem}.html.gz").read_bytes())
            url = row.get("url") or f"file://{path.stem}"
            yield Known(kind, decoded(html, {})[0], text, url=url, collection=f"wcxb-{split}")


def held_back(known: Known) -> bool:
    """Whether a page is for judging: the forest is not fitted to it.

    All of cleanportaleval, llm-webkit and WCXB's test split, and of the other collections the pages of every fifth site.
    """
    from tests.content import FOLDS, site

    if known.collection in ("pages", "wcxb-dev"):
        return False
    return known.collection in ("cleanportaleval", "llm-webkit", "wcxb-test") or site(known.url) % FOLDS == 0


def _type(dataset: str, genre: str) -> str:
    if dataset == "daniel":
        return f"news, {genre.removeprefix('news-')}"
    return {"wcxb": genre, "ctf": "news, 2000-2015"}.get(dataset, "news")


def digest(pages: list[Known]) -> str:
    """A hash of the pages and their ground truth."""
    found = hashlib.sha256()
    for page in pages:
        found.update(repr(page).encode("utf-8", "replace"))
    return found.hexdigest()[:16]


def words(text: str) -> Counter[str]:
    return Counter(WORD.findall(text.lower()))


def f1(precision: float, recall: float) -> Scores:
    return (2 * precision * recall / (precision + recall) if precision + recall else 0.0), precision, recall


def score(page: Known, text: str) -> Scores:
    """A page's score."""
    if page.text is not None:
        true, found = words(page.text), words(text)
        found -= (found - true) & words(page.neutral)
        common = (true & found).total()
        return f1(common / max(found.total(), 1), common / max(true.total(), 1))
    flat = " ".join(text.lower().split())
    right, wrong = (sum(" ".join(s.lower().split()) in flat for s in side) for side in (page.wanted, page.unwanted))
    return f1(right / max(right + wrong, 1), right / max(len(page.wanted), 1))


def measured(pages: list[Known], extract: Callable[[str], str]) -> tuple[dict[str, Scores], float]:
    """Mean scores by type, and MB of HTML per CPU-second."""
    scores, spent = [], 0.0
    extract(pages[0].html)
    for page in pages:
        began = time.process_time()
        text = extract(page.html)
        spent += time.process_time() - began
        scores.append((page.type, score(page, text)))
    return mean_scores(scores), sum(len(page.html.encode()) for page in pages) / 1e6 / spent


def structure_table(pages: list[Known], extractors: Mapping[str, Callable[[str], str]]) -> dict[str, dict[str, float]]:
    """F1 and the measures of `tests.structure` of each extractor, over all pages."""
    found = {}
    wanted = [structure_of(page.html, page.text) if page.text is not None else None for page in pages]
    for name, extract in extractors.items():
        texts = [extract(page.html) for page in pages]
        scores = [score(page, text)[0] for page, text in zip(pages, texts, strict=True)]
        counts = [counted(each, text) for each, text in zip(wanted, texts, strict=True) if each is not None]
        found[name] = {"word F1": sum(scores) / len(scores), **sum(counts, Counts()).shares()}
    return found


def judging_pages(folder: Path) -> list[Known]:
    """The pages of `COLLECTIONS` that the forest is not fitted to."""
    return [known for name in COLLECTIONS for known in collected(folder, name) if held_back(known)]


def mean_scores(scored: Iterable[tuple[str, Scores]]) -> dict[str, Scores]:
    """Mean scores per type, and the mean over types without recipes."""
    by_type: dict[str, list[Scores]] = defaultdict(list)
    for kind, scores in scored:
        by_type[kind].append(scores)
    means = {kind: _mean(scores) for kind, scores in sorted(by_type.items())}
    return means | {"mean of types": _mean([scores for kind, scores in means.items() if kind != "recipe"])}


def _mean(scores: list[Scores]) -> Scores:
    return tuple(sum(each) / len(scores) for each in zip(*scores, strict=True))  # type: ignore[return-value]


def main() -> None:
    from tests import webmainbench
    from tests.conftest import real_folder
    from tests.content import blocks_of, scored, unseen

    rivals = {name: extractor_of(name) for name in ("resiliparse", "trafilatura")}
    if "--webmainbench" in sys.argv:
        ours = {"blocks": extractor_of("blocks", form="markdown", formulas="dollars")}
        _print(webmainbench.measured(Path(sys.argv[sys.argv.index("--webmainbench") + 1]), ours | rivals))
        return
    if "--wcxb" in sys.argv:
        pages = list(wcxb(Path(sys.argv[sys.argv.index("--wcxb") + 1]), "test"))
        extractors = {"blocks": extractor_of("blocks")} | rivals
        _print({name: _by_type(pages, extract) for name, extract in extractors.items()})
        return
    judging = judging_pages(real_folder())
    sys.stdout.write(f"{len(judging):,} pages that the forest is not fitted to, digest {digest(judging)}.\n\n")
    _print(structure_table(judging, {"blocks": extractor_of("blocks")} | rivals))
    if "--structure" in sys.argv:
        return
    pages = list(known_pages(real_folder()))
    found = [blocks_of(page) for page in pages]
    results = {"blocks, on unseen sites": (scored(found, unseen(found)), measured(pages, extractor_of("blocks"))[1])}
    results |= {name: measured(pages, extractor_of(name)) for name in EXTRACTORS}
    lines = [f"{len(pages):,} pages, digest {digest(pages)}.", "", "| type (pages) | " + " | ".join(results) + " |"]
    lines.append("|---|" + "---:|" * len(results))
    counts = Counter(page.type for page in pages)
    for kind in next(iter(results.values()))[0]:
        cells = [_cell(kind, means[kind]) for means, _ in results.values()]
        lines.append(f"| {kind}{f' ({counts[kind]})' if kind in counts else ''} | " + " | ".join(cells) + " |")
    lines.append("| **MB of HTML per CPU-second** | " + " | ".join(f"{rate:,.0f}" for _, rate in results.values()) + " |")
    sys.stdout.write("\n".join(lines) + "\n")


def _by_type(pages: Sequence[Known], extract: Callable[[str], str]) -> dict[str, float]:
    """Mean F1 of each type, of the types and of all pages."""
    scores = [(page.type, score(page, extract(page.html))) for page in pages]
    means = {kind: f1 for kind, (f1, *_) in mean_scores(scores).items()}
    return means | {"all pages": sum(f1 for _, (f1, *_) in scores) / len(scores)}


def _print(found: Mapping[str, Mapping[str, float]]) -> None:
    """Print a table of measures by extractor."""
    measures = dict.fromkeys(measure for scores in found.values() for measure in scores)
    lines = ["| | " + " | ".join(found) + " |", "|---|" + "---:|" * len(found)]
    for measure in measures:
        cells = [f"{scores[measure]:.3f}" if measure in scores else "" for scores in found.values()]
        lines.append(f"| {measure} | " + " | ".join(cells) + " |")
    sys.stdout.write("\n".join(lines) + "\n\n")


def _cell(kind: str, scores: Scores) -> str:
    if kind == "recipe":
        return f"recall {scores[2]:.2f}"
    return f"{scores[0]:.3f} ({scores[1]:.2f}, {scores[2]:.2f})"


if __name__ == "__main__":
    main()
