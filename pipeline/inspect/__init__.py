"""Questions about a run: estimates before it, status during it, explanations after it."""
