"""How benchmarks are named and read, and what is said of those that cannot be had."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.filters import fetch
from goldwash.pipeline.decontamination import benchmarks
from goldwash.pipeline.decontamination.benchmarks import PUBLISHED, items_of
from goldwash.pipeline.stages import decontaminate
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.conftest import here, rows, shard
from tests.pipeline.storage.test_remote import Quiet, server  # noqa: F401  (a fixture)


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """No copy of a benchmark, and none remembered."""
    monkeypatch.delenv("GOLDWASH_BENCHMARKS", raising=False)
    caches = (decontaminate._items, decontaminate._items_digest, decontaminate._prepared)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


def read(path, content, columns=""):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(content), path)
    elif path.suffix == ".csv":
        path.write_text(content, "utf-8")
    else:
        path.write_text("\n".join(map(json.dumps, content)), "utf-8")
    return [(item.subject, item.question, item.options) for item in items_of(f"{path}{columns}")]


FORMS = {
    "hellaswag": ({"ctx": "A man", "endings": ["runs", "sits"], "label": "1"}, "A man", ("runs", "sits")),
    "arc": (
        {"question": "Why?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"},
        "Why?",
        ("a", "b"),
    ),
    "arc, numbered": (
        {"question": "Why?", "choices": {"text": ["a", "b"], "label": ["1", "2"]}, "answerKey": "2"},
        "Why?",
        ("a", "b"),
    ),
    "gsm8k": ({"question": "How many?", "answer": "He has 3.\n#### 3"}, "How many?", ()),
    "boolq": ({"question": "is it gold", "passage": "Gold is a metal.", "answer": True}, "is it gold", ()),
    "triviaqa": ({"question": "Who?", "answer": {"value": "She", "aliases": ["Her"]}}, "Who?", ()),
    "mmlu": ({"question": "Which?", "subject": "law", "choices": list("abcd"), "answer": 3}, "Which?", tuple("abcd")),
    "piqa": ({"goal": "Pan gold", "sol1": "swirl", "sol2": "sit", "label": 1}, "Pan gold", ("swirl", "sit")),
    "winogrande": ({"sentence": "It shone.", "option1": "pan", "option2": "mud", "answer": "2"}, "It shone.", ("pan", "mud")),
    "harness": ({"doc": {"question": "Which?", "choices": ["a", "b"], "answer": 1}, "resps": [["x"]]}, "Which?", ("a", "b")),
    "llm-foundry, multiple choice": ({"query": "Which?", "choices": ["a", "b"], "gold": 0}, "Which?", ("a", "b")),
    "llm-foundry, language modelling": ({"context": "Gold is", "continuation": "heavy"}, "Gold is", ()),
    "text": ({"text": "A whole passage."}, "A whole passage.", ()),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_forms(tmp_path, form, suffix):
    row, question, options = FORMS[form]
    if form == "harness" and suffix == ".parquet":
        pytest.skip("logged samples are JSONL")
    assert read(tmp_path / f"file{suffix}", [row, row], "") == [(row.get("subject", "file"), question, options)] * 2


def test_eleven_options_stay_in_order(tmp_path):
    row = {"question": "Which?", **{f"choice{n}": f"c{n}" for n in range(11)}, "answer": 10}
    assert read(tmp_path / "a.jsonl", [row])[0][2] == tuple(f"c{n}" for n in range(11))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "frage,a,b\nWarum?,darum,nie\n"),
        ("a.jsonl", [{"frage": "Warum?", "a": "darum", "b": "nie", "c": 3}]),
        ("a.parquet", [{"frage": "Warum?", "a": "darum", "b": "nie"}]),
    ],
)
def test_named_columns(tmp_path, name, content):
    assert read(tmp_path / name, content, "::frage, a,b") == [("a", "Warum?", ("darum", "nie"))]
    assert read(tmp_path / name, content, "::frage") == [("a", "Warum?", ())]
    with pytest.raises(DataError, match=rf"{name}, row 0: no column 'choices'; it has frage, a, b"):
        items_of(f"{tmp_path / name}::frage,choices")
    with pytest.raises(DataError, match=rf"{name}"):
        items_of(str(tmp_path / name))


def test_named_columns_may_hold_lists_and_blanks(tmp_path):
    assert read(tmp_path / "a.jsonl", [{"q": "Why?", "o": ["a", "", "b"], "p": None}], "::q,o,p") == [("a", "Why?", ("a", "b"))]
    with pytest.raises(DataError, match=r"a\.jsonl, row 1: the column 'q' is empty"):
        read(tmp_path / "a.jsonl", [{"q": "Why?"}, {"q": " "}], "::q")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"question": "Why?", "choices": ["a", "b"], "answer": 2}], "row 0: the answer is 2, and there are 2 options"),
        ([{"question": "Why?", "choices": ["a", "b"], "answer": "C"}], "row 0: the answer is C, and there are 2 options"),
        (
            [{"question": "x", "choices": ["a"], "gold": 0}, {"query": "x", "choices": ["a"], "gold": 1}],
            "row 1: the answer is 1",
        ),
        ([{"sentence": "The _", "option1": "a", "option2": "b", "answer": "3"}], "row 0: the answer is 3"),
        ([{"question": "Why?"}, {"question": ""}], "row 1: found columns question; expected `question`"),
        ([{"q": "x"}], "row 0: found columns q; expected `question` .* other columns are named as .*a.jsonl::QUESTION,OPTION"),
        ([{"question": "Why?"}, 7], "row 1: expected an object, found int"),
    ],
)
def test_bad_rows_are_named(tmp_path, content, message):
    with pytest.raises(DataError, match=rf"benchmark file .*a\.jsonl, {message}"):
        read(tmp_path / "a.jsonl", content)


@pytest.mark.parametrize("answer", [0, 1, "0", "A", "b", "a text that is none of them", None, "", True])
def test_answers_that_pass(tmp_path, answer):
    assert read(tmp_path / "a.jsonl", [{"question": "Why?", "choices": ["x", "y"], "answer": answer}])


def test_names_are_unique_over_dev_and_test(tmp_path):
    for part in ("dev", "test"):
        (tmp_path / "mmlu" / part).mkdir(parents=True)
        (tmp_path / "mmlu" / part / f"law_{part}.csv").write_text("Which one?,a,b,c,d,A\n")
    assert [item.name for item in items_of(str(tmp_path / "mmlu"))] == ["mmlu/law_dev/0", "mmlu/law/0"]


# --- mmlu, by its name


@pytest.fixture
def offline(tmp_path, monkeypatch):
    url_to_fs = fetch.fsspec.core.url_to_fs

    def cut_off(place, *rest, **more):
        if "://" in place:
            raise OSError(f"no way to {place}")
        return url_to_fs(place, *rest, **more)

    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch.fsspec.core, "url_to_fs", cut_off)


CURE = (
    r"benchmark mmlu: hf://datasets/cais/mmlu/all/test-00000-of-00001\.parquet could not be fetched .*"
    r"--set decontaminate\.benchmarks=folder-of-csv.*\$GOLDWASH_BENCHMARKS/mmlu.*--skip decontaminate"
)


def test_offline_without_a_copy(offline):
    with pytest.raises(DataError, match=CURE):
        items_of("mmlu")


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_every_published_name_tells_its_file(offline, name):
    with pytest.raises(DataError, match=f"benchmark {name}: {PUBLISHED[name]} could not be fetched"):
        items_of(name)


def test_a_run_of_baseline_offline_stops_before_its_first_stage(offline, cli, sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["run", "baseline", "--input", sample / "crawl", "--out", "run", "--workers", "1"]
    code, printed, error = cli(*words)
    assert code == 1
    for word in ("hf://datasets/cais/mmlu", "$GOLDWASH_BENCHMARKS/mmlu", "--skip decontaminate"):
        assert word in error
    assert "Traceback" not in error + printed
    assert not list(tmp_path.glob("run/0*"))
    assert cli(*words, "--until", "extract")[0] == 0  # it needs none


def mmlu_table(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rows_ = [{"question": "Which one?", "subject": s, "choices": list("abcd"), "answer": 1} for s in ("law", "law", "art")]
    pq.write_table(pa.Table.from_pylist(rows_), folder / "mmlu.parquet")


def test_a_copy_at_goldwash_benchmarks(offline, tmp_path, monkeypatch):
    mmlu_table(tmp_path / "copies" / "mmlu")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOLDWASH_BENCHMARKS", str(tmp_path / "copies"))
    assert [item.name for item in items_of("mmlu")] == ["mmlu/law/0", "mmlu/law/1", "mmlu/art/2"]
    inputs = [shard(tmp_path / "in.parquet", ["a", "b"])]
    stage = decontaminate.Decontaminate()
    stage.preflight()
    assert stage(inputs, str(tmp_path / "out"), here).kept.documents == 2
    assert len(rows(tmp_path / "out")) == 2


def test_fetched_once_and_kept(server, tmp_path, monkeypatch):  # noqa: F811
    mmlu_table(tmp_path / "sample")
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(benchmarks.PUBLISHED, "mmlu", f"{server}/mmlu.parquet")
    assert len(items_of("mmlu")) == 3
    (tmp_path / "sample" / "mmlu.parquet").unlink()
    assert [item.name for item in items_of("mmlu")] == ["mmlu/law/0", "mmlu/law/1", "mmlu/art/2"]
    with pytest.raises(DataError, match=r"benchmark http://.*/nothing\.parquet: .* could not be fetched"):
        items_of(f"{server}/nothing.parquet")
