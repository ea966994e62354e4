"""The forward pass of the proxies' transformer in NumPy, and its file: a language model for `topk:FILE.gpt`.

Invariants:

- The model is that of `goldwash.evidence.proxies.gpt`, which trains it in JAX: rotary positions, RMSNorm, tied embeddings. Both
  give the same logits to 1e-4 (`tests/evidence/proxies/test_saved.py`). Scoring needs no JAX.
- Token n of the tokenizer is id n + 1; id 0 is padding, and the last id, vocab + 1, the end of a document. A text begins with
  an end, so that its first token is predicted too.
- The file is NumPy's ``.npz`` with the tokenizer in it; equal models give equal bytes.
"""

import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.ngram.tokenizer import ByteTokenizer
from goldwash.filters.fetch import fetched, file_digest
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

KIND = "transformer"
BLOCK = ("attention_norm", "qkv", "out", "mlp_norm", "up", "down")

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Transformer:
    """A trained transformer with its tokenizer; follows `goldwash.classifiers.topk.LanguageModel`."""

    parameters: Mapping[str, Floats]
    """``embedding``: ``float32[vocabulary, width]``; ``norm``: ``float32[width]``; ``0.qkv`` and so on for each block."""
    heads: int
    window: int
    """The tokens of a row in training: more were never seen together."""
    tokenizer: ByteTokenizer
    digest: str = ""
    file_name = "model.gpt"

    @property
    def layers(self) -> int:
        """The number of blocks."""
        return sum(name.endswith(".qkv") for name in self.parameters)

    def ids(self, text: str) -> Ids:
        """An end, and the tokens of a text: ``int64[M]``; none for an empty text."""
        tokens, _ = self.tokenizer.encode(Texts.of([text]))
        return (
            np.concatenate([[self.tokenizer.vocab + 1], tokens.astype(np.int64) + 1]) if len(tokens) else np.zeros(0, np.int64)
        )

    def logits(self, ids: Ids) -> Floats:
        """The logits of the id after each: ``float32[rows, length, vocabulary]`` for ``int64[rows, length]``."""
        embedding = self.parameters["embedding"]
        x = embedding[ids] * np.float32(math.sqrt(embedding.shape[1]))
        for n in range(self.layers):
            block = {name: self.parameters[f"{n}.{name}"] for name in BLOCK}
            x = x + _attention(block, _normed(x, block["attention_norm"]), self.heads)
            x = x + _gelu(_normed(x, block["mlp_norm"]) @ block["up"]) @ block["down"]
        return np.asarray(_normed(x, self.parameters["norm"]) @ embedding.T, np.float32)

    def versions(self) -> dict[str, str]:
        """The digest of the file, and the version of the package that cuts texts into tokens."""
        return {"model": self.digest, "tokenizers": version("tokenizers")}

    def save(self, path: str | Path) -> None:
        """Write the file that `transformer` reads."""
        facts = {"goldwash": KIND, "heads": self.heads, "window": self.window, "tokenizer": self.tokenizer.definition}
        with open(path, "wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)), **dict(self.parameters))  # type: ignore[arg-type]


def _normed(x: Floats, gain: Floats) -> Floats:
    return np.asarray(gain * x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(1e-6)), np.float32)


def _gelu(x: Floats) -> Floats:
    """GELU by its approximation with tanh, as in GPT-2."""
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)
    return np.asarray(np.float32(0.5) * x * (1 + np.tanh(inner)), np.float32)


def _rotated(x: Floats) -> Floats:
    """Pairs of features turned by angles that grow with the position; ``x``: ``[rows, heads, length, features]``."""
    half = x.shape[-1] // 2
    angles = (np.arange(x.shape[-2])[:, None] / 10000 ** (np.arange(half) / half)).astype(np.float32)
    one, two = x[..., :half], x[..., half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([one * cos - two * sin, one * sin + two * cos], axis=-1)


def _attention(block: Mapping[str, Floats], x: Floats, heads: int) -> Floats:
    rows, length, width = x.shape
    q, k, v = (x @ block["qkv"]).reshape(rows, length, 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
    scores = _rotated(q) @ _rotated(k).swapaxes(-1, -2) / np.float32(math.sqrt(width // heads))
    scores = np.where(np.tril(np.ones((length, length), bool)), scores, np.float32(-1e9))
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return np.asarray((weights @ v).transpose(0, 2, 1, 3).reshape(rows, length, width) @ block["out"], np.float32)


def transformer(place: str) -> Transformer:
    """The transformer in a file; `ModelError` if it is missing or broken."""
    path = fetched(place)
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            parameters = {name: np.asarray(file[name], np.float32) for name in file.files if name != "facts"}
        if facts["goldwash"] != KIND:
            raise ValueError(f"it holds {facts['goldwash']!r}")
        made = Transformer(
            parameters, int(facts["heads"]), int(facts["window"]), ByteTokenizer(str(facts["tokenizer"])), file_digest(path)
        )
        _check(made)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{printable(path)} is not a whole transformer ({printable(error, 200)}): make it with `goldwash proxy`"
        ) from error
    return made


def _check(made: Transformer) -> None:
    """Refuse parameters whose shapes do not fit together."""
    vocabulary, width = made.parameters["embedding"].shape
    shapes = {
        "attention_norm": (width,), "qkv": (width, 3 * width), "out": (width, width), "mlp_norm": (width,),
        "up": (width, 4 * width), "down": (4 * width, width),
    }  # fmt: skip
    wanted = {"embedding": (vocabulary, width), "norm": (width,)}
    wanted |= {f"{n}.{name}": shape for n in range(made.layers) for name, shape in shapes.items()}
    found = {name: values.shape for name, values in made.parameters.items()}
    if found != wanted or vocabulary != made.tokenizer.vocab + 2 or width % (2 * made.heads) or made.window < 2:
        raise ValueError(f"a vocabulary of {vocabulary}, a width of {width} and {len(found)} arrays do not fit together")
