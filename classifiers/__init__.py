"""What a text is worth: models that are trained, loaded and turned into signals.

Invariants: imports filters, and nothing of pipeline.
"""
