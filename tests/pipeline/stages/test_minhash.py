"""Signatures against datasketch's, components against sets, and near copies against brute force."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Sequence, Set
from itertools import combinations, pairwise
from typing import Any

import datasketch
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse

from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup import minhash as kernels
from goldwash.pipeline.dedup.components import elect, link, members, pairs, roots, settle, stars
from goldwash.pipeline.dedup.minhash import meeting_probability
from goldwash.pipeline.stages.minhash import MinHash
from goldwash.pipeline.storage.source import Input
from tests.conftest import ROOT
from tests.pipeline.conftest import here, rows
from tests.reference import ascii_lower, uax29_words
from tests.support.strategies import HOSTILE_BATTERY, TEXT, TEXTS

# --- the law of shingles, in plain Python

ALL = 2**64 - 1
FACTOR = 0xD6E8FEB86659FD93


def mixed(h: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h = ((h ^ (h >> 33)) * factor) & ALL
    return h ^ (h >> 33)


def word_hash(word: bytes) -> int:
    """Eight bytes a step, the last eight perhaps read twice."""
    n, h = len(word), 0x9E3779B97F4A7C15 ^ ((len(word) * FACTOR) & ALL)
    if n > 8:
        for i in range(0, n - 8, 8):
            h = ((h ^ int.from_bytes(word[i : i + 8], "little")) * FACTOR) & ALL
            h ^= h >> 29
        last = word[-8:]
    elif n >= 4:
        last = word[:4] + word[-4:]
    else:
        last = bytes([word[0], word[n // 2], word[-1]])
    return mixed(((h ^ int.from_bytes(last, "little")) * FACTOR) & ALL)


def plain_hash(shingle: bytes) -> int:
    h = 0
    for word in shingle.split(b" "):
        h = (h * FACTOR + word_hash(word)) & ALL
    return mixed(h) >> 32


def shingles_of(text: str, n: int) -> list[bytes]:
    words = [ascii_lower(word).encode() for word in uax29_words(text)]
    return [b" ".join(words[i : i + n]) for i in range(max(len(words) - n, 0) + 1)] if words else []


def in_datasketch(shingles: Iterable[bytes], count: int, seed: int = 1) -> datasketch.MinHash:
    made = datasketch.MinHash(num_perm=count, seed=seed, scheme="affine32", hashfunc=plain_hash)
    made.update_batch(list(shingles))
    return made


def true_jaccard(one: Set[Any], other: Set[Any]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0


# --- signatures


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from([1, 2, 3, 5, 13, 400]), st.sampled_from([2, 5, 16, 112, 130]), st.integers(0, 3))
@example(HOSTILE_BATTERY, 5, 112, 1)
@example(HOSTILE_BATTERY, 1, 3, 2)
@example(["one two three four five", "one two three four", "ONE Two", "É é"], 5, 112, 1)
def test_signatures_are_datasketchs(texts, n, count, seed):
    signed, counts = kernels.signatures(Texts.of(texts), n, kernels.permutations(count, seed))
    shingles = [shingles_of(text, n) for text in texts]
    assert counts.tolist() == [len(s) for s in shingles]
    assert signed.tolist() == [in_datasketch(s, count, seed).hashvalues.tolist() for s in shingles]


@given(st.integers(2, 300), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_permutations_are_datasketchs(count, seed):
    found = kernels.permutations(count, seed)
    assert found.dtype == np.uint32
    assert found.tolist() == datasketch.MinHash(num_perm=count, seed=seed, scheme="affine32").permutations.tolist()


@settings(max_examples=100, deadline=None)
@given(TEXT, st.integers(1, 7))
def test_the_hash_of_a_shingle_is_what_datasketch_would_be_given(text, n):
    hashes, bounds = kernels.shingle_hashes(Texts.of([text, "", text]), n)
    expected = [plain_hash(shingle) for shingle in shingles_of(text, n)]
    assert (hashes >> np.uint64(32)).tolist() == expected * 2
    assert bounds.tolist() == [0, len(expected), len(expected), 2 * len(expected)]
    for shingle, h in list(zip(shingles_of(text, n), expected, strict=True))[:3]:
        assert kernels.shingle_hash(shingle) == h


def test_capitals_are_ignored_in_ascii_alone_and_a_text_without_words_has_no_shingle():
    signed, counts = kernels.signatures(Texts.of(["The CAT", "the cat", "É", "é", "...", ""]), 2, kernels.permutations(8))
    assert counts.tolist() == [1, 1, 1, 1, 0, 0]
    assert (signed[0] == signed[1]).all()
    assert (signed[2] != signed[3]).any()
    assert (signed[4:] == 2**32 - 1).all()


def test_a_signature_goes_into_datasketchs_index_and_can_be_updated():
    bands, count, vocabulary = 14, 112, [f"w{n}" for n in range(60)]
    texts = [" ".join(vocabulary[:k] + [f"x{k}y{n}" for n in range(60 - k)]) for k in range(0, 61, 4)]
    signed, _ = kernels.signatures(Texts.of(texts), 2, kernels.permutations(count))
    index = datasketch.MinHashLSH(params=(bands, 8), num_perm=count)
    for name, signature in enumerate(signed):
        index.insert(name, kernels.as_minhash(signature))
    by_band = signed.reshape(len(texts), bands, 8)
    for signature in signed:
        met = (by_band == signature.reshape(bands, 8)).all(axis=2).any(axis=1)
        assert sorted(index.query(kernels.as_minhash(signature))) == np.flatnonzero(met).tolist()
    asked = kernels.as_minhash(signed[-1])
    for shingle in shingles_of("further words", 2):
        asked.update(shingle)
    assert asked == in_datasketch([*shingles_of(texts[-1], 2), *shingles_of("further words", 2)], count)


@pytest.mark.parametrize(("threshold", "count"), [(0.5, 128), (0.7, 112), (0.8, 128), (0.9, 64), (0.3, 2), (0.75, 256)])
def test_bands_are_those_that_datasketch_chooses(threshold, count):
    lsh = datasketch.MinHashLSH(threshold=threshold, num_perm=count)
    assert kernels.optimal_bands(threshold, count) == (lsh.b, lsh.r)
    assert MinHash(bands=None, rows=None, threshold=threshold, permutations=count).layout == (lsh.b, lsh.r, count)


@pytest.mark.parametrize(("bands", "rows_", "low", "high"), [(14, 8, 0.68, 0.77), (93, 15, 0.70, 0.77), (14, 9, 0.71, 0.8)])
def test_the_curve_rises_from_0_to_1_about_its_threshold(bands, rows_, low, high):
    curve = [meeting_probability(s / 100, bands, rows_) for s in range(101)]
    assert curve == sorted(curve)
    assert (curve[0], curve[-1]) == (0, 1)
    assert low <= next(s for s in range(101) if curve[s] >= 0.5) / 100 <= high


# --- similarity


SETS = st.lists(st.frozensets(st.integers(0, 30), max_size=12), min_size=1, max_size=8)


def flat(sets: Sequence[Iterable[int]]) -> tuple[np.ndarray, np.ndarray]:
    listed = [sorted(s) for s in sets]
    return np.array([v for s in listed for v in s], np.uint64), np.cumsum([0, *map(len, listed)])


@settings(max_examples=200, deadline=None)
@given(SETS, SETS)
def test_similarity_is_that_of_sets(ones, others):
    for one, other in zip(ones, others, strict=False):
        assert kernels.similarity(flat([one])[0], flat([other])[0]) == true_jaccard(one, other)


@settings(max_examples=200, deadline=None)
@given(SETS, st.sampled_from([0.1, 0.3, 0.5, 0.7, 1.0]), st.integers(1, 4))
@example([frozenset(range(7)), frozenset(range(10))], 0.7, 2)
def test_a_copy_is_judged_against_those_that_are_kept(sets, least, most):
    expected, kept = [], list[int]()
    for d, own in enumerate(sets):
        near = next((k for k in kept if true_jaccard(own, sets[k]) >= least), d)
        expected.append(near)
        if near == d and len(kept) < most:
            kept.append(d)
    assert kernels.judged(*flat(sets), least, most).tolist() == expected


# --- components


def plain_components(count: int, found: Iterable[tuple[int, int]], weights: Sequence[float]) -> list[int]:
    """Each document's survivor: of those that it hangs together with the heaviest, of equals the first."""
    group = {d: {d} for d in range(count)}
    for one, other in found:
        joined = group[one] | group[other]
        for d in joined:
            group[d] = joined
    return [min(group[d], key=lambda d: (-weights[d], d)) for d in range(count)]


def joined(
    count: int, found: Sequence[tuple[int, int]], weights: Sequence[float], step: int = 5, kind: Any = np.uint32
) -> tuple[list[int], list[int]]:
    """Each document's survivor and how many documents it stands for (0: none), elected for ``step`` roots at a time."""
    parents, heavy = roots(count).astype(kind), np.array(weights, np.float64)
    both = np.array(found, np.int64).reshape(-1, 2).T.copy()
    link(parents, both[0], both[1])
    settle(parents)
    out, copies = list(range(count)), [0] * count
    for low in range(0, count, step):
        survivors, sizes = np.empty(min(step, count - low), np.int64), np.zeros(min(step, count - low), np.int32)
        best = np.empty(len(sizes))
        for first in range(0, count, 7):  # weights come group by group
            elect(parents[first : first + 7], first, heavy[first : first + 7], low, best, survivors, sizes)
        for d in members(parents, low, sizes).tolist():
            out[d] = int(survivors[parents[d] - low])
        for survivor, size in zip(survivors[sizes > 0].tolist(), sizes[sizes > 0].tolist(), strict=True):
            copies[survivor] = size
    return out, copies


COUNT = 12
PAIRS = st.lists(st.tuples(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1)), max_size=20)
WEIGHTS = st.lists(st.sampled_from([-np.inf, 0.0, 1.0, 1.0, 2.5]), min_size=COUNT, max_size=COUNT)


@settings(max_examples=200, deadline=None)
@given(PAIRS, WEIGHTS, st.randoms(use_true_random=False))
def test_components_are_those_of_sets_whatever_the_order_of_pairs(found, weights, rng):
    expected = plain_components(COUNT, found, weights)
    sizes = [expected.count(d) for d in range(COUNT)]
    for kind in (np.uint32, np.int64, np.uint32):
        assert joined(COUNT, found, weights, rng.choice((1, 5, COUNT)), kind) == (expected, sizes)
        rng.shuffle(found)
        found = [pair[:: rng.choice((1, -1))] for pair in found]


def test_a_long_chain_and_no_document():
    assert joined(2000, [(d, d + 1) for d in range(1999)], [0.0] * 2000) == ([0] * 2000, [2000] + [0] * 1999)
    assert joined(0, [], []) == ([], [])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 2**63, 2**64 - 1]), max_size=12), st.integers(0, 5), st.integers(1, 3))
def test_pairs_are_stars_of_equal_keys(keys, start, step):
    numbers = [start + step * n for n in range(len(keys))]
    expected = [(numbers[keys.index(k)], n) for k, n in zip(keys, numbers, strict=True) if numbers[keys.index(k)] != n]
    one, other = pairs(np.array(keys, np.uint64), np.array(numbers, np.int64))
    assert list(zip(one.tolist(), other.tolist(), strict=True)) == sorted(expected)


def test_a_star_has_its_first_in_the_middle():
    keys, numbers = np.array([4, 4, 4, 7, 9, 9], np.uint64), np.array([3, 5, 8, 1, 0, 2])
    one, other = stars(keys, keys, numbers, np.arange(6))
    assert (one.tolist(), other.tolist()) == ([3, 3, 0], [5, 8, 2])


HALVES = st.lists(st.tuples(st.sampled_from([0, 7, 2**64 - 1]), st.sampled_from([0, 1, 2**64 - 1])), max_size=14)


@settings(max_examples=200, deadline=None)
@given(HALVES)
def test_keys_pair_by_both_halves(keys):
    expected = [(keys.index(key), n) for n, key in enumerate(keys) if keys.index(key) != n]
    halves = np.array(keys, np.uint64).reshape(-1, 2)
    one, other = pairs(halves[:, 0].copy(), np.arange(len(keys)), halves[:, 1].copy())
    assert list(zip(one.tolist(), other.tolist(), strict=True)) == sorted(expected)


@settings(max_examples=200, deadline=None)
@given(st.lists(SETS, min_size=1, max_size=4), st.sampled_from([0.1, 0.5, 1.0]), st.integers(1, 4))
def test_components_that_are_judged_together_are_judged_alike(components, least, most):
    firsts = np.cumsum([0, *map(len, components)])
    alone = [kernels.judged(*flat(sets), least, most) + first for sets, first in zip(components, firsts, strict=False)]
    together = kernels.judged_each(*flat([own for sets in components for own in sets]), firsts, least, most)
    assert together.tolist() == np.concatenate(alone).tolist()


NEAR = st.sampled_from([0, 1, 2**40, 2**40 + 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1])
"""Hashes of which many begin alike."""


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(NEAR | st.integers(0, 2**64 - 1), max_size=40), max_size=5))
@example([[], [5] * 33, [2**64 - 1, 0] * 20, []])
@example([list(range(100, 0, -1))])
def test_sets_are_sorted_and_without_repeats(rows):
    hashes, bounds = np.array([h for row in rows for h in row], np.uint64), np.cumsum([0, *map(len, rows)])
    found, sizes = kernels.sorted_sets(hashes, bounds)
    expected = [sorted(set(row)) for row in rows]
    assert sizes.tolist() == list(map(len, expected))
    assert found.tolist() == [h for row in expected for h in row]


def test_large_sets_and_repeats_of_two_hashes():
    draw = np.random.default_rng(3)
    rows = [draw.integers(0, 2**64, 3 << 20, np.uint64), np.array([1 << 63, (1 << 63) + 1] * 500_000, np.uint64)]
    found, sizes = kernels.sorted_sets(np.concatenate(rows), np.cumsum([0, *map(len, rows)]))
    assert sizes.tolist() == [len(np.unique(row)) for row in rows]
    assert (found == np.concatenate([np.unique(row) for row in rows])).all()


@settings(max_examples=200, deadline=None)
@given(SETS, st.sampled_from([0.1, 0.5, 1.0]), st.integers(1, 4), st.integers(1, 3))
def test_a_component_that_is_judged_in_chunks_is_judged_alike(sets, least, most, size):
    whole = kernels.judged(*flat(sets), least, most).tolist()
    kept, out = [], []
    for a in range(0, len(sets), size):
        some = list(range(a, min(a + size, len(sets))))
        compared = [*kept, *some]
        found = kernels.judged(*flat([sets[n] for n in compared]), least, most, len(kept)).tolist()[len(kept) :]
        out += [compared[k] for k in found]
        kept = [*kept, *(n for n, k in zip(some, found, strict=True) if compared[k] == n)][:most]
    assert out == whole


# --- compiled, interpreted, and with bounds checked

PROGRAM = "import json, tests.pipeline.stages.test_minhash as t; print(json.dumps(t.battery()))"


def battery() -> list[object]:
    """What every kernel says of some texts."""
    texts, n = Texts.of(HOSTILE_BATTERY), 3
    signed, counts = kernels.signatures(texts, n, kernels.permutations(12))
    hashes, bounds = kernels.shingle_hashes(texts, n)
    sets = [np.unique(hashes[a:b]) for a, b in pairwise(bounds)]
    edges = np.cumsum([0, *map(len, sets)])
    whole, sizes_of_sets = kernels.shingle_sets(texts, n)
    assert (whole == np.concatenate(sets)).all()
    assert (sizes_of_sets == np.diff(edges)).all()
    one, other = pairs(signed[:, 0].astype(np.uint64), np.arange(len(texts)))
    parents, sizes, survivors = roots(len(texts)), np.zeros(len(texts), np.int32), np.zeros(len(texts), np.int64)
    link(parents, one, other)
    settle(parents)
    elect(parents, 0, np.arange(len(texts)) % 3.0, 0, np.zeros(len(texts)), survivors, sizes)
    near = kernels.judged(np.concatenate(sets), edges, 0.5, 4).tolist()
    near += kernels.judged_each(np.concatenate(sets), edges, np.array([0, 2, 2, len(sets)]), 0.5, 4).tolist()
    alike = [kernels.similarity(sets[a], sets[b]) for a, b in pairwise(range(len(sets)))]
    return [
        signed.tolist(),
        counts.tolist(),
        hashes.tolist(),
        near,
        list(map(float, alike)),
        parents.tolist(),
        survivors.tolist(),
        members(parents, 0, sizes).tolist(),
    ]


@pytest.mark.parametrize("setting", ["NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"])
def test_kernels_say_the_same_interpreted_and_read_nothing_out_of_bounds(setting, tmp_path):
    environment = {**os.environ, setting: "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=ROOT, capture_output=True, timeout=300, check=False
    )
    assert told.returncode == 0, told.stderr.decode()[-3000:]
    assert json.loads(told.stdout) == json.loads(json.dumps(battery()))


# --- against the truth: families of edits

LAYOUTS = ((14, 8), (93, 15))


@pytest.fixture
def notify(capsys):
    """Prints a table past pytest."""

    def told(lines: Sequence[str]) -> None:
        with capsys.disabled():
            sys.stdout.write("\n".join(["", *lines, ""]))

    return told


def family(number: int, rng: random.Random) -> tuple[list[str], list[str]]:
    """Words that no other text has, and a copy with up to a third of them replaced."""
    words = [f"w{number}x{n}" for n in range(rng.randrange(60, 200))]
    gone = set(rng.sample(range(len(words)), int(len(words) * rng.random() ** 2 * 0.35)))
    return words, [f"{word}new" if n in gone else word for n, word in enumerate(words)]


def five_grams(words: list[str]) -> set[tuple[str, ...]]:
    return set(zip(*(words[k:] for k in range(5)), strict=False))


def meetings(one: np.ndarray, other: np.ndarray, bands: int, rows_: int) -> np.ndarray:
    """Whether the documents of each pair of signatures share a band."""
    agree = (one == other)[:, : bands * rows_].reshape(len(one), bands, rows_)
    return np.asarray(agree.all(axis=2).any(axis=1))


def test_documents_meet_as_often_as_the_curve_says(notify):
    rng = random.Random(4)
    families = [family(k, rng) for k in range(4000)]
    similar = np.array([true_jaccard(five_grams(one), five_grams(other)) for one, other in families])
    texts = [Texts.of([" ".join(pair[k]) for pair in families]) for k in (0, 1)]
    bins = np.floor(similar * 10 + 1e-9).astype(int)
    told = ["bands x rows  similarity  pairs  met     curve"]
    for bands, rows_ in LAYOUTS:
        permutations = kernels.permutations(bands * rows_)
        one, other = (kernels.signatures(side, 5, permutations)[0] for side in texts)
        met = meetings(one, other, bands, rows_)
        curve = np.array([meeting_probability(s, bands, rows_) for s in similar])
        for k in range(1, 11):
            at = bins == k
            count, expected = int(at.sum()), float(curve[at].sum())
            assert count > 100
            told.append(f"{bands:5d} x {rows_:2d}  {k / 10:10.1f}  {count:5d}  {met[at].mean():.4f}  {expected / count:.4f}")
            assert abs(met[at].sum() - expected) <= 4 * float((curve[at] * (1 - curve[at])).sum()) ** 0.5 + 1, told[-1]
        assert met[similar == 1].all()
    notify(told)


# --- against the truth: all pairs of the real pages


@pytest.fixture(scope="module")
def truth(real):
    """The texts, and their pairs that share a 5-gram: documents, documents, Jaccard similarity counted in whole numbers."""
    texts = Texts.of(pq.read_table(real / "reference" / "heuristics.parquet", columns=["text"])["text"])
    hashes, bounds = kernels.shingle_hashes(texts, 5)
    _, columns = np.unique(hashes, return_inverse=True)
    held = sparse.csr_array((np.ones(len(columns), np.int32), columns, bounds), shape=(len(texts), columns.max() + 1))
    held.sum_duplicates()
    held.data[:] = 1
    sizes = np.diff(held.indptr)
    held = held[:, np.bincount(held.indices) > 1]
    both = sparse.triu(held @ held.T, 1).tocoo()
    one, other = both.coords
    assert both.data.dtype == np.int32
    return texts, one, other, both.data / (sizes[one] + sizes[other] - both.data)


def candidates(signed: np.ndarray, known: np.ndarray, bands: int, rows_: int) -> set[tuple[int, int]]:
    """All pairs of documents that share a band."""
    found = set()
    for band in signed[:, : bands * rows_].reshape(len(signed), bands, rows_).transpose(1, 0, 2):
        groups: dict[bytes, list[int]] = {}
        for d in np.flatnonzero(known):
            groups.setdefault(band[d].tobytes(), []).append(int(d))
        found |= {pair for group in groups.values() for pair in combinations(group, 2)}
    return found


FLOORS = {
    (14, 8): {0.8: (0.66, 1.0), 0.7: (0.80, 0.92), 0.5: (0.96, 0.41)},
    (93, 15): {0.8: (0.87, 1.0), 0.7: (1.0, 0.88), 0.5: (1.0, 0.32)},
}
"""What precision and recall of the candidate pairs must reach, by similarity."""


@pytest.mark.real
def test_precision_and_recall_on_all_pairs_of_the_real_pages(truth, notify):
    texts, one, other, similar = truth
    told = ["bands x rows  at least  true pairs  candidates  precision  recall  recall by the curve"]
    for bands, rows_ in LAYOUTS:
        signed, counts = kernels.signatures(texts, 5, kernels.permutations(bands * rows_))
        found = candidates(signed, counts > 0, bands, rows_)
        for least, (precise, complete) in FLOORS[bands, rows_].items():
            at = np.flatnonzero(similar >= least)
            true = set(zip(one[at].tolist(), other[at].tolist(), strict=True))
            precision, recall = len(found & true) / len(found), len(found & true) / len(true)
            curve = np.mean([meeting_probability(s, bands, rows_) for s in similar[at]])
            figures = f"{precision:9.3f}  {recall:6.3f}  {curve:8.3f}"
            told.append(f"{bands:5d} x {rows_:2d}  {least:8.1f}  {len(true):10d}  {len(found):10d}  {figures}")
            assert precision >= precise
            assert recall >= complete
    notify(told)


@pytest.mark.real
@pytest.mark.parametrize("check", [0.7, 0.9])
def test_with_a_check_nothing_goes_that_is_not_near_what_stays(truth, real, tmp_path, check):
    texts, one, other, similar = truth
    near = {frozenset(pair): s for *pair, s in zip(one.tolist(), other.tolist(), similar.tolist(), strict=True)}
    file = real / "reference" / "heuristics.parquet"
    report = MinHash(check=check)([Input(str(file), file.stat().st_size, "real", len(texts))], str(tmp_path), here)
    place = {row: n for n, row in enumerate(pq.read_table(file, columns=["id"])["id"].to_pylist())}
    kept, dropped = {place[row["id"]] for row in rows(tmp_path)}, rows(tmp_path, "dropped")
    assert len(place) == len(texts) == len(kept) + len(dropped)
    for row in dropped:
        survivor = int(str(row["detail"]).removeprefix("copy of 0:"))
        assert survivor in kept
        assert near[frozenset((survivor, place[row["id"]]))] >= check
        assert texts.byte_counts[survivor] >= texts.byte_counts[place[row["id"]]]
    assert report.dropped["near_copy"].documents == len(dropped) >= 30
    left = [pair for pair, s in near.items() if s >= max(check, 0.8) and pair <= kept]
    assert left == []
