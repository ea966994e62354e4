"""goldwash: from Common Crawl archives to a training set, the DCLM way."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("goldwash")
except PackageNotFoundError:  # a checkout on the path, not installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
