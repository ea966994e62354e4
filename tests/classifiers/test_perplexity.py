"""Perplexity: of our n-gram models by their own counts, of KenLM's files by their numbers, and files that are neither."""

import gzip
import math
import sys

import numpy as np
import pytest

from goldwash.classifiers.examples import Example, TrainingError
from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.ngram.model import NgramModel
from goldwash.classifiers.perplexity import NgramSettings, perplexity, train_ngram
from goldwash.filters.texts import Texts

GOOD = [f"The river carries gold down from the hills, and stone {n} stays where it is." for n in range(60)]
ARPA = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1.0\t<unk>
0\t<s>\t-0.3
-0.7\t</s>
-0.5\tgold\t-0.2

\\2-grams:
-0.2\t<s> gold
-0.4\tgold </s>

\\end\\
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("ngram") / "model.ngram"
    made = NgramModel.of_texts(GOOD, vocabulary=400)
    made.save(path)
    return path, made


def test_the_score_is_the_mean_log_probability_per_byte(model):
    path, made = model
    texts = ["The river carries gold.", "gold 数学", "", "x" * 5000, "\n"]
    found = perplexity(str(path), None).measure(Texts.of(texts), None)
    for value, text in zip(found, texts, strict=True):
        if not text:
            assert math.isnan(value)
            continue
        ids, offsets = made.encode(Texts.of([text]))
        assert value == pytest.approx(math.log(2) * made.log2_probability(ids, offsets).sum() / len(text.encode()))
    assert found[0] > found[1]


def test_good_text_is_above_noise_lists_and_other_scripts(model):
    texts = [GOOD[3].replace("stone", "sand"), "qzx jkv wpf zzq xkq", "buy now!!! $$$ 90% off", "数学は楽しい。" * 5]
    found = perplexity(str(model[0]), None).measure(Texts.of(texts), None)
    assert found[0] > max(found[1:]) + 0.5


def test_a_saved_model_scores_alike(model, tmp_path):
    one = perplexity(str(model[0]), None)
    one.save(str(tmp_path / "again.ngram"))
    other = perplexity(str(tmp_path / "again.ngram"), None)
    assert one.versions() == other.versions()
    np.testing.assert_array_equal(one.measure(Texts.of(GOOD), None), other.measure(Texts.of(GOOD), None))


@pytest.mark.parametrize("packed", [False, True])
def test_a_kenlm_file(tmp_path, packed):
    pytest.importorskip("kenlm", reason="kenlm is not installed: pip install 'goldwash[kenlm]'")
    path = tmp_path / ("a.arpa.gz" if packed else "a.arpa")
    path.write_bytes(gzip.compress(ARPA.encode()) if packed else ARPA.encode())
    made = perplexity(str(path), None)
    texts = ["gold", "gold gold\nmud", "", " \n\n", "gold\n\n  gold"]
    line = {"gold": -0.2 - 0.4, "gold gold": -0.2 + (-0.2 - 0.5) - 0.4, "mud": (-0.3 - 1.0) - 0.7}  # back-offs by hand
    wanted = [line["gold"] / 2, (line["gold gold"] + line["mud"]) / 5, math.nan, math.nan, 2 * line["gold"] / 4]
    np.testing.assert_allclose(made.measure(Texts.of(texts), None), math.log(10) * np.array(wanted), rtol=1e-5)
    made.save(str(tmp_path / made.file_name if packed else tmp_path / "copy.arpa"))
    assert set(made.versions()) == {"model", "kenlm"}
    path.write_bytes(ARPA.encode()[:90])
    with pytest.raises(ModelError, match=r"is not a whole KenLM file .*make it again with lmplz"):
        perplexity(str(path), None)


def test_kenlm_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kenlm", None)
    (tmp_path / "other.arpa").write_text(ARPA.replace("-0.5", "-0.6"))
    with pytest.raises(ModelError, match=r"which needs kenlm: pip install 'goldwash\[kenlm\]'"):
        perplexity(str(tmp_path / "other.arpa"), None)


def test_excluded_texts_are_not_trained_on_and_are_counted(tmp_path):
    def exclude(texts):
        return np.array(["secret" in text for text in texts])

    settings = NgramSettings(vocabulary=300, order=2)
    good, secret = [Example(text, "a") for text in GOOD], [Example(f"secret {n}", "b") for n in range(1500)]
    for name, given in (("one", good), ("two", secret + good)):
        report = train_ngram(given, tmp_path / name, settings, exclude=exclude)
        assert (report["learned"] + report["held_out"], report["excluded"]) == (len(GOOD), len(given) - len(GOOD))
    assert (tmp_path / "one/model.ngram").read_bytes() == (tmp_path / "two/model.ngram").read_bytes()
    with pytest.raises(TrainingError, match=r"no text is left to train on: 1,500 were given, 1,500 quote a benchmark"):
        train_ngram(secret, tmp_path / "none", settings, exclude=exclude)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": 0}, "order is 0; expected a whole number of 1 or more"),
        ({"vocabulary": True}, "vocabulary is True; expected a whole number"),
        ({"held_out": 1}, "held_out is 1; expected a share from 0 to less than 1"),
        ({"held_out": "x"}, "held_out is 'x'; expected a number"),
    ],
)
def test_settings_that_are_refused(change, message):
    with pytest.raises(TrainingError, match=message):
        NgramSettings(**change)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 a zip", gzip.compress(b"text", mtime=0)])
def test_files_that_are_no_models(tmp_path, content):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(
        ModelError, match=r"is no n-gram model .*expected one of `goldwash train --kind ngram`, or a KenLM file"
    ):
        perplexity(str(tmp_path / "a.bin"), None)


def test_models_without_a_tokenizer_broken_ones_and_labels(model, tmp_path):
    NgramModel.train(np.array([0, 1, 1, 0], np.int32), np.array([0, 4]), 3).save(tmp_path / "bare.ngram")
    with pytest.raises(ModelError, match="has no tokenizer, so texts cannot be scored"):
        perplexity(str(tmp_path / "bare.ngram"), None)
    (tmp_path / "cut.ngram").write_bytes(model[0].read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"cut\.ngram"):
        perplexity(str(tmp_path / "cut.ngram"), None)
    with pytest.raises(ModelError, match="perplexity: there are no labels"):
        perplexity(str(model[0]), "hq")
