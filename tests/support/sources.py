"""Datasets made of the sample's prose: nine sources, mixtures of them, junk."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

from goldwash.evidence.compare.documents import Named
from goldwash.pipeline.sample import pages as made

SOURCES = tuple(made.TOPICS)[:9]
STYLES = tuple(made.STYLES)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def prose(topic: str, number: int, sentences: int = 8) -> str:
    """The text of a number in a source."""
    return " ".join(made.prose(topic, STYLES[number % len(STYLES)], sentences, Random(f"{topic}/{number}")))


def source(topic: str, count: int, first: int = 0, sentences: int = 8) -> list[str]:
    """Texts of a source."""
    return [prose(topic, first + n, sentences) for n in range(count)]


def junk(number: int, words: int = 130) -> str:
    """A text of random letters."""
    random = Random(f"junk/{number}")
    return " ".join("".join(random.choices(LETTERS, k=random.randrange(2, 9))) for _ in range(words))


def with_junk(texts: Sequence[str], percent: int) -> list[str]:
    """The texts, of which some percent are junk instead, spread evenly; more percent replace the same ones and others."""
    order = list(range(len(texts)))
    Random(0).shuffle(order)
    gone = set(order[: len(texts) * percent // 100])
    return [junk(n) if n in gone else text for n, text in enumerate(texts)]


def mixture(weights: Sequence[float], count: int) -> list[str]:
    """Texts of the nine sources by weight; a source gives its first texts, so that mixtures share them."""
    total = sum(weights)
    return [t for topic, w in zip(SOURCES, weights, strict=True) for t in source(topic, round(count * w / total))]


def written(path: Path, texts: Sequence[str]) -> Named:
    """A file of texts, as a dataset or target called after it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    return Named(path.name.partition(".")[0], (str(path),))
