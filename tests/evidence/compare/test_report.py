"""Ranks, flips between learning rates, and the published reliability, from made-up bits."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from goldwash.classifiers.ngram.tokenizer import ByteTokenizer
from goldwash.evidence.compare import report
from goldwash.evidence.compare.documents import Dataset, Store
from goldwash.evidence.compare.experiment import Comparison, Data, Encoded, Measured, Settings
from goldwash.evidence.compare.kinds import KINDS
from goldwash.evidence.compare.learners import Ngrams, Transformer
from goldwash.evidence.compare.sampling import Tokens, pieces_of

TOKENIZER = ByteTokenizer.train(["gold"] * 3, 257)
NOTHING = np.zeros(len(KINDS))


@dataclass(frozen=True)
class Size:
    """A learner of made-up parameters."""

    parameters: float
    name: str = "made up"
    rate: float = 1e-4
    ending: str = "none"


def measured(learner: object, levels: tuple[float, ...], noise: float = 0.001) -> Measured:
    """Bits of 3 seeds on 20 documents of 100 bytes, at these bits per byte per dataset."""
    random = np.random.default_rng(0)
    bits = np.array([level * 100 + noise * 100 * random.normal(size=(1, 3, 20)) for level in levels])
    return Measured(learner, {"t": bits}, {"t": np.zeros((len(levels), len(KINDS)))}, 1_000_000)  # type: ignore[arg-type]


def comparison(*results: Measured) -> Comparison:
    count = len(results[0].bits["t"])
    store = Store(["gold"], [1], {1: 0})
    pieces = pieces_of(store, TOKENIZER)
    datasets = [Dataset("abc"[n], np.zeros(1, np.int64), 1, 4, 0, 1.0) for n in range(count)]
    tokens = Tokens(np.zeros(0, np.int32), np.zeros(21, np.int64))
    target = Encoded("t", tokens, np.full(20, 100.0), np.zeros((0, len(KINDS))), NOTHING, 0)
    data = Data(datasets, [pieces.of(d.rows) for d in datasets], pieces, [target], TOKENIZER)
    return Comparison(data, Settings(), [1000], [1.0] * count, [0.1] * count, results, ["a note"])


def test_ranks_are_ranges_where_nothing_is_told_apart() -> None:
    found = comparison(measured(Ngrams(257), (3.0, 2.0, 2.0005), 0.05))
    assert report.ranks(found, found.measured[0]) == [(3, 3), (1, 2), (1, 2)]
    words = report.sentences(found)
    assert all(rank in words[0] for rank in ("ranks by 5-gram: ", "b 1 to 2", "c 1 to 2", ", a 3"))
    assert "no difference shown" in words[1]
    assert "a note" in words


def test_a_ranking_that_flips_by_learning_rate_is_named() -> None:
    low, high = Transformer(257, "1M", 1e-5), Transformer(257, "1M", 1e-3)
    flipped = comparison(measured(high, (2.0, 2.2)), measured(low, (2.2, 2.0)))
    (line,) = report.flips(flipped)
    assert "the ranking of a and b flips by learning rate: b is better at 1e-05, a at 0.001" in line
    assert "2512.24503" in line
    assert line in report.sentences(flipped)
    (line,) = report.flips(comparison(measured(high, (2.0, 2.001), 0.2), measured(low, (2.2, 2.0))))
    assert "within the intervals" in line or "flips" in line
    assert report.flips(comparison(measured(high, (2.0, 2.2)), measured(low, (2.1, 2.2)))) == []
    assert report.flips(comparison(measured(Ngrams(257), (2.0, 2.2)), measured(low, (2.2, 2.0)))) == []


@pytest.mark.parametrize(
    ("learner", "expected"),
    [
        (Ngrams(257), ("no study ranks data for large models by n-grams", "0.73")),
        (Transformer(257, "1M"), ("gpt 1M", "0.73")),
        (Size(14.9e6), ("0.73",)),
        (Size(15e6), ("above 0.89",)),
        (Transformer(4096, "15M"), ("above 0.89",)),
    ],
)
def test_the_published_reliability_of_its_size_is_said(learner: object, expected: tuple[str, ...]) -> None:
    found = comparison(measured(learner, (2.0, 2.2)))
    line = report.reliability(found)[0]
    assert all(words in line for words in (*expected, "arXiv 2602.12237"))
    assert any("2606.07597" in other for other in report.reliability(found))
    repeated = replace(found, repeats=[1.0, 4.0])
    assert not any("2606.07597" in other for other in report.reliability(repeated))
