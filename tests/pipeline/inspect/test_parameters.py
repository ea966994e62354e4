"""The parameters that `goldwash stage NAME --help` shows are the stage's own."""

import dataclasses

import pytest

from goldwash.pipeline.inspect.parameters import parameters_of, signals_and_edits
from goldwash.pipeline.recipes.reading import parsed
from goldwash.pipeline.stages import STAGES


@pytest.mark.parametrize("name", STAGES)
def test_each_parameter_is_shown_with_its_default_as_a_setting_would_give_it(name):
    kind = STAGES[name]
    shown = parameters_of(kind)
    assert [p.name for p in shown] == [field.name for field in dataclasses.fields(kind)]
    for parameter, field in zip(shown, dataclasses.fields(kind), strict=True):
        assert parameter.kind
        if field.default is not dataclasses.MISSING:
            value = parsed(parameter.default)[0]
            assert (tuple(value) if isinstance(value, list) else value) == field.default


def test_help_of_a_stage_shows_them(cli):
    for name in ("heuristics", "minhash"):
        code, printed, _ = cli("stage", name, "--help")
        assert code == 0
        section = printed.partition(f"Parameters of {name}")[2]
        for parameter in parameters_of(STAGES[name]):
            assert f"  {parameter.name} " in section
    assert "every rule's value" in " ".join(cli("stage", "heuristics", "--help")[1].split())
    assert "Parameters of" not in cli("stage", "--help")[1]


def test_signals_and_edits_have_summaries():
    for found in signals_and_edits().values():
        assert found == sorted(found)
        assert all(summary for _, summary in found)
