"""The commands of evidence: one typer app per file, added to the command line by `register`.

Invariants: a command's module imports nothing heavy at its top; it imports what it needs when it runs.
"""

import typer

from goldwash.evidence.cli import ablate, compare, curves, evaluate, plan, probe, proxies

GROUPS = (compare, ablate, plan, curves, evaluate, probe, proxies)


def register(app: typer.Typer) -> None:
    """Add the commands to an app, once."""
    for group in GROUPS:
        app.registered_commands.extend(c for c in group.app.registered_commands if c not in app.registered_commands)
