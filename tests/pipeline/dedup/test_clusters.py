"""k-means and the nearest earlier vector, against plain loops over whole numbers and fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from goldwash.pipeline.dedup import clusters
from goldwash.pipeline.dedup.clusters import (
    cosines,
    k_means,
    nearest,
    nearest_earlier,
    products,
    quantised,
    squared_lengths,
)

VECTORS = st.tuples(st.integers(0, 12), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.int8, shape, elements=st.integers(-127, 127))
)


def plain_cosine(one, other):
    dot = sum(int(a) * int(b) for a, b in zip(one, other, strict=True))
    size = sum(int(a) ** 2 for a in one) * sum(int(b) ** 2 for b in other)
    return dot / math.sqrt(size) if size else 0.0


@given(VECTORS)
def test_the_nearest_earlier_vector_is_that_of_plain_loops(vectors):
    value, place = nearest_earlier(vectors)
    for n, one in enumerate(vectors):
        found = [plain_cosine(one, other) for other in vectors[:n]]
        assert value[n] == (max(found) if found else -1.0)
        assert place[n] == (found.index(max(found)) if found and max(found) > -1.0 else -1)


@given(VECTORS.filter(len), st.data())
def test_the_nearest_centroid_is_that_of_plain_loops(vectors, data):
    centroids = vectors[: data.draw(st.integers(1, len(vectors)))]
    found, value = nearest(vectors, centroids)
    for n, one in enumerate(vectors):
        cosines_ = [plain_cosine(one, other) for other in centroids]
        assert (value[n], found[n]) == (max(cosines_), cosines_.index(max(cosines_)))


@pytest.mark.parametrize("cells", [1, 7, 1 << 22])
def test_blocks_do_not_matter(cells, monkeypatch):
    vectors = np.random.RandomState(1).randint(-127, 128, (40, 16)).astype(np.int8)
    whole = nearest_earlier(vectors), nearest(vectors, vectors[:9])
    monkeypatch.setattr(clusters, "CELLS", cells)
    for one, other in zip(whole, (nearest_earlier(vectors), nearest(vectors, vectors[:9])), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("width", [1, 256, clusters.EXACT, clusters.EXACT + 1, 4096])
def test_products_are_exact_in_any_order(width):
    vectors = np.random.RandomState(2).choice(np.array([-127, -126, 126, 127], np.int8), (6, width))
    wanted = vectors.astype(np.int64) @ vectors.astype(np.int64).T
    np.testing.assert_array_equal(products(vectors, vectors).astype(np.int64), wanted)
    order = np.random.RandomState(3).permutation(width)
    np.testing.assert_array_equal(products(vectors, vectors), products(vectors[:, order], vectors[:, order]))
    full = np.full((2, width), 127, np.int8)
    assert int(products(full, full)[0, 1]) == 127 * 127 * width


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)))
def test_a_quantised_vector_has_the_directions_of_its_numbers(values):
    found = quantised(values)
    assert found.dtype == np.int8
    for row, numbers in zip(found, values, strict=True):
        most = max(abs(Fraction(float(x))) for x in numbers)
        for whole, x in zip(row, numbers, strict=True):
            assert abs(whole - (Fraction(float(x)) * 127 / most if most else 0)) <= Fraction(1, 2) + Fraction(1, 10**6)


def test_cosines_of_quantised_vectors_are_near_the_true_ones():
    vectors = np.random.RandomState(4).standard_normal((200, 256))
    vectors[100:] = vectors[:100] + 0.3 * np.random.RandomState(5).standard_normal((100, 256))
    small = quantised(vectors)
    squares = squared_lengths(small)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.abs(cosines(small, small, squares, squares) - unit @ unit.T).max() < 4e-3
    near = np.abs(cosines(small, small, squares, squares) - unit @ unit.T)[np.arange(100), np.arange(100, 200)]
    assert near.max() < 1e-3


def plain_k_means(vectors, count, seed, rounds):
    """The same algorithm over lists."""
    unique = sorted({tuple(map(int, v)) for v in vectors})
    chosen = sorted(np.random.RandomState(seed).permutation(len(unique))[:count])
    centroids, before = [unique[n] for n in chosen], None
    for _ in range(rounds if len(centroids) > 1 else 0):
        here = []
        for v in vectors:
            found = [plain_cosine(v, c) for c in centroids]
            here.append(found.index(max(found)))
        if here == before:
            break
        for k in range(len(centroids)):
            sums = [
                sum(int(x) for x in column)
                for column in zip(*[v for v, h in zip(vectors, here, strict=True) if h == k], strict=True)
            ]
            most = max(map(abs, sums), default=0)
            if most:
                centroids[k] = tuple(round(Fraction(x) * 127 / most) for x in sums)
        before = here
    return centroids


@given(VECTORS, st.integers(1, 4), st.integers(0, 3), st.integers(0, 4))
def test_k_means_is_that_of_plain_loops(vectors, count, seed, rounds):
    found = k_means(vectors, count, seed, rounds)
    assert found.shape[1:] == vectors.shape[1:]
    assert [tuple(map(int, c)) for c in found] == plain_k_means(vectors, count, seed, rounds)


def test_k_means_finds_clusters_that_are_there():
    random = np.random.RandomState(6)
    centres = random.standard_normal((5, 32))
    truth = np.repeat(np.arange(5), 40)
    vectors = quantised(centres[truth] + 0.2 * random.standard_normal((200, 32)))
    homes = [nearest(vectors, k_means(vectors, 5, seed, 20))[0].tolist() for seed in range(8)]
    assert 5 in [len(set(zip(truth.tolist(), home, strict=True))) for home in homes]  # with some seed, all five are found


def test_the_order_of_vectors_does_not_move_centroids():
    vectors = quantised(np.random.RandomState(7).standard_normal((60, 8)))
    order = np.random.RandomState(8).permutation(60)
    np.testing.assert_array_equal(k_means(vectors, 6, 0, 10), k_means(vectors[order], 6, 0, 10))
