"""How a crawl becomes a corpus: stages, the recipes that order them, and the engines that run them.

Invariants: imports filters and classifiers. ``warc``, ``html``, ``dedup`` and ``decontamination.index`` are pure; only
``stages``, ``storage`` and ``engines`` touch a disk.
"""
