"""The quality of a text: a two-label fastText model's probability of the better label.

Invariants: DCLM's formatting and features (2406.11794, section 4.4): the text's lines joined by spaces, case kept, words and
word bigrams. A model is named by its path, by ``https://``, ``s3://`` or ``hf://OWNER/REPO/FILE``.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.fasttext import Model, ModelError
from goldwash.classifiers.loader import load
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

BETTER = ("hq", "__label__hq", "positive", "1")
"""Labels that mean "keep this", if the user names none."""


def better_label(model: Model, label: str | None) -> str:
    """The label whose probability is the score: the one asked for, or the first of `BETTER` that the model has.

    Raises `ModelError` with the model's labels if it has no such label.
    """
    if label is not None:
        if label not in model.labels:
            raise ModelError(f"the model has no label {label!r}; it has: {shown_labels(model)}")
        return label
    for name in BETTER:
        if name in model.labels:
            return name
    raise ModelError(f"say which label is the better one with label=...; the model has: {shown_labels(model)}")


def shown_labels(model: Model, most: int = 20) -> str:
    """A model's labels, escaped, as a list; of many, the first ones."""
    more = f" and {len(model.labels) - most} more" if len(model.labels) > most else ""
    return ", ".join(printable(label, 40) for label in model.labels[:most]) + more


def scores(texts: Texts, model: Path, label: str | None = None) -> npt.NDArray[np.float32]:
    """The better label's probability: ``float32[N]``."""
    loaded = load(model)
    return loaded.probability(texts, better_label(loaded, label)).astype(np.float32)
