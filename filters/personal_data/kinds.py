"""The kinds of personal data, their replacements, and the words and registries by which they are recognised.

Sources: `goldwash.filters.personal_data`.
"""

from collections.abc import Mapping

KINDS = ("email", "ipv4", "ipv6", "phone", "card", "iban")
"""The kinds of personal data, in the order of the columns of `counts`."""
EMAIL, IPV4, IPV6, PHONE, CARD, IBAN = range(6)
PLACEHOLDER = 6
"""The kind of a span that is one of FineWeb's replacements: it is left as it is, and not counted."""

FINEWEB_EMAILS = ("email@example.com", "firstname.lastname@example.org")
FINEWEB_ADDRESSES = (
    "22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168",
)  # fmt: skip
FINEWEB: Mapping[str, tuple[str, ...]] = {
    "email": FINEWEB_EMAILS, "ipv4": FINEWEB_ADDRESSES, "ipv6": FINEWEB_ADDRESSES,
    "phone": ("<phone>",), "card": ("<card>",), "iban": ("<iban>",),
}  # fmt: skip
"""Replacements by kind, used in turn within a text. FineWeb has none for phones, cards and IBANs."""

PHONE_WORDS = (
    "tel", "telephone", "phone", "ph", "mobile", "mob", "cell", "fax", "telefax", "whatsapp", "hotline", "phone number",
    "telephone number", "mobile number", "cell number", "phone no", "tel no", "tél", "téléphone", "telefon", "telefonnummer",
    "telefono", "teléfono", "telefone", "telefoon", "telefonu", "handy", "mobil", "móvil", "celular", "cellulare", "тел",
    "телефон", "факс", "电话", "電話", "手机", "手機", "전화", "โทร", "thoại", "τηλ", "τηλέφωνο", "هاتف", "☎", "📞",
)  # fmt: skip
"""Words before a phone number, in lower case; those that begin with an ASCII letter are whole words."""
VERSION_WORDS = (
    "version", "versions", "ver", "v", "release", "build", "section", "sections", "sec", "chapter", "firmware", "revision",
    "rev",
)  # fmt: skip
"""Words before four numbers with dots that are no address: software versions and sections of standards."""

IBAN_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 "
    "FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 "
    "LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 "
    "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
"""Characters of an IBAN by country (SWIFT IBAN registry)."""
SPECIAL_BLOCKS = (
    (0x00000000, 8), (0x0A000000, 8), (0x64400000, 10), (0x7F000000, 8), (0xA9FE0000, 16), (0xAC100000, 12), (0xC0000000, 24),
    (0xC0000200, 24), (0xC0A80000, 16), (0xC6120000, 15), (0xC6336400, 24), (0xCB007100, 24), (0xE0000000, 3),
)  # fmt: skip
"""IPv4 blocks that belong to nobody in public: private, reserved, documentation, multicast (IANA), as ``(address, bits)``."""
