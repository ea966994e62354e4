import dataclasses
import json
from dataclasses import replace

import pytest

from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stage import claim, done
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.tokenization.tokenizers import MODELS
from tests.pipeline.conftest import here, shard
from tests.support.embeddings import write_embedding

STEP = {"keep": "word_count", "min": 1}
BENCHMARK = "question,choice0,choice1,answer\nWhat is it that shines at the bottom of the pan?,Gold,Sand,0\n"

CHANGES = {
    "extract": [
        {"extractor": "resiliparse_all"}, {"charset": "utf-8"}, {"html_only": False}, {"min_status": 0}, {"max_status": 999},
        {"keep_empty": True},
        {"extractor": "blocks", "form": "markdown"}, {"extractor": "blocks", "form": "markdown", "addresses": True},
        {"extractor": "blocks", "formulas": "dollars"}, {"extractor": "blocks", "comments": "none"},
        {"extractor": "blocks", "captions": False}, {"extractor": "blocks", "fallback": "best"},
        {"early": [STEP]}, {"early": [{"label": "language"}, {"keep": "language", "among": ["en"]}]},
        {"max_page_bytes": 1000}, {"max_page_seconds": 1.5}, {"keep_headers": True}, {"links": True}, {"optouts": True},
        {"split_bytes": 1 << 20}, {"use": [{"file": "nothing.py", "source": "z = 1"}]},
    ],
    "heuristics": [
        {"steps": [{**STEP, "min": 2}]}, {"steps": [STEP, {"edit": "squeeze_newlines", "max": 2}]},
        {"use": [{"file": "nothing.py", "source": "x = 1"}]}, {"annotate": True},
        {"max_text_bytes": 10},
    ],
    "exact": [
        {"by": ["url"]}, {"by": ["text", "url"]}, {"keep": "best"}, {"score": "worth"}, {"max_text_bytes": 10},
        {"copy_text": False},
    ],
    "minhash": [
        {"copy_text": False},
        {"ngram": 4}, {"bands": 20}, {"rows": 7}, {"bands": None, "rows": None, "threshold": 0.8}, {"permutations": 128},
        {"seed": 2}, {"check": 0.7}, {"keep": "first"}, {"score": "worth"},
        {"max_text_bytes": 10},
    ],
    "bloom": [
        {"mode": "lines"}, {"min_n": 5}, {"max_n": 20}, {"threshold": 0.5}, {"false_positive_rate": 0.1}, {"groups": 2},
        {"short_documents": True}, {"max_text_bytes": 10}, {"count_column": "n"},
    ],
    "semdedup": [
        {"embedding": "EMBEDDING"}, {"fraction": 0.5}, {"fraction": None, "similarity": 0.9}, {"clusters": 2},
        {"keep": "first"}, {"characters": 100}, {"rounds": 2}, {"seed": 3},
    ],
    "quality": [
        {"model": "sample"}, {"label": "cc"}, {"column": "worth"}, {"fraction": 0.2}, {"fraction": None, "threshold": 0.5},
        {"by": "bytes"}, {"use": [{"file": "nothing.py", "source": "w = 1"}]},
    ],
    "decontaminate": [
        {"benchmarks": ["sample"]}, {"benchmarks": []}, {"action": "delete"}, {"min_words": 8},
        {"rule": "ngram"}, {"ngram": 10}, {"min_coverage": 0.7}, {"min_information": 50.0}, {"max_documents": 10},
        {"max_text_bytes": 10},
    ],
    "robots": [{"named_only": True}],
    "score": [
        {"models": {"quality": "other"}}, {"models": {"worth": "MODEL"}}, {"models": {"quality": "MODEL", "more": "MODEL"}},
        {"models": {"quality": {"model": "MODEL", "label": "cc"}}}, {"models": {"quality": "signal:word_count"}},
        {"use": [{"file": "nothing.py", "source": "y = 1"}]},
    ],
    "tokenize": [
        {"tokenizer": "TOKENIZER"}, {"eot": 0}, {"sequence_length": 1024}, {"sequence_length": None, "formats": ["olmo"]},
        {"formats": ["mds", "megatron"]}, {"formats": []}, {"seed": 1}, {"seed": None}, {"tag": "URL: {host}"},
        {"cooldown": 0.2}, {"source": "web"}, {"score": "worth"}, {"weights": {"web": 0.5, "books": 0.5}},
        {"weights": {"web": 1.0}, "tokens": 100}, {"max_repeats": 2.0}, {"shard_tokens": 1 << 20},
        {"memory_tokens": 1 << 20}, {"max_text_bytes": 10}, {"faster": False},
    ],
    "mix": [
        {"sources": {"web": {"max_repeats": 2}}}, {"tokens": "8.2B"}, {"bytes": "1T"}, {"documents": "all"},
        {"bytes_per_token": 4.5}, {"max_repeats": 2.0}, {"columns": ["date"]}, {"seed": 1}, {"shard_bytes": 1000},
        {"sources": {"web": {"split": ["topic", {"column": "score", "quantiles": 20}], "weights": {"a": 1.0}, "curve": True}}},
    ],
    "pack": [{"shard_bytes": 1000}, {"order": "shuffled"}, {"seed": 1}, {"chunking": True}, {"tokenizer": "goldwash"}],
}  # fmt: skip
CASES = [(name, change) for name, changes in CHANGES.items() for change in changes]


@pytest.fixture
def base(model, tmp_path):
    """Each stage's parameters, with files that exist."""
    (tmp_path / "bench.csv").write_text(BENCHMARK)
    return {
        "extract": {}, "heuristics": {"steps": [STEP]}, "exact": {}, "minhash": {}, "bloom": {}, "semdedup": {}, "robots": {},
        "quality": {"model": str(model)},
        "decontaminate": {"benchmarks": str(tmp_path / "bench.csv")}, "score": {"models": {"quality": str(model)}},
        "tokenize": {},
        "mix": {}, "pack": {},
    }  # fmt: skip


def test_the_tables_know_every_stage_and_every_field():
    assert set(CHANGES) == set(STAGES)
    for name, changes in CHANGES.items():
        assert {key for change in changes for key in change} == {f.name for f in dataclasses.fields(STAGES[name])}


@pytest.fixture(scope="session")
def little(tmp_path_factory):
    """An embedding."""
    return write_embedding(tmp_path_factory.mktemp("embedding"), {"gold": [1.0, 0.0], "mud": [0.0, 1.0]})


def placed(change, model, other, little):
    """A change with the paths of the model, of another, of an embedding and of a tokenizer."""
    text = json.dumps(change)
    places = {"MODEL": model, "other": other, "EMBEDDING": little, "TOKENIZER": _tokenizer(little.parent)}
    for name, path in places.items():
        text = text.replace(f'"{name}"', json.dumps(str(path)))
    return json.loads(text)


def _tokenizer(folder):
    """A tokenizer that is not the built-in one."""
    made = json.loads((MODELS / "goldwash.json").read_text("utf-8"))
    made["model"]["merges"].pop()
    path = folder / "other-tokenizer.json"
    path.write_text(json.dumps(made), "utf-8")
    return path


@pytest.mark.parametrize(("name", "change"), CASES)
def test_a_stage_is_made_again_from_its_config(name, change, base, model, little):
    stage = STAGES[name].of({**base[name], **placed(change, model, model, little)})
    config = json.loads(json.dumps(stage.config()))
    again = STAGES[name].of(config)
    assert again == stage
    assert again.config() == config
    assert again.fingerprint([]) == stage.fingerprint([])


@pytest.mark.parametrize(("name", "change"), CASES)
def test_every_field_moves_the_identity(name, change, base, model, tmp_path, little):
    other = tmp_path / "other.fold"
    other.write_bytes(model.read_bytes() + b"x")
    stage, changed = STAGES[name].of(base[name]), STAGES[name].of({**base[name], **placed(change, model, other, little)})
    assert stage.fingerprint([]) != changed.fingerprint([])


@pytest.mark.parametrize("name", CHANGES)
def test_inputs_move_the_identity(name, base):
    stage = STAGES[name].of(base[name])
    one, other = Input("a", 1, "stamp", 3), Input("b", 1, "other stamp", 3)
    found = [stage.fingerprint(i) for i in ([], [one], [other], [one, other], [other, one], [replace(one, rows=4)])]
    assert len(set(found)) == len(found)
    assert stage.fingerprint([one]) == stage.fingerprint([replace(one, path="moved")])


def test_a_list_a_model_and_a_benchmark_move_the_identity_by_their_content(base, tmp_path, model):
    words = tmp_path / "words.txt"
    words.write_text("gold\n")
    steps = {"steps": [{"keep": "url_word_count", "phrases": str(words), "max": 0}]}
    before = STAGES["heuristics"].of(steps).fingerprint([])
    words.write_text("silver\n")
    assert STAGES["heuristics"].of(steps).fingerprint([]) != before


@pytest.mark.parametrize("name", CHANGES)
def test_an_unknown_parameter_gets_the_nearest_name(name, base):
    field = dataclasses.fields(STAGES[name])[0].name
    with pytest.raises(RecipeError, match=rf"stage {name} has no parameter '{field}x': did you mean '{field}'"):
        STAGES[name].of({**base[name], f"{field}x": 1})
    with pytest.raises(RecipeError, match=rf"no parameter 'zzz': known: .*{field}"):
        STAGES[name].of({"zzz": 1})


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("extract", {"min_status": "200"}, "min_status is '200'; expected int"),
        ("extract", {"min_status": True}, "min_status is True; expected int"),
        ("extract", {"html_only": 1}, "html_only is 1; expected bool"),
        ("extract", {"charset": "latin"}, "charset is 'latin'; expected one of 'detect', 'utf-8'"),
        ("bloom", {"threshold": "0.8"}, "threshold is '0.8'; expected float"),
        ("bloom", {"threshold": None}, "threshold is None; expected float"),
        ("bloom", {"mode": "old-both"}, "expected one of 'both', 'lines', 'documents'"),
        ("quality", {"fraction": "a tenth"}, "fraction is 'a tenth'; expected float | None"),
        ("quality", {"fraction": 0}, "expected a number above 0"),
        ("quality", {"fraction": 1.5}, "expected a number above 0"),
        ("quality", {"threshold": 0.5}, "give fraction or threshold, not both"),
        ("quality", {"fraction": None}, "give fraction or threshold"),
        ("decontaminate", {"benchmarks": [1]}, r"benchmarks is \[1\]"),
        ("decontaminate", {"action": "remove"}, "expected one of 'drop', 'delete', 'annotate'"),
        ("quality", {"by": ""}, "by is empty; expected documents, bytes, or a column such as token_count"),
        ("quality", {"by": 3}, "by is 3; expected str"),
        ("heuristics", {"steps": {"keep": "word_count"}}, "steps is"),
        ("score", {}, "give models, as `models: {quality: model.fold}`"),
        ("score", {"models": {}}, "give models"),
        ("score", {"models": ["a.bin"]}, r"models is \['a.bin'\]; expected Mapping"),
        ("score", {"models": {"q": 5}}, "models.q is 5; expected a place, or {model: PLACE, label: LABEL}"),
        ("score", {"models": {"q": {"label": "hq"}}}, "models.q is {'label': 'hq'}; expected a place"),
        ("score", {"models": {"q": {"model": "a", "lable": "hq"}}}, "models.q is .*expected a place"),
        ("score", {"models": {"q": "signal:wrod_count"}}, "no signal is called 'wrod_count': did you mean 'word_count'"),
        ("tokenize", {"formats": ["opnelm"]}, "no format of tokens is called 'opnelm': did you mean 'openlm'"),
        ("tokenize", {"formats": ["jsonl"]}, "no format of tokens is called 'jsonl'"),
        ("tokenize", {"formats": ["mds", "mds"]}, "expected each once"),
        ("tokenize", {"formats": ["openlm", "mds"]}, "openlm have 2049 tokens, mds have 2048 tokens: give each its own run"),
        ("tokenize", {"sequence_length": 1}, "sequence_length is 1; expected 2 or more"),
        ("tokenize", {"sequence_length": 4096, "shard_tokens": 100}, "shard_tokens is 100, less than a sequence of 4096"),
        ("tokenize", {"seed": -1}, "seed is -1"),
        ("tokenize", {"cooldown": 1.5}, "cooldown is 1.5; expected 0 to 1"),
        ("tokenize", {"tag": "URL: {host"}, "tag is .*expected text with fields"),
        ("tokenize", {"tag": "{}"}, "tag is '{}': expected fields as {host}"),
        ("tokenize", {"tag": "{host!r}"}, "expected fields as {host}"),
        (
            "tokenize",
            {"weights": {"web": 0.7, "books": 0.4}},
            r"add up to 1.1; expected 1: in proportion, {web: 0.636364, books",
        ),
        ("tokenize", {"weights": {"web": -1, "books": 2}}, "the weight of web is -1; expected 0 to 1"),
        ("tokenize", {"weights": {"web": 0}}, "add up to 0; expected 1"),
        ("tokenize", {"tokens": 100}, "tokens needs weights"),
        ("tokenize", {"max_repeats": 0.5}, "max_repeats is 0.5"),
        ("tokenize", {"eot": 1.5}, r"eot is 1.5; expected str \| int \| None"),
    ],
)
def test_values_of_the_wrong_kind(name, config, message):
    with pytest.raises(RecipeError, match=message):
        STAGES[name].of(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"groups": 0}, "groups is 0"),
        ({"groups": -1}, "groups is -1"),
        ({"false_positive_rate": 0}, "false_positive_rate is 0"),
        ({"false_positive_rate": 1.0}, "false_positive_rate is 1"),
        ({"min_n": 0}, "min_n"),
        ({"min_n": 14}, "min_n"),
        ({"max_n": 0}, "_n"),
        ({"threshold": -0.1}, "threshold"),
    ],
)
def test_numbers_that_a_bloom_filter_cannot_have(config, message):
    with pytest.raises(RecipeError, match=message):
        STAGES["bloom"].of(config)


def test_a_whole_number_is_a_number():
    assert STAGES["bloom"].of({"threshold": 1}).config()["threshold"] == 1


def test_claim_refuses_a_folder_of_another_identity(tmp_path):
    out, stage = str(tmp_path / "out"), STAGES["bloom"].of({})
    claim(stage, [], out)
    claim(stage, [], out)
    with pytest.raises(DataError, match=r"holds the output of stage bloom with other parameters.*choose another --out"):
        claim(STAGES["bloom"].of({"groups": 2}), [], out)
    with pytest.raises(DataError, match="holds the output of stage bloom"):
        claim(STAGES["extract"].of({}), [], out)


def test_done_is_of_this_stage_these_inputs_and_whole_files(tmp_path):
    inputs = [shard(tmp_path / "in.parquet", ["gold wash"])]
    out, stage = tmp_path / "out", STAGES["heuristics"].of({"steps": [STEP]})
    assert done(stage, inputs, str(out)) is None
    stage(inputs, str(out), here)
    assert done(stage, inputs, str(out)) is not None
    assert done(stage, [replace(inputs[0], stamp="another")], str(out)) is None
    assert done(STAGES["heuristics"].of({"steps": [{**STEP, "min": 2}]}), inputs, str(out)) is None
    (out / "dropped" / "part-00000.parquet").unlink()
    assert done(stage, inputs, str(out)) is None
