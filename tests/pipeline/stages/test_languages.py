"""Steps for some languages, and FineWeb2's settings as such steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

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
