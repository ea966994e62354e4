"""What a page, or its site, says about indexing, mining and training: read from headers, HTML and robots.txt.

Invariants: only what was said is recorded; what follows from it is in recipes (``respectful.yaml``). Nothing here reads a disk,
except `table`, which reads the table of robots.txt rules.
"""
