"""A language model behind a server is asked whether a text is worth training on: the probability that it says "yes".

Invariants:

- The address is ``ask:URL`` of an OpenAI-compatible server, with settings behind ``#``: ``model`` (needed where the server has
  several), ``prompt`` (a file that contains ``{text}``), ``characters`` of a text that are shown, ``concurrency``.
- The prompt and the meaning of the score are those of Ask-LLM (arXiv 2402.09668), which DCLM compared (arXiv 2406.11794,
  section 4.4): the probability of the token "yes" as the first of the answer, summed over its spellings.
- Every answer is kept on disk at once (`Answers`), by server, model, prompt and text. A rerun asks for none of them again.
- An empty text is not asked about. A text for which neither "yes" nor "no" is among the likeliest tokens has no score, and is
  asked about again in the next run. If that is so for all texts of a batch, the server does not do what is asked: an error.
- 408, 429 (after the pause that the server wants), 5xx, broken and refused connections are tried again; other answers are not.
- The key comes from ``$OPENAI_API_KEY`` and is written nowhere.
"""

import hashlib
import json
import math
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import numpy as np
import numpy.typing as npt
import urllib3

from goldwash.classifiers.addresses import settings
from goldwash.classifiers.embeddings import beginning
from goldwash.classifiers.model_file import ModelError
from goldwash.filters.cache import cache_home
from goldwash.filters.texts import Texts
from goldwash.text_output import printable, without_password

PROMPT = """###
{text}
###

Does the previous paragraph demarcated within ### and ### contain informative signal for pre-training a large-language model? \
An informative datapoint should be well-formatted, contain some usable knowledge of the world, and strictly NOT have any \
harmful, racist, sexist, etc. content.

OPTIONS:
- yes
- no
"""
"""The prompt of Ask-LLM (arXiv 2402.09668, figure 3)."""

ANSWERS = ("yes", "no")
CHARACTERS, CONCURRENCY = 6000, 8
TOP = 20
"""Tokens whose probabilities the server is asked for: the most that OpenAI's and vLLM's servers give."""

KEY = "OPENAI_API_KEY"
TRIED_AGAIN = (408, 429, 500, 502, 503, 504)
ATTEMPTS = 6
PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds before the second try again, which double up to the longest. The server's ``Retry-After`` comes first."""
TIMEOUT = urllib3.Timeout(connect=10.0, read=300.0)
LEAST_ASKED = 4
"""With at least so many texts in a batch and no usable answer, the fault is the server's, not the texts'."""
SHOWN = 200
"""Characters of an answer that an error shows."""


@dataclass(frozen=True)
class Question:
    """What is asked, and of whom."""

    url: str
    model: str
    prompt: str = PROMPT
    answer: str = "yes"
    characters: int = CHARACTERS
    concurrency: int = CONCURRENCY

    def key(self, text: str) -> bytes:
        """The key of an answer: SHA-256 of everything that decides it."""
        asked = [self.url, self.model, self.prompt, self.answer, text]
        return hashlib.sha256(json.dumps(asked).encode("utf-8", "surrogatepass")).digest()

    def body(self, text: str) -> dict[str, Any]:
        """The request for one text."""
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": self.prompt.replace("{text}", text)}],
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": TOP,
        }


@dataclass(frozen=True)
class Ask:
    """A question as a measure (`goldwash.classifiers.measures`)."""

    question: Question
    file_name = "ask.json"

    def measure(self, texts: Texts, table: Any) -> npt.NDArray[np.float64]:
        """The probability of the answer: ``float64[N]``; nan for an empty text, and for one without a usable answer."""
        question = self.question
        shown = [beginning(texts, row, question.characters) for row in range(len(texts))]
        keys = {text: question.key(text) for text in shown if text.strip()}
        said = ""
        with Answers() as answers:
            known = answers.get(list(keys.values()))
            found = {text: known[key] for text, key in keys.items() if key in known}
            missing = [text for text in keys if text not in found]
            for text, answer in _asked(question, missing):
                found[text] = answer.probability
                if answer.probability is not None:
                    answers.put(keys[text], answer.probability)
                said = answer.said
        if len(missing) >= LEAST_ASKED and all(value is None for value in found.values()):
            raise ModelError(
                f"{_shown(question.url)} said neither yes nor no to any of {len(missing)} texts; its likeliest tokens were "
                f"{said}: give a model that follows instructions, or another prompt with #prompt=FILE"
            )
        values = [found.get(text) for text in shown]
        return np.array([math.nan if value is None else value for value in values], np.float64)

    def versions(self) -> dict[str, str]:
        """The model, and a digest of the question."""
        facts = {k: v for k, v in asdict(self.question).items() if k != "concurrency"}
        return {"model": self.question.model, "question": hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}

    def save(self, path: str) -> None:
        """Write the question, from which workers ask the same."""
        Path(path).write_text(json.dumps(asdict(self.question), indent=1, ensure_ascii=False) + "\n", "utf-8")


def ask(address: str, label: str | None) -> Ask:
    """The measure ``ask:ADDRESS``: a server's URL, or a file that `Ask.save` wrote.

    ``label``: ``yes`` or ``no``, whose probability is the score; None is ``yes``. Raises `ModelError` for a wrong address, and
    where the server does not say which model it has.
    """
    known = {"model": str, "prompt": str, "characters": int, "concurrency": int}
    url, given = settings("ask", address, known)
    if label not in (None, *ANSWERS):
        raise ModelError(
            f"ask: the label is {printable(label)!r}; expected {' or '.join(ANSWERS)}, whose probability is scored"
        )
    if "://" not in url:
        question = _read(url)
        if label not in (None, question.answer) or given:
            raise ModelError(
                f"ask: {printable(url)} holds a whole question, on {question.answer!r}: give no other label and no settings"
            )
        return Ask(question)
    try:
        parts = urlsplit(url)
        served = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a broken IPv6 address, or a port that is no number
        served = False
    if not served:
        raise ModelError(f"ask: {_shown(url)} is no server: expected http://HOST:PORT/v1 or https://HOST/v1")
    if parts.username or parts.password:
        raise ModelError(f"ask: {_shown(url)} has a password in it, which reports would show: put the key into ${KEY}")
    if "prompt" in given:
        given["prompt"] = _prompt(given["prompt"])
    url = url.rstrip("/")
    question = Question(url, given.pop("model", ""), answer=label or ANSWERS[0], **given)
    return Ask(question if question.model else replace(question, model=_only_model(url)))


def _prompt(file: str) -> str:
    try:
        text = Path(file).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ModelError(f"ask: the prompt {printable(file)} cannot be read: {error}") from error
    if text.count("{text}") != 1:
        raise ModelError(f"ask: the prompt {printable(file)} has {{text}} {text.count('{text}')} times; expected once")
    return text


def _read(file: str) -> Question:
    try:
        facts = json.loads(Path(file).read_text("utf-8"))
        return Question(**facts)
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"ask: {printable(file)} is neither a URL nor a question that a stage wrote ({printable(error)}): give "
            "ask:http://HOST:PORT/v1"
        ) from error


@dataclass(frozen=True)
class Answer:
    """The probability of the answer, None if it was not given; and what the server said instead, to show."""

    probability: float | None
    said: str = ""


def _asked(question: Question, texts: Sequence[str]) -> Iterator[tuple[str, Answer]]:
    """Each text with its answer, as they come; the first error ends it, after the answers that are already there."""
    if not texts:
        return
    pool = _connections(question.url, question.concurrency)
    with ThreadPoolExecutor(question.concurrency) as threads:
        futures = {threads.submit(_one, pool, question, text): text for text in texts}
        failed: BaseException | None = None
        for future in as_completed(futures):
            error = None if future.cancelled() else future.exception()
            if error is not None and failed is None:
                failed = error
                for other in futures:
                    other.cancel()
            if error is None and not future.cancelled():
                yield futures[future], future.result()
        if failed is not None:
            raise failed


def _one(pool: Any, question: Question, text: str) -> Answer:
    reply = _json_of(pool, "POST", f"{question.url}/chat/completions", question.body(text))
    return answer_in(reply, question.url, question.answer)


def answer_in(reply: Any, url: str, answer: str) -> Answer:
    """The probability of the answer's first token in a server's reply; `ModelError` if the reply has no probabilities."""
    try:
        content = reply["choices"][0]["logprobs"]["content"]
        tokens = [(str(entry["token"]), float(entry["logprob"])) for entry in content[0]["top_logprobs"]]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelError(
            f"{_shown(url)} answered without log probabilities of tokens ({printable(json.dumps(reply), SHOWN)}): expected "
            "choices[0].logprobs.content[0].top_logprobs; use a server that gives them, such as vLLM or llama.cpp's"
        ) from error
    if any(math.isnan(value) or value > 0.01 for _, value in tokens):
        raise ModelError(f"{_shown(url)} gave log probabilities that are nan or above 0 ({printable(tokens, SHOWN)})")
    spelt = [(_word(token), math.exp(value)) for token, value in tokens]
    if not any(word in ANSWERS for word, _ in spelt):
        return Answer(None, printable(", ".join(repr(token) for token, _ in tokens[:5]) or "none", SHOWN))
    return Answer(min(1.0, math.fsum(value for word, value in spelt if word == answer)))


def _word(token: str) -> str:
    """A token without the marks that stand for spaces in vocabularies, and without punctuation, in lower case."""
    return token.strip(" \t\r\n\"'`*.,:-▁Ġ").lower()


def _only_model(url: str) -> str:
    """The model of a server that has one."""
    reply = _json_of(_connections(url, 1), "GET", f"{url}/models", None)
    try:
        names = [str(entry["id"]) for entry in reply["data"]]
    except (KeyError, TypeError) as error:
        raise ModelError(f"ask: {_shown(url)} does not list its models: name one with #model=NAME") from error
    if len(names) != 1:
        shown = printable(", ".join(names) or "none", SHOWN)
        raise ModelError(f"ask: {_shown(url)} has {len(names)} models ({shown}): name one with #model=NAME")
    return names[0]


def _connections(url: str, size: int) -> Any:
    """Connections to a server that try again by themselves; through the machine's proxy, if that is set."""
    retries = urllib3.Retry(
        total=ATTEMPTS,
        allowed_methods=None,
        status_forcelist=TRIED_AGAIN,
        backoff_factor=PAUSE,
        backoff_max=LONGEST_PAUSE,
        raise_on_status=False,
        redirect=0,
    )
    options: dict[str, Any] = {"maxsize": size, "block": True, "retries": retries, "timeout": TIMEOUT}
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy, **options)
    return urllib3.PoolManager(**options)


def _json_of(pool: Any, method: str, url: str, body: Mapping[str, Any] | None) -> Any:
    """The JSON that a server answers; `ModelError` for anything else, with the cure."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key := os.environ.get(KEY):
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode("utf-8")
    try:
        reply = pool.request(method, url, body=data, headers=headers)
    except urllib3.exceptions.HTTPError as error:
        why = printable(without_password(str(getattr(error, "reason", None) or error)), SHOWN)
        raise ModelError(
            f"no answer from {_shown(url)} after {ATTEMPTS + 1} attempts ({why}): is the server running?"
        ) from error
    shown = printable(reply.data.decode("utf-8", "replace"), SHOWN)
    if reply.status != 200:
        raise ModelError(f"{_shown(url)} answered {reply.status} ({shown}){CURES.get(reply.status, '')}")
    try:
        return json.loads(reply.data)
    except ValueError as error:
        raise ModelError(f"{_shown(url)} answered {shown!r}; expected JSON: is it an OpenAI-compatible server?") from error


CURES = {
    401: f": put the key into ${KEY}",
    403: f": put a key into ${KEY} that may use this model",
    404: ": expected the URL up to /v1, and a model that the server has (#model=NAME)",
    429: f": it wants fewer requests, {ATTEMPTS + 1} times: give #concurrency=1, or wait; the answers so far are kept",
}


def _shown(url: str) -> str:
    return printable(without_password(url))


class Answers:
    """Answers that were given once, in ``answers.sqlite`` in the cache; processes of one machine share it."""

    def __init__(self) -> None:
        self.place = cache_home() / "answers.sqlite"

    def __enter__(self) -> "Answers":
        with self._cure():
            self._file = sqlite3.connect(self.place, timeout=60.0, isolation_level=None)  # each answer is written at once
            self._file.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, value REAL) WITHOUT ROWID")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, float | None]:
        """The answers that are known."""
        with self._cure():
            rows = (self._file.execute("SELECT key, value FROM answers WHERE key = ?", (key,)).fetchone() for key in keys)
            return {row[0]: row[1] for row in rows if row is not None}

    def put(self, key: bytes, value: float) -> None:
        """Keep an answer."""
        with self._cure():
            self._file.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, value))

    @contextmanager
    def _cure(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ModelError(
                f"answers cannot be kept in {printable(self.place)} ({error}): delete that file if it is broken, or name a "
                "folder on a local disk in $GOLDWASH_CACHE"
            ) from error
