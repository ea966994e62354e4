"""Tokenizers: load one by name, encode texts, and find the token that ends a document.

Invariants:

* A name is ``goldwash`` (the one that comes with the package), a ``tokenizer.json`` (a path, a folder that holds one,
  ``https://...`` or ``hf://OWNER/REPO``), or ``tiktoken:NAME`` or ``tiktoken:FILE``.
* Text is text: a document that contains the characters ``<|endoftext|>`` gets ordinary tokens for them, and no template adds
  tokens. The end-of-text token therefore appears where a document ends, and nowhere else.
* The end-of-text token is one of the vocabulary's special tokens, and not one that begins a text, pads it or ends a turn of a
  chat. The reference writes id 0 whatever the vocabulary, and 0 is ``!`` in Llama 3's.
* Ids are ``uint16`` where the largest is below 65,536, else ``uint32``.
* ``fastokens`` encodes in place of a library where its ids are the same (`tokenization.faster`).
"""

import hashlib
import os
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from goldwash.errors import GoldwashError
from goldwash.filters.fetch import FetchError, fetched, file_digest
from goldwash.pipeline.parameters import nearest
from goldwash.pipeline.tokenization.faster import Faster, joined, of_json, of_ranks
from goldwash.text_output import printable

DEFAULT = "goldwash"
MODELS = Path(__file__).parent / "models"
TIKTOKEN = "tiktoken:"

Ids = npt.NDArray[np.uint32]
Lengths = npt.NDArray[np.int64]


class TokenizerError(GoldwashError, ValueError):
    """A file that is no tokenizer, or a vocabulary that cannot be used as it was asked for; the message gives the cure."""


class Backend(Protocol):
    """What a library does for us."""

    specials: dict[str, int]
    """Special tokens by their text."""
    size: int
    """The largest id, plus one."""

    def encode(self, texts: Sequence[str]) -> list[Any]:
        """The ids of each text, in anything that numpy makes an array of; no special token among them."""
        ...

    def text_of(self, token: int) -> str:
        """A token as its vocabulary writes it; "" for an id that it does not have."""
        ...

    def byte_lengths(self) -> npt.NDArray[np.int32] | None:
        """The bytes of text that each token stands for: ``int32[size]``; None where tokens do not stand for bytes."""
        ...

    def faster(self) -> Faster | None:
        """What encodes faster and gives the same ids; None if there is nothing."""
        ...


@dataclass(frozen=True)
class Tokenizer:
    """A loaded tokenizer. ``file``: what it was loaded from; ``faster``: what encodes in the backend's place."""

    name: str
    file: Path
    backend: Backend
    versions: Mapping[str, str] = field(default_factory=dict)
    faster: Faster | None = None

    @property
    def size(self) -> int:
        """The largest id, plus one."""
        return self.backend.size

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return file_digest(self.file)

    def encode(self, texts: Sequence[str]) -> tuple[Ids, Lengths]:
        """The ids of all texts, one after the other, and how many each has: ``uint32[T]``, ``int64[N]``.

        Raises `TokenizerError` for an id that the vocabulary does not have, and `DifferentIdsError`.
        """
        ids, lengths = self.faster.encode(texts) if self.faster else joined(self.backend.encode(texts))
        if len(ids) and int(ids.max()) >= self.size:
            raise TokenizerError(f"{self.name} gave the id {int(ids.max())}; expected ids below {self.size}, its vocabulary")
        return ids, lengths

    @cached_property
    def byte_lengths(self) -> npt.NDArray[np.int32] | None:
        """The bytes of text that each token stands for: ``int32[size]``, 0 for special ones; None if that is not defined."""
        return self.backend.byte_lengths()

    def end_of_text(self, wanted: str | int | None = None) -> int:
        """The id that ends a document: ``wanted`` if it is fit for that, or else the one that the vocabulary has.

        Raises `TokenizerError` where ``wanted`` is an ordinary token or has another meaning, and where none can be found.
        """
        found = _end_among(self.backend.specials)
        token = _wanted(self, wanted, found) if wanted is not None else found
        if token is None:
            raise TokenizerError(
                f"{self.name} has no token that is known to end a text: give eot=TOKEN, one of its special tokens "
                f"({_listed(self.backend.specials)})"
            )
        text = self.backend.text_of(token)
        if token in self.encode([text])[0]:
            raise TokenizerError(
                f"{self.name} encodes the text '{printable(text)}' as its end-of-text token {token}, so that a document could "
                "end in its middle: mark the token as special in the tokenizer's file, or give another with eot="
            )
        return token


# --- the token that ends a document

ENDS = (
    "<|endoftext|>", "<|end_of_text|>", "<|end▁of▁sentence|>", "<｜end▁of▁sentence｜>", "<|eos|>", "<eos>", "</s>", "[EOS]",
    "<EOT>", "<|eot|>",
)  # fmt: skip
"""Tokens that end a document, by their vocabularies: GPT-2, NeoX and Qwen, Llama 3, DeepSeek, Gemma, Llama 2, others."""

OTHER_MEANINGS = re.compile(
    r"begin.?of|startoftext|^<s>$|bos\b|pad|unk|mask|\bsep\b|\bcls\b|header|eot_id|eom_id|end.?of.?turn|start.?of.?turn|"
    r"im_start|im_end|im_sep|fim_|prefix|suffix|middle|endofprompt|\breserved",
    re.IGNORECASE,
)
"""Special tokens that mean something else: a beginning, padding, a turn of a chat, a hole in code."""


def _end_among(specials: Mapping[str, int]) -> int | None:
    return next((specials[text] for text in ENDS if text in specials), None)


def _listed(specials: Mapping[str, int]) -> str:
    some = [printable(text) for text in list(specials)[:8]]
    return (", ".join(some) + (" ..." if len(specials) > len(some) else "")) or "it has none"


def _wanted(tokenizer: Tokenizer, wanted: str | int, found: int | None) -> int:
    backend = tokenizer.backend
    cure = f"leave eot out, or give eot={printable(backend.text_of(found))}" if found is not None else "give eot=TOKEN"
    if isinstance(wanted, str) and wanted not in backend.specials and wanted.isascii() and wanted.isdigit():
        wanted = int(wanted)
    if isinstance(wanted, int):
        text = next((text for text, token in backend.specials.items() if token == wanted), None)
        if text is None:
            held = printable(backend.text_of(wanted)) if 0 <= wanted < backend.size else ""
            what = f"the ordinary token '{held}'" if held else "no token"
            raise TokenizerError(
                f"eot is {wanted}, which is {what} in {tokenizer.name}: expected its end-of-text token, one of "
                f"{_listed(backend.specials)}; {cure}"
            )
    else:
        text = wanted
        if text not in backend.specials:
            raise TokenizerError(
                f"eot is '{printable(text)}', no special token of {tokenizer.name} (it has {_listed(backend.specials)}): "
                f"{cure}; {printable(nearest(text, list(backend.specials)))}"
            )
    if OTHER_MEANINGS.search(text) and found is not None and backend.specials[text] != found:
        raise TokenizerError(f"eot is {printable(text)}, which does not end a text in {tokenizer.name}: {cure}")
    return backend.specials[text]


# --- loading


def load(name: str, fast: bool = True) -> Tokenizer:
    """The tokenizer of this name, loaded once per process and content. ``fast``: by `tokenization.faster`, where that can be.

    Raises `TokenizerError` for a file that is none, and where the package that reads it is missing; `FetchError` where the file
    cannot be loaded.
    """
    if name.startswith(TIKTOKEN):
        file, encoding = _tiktoken_file(name.removeprefix(TIKTOKEN))
    else:
        file, encoding = located(name), ""
    return _loaded(name, str(file), encoding, fast, file_digest(file))


@cache
def _loaded(name: str, file: str, encoding: str, fast: bool, _digest: str) -> Tokenizer:
    library = "tiktoken" if encoding else "tokenizers"
    backend: Backend = _Tiktoken(name, Path(file), encoding) if encoding else _Tokenizers(name, Path(file))
    found = backend.faster() if fast else None
    versions = {library: version(library), **(found.versions if found else {})}
    return Tokenizer(name, Path(file), backend, versions, found)


def located(name: str) -> Path:
    """The ``tokenizer.json`` of a name, fetched where it is remote."""
    if name == DEFAULT and not Path(name).exists():
        return MODELS / "goldwash.json"
    if "://" in name and not name.split("?")[0].endswith(".json"):
        name = f"{name.rstrip('/')}/tokenizer.json"
    if "://" not in name and Path(name).is_dir():
        name = f"{name.rstrip('/')}/tokenizer.json"
    try:
        return fetched(name)
    except FetchError as error:
        if "://" not in name and "/" not in name:
            known = f"{DEFAULT}, a path of a tokenizer.json, https://..., hf://OWNER/REPO, tiktoken:NAME"
            raise TokenizerError(f"no tokenizer is called {printable(name)!r}: expected {known}") from error
        raise


class _Tokenizers:
    """A ``tokenizer.json``, read by the library ``tokenizers``."""

    def __init__(self, name: str, file: Path) -> None:
        # One thread per process: an engine runs a process per core, and a fork with the library's threads would hang.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import tokenizers

        self._file = file
        try:
            self._made = tokenizers.Tokenizer.from_str(file.read_text("utf-8"))
        except Exception as error:  # the library raises plain exceptions
            raise TokenizerError(
                f"{printable(name)} is no tokenizer ({printable(str(error))}): expected a tokenizer.json, as the library "
                "tokenizers writes it"
            ) from error
        self._made.no_truncation()
        self._made.no_padding()
        self._made.encode_special_tokens = True  # special tokens in a text are text
        added = self._made.get_added_tokens_decoder()
        self.specials = {token.content: id_ for id_, token in sorted(added.items()) if token.special}
        self._vocabulary = self._made.get_vocab(with_added_tokens=True)
        self.size = max(self._vocabulary.values(), default=-1) + 1
        if not self.size:
            raise TokenizerError(f"{printable(name)} has an empty vocabulary: train it first, as goldwash train-tokenizer does")

    def encode(self, texts: Sequence[str]) -> list[Any]:
        """The ids of each text."""
        encoded = self._made.encode_batch_fast(texts, add_special_tokens=False)
        return [array("I", encoding.ids) for encoding in encoded]  # numpy reads a list of Python's integers 2.5 times slower

    def text_of(self, token: int) -> str:
        """A token as the vocabulary writes it."""
        return self._made.id_to_token(token) or "" if 0 <= token < self.size else ""

    def byte_lengths(self) -> npt.NDArray[np.int32] | None:
        """For byte-level vocabularies, in which a character stands for a byte."""
        import json

        facts = json.loads(self._made.to_str())
        if "ByteLevel" not in _kinds(facts.get("pre_tokenizer")) | _kinds(facts.get("decoder")):
            return None
        lengths = np.zeros(self.size, np.int32)
        for text, token in self._vocabulary.items():
            if text not in self.specials:
                lengths[token] = len(text)
        return lengths

    def faster(self) -> Faster | None:
        """For byte-level BPEs."""
        return of_json(self._file.read_text("utf-8"), self.encode) if self.byte_lengths() is not None else None


def _kinds(part: Any) -> set[str]:
    """The types of a part of a tokenizer and of the parts in it."""
    if isinstance(part, Mapping):
        return {str(part.get("type"))}.union(*map(_kinds, part.values()))
    return set[str]().union(*map(_kinds, part)) if isinstance(part, list) else set()


# --- tiktoken

SPLIT = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
SPLIT_100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
SPLIT_200K = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


@dataclass(frozen=True)
class Encoding:
    """An encoding of OpenAI: how it splits words, its special tokens, and the SHA-256 of its published file."""

    split: str
    specials: Mapping[str, int]
    sha256: str


PUBLISHED = "https://openaipublic.blob.core.windows.net/encodings/"
_FIM = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
ENCODINGS = {
    "r50k_base": Encoding(SPLIT, {"<|endoftext|>": 50256}, "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"),
    "p50k_base": Encoding(SPLIT, {"<|endoftext|>": 50256}, "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"),
    "cl100k_base": Encoding(
        SPLIT_100K,
        {"<|endoftext|>": 100257, **dict(zip(_FIM, range(100258, 100261), strict=True)), "<|endofprompt|>": 100276},
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": Encoding(
        SPLIT_200K,
        {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}
"""Encodings by name. tiktoken itself builds them only after a download; with this table, a copy of the file is enough.
GPT-2's tokens are r50k_base's."""
ALIASES = {"gpt2": "r50k_base", "gpt-2": "r50k_base"}


def _tiktoken_file(name: str) -> tuple[Path, str]:
    """The file of ``NAME``, ``FILE`` or ``FILE::NAME``, and the encoding's name."""
    place, _, given = name.partition("::")
    plain = ALIASES.get(place, place)
    if not given and plain in ENCODINGS and not Path(place).is_file():
        return _published(plain), plain
    encoding = ALIASES.get(given or Path(place).stem, given or Path(place).stem)
    if encoding not in ENCODINGS:
        raise TokenizerError(
            f"tiktoken:{printable(name)}: no encoding is called {printable(encoding)!r} ({', '.join(ENCODINGS)}): name a file "
            f"NAME.tiktoken, or say whose words it has, as tiktoken:{printable(place)}::cl100k_base"
        )
    return fetched(place), encoding


def _published(encoding: str) -> Path:
    """The published file: from tiktoken's own cache if it is there, or else fetched."""
    url = f"{PUBLISHED}{encoding}.tiktoken"
    folder = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    held = Path(folder or ".") / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    if folder and held.is_file():
        if (found := file_digest(held)) != ENCODINGS[encoding].sha256:
            raise TokenizerError(f"{held} has SHA-256 {found}; expected that of {encoding}: delete it, or fetch it again")
        return held
    try:
        return fetched(url, ENCODINGS[encoding].sha256)
    except FetchError as error:
        raise FetchError(f"{error}, as tiktoken:PATH/{encoding}.tiktoken") from error


class _Tiktoken:
    """An encoding of OpenAI, read by the library ``tiktoken``."""

    def __init__(self, name: str, file: Path, encoding: str) -> None:
        try:
            import tiktoken
            from tiktoken.load import load_tiktoken_bpe
        except ImportError as error:
            raise TokenizerError(f"{printable(name)} needs the package tiktoken: pip install 'goldwash[tiktoken]'") from error
        facts = ENCODINGS[encoding]
        try:
            ranks = load_tiktoken_bpe(str(file))
            self._made = tiktoken.Encoding(
                encoding, pat_str=facts.split, mergeable_ranks=ranks, special_tokens=dict(facts.specials)
            )
        except Exception as error:
            raise TokenizerError(
                f"{printable(name)} is no file of tiktoken ({printable(str(error))}): expected lines of a token in base64, a "
                "space and its rank"
            ) from error
        if missing := sorted(set(range(256)) - {word[0] for word in ranks if len(word) == 1}):
            raise TokenizerError(
                f"{printable(name)} is no file of tiktoken: no token for the byte {missing[0]}, so that some texts could not "
                "be encoded"
            )
        if clash := sorted(set(ranks.values()) & set(facts.specials.values())):
            raise TokenizerError(
                f"{printable(name)} has an ordinary token {clash[0]}, special in {encoding}: say whose words it "
                "has, as tiktoken:FILE::NAME"
            )
        self._file, self._split, self._ranks = file, facts.split, ranks
        self.specials = dict(facts.specials)
        self.size = self._made.n_vocab

    def encode(self, texts: Sequence[str]) -> list[Any]:
        """The ids of each text."""
        # `encode_ordinary` spends a tenth of its time on lists of Python integers; this returns arrays.
        return [self._made.encode_to_numpy(text, allowed_special=set(), disallowed_special=()) for text in texts]

    def text_of(self, token: int) -> str:
        """A token's bytes, as text."""
        try:
            return self._made.decode_single_token_bytes(token).decode("utf-8", "backslashreplace")
        except (KeyError, OverflowError):
            return ""

    def byte_lengths(self) -> npt.NDArray[np.int32] | None:
        """Of every ordinary token."""
        lengths = np.zeros(self.size, np.int32)
        for data, token in self._ranks.items():
            lengths[token] = len(data)
        return lengths

    def faster(self) -> Faster | None:
        """With the same file and pattern."""
        return of_ranks(str(self._file), self._split, self.specials, self._ranks, self.encode)
