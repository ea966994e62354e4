"""A small decoder-only transformer in JAX: rotary positions, RMSNorm, tied embeddings, AdamW, a schedule that ends at zero.

Invariants: equal shapes, settings, seeds and batches give equal parameters on one machine; id 0 is padding and counts in no
loss; the learning rate rises linearly, then falls along a cosine to zero at the last step, so that a run is compared where its
schedule ends. JAX (extra ``proxy``) is imported here alone. JAX and not PyTorch: its CPU wheels are a tenth of the size.
Sources: Vaswani et al. 2017; rotary positions, Su et al. 2021, arXiv 2104.09864; RMSNorm, arXiv 1910.07467; AdamW, 1711.05101.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldwash.evidence.errors import EvidenceError

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise EvidenceError("small transformers need JAX: pip install 'goldwash[proxy]'") from error

Ids = NDArray[np.int32]
Params = dict[str, Any]
PAD = 0
LOOK = 64  # steps between reads of the loss: each read waits for the device


@dataclass(frozen=True)
class Shape:
    """Sizes of the model. ``width`` is a multiple of 2 x ``heads``."""

    vocabulary: int
    width: int = 32
    layers: int = 2
    heads: int = 2

    def __post_init__(self) -> None:
        if min(self.vocabulary, self.width, self.layers, self.heads) < 1 or self.width % (2 * self.heads):
            raise EvidenceError(f"a model needs sizes above zero and a width that 2 x heads divides, found {self}")


@dataclass(frozen=True)
class Settings:
    """How a model is trained."""

    rate: float = 3e-3
    warmup: float = 0.05  # of the steps
    decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.98
    clip: float = 1.0


def init(shape: Shape, seed: int) -> Params:
    """Initial parameters: normal, scaled by the width; projections into the residual stream also by the depth (GPT-2)."""
    keys = iter(jax.random.split(jax.random.key(seed), 1 + 4 * shape.layers))
    d, n = shape.width, shape.layers

    def normal(rows: int, columns: int, scale: float) -> Any:
        return scale * jax.random.normal(next(keys), (rows, columns), jnp.float32)

    params: Params = {"embedding": normal(shape.vocabulary, d, 0.02), "norm": jnp.ones(d), "blocks": []}
    for _ in range(n):
        deep = 1 / math.sqrt(d) / math.sqrt(2 * n)
        params["blocks"].append({
            "attention_norm": jnp.ones(d), "qkv": normal(d, 3 * d, 1 / math.sqrt(d)), "out": normal(d, d, deep),
            "mlp_norm": jnp.ones(d), "up": normal(d, 4 * d, 1 / math.sqrt(d)), "down": normal(4 * d, d, deep / 2),
        })  # fmt: skip
    return params


def parameters(params: Params) -> int:
    """The number of parameters, embeddings included."""
    return sum(int(leaf.size) for leaf in jax.tree.leaves(params))


def _norm(x: Any, gain: Any) -> Any:
    return gain * x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6)


def _rotate(x: Any) -> Any:
    """Turn pairs of features by angles that grow with the position; x is [rows, heads, length, features]."""
    half = x.shape[-1] // 2
    angles = jnp.arange(x.shape[-2])[:, None] / 10000 ** (jnp.arange(half) / half)
    one, two = x[..., :half], x[..., half:]
    return jnp.concatenate(
        [one * jnp.cos(angles) - two * jnp.sin(angles), one * jnp.sin(angles) + two * jnp.cos(angles)], axis=-1
    )


def _attention(block: Any, x: Any, heads: int) -> Any:
    rows, length, width = x.shape
    split = (x @ block["qkv"]).reshape(rows, length, 3, heads, width // heads)
    q, k, v = split.transpose(2, 0, 3, 1, 4)
    scores = _rotate(q) @ _rotate(k).swapaxes(-1, -2) / math.sqrt(width // heads)
    causal = jnp.tril(jnp.ones((length, length), bool))
    weights = jax.nn.softmax(jnp.where(causal, scores, -1e9), axis=-1)
    return (weights @ v).transpose(0, 2, 1, 3).reshape(rows, length, width) @ block["out"]


def logits(params: Params, ids: Any, heads: int) -> Any:
    """float32[rows, length, vocabulary] for int32[rows, length]."""
    x = params["embedding"][ids] * math.sqrt(params["embedding"].shape[1])
    for block in params["blocks"]:
        x = x + _attention(block, _norm(x, block["attention_norm"]), heads)
        x = x + jax.nn.gelu(_norm(x, block["mlp_norm"]) @ block["up"]) @ block["down"]
    return _norm(x, params["norm"]) @ params["embedding"].T


@partial(jax.jit, static_argnames="heads")
def _token_losses(params: Params, ids: Any, heads: int) -> Any:
    scores = logits(params, ids[:, :-1], heads)
    right = jnp.take_along_axis(scores, ids[:, 1:, None], axis=-1)[..., 0]
    return jnp.where(ids[:, 1:] == PAD, 0.0, jax.nn.logsumexp(scores, axis=-1) - right)


@partial(jax.jit, static_argnames="heads")
def _right(params: Params, ids: Any, heads: int) -> Any:
    return jnp.argmax(logits(params, ids[:, :-1], heads), axis=-1) == ids[:, 1:]


def token_losses(params: Params, ids: Ids, shape: Shape) -> NDArray[np.float64]:
    """Nats of each token after the first given those before it, float64[rows, length - 1]; 0 for padding."""
    return np.asarray(_token_losses(params, ids, shape.heads), np.float64)


def right(params: Params, ids: Ids, shape: Shape) -> NDArray[np.bool_]:
    """Whether each token after the first is the likeliest, bool[rows, length - 1]."""
    return np.asarray(_right(params, ids, shape.heads))


def _mean_loss(params: Params, ids: Any, heads: int) -> Any:
    return _token_losses(params, ids, heads).sum() / jnp.maximum((ids[:, 1:] != PAD).sum(), 1)


def _rate(step: Any, steps: Any, settings: Settings) -> Any:
    warm = jnp.maximum(settings.warmup * steps, 1)
    falling = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip((step - warm) / jnp.maximum(steps - warm, 1), 0, 1)))
    return settings.rate * jnp.minimum((step + 1) / warm, 1) * falling


@partial(jax.jit, static_argnames=("heads", "settings"), donate_argnums=0)
def _step(state: Any, ids: Any, steps: Any, peak: Any, heads: int, settings: Settings) -> tuple[Any, Any]:
    """One step of AdamW on int32[rows, length]; state is (params, first moments, second moments, step).

    ``peak`` stands for ``settings.rate``, so that several rates are compiled once: seconds of CPU each.
    """
    params, first, second, step = state
    loss, gradient = jax.value_and_grad(_mean_loss)(params, ids, heads)
    size = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient)))
    gradient = jax.tree.map(lambda g: g * jnp.minimum(1, settings.clip / (size + 1e-9)), gradient)
    first = jax.tree.map(lambda m, g: settings.beta1 * m + (1 - settings.beta1) * g, first, gradient)
    second = jax.tree.map(lambda v, g: settings.beta2 * v + (1 - settings.beta2) * g * g, second, gradient)
    rate, t = peak * _rate(step, steps, settings), step + 1

    def moved(p: Any, m: Any, v: Any) -> Any:
        push = (m / (1 - settings.beta1**t)) / (jnp.sqrt(v / (1 - settings.beta2**t)) + 1e-8)
        return p - rate * (push + (settings.decay * p if p.ndim > 1 else 0))

    return (jax.tree.map(moved, params, first, second), first, second, t), loss


def train(
    shape: Shape, batches: Iterator[Ids], steps: int, settings: Settings, seed: int
) -> tuple[Params, NDArray[np.float64]]:
    """Train for ``steps`` batches of int32[rows, length]; the parameters and the loss of every step, float64[steps].

    Raises `EvidenceError` where the batches end early, and where the loss is not finite.
    """
    params = init(shape, seed)
    state = (params, *(jax.tree.map(jnp.zeros_like, params) for _ in range(2)), jnp.float32(0))
    losses, others = [], replace(settings, rate=1.0)
    for step in range(steps):
        ids = next(batches, None)
        if ids is None:
            raise EvidenceError(f"the data ended after {step} of {steps} steps; give more data or fewer steps")
        state, loss = _step(state, ids, jnp.float32(steps), jnp.float32(settings.rate), shape.heads, others)
        losses.append(loss)
        if (step % LOOK == LOOK - 1 or step == steps - 1) and not np.isfinite(float(loss)):
            raise EvidenceError(f"training diverged within {step + 1} steps: lower the learning rate {settings.rate:g}")
    return state[0], np.asarray(losses, np.float64)
