"""Numbers as readers see them: significant digits, percentages, true minus signs."""

from __future__ import annotations

import math

NO_BREAK = "\u00a0"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


MINUS, INFINITE = "\u2212", "∞"


def fixed(value: float, places: int) -> str:
    """A value with `places` decimals and a true minus sign; what is rounded to zero has none."""
    text = f"{value:.{places}f}".replace("-", MINUS)
    return text if text.strip(f"{MINUS}0.") else text.removeprefix(MINUS)


def number(value: float | None, digits: int = 3) -> str:
    """A measured value with `digits` significant digits; a dash where it is not defined, ∞ for x/0."""
    if value is None or not math.isfinite(value):
        return INFINITE if value == math.inf else "–"
    if value == 0:
        return "0"
    if abs(value) < 10**-digits / 2:
        mantissa, power = f"{value:.1e}".split("e")
        return f"{mantissa.replace('-', MINUS)}·10" + str(int(power)).translate(_RAISED)
    exponent = int(
        f"{value:.{digits - 1}e}".split("e")[1]
    )  # after rounding: 0.9996 is written 1.00
    places = max(0, digits - 1 - exponent)
    return fixed(value, min(places, digits))


def percent(share: float | None, places: int = 1) -> str:
    """A share as a percentage, kept on one line; a dash where it is not defined, ∞ for x/0."""
    if share is None or not math.isfinite(share):
        return INFINITE if share == math.inf else "–"
    if 0 < share < 0.5 * 10 ** -(places + 2):
        return f"<{NO_BREAK}{10**-places:g}{NO_BREAK}%"
    return f"{fixed(100 * share, places)}{NO_BREAK}%"


def amount(count: int, thing: str) -> str:
    """A count and what is counted, such as 1 head or 1,024 heads."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def thousands(value: int) -> str:
    """A count with commas between thousands."""
    return f"{value:,}"
