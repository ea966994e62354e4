"""`GoldwashError`: the base of every error that goldwash raises on purpose.

Invariants: imports nothing, so that every room can use it. The message says what was expected, what was found, where, and the
cure; the command line shows it as it is. Any other exception is a bug in goldwash and is reported as one.
"""


class GoldwashError(Exception):
    """An error whose message is for the user."""
