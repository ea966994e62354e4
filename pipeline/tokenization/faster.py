"""A faster library for the same ids: ``fastokens``, in place of ``tokenizers`` and ``tiktoken``, behind checks of its ids.

Invariants:

* ``tokenizers`` and ``tiktoken`` are the truth. ``fastokens`` is used for byte-level BPEs alone, and not for a vocabulary whose
  ids differ for any of `common_probes`, for a text of its own tokens, or for its added tokens and texts around them.
* Words are cut by a pattern, where two libraries differ most easily. For patterns that tests compare (`COMPARED`, and those of
  tiktoken), the probes have one code point of 89; for any other pattern, all (`each_once`).
* While texts are encoded, a part of each batch (`CHECKED`) is encoded by both, and a difference there is a `DifferentIdsError`.
  The rest of a batch is not compared. A text that ``fastokens`` refuses is encoded by the truth.
* It uses one thread per process, and a fork loses nothing of it.

tests/pipeline/tokenization/test_faster.py compares the ids of every code point and of whole pages with the patterns of GPT-2,
GPT-4, GPT-4o, Llama 3, Qwen 2 and goldwash. Its memory for words that it knows ends at about 130 MB (2026-11, 280 MB of text in
10 alphabets).
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.errors import GoldwashError
from goldwash.pipeline.tokenization.training import SPLIT
from goldwash.text_output import printable

PACKAGE = "fastokens"
CHECKED = 2048
"""Characters of each batch that are encoded by both: 0.2% of a megabyte, 2% of the time."""

VOCABULARY_PROBES = 16_384
"""Tokens of a vocabulary whose text is encoded by both when it is loaded: 0.05 s."""

Ids = npt.NDArray[np.uint32]
Lengths = npt.NDArray[np.int64]
Encode = Callable[[Sequence[str]], Sequence[Any]]
"""The ids of each text."""


class DifferentIdsError(GoldwashError, ValueError):
    """The faster library gave other ids than the library that it replaces."""


LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_2 = LLAMA_3.replace("{1,3}", "")
COMPARED = frozenset({LLAMA_3, QWEN_2, SPLIT})
"""The patterns of a ``tokenizer.json`` that tests compare, besides GPT-2's, which has no pattern in the file."""


LAST_LETTER = 0x33480
"""The code point after Unicode's last letter."""
ONE_KIND = ((0x3400, 0xA000), (0xAC00, 0xD7A4), (0x17000, 0x18D80), (0x20000, LAST_LETTER))
"""Ranges of ideographs and syllables, all of them letters without case."""


def in_forms(characters: Sequence[str]) -> list[str]:
    """Texts that split differently if two libraries do not agree on letters, numbers, spaces and cases."""
    around = ("a{0}b", " {0}{0}", "1{0}.", "{0}\n")
    return ["".join(form.format(c) for c in characters[n : n + 32] for form in around) for n in range(0, len(characters), 32)]


def each_once() -> list[str]:
    """Every character up to the last letter in one form (of `ONE_KIND` one in 16), which both encode in a second or two."""
    numbers = [c for c in map(ord, every_character()) if c < LAST_LETTER]
    some = [chr(c) for c in numbers if not c % 16 or not any(a <= c < b for a, b in ONE_KIND)]
    return ["".join(f"a{c} {c}1" for c in some[n : n + 128]) for n in range(0, len(some), 128)]


def every_character() -> list[str]:
    """Every code point but those of planes that have no character, or are for private use."""
    return [chr(c) for a, b in ((0, 0xD800), (0xE000, 0x40000), (0xE0000, 0xE0200)) for c in range(a, b)]


@cache
def common_probes() -> list[str]:
    """Texts on which every tokenizer is compared."""
    found = in_forms([c for c in every_character() if ord(c) < LAST_LETTER][::89])
    found += [
        "",
        " ",
        "\n\n \n",
        "\r\r \t  x",
        "a" * 300,
        " " * 70,
        "1234567",
        "I'm we'LL 'S ’s",
        "ſ'ſ İ'İ",
        "e\u0301\u0301 \u200d",
    ]
    return found


class Faster:
    """Encodes with ``fastokens``. ``truth``: the encoder that it replaces, from ``library``."""

    def __init__(self, made: Any, truth: Encode, library: str) -> None:
        self._made, self._truth, self._library = made, truth, library

    @property
    def versions(self) -> dict[str, str]:
        """The package's version."""
        return {PACKAGE: version(PACKAGE)}

    def encode(self, texts: Sequence[str]) -> tuple[Ids, Lengths]:
        """The ids of all texts, one after the other, and how many each has: ``uint32[T]``, ``int64[N]``.

        Raises `DifferentIdsError` where the ids of the part that is checked are not those of the library.
        """
        rows = [self._ids(text) for text in texts]
        longest = max(texts, key=len, default="")
        at = max(0, len(longest) // 2 - CHECKED // 2)
        self._check(longest[at : at + CHECKED])
        return joined(rows)

    def _ids(self, text: str) -> Ids:
        try:
            # One text at a time: several would be given to a pool of threads.
            data, _ = self._made.encode_batch_flat([text], add_special_tokens=False, split_special_tokens=True)
        except Exception:  # fastokens raises types of its own, such as for a pattern beyond its limits
            return np.array(self._truth([text])[0], np.uint32)
        return np.frombuffer(data, "<u4")

    def _check(self, text: str) -> None:
        if not self.agrees([text]):
            raise DifferentIdsError(
                f"{PACKAGE} {version(PACKAGE)} gives other ids than {self._library} for '{printable(self._smallest(text))}': "
                "set faster=false"
            )

    def _smallest(self, text: str) -> str:
        """A part of a text of different ids that has different ids itself, by halves."""
        while len(text) > 1:
            halves = text[: len(text) // 2], text[len(text) // 2 :]
            smaller = next((half for half in halves if not self.agrees([half])), None)
            if smaller is None:
                break
            text = smaller
        return text

    def agrees(self, texts: Sequence[str]) -> bool:
        """Whether each text has the ids that the library gives it."""
        pairs = zip(map(self._ids, texts), self._truth(texts), strict=True)
        return all(np.array_equal(found, np.array(expected, np.uint32)) for found, expected in pairs)


def joined(rows: Sequence[Any]) -> tuple[Ids, Lengths]:
    """The ids of texts, one after the other, and how many each has; ``rows``: anything that numpy makes an array of."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    ids = np.empty(int(lengths.sum()), np.uint32)
    at = 0
    for row, length in zip(rows, lengths.tolist(), strict=True):
        ids[at : at + length] = row
        at += length
    return ids, lengths


def of_json(text: str, truth: Encode) -> Faster | None:
    """For a ``tokenizer.json``; None where ``fastokens`` is missing, does not read it, or gives other ids."""
    import json

    from tokenizers.decoders import ByteLevel

    facts = json.loads(text)
    model = facts.get("model") or {}
    if model.get("type", "BPE") != "BPE" or model.get("dropout") or facts.get("normalizer") is not None:
        return None
    added = [str(each["content"]) for each in facts.get("added_tokens") or ()]
    special = set(added)

    def probes() -> list[str]:
        words = ByteLevel().decode(_some([word for word in model.get("vocab") or () if word not in special]))
        return [words, *_around(added), *([] if _is_compared(facts.get("pre_tokenizer")) else each_once())]

    return _checked(lambda library: library.from_json_str(text), truth, "tokenizers", probes)


def _is_compared(cutter: Any) -> bool:
    """Whether a part ``pre_tokenizer`` cuts words as GPT-2 does, or by one of the patterns that tests compare."""
    if not isinstance(cutter, Mapping):
        return False
    if cutter.get("type") == "ByteLevel":
        return bool(cutter.get("use_regex", True))
    parts = cutter.get("pretokenizers") or []
    if cutter.get("type") != "Sequence" or [part.get("type") for part in parts] != ["Split", "ByteLevel"]:
        return False
    split, bytes_ = parts
    whole = split.get("behavior") == "Isolated" and not split.get("invert") and not bytes_.get("use_regex", True)
    return whole and split.get("pattern", {}).get("Regex") in COMPARED


def _some(words: Sequence[Any]) -> list[Any]:
    """Tokens of a vocabulary in a seeded order, at most `VOCABULARY_PROBES`: next to each other they merge otherwise."""
    return Random(0).sample(words, min(len(words), VOCABULARY_PROBES))


def _around(added: Sequence[str]) -> list[str]:
    return [form.format(text) for text in islice(added, 2000) for form in ("{0}", "a {0}b", "{0}{0}\n")]


def of_ranks(file: str, split: str, specials: Mapping[str, int], ranks: Mapping[bytes, int], truth: Encode) -> Faster | None:
    """For a file of tiktoken, cut by a pattern that tests compare; None as for `of_json`. ``ranks``: the file's tokens."""

    def probes() -> list[str]:
        return [b"".join(_some(list(ranks))).decode("utf-8", "replace"), *_around(list(specials))]

    return _checked(
        lambda library: library.from_tiktoken(file, pattern=split, special_tokens=dict(specials)), truth, "tiktoken", probes
    )


def _checked(make: Callable[[Any], Any], truth: Encode, library: str, probes: Callable[[], Sequence[str]]) -> Faster | None:
    """``probes``: made only where the library is installed and reads the file."""
    os.environ.setdefault("FASTOKENS_BPE_THREADS", "1")
    try:
        version(PACKAGE)
        from fastokens import Tokenizer
    except (ImportError, PackageNotFoundError):
        return None
    try:
        made = make(Tokenizer)
        made.no_truncation()
        made.no_padding()
    except Exception:  # the library that it replaces reads the file in its place
        return None
    found = Faster(made, truth, library)
    return found if found.agrees([*common_probes(), *probes()]) else None
