"""What is taken for personal data, and what is not. All addresses and numbers are made up."""

import pytest

from tpuline.components.preprocess.privacy import Privacy, Redactor
from tpuline.components.preprocess.privacy_patterns import KINDS, NATIONAL_IDS


def redacted(text: str, *kinds: str) -> str:
    countries = NATIONAL_IDS if not kinds or "national_id" in kinds else ()
    return Redactor(Privacy(redact=kinds or KINDS, national_ids=countries)).redact(text)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("jo.o'neill+x@mail.example.co.uk", "[EMAIL]"),
        ("Jörg_Straße@example.org", "[EMAIL]"),
        ("jo@192.168.0.1", "[EMAIL]"),
        ("jo@xn--exmple-cua.xn--p1ai", "[EMAIL]"),
        ("+49 (0) 30 123-45 67", "[PHONE]"),
        ("(+49 30) 1234567", "[PHONE]"),
        ("0049 151 23456789", "[PHONE]"),
        ("030/1234567", "[PHONE]"),
        ("(030) 123\u00a045\u00a067", "[PHONE]"),
        ("０３０ １２３４５６７", "[PHONE]"),
        ("01.23.45.67.89", "[PHONE]"),
        ("07700 900123", "[PHONE]"),
        ("(202) 555-0143", "[PHONE]"),
        ("1-202-555-0143", "[PHONE]"),
        ("2025550143", "[PHONE]"),
        ("4000 0012 3456 7899", "[CARD]"),
        ("5100-0012-3456-7895", "[CARD]"),
        ("3700 001234 56784", "[CARD]"),
        ("6011\u00a00012\u00a03456\u00a07891", "[CARD]"),
        ("４０００００１２３４５６７８９９", "[CARD]"),
        ("DE43 1234 5678 9012 3456 78", "[IBAN]"),
        ("de43123456789012345678", "[IBAN]"),
        ("GB42-ABCD-1234-5612-3456-78", "[IBAN]"),
        ("NO69 1234 567 3022", "[IBAN]"),
        ("192.168.0.1", "[IP]"),
        ("2001:db8::1", "[IP]"),
        ("::ffff:192.168.0.1", "[IP]"),
        ("fe80:0:0:0:202:b3ff:fe1e:8329", "[IP]"),
    ],
)
def test_personal_data_becomes_a_token_and_its_surroundings_stay(text: str, token: str) -> None:
    assert redacted(f"so: {text}, and ({text}).") == f"so: {token}, and ({token})."


@pytest.mark.parametrize(
    ("country", "number"),
    [
        ("be", "85.07.30-803.34"),
        ("br", "000.857.719-61"),
        ("ch", "756.1392.2144.80"),
        ("de", "94 725 831 567"),
        ("es", "18862461-T"),
        ("es", "X-9574454-Z"),
        ("fr", "2 55 08 14 168 486 62"),
        ("gb", "622 013 9860"),
        ("in", "4042 5582 2545"),
        ("it", "QQQXXX85T10A562H"),
        ("nl", "9523.02.949"),
        ("pl", "85073061949"),
        ("us", "536-22-6243"),
    ],
)
def test_national_id_is_found_for_its_country_and_only_with_its_check_digit(
    country: str, number: str
) -> None:
    redactor = Redactor(Privacy(redact=("national_id",), national_ids=(country,)))
    assert redactor.redact(f"id {number}.") == "id [NATIONAL_ID]."
    place = 0 if country == "us" else next(i for i, c in enumerate(number) if c in "12345678")
    wrong = number[:place] + ("9" if country == "us" else chr(ord(number[place]) + 1))
    assert redactor.redact(wrong + number[place + 1 :]) == wrong + number[place + 1 :]


def test_every_country_has_a_number_in_the_test_above() -> None:
    marks = test_national_id_is_found_for_its_country_and_only_with_its_check_digit.pytestmark
    assert {country for country, _ in marks[0].args[1]} == set(NATIONAL_IDS)


@pytest.mark.parametrize(
    "text",
    [
        "on 01.02.2023, 01/02/2023 10:30, 09-11-2001 and 01 02 2023",
        "from 2023-01-02T10:11:12+01:00 to 2023-01-02 10:11:12.123456",
        "$1,234,567.89 or 1.234.567,89 or 0.0123456789 or 10000000",
        "order 12345678, tracking 123456789012, 1990-1999, 2001-2003, 10/10",
        "DE44 1234 5678 9012 3456 78",
        "version 1.2.3, section 1.2.3.4.5, 300.1.1.1",
        "std::vector, face::add, 10:11:12, 00:1A:2B:3C:4D:5E, a :: b",
        "@someone: me@home, C3PO@, @@@",
        "https://example.org/status/2025550143?page=2#top and ssh://example.org",
        "12 34 56 78 90 and 1 2 3 4 5 6 7 8 9 10",
        "",
    ],
)
def test_dates_prices_orders_and_code_stay_as_they_are(text: str) -> None:
    countries = ("de", "us", "fr", "br")
    assert Redactor(Privacy(redact=KINDS, national_ids=countries)).redact(text) == text


def test_card_needs_its_check_digit_and_an_issuer() -> None:
    assert redacted("4000 0012 3456 7899", "card") == "[CARD]"
    for text in ("4000 0012 3456 7898", "1000 0012 3456 7892"):
        assert redacted(text, "card") == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://jo:p@ss@example.org/x", "https://[URL_CREDENTIALS]@example.org/x"),
        ("db://jo:x@10.0.0.1:5432/y", "db://[URL_CREDENTIALS]@[IP]:5432/y"),
        (
            "http://a.de/?id=7&access_token=ey.J0-x_y&z=1#password=hunter2",
            "http://a.de/?id=7&access_token=[URL_CREDENTIALS]&z=1#password=[URL_CREDENTIALS]",
        ),
        ("?API_KEY=abc&amp;sig=d", "?API_KEY=[URL_CREDENTIALS]&amp;sig=[URL_CREDENTIALS]"),
        ("?next=abc&tokens=3", "?next=abc&tokens=3"),
    ],
)
def test_secret_of_a_url_goes_and_the_rest_stays(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ftp://jo@example.org:x@example.com", "ftp://[URL_CREDENTIALS]@example.com"),
        ("2025550143@example.org", "[EMAIL]"),
        ("jo@example.de+49301234567", "[EMAIL][PHONE]"),
        ("DE43 1234 5678 9012 3456 78 +49 30 1234567", "[IBAN] [PHONE]"),
        ("4000 0012 3456 7899 12/27 123", "[CARD] 12/27 123"),
        ("[b]jo@example.org[/b]", "[b][EMAIL][/b]"),
        ("94725831567", "[NATIONAL_ID]"),
    ],
)
def test_what_may_hold_another_kind_goes_first(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_short_phone_number_needs_a_word_that_announces_it() -> None:
    text = "Call me at 555-0143, phone number: 5550144"
    assert redacted(text) == "Call me at [PHONE], phone number: [PHONE]"
    assert redacted("pages 555-0143") == "pages 555-0143"


def test_kind_that_is_not_asked_for_stays() -> None:
    text = "jo@example.org +49 30 1234567 192.168.0.1"
    assert redacted(text, "email") == "[EMAIL] +49 30 1234567 192.168.0.1"
    assert redacted(text, "phone", "ip") == "jo@example.org [PHONE] [IP]"
