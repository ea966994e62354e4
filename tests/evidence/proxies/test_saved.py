"""Transformers that are kept: NumPy against JAX, the file, what top-k makes of them, and broken files."""

import json

import numpy as np
import pytest

pytest.importorskip("jax", reason="JAX is not installed: pip install 'goldwash[proxy]'")

import jax

from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.topk import topk
from goldwash.classifiers.transformer import transformer
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.proxies import gpt
from goldwash.evidence.proxies.saved import train_transformer
from goldwash.filters.texts import Texts

GOOD = [f"The river carries gold down from the hills, and stone {n} stays where it is." for n in range(60)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt")
    return train_transformer(GOOD, folder, (32, 2, 2), 30_000), folder


def test_numpy_and_jax_give_the_same_logits(made):
    model, _ = made
    ids = np.random.RandomState(0).randint(0, model.tokenizer.vocab + 2, (3, 40))
    params = {
        "embedding": model.parameters["embedding"], "norm": model.parameters["norm"],
        "blocks": [
            {name.partition(".")[2]: values for name, values in model.parameters.items() if name.startswith(f"{n}.")}
            for n in range(2)
        ],
    }  # fmt: skip
    wanted = np.asarray(jax.jit(gpt.logits, static_argnums=2)(params, ids, model.heads))
    np.testing.assert_allclose(model.logits(ids), wanted, atol=1e-3, rtol=1e-4)
    shares = np.exp(wanted - wanted.max(axis=-1, keepdims=True))
    found = np.exp(model.logits(ids) - wanted.max(axis=-1, keepdims=True))
    np.testing.assert_allclose(found / found.sum(-1, keepdims=True), shares / shares.sum(-1, keepdims=True), atol=1e-4)


def test_padding_behind_a_row_does_not_matter(made):
    model, _ = made
    ids = np.random.RandomState(1).randint(1, 200, (2, 20))
    np.testing.assert_allclose(model.logits(ids)[:, :7], model.logits(ids[:, :7]), atol=1e-4)


def test_the_file_is_read_again_and_scores(made, tmp_path):
    model, folder = made
    again = transformer(str(folder / "model.gpt"))
    np.testing.assert_array_equal(again.logits(np.array([[1, 2, 3]])), model.logits(np.array([[1, 2, 3]])))
    again.save(tmp_path / "model.gpt")
    assert (tmp_path / "model.gpt").read_bytes() == (folder / "model.gpt").read_bytes()
    texts = [GOOD[0].replace("stone", "sand"), "qzx jkv wpf zzq xkq bnm", "", "g"]
    found = topk(f"{folder / 'model.gpt'}#k=5", None).measure(Texts.of(texts), None)
    assert found[0] > found[1]
    assert np.isnan(found[2])
    assert found[3] < 0  # its first token is predicted from the end of a document


def test_equal_trainings_give_equal_files(made, tmp_path):
    train_transformer([*GOOD[::-1], GOOD[0]], tmp_path, (32, 2, 2), 30_000)
    assert (tmp_path / "model.gpt").read_bytes() == (made[1] / "model.gpt").read_bytes()


def test_no_text():
    with pytest.raises(EvidenceError, match="there is no text to train on"):
        train_transformer(["", ""], "nowhere")


@pytest.mark.parametrize("change", ["heads", "window", "kind", "missing", "shape", "text"])
def test_broken_files(made, tmp_path, change):
    with np.load(made[1] / "model.gpt", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    facts = json.loads(str(arrays["facts"]))
    facts |= {"heads": {"heads": 3}, "window": {"window": 1}, "kind": {"goldwash": "x"}}.get(change, {})
    arrays["facts"] = np.array(json.dumps(facts))
    if change == "missing":
        del arrays["1.out"]
    if change == "shape":
        arrays["norm"] = arrays["norm"][:-1]
    place = tmp_path / "a.gpt"
    with place.open("wb") as opened:
        np.savez(opened, **arrays)
    if change == "text":
        place.write_bytes(b"no file of arrays")
    with pytest.raises(ModelError, match=r"a\.gpt is not a whole transformer .*make it with `goldwash proxy`"):
        topk(str(place), None)
