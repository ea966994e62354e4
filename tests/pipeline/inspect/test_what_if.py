"""What other bounds would keep, held against the stage that really drops."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.pipeline.engines.local import local
from goldwash.pipeline.flow import run_stage
from goldwash.pipeline.inspect.what_if import what_if
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Report
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_shards

STEPS = [
    {"edit": "remove_urls"},
    {"label": "language"},
    {"keep": "language", "among": ["en"]},
    {"keep": "word_count", "min": 8, "max": 40},
    {"keep": "stop_word_count", "min": 2},
    {"mark": "fasttext_word_count"},
    {"keep_lines": "digit_fraction", "max": 0.5},
    {"keep_lost": "fasttext_word_count", "as": "lost_word_fraction", "max": 0.05},
]

TEXTS = [
    "The miller and his sons walked to the river that day, and the water was high with rain.",
    "Der Müller und seine Söhne gingen an diesem Tag zum Fluss, und das Wasser war hoch vom Regen.",
    "Too short to be kept by anybody.",
    "The house that stands at the end of the lane was built with stone, and it has to be seen.\n12345\n678",
    "Words words words of the kind that have to be counted " * 6,
    "See http://example.com/page for the rest of the story and that of the mill with all its wheels.",
    "",
]


@pytest.fixture
def shard(tmp_path: Path) -> str:
    pq.write_table(pa.table({"id": [str(n) for n in range(len(TEXTS))], "text": TEXTS}), tmp_path / "shard.parquet")
    return str(tmp_path / "shard.parquet")


def cleaned(shard: str, out: Path, steps: list[dict[str, object]], annotate: bool = False) -> Report:
    step = run_stage(Heuristics.of({"steps": steps, "annotate": annotate}), find_shards([shard]), str(out), local(1))
    assert step.report is not None
    return step.report


@pytest.fixture
def annotated(shard: str, tmp_path: Path) -> str:
    report = cleaned(shard, tmp_path / "annotated", STEPS, annotate=True)
    assert report.kept == report.read
    return str(tmp_path / "annotated")


def test_annotating_changes_no_text_and_adds_a_column_a_rule(annotated: str) -> None:
    table = pq.read_table(f"{annotated}/part-00000.parquet")
    assert table["text"].to_pylist() == TEXTS
    rules = {"language", "language_probability", "word_count", "stop_word_count", "lost_word_fraction"}
    assert set(table.column_names) == {"id", "url", "text"} | rules
    assert table["word_count"].to_pylist()[:3] == [18.0, 18.0, 7.0]
    assert table["lost_word_fraction"].to_pylist()[3] == pytest.approx(2 / 22)


def test_its_own_bounds_keep_what_the_stage_keeps(annotated: str, shard: str, tmp_path: Path) -> None:
    report = cleaned(shard, tmp_path / "cleaned", STEPS)
    answer = what_if([annotated], [])
    assert (answer.documents, answer.kept) == (report.read.documents, report.kept.documents)
    dropped = {rule.name: rule.dropped for rule in answer.rules if rule.dropped}
    assert dropped == {name: count.documents for name, count in report.dropped.items() if name != "remove_urls"} | (
        {"language": report.dropped["language"].documents + 1} if "remove_urls" in report.dropped else {}
    )


@pytest.mark.parametrize(
    ("setting", "step", "bound", "value"),
    [
        ("word_count.max=100", 3, "max", 100),
        ("word_count.min=18", 3, "min", 18),
        ("lost_word_fraction.max=0.5", 7, "max", 0.5),
        ("stop_word_count.min=5", 4, "min", 5),
    ],
)
def test_other_bounds_keep_what_a_stage_with_them_keeps(
    annotated: str, shard: str, tmp_path: Path, setting: str, step: int, bound: str, value: float
) -> None:
    steps = [dict(s) for s in STEPS]
    steps[step][bound] = value
    report = cleaned(shard, tmp_path / "other", steps)
    answer = what_if([annotated], [setting])
    assert answer.kept == report.kept.documents
    assert answer.kept_before == what_if([annotated], []).kept
    assert [rule.name for rule in answer.rules if rule.changed] == [setting.split(".")[0]]


def test_columns_of_anybodys_shards(tmp_path: Path) -> None:
    pq.write_table(pa.table({"score": [0.1, 0.5, None, 0.9], "text": list("abcd")}), tmp_path / "a.parquet")
    answer = what_if([str(tmp_path / "a.parquet")], ["score.min=0.5", "score.max=0.8"])
    assert (answer.documents, answer.kept, answer.kept_before) == (4, 1, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["word_count=3"], "expected RULE.BOUND=NUMBER"),
        (["word_count.least=3"], "expected RULE.BOUND=NUMBER"),
        (["word_count.min=many"], "could not convert"),
        (["word_cuont.min=3"], "did you mean 'word_count'"),
        (["word_count.min=50"], "is above the upper bound"),
        (["language.min=3"], "has labels, no bounds"),
    ],
)
def test_bounds_that_cannot_be(annotated: str, settings: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        what_if([annotated], settings)


def test_a_column_that_is_not_there(shard: str) -> None:
    with pytest.raises(DataError, match="has no column 'word_count'"):
        what_if([shard], ["word_count.min=3"])
    with pytest.raises(RecipeError, match="there are no rules"):
        what_if([shard], [])


def test_labels_can_be_changed_as_bounds_can(shard: str, annotated: str, tmp_path: Path) -> None:
    for among, sure in (["de"], 0.0), (["en", "de"], 0.0), (["de"], 0.9999):
        steps: list[dict[str, object]] = [dict(step) for step in STEPS]
        steps[2] = {"keep": "language", "among": among, **({"sure": sure} if sure else {})}
        settings = [f"language.among={','.join(among)}", *([f"language.sure={sure}"] if sure else [])]
        answer = what_if([annotated], settings)
        report = cleaned(shard, tmp_path / f"{among}{sure}", steps)
        assert answer.kept == report.kept.documents


def test_a_recipe_that_passes_unsure_labels_is_counted_so(shard: str, tmp_path: Path) -> None:
    cleaned(shard, tmp_path / "labels", [{"label": "language"}], annotate=True)
    probabilities = pq.read_table(tmp_path / "labels" / "part-00000.parquet", columns=["language_probability"])[
        "language_probability"
    ].to_pylist()
    sure = sorted(probabilities)[len(TEXTS) // 2]
    steps: list[dict[str, object]] = [{"label": "language"}, {"keep": "language", "among": ["de"], "sure": sure}]
    cleaned(shard, tmp_path / "all", steps, annotate=True)
    answer, report = what_if([str(tmp_path / "all")], []), cleaned(shard, tmp_path / "kept", steps)
    assert answer.kept == answer.kept_before == report.kept.documents
    assert 1 < answer.kept < len(TEXTS)


def test_labels_of_a_users_own_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"] * 4, "lang": ["en", "de", "fr", "en"]}), tmp_path / "a.parquet")
    assert what_if([str(tmp_path / "a.parquet")], ["lang.among=en, fr"]).kept == 3
    for wrong, message in ("lang.sure=0.5", "among=LABELS before it"), ("lang.among=en,,fr", "separated by commas"):
        with pytest.raises(RecipeError, match=message):
            what_if([str(tmp_path / "a.parquet")], [wrong])


def test_a_rule_for_one_language_fails_no_document_of_another(shard: str, tmp_path: Path) -> None:
    steps: list[dict[str, object]] = [
        {"label": "language"},
        {"keep": "word_count", "min": 30, "for": ["deu_Latn"]},
        {"keep": "word_count", "max": 50, "for": ["en"]},
    ]
    cleaned(shard, tmp_path / "annotated", steps, annotate=True)
    report = cleaned(shard, tmp_path / "cleaned", steps)
    answer = what_if([str(tmp_path / "annotated")], [])
    assert answer.kept == report.kept.documents
    assert {rule.name: rule.dropped for rule in answer.rules} == {
        "word_count.deu_Latn": report.dropped["word_count.deu_Latn"].documents,
        "word_count.en": report.dropped["word_count.en"].documents,
    }
