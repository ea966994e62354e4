"""Word priors: against plain counting, what is unusual, and broken files."""

import math
import statistics
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.classifiers.examples import Example, TrainingError
from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.prior import prior, train_prior
from goldwash.filters.texts import Texts

RANDOM = np.random.RandomState(0)
SHARES = 1 / np.arange(1, 201)
USUAL = [" ".join(f"Word{n}" for n in RANDOM.choice(200, RANDOM.randint(30, 60), p=SHARES / SHARES.sum())) for _ in range(80)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prior")
    train_prior([Example(text, "a") for text in USUAL], folder)
    return folder / "model.prior"


def plain_moments(text):
    counts = Counter(word.lower() for usual in USUAL for word in usual.split())
    total = sum(counts.values())
    logs = [math.log(counts.get(word.lower(), 0.5) / total) for word in text.split()]
    return (statistics.fmean(logs), statistics.pstdev(logs)) if logs else (math.nan, math.nan)


@given(
    st.lists(st.lists(st.sampled_from(["word1", "WORD2", "word199", "other", "gold"]), max_size=8).map(" ".join), max_size=4)
)
def test_moments_are_those_of_plain_counting(place, texts):
    mean, deviation = prior(str(place), None).moments(Texts.of(texts))
    wanted = [plain_moments(text) for text in texts]
    np.testing.assert_allclose(mean, [pair[0] for pair in wanted], rtol=1e-6)
    np.testing.assert_allclose(deviation, [pair[1] for pair in wanted], atol=1e-5)


def test_unusual_texts_are_below_usual_ones(place):
    odd = ["word1 " * 40, "unknown foreign words alone here", "Word150 Word160 Word170 " * 9]
    found = prior(str(place), None).measure(Texts.of([*USUAL, *odd, ""]), None)
    assert np.isnan(found[-1])
    assert found[len(USUAL) : -1].max() < np.percentile(found[: len(USUAL)], 10)
    means = [plain_moments(text) for text in USUAL]
    centre = [statistics.median(column) for column in zip(*means, strict=True)]
    spread = [statistics.median(abs(x - c) for x in column) for column, c in zip(zip(*means, strict=True), centre, strict=True)]
    wanted = [-sum(abs(x - c) / s for x, c, s in zip(pair, centre, spread, strict=True)) for pair in means]
    np.testing.assert_allclose(found[: len(USUAL)], wanted, rtol=1e-4, atol=1e-4)


def test_a_saved_prior_scores_alike(place, tmp_path):
    one = prior(str(place), None)
    one.save(tmp_path / "again")
    assert prior(str(tmp_path / "again"), None).versions() == one.versions()
    assert (tmp_path / "again").read_bytes() == place.read_bytes()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "0 texts with 0 words are too few for priors: give 20 or more"),
        (["a b"] * 50, "1 texts with 2 words are too few"),
        ([f"same words w{n}" for n in range(50)], "have the same mean or deviation of word priors"),
    ],
)
def test_texts_that_are_too_few_or_too_equal(tmp_path, texts, message):
    with pytest.raises(TrainingError, match=message):
        train_prior([Example(text, "a") for text in texts], tmp_path)


def test_excluded_texts_do_not_count_and_are_counted(place, tmp_path):
    def exclude(texts):
        return np.array(["secret" in text for text in texts])

    secret = [Example(f"word1 secret {n}", "b") for n in range(1500)]
    report = train_prior([*secret, *(Example(text, "a") for text in USUAL)], tmp_path, exclude=exclude)
    assert (report["texts"], report["excluded"]) == (len(set(USUAL)), 1500)
    assert (tmp_path / "model.prior").read_bytes() == place.read_bytes()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
def test_files_that_are_no_priors(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ModelError, match=r"is not a whole file of priors .*goldwash train --kind prior"):
        prior(str(tmp_path / "a"), None)
    with pytest.raises(ModelError, match="prior: there are no labels"):
        prior(str(tmp_path / "a"), "hq")
