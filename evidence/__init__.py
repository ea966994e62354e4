"""What a corpus teaches: scaling laws, training curves, evaluations and small experiments.

Invariants: this room may import `goldwash.filters`, `goldwash.classifiers` and `goldwash.pipeline`; none of them imports it.
Laws are pure functions of numbers. Published numbers are in `evidence/tables`, each with its source.
"""
