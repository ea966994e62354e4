"""The bytes that pieces stand for, against a sum per piece."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from goldwash.pipeline.tokenization import packing


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=30),
    st.lists(st.integers(1, 1000), max_size=20),
    st.integers(1, 60),
    st.integers(0, 20),
)
@example([(0, 9)] * 3, [], 10, 0)  # a piece ends where a block does
@example([(0, 39)], [], 10, 3)  # a piece has several blocks
def test_a_piece_has_the_bytes_of_its_tokens(documents: Any, cuts: list[int], block: int, skipped: int) -> None:
    counts = np.array([tag + tokens + 1 for tag, tokens in documents])
    tags = np.array([tag for tag, _ in documents])
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    ids = np.random.default_rng(0).integers(0, 50, starts[-1])
    lengths = np.arange(50, dtype=np.int32)
    first, end = min(skipped, int(starts[-1]) - 1), int(starts[-1])
    begins = np.unique([first, *(c for c in [*starts.tolist(), *cuts] if first < c < end)])
    made = packing.Documents(ids, starts, tags, pa.table({}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "BLOCK_TOKENS", block)
        found = packing._counted_bytes(made, begins, end, lengths)
    marks = {int(start) + k for start, tag in zip(starts, tags, strict=False) for k in range(tag)}
    ends = [*begins[1:].tolist(), end]
    assert found.tolist() == [
        sum(int(lengths[ids[n]]) for n in range(a, b) if n not in marks) for a, b in zip(begins.tolist(), ends, strict=True)
    ]
