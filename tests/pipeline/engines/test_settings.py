"""What an engine is told, from a file and from the command line."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import ClassVar

import pytest

from goldwash.pipeline.engines import local as local_module
from goldwash.pipeline.engines import settings as settings_module
from goldwash.pipeline.engines.local import Local
from goldwash.pipeline.engines.progress import Shown, silent
from goldwash.pipeline.engines.ray import Ray
from goldwash.pipeline.engines.settings import Screen, Settings, engine_names, settings_of
from goldwash.pipeline.engines.slurm import Slurm
from goldwash.pipeline.flow import Request
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.stage import Run, RunError
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.tasks import Task

FILE = """
slurm:
  partition: cpu
  memory_gb: 4
  stages:
    bloom: {memory_gb: 200, time: "48:00:00"}
ray:
  address: 10.0.0.1:6379
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "engine.yaml").write_text(FILE)
    return str(tmp_path / "engine.yaml")


def written(folder: Path, text: str) -> str:
    (folder / "engine.yaml").write_text(text)
    return str(folder / "engine.yaml")


def task(memory: int) -> Task:
    return Task({"name": "bloom"}, (), "out", 0, "i", memory=memory)


def test_nothing_given_is_the_defaults():
    assert settings_of("local") == Local()
    assert settings_of("slurm") == Slurm()
    assert settings_of("ray") == Ray()


def test_a_file_has_a_part_for_each_engine(file):
    slurm = settings_of("slurm", file)
    assert isinstance(slurm, Slurm)
    assert (slurm.partition, slurm.memory_gb, slurm.time) == ("cpu", 4, "24:00:00")
    assert settings_of("ray", file) == Ray(address="10.0.0.1:6379")
    assert settings_of("local", file) == Local()


def test_what_is_given_wins_over_the_file(file):
    slurm = settings_of("slurm", file, {"partition": "big", "bloom.memory_gb": 300, "minhash.cpus": 2})
    assert isinstance(slurm, Slurm)
    assert slurm.partition == "big"
    assert slurm.stages == {"bloom": {"memory_gb": 300, "time": "48:00:00"}, "minhash": {"cpus": 2}}


def test_a_file_is_not_changed_by_what_is_given(file):
    settings_of("slurm", file, {"bloom.memory_gb": 300})
    assert settings_of("slurm", file).stages["bloom"]["memory_gb"] == 200  # type: ignore[union-attr]


def test_a_stage_has_what_is_said_of_it_and_else_what_is_said_of_all(file):
    slurm = settings_of("slurm", file)
    assert isinstance(slurm, Slurm)
    bloom, extract = slurm.of_stage("bloom"), slurm.of_stage("extract")
    assert (bloom.memory_gb, bloom.time, bloom.partition) == (200, "48:00:00", "cpu")
    assert (extract.memory_gb, extract.time) == (4, "24:00:00")


@pytest.mark.parametrize(
    ("engine", "given", "message"),
    [
        ("slrum", {}, "no engine is called 'slrum': did you mean 'slurm'"),
        ("kubernetes", {}, "no engine is called 'kubernetes': known: local, ray, slurm"),
        ("slurm", {"partitoin": "cpu"}, "slurm settings: no key is called 'partitoin': did you mean 'partition'"),
        ("local", {"partition": "cpu"}, "local settings: no key is called 'partition': known: workers"),
        ("ray", {"adress": "auto"}, "ray settings: no key is called 'adress': did you mean 'address'"),
        ("slurm", {"bloom.memory": 3}, "slurm settings of stage bloom: no key is called 'memory': did you mean 'memory_gb'"),
        ("slurm", {"bloom.partition": "big"}, "slurm settings of stage bloom: no key is called 'partition': known: .*time"),
        ("ray", {"bloom.time": "1:00:00"}, "ray settings of stage bloom: no key is called 'time'"),
        ("slurm", {"cpus": "two"}, "slurm settings: cpus is 'two'; expected int"),
        ("slurm", {"cpus": True}, "slurm settings: cpus is True; expected int"),
        ("slurm", {"memory_gb": None}, "slurm settings: memory_gb is None; expected float"),
        ("slurm", {"time": 3600}, "slurm settings: time is 3600; expected str"),
        ("slurm", {"bloom.memory_gb": "much"}, "slurm settings of stage bloom: memory_gb is 'much'; expected float"),
        ("slurm", {"sbatch": "--exclusive"}, "slurm settings: sbatch is '--exclusive'; expected"),
        ("slurm", {"blom.cpus": 2}, "slurm settings: no stage is called 'blom': did you mean 'bloom'"),
        ("local", {"bloom.workers": 2}, "local settings of stage bloom: no key is called 'workers'"),
    ],
)
def test_what_cannot_be_is_refused_with_the_nearest_name(engine, given, message):
    with pytest.raises(RecipeError, match=message):
        settings_of(engine, given=given, stages=list(STAGES))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slrum: {partition: cpu}", r"engine\.yaml: no engine is called 'slrum': did you mean 'slurm'"),
        ("partition: cpu", r"engine\.yaml: expected a section per engine, as `slurm: \{partition: cpu\}`"),
        ("- slurm", r"engine\.yaml: expected a section per engine"),
        ("", r"engine\.yaml: expected a section per engine"),
        ("slurm: {partition: [", r"engine\.yaml is not YAML"),
        ("slurm: {stages: {bloom: 3}}", "stages is .*expected keys and values for each stage, as `bloom: "),
        ("slurm: {stages: [bloom]}", "stages is .*expected keys and values"),
        ("slurm: {stages: {blom: {cpus: 2}}}", "no stage is called 'blom': did you mean 'bloom'"),
        ("slurm: {time: 4}", 'time is 4; expected str, in quotes, as "4:00:00"'),
    ],
)
def test_a_file_that_cannot_be(tmp_path, text, message):
    with pytest.raises(RecipeError, match=message):
        settings_of("slurm", written(tmp_path, text), stages=list(STAGES))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RecipeError, match=r"no file of engine settings at .*none\.yaml"):
        settings_of("slurm", str(tmp_path / "none.yaml"))


def test_an_empty_part_is_the_defaults(tmp_path):
    assert settings_of("ray", written(tmp_path, "ray:\n")) == Ray()
    assert settings_of("slurm", written(tmp_path, "slurm:\n  stages:\n")) == Slurm()


def test_memory_is_what_is_set_unless_a_stage_says_that_its_tasks_take_more():
    slurm = Slurm(memory_gb=4)
    assert slurm.memory_of([task(0), task(0)]) == 4096
    assert slurm.memory_of([]) == 4096
    assert slurm.memory_of([task(1 << 30), task(2 << 30)]) == 4096
    assert slurm.memory_of([task(1 << 30), task(200 << 30)]) == 201 * 1024


def test_memory_is_asked_for_in_whole_megabytes_and_never_too_little():
    assert Slurm(memory_gb=0.0005).memory_of([task(0)]) == 1
    assert Slurm(memory_gb=1).memory_of([task((5 << 30) + 1)]) == 6 * 1024 + 1


def test_memory_of_a_stage_may_be_set(file):
    slurm = settings_of("slurm", file)
    assert isinstance(slurm, Slurm)
    assert slurm.of_stage("bloom").memory_of([task(100 << 30)]) == 200 * 1024
    assert slurm.of_stage("extract").memory_of([task(100 << 30)]) == 101 * 1024


def test_the_command_line_refuses_a_stage_that_is_none(cli, tmp_path):
    words = ("run", "sample", "--input", tmp_path, "--out", tmp_path / "run", "--on", "ray", "--with", "blom.cpus=2")
    code, _, err = cli(*words)
    assert (code, "did you mean 'bloom'" in err) == (1, True)


# --- the table of engines


@dataclass(frozen=True)
class Elsewhere(Settings):
    """An engine of another package."""

    engine: ClassVar[str] = "elsewhere"
    queue: str = ""

    def start(self, progress: Shown = silent) -> Run:
        """No engine at all."""
        raise RunError(f"no queue {self.queue}")


def test_an_installed_package_adds_an_engine(monkeypatch):
    point = EntryPoint("elsewhere", "tests.pipeline.engines.test_settings:Elsewhere", "goldwash.engines")
    monkeypatch.setattr(settings_module, "entry_points", lambda **wanted: EntryPoints([point]).select(**wanted))
    assert engine_names() == ["local", "slurm", "ray", "elsewhere"]
    found = settings_of("elsewhere", given={"queue": "q"})
    with pytest.raises(RunError, match="no queue q"):
        found.start()
    with pytest.raises(RecipeError, match="did you mean 'elsewhere'"):
        settings_of("elsewher")


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_an_engine_that_needs_its_driver_cannot_be_left(engine):
    with pytest.raises(RecipeError, match="--detach is for --on slurm"):
        settings_of(engine).walk(Request(load("sample"), ["crawl"], "run"), Screen(), detach=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sbatch": {"array": "0-3"}}, "'array' cannot be given: goldwash sets it"),
        ({"sbatch": {"dependency": "singleton"}}, "'dependency' cannot be given: goldwash sets it"),
        ({"sbatch": {"--exclusive": ""}}, "'--exclusive' cannot be given: expected the long name of an option, without dashes"),
        ({"sbatch": {"a\nb": ""}}, r"'a\\+nb' cannot be given: expected the long name"),
        ({"partition": "gold\nrm"}, "partition is .*control characters cannot be given to sbatch"),
        ({"sbatch": {"comment": "a\nb"}}, "comment is .*control characters"),
        ({"array": 0}, "array is 0.*expected more than 0"),
        ({"poll_seconds": 0}, "poll_seconds 0.*expected more than 0"),
    ],
)
def test_settings_that_sbatch_cannot_take(given, message):
    with pytest.raises(RecipeError, match=message):
        settings_of("slurm", given=given)


def test_further_options_of_sbatch_are_text():
    slurm = Slurm(account="a", sbatch={"nice": 0, "exclusive": "", "requeue": None, "hold": True, "spread-job": False})
    assert slurm.options() == {"account": "a", "nice": "0", "exclusive": "", "requeue": "", "hold": ""}


def test_a_time_needs_no_quotes(tmp_path):
    """YAML 1.2: a number of base 60 is a string."""
    (tmp_path / "engine.yaml").write_text("slurm: {time: 4:00:00}\n")
    assert settings_of("slurm", str(tmp_path / "engine.yaml")).time == "4:00:00"


@pytest.mark.parametrize(("workers", "expected"), [(2, ["server", "run"]), (1, ["run"])])
def test_the_fork_server_starts_before_a_run_is_planned(monkeypatch, workers, expected):
    seen = []
    monkeypatch.setattr(local_module, "fork_context", lambda: seen.append("server"))
    monkeypatch.setattr(Settings, "walk", lambda self, request, screen, detach: seen.append("run") or [])
    Local(workers=workers).walk(Request(load("sample"), ["in"], "out"), Screen())
    assert seen == expected
