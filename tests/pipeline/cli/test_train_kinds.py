"""``goldwash train --kind``: each kind is trained, scores, and refuses what does not belong to it."""

import json

import pytest

from tests.pipeline.conftest import rows, shard

KINDS = {
    "linear": (["--negative", "bad.txt", "--features", "wordllama"], "embedding:model/model.head"),
    "ngram": (["--kind", "ngram", "--set", "vocabulary=300", "order=3"], "perplexity:model/model.ngram"),
    "prior": (["--kind", "prior"], "prior:model/model.prior"),
    "target": (["--kind", "target", "--features", "wordllama"], "target:model/model.targets"),
}


@pytest.fixture
def at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = [f"The river {'and its water ' * (n % 5)}carries gold from the hills past mill number {n}." for n in range(60)]
    (tmp_path / "good.txt").write_text("\n".join(good) + "\n")
    (tmp_path / "bad.txt").write_text("".join(f"Buy now, click here {n}!\n" for n in range(60)))
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_trained_and_scores(cli, at, kind):
    words, address = KINDS[kind]
    code, printed, error = cli("train", "--positive", "good.txt", "--out", "model", *words)
    assert code == 0, error
    assert f"goldwash score {address} --input SHARDS --out DIR" in printed
    assert ("| AUC |" in printed) == (kind == "linear")
    assert "no benchmarks were named" in error or kind != "target"
    assert json.loads((at / "model" / "report.json").read_text())
    shard(at / "in" / "a.parquet", ["The river carries gold past the mill.", "zzz qqq xxx", ""])
    assert cli("score", f"worth={address}", "--input", "in", "--out", "scored", "--workers", "1")[0] == 0
    found = [row["worth"] for row in rows(at / "scored")]
    assert found[0] > found[1]
    assert found[2] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--kind fasttext: give examples to drop, with --negative"),
        (["--kind", "ngram", "--negative", "bad.txt"], "--kind ngram: leave --negative out: it learns from good texts alone"),
        (["--kind", "linear", "--negative", "bad.txt"], "--kind linear: name an embedding, as --features wordllama"),
        (["--kind", "ngram", "--features", "wordllama"], "--kind ngram: leave --features out; it is for linear and target"),
        (["--kind", "ngrm"], "--kind ngrm: no such kind; did you mean 'ngram'?"),
        (["--kind", "ngram", "--set", "epoch=5"], "--set epoch: no such setting: "),
        (["--kind", "prior", "--set", "epoch=5"], "--set epoch: no such setting: --kind prior has none"),
        (["--kind", "ngram", "--seed", "5"], "--seed: no such setting"),
        (["--kind", "ngram", "--set", "order=0"], "order is 0; expected a whole number of 1 or more"),
        (["--negative", "bad.txt", "--features", "nowhere"], "embedding nowhere: no such embedding"),
    ],
)
def test_what_does_not_belong_to_a_kind(cli, at, words, message):
    code, _, error = cli("train", "--positive", "good.txt", "--out", "model", *words)
    assert code == 1
    assert message in error
    assert not (at / "model").exists() or not list((at / "model").iterdir())
