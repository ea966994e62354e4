"""A model like GlotLID: 3-letter labels with scripts, plain softmax, character n-grams; from the Hub, from a cache, and broken.

"The Hub" is this machine, and the model is a small one that fastText trains here.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pytest
from hypothesis import given, settings

from goldwash.classifiers import language
from goldwash.classifiers.fasttext import ModelError
from goldwash.classifiers.loader import load
from goldwash.classifiers.subwords import SubwordModel
from goldwash.filters.texts import Texts
from tests.conftest import ROOT
from tests.support.strategies import TEXTS

SENTENCES = {
    "eng_Latn": "the house of my friend is old and the garden is green",
    "deu_Latn": "das Haus von meinem Freund ist alt und der Garten ist grün",
    "fra_Latn": "la maison de mon ami est vieille et le jardin est vert",
    "cmn_Hani": "我 朋友 的 房子 很 旧 花园 是 绿色 的",
    "rus_Cyrl": "дом моего друга старый и сад зелёный",
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def train(folder: Path, **settings_: Any) -> Path:
    lines = [f"__label__{label} {text}" for label, text in SENTENCES.items() for _ in range(20)]
    (folder / "lines.txt").write_text("\n".join(lines), "utf-8")
    options = {"dim": 40, "minn": 2, "maxn": 5, "bucket": 5000, "loss": "softmax", "epoch": 25, "lr": 0.5, **settings_}
    model = fasttext.train_supervised(str(folder / "lines.txt"), thread=1, verbose=0, **options)
    model.save_model(str(folder / "model_v3.bin"))
    return folder / "model_v3.bin"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("glotlid"))


@cache
def by_fasttext(path: Path) -> Any:
    return fasttext.load_model(str(path))


def assert_agrees(path: Path, strings: list[str]) -> None:
    labels, probabilities = load(path).likeliest(Texts.of(strings))
    for text, label, probability in zip(strings, labels, probabilities, strict=True):
        theirs = by_fasttext(path).f.predict(text.replace("\n", " ") + "\n", 2, 0.0, "strict")
        assert probability == pytest.approx(theirs[0][0] if theirs else 0.0, abs=1e-4), ascii(text)
        if not theirs or theirs[0][0] - theirs[1][0] > 1e-4:  # of two that are as likely, either may be first
            assert label == (theirs[0][1].removeprefix("__label__") if theirs else ""), ascii(text)


def test_its_labels_are_those_of_its_file(model: Path) -> None:
    labels, probabilities = language.likeliest(Texts.of([*SENTENCES.values(), "...", ""]), str(model))
    assert labels.tolist() == [*SENTENCES, "", ""]
    assert (probabilities[:5] > 0.9).all()
    assert probabilities[5:].tolist() == [0, 0]


def test_kernels_score_it_and_the_file_stays_as_it_is(model: Path) -> None:
    before = model.read_bytes()
    held = load(model)
    assert isinstance(held, SubwordModel)
    held.likeliest(Texts.of(list(SENTENCES.values()) * 50))
    assert "f" not in vars(held.native), "fastText loads a second copy of the rows only if it is asked"
    assert held.probability(Texts.of([SENTENCES["deu_Latn"]]), "deu_Latn")[0] > 0.9
    assert model.read_bytes() == before


@settings(max_examples=50)
@given(TEXTS.map(lambda strings: [text.replace("</s>", "<s>") for text in strings]))
def test_as_fasttext_says(model: Path, strings: list[str]) -> None:
    assert_agrees(model, [*strings, *SENTENCES.values()])


@pytest.mark.parametrize("options", [{"dim": 16}, {"dim": 7, "minn": 1, "maxn": 3}, {"loss": "hs", "dim": 33}])
def test_models_of_other_sizes(tmp_path: Path, options: dict[str, Any]) -> None:
    assert_agrees(train(tmp_path, **options), [*SENTENCES.values(), "x", "Haus friend дом", "", "的"])


def test_a_quantised_one(tmp_path: Path) -> None:
    path = train(tmp_path)
    whole = fasttext.load_model(str(path))
    whole.quantize(input=str(tmp_path / "lines.txt"), cutoff=2000, retrain=False)
    whole.save_model(str(tmp_path / "small.ftz"))
    assert_agrees(tmp_path / "small.ftz", list(SENTENCES.values()))


class Hub(BaseHTTPRequestHandler):
    """The calls of `huggingface_hub` for one file of cis-lmu/glotlid."""

    content: bytes = b""
    asked: list[str]

    def do_GET(self) -> None:
        self.answer(True)

    def do_HEAD(self) -> None:
        self.answer(False)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(True)

    def answer(self, with_body: bool) -> None:
        self.asked.append(self.path)
        described = [{"type": "file", "path": "model_v3.bin", "size": len(self.content), "oid": "b" * 40}]
        status, body = 404, b"{}"
        if "/resolve/" in self.path and self.path.endswith("/model_v3.bin"):
            status, body = 200, self.content
        elif "/paths-info/" in self.path or "/tree/" in self.path:
            status, body = 200, json.dumps(described).encode()
        elif self.path.startswith("/api/models/cis-lmu/glotlid"):
            facts = {"id": "cis-lmu/glotlid", "sha": COMMIT, "private": False, "tags": [], "siblings": []}
            status, body = 200, json.dumps(facts).encode()
        self.send_response(status)
        for name, value in (("Content-Length", str(len(body))), ("ETag", f'"{"b" * 40}"'), ("X-Repo-Commit", COMMIT)):
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(model: Path) -> Iterator[str]:
    Hub.asked, Hub.content = [], model.read_bytes()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


RECIPE = """
stages:
  - heuristics:
      steps:
        - {label: language, model: hf://cis-lmu/glotlid/model_v3.bin}
        - {keep: language, among: [de, fra_Latn]}
        - {keep: word_count, min: 12, for: [deu_Latn]}
"""


def labelled(folder: Path, endpoint: str, out: str) -> subprocess.CompletedProcess[str]:
    """The stage on a recipe with GlotLID, in a process of its own: the Hub's address is read when its library is imported."""
    (folder / "r.yaml").write_text(RECIPE)
    lines = [json.dumps({"id": label, "url": "", "text": text}) for label, text in SENTENCES.items()]
    (folder / "in.jsonl").write_text("\n".join(lines))
    told = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "GOLDWASH_CACHE"))}
    told |= {"HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HOME": str(folder)}
    told |= {"GOLDWASH_CACHE": str(folder / "cache"), "NUMBA_CACHE_DIR": "", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "goldwash", "stage", "heuristics", "--recipe", "r.yaml", "--input", "in.jsonl"]
    return subprocess.run(
        [*command, "--out", out, "--workers", "1"], env={**told, "NUMBA_DISABLE_JIT": "1"}, cwd=folder, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip


def test_from_the_hub_and_then_without_a_network(hub: str, tmp_path: Path) -> None:
    told = labelled(tmp_path, hub, "first")
    assert told.returncode == 0, told.stderr[-2000:]
    assert "word_count.deu_Latn" not in told.stdout, "the German sentence has twelve words"
    assert any("model_v3.bin" in path for path in Hub.asked)
    again = labelled(tmp_path, "http://127.0.0.1:9", "second")
    assert again.returncode == 0, again.stderr[-2000:]
    report = json.loads((tmp_path / "second" / "report.json").read_text())
    assert report["report"]["kept"]["documents"] == 2


def test_without_a_network_and_a_copy_the_error_says_how_to_bring_one(tmp_path: Path) -> None:
    told = labelled(tmp_path, "http://127.0.0.1:9", "out")
    assert told.returncode != 0
    assert "hf://cis-lmu/glotlid/model_v3.bin could not be fetched" in told.stderr
    assert "copy the file here by other means and give its path" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>Access denied</html>" * 20, "is not a fastText model that can be read: it begins with"),
        (b"", "is truncated at byte 0"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1690140897\n", "is not a fastText model"),
    ],
)
def test_a_file_that_is_no_model_is_a_clear_error(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(ModelError, match=said):
        language.likeliest(Texts.of(["a"]), str(tmp_path / "model.bin"))


def test_a_model_that_is_cut_off_at_any_place_is_a_clear_error(model: Path, tmp_path: Path) -> None:
    content = model.read_bytes()
    for size in np.linspace(1, len(content) - 1, 40).astype(int):
        (tmp_path / "cut.bin").write_bytes(content[:size])
        with pytest.raises(ModelError, match=r"truncated|not a whole fastText model|begins with"):
            load(tmp_path / "cut.bin")
