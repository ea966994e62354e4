"""How a crawl becomes a corpus: stages, the recipes that order them, and the engines that run them.

Law: imports filters and classifiers. ``stages`` are verbs that stand side by side; ``warc`` and ``dedup`` are pure; only
``stages``, ``shards`` and ``run`` touch a disk.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("goldwash")
except PackageNotFoundError:  # a checkout on the path, not installed
    __version__ = "0+unknown"
