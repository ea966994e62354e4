"""The seven filters of DCLM's table 4 (arXiv 2406.11794) on one pool, each keeping the same fraction, beside no filter.

Invariants:

- All variants share the recipe up to its stage `quality`, which is run once. Only the last stage differs.
- Each filter is a scorer of the stage `quality`; SemDeDup is a stage in its place. "no filter" is the recipe without it.
- Models that learn from texts learn from the same ones: ``good``, and for the classifiers ``web`` beside them. Their folder is
  named by a digest of the texts, so that a rerun trains nothing again.
- PageRank uses the ranks that the user gives, else those of the links of the user's own pages, in the shards of the extract
  stage. Of a small crawl these say little: most hosts have no link from another.
- AskLLM needs a server; without one it is left out, and the report says so.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from goldwash.classifiers.examples import Example
from goldwash.evidence.ablate.runs import Made, Place, fitted, run
from goldwash.evidence.ablate.variants import Base, Variant
from goldwash.evidence.errors import EvidenceError
from goldwash.filters.texts import Texts
from goldwash.pipeline.engines.settings import Screen
from goldwash.pipeline.link_graph import graph_of, page_rank, write_ranks
from goldwash.pipeline.recipes.recipe import Recipe, load
from goldwash.pipeline.stage import Stage
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import is_local, join

NAME = "filters"
"""The recipe whose filters `goldwash ablate` varies where nothing else is named."""

NO_FILTER, FASTTEXT, PERPLEXITY, TOPK = "no filter", "fastText", "perplexity", "top-k"
EMBEDDING, SEMDEDUP, ASK, PAGERANK = "embedding", "SemDeDup", "AskLLM", "PageRank"

GPT_SHAPE, GPT_TOKENS = (64, 4, 4), 250_000
"""Width, layers and heads of the transformer of top-k, and the tokens that it sees in training: about a CPU-minute."""
SCORED_TOKENS = 128
"""Tokens of a document that top-k looks at."""

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Learned:
    """What filters learn from: good texts, and texts of the web to tell them from."""

    good: Sequence[Example]
    web: Sequence[Example]

    @property
    def digest(self) -> str:
        """Sixteen digits that change with the texts."""
        texts = [sorted({e.text for e in side}) for side in (self.good, self.web)]
        return hashlib.sha256(json.dumps(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Given:
    """What the user gives beside texts: the address of a server or its question, and a file of ranks; None: none."""

    ask: str | None = None
    ranks: str | None = None
    features: str = "wordllama"
    exclude: Callable[[Texts], Any] | None = None
    """Texts that quote a benchmark of which a fair result is wanted: ``bool[N]``."""


def models(learned: Learned, given: Given, out: str, notify: Notify) -> dict[str, str]:
    """Train the filters that learn from texts, below the folder ``out``; the address of each by its name.

    Raises `EvidenceError` where there is no good text, or none of the web.
    """
    _check(learned, out)
    folder = Path(join(out, f"models-{learned.digest}"))
    return {
        name: address(folder, learned, given, notify)
        for name, address in ((FASTTEXT, _fasttext), (PERPLEXITY, _perplexity), (TOPK, _topk), (EMBEDDING, _embedding))
    }


def _check(learned: Learned, out: str) -> None:
    """Refuse what the filters cannot learn from, before anything runs."""
    if not learned.good or not learned.web:
        raise EvidenceError("the filters learn from good texts and from texts of the web: give both, with --good and --web")
    if not is_local(out):
        raise EvidenceError(f"{out}: models are trained on this machine: give an --out on a disk")


def _fasttext(folder: Path, learned: Learned, given: Given, notify: Notify) -> str:
    from goldwash.classifiers.train import train

    place = folder / "fasttext"
    if not (place / "model.fold").is_file():
        train(learned.good, learned.web, place, notify=notify, exclude=given.exclude)
    return str(place / "model.fold")


def _perplexity(folder: Path, learned: Learned, given: Given, notify: Notify) -> str:
    from goldwash.classifiers.perplexity import train_ngram

    place = folder / "ngram"
    if not (place / "model.ngram").is_file():
        train_ngram(learned.good, place, notify=notify, exclude=given.exclude)
    return f"perplexity:{place / 'model.ngram'}"


def _topk(folder: Path, learned: Learned, given: Given, notify: Notify) -> str:
    from goldwash.classifiers.train import excluded
    from goldwash.evidence.proxies.saved import train_transformer

    place = folder / "gpt"
    if not (place / "model.gpt").is_file():
        texts = [e.text for e in learned.good]
        quoting = excluded(texts, given.exclude)
        if given.exclude is not None:
            notify(f"top-k: {sum(quoting):,} of {len(texts):,} good texts quote a benchmark and are not learned")
        texts = [text for text, out in zip(texts, quoting, strict=True) if not out]
        train_transformer(texts, place, GPT_SHAPE, GPT_TOKENS, notify=notify)
    return f"topk:{place / 'model.gpt'}#tokens={SCORED_TOKENS}"


def _embedding(folder: Path, learned: Learned, given: Given, notify: Notify) -> str:
    from goldwash.classifiers.linear import train_head

    place = folder / "embedding"
    if not (place / "model.head").is_file():
        train_head(learned.good, learned.web, given.features, place, notify=notify, exclude=given.exclude)
    return f"embedding:{place / 'model.head'}"


def variants(base: Recipe, addresses: Mapping[str, str]) -> list[Variant]:
    """No filter, and a variant for each address, by its name; SemDeDup keeps the fraction of the recipe's quality stage.

    Raises `EvidenceError` for a recipe whose last stage is not quality by a fraction.
    """
    last = base.stages[-1]
    fraction = last.config().get("fraction")
    if last.name != "quality" or fraction is None:
        raise EvidenceError(
            f"recipe {base.name} ends with {last.name}: the filters take the place of its last stage, expected quality with a "
            "fraction"
        )

    def variant(name: str, stage: Stage | None) -> Variant:
        stages = base.stages[:-1] if stage is None else (*base.stages[:-1], stage)
        return Variant(name, replace(base, stages=stages))

    made = [variant(NO_FILTER, None)]
    for name, address in addresses.items():
        config = {**last.config(), "model": address, "label": None, "column": None}
        made.append(variant(name, STAGES["quality"].of(config)))
    made.append(variant(SEMDEDUP, STAGES["semdedup"].of({"fraction": fraction})))
    return made


def ranks_of(made: Made, place: Place, notify: Notify) -> str:
    """Write the ranks of the hosts of a run's own pages, and return their file's name; `DataError` where there is no link."""
    file = join(place.out, "ranks.txt")
    graph = graph_of([f"{place.out}:extract"], notify)
    hosts, source, target = graph.edges()
    write_ranks(hosts, page_rank(len(hosts), source, target), file)
    return file


def run_filters(recipe: Base, learned: Learned, given: Given, place: Place, screen: Screen) -> tuple[list[Made], list[str]]:
    """Run no filter and each of the filters; what each made, and sentences about those that were left out."""
    base = load(recipe.recipe, recipe.settings, recipe.skip, recipe.keeps, screen.notify)
    _check(learned, place.out)
    first = run(fitted(variants(base, {})[:1], place, screen.notify), place, screen)  # from here on, the folder is a run's
    addresses, left_out = models(learned, given, place.out, screen.notify), list[str]()
    if given.ask is not None:
        addresses[ASK] = f"ask:{given.ask}"
    else:
        left_out.append("AskLLM was left out: it needs a server (--ask http://HOST:PORT/v1)")
    try:
        addresses[PAGERANK] = f"pagerank:{given.ranks or ranks_of(first[0], place, screen.notify)}"
    except DataError as error:
        left_out.append(f"PageRank was left out: {error}")
    made = run(fitted(variants(base, addresses), place, screen.notify), place, screen)
    return made, left_out
