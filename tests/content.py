"""The forest of `pipeline.html.main_content`: ``python -m tests.content`` fits it and prints its scores on unseen pages.

The pages are those of `tests.extraction` that are not held back, and with ``--wcxb FOLDER`` the development split of a clone of
WCXB (`tests.extraction.wcxb`), which the shipped forest is fitted to, too. Recipes are scored but not fitted to.

A block is labelled as text if more than half of its words are in the longest common subsequence of the page's words and the
known text's words. If only segments are known, only the blocks that contain them are labelled. Pages have equal weights,
slightly more for rarer types; a page's weight is shared among its blocks by their words.

Scores are of pages whose site the forest has not seen (five folds by site), or whose whole data set it has not seen.
``--write`` fits a forest to all these pages and writes it to `pipeline.html.main_content.MODEL` instead.
"""

import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import tldextract

from goldwash.pipeline.html import main_content as content
from goldwash.pipeline.html.containers import GRID, LIST
from goldwash.pipeline.html.decoding import unescaped
from goldwash.pipeline.html.segments import END, START
from tests.extraction import WORD, Known, Scores, mean_scores, score

TREES, LEAVES, RATE, LEAST = 90, 31, 0.12, 200
"""Trees, leaves per tree, learning rate, minimum number of blocks per leaf."""
BOUND = -0.7
"""Log odds above which a block is kept. Below 0, because lost text costs a page's score more than kept boilerplate."""
RARE = -0.5
"""The power of the number of pages of a kind that multiplies the weight of each."""
WCXB_WEIGHT = 0.5
"""The weight of a page of WCXB's development split beside one of its type in ``pages/``. With 1, other collections lose."""
FOLDS = 5
DOMAINS = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
"""Registered domains by the list in tldextract's wheel, without a network."""
SETS = ("wcxb", "ctf", "daniel", "news", "segments")
"""The data sets that `set_of` names, without recipes."""
WCXB = ("article", "collection", "documentation", "forum", "listing", "product", "service")


@dataclass(frozen=True)
class Blocks:
    """A page's text, its blocks, their features ``float32[M, B]``, their word counts, and their labels (NaN: unknown)."""

    known: Known
    page: content.Page
    measures: Any
    words: Any
    right: Any

    def shown(self, odds: Any, bound: float = BOUND) -> str:
        """The text of the blocks that are kept, given their log odds."""
        return self.page.shown(self.page.kept(odds, bound))


def blocks_of(known: Known) -> Blocks:
    """A page's blocks with their features and labels."""
    page = content.Page.of(known.html.encode("utf-8", "replace"))
    texts = [unescaped(page.text[row[START] : row[END]].tobytes().decode()).lower() for row in page.blocks]
    words = [WORD.findall(each) for each in texts]
    counts = np.array([len(each) for each in words], np.int64)
    right = _by_words(words, known.text) if known.text is not None else _by_segments(texts, known)
    if known.neutral:
        right[(right == 0) & (_by_words(words, known.neutral) > 0)] = np.nan
    return Blocks(known, page, page.measures(), counts, _by_containers(page, counts, right))


def _by_containers(page: content.Page, words: Any, right: Any) -> Any:
    """The labels, those of a container's blocks made equal: most of its labelled words decide."""
    right = right.copy()
    for first, last, _, kind in page.spans:
        if kind in (GRID, LIST) and last > first:
            known = ~np.isnan(right[first:last])
            weights = words[first:last][known]
            if weights.sum():
                right[first:last][known] = float(right[first:last][known] @ weights > weights.sum() / 2)
    return right


def _by_words(words: Sequence[Sequence[str]], truth: str) -> Any:
    from rapidfuzz.distance import LCSseq

    numbers: dict[str, int] = {}
    page = [numbers.setdefault(word, len(numbers)) for each in words for word in each]
    hit = np.ones(len(page), np.float64)
    for edit in LCSseq.editops(page, [numbers.setdefault(word, len(numbers)) for word in WORD.findall(truth.lower())]):
        if edit.tag == "delete":
            hit[edit.src_pos] = 0
    lengths = np.array([len(each) for each in words], np.int64)
    hits = np.bincount(np.repeat(np.arange(len(words)), lengths), hit, len(words))
    return (hits > lengths / 2).astype(np.float64)


def _by_segments(texts: Sequence[str], known: Known) -> Any:
    right = np.full(len(texts), np.nan)
    flat = [" ".join(text.split()) for text in texts]
    for segments, value in ((known.wanted, 1.0), (known.unwanted, 0.0)):
        for segment in (" ".join(each.lower().split()) for each in segments):
            for n, text in enumerate(flat):
                if len(text) > 3 and (segment in text or text in segment):
                    right[n] = value
    return right


def fitted(pages: Iterable[Blocks]) -> Any:
    """A forest fitted to these pages."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    pages = [page for page in pages if page.known.type != "recipe"]
    counts = Counter(_kind(page.known) for page in pages)
    measures, right, weights = [], [], []
    for page in pages:
        use = ~np.isnan(page.right) & (page.words > 0)
        if not use.any() or _elsewhere(page):
            continue
        weight = page.words[use] ** 0.7
        measures.append(page.measures.T[use])
        right.append(page.right[use])
        scale = WCXB_WEIGHT if page.known.collection == "wcxb-dev" else 1.0
        weights.append(weight / weight.sum() * counts[_kind(page.known)] ** RARE * scale)
    weight = np.concatenate(weights)
    forest = HistGradientBoostingClassifier(
        max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=RATE, min_samples_leaf=LEAST, l2_regularization=1.0, max_bins=63,
        early_stopping=False, random_state=0,
    )  # fmt: skip
    return forest.fit(np.concatenate(measures), np.concatenate(right), sample_weight=weight / weight.mean())


def _kind(known: Known) -> str:
    """The kind of page by which weights are balanced: its type, or its collection for the further ones."""
    return known.type if known.collection in ("pages", "wcxb-dev") else known.collection


def _elsewhere(page: Blocks) -> bool:
    """Whether most of the known text is not in the page."""
    if page.known.text is None:
        return False
    return bool(page.words[page.right > 0].sum() < 0.3 * len(WORD.findall(page.known.text)))


def written(forest: Any) -> dict[str, Any]:
    """A forest as `content.model` reads it."""
    trees = []
    for (tree,) in forest._predictors:
        trees.append(
            [
                [None, round(float(node["value"]), 5)]
                if node["is_leaf"]
                else [
                    content.MEASURES[node["feature_idx"]],
                    float(f"{node['num_threshold']:.6g}"),
                    int(node["left"]),
                    int(node["right"]),
                ]
                for node in tree.nodes
            ]
        )
    return {"bound": BOUND, "start": round(float(forest._baseline_prediction.item()), 5), "trees": trees}


def site(url: str) -> int:
    """A number for the site of a URL: its registered domain."""
    host = urlsplit(url).hostname or ""
    return zlib.crc32((DOMAINS(host).top_domain_under_public_suffix or host).encode())


def set_of(known: Known) -> str:
    """The data set that a page comes from."""
    if known.type in WCXB:
        return "wcxb"
    return {"news, 2000-2015": "ctf", "news": "news", "segments, many types": "segments", "recipe": "recipe"}.get(
        known.type, "daniel"
    )


def fold_of(pages: Sequence[Blocks], fold: int) -> list[int]:
    """The pages of one of five folds; all pages of a site are in the same fold."""
    return [n for n, page in enumerate(pages) if site(page.known.url) % FOLDS == fold]


def unseen(
    pages: Sequence[Blocks], by_set: bool = False, folds: int = FOLDS, more: Sequence[Blocks] = ()
) -> list[Any]:  # fmt: skip
    """Each page's log odds by a forest that has not seen its site (the first ``folds`` of five), or its data set.

    Pages of other folds get -inf. ``more``: further pages to fit to, except those of the sites that are judged, or of WCXB when
    that data set is judged.
    """
    parts = [fold_of(pages, fold) for fold in range(folds)]
    if by_set:
        parts = [[n for n, page in enumerate(pages) if set_of(page.known) == name] for name in SETS]
    odds: list[Any] = [np.full(len(page.words), -np.inf) for page in pages]
    for number, part in enumerate(parts):
        away = set(part)
        if by_set:
            others = [page for page in more if not page.known.collection.startswith(SETS[number])]
        else:
            others = [page for page in more if site(page.known.url) % FOLDS != number]
        forest = fitted([*(page for n, page in enumerate(pages) if n not in away), *others])
        for n in part:
            if len(pages[n].words):
                odds[n] = forest.decision_function(pages[n].measures.T)
    return odds


def scored(pages: Sequence[Blocks], odds: Sequence[Any], bound: float = BOUND) -> dict[str, Scores]:
    """Mean scores by type, if the blocks with log odds over a bound are kept."""
    return mean_scores(
        (page.known.type, score(page.known, page.shown(each, bound))) for page, each in zip(pages, odds, strict=True)
    )


def further_pages(folder: Path, clone: Path | None, seen: Sequence[Blocks]) -> list[Blocks]:
    """The pages besides ``pages/`` that the forest is fitted to; of WCXB in ``clone`` those that are not ``seen`` there."""
    from tests.extraction import COLLECTIONS, collected, held_back, wcxb

    known = [each for name in COLLECTIONS for each in collected(folder, name) if not held_back(each)]
    urls = {page.known.url for page in seen}
    if clone:
        known += [each for each in wcxb(clone, "dev") if each.url not in urls]
    return [blocks_of(each) for each in known]


def main() -> None:
    from tests.conftest import real_folder
    from tests.extraction import known_pages

    clone = Path(sys.argv[sys.argv.index("--wcxb") + 1]) if "--wcxb" in sys.argv else None
    pages = [blocks_of(known) for known in known_pages(real_folder())]
    more = further_pages(real_folder(), clone, pages)
    if "--write" in sys.argv:
        told = written(fitted([*pages, *more]))
        trees = ",\n".join(json.dumps(tree) for tree in told.pop("trees"))
        content.MODEL.write_text(f'{json.dumps(told)[:-1]}, "trees": [\n{trees}\n]}}\n', "utf-8")
        return
    by_site, by_set = unseen(pages, more=more), unseen(pages, by_set=True, more=more)
    for bound in (-1.2, -1.0, -0.8, -0.6, -0.4):
        means = [scored(pages, odds, bound)["mean of types"] for odds in (by_site, by_set)]
        sys.stdout.write(f"bound {bound}: other sites {_cell(means[0])}, other data sets {_cell(means[1])}\n")
    for kind, scores in scored(pages, by_site).items():
        sys.stdout.write(f"| {kind} | {_cell(scores)} |\n")


def _cell(scores: Scores) -> str:
    return f"{scores[0]:.3f} ({scores[1]:.2f}, {scores[2]:.2f})"


if __name__ == "__main__":
    main()
