"""The Bloom pass said again in plain Python, with a set in place of the filter: the same rules and no false positives."""

from collections.abc import Sequence
from dataclasses import dataclass

from uniseg.wordbreak import words

from goldwash.pipeline.dedup.bloom import Pass


@dataclass
class Fate:
    dropped: bool
    text: str
    contained: int
    total: int
    removed: int


def tokens(text: str) -> list[str]:
    return [word for word in words(text) if not word.isspace()]


def ngrams(unit: Sequence[str], low: int, high: int) -> list[tuple[str, ...]]:
    if len(unit) >= high:
        return [tuple(unit[i : i + high]) for i in range(len(unit) - high + 1)]
    return [tuple(unit)] if len(unit) >= low else []


def run(documents: Sequence[str], parameters: Pass) -> list[Fate]:
    seen: set[tuple[str, ...]] = set()
    return [_one(text, parameters, seen) for text in documents]


def _one(text: str, p: Pass, seen: set[tuple[str, ...]]) -> Fate:
    units = [text] if p.mode == "documents" else text.split("\n")
    kept, contained, total = [True] * len(units), 0, 0
    for i, unit in enumerate(units):
        grams = ngrams(tokens(unit), p.min_n, p.max_n)
        found = sum(gram in seen for gram in grams)
        contained, total = contained + found, total + len(grams)
        if grams and found / len(grams) > p.threshold:
            kept[i] = False
        else:
            seen.update(grams)
    dropped = p.mode != "lines" and total > 0 and contained / total > p.threshold
    if total == 0 and p.short_documents and p.mode != "documents":
        grams = ngrams(tokens(text), 1, p.max_n)
        contained, total = sum(gram in seen for gram in grams), len(grams)
        dropped = total > 0 and contained / total > p.threshold
        if not dropped:
            seen.update(grams)
    if p.mode == "documents":
        return Fate(dropped, text, contained, total, 0)
    rest = "".join(("\n" if i else "") + unit for i, unit in enumerate(units) if kept[i])
    return Fate(dropped, rest, contained, total, kept.count(False))
