"""The laws against the numbers that their papers print."""

import math

import numpy as np
import pytest

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws import kaplan, repetition, serving, uncertainty
from goldwash.evidence.laws.parametric import law, third
from goldwash.evidence.laws.shape import Shape, shape
from goldwash.evidence.tables import table


def test_muennighoffs_published_losses() -> None:
    """huggingface/datablations prints these two losses for the models of figure 1, right."""
    muennighoff = law("muennighoff")
    assert abs(repetition.loss(muennighoff, 6.34e9, 242e9, 25e9) - 2.2256440889984477) < 1e-12
    assert abs(repetition.loss(muennighoff, 8.67e9, 178e9, 25e9) - 2.2269634075087867) < 1e-12


def test_epochs_and_kaplans_allocation_of_gophers_compute() -> None:
    epoch, old = law("epoch").optimum(5.76e23), kaplan.optimum(5.76e23)
    assert round(epoch.parameters / 1e9) == 72
    assert round(epoch.tokens / 1e12, 2) == 1.33
    assert round(old.parameters / 1e9) == 804
    assert round(old.tokens / 1e9) == 216


def test_kaplans_least_tokens() -> None:
    coefficient, exponent = kaplan.least_tokens_law()
    assert (round(coefficient / 1e3, 2), round(exponent, 3)) == (5.52, 0.738)
    assert kaplan.least_tokens(1e9) == pytest.approx(5e3 * 1e9**0.74)


def test_the_least_tokens_give_two_percent_of_overfitting() -> None:
    coefficient, exponent = kaplan.least_tokens_law()
    unlimited = kaplan.loss(1e9, 1e30)
    assert kaplan.loss(1e9, coefficient * 1e9**exponent) / unlimited == pytest.approx(1.02, rel=1e-6)


def test_serving_two_trillion_tokens_at_the_quality_of_13b() -> None:
    epoch = law("epoch")
    loss = epoch.loss(13e9, epoch.optimal_tokens(13e9))
    best = serving.cheapest(epoch, loss, 2e12)
    assert round(best.run.parameters / 1e9, 1) == 6.1
    assert round(best.run.tokens / 1e9) == 737
    assert epoch.loss(*best.run) == pytest.approx(loss, abs=1e-12)


@pytest.mark.parametrize("name", ["epoch", "hoffmann", "muennighoff"])
@pytest.mark.parametrize("compute", [1e18, 1e21, 1e25])
def test_the_optimum_is_better_than_its_neighbours(name: str, compute: float) -> None:
    one = law(name)
    best = one.optimum(compute)
    assert best.compute == pytest.approx(compute)
    for factor in (0.5, 0.9, 1.1, 2):
        assert one.loss(*best) < one.loss(best.parameters * factor, best.tokens / factor)
    assert one.optimal_tokens(best.parameters) == pytest.approx(best.tokens)
    assert one.optimal_parameters(best.tokens) == pytest.approx(best.parameters)
    assert one.compute_for(one.loss(*best)) == pytest.approx(compute)


def test_inverses_of_the_loss() -> None:
    epoch = law("epoch")
    assert epoch.tokens_for(7e9, epoch.loss(7e9, 3e11)) == pytest.approx(3e11)
    assert epoch.parameters_for(3e11, epoch.loss(7e9, 3e11)) == pytest.approx(7e9)
    assert epoch.tokens_for(1e6, 1.9) == math.inf
    with pytest.raises(EvidenceError, match=r"irreducible loss is 1\.8172"):
        epoch.compute_for(1.8)


def test_serving_never_makes_the_model_larger_and_costs_less() -> None:
    epoch = law("epoch")
    run = epoch.optimum(1e22)
    sizes = []
    for served in (1e6, 1e11, 1e12, 1e13):
        best = serving.cheapest(epoch, epoch.loss(*run), served)
        sizes.append(best.run.parameters)
        assert best.total <= serving.cost(run, served).total * (1 + 1e-9)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == pytest.approx(run.parameters, rel=1e-2)


def test_third_of_two() -> None:
    assert third(6e21, None, 1e12).parameters == pytest.approx(1e9)
    assert third(None, 1e9, 1e12).compute == pytest.approx(6e21)
    with pytest.raises(EvidenceError, match="contradict"):
        third(1e21, 1e9, 1e12)
    with pytest.raises(EvidenceError, match="two of"):
        third(None, 1e9, None)


def test_repeats_decay() -> None:
    assert repetition.effective(100, 60, 15) == 60
    assert repetition.effective(100, 100, 15) == 100
    worth = [repetition.effective(100, 100 * epochs, 15.387756) for epochs in (1, 2, 4, 16, 64, 10_000)]
    assert worth == sorted(worth)
    assert worth[2] > 0.9 * 400  # four epochs cost next to nothing
    assert worth[-1] == pytest.approx(100 * (1 + 15.387756))
    with pytest.raises(EvidenceError, match="at most 1k unique"):
        repetition.loss(law("epoch"), 1e9, 1e3, 2e3)


def test_without_repeats_the_loss_and_the_optimum_are_the_laws() -> None:
    epoch = law("epoch")
    size = epoch.optimal_parameters(1e11)
    assert repetition.loss(epoch, size, 1e11, 1e11) == pytest.approx(epoch.loss(size, 1e11))
    assert repetition.loss(epoch, 2 * size, 1e11, 1e11) > epoch.loss(2 * size, 1e11)  # spare parameters decay
    assert repetition.optimum(epoch, 1e21, 1e15).parameters == pytest.approx(epoch.optimum(1e21).parameters, rel=1e-5)


def test_repetition_optimum_agrees_with_a_grid() -> None:
    muennighoff = law("muennighoff")
    best = repetition.optimum(muennighoff, 9.3e21, 25e9)
    sizes = np.geomspace(1e9, 5e10, 4001)
    losses = [repetition.loss(muennighoff, n, 9.3e21 / 6 / n, min(25e9, 9.3e21 / 6 / n)) for n in sizes]
    assert best.parameters == pytest.approx(sizes[int(np.argmin(losses))], rel=2e-3)


def test_exact_flops_are_megatrons() -> None:
    """Narayanan et al. 2021, equation 3, without recomputation: 72 l h^2 (1 + s / 6h + V / 12lh) per token."""
    one = Shape(24, 2304, 24, 51200, 2048)
    expected = 72 * 24 * 2304**2 * (1 + 2048 / (6 * 2304) + 51200 / (12 * 24 * 2304))
    assert one.flops_per_token == pytest.approx(expected)


def test_gpt3s_parameters() -> None:
    """GPT-3 175B: 96 layers, 12288 wide, vocabulary 50257, context 2048: 174.6e9 without positions and norms."""
    one = shape("layers=96,width=12288,heads=96,vocabulary=50257")
    assert one.parameters() == pytest.approx(174.6e9, rel=1e-3)
    assert one.without_embeddings == 12 * 96 * 12288**2


@pytest.mark.parametrize(
    "text", ["", "layers=2", "layers=2,width=64,heads=4,vocabulary=x", "depth=3", "layers=-1,width=1,heads=1,vocabulary=1"]
)
def test_shapes_that_are_refused(text: str) -> None:
    with pytest.raises(EvidenceError, match="--shape"):
        shape(text)


def test_every_entry_of_a_table_has_a_source() -> None:
    for name in ("laws", "kaplan", "scales", "multipliers"):
        assert all(row["source"] for row in table(name).values())


def test_replicates_spread_like_the_published_standard_errors() -> None:
    replicates = uncertainty.replicates("epoch")
    assert len(replicates) == 200
    for name, error in law("epoch").errors.items():
        ours = float(np.std([getattr(one, name) for one in replicates]))
        assert 0.6 < ours / error < 1.5
    assert uncertainty.replicates("hoffmann") == []
    assert uncertainty.spread([], lambda one: one.A) is None


def test_unknown_laws_are_named() -> None:
    with pytest.raises(EvidenceError, match="epoch, hoffmann, muennighoff, kaplan"):
        law("chinchila")
