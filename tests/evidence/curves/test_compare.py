"""Crossings and deals on curves whose answers are known in closed form."""

import math

import numpy as np
import pytest

from goldwash.evidence.curves.compare import Axis, at, check, crossings, deals, doubt, envelope, on_axis, smooth
from goldwash.evidence.curves.logs import Curve, Record
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws.parametric import law

TOKENS = np.geomspace(1e8, 1e12, 60)


def made(name: str, values: "np.ndarray[tuple[int], np.dtype[np.float64]]", tokens=TOKENS, **more) -> Curve:  # type: ignore[no-untyped-def]
    records = tuple(Record(float(t), float(v), seconds=float(t) / 1e6) for t, v in zip(tokens, values, strict=True))
    return Curve(name, more.pop("metric", "validation"), records, **more)


def test_a_crossing_is_where_the_lines_meet() -> None:
    """3 - 0.1 ln t and 4 - 0.15 ln t meet at ln t = 20."""
    slow, fast = made("slow", 3 - 0.1 * np.log(TOKENS)), made("fast", 4 - 0.15 * np.log(TOKENS))
    leader, found = crossings(slow, fast, Axis())
    assert leader == "slow"
    assert [(c.winner, c.loser) for c in found] == [("fast", "slow")]
    assert found[0].at == pytest.approx(math.exp(20), rel=1e-9)
    assert crossings(fast, slow, Axis())[1] == found


def test_curves_that_do_not_overlap_or_are_equal() -> None:
    low, high = made("low", np.ones(5), np.arange(1.0, 6)), made("high", np.ones(5), np.arange(10.0, 15))
    assert crossings(low, high, Axis()) == (None, [])
    assert crossings(low, low, Axis()) == (None, [])


def test_noise_above_the_running_best_does_not_cross() -> None:
    values = 3 - 0.1 * np.log(TOKENS)
    spiky = values.copy()
    spiky[10::7] += 0.5
    assert crossings(made("a", spiky), made("b", values + 0.05), Axis())[1] == []
    assert envelope(np.array([3.0, 4, 2])).tolist() == [3, 3, 2]


def test_the_running_best_is_interpolated_in_log_x_and_nowhere_else() -> None:
    found = at(np.array([1.0, 100.0]), np.array([3.0, 1.0]), np.array([0.5, 10.0, 200.0]))
    assert np.isnan(found[[0, 2]]).all()
    assert found[1] == pytest.approx(2)


def test_a_smaller_model_trained_longer_agrees_with_the_law() -> None:
    epoch = law("epoch")
    sizes = {"1B": 1e9, "3B": 3e9}
    curves = [made(n, np.array([epoch.loss(size, t) for t in TOKENS]), parameters=size) for n, size in sizes.items()]
    long = [curves[0], made("3B", np.array([epoch.loss(3e9, t) for t in TOKENS[:35]]), TOKENS[:35], parameters=3e9)]
    found = deals(long, Axis())[0]
    needed = epoch.tokens_for(1e9, epoch.loss(3e9, TOKENS[34]))
    assert found.reached == pytest.approx(needed, rel=0.01)
    assert found.cheaper_to_serve == 3
    flops = deals(long, Axis("flops"))[0]
    assert flops.ratio == pytest.approx(found.ratio / 3 if found.ratio else None)
    assert deals(curves, Axis())[0].reached is None  # at equal tokens the smaller one never gets there


def test_axes() -> None:
    one = made("a", np.ones(60), parameters=2.0)
    assert on_axis(one, Axis("flops"))[0][0] == pytest.approx(12e8)
    assert on_axis(one, Axis("seconds"))[0][0] == pytest.approx(100)
    assert on_axis(one, Axis("money", 36.0))[0][0] == pytest.approx(1.0)
    for axis, message in ((Axis("money"), "--price"), (Axis("watts"), "unknown axis")):
        with pytest.raises(EvidenceError, match=message):
            on_axis(one, axis)
    with pytest.raises(EvidenceError, match="--parameters"):
        on_axis(made("a", np.ones(60)), Axis("flops"))
    with pytest.raises(EvidenceError, match="no seconds"):
        on_axis(Curve("a", "loss", (Record(1, 1),)), Axis("seconds"))
    with pytest.raises(EvidenceError, match="above zero"):
        on_axis(Curve("a", "bpb", (Record(0, 1),)), Axis())


def test_curves_that_cannot_be_compared() -> None:
    check([made("a", np.ones(60), tokenizer="x", metric="bpb"), made("b", np.ones(60), tokenizer="y", metric="bpb")])
    with pytest.raises(EvidenceError, match="2 tokenizers"):
        check([made("a", np.ones(60), tokenizer="x"), made("b", np.ones(60), tokenizer="y")])
    with pytest.raises(EvidenceError, match="different metrics"):
        check([made("a", np.ones(60)), made("b", np.ones(60), metric="bpb")])


def test_a_training_loss_is_averaged_over_one_percent() -> None:
    values = np.random.default_rng(0).normal(3, 1, 1000)
    found = smooth(values)
    assert found[500] == pytest.approx(values[491:501].mean())
    assert found[0] == values[0]
    assert smooth(values[:150]) == pytest.approx(values[:150])


def test_tokenizers_that_nobody_named_are_doubted() -> None:
    values = np.linspace(3, 2, 60)
    known, silent = made("known", values, tokenizer="gpt2"), made("silent", values)
    assert "no tokenizer is named in silent" in str(doubt([known, silent]))
    assert doubt([silent]) is None
    assert doubt([known, known]) is None
    assert doubt([made("a", values, metric="bpb"), made("b", values, metric="bpb")]) is None
