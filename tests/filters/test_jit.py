from goldwash.filters.jit import _digest


def test_machine_code_is_of_sources_and_of_where_they_lie(tmp_path):
    """numba knows a file by its path: of two clones with one folder, the second was compiled without a word, by each worker."""
    for name in ("a", "b"):
        (tmp_path / name / "filters").mkdir(parents=True)
        (tmp_path / name / "filters" / "kernels.py").write_text("x = 1")
    before = _digest(tmp_path / "a")
    assert _digest(tmp_path / "b") != before
    assert _digest(tmp_path / "a") == before
    (tmp_path / "a" / "filters" / "kernels.py").write_text("x = 2")
    assert _digest(tmp_path / "a") != before
