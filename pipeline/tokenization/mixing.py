"""How often each source's documents are taken, so that sources have given shares of the tokens.

Invariants: weights are in tokens, end-of-text tokens included. A source that is taken 2.3 times has each document twice, and
three tenths of them, drawn by the seed, once more. Which ones depends on the seed, the shard and the row alone.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.pipeline.parameters import RecipeError, nearest
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.tokenization.permutation import uniform

Numbers = npt.NDArray[np.int64]


def repeats_for(
    had: Mapping[str, int],
    weights: Mapping[str, float],
    tokens: int | None,
    most: float,
    check_sources: bool = True,
) -> dict[str, float]:
    """How often each source is taken, for these shares of ``tokens``; empty where there are no weights: everything once.

    ``had``: the tokens of each source. ``tokens``: None for as many as there are without a repeat. Raises `RecipeError` for
    weights that are no shares, `DataError` where they do not fit the sources, or need a source more than ``most`` times.
    """
    if not weights:
        if tokens is not None:
            raise RecipeError("stage tokenize: tokens needs weights, such as {web: 0.7, books: 0.3}", ("tokens",))
        return {}
    _check_weights(weights)
    if not check_sources:
        return {}
    for name in had:
        if name not in weights:
            shown = repr(name) if name else "of documents without a source"
            cure = "give it a weight (0 leaves it out)" if name else "tokenise them with source=NAME"
            raise DataError(f"the source {shown} has no weight: {cure}; weights are for {', '.join(weights)}")
    for name, weight in weights.items():
        if not had.get(name) and weight:
            known = nearest(name, [each for each in had if each]) if any(had) else "the documents have no column source"
            raise DataError(f"the source {name!r} has a weight of {weight:g} and no tokens: {known}")
    total = tokens if tokens is not None else math.floor(min(had[name] / w for name, w in weights.items() if w))
    repeats = {name: weights[name] * total / had[name] if had.get(name) else 0.0 for name in weights}
    for name, times in repeats.items():
        if times > most:
            raise DataError(
                f"the source {name!r} has {had[name]:,} tokens, and {weights[name]:g} of {total:,} need it {times:.3g} times: "
                f"give fewer tokens, a smaller weight, or max_repeats={math.ceil(times)}"
            )
    return repeats


def _check_weights(weights: Mapping[str, float]) -> None:
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise RecipeError(f"stage tokenize: the weight of {name} is {weight!r}; expected 0 to 1", ("weights",))
    total = math.fsum(weights.values())
    if abs(total - 1) > 1e-6:
        scaled = ", ".join(f"{name}: {weight / total:.6g}" for name, weight in weights.items()) if total else ""
        cure = f": in proportion, {{{scaled}}}" if scaled else ""
        raise RecipeError(f"stage tokenize: the weights add up to {total:.6g}; expected 1{cure}", ("weights",))


def epochs_of(repeats: Mapping[str, float]) -> int:
    """How many times the input is gone through."""
    return max(1, math.ceil(max(repeats.values(), default=1.0)))


def chosen_rows(
    repeats: Mapping[str, float], epoch: int, sources: Sequence[Any], seed: int, shard: int, rows: Numbers
) -> npt.NDArray[np.bool_]:
    """Which rows of a shard are taken in an epoch: ``bool[N]``."""
    if not repeats:
        return np.full(len(rows), epoch == 0)
    times = np.fromiter((repeats.get(name or "", 0.0) for name in sources), np.float64, len(rows))
    whole = np.floor(times)
    once_more = uniform(seed, "repeats", shard, rows) < times - whole
    return np.asarray((epoch < whole) | ((epoch == whole) & once_more))
