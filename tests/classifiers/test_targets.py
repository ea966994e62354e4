"""Similarity to targets: the largest cosine, the guard against leakage, and files of other embeddings."""

import json

import numpy as np
import pytest

from goldwash.classifiers.examples import Example, TrainingError
from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.targets import targets, train_targets
from goldwash.filters.texts import Texts
from goldwash.pipeline.decontamination.benchmarks import quoting
from tests.support.embeddings import write_embedding

WORDS = {"gold": [1.0, 0.0], "mud": [0.0, 1.0], "river": [0.6, 0.8]}
QUESTION = "What is it that shines at the bottom of the pan in the light of the morning sun"


@pytest.fixture
def place(tmp_path) -> str:
    return str(write_embedding(tmp_path / "embedding", WORDS))


def test_the_score_is_the_largest_cosine(place, tmp_path):
    report = train_targets([Example("gold", "a", "A"), Example("river", "b", "B"), Example("?", "c", "B")], place, tmp_path)
    made = targets(str(tmp_path / "model.targets"), None)
    found = made.measure(Texts.of(["gold", "mud", "gold mud", "", "river river"]), None)
    wanted = [1.0, 0.8, (0.6 + 0.8) / 2**0.5, np.nan, 1.0]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert (report["targets"], report["wordless"], report["sources"]) == (2, 1, {"A": 1, "B": 1})
    assert "no benchmarks were named" in report["warnings"][0]
    made.save(tmp_path / "again")
    assert targets(str(tmp_path / "again"), None).versions() == made.versions()


def test_targets_that_quote_a_benchmark_are_left_out(place, tmp_path):
    (tmp_path / "bench.csv").write_text(f"question,choice0,choice1,answer\n{QUESTION}?,Gold,Sand,0\n")
    examples = [Example(f"gold {QUESTION}? gold", "leak"), Example("river of gold", "train")]
    report = train_targets(examples, place, tmp_path / "out", exclude=quoting([str(tmp_path / "bench.csv")]))
    assert (report["targets"], report["excluded"], report["warnings"]) == (1, 1, [])
    with pytest.raises(TrainingError, match="no target is left of 1 texts: 1 quote a benchmark"):
        train_targets(examples[:1], place, tmp_path / "none", exclude=quoting([str(tmp_path / "bench.csv")]))


def test_order_and_repeats_do_not_matter(place, tmp_path):
    examples = [Example("gold", "a"), Example("mud", "a"), Example("river", "b")]
    for name, given in (("one", examples), ("two", [*examples[::-1], examples[0]])):
        train_targets(given, place, tmp_path / name)
    assert (tmp_path / "one/model.targets").read_bytes() == (tmp_path / "two/model.targets").read_bytes()
    assert json.loads((tmp_path / "one/report.json").read_text())["targets"] == 3


def test_an_embedding_of_another_dimension(place, tmp_path):
    train_targets([Example("gold", "a")], place, tmp_path / "out")
    write_embedding(tmp_path / "embedding", {"gold": [1.0, 0.0, 0.0]})
    with pytest.raises(ModelError, match=r"the targets have 2 numbers each, and the embedding .* has 3"):
        targets(str(tmp_path / "out/model.targets"), None)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
def test_files_that_are_no_targets(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ModelError, match=r"is not a whole file of targets .*goldwash train --kind target"):
        targets(str(tmp_path / "a"), None)
    with pytest.raises(ModelError, match="target: there are no labels"):
        targets(str(tmp_path / "a"), "hq")
