"""A causal language model of Hugging Face as a scorer of choices; extra ``hf``.

Invariants: a continuation's tokens are those of context + continuation beyond the context's own, so that a token across the
boundary counts with the continuation; texts longer than the model's context are cut at the start, never in the continuation.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldwash.evidence.errors import EvidenceError


class CausalModel:
    """Log likelihoods by a model that `transformers` loads by name or folder."""

    def __init__(self, name: str) -> None:
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError:
            raise EvidenceError("Hugging Face models need an extra: pip install 'goldwash[hf]'") from None
        self.torch: Any = torch
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(name)
            self.model: Any = AutoModelForCausalLM.from_pretrained(name).eval()
        except (OSError, ValueError) as error:
            raise EvidenceError(f"cannot load the model {name}: {error}") from None
        config = self.model.config
        self.context = int(getattr(config, "max_position_embeddings", 0) or getattr(config, "n_positions", 0) or 1024)

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Natural log of the probability of each continuation, float64[pairs]; one forward pass per pair."""
        return np.array([self._one(context, continuation) for context, continuation in pairs], np.float64)

    def _one(self, context: str, continuation: str) -> float:
        before = self.tokenizer(context)["input_ids"]
        whole = self.tokenizer(context + continuation)["input_ids"]
        shared = next((i for i, (a, b) in enumerate(zip(before, whole, strict=False)) if a != b), min(len(before), len(whole)))
        start = max(min(shared, len(whole) - 1), 1)  # the first token has no prediction
        cut = max(len(whole) - self.context, 0)
        if cut >= start:
            raise EvidenceError(f"a continuation of {len(whole) - start} tokens does not fit the context of {self.context}")
        ids = self.torch.tensor([whole[cut:]])
        with self.torch.no_grad():
            logs = self.torch.log_softmax(self.model(ids).logits[0].double(), dim=-1)
        targets = ids[0, start - cut :]
        return float(logs[start - cut - 1 : -1].gather(1, targets[:, None]).sum())
