"""User names, passwords and signatures in URLs: used for reading, never stored, never shown.

Invariants:

* `kept_apart` takes the credentials out of a URL and keeps them in the environment variable `VARIABLE` of this process, so
  that workers on this machine inherit them. They are written to no file. Processes of other machines and later runs do not
  have them.
* `with_credentials` puts them back, for the file system or the client that opens the URL and for nothing else.
* Credentials are ``user:password@`` before a host, and the parameters of signed URLs (`SECRET_PARAMETERS`).
* Imports the standard library only, and no room of goldwash, so that every room can use it.
"""

import json
import os
import re
from urllib.parse import urlsplit, urlunsplit

VARIABLE = "GOLDWASH_CREDENTIALS"
"""The environment variable: a JSON object from a scheme and host to ``user:password``, and from a URL to its secret query."""

SECRET_PARAMETERS = re.compile(
    r"(?i)^(x-amz-(signature|credential|security-token)|x-goog-(signature|credential)|awsaccesskeyid|googleaccessid|signature"
    r"|sig|se|sv|sp|sr|expires|x-amz-.*|x-goog-.*|(access_|auth_|api_?)?(token|key)|password|passwd|secret)=",
)
"""The query parameters of signed URLs: of S3, Google Cloud Storage, Azure and services with tokens."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"\])}>]+")
_SIGNING = re.compile(r"(?i)(^|&)([a-z-]*signature|sig|[a-z_]*token|[a-z_]*key|passw(or)?d|secret)=")


def kept_apart(location: str) -> str:
    """The location without its credentials, which are kept for `with_credentials`; a path is returned as it is.

    >>> kept_apart("https://me:secret@example.org/crawl/a.warc.gz")
    'https://example.org/crawl/a.warc.gz'
    >>> with_credentials("https://example.org/crawl/b.warc.gz")
    'https://me:secret@example.org/crawl/b.warc.gz'
    """
    plain, user, query = _parts(location)
    known = _known()
    if user:
        known[_host(plain)] = user
    if query:
        known[plain] = query
    if user or query:
        os.environ[VARIABLE] = json.dumps(known)
    return plain


def all_kept_apart(text: str) -> str:
    """A text, such as a word of the command line, with the credentials of each URL in it kept apart.

    >>> all_kept_apart("quality.model=https://me:secret@example.org/m.bin")
    'quality.model=https://example.org/m.bin'
    """
    return _URL.sub(lambda found: kept_apart(found[0]), text)


def with_credentials(location: str) -> str:
    """The location with the credentials that this process knows for its host, or for this very URL."""
    if "://" not in location or VARIABLE not in os.environ:
        return location
    plain, user, query = _parts(location)
    known = _known()
    user, query = user or known.get(_host(plain), ""), query or known.get(plain, "")
    if not user and not query:
        return location
    parts = urlsplit(plain)
    netloc = f"{user}@{parts.netloc}" if user else parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, query="&".join(filter(None, (parts.query, query)))))


def shown(location: str) -> str:
    """The location without its credentials, to be stored, logged or shown.

    >>> shown("s3://key:secret@bucket/a.parquet"), shown("crawl/a@b.warc.gz")
    ('s3://bucket/a.parquet', 'crawl/a@b.warc.gz')
    >>> shown("https://example.org/a.parquet?download=true&X-Amz-Signature=0123")
    'https://example.org/a.parquet?download=true'
    """
    return _parts(location)[0]


def _parts(location: str) -> tuple[str, str, str]:
    """A location without credentials, its ``user:password``, and its secret parameters."""
    if "://" not in location:
        return location, "", ""
    scheme, _, rest = location.partition("://")
    authority = re.match(r"[^/?#]*", rest)
    assert authority is not None  # it matches the empty string too
    user, _, host = authority[0].rpartition("@")
    rest = host + rest[authority.end() :]
    place, mark, query = rest.partition("?")
    query, hash_, fragment = query.partition("#")
    if not mark or not _SIGNING.search(query):
        return f"{scheme}://{rest}", user, ""
    pairs = query.split("&")
    open_ = "&".join(pair for pair in pairs if not SECRET_PARAMETERS.match(pair))
    secret = "&".join(pair for pair in pairs if SECRET_PARAMETERS.match(pair))
    return f"{scheme}://{place}" + (f"?{open_}" if open_ else "") + hash_ + fragment, user, secret


def _host(plain: str) -> str:
    return re.match(r"[^:]*://[^/?#]*", plain)[0]  # type: ignore[index]


def _known() -> dict[str, str]:
    try:
        return dict(json.loads(os.environ.get(VARIABLE, "{}")))
    except ValueError:
        return {}
