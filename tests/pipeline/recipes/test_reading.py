"""YAML is read by YAML 1.2's rules, strictly, and within bounds."""

import math
import os

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from goldwash.credentials import VARIABLE, with_credentials
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.recipes import reading
from goldwash.pipeline.recipes.reading import parsed, parsed_setting, read, text_of, written
from goldwash.pipeline.recipes.recipe import load


@pytest.mark.parametrize(
    ("text", "value"),
    [  # https://yaml.org/spec/1.2.2/#1032-tag-resolution, and what YAML 1.1 would make of the same words
        ("1e-3", 0.001), ("1e-1", 0.1), ("1E5", 1e5), ("+12.3e02", 1230.0), ("-.5", -0.5), ("0.", 0.0), ("12e03", 12000.0),
        ("-2E+05", -200000.0), ("0o14", 12), ("0xC", 12), ("0123", 123), ("-0", 0), ("+12345", 12345), ("true", True),
        ("FALSE", False), ("null", None), ("~", None), ("", None), ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"),
        ("y", "y"), ("n", "n"), ("1_000", "1_000"), ("4:00:00", "4:00:00"), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"),
        ("0b11", "0b11"), ("=", "="), ("1.2.3", "1.2.3"), ("'1'", "1"), ("nan", "nan"), ("inf", "inf"), ("1e", "1e"),
    ],
)  # fmt: skip
def test_scalars_of_the_core_schema(text, value):
    found = parsed(text)[0]
    assert found == value
    assert type(found) is type(value)
    assert parsed(f"a: [{text}]" if text else "a: [~]")[0] == {"a": [value]}


def test_infinity_and_nan():
    assert parsed("[.inf, -.Inf, +.INF]")[0] == [math.inf, -math.inf, math.inf]
    assert math.isnan(parsed(".NaN")[0])


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**9), 10**9)
        | st.floats(allow_nan=False)
        | st.text("abc 1.e-:_#", max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
        max_leaves=10,
    )
)
@example({"a": ["1e-3", "no", "0o17", "4:00:00", "~", "", "null", "1_0", ".5", "<<", "=", "2024-01-01", 1e-7, 1e22]})
def test_what_is_written_is_read_as_it_was_by_both_versions_of_yaml(value):
    assert parsed(written(value))[0] == value
    assert yaml.safe_load(written(value)) == value


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], b{n}: 1}}\n" for n in range(1, 60))
WIDE = "a: &a [" + "x, " * 1000 + "x]\nb: [" + "*a, " * 1000 + "*a]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "aliases stand for more than 200,000 values"),
        (MERGES, "aliases stand for more than 200,000 values"),
        (WIDE, "aliases stand for more than 200,000 values"),
        ("a: &a [*a]", "an alias contains itself"),
        ("a: &a {b: {c: *a}}", "an alias contains itself"),
        ("a: " + "[" * 60 + "]" * 60, "nested more than 50 levels"),
        ("[" * 3000, "nested more than 50 levels|is not YAML"),
        ("a: 1\nb: 2\na: 3", "the key 'a' is given twice"),
        ("a: {b: 1, b: 2}", "the key 'b' is given twice"),
        ("a: " + "9" * 400, "a number of 400 digits"),
        ("a: -" + "9" * 5000, "a number of 5,001 digits"),
        ("{[1]: 2}", "is not YAML"),
        ("a: !!python/object/apply:os.system [ls]", "is not YAML"),
        ("a: \x1b[31m", "is not YAML: unacceptable character"),
        ("a: [", "is not YAML"),
        ("--- 1\n--- 2", "is not YAML"),
        ("a: " + "9" * 5000, "is not YAML"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_refused_is_refused_soon(text, message):
    with pytest.raises(RecipeError, match=message) as caught:
        parsed(text)
    assert "\x1b" not in str(caught.value)


def test_an_alias_is_a_copy():
    """A change of one place must not change another: baseline's early rules are aliases of its later ones."""
    value = parsed("a: &a {x: 1}\nb: [*a, *a]")[0]
    value["b"][0]["x"] = 2
    assert value == {"a": {"x": 1}, "b": [{"x": 2}, {"x": 1}]}


def test_a_byte_order_mark_is_passed_over(tmp_path):
    (tmp_path / "a.yaml").write_text("\ufeffa: 1", "utf-8")
    assert read(tmp_path / "a.yaml")[0] == {"a": 1}


def test_files_that_are_none(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "large.yaml").write_text("a: 1\n" * 100)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    monkeypatch.setattr(reading, "MOST_BYTES", 100)
    for name, message in (
        ("fifo", "is not a regular file"), ("folder", "is not a regular file"), ("large", "has 500 bytes"),
        ("latin", "is not UTF-8 text"), ("gone", "no recipe at"),
    ):  # fmt: skip
        with pytest.raises(RecipeError, match=message) as caught:
            text_of(tmp_path / f"{name}.yaml")
        assert f"{name}.yaml" in str(caught.value)
        with pytest.raises(RecipeError, match=message):
            load(str(tmp_path / f"{name}.yaml"))


def test_a_fifo_under_use_or_extends(tmp_path):
    os.mkfifo(tmp_path / "mine.py")
    os.mkfifo(tmp_path / "base.yaml")
    for text in ("use: [mine.py]\nstages: [extract]\n", "extends: base.yaml\n"):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(RecipeError, match="is not a regular file"):
            load(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lr=1e-1", ("lr", 0.1)),
        ("model=no", ("model", "no")),
        (" a = b ", ("a", "b")),
        ("a=", ("a", None)),
        ("a=b=c", ("a", "b=c")),
    ],
)
def test_settings(text, found):
    assert parsed_setting(text) == found
    with pytest.raises(RecipeError, match=r"--with =3: expected key=value"):
        parsed_setting("=3", "--with")


def test_passwords_in_urls_are_used_and_not_stored(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "{}")
    (tmp_path / "mine.yaml").write_text(
        "extends: baseline\n"
        "change:\n"
        "  quality: {model: 'https://me:hidden@example.org/m.bin'}\n"
        "  decontaminate: {benchmarks: ['https://example.org/b.jsonl?X-Amz-Signature=hidden&part=1']}\n"
    )
    loaded = load(str(tmp_path / "mine.yaml"))
    assert "hidden" not in loaded.resolved()
    assert loaded.stage("quality").model == "https://example.org/m.bin"
    assert with_credentials("https://example.org/m.bin") == "https://me:hidden@example.org/m.bin"
    assert loaded.stage("decontaminate").benchmarks == ("https://example.org/b.jsonl?part=1",)
