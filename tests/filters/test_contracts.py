"""What every signal keeps to, whatever it measures, and every edit."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.filters import edits, lines, personal_data, repetition, url, words  # noqa: F401  (they declare their signals)
from goldwash.filters.signals import EDITS, SIGNALS, Edit, Signal
from goldwash.filters.texts import Texts
from tests import reference
from tests.support.strategies import HOSTILE_BATTERY, LINES, TEXTS

NEEDED: dict[str, dict[str, Any]] = {
    "url_host_count": {"hosts": "package:datatrove/assets/banned_subwords.txt"},
    "url_substring_count": {"phrases": ("a.com", "x")},
    "url_word_count": {"phrases": ("com", "a")},
    "phrase_count": {"phrases": ("the", "Sign-in")},
    "delete_phrase": {"phrase": "Sign-in", "position": "prefix"},
}
SIGNAL_NAMES = sorted(name for name, signal in SIGNALS.items() if signal.function.__module__.startswith("goldwash.filters"))
CUTS = list(reference.CUTS)
LONG = [*HOSTILE_BATTERY, *LINES, "http://www.a.com/x", "https://b.org:80?x"]


def bound(name: str) -> Signal:
    return SIGNALS[name].bind(**NEEDED.get(name, {}))


def bound_edit(name: str) -> Edit:
    return EDITS[name].bind(**NEEDED.get(name, {}))


@cache
def whole(name: str) -> np.ndarray[Any, Any]:
    return bound(name).measure(Texts.of(LONG))


@pytest.mark.parametrize("name", SIGNAL_NAMES)
class TestSignal:
    def test_one_number_a_text(self, name: str) -> None:
        values = whole(name)
        assert values.shape == (len(LONG),)
        assert values.dtype in (np.dtype(np.float64), np.dtype(np.int64))

    def test_kind_by_name(self, name: str) -> None:
        values = whole(name)
        if name.endswith("_count"):
            assert values.dtype.kind == "i"
            assert (values >= 0).all()
        elif name.endswith("_fraction") and not name.startswith("top_"):
            said = values[~np.isnan(values)]
            assert ((said >= 0) & (said <= 1)).all()
        else:
            assert name.endswith(("_fraction", "_ratio", "_length", "_probability"))

    def test_it_can_tell_texts_apart(self, name: str) -> None:
        if name != "url_host_count":  # tests/filters/test_url.py
            assert len(set(whole(name).tolist())) > 1

    def test_no_texts(self, name: str) -> None:
        values = bound(name).measure(Texts.of([]))
        assert values.shape == (0,)
        assert values.dtype == whole(name).dtype

    @pytest.mark.parametrize("rows", [slice(3, 30), slice(0, 1), slice(None, None, -1), slice(5, 60, 7)])
    def test_neighbours_do_not_matter(self, name: str, rows: slice) -> None:
        np.testing.assert_array_equal(bound(name).measure(Texts.of(LONG[rows])), whole(name)[rows])

    def test_place_in_the_buffer_does_not_matter(self, name: str) -> None:
        texts = Texts.of(["é\n" * 7, *LONG]).take(np.arange(1, len(LONG) + 1))
        np.testing.assert_array_equal(bound(name).measure(texts), whole(name))

    def test_input_is_not_modified(self, name: str) -> None:
        texts = Texts.of(LONG)
        bound(name).measure(texts)
        assert list(texts) == LONG
        assert not texts.utf8.flags.writeable

    def test_measured_once(self, name: str) -> None:
        texts = Texts.of(LONG)
        assert bound(name).measure(texts) is bound(name).measure(texts)

    def test_taken_rows_keep_their_values(self, name: str) -> None:
        texts = Texts.of(LONG)
        for cut in CUTS:
            getattr(texts, cut)
        bound(name).measure(texts)
        rows = np.array([7, 3, 3, len(LONG) - 1, 0, 40])
        taken = texts.take(rows)
        np.testing.assert_array_equal(bound(name).measure(taken), whole(name)[rows])
        # Measured anew, from cuts that were taken along.
        del taken.memo[(name, bound(name).parameters)]
        np.testing.assert_array_equal(bound(name).measure(taken), whole(name)[rows])

    def test_documented(self, name: str) -> None:
        assert SIGNALS[name].summary
        assert SIGNALS[name].name == name

    def test_the_empty_text_is_documented(self, name: str) -> None:
        """The documentation says nan where it is nan, and 0 (or nothing of nan) where it is 0."""
        (value,) = bound(name).measure(Texts.of([""])).tolist()
        documentation = SIGNALS[name].function.__doc__ or ""
        assert ("nan" in documentation) == np.isnan(value), documentation
        if not np.isnan(value):
            assert value == 0
            assert "0" in documentation or SIGNALS[name].column == "url", documentation


@pytest.mark.parametrize("cut", CUTS)
@given(strings=TEXTS, data=st.data())
def test_taken_cuts_equal_fresh_ones(cut: str, strings: list[str], data: st.DataObject) -> None:
    texts = Texts.of(strings)
    getattr(texts, cut)
    rows = np.array(data.draw(st.lists(st.integers(0, len(strings) - 1), max_size=8)) if strings else [], np.int64)
    taken = texts.take(rows)
    taken.remember(cut, lambda _: pytest.fail("cut again"))
    carried, fresh = getattr(taken, cut), getattr(Texts.of([strings[row] for row in rows]), cut)
    assert list(carried) == list(fresh)
    np.testing.assert_array_equal(carried.parents, fresh.parents)


@pytest.mark.parametrize("name", sorted(EDITS))
class TestEdit:
    def test_as_many_rows(self, name: str) -> None:
        texts = Texts.of(["a\nb", "Sign-in\nhttp://a.com\n\n\n\nx [1] a@b.com", ""])
        edited = bound_edit(name)(texts)
        assert len(edited) == 3
        assert list(edited) != list(texts)

    def test_no_texts(self, name: str) -> None:
        assert len(bound_edit(name)(Texts.of([]))) == 0

    def test_same_object_where_nothing_changes(self, name: str) -> None:
        texts = Texts.of(["Nothing to see here", "", "and\nhere"])
        assert bound_edit(name)(texts) is texts

    def test_unchanged_texts_keep_their_place(self, name: str) -> None:
        texts = Texts.of(["Nothing", "Sign-in\nhttp://a.com\n\n\n\nx", "here"])
        edited = bound_edit(name)(texts)
        for row in (0, 2):
            assert (edited.starts[row], edited.ends[row]) == (texts.starts[row], texts.ends[row])

    def test_documented(self, name: str) -> None:
        assert EDITS[name].summary

    def test_twice_is_once_for_plain_pages(self, name: str) -> None:
        edit: Callable[[Texts], Texts] = bound_edit(name)
        once = edit(Texts.of(["a\nb", "Sign-in\nhttp://a.com\n\n\n\nx"]))
        assert list(edit(once)) == list(once)


def test_an_emptied_text_stays_a_row() -> None:
    assert list(EDITS["remove_urls"](Texts.of(["http://a.com", "b"]))) == ["", "b"]
