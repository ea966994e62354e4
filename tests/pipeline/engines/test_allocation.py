"""Arrow's pool is the system's while a driver does tasks, and the former one again afterwards, also after an error."""

import pyarrow as pa
import pytest

from goldwash.pipeline.engines.allocation import giving_back


def test_the_pool_is_lent_and_comes_back():
    before = pa.default_memory_pool().backend_name
    with giving_back():
        assert pa.default_memory_pool().backend_name == "system"
    assert pa.default_memory_pool().backend_name == before


def test_the_pool_comes_back_after_an_error():
    before = pa.default_memory_pool().backend_name
    with pytest.raises(KeyError), giving_back():
        raise KeyError
    assert pa.default_memory_pool().backend_name == before
