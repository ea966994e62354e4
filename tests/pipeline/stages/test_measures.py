"""Every kind of measure by its address: as a column by `score`, as the ranking of `quality`, and in fingerprints."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.classifiers import topk
from goldwash.classifiers.examples import Example
from goldwash.classifiers.linear import train_head
from goldwash.classifiers.measures import KINDS
from goldwash.classifiers.ngram.model import NgramModel
from goldwash.classifiers.prior import train_prior
from goldwash.classifiers.scorers import scorer
from goldwash.classifiers.targets import train_targets
from goldwash.filters.fetch import FetchError
from goldwash.filters.texts import Texts
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stages.quality import Quality
from goldwash.pipeline.stages.score import Score
from tests.classifiers.test_ask import by_text
from tests.classifiers.test_topk import Little
from tests.pipeline.conftest import here, rows, shard
from tests.support.embeddings import write_embedding
from tests.support.servers import serving

GOOD = [f"the river carries gold down from the hills and stone {n} stays" for n in range(40)]
BAD = [f"buy mud now click here {n} !!!" for n in range(40)]
TEXTS = [GOOD[0], BAD[0], "", GOOD[1] + " gold gold", "mud", GOOD[2], "unknown"]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """A word for each kind, and a server for the one that needs it."""
    folder = tmp_path_factory.mktemp("models")
    words = {"gold": [1.0, 0.0], "river": [0.9, 0.1], "mud": [0.0, 1.0], "buy": [-0.5, 0.8]}
    place = str(write_embedding(folder / "embedding", words))
    good, bad = ([Example(text, "a") for text in texts] for texts in (GOOD, BAD))
    train_head(good, bad, place, folder / "head")
    train_targets(good, place, folder / "targets")
    train_prior([Example(f"{e.text} {'gold ' * (n % 7)}", "a") for n, e in enumerate(good + bad)], folder / "prior")
    NgramModel.of_texts(GOOD, vocabulary=300).save(folder / "model.ngram")
    (folder / "ranks.txt").write_text("#pr_pos\t#pr_val\t#host_rev\n1\t0.5\texample.a\n")
    (folder / "a.little").write_text("")
    topk.LOADERS["little"] = lambda place: Little()
    with serving(by_text) as server:
        yield {
            "perplexity": f"perplexity:{folder / 'model.ngram'}",
            "topk": f"topk:{folder / 'a.little'}#k=3",
            "embedding": f"embedding:{folder / 'head' / 'model.head'}",
            "ask": f"ask:{server.url}/v1",
            "pagerank": f"pagerank:{folder / 'ranks.txt'}",
            "prior": f"prior:{folder / 'prior' / 'model.prior'}",
            "target": f"target:{folder / 'targets' / 'model.targets'}",
        }
    del topk.LOADERS["little"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def inputs(tmp_path):
    return [shard(tmp_path / "in" / f"{n}.parquet", texts) for n, texts in enumerate((TEXTS[:4], [], TEXTS[4:]))]


def values_of(word):
    table = pa.table({"text": TEXTS, "url": ["https://a.example/x"] * len(TEXTS)})
    made = scorer(word)
    return made.columns(Texts.of(TEXTS), table)[made.score].to_pylist()


def test_the_table_is_of_every_kind(addresses):
    assert set(addresses) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_of_numbers(addresses, inputs, tmp_path, kind):
    wanted = values_of(addresses[kind])
    assert any(value is not None for value in wanted)
    assert all(value is None or math.isfinite(value) for value in wanted)
    stage = Score.of({"models": {"worth": addresses[kind]}})
    stage.preflight()
    stage.warm_up()
    stage(inputs, str(tmp_path / "out"), here)
    assert [row["worth"] for row in rows(tmp_path / "out")] == wanted
    schemas = {str(pq.read_schema(file).field("worth").type) for file in (tmp_path / "out").glob("part-*.parquet")}
    assert schemas == {"float"}


@pytest.mark.parametrize("kind", KINDS)
def test_quality_keeps_the_top_of_any_kind(addresses, inputs, tmp_path, kind):
    values = values_of(addresses[kind])
    stage = Quality.of({"model": addresses[kind], "fraction": 0.5})
    stage.preflight()
    stage.warm_up()
    stage(inputs, str(tmp_path / "one"), here)
    known = [n for n, value in enumerate(values) if value is not None]
    best = sorted(sorted(known, key=lambda n: (-values[n], n))[: math.ceil(len(known) / 2)])
    found = rows(tmp_path / "one")
    assert [row["text"] for row in found] == [TEXTS[n] for n in best]
    column = f"{kind}_{KINDS[kind][1]}"
    assert [row[column] for row in found] == [values[n] for n in best]
    if kind != "topk":  # its stand-in exists in this process alone
        stage(inputs, str(tmp_path / "two"), local(2))
        assert [row["text"] for row in rows(tmp_path / "two")] == [row["text"] for row in found]


@pytest.mark.parametrize(
    ("kind", "given", "label"),
    [
        ("ask", "#model=other&characters=4000", None), ("ask", "", "no"), ("ask", "#prompt={prompt}&concurrency=2", "no"),
        ("pagerank", "#column=pr_val", None), ("embedding", "", "cc"), ("topk", "&tokens=4", None),
    ],
)  # fmt: skip
def test_workers_use_settings_and_labels(addresses, inputs, tmp_path, kind, given, label):
    """Workers open the file that the stage wrote: its scores are those of the address with its settings."""
    (tmp_path / "prompt.txt").write_text("Is this about gold? ###{text}###")
    word = addresses[kind] + given.format(prompt=tmp_path / "prompt.txt")
    table = pa.table({"text": TEXTS, "url": ["https://a.example/x"] * len(TEXTS)})
    made = scorer(word, None, label)
    values = made.columns(Texts.of(TEXTS), table)[made.score].to_pylist()
    stage = Quality.of({"model": word, "label": label, "fraction": 1.0})
    stage.warm_up()
    stage(inputs, str(tmp_path / "out"), here)
    assert [row[made.score] for row in rows(tmp_path / "out")] == [value for value in values if value is not None]


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"ask", "topk"}))
def test_another_file_is_another_fingerprint(addresses, kind, tmp_path):
    place = Path(addresses[kind].partition(":")[2])
    copy = tmp_path / place.name
    copy.write_bytes(place.read_bytes())
    one = Quality.of({"model": f"{kind}:{copy}"}).fingerprint([])
    assert Quality.of({"model": f"{kind}:{copy}"}).fingerprint([]) == one
    if kind == "pagerank":
        copy.write_text(copy.read_text().replace("0.5", "0.25"))
    elif kind == "embedding":
        copy.write_text(copy.read_text().replace('"characters": 4096', '"characters": 4095'))
    else:
        other = NgramModel.of_texts(BAD, vocabulary=300) if kind == "perplexity" else None
        if other is not None:
            other.save(copy)
        else:
            with np.load(place, allow_pickle=False) as file:
                arrays = dict(file)
            name = "vectors" if kind == "target" else "logs"
            arrays[name] = arrays[name] * np.float32(0.5)
            with copy.open("wb") as opened:
                np.savez(opened, **arrays)
    assert Quality.of({"model": f"{kind}:{copy}"}).fingerprint([]) != one


@pytest.mark.parametrize("kind", KINDS)
def test_an_address_of_nothing(kind):
    with pytest.raises(RecipeError, match=f"{kind}: names no model: write {kind}:ADDRESS"):
        Quality.of({"model": f"{kind}:"})


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"ask", "topk"}))
def test_a_file_that_is_missing(kind, tmp_path):
    with pytest.raises(FetchError, match=r"no file at"):
        Quality.of({"model": f"{kind}:{tmp_path / 'none'}"}).preflight()


def test_an_entry_point_adds_a_language_model(monkeypatch, tmp_path):
    class Entry:
        value = "package.module:load"

        def load(self):
            return lambda place: Little(window=5)

    monkeypatch.setattr(topk, "entry_points", lambda group, name: [Entry()] if (group, name) == (topk.GROUP, "odd") else [])
    assert topk.language_model(str(tmp_path / "a.odd")).window == 5
