"""A linear classifier on embeddings: logistic regression, in a file of a few kilobytes.

Invariants:

- The file is JSON and names its embedding, so that it cannot be used with another one unnoticed. Where the embedding has
  another dimension than the weights, `head` raises an error.
- Scores are sums in a fixed order: with a static embedding they are the same on every machine.
- Training minimises a convex function from zero (L-BFGS): equal examples give an equal head on one machine.

DCLM compared such a classifier on BGE embeddings with fastText, which did better (arXiv 2406.11794, section 4.4, table 4).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from goldwash.classifiers.embeddings import CHARACTERS, Embedding, Vectors, embedded, embedding, lasting
from goldwash.classifiers.examples import Example, TrainingError
from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.train import (
    NEGATIVE,
    POSITIVE,
    Exclude,
    check_least,
    check_shares,
    check_types,
    published,
    report_on,
    split,
    write_report,
)
from goldwash.filters.fetch import fetched, file_digest
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

KIND = "linear head"
BATCH = 1000
"""Examples that are embedded at once."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LinearSettings:
    """How a head is trained and evaluated."""

    penalty: float = 1e-4
    """The weight of the sum of squared weights, beside the mean loss of an example."""
    characters: int = CHARACTERS
    held_out: float = 0.1
    per_class: int = 200_000
    balanced: bool = False
    fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, 1, "characters", "per_class")
        check_least(self, 0, "seed")
        check_shares(self)
        if not 0 < self.penalty < float("inf"):
            raise TrainingError(f"penalty is {self.penalty}; expected a number above 0")


@dataclass(frozen=True, eq=False)
class Head:
    """A linear classifier: its embedding's name, and a weight for each number of a vector."""

    features: str
    weights: Numbers
    bias: float
    characters: int = CHARACTERS

    @cached_property
    def embedding(self) -> Embedding:
        """The embedding, loaded; `ModelError` if it has another dimension than the weights."""
        made = embedding(self.features)
        if made.dimension != len(self.weights):
            raise ModelError(
                f"the head was trained on {len(self.weights)} numbers per text, and the embedding "
                f"{printable(self.features)} has {made.dimension}: use the version of it that the head was trained with, or "
                f"train another head with `goldwash train --features {printable(self.features)}`"
            )
        return made

    def probability(self, texts: Texts, label: str = POSITIVE) -> Numbers:
        """The probability of a label, `POSITIVE` or `NEGATIVE`: ``float64[N]``."""
        return self.of_vectors(embedded(self.embedding, texts, self.characters), label)

    def of_vectors(self, vectors: Vectors, label: str = POSITIVE) -> Numbers:
        """The probability of a label for texts whose vectors are known: ``float64[N]``."""
        z = dots(vectors, self.weights) + self.bias
        return probabilities(z if label == POSITIVE else -z)

    def save(self, path: str | Path) -> None:
        """Write the file from which `head` makes the same classifier."""
        facts = {
            "goldwash": KIND,
            "features": self.features,
            "dimension": len(self.weights),
            "characters": self.characters,
            "labels": [NEGATIVE, POSITIVE],
            "bias": self.bias,
            "weights": self.weights.tolist(),
        }
        Path(path).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def dots(vectors: Vectors, weights: Numbers) -> Numbers:
    """The product of each vector with the weights: ``float64[N]``, summed in a fixed order."""
    columns = np.ascontiguousarray(vectors.T, np.float64) * weights[:, None]
    return np.asarray(np.add.reduce(columns, axis=0))


def probabilities(z: Numbers) -> Numbers:
    """The logistic function, without overflow: ``float64[N]``."""
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + small), small / (1 + small))


def head(path: str | Path) -> Head:
    """The head in a file; `ModelError` if the file is missing, or is not a whole head."""
    shown = printable(path)
    try:
        facts = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ModelError(f"no head at {shown} ({error.strerror}): `goldwash train --features wordllama` writes one") from error
    except ValueError as error:
        raise ModelError(f"{shown} is not a head: expected the JSON that `goldwash train --features` writes") from error
    try:
        return _read(facts)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{shown} is not a whole head ({type(error).__name__}: {printable(error)}): train it again with `goldwash train "
            "--features`"
        ) from error


def _read(facts: Mapping[str, Any]) -> Head:
    if facts["goldwash"] != KIND:
        raise ValueError(f"it holds {facts['goldwash']!r}, expected {KIND!r}")
    weights = np.array(facts["weights"], np.float64)
    if weights.shape != (int(facts["dimension"]),) or not np.isfinite([*weights, float(facts["bias"])]).all():
        raise ValueError(f"expected {facts['dimension']} finite weights, found an array of shape {weights.shape}")
    return Head(str(facts["features"]), weights, float(facts["bias"]), int(facts["characters"]))


@dataclass(frozen=True, eq=False)
class HeadMeasure:
    """A head as a measure (`goldwash.classifiers.measures`)."""

    head: Head
    label: str
    digest: str
    file_name = "model.head"

    def measure(self, texts: Texts, table: Any) -> Numbers:
        """The probability of the label; nan for a text without a known token."""
        vectors = embedded(self.head.embedding, texts, self.head.characters)
        found = self.head.of_vectors(vectors, self.label)
        found[~vectors.any(axis=1)] = np.nan
        return found

    def versions(self) -> dict[str, str]:
        """The digest of the head, and the versions of its embedding."""
        return {"head": self.digest, **self.head.embedding.versions()}

    def save(self, path: str) -> None:
        """Write the head."""
        self.head.save(path)


def measure(place: str, label: str | None) -> HeadMeasure:
    """The measure ``embedding:PLACE``; `ModelError` if there is no head, or if it has another label or embedding."""
    path = fetched(place)
    made = head(path)
    if label not in (None, POSITIVE, NEGATIVE):
        raise ModelError(f"the head has no label {label!r}; it has: {POSITIVE}, {NEGATIVE}")
    _ = made.embedding
    return HeadMeasure(made, label or POSITIVE, file_digest(path))


def train_head(
    positive: Sequence[Example],
    negative: Sequence[Example],
    features: str,
    out: str | Path,
    settings: LinearSettings = LinearSettings(),
    notify: Callable[[str], None] = lambda _: None,
    exclude: Exclude | None = None,
) -> dict[str, Any]:
    """Train a head on the embedding ``features`` into the folder ``out``; returns the report.

    Writes ``model.head``, ``report.json`` and ``MODEL.md``; the rest is as in `goldwash.classifiers.train.train`. Raises
    `TrainingError` for unusable examples, and `ModelError` for an embedding that cannot be loaded.
    """
    model = embedding(features)
    parts = split(positive, negative, settings, exclude)
    notify(parts.said)
    vectors = [
        embedded(model, Texts.of([e.text for _, e in parts.learned[k : k + BATCH]]), settings.characters)
        for k in range(0, len(parts.learned), BATCH)
    ]
    truth = np.array([label == POSITIVE for label, _ in parts.learned], bool)
    weights, bias = fit(np.concatenate(vectors), truth, settings.penalty)
    features = lasting(features)
    made = Head(features, weights, bias, settings.characters)
    report = {**report_on(parts, made, settings), "features": features, "dimension": model.dimension}
    report["embedding"] = model.versions()
    with published(out, ("model.head", "report.json", "MODEL.md")) as halves:
        made.save(halves / "model.head")
        write_report(halves, report)
    return report


def fit(vectors: Vectors, truth: npt.NDArray[np.bool_], penalty: float) -> tuple[Numbers, float]:
    """The weights ``float64[d]`` and the bias of logistic regression with a penalty on the weights.

    ``vectors``: ``float32[N, d]``; ``truth``: ``bool[N]``. Raises `TrainingError` for weights that are not finite.
    """
    x, sign = vectors.astype(np.float64), np.where(truth, 1.0, -1.0)

    def loss(values: Numbers) -> tuple[float, Numbers]:
        weights, bias = values[:-1], values[-1]
        margin = sign * (x @ weights + bias)
        slope = -sign * probabilities(-margin) / len(x)
        found = np.logaddexp(0, -margin).mean() + penalty * (weights @ weights)
        return float(found), np.append(x.T @ slope + 2 * penalty * weights, slope.sum())

    options = {"maxiter": 1000, "gtol": 1e-7}
    with threadpool_limits(1, user_api="blas"):
        found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options=options)
    if not np.isfinite(found.x).all():
        raise TrainingError(f"the weights are not finite ({found.message}): give a higher penalty")
    return np.asarray(found.x[:-1]), float(found.x[-1])
