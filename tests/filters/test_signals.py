"""Declaring signals and edits, bounds, and what a wrong use says."""

import importlib
import importlib.metadata
import math
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import goldwash.classifiers
import goldwash.filters
from goldwash.filters import Keep, Texts, edit, per_text, signal, signals
from goldwash.filters.edits import KeepLines
from goldwash.filters.signals import EDITS, SIGNALS, SignalError
from goldwash.filters.words import character_count, stop_word_count, word_count
from goldwash.pipeline.recipes.recipe import load
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def declared_here() -> Iterator[None]:
    """What a test declares is forgotten after it."""
    before = dict(SIGNALS.here), dict(EDITS.here)
    yield
    SIGNALS.here, EDITS.here = before


VALUES = np.array([-math.inf, -1, 0, 0.5, 1, 2, math.inf, math.nan])


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ({"min": 0.5}, [0.5, 1, 2, math.inf]),
        ({"max": 0.5}, [-math.inf, -1, 0, 0.5]),
        ({"above": 0.5}, [1, 2, math.inf]),
        ({"below": 0.5}, [-math.inf, -1, 0]),
        ({"min": 0, "max": 1}, [0, 0.5, 1]),
        ({"above": 0, "below": 1}, [0.5]),
        ({"min": 0, "above": 0, "max": 2}, [0.5, 1, 2]),
        ({"min": 1, "max": 1}, [1]),
        ({"above": 1, "below": 1}, []),
        ({"max": math.inf}, [-math.inf, -1, 0, 0.5, 1, 2, math.inf]),
    ],
)
def test_bounds(bounds: dict[str, float], kept: list[float]) -> None:
    assert VALUES[Keep(word_count, **bounds).passes(VALUES)].tolist() == kept


def test_bounds_on_whole_numbers() -> None:
    assert Keep(word_count, min=2, below=4).passes(np.array([1, 2, 3, 4])).tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({}, "give min, max, above or below"),
        ({"min": 2, "max": 1}, "lower bound 2 is above"),
        ({"above": 2, "max": 1}, "lower"),
    ],
)
def test_impossible_bounds(bounds: dict[str, float], message: str) -> None:
    with pytest.raises(SignalError, match=message):
        Keep(word_count, **bounds)


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"min": 50, "max": 100000}, "50 <= word_count <= 100000"),
        ({"above": 0.65}, "0.65 < word_count"),
        ({"below": 2}, "word_count < 2"),
        ({"min": 1234567, "max": 1234568.0}, "1234567 <= word_count <= 1234568"),
        ({"above": 0.123456789}, "0.123456789 < word_count"),
        ({"max": np.float32(0.1)}, "word_count <= 0.10000000149011612"),
        ({"max": math.inf, "min": -0.0}, "-0 <= word_count <= inf"),
        ({"min": 10**17 + 1}, "100000000000000001 <= word_count"),
    ],
)
def test_bounds_in_words(bounds: dict[str, float], said: str) -> None:
    assert Keep(word_count, **bounds).bounds == said


def test_per_text_with_parameters() -> None:
    @per_text
    def occurrences(text: str, needle: str = "a") -> float:
        """How often a needle stands in the text.

        More.
        """
        return text.count(needle)

    texts = Texts.of(["banana", ""])
    assert occurrences(texts).tolist() == [3, 0]
    assert occurrences.bind(needle="n")(texts).tolist() == [2, 0]
    assert occurrences(texts).dtype == np.float64
    assert occurrences.defaults() == {"needle": "a"}
    assert occurrences.summary == "How often a needle stands in the text."
    assert SIGNALS["occurrences"] is occurrences


def test_parameters_have_their_own_memory() -> None:
    texts = Texts.of(["the cat"])
    assert stop_word_count(texts).tolist() == [1]
    assert stop_word_count.bind(words=["cat", "the"])(texts).tolist() == [2]
    assert stop_word_count.bind(words=["dog"])(texts).tolist() == [0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"wrds": ("a",)}, "did you mean 'words'"),
        ({"zzz": 1}, "no parameter 'zzz'; it has: words"),
    ],
)
def test_unknown_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(SignalError, match=message):
        stop_word_count.bind(**parameters)


def test_missing_parameter() -> None:
    with pytest.raises(SignalError, match="url_word_count needs the parameter 'phrases'"):
        SIGNALS["url_word_count"].bind(ignoring="-")


def test_no_parameters_at_all() -> None:
    with pytest.raises(SignalError, match="it has: none"):
        word_count.bind(min=3)


@pytest.mark.parametrize(
    "wrong", [lambda t: 1, lambda t: np.zeros((len(t), 2)), lambda t: np.zeros(len(t) + 1), lambda t: np.array(["a"] * len(t))]
)
def test_a_signal_that_gives_no_numbers(wrong: Any) -> None:
    with pytest.raises(SignalError, match="return one number per text"):
        signal(name="wrong")(wrong)(Texts.of(["a", "b"]))


@pytest.mark.parametrize("wrong", [lambda texts: texts.take(np.array([0])), lambda texts: list(texts)])
def test_an_edit_that_gives_other_rows(wrong: Any) -> None:
    with pytest.raises(SignalError, match="must return Texts of 2 rows"):
        edit(wrong)(Texts.of(["a", "b"]))


def test_two_of_one_name(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text("def word_count(texts):\n    return texts.byte_counts\n")
    made: dict[str, Any] = {}
    exec(compile(source.read_text(), str(source), "exec"), made)
    with pytest.raises(SignalError, match=r"two are called word_count: one in .*words.py, one in .*mine.py; rename yours"):
        signal(made["word_count"])
    assert SIGNALS["word_count"] is word_count


def test_a_module_that_is_loaded_again_may_declare_again() -> None:
    for _ in range(2):

        @signal
        def mine(texts: Texts) -> Any:
            """Bytes."""
            return texts.byte_counts

    assert SIGNALS["mine"] is mine


class Plugin(importlib.metadata.EntryPoint):
    """An entry point whose loading runs a function of the test."""

    def load(self) -> Any:
        return LOADERS[self.value]()


LOADERS: dict[str, Any] = {}


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Plugin]]:
    found: list[Plugin] = []
    monkeypatch.setattr(signals, "entry_points", lambda group: found if group == "goldwash.signals" else [])
    monkeypatch.setattr(signals, "_loaded", set())
    monkeypatch.setattr(signals, "PROVIDERS", {})
    yield found
    LOADERS.clear()


def test_a_plug_in_is_loaded_once_when_a_name_is_missing(plugins: list[Plugin]) -> None:
    loaded = []

    def load() -> None:
        loaded.append(1)
        assert "nobody" not in SIGNALS  # a plug-in may look names up

        @signal(name="plugged_count")
        def plugged(texts: Texts) -> Any:
            """Bytes."""
            return texts.byte_counts

    LOADERS["package.signals"] = load
    plugins.append(Plugin("mine", "package.signals", "goldwash.signals"))
    assert SIGNALS["word_count"] is word_count
    assert not loaded
    assert SIGNALS["plugged_count"](Texts.of(["ab"])).tolist() == [2]
    assert "plugged_count" in set(SIGNALS)
    assert "other" not in EDITS
    assert len(loaded) == 1
    assert signals.PROVIDERS == {"plugged_count": "an unknown package"}


def test_the_metadata_of_packages_is_read_once(plugins: list[Plugin], monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it takes 20 ms, and loading a recipe asks for plug-ins 50 times."""
    reads = []

    def read(group: str) -> list[Plugin]:
        reads.append(group)
        return plugins

    monkeypatch.setattr(signals, "entry_points", read)
    load("baseline")
    assert "nobody" not in SIGNALS
    assert len(SIGNALS) > 20
    assert reads == [signals.GROUP]
    monkeypatch.setattr(sys, "path", [*sys.path, "/nowhere"])
    assert "nobody" not in SIGNALS
    assert len(reads) == 2


def test_a_plug_in_that_fails_is_named(plugins: list[Plugin]) -> None:
    LOADERS["package.broken"] = lambda: 1 / 0
    plugins.append(Plugin("mine", "package.broken", "goldwash.signals"))
    for _ in range(2):
        with pytest.raises(
            SignalError, match=r"plug-in mine \(package.broken\) of an unknown package failed: ZeroDivisionError"
        ):
            SIGNALS.get("nobody")


def test_an_installed_package_adds_signals(tmp_path: Path) -> None:
    (tmp_path / "gold_plugin.py").write_text(
        "from goldwash.filters import per_text\n@per_text\ndef commas_count(text: str) -> float:\n    return text.count(',')\n"
    )
    info = tmp_path / "gold_plugin-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gold-plugin\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[goldwash.signals]\nmine = gold_plugin\n")
    code = (
        "from goldwash.filters import Texts\nfrom goldwash.filters.signals import PROVIDERS, SIGNALS\n"
        "print(SIGNALS['commas_count'](Texts.of(['a,b,'])).tolist(), PROVIDERS)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'src'}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[2.0] {'commas_count': 'gold-plugin 1.5'}\n"


@pytest.mark.parametrize("room", [goldwash.filters, goldwash.classifiers])
def test_no_name_hides_a_module(room: Any) -> None:
    """``import goldwash.filters.X`` binds the attribute X of the package: it must be the module."""
    for found in pkgutil.iter_modules(room.__path__):
        module = importlib.import_module(f"{room.__name__}.{found.name}")
        assert getattr(room, found.name) is module


def test_edits_and_line_rules_have_names() -> None:
    assert KeepLines(Keep(word_count, min=1)).name == "lines.word_count"
    assert character_count.name == "character_count"
