"""Licences: addresses of Creative Commons deeds as names.

Invariants: a name is an SPDX identifier (https://spdx.org/licenses/) where the address is that of a deed of Creative Commons;
otherwise the address, resolved against the page's. An address that leads nowhere (empty, ``#``, ``javascript:``) has no name.
"""

import re
from urllib.parse import urljoin, urlsplit

DEED = re.compile(
    r"(?:https?:)?//(?:[a-z0-9-]+\.)?creativecommons\.org/(?:"
    r"licen[sc]es/(?P<terms>by(?:-nc)?(?:-nd|-sa)?|nc(?:-sa)?|nd(?:-nc)?|sa|nc-sampling\+|sampling\+?|devnations)"
    r"/(?P<version>\d\.\d)(?:/(?P<port>[a-z]{2,3}))?|publicdomain/(?P<public>zero|mark)/(?P<public_version>\d\.\d))(?![0-9a-z-])",
    re.IGNORECASE,
)
"""https://creativecommons.org/licenses/list.en"""
MOST = 500
"""Characters of an address that are kept."""


def licence_of(address: str, page: str) -> str:
    """The licence that a link means: ``CC-BY-SA-4.0``, ``CC0-1.0``, another address; "" where the link leads nowhere.

    >>> licence_of("//creativecommons.org/licenses/by-sa/3.0/de/", "https://a.org/"), licence_of("#", "https://a.org/")
    ('CC-BY-SA-3.0-DE', '')
    >>> licence_of("/terms", "https://a.org/x/")
    'https://a.org/terms'
    """
    address = "".join(address.split())
    if name := creative_commons(address):
        return name
    if not address or address.startswith("#"):
        return ""
    try:
        whole = urljoin(page, address)
        parts = urlsplit(whole)
    except ValueError:
        return ""
    return whole[:MOST] if parts.scheme in ("http", "https") and parts.hostname and "." in parts.hostname else ""


def creative_commons(address: str) -> str:
    """The name of a Creative Commons deed; "" for any other address.

    >>> creative_commons("https://creativecommons.org/publicdomain/zero/1.0/"), creative_commons("https://creativecommons.org/")
    ('CC0-1.0', '')
    """
    found = DEED.match(address)
    if found is None:
        return ""
    if found["public"]:
        return f"CC0-{found['public_version']}" if found["public"].lower() == "zero" else f"CC-PDM-{found['public_version']}"
    port = f"-{found['port'].upper()}" if found["port"] else ""
    return f"CC-{found['terms'].upper()}-{found['version']}{port}"
