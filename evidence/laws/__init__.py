"""Scaling laws: pure functions of parameters N, tokens D, compute C and loss L, with sources.

Invariants: only the tables of `goldwash.evidence.tables` are read; N, D and C are positive floats; L is in nats per
token; C is FLOPs, 6 N D unless a shape is given.
"""
