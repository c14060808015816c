"""Kubernetes quantities (`64Mi`, `300m`, `1e9`) as the API server reads them, digit for digit.

Follows https://github.com/kubernetes/apimachinery/blob/v0.37.2/pkg/api/resource/quantity.go, `UnmarshalJSON` (which
trims spaces) and `ParseQuantity`, with their roundings, caps and overflows; tests/test_quantity.py holds both together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

NANO = 10**9
DIFFERENT_TEXTS = 8192
"""Clusters use few different quantities, 100,000 pods the same ones: what follows from a text is remembered."""
MAX_INT64 = (1 << 63) - 1

_FORM = re.compile(r"([+-]?+)0*+([0-9]*+)(?:\.([0-9]*+))?+([eEinumkKMGTP]*+[+-]?+[0-9]*+)")
_DECIMAL = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_SPACES = " \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
"""Go's unicode.IsSpace without the control characters: JSON escapes those, and UnmarshalJSON does not unescape."""
_LONGEST = 1000
"""Characters. Go takes any length; nobody writes such a quantity, and a million digits are slow to multiply."""
_UNCHECKED_SCALES = (1, 2, 3, 6, 9)
_LARGEST_EXPONENT = 60
"""The API server takes `1e2000000000`; expanding its digits would take gigabytes."""


class QuantityError(ValueError):
    """The API server would refuse this text as a quantity."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """The exact amount is `unscaled * 10**exponent`; `value` is what Go's Value() makes of it: whole bytes.

    Value() rounds fractions up. Over 2**63-1 it wraps or gives 0, which is kept since the kubelet works with it.
    """

    unscaled: int
    exponent: int
    value: int
    nano: int = field(init=False, compare=False)
    """The amount in units of 1e-9: no quantity is finer. Amounts over 1e60 are given with that exponent."""

    def __post_init__(self) -> None:
        scale = 10 ** (min(self.exponent, _LARGEST_EXPONENT) + 9)
        object.__setattr__(self, "nano", self.unscaled * scale if self.unscaled else 0)


@lru_cache(DIFFERENT_TEXTS)
def parse(text: str) -> Quantity:
    """Raises QuantityError."""
    trimmed = text.strip(_SPACES)
    form = _FORM.fullmatch(trimmed) if 0 < len(trimmed) <= _LONGEST else None
    if form is None:
        raise QuantityError(f"quantities must be a number and a unit such as Mi, not {text[:40]!r}")
    sign, whole, fraction, suffix = form.groups("")
    binary = _BINARY.get(suffix, 0)
    exponent = 0 if binary else _exponent(text, suffix)
    quantity = _fast(sign, whole, fraction, exponent, binary)
    if quantity is not None:
        return quantity
    if not any(character.isdecimal() for character in trimmed.removesuffix(suffix)):
        # `Mi` and `m` alone are zero, `Pi` and `e-12` are refused: only the slow form wants a digit.
        raise QuantityError(f"unable to parse the number of quantity {text[:40]!r}")
    return _slow(sign, whole, fraction, exponent, binary)


def value(text: str) -> int:
    """Bytes as the kubelet and the scheduler count them: fractions rounded up. Raises QuantityError."""
    return parse(text).value


def nano(text: str) -> int:
    """The exact amount in units of 1e-9. Raises QuantityError."""
    return parse(text).nano


def is_whole(text: str) -> bool:
    """Whether it is a whole number of bytes. Raises QuantityError."""
    return parse(text).nano % NANO == 0


def exact(text: str) -> str:
    """The amount as a plain decimal number: `300m` -> "0.3", `64Mi` -> "67108864". Raises QuantityError."""
    whole, rest = divmod(abs(parse(text).nano), NANO)
    sign = "-" if parse(text).unscaled < 0 else ""
    return f"{sign}{whole}.{rest:09}".rstrip("0") if rest else f"{sign}{whole}"


def format_bytes(count: int) -> str:
    """The shortest exact binary form: 14680064 -> "14Mi", 1572864 -> "1536Ki", 1000 -> "1000"."""
    for suffix, exponent in reversed(_BINARY.items()):
        if count and count % (1 << exponent) == 0:
            return f"{count >> exponent}{suffix}"
    return str(count)


def format_nano(amount: int) -> str:
    """A quantity that says `amount` * 1e-9 exactly: 600000000 -> "600m", whole bytes as `format_bytes`."""
    if amount % NANO == 0:
        return format_bytes(amount // NANO)
    for suffix, unit in (("m", 10**6), ("u", 10**3)):
        if amount % unit == 0:
            return f"{amount // unit}{suffix}"
    return f"{amount}n"


def likely_intended(text: str) -> str | None:
    """What a person most likely meant by an amount far too small for memory; None when that is not clear.

    Judged by the amount, since the API server rewrites texts (0.5 is stored as 500m, 64000m as 64):
    a fraction of a byte is a lower-case m, thousandths, where M or Mi was meant (300m -> 300Mi, 0.5 -> 500Mi);
    16 to 4096 whole bytes are a figure in Mi whose unit was forgotten (300 -> 300Mi).
    Less could as well mean Gi, more could be anything. Raises QuantityError.
    """
    amount = nano(text)
    if amount % NANO == 0:
        count = amount // NANO
        return f"{count}Mi" if 16 <= count <= 4096 else None
    thousandths, finer = divmod(amount, 10**6)
    return f"{thousandths}Mi" if finer == 0 and 0 < thousandths <= 65536 else None


def _exponent(text: str, suffix: str) -> int:
    """-3 for `m`, 3 for `e3`, which Go reads as int64 and then keeps the low 32 bits of."""
    known = _DECIMAL.get(suffix)
    if known is not None:
        return known
    if not re.fullmatch(r"[eE][+-]?[0-9]+", suffix) or not -MAX_INT64 - 1 <= int(suffix[1:]) <= MAX_INT64:
        raise QuantityError(f"unable to parse the unit of quantity {text[:40]!r}")
    return _int32(int(suffix[1:]))


def _fast(sign: str, whole: str, fraction: str, exponent: int, binary: int) -> Quantity | None:
    """Go's int64 with a decimal scale; None for what it holds too many digits for."""
    digits = len(whole or "0") + len(fraction)
    amount = int(sign + (whole + fraction or "0"))
    if binary:
        if fraction or digits + binary * 3 // 10 > 14:
            return None
        return Quantity(amount << binary, 0, amount << binary)
    scale = _int32(exponent - len(fraction))
    return Quantity(amount, scale, _value_of_int64(amount, scale)) if digits <= 18 and scale >= -9 else None


def _slow(sign: str, whole: str, fraction: str, exponent: int, binary: int) -> Quantity:
    """Go's big decimal, which rounds to whole nano units, away from zero, and caps amounts in binary units."""
    amount = int(sign + (whole + fraction or "0")) << binary
    scale = _int32(exponent - len(fraction))
    if scale < -9:
        amount, scale = _away_from_zero(amount, -9 - scale), -9
    if binary and abs(amount) > MAX_INT64 * 10**-scale:
        capped = MAX_INT64 if amount > 0 else -MAX_INT64
        return Quantity(capped, 0, capped)
    # 2**64 divides 10**64, so that nothing is left of larger amounts in 64 bits.
    return Quantity(amount, scale, _value_of_big(amount * 10 ** (scale + 9)) if scale < 64 else 0)


def _away_from_zero(amount: int, digits: int) -> int:
    """`amount` without its last `digits` decimal digits. A text holds at most _LONGEST, so more need no expanding."""
    rounded: int = -(-abs(amount) // 10 ** min(digits, _LONGEST))
    return rounded if amount >= 0 else -rounded


def _value_of_big(amount: int) -> int:
    """Whole bytes of nano units by Go's slow form: it cuts negative fractions off and then adds 1."""
    if amount >= MAX_INT64:
        return _int64(-(-amount // NANO))
    low = _int64(amount)
    cut = abs(low) // NANO * (1 if low >= 0 else -1)
    return cut + (1 if low % NANO else 0)


def _value_of_int64(amount: int, scale: int) -> int:
    """Whole bytes by Go's fast form: rounds away from zero; what does not fit wraps or is 0, depending on the scale.

    https://github.com/kubernetes/apimachinery/blob/v0.37.2/pkg/api/resource/math.go (positiveScaleInt64)
    """
    if scale < 0:
        return _away_from_zero(amount, -scale)
    scaled: int = amount * 10 ** min(scale, 19)
    if abs(scaled) <= MAX_INT64:
        return scaled
    return _int64(scaled) if scale in _UNCHECKED_SCALES else 0


def _int32(number: int) -> int:
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


def _int64(number: int) -> int:
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)
