"""A description of a Ray node, made on the node. Ray sends this module by value: a node may have no goldwash."""

import importlib.metadata
import os
import socket
import sys
import time
from typing import Any


def describe_node(place: str) -> dict[str, Any]:
    """The node's host, Python, goldwash and clock, and whether it sees a path ("" is seen everywhere)."""
    found: dict[str, Any] = {"host": socket.gethostname(), "python": sys.version.split()[0], "time": time.time()}
    try:
        found["goldwash"] = importlib.metadata.version("goldwash")
    except importlib.metadata.PackageNotFoundError:
        found["goldwash"] = None
    return {**found, "sees": place == "" or os.path.exists(place)}
