"""All kernels over a battery of hostile texts, as one JSON object: run as a program, to compare ways of compiling."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from goldwash.classifiers.fasttext import Folded
from goldwash.classifiers.ngram.model import NgramModel
from goldwash.classifiers.word_weights import weight_table
from goldwash.filters import edits, lines, personal_data, repetition, url, words  # noqa: F401  (they declare their signals)
from goldwash.filters.edits import KeepLines
from goldwash.filters.signals import EDITS, SIGNALS, Keep
from goldwash.filters.texts import Texts
from tests.support.strategies import HOSTILE_BATTERY

PHRASES = ("a.com", "x", "the", "read more", "é")
NEEDED: dict[str, dict[str, Any]] = {
    "phrase_count": {"phrases": PHRASES},
    "url_host_count": {"hosts": "package:datatrove/assets/banned_words.txt"},
    "url_substring_count": {"phrases": PHRASES, "ignoring": "-."},
    "url_word_count": {"phrases": PHRASES},
}
LONG = [
    "the a cat é 中文。。 unseen " * 90, "a\u2028the\x85" * 300, "cat\n" * 223 + "the", "cat " * 224, " " * 200 + "a " * 256,
    "é" * 900,
]  # fmt: skip
"""Texts of more words, or fewer, than are scored at a time."""
CUTS = ("lines", "stripped_lines", "paragraphs", "words", "uax29_words", "uax29_tokens")


def folded(word_ngrams: int) -> Folded:
    """A model of a few words with made-up weights."""
    random = np.random.default_rng(word_ngrams)
    known = Texts.of(["the", "a", "é", "中文。。", "</s>", "cat", "http://"])
    weights = random.normal(size=7).astype(np.float32).view(np.uint32)
    table = weight_table(known.utf8, known.starts, known.ends, weights)
    return Folded(("cc", "hq"), table, random.normal(size=97).astype(np.float32), word_ngrams)


def alone(text: str) -> Texts:
    """A text in a buffer that ends where it ends."""
    utf8 = np.frombuffer(text.encode(), np.uint8)
    return Texts(utf8, np.zeros(1, np.int64), np.array([len(utf8)]))


def results() -> Iterator[tuple[str, Any]]:
    """What each kernel says of the battery."""
    texts = Texts.of(HOSTILE_BATTERY)
    for name in sorted(name for name, signal in SIGNALS.items() if signal.function.__module__.startswith("goldwash.filters")):
        yield name, repr(SIGNALS[name].bind(**NEEDED.get(name, {})).measure(texts).tolist())
    for cut in CUTS:
        pieces = getattr(texts, cut)
        yield cut, [list(pieces), pieces.parents.tolist()]
        taken = texts.take(np.arange(len(texts))[::-3])
        yield f"taken {cut}", list(getattr(taken, cut))
    for name, parameters in (
        ("squeeze_newlines", {}),
        ("remove_citations", {}),
        ("mask_personal_data", {}),
        ("remove_urls", {}),
        ("remove_urls", {"bare_hosts": False}),
        ("remove_urls", {"only_after_tld": True}),
        ("delete_phrase", {"phrase": "sign-in"}),
        ("delete_phrase", {"phrase": "read more...", "position": "suffix", "dot_is_any_character": True}),
    ):
        rows = [EDITS[name].bind(**parameters)(Texts.of(["x\n" + text])) for text in HOSTILE_BATTERY]
        yield f"{name} {parameters}", [row[0] for row in rows]
    for name in ("uppercase_fraction", "counter_line_count", "word_count"):
        yield f"lines {name}", KeepLines(Keep(SIGNALS[name], max=0.4))(texts).to_arrow().to_pylist()
    for n in (1, 2, 3):  # without the compiler, a sum that begins with a float32 stays one: equal to 1e-7 or so
        yield f"fold {n}", folded(n).probability(texts, "hq").round(5).tolist()
        rows = [folded(n).probability(alone(text), "hq").round(5).tolist() for text in [*HOSTILE_BATTERY, *LONG]]
        yield f"fold {n}, at a buffer's end", rows
    whole = Texts.of(HOSTILE_BATTERY)
    offsets = np.concatenate([[0], np.cumsum(whole.byte_counts)])
    for order in (1, 2, 5):
        model = NgramModel.train(whole.utf8[: offsets[-1]], offsets, 256, order)
        asked = np.frombuffer("\n".join(LONG).encode(), np.uint8)
        yield f"n-gram table {order}", model.table.tolist()
        yield f"n-gram bits {order}", model.log2_probability(asked, [0, 7, 7, len(asked)]).round(9).tolist()


if __name__ == "__main__":
    json.dump(dict(results()), sys.stdout)
