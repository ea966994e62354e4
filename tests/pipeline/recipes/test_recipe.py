# ruff: noqa: E501 -- tables

import re

import pytest
import yaml

from goldwash.filters.signals import SIGNALS
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.recipes import recipe as recipes
from goldwash.pipeline.recipes.recipe import load
from tests.pipeline.conftest import here, rows, shard

STEPS = "stages:\n  - heuristics:\n      steps:\n        - {step}\n"


@pytest.fixture
def written(tmp_path):
    def write(text: str, name: str = "mine.yaml") -> str:
        (tmp_path / name).write_text(text, "utf-8")
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("name", recipes.names())
def test_shipped_recipes_load_and_resolve_to_themselves(name, written):
    offline = ["decontaminate.benchmarks=sample"] if "decontaminate" in [s.name for s in load(name).stages] else []
    recipe = load(name, offline)
    expected = ["extract", "heuristics", "minhash", "bloom", "quality", "decontaminate"]
    if "minhash" not in [s.name for s in recipe.stages]:
        expected.remove("minhash")  # the reference has none
    assert [s.name for s in recipe.stages] == expected[: len(recipe.stages)]
    assert recipe.description
    again = load(written(recipe.resolved()))
    assert again.stages == recipe.stages
    assert [s.fingerprint([]) for s in again.stages] == [s.fingerprint([]) for s in recipe.stages]


def test_the_three_recipes_are_shipped():
    assert {"baseline", "reference", "sample"} <= set(recipes.names())


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("stages:\n  - extract\nstagez: 1\n", 3, "no key is called 'stagez': did you mean 'stages'"),
        ("stages:\n  - extract\n  - hueristics: {}\n", 3, "no stage is called 'hueristics': did you mean 'heuristics'"),
        ("stages:\n  - extract:\n      charset: utf-8\n      min_statos: 2\n", None, "no parameter 'min_statos': did you mean 'min_status'"),
        ("stages:\n  - extract\n  - bloom: {treshold: 1}\n", 3, "no parameter 'treshold': did you mean 'threshold'"),
        ("stages:\n  - bloom: {threshold: high}\n", 2, "threshold is 'high'; expected float"),
        ("stages:\n  - extract\n  - 7\n", 3, "stage 2 must be one name with its parameters, found 7"),
        ("stages:\n  - extract: {}\n    bloom: {}\n", 2, "stage 1 must be one name"),
        (STEPS.format(step="{keep: wrod_count, min: 5}"), None, "step 1: no signal is called 'wrod_count': did you mean 'word_count'"),
        (STEPS.format(step="{edit: squeeze_newline, max: 2}"), None, "step 1: no edit is called .* did you mean 'squeeze_newlines'"),
        (STEPS.format(step="{keep: word_count, min: 5, max: 4}"), None, "step 1: .*keep word_count: the lower bound 5.* is above the upper bound 4"),
        (STEPS.format(step="{keep: word_count}"), None, "keep word_count: give min, max, above or below"),
        (STEPS.format(step="{keep: word_count, min: five}"), None, "word_count: min is 'five'; expected a number"),
        (STEPS.format(step="{keep: word_count, max: .nan}"), None, "word_count: max is nan; expected a number"),
        (STEPS.format(step="{keep_lines: word_count, min: .NaN}"), None, "word_count: min is nan; expected a number"),
        (STEPS.format(step="{keep: word_count, min: " + "9" * 400 + "}"), None, "a number of 400 digits"),
        (STEPS.format(step="{keep: word_count, mim: 5, max: 7}"), None, "word_count has no parameter 'mim'"),
        (STEPS.format(step="{kep: word_count, min: 5}"), None, "step 1: a step needs exactly one of keep"),
        (STEPS.format(step="word_count"), None, "step 1: expected a mapping"),
        (STEPS.format(step="{label: languages}"), None, "no labeller is called 'languages'"),
        (STEPS.format(step="{keep_lost: word_count, max: 0.1}"), None, "put `mark: word_count` before"),
        (STEPS.format(step="{keep: word_count, min: 5}\n        - {keep: word_count, max: 9}"), None, "step 2: .*second rule is called 'word_count'"),
        (STEPS.format(step="{column: language}"), None, "no signal is called 'language'"),
        (STEPS.format(step="{column: word_count, as: url}"), None, "step 1: every document has a column 'url'"),
        (STEPS.format(step="{column: word_count, min: 5}"), None, "word_count has no parameter 'min'"),
        (STEPS.format(step="{column: word_count}\n        - {column: word_count}"), None, "step 2: .*second column is called 'word_count'"),
        ("stages:\n  - quality: {fraction: 0.1, threshold: 0.2}\n", 2, "give fraction or threshold, not both"),
        ("stages: [extract\n", 2, "is not YAML"),
        ("stages: []\n", None, "`stages` must be a list of at least one stage"),
        ("stages: extract\n", None, "`stages` must be a list"),
        ("description: nothing\n", None, "`stages` must be a list"),
        ("", None, "expected a mapping with `stages`, found nothing"),
        ("- extract\n", None, "expected a mapping with `stages`, found list"),
        ("extends: baselin\n", None, "no recipe is called 'baselin': did you mean 'baseline'"),
        ("extends: baseline\nstages:\n  - extract\n", 2, "has `change`, not `stages`"),
        ("extends: baseline\nchange:\n  qualiti: {fraction: 0.2}\n", 3, "has no stage 'qualiti': did you mean 'quality'"),
        ("extends: baseline\nchange:\n  quality: {fractoin: 0.2}\n", None, "no parameter 'fractoin': did you mean 'fraction'"),
        ("extends: baseline\nchange: [quality]\n", 2, "change"),
        ("extends: baseline\nchange:\n  quality: 3\n", 3, "quality"),
        ("use: nothing_here.py\nstages:\n  - extract\n", 1, "use"),
        ("use: [nothing_here.py]\nstages:\n  - extract\n", None, r"use: no file .*nothing_here\.py"),
        ("use: [no_such_module_of_mine]\nstages:\n  - extract\n", None, "no_such_module_of_mine failed: ModuleNotFoundError"),
        ("stages:\n  - bloom: [threshold]\n", 2, "bloom"),
    ],
)  # fmt: skip
def test_a_wrong_recipe_is_told_with_its_place_and_cure(written, text, line, message):
    path = written(text)
    with pytest.raises(RecipeError, match=message) as caught:
        load(path)
    if "recipe is called" not in message:
        assert path in str(caught.value)
    if line is not None:
        assert re.search(rf"line {line}\b", str(caught.value)), caught.value


def test_a_misspelt_parameter_is_told_with_its_line(written):
    path = written("stages:\n  - extract:\n      charset: utf-8\n      min_statos: 2\n")
    with pytest.raises(RecipeError, match=r"mine\.yaml, line [24]:"):
        load(path)


@pytest.mark.parametrize("name", ["baselines", "nothing.yaml"])
def test_a_recipe_that_is_not_there(name):
    with pytest.raises(
        RecipeError, match=r"no recipe is called 'baselines': did you mean 'baseline'|no recipe at nothing\.yaml"
    ):
        load(name)


def test_a_binary_file_is_no_recipe(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(RecipeError, match=r"a\.yaml is not YAML"):
        load(str(tmp_path / "a.yaml"))


def test_extends_changes_what_it_names_and_nothing_else(written):
    changed, base = load(written("extends: baseline\nchange:\n  quality: {fraction: 0.25}\n")), load("baseline")
    assert changed.stage("quality").config() == {**base.stage("quality").config(), "fraction": 0.25}
    assert [s for s in changed.stages if s.name != "quality"] == [s for s in base.stages if s.name != "quality"]


@pytest.mark.parametrize("stage", ["extract: {charset: utf-8}", "extract:", "extract"])
def test_an_extended_file_stands_beside_the_one_that_extends_it(written, stage):
    written(f"stages:\n  - {stage}\n", "base.yaml")
    path = written("extends: base.yaml\nchange:\n  extract: {min_status: 0}\n")
    assert load(path).stage("extract").config()["min_status"] == 0
    assert (load(path).stage("extract").config()["charset"] == "utf-8") == ("utf-8" in stage)


def test_a_recipe_cannot_extend_itself(written):
    with pytest.raises(RecipeError, match=r"mine\.yaml, line 1: a recipe cannot extend itself"):
        load(written("extends: mine.yaml\n"))


def test_settings_and_skips():
    recipe = load("baseline", ["quality.fraction=0.2", "bloom.mode=lines", "extract.keep_empty=true"], ["decontaminate"])
    assert [s.name for s in recipe.stages] == ["extract", "heuristics", "minhash", "bloom", "quality"]
    assert recipe.stage("quality").config()["fraction"] == 0.2
    assert recipe.stage("bloom").config()["mode"] == "lines"
    assert recipe.stage("extract").config()["keep_empty"] is True


@pytest.mark.parametrize(
    ("settings", "skip", "message"),
    [
        (["quality.fraction"], [], "expected key=value"),
        (["=3"], [], "expected key=value"),
        (["fraction=0.2"], [], r"expected STAGE\.PARAMETER=VALUE, with one of the stages extract"),
        (["qality.fraction=0.2"], [], "with one of the stages extract"),
        (["quality.fractoin=0.2"], [], "no parameter 'fractoin': did you mean 'fraction'"),
        (["quality.fraction=[1"], [], "the value is not YAML"),
        (["quality.fraction=much"], [], "fraction is 'much'"),
        ([], ["decontaminat"], "--skip decontaminat: .*no such stage"),
        ([], ["extract", "heuristics", "minhash", "bloom", "quality", "decontaminate"], "no stage"),
    ],
)
def test_wrong_settings_and_skips(settings, skip, message):
    with pytest.raises(RecipeError, match=message):
        load("baseline", settings, skip)


# --- a user's own filters

SHOUTING = '''
from goldwash.filters import per_text

@per_text
def {name}(text: str) -> float:
    """Exclamation marks a character."""
    return text.count("!") / max(len(text), 1)
'''
TEXTS = ["quiet words", "loud!!!", "", "a! long and rather quiet line of words"]


@pytest.fixture
def own(request, written):
    """A recipe with a file of filters beside it, whose signal is forgotten afterwards."""
    name = f"shouting_{abs(hash(request.node.name)) % 10**8}"
    written(SHOUTING.format(name=name), f"{name}.py")
    yield name, written(f"use: [{name}.py]\n" + STEPS.format(step=f"{{keep: {name}, max: 0.1}}"))
    SIGNALS.pop(name, None)


@pytest.mark.parametrize("run", [here, local(1), local(2)], ids=["here", "local1", "local2"])
def test_a_filter_of_the_users_own_travels_with_the_recipe(own, tmp_path, run):
    name, path = own
    recipe = load(path)
    assert "Exclamation marks" in SIGNALS[name].summary
    (tmp_path / f"{name}.py").unlink()
    inputs = [shard(tmp_path / "in" / f"{n}.parquet", TEXTS) for n in range(2)]
    report = recipe.stages[0](inputs, str(tmp_path / "out"), run)
    assert report.kept.documents == 6
    assert [row["text"] for row in rows(tmp_path / "out")] == [TEXTS[0], TEXTS[2], TEXTS[3]] * 2
    assert {(row["dropped_by"], row["value"]) for row in rows(tmp_path / "out", "dropped")} == {(name, 3 / 7)}
    resolved = yaml.safe_load(recipe.resolved())["stages"][0]["heuristics"]["use"]
    assert "Exclamation marks" in str(resolved)


def test_its_source_moves_the_identity(own, tmp_path):
    name, path = own
    before = load(path).stages[0].fingerprint([])
    SIGNALS.pop(name)
    (tmp_path / f"{name}.py").write_text(SHOUTING.format(name=name).replace('"!"', '"?"'))
    assert load(path).stages[0].fingerprint([]) != before


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("def broken(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("from goldwash.filters import per_text\n@per_text\ndef word_count(text: str) -> float:\n    return 1.0\n", "two are called word_count"),
    ],
)  # fmt: skip
def test_a_broken_file_is_named(written, source, message):
    written(source, "broken.py")
    with pytest.raises(RecipeError, match=rf"broken\.py failed: .*{message}|broken\.py.*{message}"):
        load(written("use: [broken.py]\n" + STEPS.format(step="{keep: word_count, min: 1}")))


def test_a_filter_that_fails_on_a_text_names_itself_and_the_shard(own, tmp_path):
    name, path = own
    (tmp_path / f"{name}.py").write_text(SHOUTING.format(name=name).replace("text.count", "text.cuont"))
    recipe = load(path)
    inputs = [shard(tmp_path / "in.parquet", TEXTS)]
    with pytest.raises(Exception, match=rf"{name}|in\.parquet"):
        recipe.stages[0](inputs, str(tmp_path / "out"), local(1))
