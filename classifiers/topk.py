"""How sure a language model is that the right token is among its k likeliest: DCLM's "top-k average logits".

Invariants:

- The score of a text is the mean, over its tokens after the first, of the log of the probability that the model gives to its k
  likeliest tokens together (arXiv 2406.11794, section 4.4: "how confident a model is that the correct words are within k
  reasonable choices"). 0 is certainty. The first ``tokens`` of a text count, in windows of the model's length.
- A `LanguageModel` turns token numbers into logits. Each kind is in `LOADERS`, which decides by the place alone; a package adds
  one with an entry point in the group ``goldwash.language_models``: its name is the ending of its files, without the dot.
- A row's logits do not depend on padding behind it. They are matrix products, which repeat on one machine.

The address is ``topk:MODEL#k=10&tokens=1024``: ``MODEL`` is a folder or ``hf://OWNER/REPO`` of a causal model for transformers
(extra ``hf``), or ``FILE.gpt`` of
`goldwash proxy`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from goldwash.classifiers.addresses import no_label, settings
from goldwash.classifiers.embeddings import beginning
from goldwash.classifiers.model_file import ModelError
from goldwash.filters.fetch import file_digest
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

GROUP = "goldwash.language_models"
K, TOKENS = 10, 1024
ROWS = 8
"""Windows that go through the model together."""
CHARACTERS_A_TOKEN = 16
"""Characters of a text that are tokenised for each token that counts."""

Ids = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


class LanguageModel(Protocol):
    """A causal language model."""

    @property
    def window(self) -> int:
        """The most tokens of a row."""
        ...

    def ids(self, text: str) -> Ids:
        """The tokens of a text: ``int64[M]``."""
        ...

    def logits(self, ids: Ids) -> npt.NDArray[np.floating[Any]]:
        """The logits of the token after each: ``float[rows, length, vocabulary]`` for ``int64[rows, length]``."""
        ...

    def versions(self) -> dict[str, str]:
        """What decides the logits: digests of files, versions of packages."""
        ...

    @property
    def file_name(self) -> str | None:
        """A name for the file that `save` writes; None if workers open the same place."""
        ...

    def save(self, path: str) -> None:
        """Write the file that workers open."""
        ...


@dataclass(frozen=True, eq=False)
class TopK:
    """A language model as a measure (`goldwash.classifiers.measures`)."""

    model: LanguageModel
    k: int = K
    tokens: int = TOKENS

    def measure(self, texts: Texts, table: Any) -> Numbers:
        """The mean log probability of the k likeliest tokens: ``float64[N]``; nan for a text of fewer than two tokens."""
        windows = list[Ids]()
        owners = list[int]()
        for row in range(len(texts)):
            ids = self.model.ids(beginning(texts, row, CHARACTERS_A_TOKEN * self.tokens))[: self.tokens]
            for k in range(0, len(ids) - 1, self.model.window - 1):  # a window begins with the last token of the one before
                windows.append(ids[k : k + self.model.window])
                owners.append(row)
        total, count = np.zeros(len(texts)), np.zeros(len(texts))
        with threadpool_limits(1, user_api="blas"):  # a task has one core
            for k in range(0, len(windows), ROWS):
                for owner, sure in zip(owners[k : k + ROWS], self._sure(windows[k : k + ROWS]), strict=True):
                    total[owner] += sure.sum()
                    count[owner] += len(sure)
        with np.errstate(invalid="ignore"):
            return np.asarray(total / count)

    def _sure(self, windows: Sequence[Ids]) -> list[Numbers]:
        """For each window, the log probability of the k likeliest tokens, at each token after the first."""
        most = max(map(len, windows))
        padded = np.stack([np.pad(ids, (0, most - len(ids)), mode="edge") for ids in windows])
        logits = np.asarray(self.model.logits(padded[:, :-1]), np.float64)
        if logits.shape[:2] != (len(windows), most - 1) or not np.isfinite(logits).all():
            raise ModelError(
                f"the language model gave logits of shape {logits.shape} for tokens of shape {(len(windows), most - 1)}; "
                "expected finite numbers for each token"
            )
        found = log_share(logits, self.k)
        return [found[n, : len(ids) - 1] for n, ids in enumerate(windows)]

    def versions(self) -> dict[str, str]:
        """Those of the language model."""
        return self.model.versions()

    @property
    def file_name(self) -> str | None:
        """See `LanguageModel`."""
        return self.model.file_name

    def save(self, path: str) -> None:
        """See `LanguageModel`."""
        self.model.save(path)


def log_share(logits: Numbers, k: int) -> Numbers:
    """The log of the k largest probabilities' sum: ``float64[..., V]`` to ``float64[...]``; 0 where k is V or more.

    >>> float(log_share(np.log([[0.5, 0.3, 0.2]]), 2)[0].round(6)) == round(float(np.log(0.8)), 6)
    True
    """
    k = min(k, logits.shape[-1])
    top = np.partition(logits, logits.shape[-1] - k, axis=-1)[..., logits.shape[-1] - k :]
    largest = logits.max(axis=-1, keepdims=True)
    parts = (np.exp(array - largest).sum(axis=-1) for array in (top, logits))
    return np.asarray(np.minimum(np.log(next(parts)) - np.log(next(parts)), 0.0), np.float64)


def topk(address: str, label: str | None) -> TopK:
    """The measure ``topk:ADDRESS``; `ModelError` for a model that cannot be loaded."""
    no_label("topk", label)
    place, given = settings("topk", address, {"k": int, "tokens": int})
    model = language_model(place)
    if model.window < 2:
        raise ModelError(f"topk: the model {printable(place)} takes {model.window} tokens at once; expected 2 or more")
    return TopK(model, given.get("k", K), given.get("tokens", TOKENS))


def language_model(place: str) -> LanguageModel:
    """The language model of a place: a file by its ending, else a causal model for transformers."""
    ending = Path(place).suffix[1:] if "://" not in place or Path(place).suffix else ""
    if ending in LOADERS:
        return LOADERS[ending](place)
    for entry in entry_points(group=GROUP, name=ending) if ending else ():
        try:
            made: LanguageModel = entry.load()(place)
        except ImportError as error:
            raise ModelError(f"topk: {printable(place)}: {entry.value} cannot be imported: {error}") from error
        return made
    return causal(place.removeprefix("hf://"))


@dataclass(frozen=True, eq=False)
class Causal:
    """A causal model that transformers has loaded."""

    name: str
    tokenizer: Any
    network: Any
    torch: Any

    @property
    def window(self) -> int:
        """See `LanguageModel`; 1,024 where the model's settings do not say."""
        config = self.network.config
        return int(getattr(config, "max_position_embeddings", 0) or getattr(config, "n_positions", 0) or 1024)

    def ids(self, text: str) -> Ids:
        """See `LanguageModel`; with the tokens that the tokenizer adds to a text."""
        return np.asarray(self.tokenizer(text, truncation=False, verbose=False)["input_ids"], np.int64)

    def logits(self, ids: Ids) -> npt.NDArray[np.floating[Any]]:
        """See `LanguageModel`."""
        with self.torch.inference_mode():
            return np.asarray(self.network(input_ids=self.torch.from_numpy(ids)).logits.float().numpy())

    file_name = None

    def save(self, path: str) -> None:
        """Nothing: workers open the same place."""

    def versions(self) -> dict[str, str]:
        """Versions of the packages, and what transformers knows of the model: its commit, else digests of its files."""
        folder = Path(self.name)
        files = sorted(folder.glob("*.safetensors")) + sorted(folder.glob("*.json")) if folder.is_dir() else []
        known = {file.name: file_digest(file) for file in files}
        commit = getattr(self.network.config, "_commit_hash", None)
        return {
            "model": self.name if not known else folder.name,
            **known,
            **({"commit": str(commit)} if commit else {}),
            **{package: version(package) for package in ("torch", "transformers")},
        }


@lru_cache(maxsize=1)
def causal(name: str) -> Causal:
    """A causal model of Hugging Face, by its folder or name; one thread, since a task has one core."""
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise ModelError(
            f"topk: the model {printable(name)} needs transformers and PyTorch ({printable(error)}): pip install 'goldwash[hf]'"
        ) from error
    torch.set_num_threads(1)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        network = AutoModelForCausalLM.from_pretrained(name).eval()
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(
            f"topk: the model {printable(name)} cannot be loaded ({printable(error, 300)}): give a folder with a causal model "
            "and its tokenizer, or hf://OWNER/REPO where there is a network"
        ) from error
    return Causal(name, tokenizer, network, torch)


def _transformer(place: str) -> LanguageModel:
    from goldwash.classifiers.transformer import transformer

    return transformer(place)


LOADERS: dict[str, Callable[[str], LanguageModel]] = {"gpt": _transformer}
"""What loads a language model, by the ending of its file."""
