import pytest

from goldwash.pipeline.html.extractors import EXTRACTORS
from goldwash.pipeline.inspect.estimate import PAGE_TEXT_BYTES, plan
from goldwash.pipeline.recipes import recipe as recipes
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.stage import Load
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.stages.extract import RATES
from goldwash.pipeline.storage.source import Input

DUMP = [Input(f"https://a.example/{n}.warc.gz", 0, "") for n in range(90_000)]


def rows(*settings, inputs=DUMP, skip=()):
    return {row.stage: row for row in plan(recipes.load("sample", settings, skip), inputs)}


NEEDED = {"score": {"models": {"quality": "signal:word_count"}}}
"""Parameters of stages that have no defaults for all."""


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_has_a_cost(name):
    cost = STAGES[name].of(NEEDED.get(name, {})).cost(Load(1000, 3e6, 4))
    assert cost.megabytes_per_second > 0
    assert 0 < cost.kept_fraction <= 1
    assert cost.tasks is None or 1 <= cost.tasks <= 4


def test_every_extractor_has_a_rate():
    assert set(RATES) == set(EXTRACTORS)


def test_archives_of_unknown_size_are_common_crawls():
    planned = rows()
    assert list(planned) == ["extract", "heuristics", "minhash", "bloom", "quality", "decontaminate"]
    assert planned["extract"].documents == pytest.approx(3.05e9, rel=0.01)
    assert planned["extract"].tasks == 90_000
    rate = load("baseline").stage("bloom").cost(Load(1000, 3e6, 4)).megabytes_per_second
    assert planned["bloom"].cpu_seconds == pytest.approx(planned["bloom"].read / 1e6 / rate)
    assert planned["minhash"].documents / planned["extract"].documents == pytest.approx(0.199)
    assert planned["decontaminate"].documents / planned["quality"].documents == pytest.approx(0.1)
    for row in planned.values():
        assert row.longest_seconds == pytest.approx(row.cpu_seconds / row.tasks)


def test_twice_the_input_takes_twice_the_time_and_a_stage_that_is_left_out_none():
    one, two = rows(inputs=DUMP[:1000]), rows(inputs=DUMP[:2000])
    for stage in one:
        assert two[stage].cpu_seconds == pytest.approx(2 * one[stage].cpu_seconds)
        assert two[stage].documents == pytest.approx(2 * one[stage].documents)
    assert list(rows(skip=("minhash",))) == ["extract", "heuristics", "bloom", "quality", "decontaminate"]


def test_texts_that_are_left_are_not_written():
    left, copied = rows()["minhash"], rows("minhash.copy_text=true")["minhash"]
    assert left.written < 0.4 * copied.written
    assert left.cpu_seconds < copied.cpu_seconds


def test_a_fraction_is_taken_as_it_is_set():
    assert rows("quality.fraction=0.2")["decontaminate"].documents == pytest.approx(2 * rows()["decontaminate"].documents)


def test_groups_divide_the_filter_and_one_that_is_too_large_is_told_with_its_cure():
    whole, divided = rows()["bloom"], rows("bloom.groups=100")["bloom"]
    assert whole.tasks == 1
    assert "--set bloom.groups=" in whole.cure
    assert divided.tasks == 100
    assert divided.cure == ""
    assert divided.memory < whole.memory / 50


def test_sizes_that_are_known_are_used():
    packed, plain = Input("a.warc.gz", 31_000_000, "s"), Input("a.warc", 31_000_000, "s")
    assert rows(inputs=[packed])["extract"].documents == pytest.approx(1000)
    assert rows(inputs=[plain])["extract"].documents == pytest.approx(200)
    made = recipes.load("sample", (), ("extract",))
    (first, *_) = plan(made, [Input("a.parquet", 1300, "s", 7), Input("b.parquet", 1300, "s", 5)])
    assert (first.stage, first.documents, first.read) == ("heuristics", 12, 6500)
    (first, *_) = plan(made, [Input("a.parquet", 1300, "s")])
    assert first.documents == pytest.approx(3250 / PAGE_TEXT_BYTES)
