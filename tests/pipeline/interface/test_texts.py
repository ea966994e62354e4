"""Signals, scores, near-duplicates and benchmark items of texts in memory, against plain Python and the libraries."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import goldwash
from goldwash.classifiers.fasttext import ModelError
from goldwash.filters.signals import SIGNALS
from goldwash.filters.texts import Texts
from goldwash.pipeline.decontamination.benchmarks import items_of
from goldwash.pipeline.interface.texts import batches
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.storage.batches import BATCH_BYTES
from goldwash.pipeline.storage.failures import DataError
from tests.reference import REFERENCE

GOLD = "the pan and the river give the gold that the miner has sought for all his life and more"
TEXTS = ["One two. Three!\n\nfour", "", "Straße 🏅 " * 50, "a\nb\nc"]


@pytest.mark.parametrize("name", sorted(set(REFERENCE) & set(SIGNALS)))
def test_signals_are_those_of_plain_python(name: str) -> None:
    try:
        bound = SIGNALS[name].bind()
    except ValueError:
        pytest.skip(f"{name} needs parameters")
    texts = ["https://a.example.com/b", ""] if bound.column == "url" else TEXTS
    values = goldwash.measure(texts, name)[name]
    assert values.tolist() == pytest.approx([REFERENCE[name](text) for text in texts], nan_ok=True)


def test_several_signals_and_parameters() -> None:
    table = pa.table({"body": ["a b", "c"], "link": ["https://a.example/gold", None]})
    hosts = SIGNALS["url_word_count"].bind(phrases=("gold",))
    found = goldwash.measure(table, "word_count", hosts, text="body", url="link")
    assert {name: values.tolist() for name, values in found.items()} == {"word_count": [2, 1], "url_word_count": [1, 0]}


def test_measuring_in_batches_changes_nothing() -> None:
    texts = ["gold " * 50_000, "", "pan " * 400_000, "river"] * 3
    assert goldwash.measure(texts, "word_count")["word_count"].tolist() == [len(text.split()) for text in texts]
    some = batches(Texts.of(texts))
    assert len(some) > 3
    assert [text for batch in some for text in batch] == texts
    assert [len(b) for b in batches(Texts.of([]))] == [0]
    assert all(batch.bytes <= 2 * BATCH_BYTES or len(batch) == 1 for batch in some)
    assert goldwash.measure([], "word_count")["word_count"].tolist() == []


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: goldwash.measure(["a"]), TypeError, "give at least one signal"),
        (
            lambda: goldwash.measure(["a"], "word_counts"),
            RecipeError,
            "no signal is called 'word_counts': did you mean 'word_count'",
        ),
        (lambda: goldwash.measure(["a"], 3), TypeError, "expected a signal, or the name of one; found int"),
        (lambda: goldwash.measure("a", "word_count"), TypeError, "put one text into a list"),
        (lambda: goldwash.measure(["a"], "word_count", "word_count"), TypeError, "two of the signals have the same name"),
        (
            lambda: goldwash.measure(pa.table({"text": ["a"], "n": [1]}), SIGNALS["url_word_count"].bind(phrases=("a",))),
            DataError,
            "url_word_count measures URLs, and there is no column 'url'",
        ),
    ],
)
def test_errors_name_what_was_expected(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_classifier_scores_as_fasttext_does(model) -> None:
    import fasttext

    native = fasttext.load_model(str(model.with_name("model.bin")))
    texts = ["gold in the pan", "click here to win", ""]
    loaded = goldwash.classifier(str(model))
    found = loaded(texts)
    assert found.dtype == np.float32
    for text, score in zip(texts, found.tolist(), strict=True):
        told = dict((label, p) for p, label in native.f.predict(text + "\n", 2, 0.0, "strict"))
        assert score == pytest.approx(told["__label__hq"], abs=1e-4)
    assert set(loaded.labels) == {"hq", "cc"}
    assert loaded(texts, label="cc").tolist() == pytest.approx((1 - found).tolist(), abs=1e-5)
    assert loaded(pa.table({"body": texts}), text="body").tolist() == found.tolist()
    assert goldwash.classifier(str(model), "cc")([]).tolist() == []


def test_languages() -> None:
    labels, probabilities = goldwash.classifier("lid.176.ftz").likeliest(
        ["This is a sentence in plain English.", "Dies ist ein deutscher Satz.", "..."]
    )
    assert labels == ["en", "de", ""]
    assert (probabilities[:2] > 0.5).all()
    assert probabilities[2] == 0


def test_a_label_that_there_is_not(model) -> None:
    with pytest.raises(ModelError, match=r"has no label 'good'; it has: "):
        goldwash.classifier(str(model), "good")


def test_near_duplicates_are_grouped() -> None:
    other = "something else altogether is said in this text that has nothing to do with mines"
    texts = [GOLD, other, GOLD + " so", "", GOLD.upper(), other + "."]
    found = goldwash.near_duplicates(texts)
    assert [sorted(group) for group in found.groups] == [[1, 5], [0, 2, 4]] or [sorted(g) for g in found.groups] == [
        [0, 2, 4],
        [1, 5],
    ]
    assert sorted(found.kept.tolist()) == sorted([found.groups[0][0], found.groups[1][0], 3])
    assert found.copy_of[2] == 2, "the longest is kept"
    assert goldwash.near_duplicates(texts, keep="first").kept.tolist() == [0, 1, 3]
    assert goldwash.near_duplicates([]).groups == []


def test_near_duplicates_do_not_depend_on_workers(sample_run) -> None:
    (folder,) = sample_run.glob("01-extract-*")
    texts = pa.concat_tables([pq.read_table(file, columns=["text"]) for file in sorted(folder.glob("part-*.parquet"))])
    alone, two = (goldwash.near_duplicates(texts, workers=n) for n in (1, 2))
    assert alone.copy_of.tolist() == two.copy_of.tolist()
    assert alone.groups

    def shingles(row: int) -> set[tuple[str, ...]]:
        from uniseg.wordbreak import words

        cut = [w for w in words(texts["text"][row].as_py().lower()) if any(c.isalnum() for c in w)]
        return set(zip(*(cut[k:] for k in range(5)), strict=False)) or {tuple(cut)}

    for kept, *others in alone.groups:
        for row in others:
            one, other = shingles(kept), shingles(row)
            assert len(one & other) / len(one | other) >= 0.7 - 0.05, (kept, row)  # words are cut a little differently


def test_documents_that_quote_a_benchmark() -> None:
    item = next(iter(items_of("sample")))
    quoting = f"Here it is. {item.question} {' '.join(item.options)} And so on."
    table = pa.table({"text": ["nothing", quoting], "n": [1, 2]})
    result = goldwash.decontaminate(table, "sample")
    assert result.kept.to_pydict() == {"text": ["nothing"], "n": [1]}
    assert result.dropped["dropped_by"].to_pylist() == ["benchmark_item_count"]
    assert result.hits is not None
    assert result.hits["row"].to_pylist() == [1]
    assert item.name in result.hits["name"].to_pylist()
    marked = goldwash.decontaminate([quoting, "nothing"], ["sample"], action="annotate")
    assert marked.kept == [quoting, "nothing"]
    assert marked.table["benchmark_item_count"].to_pylist() == [1, 0]
    cut = goldwash.decontaminate([quoting], "sample", action="delete")
    assert item.question not in cut.kept[0]
