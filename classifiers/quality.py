"""How good a text is: a two-label fastText model's probability of the better label.

Law: DCLM's formatting and features (2406.11794, section 4.4): the text's lines joined by spaces, no lowering, words and word
bigrams. A model is named by its path, by ``https://``, ``s3://`` or ``hf://OWNER/REPO/FILE``.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.fasttext import Folded, ModelError, Whole, load
from goldwash.filters.texts import Texts

BETTER = ("hq", "__label__hq", "positive", "1")
"""Labels that mean "keep this", where the user names none."""


def better_label(model: Folded | Whole, label: str | None) -> str:
    """The label whose probability is the score: the one asked for, or the one that is called as DCLM calls it."""
    if label is not None:
        if label not in model.labels:
            raise ModelError(f"the model has no label {label!r}; it has: {', '.join(model.labels)}")
        return label
    for name in BETTER:
        if name in model.labels:
            return name
    raise ModelError(f"say which label is the better one with label=...; the model has: {', '.join(model.labels)}")


def scores(texts: Texts, model: Path, label: str | None = None) -> npt.NDArray[np.float32]:
    """The better label's probability: ``float32[N]``."""
    loaded = load(model)
    return loaded.probability(texts, better_label(loaded, label)).astype(np.float32)
