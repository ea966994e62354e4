"""A causal language model of Hugging Face as a scorer of choices; extra ``hf``.

Invariants: a continuation's tokens are those of context + continuation from the first that differs from the context's own, so
that a token across the boundary counts with the continuation. The tokenizer's begin token precedes a text if the tokenizer adds
one itself; where the continuation would otherwise be first, the begin or end token precedes it (as in lm-evaluation-harness).
Texts longer than the model's context are cut at the start, never in the continuation. Batches are padded on the right, where a
causal model does not look: a pair's likelihood does not depend on its batch, beyond rounding.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldwash.evidence.errors import EvidenceError
from goldwash.text_output import printable

BATCH = 16
DEFAULT_CONTEXT = 1024  # of models whose configuration states none, such as recurrent ones


def boundary(context: Sequence[int], whole: Sequence[int]) -> int:
    """Where the continuation begins in ``whole``: at the first token that is not the context's.

    >>> boundary([5, 6], [5, 6, 7]), boundary([5, 6], [5, 9])
    (2, 1)
    """
    pairs = enumerate(zip(context, whole, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(context), len(whole)))


class CausalModel:
    """Log likelihoods by a model that `transformers` loads by name or folder.

    Raises `EvidenceError` without the extra, where the model cannot be loaded, and where its tokenizer is another model's.
    """

    def __init__(self, name: str) -> None:
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError:
            raise EvidenceError("Hugging Face models need an extra: pip install 'goldwash[hf]'") from None
        self.torch: Any = torch
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(name)
            loaded: Any = AutoModelForCausalLM.from_pretrained(name)
        except Exception as error:  # transformers raises errors of many kinds, of safetensors and tokenizers too
            first = next(iter(str(error).splitlines()), "")
            raise EvidenceError(
                f"cannot load the model {printable(name)}: {printable(first, 200)}; expected the name of a causal language "
                "model, or a folder with its weights and its tokenizer"
            ) from None
        self.model: Any = loaded.eval()
        config = loaded.config
        stated = getattr(config, "max_position_embeddings", 0) or getattr(config, "n_positions", 0)
        self.context = int(stated or DEFAULT_CONTEXT)
        self.vocabulary = int(self.model.get_input_embeddings().weight.shape[0])

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Natural log of the probability of each continuation given its context, float64[pairs]."""
        rows = [self._row(context, continuation) for context, continuation in pairs]
        found = np.zeros(len(rows))
        order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))  # batches of similar lengths
        for begin in range(0, len(order), BATCH):
            chosen = order[begin : begin + BATCH]
            found[chosen] = self._batch([rows[i] for i in chosen])
        return found

    def _row(self, context: str, continuation: str) -> tuple[list[int], int]:
        """The tokens, and where the continuation begins among them, at least 1."""
        before, whole = self._ids(context), self._ids(context + continuation)
        if not whole:
            raise EvidenceError("expected a choice with text, found an empty context and an empty choice")
        if max(whole) >= self.vocabulary:
            raise EvidenceError(
                f"the tokenizer gives token {max(whole)}, the model has {self.vocabulary}: the tokenizer is another model's"
            )
        start = min(boundary(before, whole), len(whole) - 1)
        first = self._first(start == 0)
        whole, start = [*first, *whole], start + len(first)
        cut = max(len(whole) - self.context, 0)
        if cut >= start:
            raise EvidenceError(
                f"a choice of {len(whole) - start} tokens does not fit the model's context of {self.context}; "
                "leave its item out, or take a model with a longer context"
            )
        return whole[cut:], start - cut

    def _ids(self, text: str) -> list[int]:
        return [int(token) for token in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def _first(self, needed: bool) -> list[int]:
        """The token before a text: begin where the tokenizer adds it or one is ``needed``; without a begin, end."""
        begin, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        if begin is not None and list(self.tokenizer("a")["input_ids"])[:1] == [begin]:
            return [int(begin)]
        if not needed:
            return []
        if begin is None and end is None:
            raise EvidenceError("the tokenizer has no begin or end token to precede a choice without a context; give a context")
        return [int(end if begin is None else begin)]

    def _batch(self, rows: Sequence[tuple[list[int], int]]) -> list[float]:
        torch, width = self.torch, max(len(ids) for ids, _ in rows)
        padded = torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in rows])
        mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in rows])
        with torch.no_grad():
            logits = self.model(input_ids=padded, attention_mask=mask).logits
        found = []
        for row, (ids, start) in enumerate(rows):
            logs = torch.log_softmax(logits[row, start - 1 : len(ids) - 1].double(), dim=-1)
            targets = padded[row, start : len(ids)]
            found.append(float(logs.gather(1, targets[:, None]).sum()))
        return found
