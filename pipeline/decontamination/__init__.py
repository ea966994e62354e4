"""Benchmarks, the index of their words, matching, and the contamination report."""
