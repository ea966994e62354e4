"""Steps for some languages, and FineWeb2's settings as such steps."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.filters.texts import Texts
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.steps import Documents, clean, plan_of

TEXTS = ["eins zwei drei", "un deux", "one", "eins a@b.com", "un x@y.fr trois"]
LANGUAGES = ["de", "fr", "en", "de", "fr"]


def cleaned(steps: list[dict[str, Any]], annotate: bool = False) -> Documents:
    table = pa.table({"id": list("abcde"), "language": LANGUAGES})
    return clean(plan_of(steps), Texts.of(TEXTS), Texts.of([""] * 5), annotate=annotate, table=table)


def test_a_keep_for_some_languages_drops_no_others() -> None:
    documents = cleaned(
        [{"keep": "word_count", "min": 3, "for": ["de"]}, {"keep": "word_count", "min": 2, "for": ["fr", "en"]}]
    )
    assert [(rule, rows.tolist(), values.tolist()) for rule, rows, values, _ in documents.drops] == [
        ("word_count.de", [3], [2.0]), ("word_count.fr+en", [2], [1.0]),
    ]  # fmt: skip
    assert documents.rows.tolist() == [0, 1, 4]
    assert list(documents.texts) == [TEXTS[0], TEXTS[1], TEXTS[4]]


def test_an_edit_for_some_languages_changes_no_others() -> None:
    documents = cleaned([{"edit": "mask_personal_data", "for": ["fr"], "template": "<{kind}>"}])
    assert list(documents.texts) == [*TEXTS[:4], "un <email> trois"]
    assert documents.notes == {"mask_personal_data.fr.email": 1}


def test_an_edit_that_empties_a_text_drops_it_alone() -> None:
    documents = cleaned([{"keep_lines": "word_count", "min": 3, "empty": False, "for": ["fr"]}])
    assert documents.rows.tolist() == [0, 2, 3, 4]


def test_a_mark_and_its_loss_for_one_language() -> None:
    documents = cleaned(
        [
            {"mark": "word_count", "for": ["de"]},
            {"edit": "mask_personal_data"},
            {"keep_lost": "word_count", "max": 0, "for": ["de"]},
        ]
    )
    assert documents.rows.tolist() == [0, 1, 2, 3, 4]


def test_annotations_are_nan_for_other_languages() -> None:
    documents = cleaned(
        [{"keep": "word_count", "min": 3, "for": ["de"]}, {"keep": "word_count", "min": 3, "for": ["ja"]}], True
    )
    np.testing.assert_array_equal(documents.annotations["word_count.de"], [3, np.nan, np.nan, 2, np.nan])
    assert np.isnan(documents.annotations["word_count.ja"]).all()


@pytest.mark.parametrize("value", ["de", [], [1], None, [""]])
def test_languages_are_a_list(value: Any) -> None:
    with pytest.raises(RecipeError, match="expected a list of languages"):
        plan_of([{"keep": "word_count", "min": 1, "for": value}])


def test_a_label_is_for_all() -> None:
    with pytest.raises(RecipeError, match="the label itself is for all"):
        plan_of([{"label": "language", "for": ["de"]}])


SETTINGS = """
dup_line_frac: 0.3
dup_n_grams:
- - 5
  - 0.15
- - 6
  - 0.13
language_score: 0.8
line_punct_thr: 0.1
max_avg_word_length: 15
max_non_alpha_words_ratio: 0.75
min_avg_word_length: 2
new_line_ratio: 0.2
stopwords:
- der
- "f\\xFCr"
top_n_grams:
- - 2
  - 0.2
"""


def test_fineweb2s_settings_become_steps(tmp_path: Path) -> None:
    (tmp_path / "deu_Latn.yml").write_text(SETTINGS)
    stage = Heuristics.of({"steps": [{"label": "language"}, {"fineweb2": str(tmp_path / "deu_Latn.yml"), "for": ["de"]}]})
    steps = list(stage.steps)[1:]
    assert all(list(step["for"]) == ["de"] for step in steps)
    found = {step["keep"]: {k: v for k, v in step.items() if k not in ("keep", "for")} for step in steps}
    assert found == {
        "language_probability": {"min": 0.8},
        "duplicate_line_fraction": {"max": 0.3},
        "top_2gram_character_fraction": {"max": 0.2},
        "duplicate_5gram_character_fraction": {"max": 0.15},
        "duplicate_6gram_character_fraction": {"max": 0.13},
        "mean_word_length": {"min": 2, "max": 15},
        "nonalphabetic_word_fraction": {"max": 0.25},
        "distinct_stop_word_count": {"words": ("der", "für"), "min": 2} if isinstance(
            found["distinct_stop_word_count"]["words"], tuple) else {"words": ["der", "für"], "min": 2},
        "terminal_line_fraction": {"min": 0.1},
        "newline_word_ratio": {"max": 0.2},
    }  # fmt: skip
    (tmp_path / "deu_Latn.yml").unlink()
    assert Heuristics.of(stage.config()) == stage  # the file is not needed any more


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dup_line_fraq: 1", "no setting of FineWeb2 is called 'dup_line_fraq': did you mean 'dup_line_frac'"),
        ("- 1", "expected FineWeb2's settings as a mapping"),
        ("top_n_grams: 5", "top_n_grams is 5"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text(text)
    with pytest.raises(RecipeError, match=message):
        Heuristics.of({"steps": [{"fineweb2": str(tmp_path / "x.yml"), "for": ["de"]}]})


def test_settings_need_their_language(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text(SETTINGS)
    with pytest.raises(RecipeError, match="give `for:"):
        Heuristics.of({"steps": [{"fineweb2": str(tmp_path / "x.yml")}]})


STEPS = st.sampled_from(
    [
        {"keep": "word_count", "min": 2}, {"keep": "word_count", "max": 5}, {"keep": "mean_word_length", "max": 6},
        {"keep": "top_2gram_character_fraction", "max": 0.5}, {"keep_lines": "word_count", "min": 2},
        {"edit": "mask_personal_data", "template": "<{kind}>"}, {"edit": "squeeze_newlines"}, {"cut_words": "uax29"},
        {"cut_words": "spaces"}, {"keep": "distinct_stop_word_count", "words": ["的", "deux"], "min": 1},
        {"keep": "character_count", "min": 8},
    ]
)  # fmt: skip
SOME = st.lists(st.sampled_from(["de", "fr", "zh"]), min_size=1, max_size=2, unique=True).map(sorted)


@settings(max_examples=50)
@given(st.lists(st.tuples(STEPS, st.none() | SOME), max_size=8))
def test_steps_for_some_languages_are_those_steps_on_their_documents_alone(steps: list[tuple[Any, Any]]) -> None:
    strings = ["eins zwei\n\n\ndrei a@b.com", "un deux deux\nx", "中文的学生，今天 a@b.com 去\n图书馆", "deux", "的的的的", ""]
    labels = ["de", "fr", "zh", "fr", "zh", "de"]
    table = pa.table({"language": labels})
    given_ = [{**step, "as": f"r{n}", **({"for": some} if some else {})} for n, (step, some) in enumerate(steps)]
    whole = clean(plan_of(given_), Texts.of(strings), Texts.of([""] * 6), table=table)
    found = dict(zip(whole.rows.tolist(), whole.texts, strict=True))
    for row, language in enumerate(labels):
        own = [{**step, "as": f"r{n}"} for n, (step, some) in enumerate(steps) if not some or language in some]
        alone = clean(plan_of(own), Texts.of([strings[row]]), Texts.of([""]), table=table.slice(row, 1))
        assert ([found[row]] if row in found else []) == list(alone.texts)
        dropped = [rule for rule, rows, _, _ in whole.drops if row in rows]
        assert dropped == [rule for rule, _, _, _ in alone.drops]


def test_words_are_cut_for_some_languages() -> None:
    table = pa.table({"language": ["zh", "en", "cmn_Hani"]})
    steps = [{"cut_words": "uax29", "for": ["zh"]}, {"keep": "word_count", "min": 4}]
    documents = clean(plan_of(steps), Texts.of(["图书馆学习", "one two", "图书馆"]), Texts.of([""] * 3), table=table)
    assert documents.rows.tolist() == [0]
    assert [values.tolist() for _, _, values, _ in documents.drops] == [[2.0, 3.0]]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"cut_words": "ICU"}, "words are not cut by 'ICU': known: icu, spaces, uax29"),
        ({"cut_words": "uax29", "min": 1}, "and nothing else; found {'min': 1}"),
    ],
)
def test_other_ways_to_cut_words_are_refused(step: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        plan_of([step])


def test_icu_is_asked_for_when_the_recipe_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "icu4py.breakers", None)
    with pytest.raises(RecipeError, match="heuristics, step 1: `cut_words: icu` needs the package icu4py"):
        plan_of([{"cut_words": "icu"}])


def test_icus_version_is_in_the_fingerprint() -> None:
    pytest.importorskip("icu4py")
    assert "ICU" in Heuristics.of({"steps": [{"cut_words": "icu"}]}).versions()["icu4py"]


def test_fineweb2s_settings_of_a_language_without_spaces_cut_words(tmp_path: Path) -> None:
    pytest.importorskip("icu4py")
    (tmp_path / "x.yml").write_text("min_avg_word_length: 1\nmax_avg_word_length: 5\n")
    for name, cut in (("cmn_Hani", True), ("th", True), ("de", False), ("kor_Hang", False)):
        steps = Heuristics.of({"steps": [{"fineweb2": str(tmp_path / "x.yml"), "for": [name]}]}).steps
        assert ("cut_words" in steps[0]) == cut
        assert steps[-1]["keep"] == "mean_word_length"


def test_either_form_of_a_languages_name() -> None:
    table = pa.table({"language": ["deu_Latn", "de", "eng_Latn", "srp_Cyrl"], "language_probability": [1.0] * 4})
    for steps, kept in (
        ([{"keep": "language", "among": ["de"]}], [0, 1]),
        ([{"keep": "language", "among": ["deu_Latn", "sr"]}], [0, 1, 3]),
        ([{"keep": "language", "among": ["srp_Latn"]}], []),
        ([{"keep": "word_count", "min": 9, "for": ["en", "srp_Latn"]}], [0, 1, 3]),
        ([{"keep": "column", "name": "language", "among": ["deu_Latn"]}], [0, 1]),
    ):
        documents = clean(plan_of(steps), Texts.of(["a"] * 4), Texts.of([""] * 4), table=table)
        assert documents.rows.tolist() == kept
