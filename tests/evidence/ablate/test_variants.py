"""What --vary gives: combinations, one at a time, and what is refused before anything runs."""

import pytest

from goldwash.evidence.ablate.variants import Axis, Base, axis_of, split, variants_of
from goldwash.pipeline.parameters import RecipeError


def silent(line: str) -> None:
    """Nobody listens."""


def names(vary: list[str], one_at_a_time: bool = False) -> list[str]:
    return [variant.name for variant in variants_of(Base("sample"), vary, one_at_a_time, silent)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1,2", ["1", "2"]),
        ("[a,b],{c: [1,2]},'x,y'", ["[a,b]", "{c: [1,2]}", "'x,y'"]),
        ('"a,]",b', ['"a,]"', "b"]),
        ("", [""]),
    ],
)
def test_values_are_cut_at_commas_outside_of_brackets_and_quotes(text: str, parts: list[str]) -> None:
    assert split(text) == parts


def test_an_axis() -> None:
    assert axis_of("quality.fraction=0.05, 0.1") == Axis("quality.fraction", ("0.05", "0.1"))


def test_every_combination_and_one_at_a_time() -> None:
    vary = ["quality.fraction=0.1,0.2,0.3", "extract.extractor=blocks,resiliparse"]
    assert len(names(vary)) == 6
    assert names(vary)[0] == "quality.fraction=0.1 extract.extractor=blocks"
    assert names(vary, one_at_a_time=True) == [
        "quality.fraction=0.1 extract.extractor=blocks",
        "quality.fraction=0.2 extract.extractor=blocks",
        "quality.fraction=0.3 extract.extractor=blocks",
        "quality.fraction=0.1 extract.extractor=resiliparse",
    ]


def test_values_reach_the_stages() -> None:
    made = variants_of(
        Base("sample"), ["quality.fraction=0.1,0.2", "fasttext_word_count.min=20,70", "minhash=in,out"], False, silent
    )
    first, last = made[0].recipe, made[-1].recipe
    assert [r.stage("quality").config()["fraction"] for r in (first, last)] == [0.1, 0.2]
    assert "minhash" in first.stage_names()
    assert "minhash" not in last.stage_names()
    assert "fasttext_word_count\n    min: 70" in last.resolved().replace("  ", "").replace("\n", "\n    ")


def test_what_all_variants_have_in_common() -> None:
    base = Base("sample", settings=["quality.fraction=0.4"], skip=["decontaminate"])
    for variant in variants_of(base, ["minhash=in,out"], False, silent):
        assert variant.recipe.stage("quality").config()["fraction"] == 0.4
        assert "decontaminate" not in variant.recipe.stage_names()


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ([], "nothing to vary"),
        (["quality.fraction=0.1"], "at least two values"),
        (["quality.fraction"], "at least two values"),
        (["quality.fraction=0.1,"], "at least two values"),
        (["quality.fraction=0.1,0.1"], "is there twice"),
        (["quality.fraction=0.1,0.10"], "is the same recipe as quality.fraction=0.1"),
        (["quality.fraction=0.1,0.2", "quality.fraction=0.3,0.4"], "given twice"),
        (["quality.fracton=0.1,0.2"], "fraction"),
        (["qualty.fraction=0.1,0.2"], "qualty"),
        (["word_cuont.min=1,2"], "no rule is called"),
        (["minhash=in,out,maybe"], "STAGE=in,out"),
        (["minhsah=in,out"], "minhsah"),
        (["quality.fraction=" + ",".join(f"0.{n}" for n in range(100, 170))], "70 variants; expected at most 64"),
    ],
)
def test_variants_that_are_refused(vary: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        names(vary)
