"""Train a byte-level BPE on documents, with the library ``tokenizers``.

Invariants: every text can be encoded, whatever its bytes, and decoded to the same text. Id 0 is ``<|endoftext|>``. Equal texts
and settings give an equal file, on any number of cores, for one version of ``tokenizers``.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from goldwash.pipeline.parameters import RecipeError

END = "<|endoftext|>"
SPLIT = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
"""How texts are cut before merges: GPT-4's pattern, with digits in twos as a small vocabulary needs (nanochat does so)."""
LEAST = 257
"""The bytes and the end of a text."""


@dataclass(frozen=True)
class Settings:
    """What a tokenizer is trained with."""

    vocabulary: int = 32_768
    """Tokens, those of single bytes and the special ones included."""
    specials: tuple[str, ...] = ()
    """Further special tokens, which follow `END`."""
    min_frequency: int = 2
    """Occurrences that a pair needs to be merged."""

    def __post_init__(self) -> None:
        least = LEAST + len(self.specials)
        if self.vocabulary < least:
            raise RecipeError(
                f"vocabulary is {self.vocabulary}; expected {least} or more: 256 bytes and {least - 256} special tokens"
            )
        if END in self.specials or len(set(self.specials)) < len(self.specials):
            raise RecipeError(f"special tokens are {list(self.specials)}; expected distinct ones beside {END}")


def train(texts: Iterable[str], settings: Settings = Settings()) -> str:
    """A ``tokenizer.json`` trained on texts.

    Raises `RecipeError` where the texts have too few words for the vocabulary that was asked for.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    made: Any = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary,
        min_frequency=settings.min_frequency,
        special_tokens=[END, *settings.specials],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(_not_empty(texts), trainer)
    found = made.get_vocab_size()
    if found < settings.vocabulary:
        raise RecipeError(
            f"the texts give {found:,} tokens, and {settings.vocabulary:,} were asked for: give --vocabulary {found}, or "
            "more text"
        )
    return json.dumps(json.loads(made.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n"


def _not_empty(texts: Iterable[str]) -> Iterator[str]:
    return (text for text in texts if text)
