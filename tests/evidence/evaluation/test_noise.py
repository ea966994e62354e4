"""Noise and decisions against published numbers, and by simulation."""

from pathlib import Path

import numpy as np
import pytest

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.evaluation.decisions import agreement, best_scores, conditions
from goldwash.evidence.evaluation.noise import Noise, measured, published, ranks


def test_nanochats_seven_runs() -> None:
    noise = published()
    assert noise.mean == pytest.approx(0.25714, abs=5e-6)
    assert round(noise.deviation, 4) == 0.0052
    assert noise.runs_for(0.002) == 26


def test_equal_runs_are_called_different_in_5_percent_of_cases() -> None:
    generator, wrong = np.random.default_rng(0), 0
    for _ in range(2000):
        values = generator.normal(0.25, 0.005, 9)
        wrong += abs(values[7] - values[8]) > measured(values[:7].tolist(), "").threshold()
    assert 0.035 < wrong / 2000 < 0.065


def test_differences_inside_the_noise_are_not_ranked() -> None:
    noise = Noise(0.0, 0.005, 0, "given")
    assert ranks([0.250, 0.262, 0.300, 0.255], noise) == [2, 2, 1, 2]
    assert ranks([], noise) == []
    with pytest.raises(EvidenceError, match="two equal runs"):
        measured([0.2], "")
    with pytest.raises(EvidenceError, match="half width"):
        noise.runs_for(0)


@pytest.mark.real
@pytest.mark.parametrize(
    ("large", "agreeing", "accuracy"),
    [
        ({"params": "6889410560", "tokens": "137788211200"}, 45, 0.818),
        ({"params": "1439795200", "tokens": "28795904000"}, 44, 0.80),
    ],
)
def test_dclms_own_decisions(real: Path, large: dict[str, str], agreeing: int, accuracy: float) -> None:
    file = str(real / "laws" / "dclm-models.csv.gz")
    found = agreement(
        best_scores(file, {"params": "411616256"}, "Dataset", "Core"), best_scores(file, large, "Dataset", "Core")
    )
    assert (found.datasets, found.agreeing, found.pairs) == (11, agreeing, 55)
    assert round(found.accuracy, 3) == accuracy
    assert found.interval[0] < found.accuracy < found.interval[1]


def test_nanochats_swaps_agree_at_both_scales() -> None:
    """ClimbMix: d12 .133 -> .145, d26 .2602 -> .2767; the FinePDFs mix: d18 .199 -> .192, d26 .2602 -> .2549."""
    up = agreement({"old": 0.133, "climbmix": 0.145}, {"old": 0.2602, "climbmix": 0.2767})
    down = agreement({"old": 0.199, "mix": 0.192}, {"old": 0.2602, "mix": 0.2549})
    assert (up.agreeing + down.agreeing, up.pairs + down.pairs) == (2, 2)


def test_agreement_in_plain_python() -> None:
    generator = np.random.default_rng(1)
    small = {str(i): float(v) for i, v in enumerate(generator.integers(0, 4, 9))}  # with ties
    large = {str(i): float(v) for i, v in enumerate(generator.normal(size=9))}
    alike = sum((small[a] - small[b]) * (large[a] - large[b]) > 0 for a in small for b in small if a < b)
    found = agreement(small, large)
    assert (found.agreeing, found.pairs) == (alike, 36)
    assert agreement(small, large) == found


def test_tables_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "models.csv"
    path.write_text("Dataset,params,Core\na,1,0.2\nb,1,nan\n")
    with pytest.raises(EvidenceError, match="no column Score"):
        best_scores(str(path), {"params": "1"}, "Dataset", "Score")
    with pytest.raises(EvidenceError, match="no row with params=2"):
        best_scores(str(path), {"params": "2"}, "Dataset", "Core")
    assert best_scores(str(path), {"params": "1"}, "Dataset", "Core") == {"a": 0.2}
    with pytest.raises(EvidenceError, match="at least two datasets"):
        agreement({"a": 1.0}, {"a": 1.0})
    with pytest.raises(EvidenceError, match="--small: expected COLUMN=VALUE"):
        conditions(["params"], "--small")
