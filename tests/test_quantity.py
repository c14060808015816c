"""Quantities: tables, properties, and 100,000 texts read by Go's own code as well."""

from __future__ import annotations

import json
import random

import pytest
from go_program import run_go
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor import quantity
from kubectl_memdoctor.quantity import QuantityError

SEED = 20261124
TEXTS = 100_000
UNITS = ("", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
REFUSED_UNITS = ("K", "ki", "mi", "Ni", "Zi", "B", "MB", "MiB", "e", "E+", "e-", "eE3", "i", "iM", "Mi3", "e3m", "+3")
LETTERS = '0123456789.+-eEinumkKMGTP _,x\u0661\u2003\xa0\t\\"\u00b5'

amounts = st.integers(min_value=0, max_value=2**62)
texts = st.builds(lambda number, unit: f"{number}{unit}", st.integers(0, 10**9), st.sampled_from(UNITS[:7]))


@pytest.mark.parametrize(
    ("text", "value", "exact"),
    [
        ("300m", 1, "0.3"),
        ("0.3", 1, "0.3"),
        ("1500m", 2, "1.5"),
        ("5000000m", 5000, "5000"),
        ("64Mi", 64 << 20, "67108864"),
        ("0.3Gi", 322122548, "322122547.2"),
        ("322122547200m", 322122548, "322122547.2"),
        ("1.1Gi", 1181116007, "1181116006.4"),
        ("128M", 128_000_000, "128000000"),
        ("1E", 10**18, "1000000000000000000"),
        ("1e3", 1000, "1000"),
        ("1E-3", 1, "0.001"),
        ("1e-30", 1, "0.000000001"),
        ("5.", 5, "5"),
        (".5Gi", 1 << 29, "536870912"),
        ("+5", 5, "5"),
        ("-5", -5, "-5"),
        ("-0.5", -1, "-0.5"),
        ("Mi", 0, "0"),
        ("-", 0, "0"),
        ("0", 0, "0"),
        ("8Ei", 2**63 - 1, "9223372036854775807"),
        (" 300Mi ", 300 << 20, "314572800"),
        ("1e2000000000", 0, "1" + "0" * 60),
    ],
)
def test_reads_what_the_api_server_takes(text: str, value: int, exact: str) -> None:
    assert quantity.value(text) == value
    assert quantity.exact(text) == exact
    assert quantity.is_whole(text) == ("." not in exact)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1K",
        "5mi",
        "1ki",
        "1e3M",
        "1E3Mi",
        "1e",
        "300 Mi",
        "300MB",
        "1_000Mi",
        "٣",
        "NaN",
        "inf",
        "0x10",
        "1,5Gi",
        "1.5.5",
        "--1",
        "Pi",
        "1e99999999999999999999",
        "\t1",
        "1\n",
        "1" * 5000,
    ],
)
def test_refuses_what_the_api_server_refuses(text: str) -> None:
    with pytest.raises(QuantityError):
        quantity.value(text)


def test_an_error_stays_one_short_line() -> None:
    with pytest.raises(QuantityError) as refused:
        quantity.parse("\x1b[31m\n" + "9" * 1_000_000)
    assert len(str(refused.value)) < 200
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (1, "1"),
        (1000, "1000"),
        (1024, "1Ki"),
        (1536 << 10, "1536Ki"),
        (14 << 20, "14Mi"),
        (1 << 30, "1Gi"),
        (256 << 10, "256Ki"),
        ((1 << 30) + 1, "1073741825"),
        (-1024, "-1Ki"),
    ],
)
def test_bytes_are_written_in_the_largest_exact_unit(count: int, text: str) -> None:
    assert quantity.format_bytes(count) == text


@given(amounts)
def test_written_bytes_are_read_back(count: int) -> None:
    assert quantity.value(quantity.format_bytes(count)) == count


@given(amounts)
def test_written_nano_units_are_read_back(amount: int) -> None:
    assert quantity.nano(quantity.format_nano(amount)) == amount


@given(texts)
def test_value_is_the_exact_amount_rounded_up_once(text: str) -> None:
    assert quantity.value(text) * quantity.NANO - quantity.nano(text) in range(quantity.NANO)
    assert quantity.is_whole(text) == (quantity.value(text) * quantity.NANO == quantity.nano(text))


@given(texts)
def test_exact_text_is_the_same_quantity(text: str) -> None:
    assert quantity.nano(quantity.exact(text)) == quantity.nano(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        quantity.parse(text)
    except QuantityError:
        return
    assert quantity.exact(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("300m", "300Mi"),
        ("0.3", "300Mi"),
        ("512m", "512Mi"),
        ("0.5", "500Mi"),
        ("1500m", "1500Mi"),
        ("2500m", "2500Mi"),
        ("300", "300Mi"),
        ("64", "64Mi"),
        ("1024", "1024Mi"),
        ("1k", "1000Mi"),
        ("64000m", "64Mi"),
    ],
)
def test_a_forgotten_or_small_unit_is_recognised(text: str, meant: str) -> None:
    assert quantity.likely_intended(text) == meant


@pytest.mark.parametrize(
    "text", ["0", "1", "8", "5000000m", "5000", "100k", "64Ki", "64Mi", "0.3Gi", "1e-9", "-300m", "322122547200m"]
)
def test_what_was_meant_is_not_guessed(text: str) -> None:
    assert quantity.likely_intended(text) is None


@given(texts)
def test_a_guess_is_always_a_quantity_of_at_least_a_mebibyte(text: str) -> None:
    meant = quantity.likely_intended(text)
    assert meant is None or quantity.value(meant) >= 1 << 20


def test_the_same_as_go() -> None:
    """Acceptance, exact amount and Value() of every text; what differs is shown with the seed."""
    generated = list(_texts(random.Random(SEED), TEXTS))
    lines = "\n".join(json.dumps(text, ensure_ascii=False) for text in generated)
    answers = run_go("quantity", lines)
    assert len(answers) == TEXTS
    differing = [
        (text, answer, _as_go_says(text))
        for text, answer in zip(generated, answers, strict=True)
        if _normal(answer) != _as_go_says(text)
    ]
    accepted = TEXTS - answers.count("error")
    assert not differing, f"seed {SEED}: {len(differing)} differ, such as {differing[:5]}"
    assert 0.3 < accepted / TEXTS < 0.9, f"seed {SEED}: {accepted} accepted leaves too little of one kind"


def _as_go_says(text: str) -> tuple[str, int, int] | None:
    try:
        read = quantity.parse(text)
    except QuantityError:
        return None
    return _without_zeros(str(read.unscaled), read.exponent, read.value)


def _normal(answer: str) -> tuple[str, int, int] | None:
    if answer == "error":
        return None
    digits, exponent, value = answer.split()
    return _without_zeros(digits, int(exponent), int(value))


def _without_zeros(digits: str, exponent: int, value: int) -> tuple[str, int, int]:
    kept = digits.rstrip("0")
    return (kept, exponent + len(digits) - len(kept), value) if kept else ("", 0, value)


def _texts(chance: random.Random, count: int) -> list[str]:
    makers = (_regular, _regular, _long, _exponent, _wrapping_exponent, _odd_unit, _mutated, _mutated, _noise, _edge)
    return [chance.choice(makers)(chance) for _ in range(count)]


def _digits(chance: random.Random, most: int) -> str:
    kind = chance.random()
    length = chance.randint(0, most)
    if kind < 0.2:
        return "0" * chance.randint(0, 3) + chance.choice("123456789") + "0" * length
    return "".join(chance.choice("0123456789") for _ in range(length))


def _number(chance: random.Random, most: int) -> str:
    sign = chance.choice(("", "", "", "", "+", "-"))
    point = chance.choice(("", "", ".")) or ""
    return sign + _digits(chance, most) + (point + _digits(chance, most) if point else "")


def _regular(chance: random.Random) -> str:
    return _number(chance, 6) + chance.choice(UNITS)


def _long(chance: random.Random) -> str:
    return _number(chance, 25) + chance.choice(UNITS)


def _exponent(chance: random.Random) -> str:
    power = chance.choice((chance.randint(-30, 30), chance.randint(-400, 400)))
    return _number(chance, 22) + chance.choice("eE") + chance.choice(("", "+") if power >= 0 else ("",)) + str(power)


def _wrapping_exponent(chance: random.Random) -> str:
    """Go keeps 32 bits of an exponent. Those that stay far below zero would keep Go itself busy for hours."""
    turns = chance.choice((-2, -1, 1, 2)) << 32
    power = chance.choice((turns + chance.randint(-25, 25), 2**31 - 1, 10**9, -(2**63) + 7, 2**63 - 1, 2**63))
    return f"{chance.randint(1, 10**6)}e{power}" if power != 2**63 - 1 else f"{chance.randint(1, 9)}.5e-{1 << 31}"


def _odd_unit(chance: random.Random) -> str:
    return _number(chance, 6) + chance.choice(REFUSED_UNITS)


def _mutated(chance: random.Random) -> str:
    letters = list(chance.choice((_regular, _long, _exponent, _odd_unit))(chance))
    for _ in range(chance.randint(1, 2)):
        place = chance.randint(0, len(letters))
        letters[place : place + chance.randint(0, 1)] = chance.choice(LETTERS) if chance.random() < 0.8 else ""
    return "".join(letters)


def _noise(chance: random.Random) -> str:
    return "".join(chance.choice("0123456789.+-eEinumkKMGTP ") for _ in range(chance.randint(0, 6)))


def _edge(chance: random.Random) -> str:
    near = chance.choice((2**63, 2**64, 10**18, 10**19, 2**53, 10**9, 2**63 // 1000, 2**33, 2**43)) + chance.randint(
        -2, 2
    )
    fraction = chance.choice(("", "", ".0", ".5", ".000000001", ".0000000001", ".999999999999"))
    return chance.choice(("", "-")) + str(near) + fraction + chance.choice(UNITS)
