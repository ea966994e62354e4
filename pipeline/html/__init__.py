"""Pages to text: decoding, prefilter text, segments, main content, extractors.

Invariants: functions take bytes and return text. Nothing here opens a file, except the model's, or imports a stage.
"""
