"""This package's exception, for input that cannot be used."""

from goldwash.pipeline.storage.failures import DataError


class EvidenceError(DataError):
    """A budget, table, log or result file that cannot be used: says what was expected, what was found, and the cure."""
