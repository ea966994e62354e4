"""Personal data in texts: e-mail addresses, public IP addresses, phone numbers, payment cards and IBANs, counted and masked.

Invariants:

- What is found in a text depends on that text alone. Found spans do not overlap; each has one kind of `KINDS`.
- A check decides wherever there is one: a top-level domain for e-mail addresses, IANA's registries for IP addresses, Luhn and
  the issuer's digits for cards, the country's length and the check digits for IBANs, the area code's form for North American
  phone numbers. Other phone numbers need a ``+``, a word such as "Tel" before them, or the form of a national number.
- Boundaries are ASCII letters, digits and ``_``, so that an address between Chinese characters is found.
- Masking is idempotent: a replacement is no personal data, and the edit repeats until it finds nothing more.

``tests/reference.py`` has the same rules as regular expressions. docs/personal-data.md has precision and recall on real pages,
and what is not found. Sources: RFC 5322 and RFC 1035 (with FineWeb's restriction to ASCII), the IANA IPv4 and IPv6
special-purpose registries, ISO/IEC 7812 (cards), the SWIFT IBAN registry (release 99), ITU-T E.164 and the North American
Numbering Plan (phones). Replacements of addresses are FineWeb's (datatrove, ``formatters/pii.py``).
"""

from goldwash.filters.personal_data.kinds import FINEWEB, FINEWEB_ADDRESSES, FINEWEB_EMAILS, KINDS, PLACEHOLDER
from goldwash.filters.personal_data.masking import counts, mask_personal_data, replacements, spans

__all__ = [
    "FINEWEB", "FINEWEB_ADDRESSES", "FINEWEB_EMAILS", "KINDS", "PLACEHOLDER", "counts", "mask_personal_data", "replacements",
    "spans",
]  # fmt: skip
