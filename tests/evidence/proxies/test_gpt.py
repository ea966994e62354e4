"""The transformer against a twin in NumPy, and what training must do."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

pytest.importorskip("jax", reason="JAX is not installed: pip install 'goldwash[proxy]'")

import jax

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.proxies import gpt
from goldwash.evidence.proxies.sizes import SIZES, Size

SHAPE = gpt.Shape(vocabulary=11, width=8, layers=2, heads=2)


def rows(count: int = 4, length: int = 8, seed: int = 0) -> gpt.Ids:
    """Equal shapes are compiled once: a second of CPU."""
    return np.random.default_rng(seed).integers(1, 11, (count, length)).astype(np.int32)


def twin(params: gpt.Params, ids: gpt.Ids, heads: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """The forward pass of one row in plain NumPy, position by position."""
    p = {k: np.asarray(v, np.float64) for k, v in params.items() if k != "blocks"}

    def norm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return gain * x / np.sqrt((x * x).mean() + 1e-6)

    def turned(x: np.ndarray, at: int) -> np.ndarray:  # type: ignore[type-arg]
        half = len(x) // 2
        z = (x[:half] + 1j * x[half:]) * np.exp(1j * at / 10000 ** (np.arange(half) / half))
        return np.concatenate([z.real, z.imag])

    d = p["embedding"].shape[1]
    stream = [p["embedding"][i] * np.sqrt(d) for i in ids]
    for raw in params["blocks"]:
        block = {k: np.asarray(v, np.float64) for k, v in raw.items()}
        qkv = [norm(x, block["attention_norm"]) @ block["qkv"] for x in stream]
        size, mixed = d // heads, []
        for t in range(len(stream)):
            parts = []
            for h in range(heads):
                s = slice(h * size, (h + 1) * size)
                q = turned(qkv[t][:d][s], t)
                scores = np.array([q @ turned(qkv[u][d : 2 * d][s], u) for u in range(t + 1)]) / np.sqrt(size)
                weights = np.exp(scores - scores.max())
                parts.append((weights / weights.sum()) @ np.array([qkv[u][2 * d :][s] for u in range(t + 1)]))
            mixed.append(np.concatenate(parts) @ block["out"])
        stream = [x + m for x, m in zip(stream, mixed, strict=True)]
        for t, x in enumerate(stream):
            y = norm(x, block["mlp_norm"]) @ block["up"]
            y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
            stream[t] = x + y @ block["down"]
    return np.array([norm(x, p["norm"]) @ p["embedding"].T for x in stream])


def test_the_forward_pass_is_its_twins() -> None:
    params, ids = gpt.init(SHAPE, 0), rows()
    found = np.asarray(jax.jit(gpt.logits, static_argnums=2)(params, ids, SHAPE.heads))
    for row, expected in enumerate(ids):
        assert found[row] == pytest.approx(twin(params, expected, SHAPE.heads), abs=1e-4)


def test_losses_are_log_probabilities_and_padding_costs_nothing() -> None:
    params, ids = gpt.init(SHAPE, 1), rows()
    ids[0, 4:] = gpt.PAD
    losses = gpt.token_losses(params, ids, SHAPE)
    scores = twin(params, ids[1], SHAPE.heads)
    expected = [np.log(np.exp(scores[t]).sum()) - scores[t][ids[1, t + 1]] for t in range(7)]
    assert losses[1] == pytest.approx(expected, abs=1e-4)
    assert (losses[0, 3:] == 0).all()


def test_the_future_is_not_seen() -> None:
    params, ids = gpt.init(SHAPE, 0), rows()
    changed = ids.copy()
    changed[:, 4:] = 1 + changed[:, 4:] % 10
    before, after = gpt.token_losses(params, ids, SHAPE), gpt.token_losses(params, changed, SHAPE)
    assert before[:, :3] == pytest.approx(after[:, :3], abs=1e-6)
    assert not np.allclose(before[:, 3:], after[:, 3:])


def forever(ids: gpt.Ids) -> Iterator[gpt.Ids]:
    while True:
        yield ids


def test_training_learns_a_rule_and_equal_seeds_give_equal_losses() -> None:
    ids = np.tile(np.arange(1, 9, dtype=np.int32), (4, 1))  # counting: the next id is certain
    settings = gpt.Settings(rate=1e-2)
    params, losses = gpt.train(SHAPE, forever(ids), 120, settings, 0)
    assert len(losses) == 120
    assert losses[0] > 1.5
    assert losses[-1] < 0.1
    assert gpt.right(params, ids, SHAPE).all()
    assert (gpt.train(SHAPE, forever(ids), 120, settings, 0)[1] == losses).all()


def test_the_schedule_warms_up_and_ends_at_zero() -> None:
    settings = gpt.Settings(rate=1.0, warmup=0.1)
    rates = [float(gpt._rate(step, 100, settings)) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0, abs=1e-6)


def test_parameters_are_counted() -> None:
    assert gpt.parameters(gpt.init(SHAPE, 0)) == 11 * 8 + 8 + 2 * (12 * 64 + 2 * 8)


def test_what_is_refused() -> None:
    with pytest.raises(EvidenceError, match="2 x heads divides"):
        gpt.Shape(10, width=6, heads=2)
    with pytest.raises(EvidenceError, match="ended after 2 of 5 steps"):
        gpt.train(SHAPE, iter([rows(), rows()]), 5, gpt.Settings(), 0)
    with pytest.raises(EvidenceError, match="diverged"):
        gpt.train(SHAPE, forever(rows()), 40, gpt.Settings(rate=1e30), 0)


def abstract(size: Size, rows: int, length: int) -> tuple[gpt.Shape, "jax.Array"]:
    """A size with its vocabulary, and the shape of its batches."""
    return gpt.Shape(4098, size.width, size.layers, size.heads), jax.ShapeDtypeStruct((rows, length), np.int32)


def test_every_size_has_the_parameters_of_its_name() -> None:
    """JAX traces without computing."""
    for name, size in SIZES.items():
        params = jax.eval_shape(partial(gpt.init, abstract(size, 16, 129)[0], 0))
        assert sum(leaf.size for leaf in jax.tree.leaves(params)) == size.parameters(4098)
        assert size.parameters(4098) == pytest.approx(float(name[:-1]) * 1e6, rel=0.1)


@pytest.mark.parametrize("name", ["0.5M", "30M"])
def test_sizes_step(name: str) -> None:
    """A step keeps the shapes and types of parameters and moments."""
    shape, ids = abstract(SIZES[name], 16, 129)
    params = jax.eval_shape(partial(gpt.init, shape, 0))
    number = jax.ShapeDtypeStruct((), np.float32)
    state, loss = jax.eval_shape(
        partial(gpt._step, heads=shape.heads, settings=gpt.Settings()), (params, params, params, number), ids, number, number
    )
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state[0]) == jax.tree.map(lambda p: (p.shape, p.dtype), params)
    assert loss.shape == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["8M", "30M"])
def test_large_sizes_learn_in_steps(name: str) -> None:
    """Four steps on one batch: the loss begins at that of guessing among 4,098 tokens, and falls."""
    shape, _ = abstract(SIZES[name], 2, 17)
    ids = np.random.default_rng(0).integers(1, 4098, (2, 17)).astype(np.int32)
    _, losses = gpt.train(shape, forever(ids), 4, gpt.Settings(rate=1e-3), 0)
    assert losses[0] == pytest.approx(np.log(4098), rel=0.15)
    assert losses[-1] < losses[0] - 0.5


def test_rates_share_what_is_compiled_and_differ() -> None:
    ids = rows()
    before = gpt._step._cache_size()
    ends = [gpt.train(SHAPE, forever(ids), 5, gpt.Settings(rate=rate), 0)[1][-1] for rate in (1e-2, 3e-3, 1e-5)]
    assert gpt._step._cache_size() <= before + 1
    assert ends == sorted(ends)
