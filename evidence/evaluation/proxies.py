"""Small transformers that `goldwash proxy` or `goldwash compare` saved, as scorers of choices.

Invariants, as in `goldwash.evidence.evaluation.huggingface`: the tokens of a continuation are those of context + continuation
from the first that differs from the context. An end precedes every text, so its first token has a prediction. Texts longer than
the training window are cut at the start, never in the continuation.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.transformer import Transformer, transformer
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.evaluation.huggingface import boundary


class Proxy:
    """Log likelihoods by a file ``*.gpt``. Raises `EvidenceError` for a file that is no whole transformer."""

    def __init__(self, path: str) -> None:
        try:
            self.model: Transformer = transformer(path)
        except ModelError as error:
            raise EvidenceError(f"--model: {error}") from None

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Natural log of the probability of each continuation given its context, float64[pairs]."""
        return np.array([self._one(context, continuation) for context, continuation in pairs], np.float64)

    def _one(self, context: str, continuation: str) -> float:
        before, whole = self.model.ids(context), self.model.ids(context + continuation)
        if len(whole) < 2:
            raise EvidenceError("expected a choice with text, found an empty context and an empty choice")
        start = min(max(boundary(before.tolist(), whole.tolist()), 1), len(whole) - 1)
        cut = max(len(whole) - 1 - self.model.window, 0)  # the last token is predicted and not read
        if cut >= start:
            raise EvidenceError(
                f"a choice of {len(whole) - start} tokens does not fit the model's window of {self.model.window}; "
                "leave its item out, or train a proxy with a longer window"
            )
        logits = self.model.logits(whole[None, cut:-1])[0, start - cut - 1 :].astype(np.float64)
        top = logits.max(axis=-1, keepdims=True)
        logs = logits - top - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
        return float(np.take_along_axis(logs, whole[start:, None], axis=-1).sum())
