"""The commands of evidence as users give them: answers, JSON, files, and errors with the cure."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from goldwash.evidence.cli import GROUPS, register
from goldwash.evidence.errors import EvidenceError
from goldwash.pipeline.cli.errors import is_known

APP = typer.Typer()
register(APP)


def goldwash(*words: str) -> str:
    result = CliRunner().invoke(APP, words, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def answers(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(goldwash(*words, "--json", "-"))
    return found


def test_registering_twice_adds_nothing() -> None:
    register(APP)
    assert len(APP.registered_commands) == len(GROUPS)


def test_errors_are_known_to_the_command_line() -> None:
    assert is_known(EvidenceError("x"))


def test_plan_of_a_scale() -> None:
    text = goldwash("plan", "--scale", "7B-1x", "--serve", "2T")
    assert "6.89B parameters, 138B tokens" in text
    assert "arXiv 2404.10102" in text
    assert "keep 0.1" in text
    assert "arXiv 2401.00448" in text


def test_a_wrong_option_is_refused_before_the_first_line() -> None:
    for wrong in (("--serve", "-1"), ("--pool", "1T", "--multiplier", "x"), ("--shape", "layers=1"), ("--run", "nowhere")):
        result = CliRunner().invoke(APP, ["plan", "--compute", "1e21", *wrong])
        assert result.exit_code != 0
        assert result.stdout == ""


def test_a_budget_beyond_the_runs_behind_the_laws_is_called_extrapolated() -> None:
    assert "extrapolated" not in goldwash("plan", "--compute", "1e21")
    assert "above the runs that the laws were fitted to" in goldwash("plan", "--compute", "1e26")
    assert "below the runs" in goldwash("plan", "--compute", "1e16")


def test_plan_as_json_is_json_alone() -> None:
    found = answers("plan", "--compute", "5.76e23", "--pool", "2T")
    epoch = next(law for law in found["laws"] if law["law"] == "epoch")
    assert round(epoch["optimum"]["parameters"] / 1e9) == 72
    assert epoch["parameters_interval"][0] < epoch["optimum"]["parameters"] < epoch["parameters_interval"][1]
    assert found["keep"]["best"]["share"] < 1


@pytest.mark.real
def test_plan_fit_predicts_and_writes_a_chart(real: Path, tmp_path: Path) -> None:
    file = str(real / "laws" / "chinchilla-figure-4.csv")
    words = ("--fit", file, "--least-ratio", "0.43", "--hold-out", "1e21", "--bootstrap", "3", "--out", str(tmp_path))
    found = answers("plan", *words)["fit"]
    assert (found["runs"], found["left_out"], found["held_out"]["runs"]) == (217, 5, 23)
    assert found["held_out"]["worst"] < 0.03
    assert (tmp_path / "residuals.svg").read_text().lstrip().startswith("<?xml")


def test_plan_fit_of_few_runs_warns(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    rows = [f"{n:g},{d:g},{1.8 + 480 / n**0.35 + 2085 / d**0.37}" for n in (1e8, 1e9, 5e9) for d in (1e9, 1e10, 5e10)]
    path.write_text("params,tokens,loss\n" + "\n".join(rows) + "\n")
    text = goldwash("plan", "--fit", str(path), "--bootstrap", "0")
    assert "WARNING: 9 runs are fewer than 32" in text


def test_plan_of_mixtures_goes_round_through_olmixs_files(tmp_path: Path) -> None:
    sources = ("--mixtures", "web=700B", "--mixtures", "code=300B")
    goldwash("plan", *sources, "--runs", "5", "--out", str(tmp_path))
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    (tmp_path / "metrics.csv").write_text("\n".join([lines[0], *(f"{line}{i / 10 + 1}" for i, line in enumerate(lines[1:]))]))
    files = ("--ratios", str(tmp_path / "ratios.csv"), "--metrics", str(tmp_path / "metrics.csv"))
    weights = answers("plan", *sources, *files)["proposal"]["weights"]
    assert sum(weights.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to plan"),
        (("--compute", "0"), "--compute: expected a finite number above zero"),
        (("--parameters", "-7B"), "--parameters"),
        (("--tokens", "many"), "--tokens: expected a number such as 7B"),
        (("--parameters", "7B"), "two of compute"),
        (("--pool", "1T"), "expected a budget"),
        (("--scale", "7B-1x", "--compute", "1e21"), "give it alone"),
        (("--compute", "1e21", "--pool", "1T", "--share", "1.5"), "--share"),
        (("--compute", "1e21", "--pool", "1T", "--law", "kaplan"), "no parametric loss"),
        (("--compute", "1e21", "--run", "nowhere"), "nowhere"),
        (("--compute", "100"), "no model is so small"),
        (("--parameters", "1", "--tokens", "1e12"), "no model is so small"),
        (("--compute", "1e400"), "finite number"),
        (("--compute", "1e21", "--law", "hofman"), "--law"),
        (("--compute", "1e21", "--pool", "1T", "--law", "hofman"), "unknown law 'hofman'"),
        (("--compute", "1e21", "--share", "0.1"), "--share"),
        (("--compute", "1e21", "--multiplier", "0.1=2"), "--multiplier"),
        (("--compute", "1e21", "--shape", "layers=2,width=7,heads=2,vocabulary=10"), "heads that divide the width"),
        (("--mixtures", "web"), "NAME=TOKENS"),
        (("--ratios", "x.csv"), "--mixtures"),
        (("--repeats", "0"), "--repeats"),
        (("--fit", "nowhere.csv"), "cannot read a table of runs"),
    ],
)
def test_plans_that_are_refused(words: tuple[str, ...], message: str) -> None:
    from goldwash.pipeline.storage.failures import DataError

    with pytest.raises(DataError, match=message):
        goldwash("plan", *words)


def test_curves(tmp_path: Path) -> None:
    for name, losses in (("a", (4.0, 3.0, 2.9)), ("b", (5.0, 3.5, 2.0))):
        (tmp_path / f"{name}.csv").write_text(
            "tokens,val_loss\n" + "".join(f"{10**i},{loss}\n" for i, loss in enumerate(losses))
        )
    logs = (str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
    text = goldwash("curves", *logs, "--out", str(tmp_path / "chart.html"))
    assert "a.csv leads first; b.csv passes at" in text
    assert "<svg" in (tmp_path / "chart.html").read_text()
    with pytest.raises(EvidenceError, match="--parameters: expected LOG=VALUE"):
        goldwash("curves", *logs, "--parameters", "c=1B")
    with pytest.raises(EvidenceError, match="unknown metric"):
        goldwash("curves", *logs, "--metric", "accuracy")


def test_names_from_files_cannot_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m$x_.csv"
    path.write_text("tokens,loss\n1,2\n2,1\n")
    text = goldwash("curves", str(path), "--out", str(tmp_path / "c.svg"))
    assert "\x1b" not in text
    assert "\x1b" not in (tmp_path / "c.svg").read_text()


@pytest.mark.real
def test_evaluate_decisions(real: Path) -> None:
    file = str(real / "laws" / "dclm-models.csv.gz")
    large = ("--large", "params=6889410560", "--large", "tokens=137788211200")
    found = answers("evaluate", "--decisions", file, "--small", "params=411616256", *large)["decisions"]
    assert (found["agreeing"], found["pairs"], found["datasets"]) == (45, 55, 11)


def test_evaluate_names_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"eval_metrics": {"icl": {"copa": 0.7}}}))
    text = goldwash("evaluate", str(path))
    assert "no CORE: missing" in text
    assert "hellaswag" in text
    with pytest.raises(EvidenceError, match="nothing to evaluate"):
        goldwash("evaluate")
    with pytest.raises(EvidenceError, match="both --items and --model"):
        goldwash("evaluate", "--model", "x")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--part", "1"), "--part"),
        (("--people", "1"), "at least 2 people"),
        (("--exposures", "0"), "1 exposure"),
        (("--width", "7"), "2 x heads divides"),
        (("--rate", "-1"), "--rate"),
        (("--out", "x.pdf"), "--out"),
        (("--junk", "nowhere"), "--junk"),
        (("--seeds", "0"), "--seeds"),
        (("--repeat", "0"), "--repeat"),
        (("--skew", "-1"), "--skew"),
        (("--skew", "1", "--ratio", "0.1"), "different experiments"),
        (("--copies", "0"), "--copies"),
        (("--copies", "1"), "--copies"),
        (("--copies", "2000"), "from 2 to 1,600"),
        (("--width", "16", "--width", "32"), "several --width need --ratio"),
    ],
)
def test_probes_that_are_refused(words: tuple[str, ...], message: str) -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    with pytest.raises(EvidenceError, match=message):
        goldwash("probe", *words)


def test_plan_reads_pool_and_share_from_a_finished_run(tmp_path: Path) -> None:
    """The folder as `pipeline.dataset.publish` leaves it."""
    from goldwash.pipeline.dataset import publish
    from goldwash.pipeline.recipes.recipe import load
    from goldwash.pipeline.storage.atomic import write_json
    from tests.pipeline.conftest import shard

    recipe = load("sample")
    sizes = {"extract": 8_000_000, "quality": 430_000}
    counts = {"documents": 100, "bytes": 4_300_000}
    reports = [
        {"report": {"read": counts, "kept": {**counts, "bytes": sizes.get(stage.name, 4_300_000)}}, "facts": {}}
        for stage in recipe.stages
    ]
    write_json(str(tmp_path / "run.json"), {"stages": []})
    with pytest.raises(EvidenceError, match=r"is not finished: it has no dataset/_report\.json"):
        goldwash("plan", "--run", str(tmp_path), "--compute", "1e21")
    publish(recipe, [shard(tmp_path / "last" / "a.parquet", ["gold"])], reports, str(tmp_path))
    assert "the run kept 0.1 of its pool" in goldwash("plan", "--run", str(tmp_path), "--compute", "1e21")
