"""Pages to text: decoding, prefilter text, segments, main content, extractors.

Invariants: pure. Bytes come in, text goes out; nothing here opens a file or knows of stages.
"""
