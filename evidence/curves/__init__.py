"""Training curves: reading logs, putting them on one axis, crossings, and what they say about model size."""
