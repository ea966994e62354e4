"""Several classifiers in one pass: folds, language models, other fastText models, and signals of one's own."""

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.classifiers import language
from goldwash.classifiers.fasttext import ModelError
from goldwash.classifiers.quality import scores
from goldwash.filters.fetch import FetchError
from goldwash.filters.signals import SIGNALS
from goldwash.filters.texts import Texts
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stages.score import Score, scorers_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.source import Input
from tests.pipeline.conftest import here, rows, shard

TEXTS = [
    "Why is the sky blue? Because the air scatters the light of the sun.", "Kaufen Sie jetzt! Nur heute! Sofort!", "", "   ",
    "buy now!\nclick here! buy !", "Le chat noir dort sur la table de la cuisine.", "... !!!",
]  # fmt: skip
MINE = '''
import numpy as np
from goldwash.filters import per_text
from goldwash.filters.signals import signal

@per_text
def score_test_shouts(text: str) -> float:
    """Exclamation marks."""
    return text.count("!")

@signal
def score_test_sizes(texts):
    """Bytes, whole numbers."""
    return texts.byte_counts

@signal(column="url")
def score_test_hosts(urls):
    """Bytes of the URL."""
    return urls.byte_counts
'''
USE = [{"file": "score_test.py", "source": MINE}]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Models of two labels of which none is known to be better, and of three."""
    folder = tmp_path_factory.mktemp("kinds")
    for name, labels in (("two", ("calm", "loud")), ("three", ("calm", "loud", "odd"))):
        words = {"calm": "the river flows by", "loud": "buy now ! click", "odd": "zig zag zog"}
        (folder / "lines.txt").write_text("".join(f"__label__{label} {words[label]}\n" for label in labels) * 60)
        made = fasttext.train_supervised(str(folder / "lines.txt"), dim=16, epoch=20, thread=1, verbose=0)
        made.save_model(str(folder / f"{name}.bin"))
    return folder


@pytest.fixture
def scored(tmp_path):
    """The rows of a stage over two shards (and one without a document) of these texts."""

    def run(models, use=(), **columns):
        inputs = [
            shard(tmp_path / "in" / "a.parquet", TEXTS[:4], **{k: v[:4] for k, v in columns.items()}),
            shard(tmp_path / "in" / "b.parquet", [], **{k: [] for k in columns}),
            shard(tmp_path / "in" / "c.parquet", TEXTS[4:], **{k: v[4:] for k, v in columns.items()}),
        ]
        stage = Score.of({"models": models, "use": use})
        stage.warm_up()
        report = stage(inputs, str(tmp_path / "out"), here)
        assert report.kept == report.read
        assert report.read.documents == len(TEXTS)
        assert not (tmp_path / "out" / "dropped").exists()
        return rows(tmp_path / "out")

    return run


def test_a_fold_a_language_model_and_ones_own_signals_in_one_pass(scored, model, tmp_path):
    found = scored(
        {
            "quality": str(model), "language": "lid.176.ftz", "shouts": "signal:score_test_shouts",
            "sizes": "signal:score_test_sizes", "hosts": "signal:score_test_hosts", "words": "signal:word_count",
        },
        USE,
        more=[f"kept {n}" for n in range(len(TEXTS))],
    )  # fmt: skip
    texts = Texts.of(TEXTS)
    assert [row["text"] for row in found] == TEXTS
    assert [row["more"] for row in found] == [f"kept {n}" for n in range(len(TEXTS))]
    assert [np.float32(row["quality_probability"]) for row in found] == scores(texts, model).tolist()
    labels, probabilities = language.likeliest(texts)
    assert [row["language"] for row in found] == labels.tolist()
    assert [row["language"] for row in found][:3] == ["en", "de", ""]
    assert [row["language_probability"] for row in found] == probabilities.astype(np.float32).tolist()
    assert [row["shouts"] for row in found] == [float(text.count("!")) for text in TEXTS]
    assert [row["sizes"] for row in found] == [len(text.encode()) for text in TEXTS]
    assert [row["hosts"] for row in found] == [len(row["url"]) for row in found]
    assert [row["words"] for row in found] == SIGNALS["word_count"].bind().measure(texts).tolist()
    schemas = [pq.read_schema(file) for file in sorted((tmp_path / "out").glob("part-*.parquet"))]
    assert len(schemas) == 3
    assert schemas[0].names == [
        "id", "url", "text", "more", "quality_probability", "language", "language_probability", "shouts", "sizes", "hosts",
        "words",
    ]  # fmt: skip
    for schema in schemas:
        assert schema.names == schemas[0].names
        assert schema.field("quality_probability").type == schema.field("language_probability").type == pa.float32()
        assert (schema.field("language").type, schema.field("sizes").type) == (pa.string(), pa.int64())


def test_several_models_score_as_each_alone(scored, model, kinds):
    together = scored({"a": str(model), "b": str(kinds / "three.bin")})
    texts = Texts.of(TEXTS)
    assert [np.float32(row["a_probability"]) for row in together] == scores(texts, model).tolist()
    labels, _ = language.likeliest(texts, str(kinds / "three.bin"))
    assert [row["b"] for row in together] == labels.tolist()


@pytest.mark.parametrize("name", ["two", "three"])
def test_a_model_without_a_better_label_says_the_likeliest(scored, kinds, name):
    found = scored({"mood": str(kinds / f"{name}.bin")})
    assert found[4]["mood"] == "loud"
    assert found[2]["mood"] == ""
    assert found[2]["mood_probability"] == 0
    native = fasttext.load_model(str(kinds / f"{name}.bin"))
    for row in found:
        if row["mood"]:
            best = native.f.predict(row["text"].replace("\n", " ") + "\n", 1, 0.0, "strict")[0]
            assert row["mood_probability"] == pytest.approx(best[0], abs=1e-4)


@pytest.mark.parametrize("name", ["two", "three"])
def test_a_label_that_is_named_is_the_score(scored, kinds, name):
    path = str(kinds / f"{name}.bin")
    found = scored({"loud": {"model": path, "label": "loud"}, "calm": {"model": path, "label": "calm"}})
    native = fasttext.load_model(path)
    assert set(found[0]) == {"id", "url", "text", "loud_probability", "calm_probability"}
    for row in found:
        line = " ".join(row["text"].strip().splitlines()) + "\n"
        own = {label.removeprefix("__label__"): p for p, label in native.f.predict(line, -1, 0.0, "strict")}
        for label in ("loud", "calm"):
            assert row[f"{label}_probability"] == pytest.approx(own[label], abs=1e-4)


def test_the_other_label_of_a_classifier(scored, model):
    found = scored({"good": str(model), "bad": {"model": str(model), "label": "cc"}})
    assert [row["good_probability"] + row["bad_probability"] for row in found] == pytest.approx([1] * len(TEXTS))


def test_a_label_that_looks_like_a_number_is_a_label(tmp_path):
    (tmp_path / "lines.txt").write_text("__label__1 the river\n__label__0 buy now\n" * 50)
    made = fasttext.train_supervised(str(tmp_path / "lines.txt"), dim=16, epoch=20, thread=1, verbose=0)
    made.save_model(str(tmp_path / "m.bin"))
    Score.of({"models": {"a": {"model": str(tmp_path / "m.bin"), "label": 0}}}).warm_up()
    (scorer,) = Score.of({"models": {"a": str(tmp_path / "m.bin")}}).scorers
    (column,) = scorer.columns(Texts.of(["the river", "buy now"]), Texts.of(["", ""])).values()
    assert column[0].as_py() > 0.5 > column[1].as_py()


def test_a_column_of_the_same_name_is_replaced(scored, model):
    found = scored({"quality": str(model)}, quality_probability=["old"] * len(TEXTS))
    assert all(isinstance(row["quality_probability"], float) for row in found)


# --- what cannot be


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({}, "give models, as `models: {quality: model.fold}`"),
        ({"q": ["a"]}, "models.q is .*expected a place, or {model: PLACE, label: LABEL}"),
        ({"q": None}, "models.q is None"),
        ({"q": {"label": "hq"}}, "models.q is {'label': 'hq'}; expected a place"),
        ({"q": {"model": "a", "column": "b"}}, "models.q is .*expected a place"),
        ({"q": "signal:wrod_count"}, "no signal is called 'wrod_count': did you mean 'word_count'"),
        ({"text": "signal:word_count"}, "models.text would replace the documents' own text: give another name"),
        ({"id": "lid.176.ftz"}, "models.id would replace the documents' own id"),
    ],
)
def test_models_that_cannot_be(models, message):
    with pytest.raises(RecipeError, match=message):
        Score.of({"models": models})


def test_a_wrong_label_is_found_before_the_work(model, kinds):
    for path in (model, kinds / "two.bin", kinds / "three.bin"):
        with pytest.raises(ModelError, match=r"the model has no label 'zz'; it has: \w+, \w+"):
            Score.of({"models": {"q": {"model": str(path), "label": "zz"}}}).warm_up()


def test_a_signal_that_needs_a_parameter_is_found_before_the_work():
    with pytest.raises(RecipeError, match="phrase_count needs the parameter 'phrases'"):
        Score.of({"models": {"q": "signal:phrase_count"}})


def test_a_model_that_is_not_there_or_is_none(tmp_path):
    with pytest.raises(FetchError, match=r"no file at .*gone\.bin"):
        Score.of({"models": {"q": str(tmp_path / "gone.bin")}}).warm_up()
    (tmp_path / "a.bin").write_text("no model at all")
    with pytest.raises(ModelError, match=r"a\.bin is not a fastText model"):
        Score.of({"models": {"q": str(tmp_path / "a.bin")}}).warm_up()


def test_a_shard_without_text(tmp_path, model):
    pq.write_table(pa.table({"content": ["a"]}), tmp_path / "a.parquet")
    stage = Score.of({"models": {"q": str(model)}})
    with pytest.raises(DataError, match="has no column 'text'"):
        stage([Input(str(tmp_path / "a.parquet"), 1, "a", 1)], str(tmp_path / "out"), here)
    with pytest.raises(DataError, match="row 0 is null"):
        stage([shard(tmp_path / "b.parquet", [None])], str(tmp_path / "out"), here)
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_shards_that_have_nothing_but_text(tmp_path, model):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["gold", "wash"]}), path)
    stage = Score.of({"models": {"q": str(model), "u": "signal:score_test_hosts"}, "use": USE})
    stage([Input(str(path), path.stat().st_size, "a", 2)], str(tmp_path / "out"), here)
    assert [row["u"] for row in rows(tmp_path / "out")] == [0, 0]


def test_the_digests_of_models_are_what_the_output_depends_on(model, kinds):
    models = {"q": str(model), "m": str(kinds / "two.bin"), "w": "signal:word_count"}
    assert set(Score.of({"models": models}).versions()) == {"model q", "model m"}


@pytest.mark.parametrize(
    ("words", "label", "models"),
    [
        (["m.fold"], None, {"quality": "m.fold"}),
        (["a=m.fold", "b=lid.176.ftz"], None, {"a": "m.fold", "b": "lid.176.ftz"}),
        (["m.fold", "b=n.bin"], None, {"quality": "m.fold", "b": "n.bin"}),
        (["a=m.fold"], "toxic", {"a": {"model": "m.fold", "label": "toxic"}}),
        (["runs/x=1/m.fold"], None, {"quality": "runs/x=1/m.fold"}),
        (["https://h.org/m.bin?a=b"], None, {"quality": "https://h.org/m.bin?a=b"}),
        (["q=https://h.org/m.bin?a=b"], None, {"q": "https://h.org/m.bin?a=b"}),
        (["hf://o/r/m.bin"], None, {"quality": "hf://o/r/m.bin"}),
        (["s=signal:word_count"], None, {"s": "signal:word_count"}),
    ],
)
def test_models_of_the_command_line(words, label, models):
    assert scorers_of(words, label) == models


def test_two_models_of_one_name():
    for words in (["a.bin", "b.bin"], ["x=a.bin", "x=b.bin"]):
        with pytest.raises(ModelError, match=r"two models are called (quality|x): name them, as NAME=b\.bin"):
            scorers_of(words, None)


# --- the command


def test_the_command_scores_with_all_of_them(cli, tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "score_test.py").write_text(MINE)
    shard(tmp_path / "in" / "a.parquet", TEXTS)
    models = [f"worth={model}", "language=lid.176.ftz", "shouts=signal:score_test_shouts"]
    code, printed, error = cli("score", *models, "--use", "score_test.py", "--input", "in", "--out", "out", "--workers", "1")
    assert code == 0, error
    assert "score" in printed
    found = rows(tmp_path / "out")
    assert set(found[0]) == {"id", "url", "text", "worth_probability", "language", "language_probability", "shouts"}
    assert [row["shouts"] for row in found] == [float(text.count("!")) for text in TEXTS]
    code, _, error = cli("score", "a=signal:wrod_count", "--input", "in", "--out", "other")
    assert code == 1
    assert "no signal is called 'wrod_count'" in error
    code, _, error = cli("score", f"a={model}", "--label", "zz", "--input", "in", "--out", "other")
    assert code == 1
    assert "no label 'zz'" in error
    assert not list((tmp_path / "other").glob("*.parquet"))


def test_in_a_recipe(cli, tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "score_test.py").write_text(MINE)
    (tmp_path / "mine.yaml").write_text(
        f"use: [score_test.py]\nstages:\n  - score:\n      models: {{worth: {model}, shouts: 'signal:score_test_shouts'}}\n"
    )
    shard(tmp_path / "in" / "a.parquet", TEXTS)
    code, _, error = cli("stage", "score", "--recipe", "mine.yaml", "--input", "in", "--out", "out", "--workers", "1")
    assert code == 0, error
    assert [row["shouts"] for row in rows(tmp_path / "out")] == [float(text.count("!")) for text in TEXTS]
