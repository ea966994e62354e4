"""A faster library for the same ids: ``fastokens``, in place of ``tokenizers`` and ``tiktoken``, behind checks of its ids.

Invariants:

* ``tokenizers`` and ``tiktoken`` are the truth. ``fastokens`` is used for byte-level BPEs alone, and not for a vocabulary whose
  ids differ for any of `PROBES`, its added tokens or texts around them.
* While texts are encoded, a part of each batch (`CHECKED`) is encoded by both, and a difference there is a `DifferentIdsError`.
  The rest of a batch is not compared. A text that ``fastokens`` refuses is encoded by the truth.
* It uses one thread per process, and a fork loses nothing of it.

tests/pipeline/tokenization/test_faster.py compares the ids of every code point with the patterns of GPT-2, GPT-4, GPT-4o,
Llama 3 and goldwash. Its memory for words that it knows ends at about 130 MB (2026-11, 280 MB of text in 10 alphabets).
"""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.errors import GoldwashError
from goldwash.text_output import printable

PACKAGE = "fastokens"
CHECKED = 2048
"""Characters of each batch that are encoded by both: 0.2% of a megabyte, 2% of the time."""

Ids = npt.NDArray[np.uint32]
Lengths = npt.NDArray[np.int64]
Encode = Callable[[Sequence[str]], Sequence[Any]]
"""The ids of each text."""


class DifferentIdsError(GoldwashError, ValueError):
    """The faster library gave other ids than the library that it replaces."""


def _probes() -> list[str]:
    """Texts that split differently if two libraries do not agree on letters, numbers, spaces and cases."""
    every = [c for c in range(0x33480) if not 0xD800 <= c < 0xE000][::89]
    around = ("a{0}b", " {0}{0}", "1{0}.", "{0}\n")
    found = ["".join(form.format(chr(c)) for c in every[n : n + 32] for form in around) for n in range(0, len(every), 32)]
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


PROBES = _probes()


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

    facts = json.loads(text)
    model = facts.get("model") or {}
    if model.get("type", "BPE") != "BPE" or model.get("dropout") or facts.get("normalizer") is not None:
        return None
    added = [str(each["content"]) for each in facts.get("added_tokens") or ()]
    return _checked(lambda library: library.from_json_str(text), truth, "tokenizers", added)


def of_ranks(file: str, split: str, specials: Mapping[str, int], truth: Encode) -> Faster | None:
    """For a file of tiktoken; None as for `of_json`."""
    return _checked(
        lambda library: library.from_tiktoken(file, pattern=split, special_tokens=dict(specials)),
        truth,
        "tiktoken",
        list(specials),
    )


def _checked(make: Callable[[Any], Any], truth: Encode, library: str, added: Sequence[str]) -> Faster | None:
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
    marks = [form.format(text) for text in islice(added, 2000) for form in ("{0}", "a {0}b", "{0}{0}\n")]
    return found if found.agrees([*PROBES, *marks]) else None
