"""How far a share that was counted can be trusted."""

from __future__ import annotations


def share_error(right: int, of: int) -> float:
    """Standard error of a share, with two right and two wrong added (Agresti & Coull 1998).

    The plain binomial error is zero where all are right, which would say that the share is certain. nan
    where nothing was counted.
    """
    if not of:
        return float("nan")
    share = (right + 2) / (of + 4)
    return float((share * (1 - share) / (of + 4)) ** 0.5)
