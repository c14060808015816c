"""Which memory limit to suggest: what was probably meant, or enough, as a figure that people use."""

from __future__ import annotations

from msgspec import Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.usage import Observed, Usage, in_words

MEBIBYTE = 1 << 20
START_HEADROOM = 2
"""A sandbox's minimum is what an empty pod needs; twice that leaves it room for a kernel with more CPUs."""
OOM_HEADROOM = 1.5
"""A limit that was reached is only a lower bound of the need."""
PEAK_HEADROOM = 1.25
"""A peak that no limit cut off was the need, as far as anybody looked."""


class Suggestion(Struct, frozen=True):
    """A quantity to write, and the sentence that says why; "" where nothing but the limit itself is known."""

    quantity: str
    why: str


def for_start(limit_text: str | None, minimum_bytes: int) -> Suggestion:
    """A limit with which the pod starts. `limit_text` stands there now; a sandbox needs `minimum_bytes`."""
    intended = quantity.likely_intended(limit_text) if limit_text else None
    if intended and quantity.value(intended) >= minimum_bytes:
        return Suggestion(intended, f"Did you mean {intended}?")
    enough = usual_figure(minimum_bytes * START_HEADROOM)
    return Suggestion(
        enough,
        f"{enough} lets the sandbox start ({quantity.format_bytes(minimum_bytes)} and headroom); "
        "what the program itself needs comes on top.",
    )


def after_oom(limit_bytes: int, observed: Observed | None = None) -> Suggestion:
    """A limit above one (bytes) that was reached: by half, or by what was seen where another limit let more through.

    What was seen below the limit is no peak: the limit cut that off.
    """
    if observed is not None and observed.bytes > limit_bytes:
        return _above(observed)
    enough = usual_figure(int(limit_bytes * OOM_HEADROOM))
    if observed is None:
        return Suggestion(enough, "")
    return Suggestion(
        enough,
        f"{enough}: the limit of {in_words(limit_bytes)} that was reached, and half on top; "
        f"{observed.words} is no more than that, so the real peak is not known.",
    )


def above_peak(limit_bytes: int, usage: Usage) -> Suggestion | None:
    """A limit with room above the most that was seen; None where the limit (bytes) that stands there has that."""
    observed = usage.observed()
    if observed is None or observed.bytes * PEAK_HEADROOM <= limit_bytes:
        return None
    return _above(observed)


def _above(observed: Observed) -> Suggestion:
    enough = usual_figure(int(observed.bytes * PEAK_HEADROOM))
    return Suggestion(enough, f"{enough}: {observed.words}, and a quarter on top.")


def usual_figure(at_least_bytes: int) -> str:
    """The smallest of 16Mi, 24Mi, 32Mi, 48Mi, 64Mi ... (powers of two and the halves between) that is enough."""
    figure = 16 * MEBIBYTE
    while figure < at_least_bytes:
        if figure * 3 // 2 >= at_least_bytes:
            figure = figure * 3 // 2
            break
        figure *= 2
    return quantity.format_bytes(figure)
