"""Kinds of bytes: prose, digits, URLs, white space, non-ASCII; and the bits that a model spends on each.

Invariants: every byte of a text has one kind. A token's bits are spread evenly over its bytes, so that the bits of all
kinds add up to the text's.
"""

import re

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
KINDS = ("prose", "digits", "URLs", "white space", "non-ASCII")
"""Prose is every other byte: letters and punctuation."""
PROSE, DIGITS, URLS, SPACE, NON_ASCII = range(5)
_URL = re.compile(rb"(?:https?://|www\.)[^\s<>\"']+")


def _table() -> NDArray[np.uint8]:
    kinds = np.full(256, PROSE, np.uint8)
    kinds[list(b"0123456789")] = DIGITS
    kinds[list(b" \t\n\r\v\f")] = SPACE
    kinds[128:] = NON_ASCII
    return kinds


_KIND_OF_BYTE = _table()


def kinds_of(text: bytes) -> NDArray[np.uint8]:
    """The kind of each byte: ``uint8[bytes]``; bytes inside a URL are URLs.

    >>> [KINDS[kind] for kind in kinds_of(b"a 1")]
    ['prose', 'white space', 'digits']
    """
    kinds = _KIND_OF_BYTE[np.frombuffer(text, np.uint8)]
    for match in _URL.finditer(text):
        kinds[match.start() : match.end()] = URLS
    return kinds


def shares(kinds: NDArray[np.uint8], sizes: NDArray[np.int64]) -> Floats:
    """Of each token, the fraction of its bytes that is of each kind: ``float64[tokens, kinds]``.

    ``kinds: uint8[bytes]`` of the texts; ``sizes: int64[tokens]``: bytes of each token, in order; they add up to the bytes.
    """
    token = np.repeat(np.arange(len(sizes)), sizes)
    counts = np.bincount(token * len(KINDS) + kinds, minlength=len(sizes) * len(KINDS)).reshape(len(sizes), len(KINDS))
    return np.asarray(counts / np.maximum(sizes, 1)[:, None])
