"""Personal data: what is found and what is not, against a twin in plain Python and independent libraries; masking."""

import ipaddress
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.filters.personal_data import FINEWEB_ADDRESSES, FINEWEB_EMAILS, KINDS, counts, spans
from goldwash.filters.signals import EDITS, SIGNALS, SignalError
from goldwash.filters.texts import Texts
from tests import reference

EVERY = (*KINDS, "placeholder")


def found(text: str) -> list[tuple[str, str]]:
    """The kinds and spans in a text."""
    texts = Texts.of([text])
    _, starts, ends, kinds = spans(texts)
    raw = text.encode()
    return [(EVERY[kind], raw[a:b].decode()) for a, b, kind in zip(starts, ends, kinds, strict=True)]


def of_kind(kind: str, text: str) -> list[str]:
    return [span for each, span in found(text) if each == kind]


def masked(text: str, **parameters: Any) -> str:
    return EDITS["mask_personal_data"].bind(**parameters)(Texts.of([text]))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to john.doe+list@firm.co.uk.", ["john.doe+list@firm.co.uk"]),
        ("JANE@UNI.EDU, x_1@a-b.info;", ["JANE@UNI.EDU", "x_1@a-b.info"]),
        ("请联系zhang@qq.com谢谢", ["zhang@qq.com"]),
        ("<mailto:o'neil@firm.ie> 'me@firm.ie'", ["o'neil@firm.ie", "me@firm.ie"]),
        ("https://user:secret@host.com/x", ["secret@host.com"]),
        ("mail@firm.de-Tel", ["mail@firm.de"]),
        ("info@xn--bcher-kva.de x@пример.рф", ["info@xn--bcher-kva.de"]),
        ("a@b.c a@b @me me@ a@.com a@b..com .@b.com", []),
        # code
        ("git@github.com:user/repo react@17.0.2 img@2x.png foo@bar.cfg @app.route('/x') $a@$b x@{y.com}", []),
        ("npm i left-pad@1.3.0 user@.service v@v1.2.3=example", []),
        ("a" * 80 + "@b.com", ["a" * 64 + "@b.com"]),
    ],
)
def test_emails(text: str, expected: list[str]) -> None:
    assert of_kind("email", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8.8.8.8, http://45.33.32.156/x (1.1.1.1):80", ["8.8.8.8", "45.33.32.156", "1.1.1.1"]),
        ("10.0.0.1 172.16.9.9 192.168.1.1 127.0.0.1 0.0.0.0 169.254.1.1 100.64.0.1 203.0.113.7 224.0.0.1 255.255.255.255", []),
        ("172.15.0.1 172.32.0.1", ["172.15.0.1", "172.32.0.1"]),
        ("256.1.1.1 1.2.3 1.2.3.4.5 01.2.3.4 1.2.3.4a v1.2.3.4", []),
        ("version 7.1.2.3, Section\u00a07.8.2.1; nginx/1.9.7.1 Release: 4.5.6.7", []),
        ("8.8.8.8.", ["8.8.8.8"]),
    ],
)
def test_ipv4(text: str, expected: list[str]) -> None:
    assert of_kind("ipv4", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2001:4860:4860::8888 [2606:4700:4700::1111]:443", ["2001:4860:4860::8888", "2606:4700:4700::1111"]),
        ("2a00:1450:4001:81b:0:0:0:200e; 2A00:1450:4001:81B::1:", ["2a00:1450:4001:81b:0:0:0:200e", "2A00:1450:4001:81B::1"]),
        ("2001:db8::1 fe80::1:2 ::1 fc00::1:2 2002:808:808::1 2001:0:1::2 3fff::1:2", []),
        ("2024:12:31 12:30:45 std::vector a::b 2010::12 2a00:1:2:3:4:5:6:7:8 2a00::1::2 2a00:12345::1:1", []),
    ],
)
def test_ipv6(text: str, expected: list[str]) -> None:
    assert of_kind("ipv6", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+49 30 1234567, +1 (212) 555-0187. +33 1 23 45 67 89", ["+49 30 1234567", "+1 (212) 555-0187", "+33 1 23 45 67 89"]),
        ("(212) 555-0187 212-555-0187 212.555.0187", ["(212) 555-0187", "212-555-0187", "212.555.0187"]),
        ("1-800-555-0199; 212 555 0187", ["1-800-555-0199", "212 555 0187"]),
        ("(+44) 20 7946 0958", ["(+44) 20 7946 0958"]),
        ("Tel.: 555 1234 567. 12", ["555 1234 567"]),
        ("电话：010-12345678 ☎ 5551234", ["010-12345678", "5551234"]),
        ("FAX 5551234 phone number: 5551234", ["5551234", "5551234"]),
        ("01 23 45 67 89, (030) 12345678, 020 7946 0958", ["01 23 45 67 89", "(030) 12345678", "020 7946 0958"]),
        ("5551234 112-555-0187 212-155-0187 2125550187 090 1234", []),
        ("2021-05-12 09.11.2021 10 12:30 1,234,567,890 08-16-00334 PH-1221-16-0256", []),
        ("ISBN 978-3-16-148410-0, +50 000 000, 5+12345678, x=212-555-0187", []),
        ("hotel 1234567 hotels 5551234", []),
        ("$212-555-0187 #212-555-0187 0x212-555-0187", []),
    ],
)
def test_phones(text: str, expected: list[str]) -> None:
    assert of_kind("phone", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111 1111 1111 1111", ["4111 1111 1111 1111"]),
        ("4111-1111-1111-1111 123", ["4111-1111-1111-1111"]),
        ("4111111111111111,378282246310005", ["4111111111111111", "378282246310005"]),
        ("3782 822463 10005; 5555555555554444 2223003122003222", ["3782 822463 10005", "5555555555554444", "2223003122003222"]),
        ("6011111111111117 3530111333300000 30569309025904", ["6011111111111117", "3530111333300000", "30569309025904"]),
        ("4111 1111 1111 1112 1234567812345670 0.4111111111111111 41111111111111111 4111 1111-1111 1111", []),
        ("new.$3800 941 223 2537", []),
    ],
)
def test_cards(text: str, expected: list[str]) -> None:
    assert of_kind("card", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DE89 3704 0044 0532 0130 00, GB82WEST12345698765432", ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"]),
        ("FR14 2004 1010 0505 0001 3M02 606 et", ["FR14 2004 1010 0505 0001 3M02 606"]),
        ("NL91-ABNA-0417-1643-00", ["NL91-ABNA-0417-1643-00"]),
        ("DE88 3704 0044 0532 0130 00 GB82 WEST 1234 5698 7654 33 XX00 1234 5678", []),
        ("DE89370400440532013000X xDE89370400440532013000 de89370400440532013000", []),
    ],
)
def test_ibans(text: str, expected: list[str]) -> None:
    assert of_kind("iban", text) == expected


def test_public_addresses_are_those_of_the_standard_library() -> None:
    """Random addresses in each of the first octets, and at the edges of the special blocks."""
    made = random.Random(1)
    numbers = [made.randrange(n << 24, (n + 1) << 24) for n in range(256) for _ in range(4)]
    for block in reference.NOBODYS:
        if block.version == 4:
            numbers += [int(block[0]), int(block[-1]), max(0, int(block[0]) - 1), min(2**32 - 1, int(block[-1]) + 1)]
    addresses = [ipaddress.IPv4Address(number) for number in numbers]
    ours = SIGNALS["ipv4_count"].measure(Texts.of([f" {address} " for address in addresses])).tolist()
    for address, count in zip(addresses, ours, strict=True):
        special = address in ipaddress.ip_network("192.0.0.0/24")  # a few of its addresses are public, by Python's version
        public = address.is_global and not address.is_multicast and not special and str(address) not in FINEWEB_ADDRESSES
        assert bool(count) == public, address


def test_ibans_of_every_country_with_right_check_digits_are_found() -> None:
    made = random.Random(2)
    for country, size in reference.IBAN_BY_COUNTRY.items():
        plain = "".join(made.choice("0123456789ABCZ") for _ in range(size - 4))
        moved = plain + country + "00"
        check = 98 - int("".join(str(int(c, 36)) for c in moved)) % 97
        iban = f"{country}{check:02d}{plain}"
        assert of_kind("iban", f"IBAN {iban}.") == [iban]
        assert of_kind("iban", f"IBAN {country}{(check + 1) % 97:02d}{plain}.") == []


PIECES = st.sampled_from(
    [
        "+", "49", "1", "0", "030", "212", "555", "0187", "1234567", "4111", "1111", "4111111111111111", "DE89", "3704",
        "0044", "0532", "0130", "00", "GB82", "WEST", "12345698765432", "8.8.8.8", "8.8", ".", "..", "-", "--", " ", "  ",
        "/", "(", ")", "\u00a0", "–", ":", "::", ": ", "2001", "2a00:1450", "ffff", "1a", "@", "a", "john", "x.com", ".de",
        "com", "_", "\n", "Tel", "tel. ", "fax:", "version ", "v", "电话：", "é", "中", "email@example.com", "22.214.171.124",
        ",", "$", "%", "'", "git", "a@b.co", "john.doe@firm.com", "(212) 555-0187", "DE89 3704 0044 0532 0130 00", "<phone>",
        "9" * 20,
    ]
)  # fmt: skip
TEXT = st.lists(PIECES, max_size=24).map("".join)


@settings(max_examples=400)
@given(TEXT)
def test_kernel_and_twin_agree(text: str) -> None:
    expected = [(kind, text[a:b]) for a, b, kind in reference.personal_spans(text, reference.all_tlds())]
    assert found(text) == expected


@settings(max_examples=200)
@given(st.lists(TEXT, max_size=4), st.sampled_from(["", "<{kind}>", "[gone]", " "]))
def test_masking_is_idempotent_and_leaves_nothing(strings: list[str], template: str) -> None:
    edit = EDITS["mask_personal_data"].bind(template=template)
    once = edit(Texts.of(strings))
    assert counts(once).sum() == 0
    assert edit(once) is once
    assert list(edit(Texts.of(list(once)))) == list(once)
    assert list(once) == [reference.mask_personal_data(text, template=template) for text in strings]


def test_replacements_are_finewebs_in_turn_within_a_text() -> None:
    text = "a@b.com, c@d.org, e@f.net; 8.8.8.8 2600:1f18::1:2"
    first, second = FINEWEB_EMAILS
    expected = f"{first}, {second}, {first}; {FINEWEB_ADDRESSES[0]} {FINEWEB_ADDRESSES[1]}"
    assert masked(text) == expected
    assert list(EDITS["mask_personal_data"](Texts.of([text, "x", text]))) == [expected, "x", expected]


def test_a_template_names_the_kind() -> None:
    text = "a@b.com 8.8.8.8 2600:1f18::1:2 +49 30 1234567 4111111111111111 DE89370400440532013000"
    assert masked(text, template="<{kind}>") == "<email> <ip> <ip> <phone> <card> <iban>"
    assert masked(text, template="[PII]", kinds=("email",)) == text.replace("a@b.com", "[PII]")


def test_what_is_counted_is_what_is_replaced() -> None:
    texts = Texts.of(["a@b.com and c@d.com", "8.8.8.8 email@example.com", ""])
    edit = EDITS["mask_personal_data"].bind(kinds=("email", "ipv4"))
    assert dict(edit.counted(texts)) == {"email": 2, "ipv4": 1}
    assert dict(edit.counted(edit(texts))) == {}
    assert dict(EDITS["squeeze_newlines"].counted(texts)) == {}


@pytest.mark.parametrize("template", ["1", "a@b.com", "+", "x:", "١"])
def test_a_template_that_could_make_new_data_is_refused(template: str) -> None:
    with pytest.raises(SignalError, match="digits, '@'"):
        masked("a@b.com", template=template)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SignalError, match="'emails'; known: email, ipv4"):
        masked("x", kinds=("emails",))


@pytest.mark.real
def test_kernel_and_twin_agree_on_real_pages(real: Path) -> None:
    table = pq.read_table(real / "reference" / "heuristics.parquet", columns=["text"])
    seen = 0
    for text in table["text"].to_pylist()[::12]:
        start = text[:8_000]
        ours = found(start)
        assert ours == [(kind, start[a:b]) for a, b, kind in reference.personal_spans(start, reference.all_tlds())]
        seen += len(ours)
    assert seen > 100
