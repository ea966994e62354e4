"""One step changed, a stage taken out, a bound set by a flag; two stages of one name; recipes that extend each other."""

import re

import pytest
import yaml

from goldwash.filters.signals import SIGNALS
from goldwash.pipeline.html.extractors import EXTRACTORS
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.recipes import changes, names
from goldwash.pipeline.recipes.recipe import load, source, stage_alone


@pytest.fixture
def written(tmp_path):
    def write(text: str, name: str = "mine.yaml") -> str:
        (tmp_path / name).write_text(text, "utf-8")
        return str(tmp_path / name)

    return write


def steps_of(recipe, stage="heuristics", key="steps"):
    return [dict(step) for step in recipe.stage(stage).config()[key]]


def differences(recipe, base="baseline", stage="heuristics", key="steps"):
    """The steps that are other ones than the base's, by place."""
    one, other = steps_of(load(base), stage, key), steps_of(recipe, stage, key)
    assert len(one) == len(other)
    return [(a, b) for a, b in zip(one, other, strict=True) if a != b]


def extending(change, base="baseline"):
    return f"extends: {base}\n{change}\n"


# --- change


LEFT = {"form": "plain", "fallback": "none", "comments": "judged"}
"""The options of ``blocks`` at their defaults."""


@pytest.mark.parametrize("extractor", [name for name in EXTRACTORS if name != "blocks"])
def test_another_extractor_does_not_inherit_the_options_of_blocks(written, extractor):
    change = f"change: {{extract: {{extractor: {extractor}}}}}"
    grandchild = written(extending("description: a child", written(extending(change), "parent.yaml")), "child.yaml")
    setting = f"extractor={extractor}"
    for stage in (
        load("baseline", [f"extract.{setting}"]).stage("extract"),
        load(grandchild).stage("extract"),
        stage_alone("extract", "baseline", [setting]),
    ):
        assert {key: stage.config()[key] for key in LEFT} == LEFT
    assert load("baseline", ["extract.extractor=blocks"]) == load("baseline")


@pytest.mark.parametrize("order", [1, -1])
def test_options_given_with_a_new_extractor_are_kept_in_any_order(written, order):
    settings = ["extract.form=markdown", "extract.extractor=blocks"][::order]
    assert load("reference", settings).stage("extract").config()["form"] == "markdown"
    changed = yaml.safe_dump(
        dict([("form", "markdown"), ("extractor", "blocks")][::order]), sort_keys=False, default_flow_style=True
    )
    path = written(extending(f"change:\n  extract: {changed}", "reference"))
    assert load(path).stage("extract").config()["form"] == "markdown"


def test_an_option_that_the_new_extractor_lacks_is_refused_with_the_cure():
    with pytest.raises(
        RecipeError, match="resiliparse has no option form: only the extractor blocks has; set extractor: blocks"
    ):
        load("baseline", ["extract.extractor=resiliparse", "extract.form=markdown"])


def test_one_step_is_changed_by_its_name_and_nothing_else(written):
    recipe = load(written(extending("change: {heuristics: {steps: {fasttext_word_count: {min: 20}}}}")))
    assert differences(recipe) == [
        ({"keep": "fasttext_word_count", "min": 50, "max": 100000}, {"keep": "fasttext_word_count", "min": 20, "max": 100000})
    ]
    assert recipe.stage("extract") == load("baseline").stage("extract")


@pytest.mark.parametrize(
    ("name", "change", "after"),
    [
        ("language", "{among: [en, de]}", {"keep": "language", "among": ["en", "de"]}),
        ("keep.language", "{among: [en, de]}", {"keep": "language", "among": ["en", "de"]}),
        ("label.language", '{newlines: ""}', {"label": "language", "model": "lid.176.ftz", "newlines": ""}),
        ("url_soft_word_count", "{max: 3}", {"max": 3}),
        ("lines.word_count", "{min: 3}", {"keep_lines": "word_count", "min": 3}),
        ("keep_lines.word_count", "{min: 3}", {"keep_lines": "word_count", "min": 3}),
        ("lost_word_fraction", "{max: 0.5}", {"keep_lost": "fasttext_word_count", "as": "lost_word_fraction", "max": 0.5}),
        ("read_more", "{phrase: more}", {"phrase": "more"}),
        ("edit.squeeze_newlines_again", "{max: 9}", {"max": 9}),
        ("language_probability", "{min: 0.8}", {"keep": "language_probability", "min": 0.8}),
        ("mean_word_length", "{max: null}", {"keep": "mean_word_length", "min": 3}),
    ],
)
def test_the_names_of_steps(written, name, change, after):
    recipe = load(written(extending(f"change:\n  heuristics:\n    steps:\n      {name}: {change}")))
    ((_, changed),) = differences(recipe)
    assert {key: changed.get(key) for key in after} == after
    if name in ("language_probability", "mean_word_length"):
        assert changed == after  # a new bound takes the place of the one on its side; null takes one away


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("change:\n  heuristics:\n    steps:\n      wrod_count: {min: 1}", "no item is called 'wrod_count'", 5),
        ("change:\n  heuristics:\n    steps:\n      fasttext_word_cuont: {min: 1}", "did you mean 'fasttext_word_count'", 5),
        ("change:\n  heuristics:\n    steps:\n      mean_word_length: 3", "expected keys and values", 5),
        ("change:\n  heuristics:\n    steps:\n      mean_word_length: {mim: 3}", "has no parameter 'mim'", 4),
        ("change:\n  heuristic: {steps: {}}", "has no stage 'heuristic': did you mean 'heuristics'", 3),
        ("insert: [1]", "insert must be a mapping", 2),
        ("insert:\n  quality: {fraction: [1]}", "expected a list to put before", 3),
        ("without: decontaminate", "must be a list", 2),
        ("without: [decontaminat]", "has no stage 'decontaminat': did you mean 'decontaminate'", 2),
        ("without:\n  - bloom\n  - heuristics.steps.wordy", "no item is called 'wordy'", 4),
        ("without: [heuristics.steps]", "expected a stage, or STAGE.LIST.ITEM", 2),
        ("without: [heuristics.nothing.word_count]", "lists of heuristics: heuristics.steps", 2),
        ("without: [extract, heuristics, minhash, bloom, quality, decontaminate]", "no stage is left", 2),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused_with_the_choices(written, text, message, line):
    path = written(extending(text))
    with pytest.raises(RecipeError, match=message) as caught:
        load(path)
    assert re.search(rf"mine\.yaml, line {line}\b", str(caught.value)), caught.value


def test_a_name_that_means_two_steps_is_refused_with_the_choices(written):
    written(
        "stages: [{heuristics: {steps: [{edit: remove_urls, as: a}, {mark: word_count}, {mark: word_count}, "
        "{edit: b, as: a}]}}]",
        "base.yaml",
    )
    for name, choices in (("word_count", "mark.word_count .item 2; give it `as: NAME`"), ("a", "edit.remove_urls, edit.b")):
        with pytest.raises(RecipeError, match=f"2 items are called '{name}': give one of {choices}"):
            load(written(extending(f"without: [heuristics.steps.{name}]", "base.yaml")))


def test_changes_of_a_recipe_that_extends_nothing_are_refused(written):
    for key in ("change", "insert", "without"):
        with pytest.raises(RecipeError, match=f"`{key}` is for a recipe that has `extends`"):
            load(written(f"stages: [extract]\n{key}: {{}}\n"))


def test_insert_and_without_act_on_single_steps(written):
    inserted = "insert: {heuristics: {steps: [{keep: character_count, min: 9}]}}"
    recipe = load(written(extending(f"{inserted}\nwithout: [bloom, heuristics.steps.symbol_word_ratio]")))
    base, steps = steps_of(load("baseline")), steps_of(recipe)
    assert steps[0] == {"keep": "character_count", "min": 9}
    assert steps[1:] == [step for step in base if step.get("keep") != "symbol_word_ratio"]
    assert "bloom" not in [stage.name for stage in recipe.stages]


def test_a_chain_of_three_and_a_change_of_a_change(written):
    written(extending("change: {heuristics: {steps: {mean_word_length: {max: 11}}}}"), "one.yaml")
    written(extending("change: {heuristics: {steps: {mean_word_length: {min: 2}}}}", "one.yaml"), "two.yaml")
    ((_, changed),) = differences(load(written(extending("description: three", "two.yaml"))))
    assert changed == {"keep": "mean_word_length", "min": 2, "max": 11}


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_circles_of_any_length_are_refused(written, length):
    for n in range(length):
        path = written(f"extends: r{(n + 1) % length}.yaml\n", f"r{n}.yaml")
    message = "cannot extend itself" if length == 1 else "in a circle: .*->"
    with pytest.raises(RecipeError, match=message):
        load(path)


def test_a_circle_that_the_recipe_is_not_part_of(written):
    written("extends: b.yaml\n", "a.yaml")
    written("extends: a.yaml\n", "b.yaml")
    with pytest.raises(RecipeError, match=r"in a circle: a\.yaml -> b\.yaml -> a\.yaml"):
        load(written("extends: a.yaml\n"))


# --- --keep


def told(recipe="baseline", keeps=(), **more):
    lines: list[str] = []
    return load(recipe, keeps=keeps, notify=lines.append, **more), lines


def test_keep_changes_one_bound_and_loosens_an_earlier_one_that_is_stricter():
    recipe, lines = told(keeps=["fasttext_word_count.min=20"])
    assert [changed["min"] for _, changed in differences(recipe)] == [20]
    ((before, early),) = differences(recipe, stage="extract", key="early")
    assert (before["min"], early["min"]) == (30, 20)
    assert lines == ["note: extract.early: fasttext_word_count.min becomes 20 too; its 30 would drop what the new bound keeps"]


def test_keep_leaves_an_earlier_bound_that_is_looser():
    recipe, lines = told(keeps=["fasttext_word_count.min=70"])
    assert [changed["min"] for _, changed in differences(recipe)] == [70]
    assert recipe.stage("extract") == load("baseline").stage("extract")
    assert lines == []


def test_keep_of_labels_and_of_a_strict_bound():
    recipe, lines = told(keeps=["language.among=[de, en]", "language_probability.min=0.8"])
    assert [changed for _, changed in differences(recipe)] == [
        {"keep": "language", "among": ["de", "en"]}, {"keep": "language_probability", "min": 0.8},
    ]  # fmt: skip
    ((_, early),) = differences(recipe, stage="extract", key="early")
    assert early["among"] == ["en", "de"]
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("wrod_count.min=3", "no rule is called 'wrod_count'"),
        ("mean_word_lenght.min=3", "did you mean 'mean_word_length'"),
        ("mean_word_length=3", "expected RULE.BOUND=NUMBER"),
        ("mean_word_length.mim=3", "expected RULE.BOUND=NUMBER"),
        ("mean_word_length.min=three", "expected a number, found 'three'"),
        ("mean_word_length.min=true", "expected a number"),
        ("mean_word_length.min=.nan", "expected a number, found nan"),
        ("mean_word_length.min", "expected key=value"),
        ("language.among=en", "expected a list"),
        ("mean_word_length.min=30", "the lower bound 30.* is above the upper bound 10"),
        ("remove_urls.max=3", "no rule is called 'remove_urls'"),
    ],
)
def test_a_wrong_keep_is_told(keep, message):
    with pytest.raises(RecipeError, match=message):
        told(keeps=[keep])


def test_keep_for_a_single_stage():
    stage = stage_alone("heuristics", "baseline", keeps=["fasttext_word_count.min=20"])
    assert {"keep": "fasttext_word_count", "min": 20, "max": 100000} in stage.config()["steps"]
    with pytest.raises(RecipeError, match="no rule is called"):
        stage_alone("bloom", "baseline", keeps=["fasttext_word_count.min=20"])


# --- two stages of one name

TWO = """
stages:
  - heuristics: {steps: [{keep: word_count, min: 5}]}
  - exact
  - heuristics: {steps: [{keep: word_count, max: 50}]}
"""


def test_two_stages_of_one_name_are_named_by_number(written):
    path = written(TWO)
    recipe = load(path, ["heuristics#2.annotate=true"], keeps=["word_count.max=60"])
    assert recipe.stage_names() == ["heuristics#1", "exact", "heuristics#2"]
    assert [stage.config().get("annotate") for stage in recipe.stages] == [False, None, True]
    assert recipe.stage("heuristics#2").config()["steps"] == [{"keep": "word_count", "max": 60}]
    assert [s.name for s in recipe.until("exact")] == ["heuristics", "exact"]
    assert [s.name for s in load(path, skip=["heuristics#1"]).stages] == ["exact", "heuristics"]
    assert stage_alone("heuristics#2", path).config()["steps"] == [{"keep": "word_count", "max": 50}]


@pytest.mark.parametrize(
    "act",
    [
        lambda path: load(path, ["heuristics.annotate=true"]),
        lambda path: load(path, skip=["heuristics"]),
        lambda path: load(path).until("heuristics"),
        lambda path: load(path).stage("heuristics"),
        lambda path: stage_alone("heuristics", path),
    ],
)
def test_a_name_that_means_two_stages_is_refused(written, act):
    with pytest.raises(RecipeError, match=r"2 stages called 'heuristics': give one of heuristics#1, heuristics#2"):
        act(written(TWO))


def test_two_stages_of_one_name_in_a_recipe_that_extends(written):
    written(TWO, "base.yaml")
    recipe = load(written(extending("change: {heuristics#2: {annotate: true}}\nwithout: [heuristics#1]", "base.yaml")))
    assert [stage.config().get("annotate") for stage in recipe.stages] == [None, True]


# --- use

FILTER = """
from goldwash.filters import per_text

@per_text
def {name}(text: str) -> float:
    return float(len(text))
"""


def test_use_goes_to_every_stage_that_mentions_its_names_and_to_no_other(written):
    for name in ("early_length_a", "late_length_b"):
        written(FILTER.format(name=name), f"{name}.py")
    path = written(
        "use: [early_length_a.py, late_length_b.py]\n"
        "stages:\n  - extract: {early: [{keep: early_length_a, min: 1}]}\n"
        "  - heuristics: {steps: [{keep: early_length_a, min: 1}, {keep: late_length_b, min: 1}]}\n"
        "  - heuristics: {steps: [{keep: word_count, min: 1}]}\n"
        "  - score: {models: {long: 'signal:late_length_b'}}\n"
    )
    try:
        recipe = load(path)
        used = [[item["file"] for item in stage.config().get("use", ())] for stage in recipe.stages]
        assert used[1:] == [["early_length_a.py", "late_length_b.py"], [], ["late_length_b.py"]]
        if "use" in recipe.stages[0].config():
            assert used[0] == ["early_length_a.py"]
    finally:
        for name in ("early_length_a", "late_length_b"):
            SIGNALS.pop(name, None)


def test_use_of_a_recipe_and_of_the_one_that_it_extends(written):
    for name in ("base_length_c", "own_length_d"):
        written(FILTER.format(name=name), f"{name}.py")
    written("use: [base_length_c.py]\nstages: [{heuristics: {steps: [{keep: base_length_c, min: 1}]}}]\n", "base.yaml")
    try:
        recipe = load(
            written(
                "extends: base.yaml\nuse: [own_length_d.py]\ninsert: {heuristics: {steps: [{keep: own_length_d, min: 2}]}}\n"
            )
        )
        assert [item["file"] for item in recipe.stages[0].config()["use"]] == ["base_length_c.py", "own_length_d.py"]
    finally:
        for name in ("base_length_c", "own_length_d"):
            SIGNALS.pop(name, None)


def test_a_broken_file_is_named_with_its_line(written):
    written("a = 1\nb = a / 0\n", "broken.py")
    with pytest.raises(RecipeError, match=r"use: broken\.py failed: ZeroDivisionError: division by zero, line 2"):
        load(written("use: [broken.py]\nstages: [extract]\n"))
    written("def broken(:\n", "syntax.py")
    with pytest.raises(RecipeError, match=r"syntax\.py failed: SyntaxError: .*line 1"):
        load(written("use: [syntax.py]\nstages: [extract]\n"))


# --- goldwash recipe


def test_a_recipe_is_printed_with_its_comments(cli):
    for name in names():
        code, printed, _ = cli("recipe", name)
        assert code == 0
        assert printed.rstrip("\n") == source(name).rstrip("\n")
    code, printed, _ = cli("recipe")
    assert [line.split()[0] for line in printed.splitlines()] == names()
    code, printed, _ = cli("recipe", "gopher", "--resolved")
    assert yaml.safe_load(printed)["stages"][0]["extract"]["min_status"] is not None
    code, _, error = cli("recipe", "gophr")
    assert code == 1
    assert "did you mean 'gopher'" in error


def test_a_new_recipe_extends_and_means_the_same_until_it_is_changed(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, printed, _ = cli("recipe", "new", "deep/mine.yaml", "--extends", "gopher")
    assert code == 0
    assert "goldwash run deep/mine.yaml" in printed
    assert load("deep/mine.yaml").stages == load("gopher").stages
    text = (tmp_path / "deep" / "mine.yaml").read_text()
    for key in ("use", "change", "insert", "without"):
        assert f"# {key}:" in text
    code, _, error = cli("recipe", "new", "deep/mine.yaml")
    assert code == 1
    assert "is there already" in error
    assert cli("recipe", "new", "other.yaml", "--extends", "deep/mine.yaml")[0] == 0
    assert load("other.yaml").stages == load("gopher").stages
    for words in (
        ["recipe", "new"],
        ["recipe", "new", "mine.txt"],
        ["recipe", "new", "x.yaml", "--extends", "nothing"],
        ["recipe", "a", "b"],
    ):
        assert cli(*words)[0] == 1
    assert not (tmp_path / "x.yaml").exists()


def test_the_commented_changes_of_a_new_recipe_are_right(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("recipe", "new", "mine.yaml")[0] == 0
    text = (tmp_path / "mine.yaml").read_text()
    lines = [line[2:] if re.match(r"# ( |change|insert|without)", line) else line for line in text.splitlines()]
    (tmp_path / "mine.yaml").write_text("\n".join(lines))
    recipe = load("mine.yaml")
    assert recipe.stage("quality").config()["fraction"] == 0.2
    assert "decontaminate" not in recipe.stage_names()


def test_every_shipped_step_has_a_name_that_changes_it_alone():
    for name in names():
        for stage in load(name).stages:
            for value in stage.config().values():
                if changes._is_steps(value):
                    for n in range(len(value)):
                        assert changes.item_number(value, changes._own_name(value, n), "here") == n
