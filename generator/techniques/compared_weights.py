"""Weights of two models side by side: which matrices moved, by how much, and along how many directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.comparison import sides
from generator.errors import UsageError
from generator.figures.figure import PAGE, Figure, on_page, published
from generator.formatting import amount, percent
from generator.probes.weight_change import WeightChanges, by_group, kind_of, measure_weights, over
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.table import Table
from generator.techniques.naming import listed

ROWS = 10  # matrices that the page shows; the table has all
_NAMED = 4  # parameters that are named where one model lacks them
_LOW = 0.5  # of the full rank: below it a rank is worth a sentence


@dataclass(frozen=True)
class View:
    """The matrices that moved most first, `rows` of what was `found`; `reason` alone if none is compared."""

    reason: str = ""
    says: str = ""
    rest: str = ""
    figure: Figure | None = None
    found: WeightChanges | None = None
    rows: tuple[int, ...] = ()


def measure(run: Run) -> WeightChanges:
    """What changed of every parameter."""
    before, after = sides(run)
    return measure_weights(before.model, after.model, run.seed, run.store)


def view(run: Run) -> View:
    """The section on the page of a comparison."""
    found = run[COMPARED_WEIGHTS]
    rows = found.matrices
    if not len(rows):
        return View(reason=_no_matrices(found))
    order = rows[np.argsort(-np.nan_to_num(found.relative[rows]), kind="stable")]
    moved = [row for row in order.tolist() if found.change[row] > 0][:ROWS]
    return View(
        "",
        _moved(found),
        " ".join((*_ranks(found), *_lacks(run, found), *_buffers(found))),
        on_page(figure(run), f"{run.folder}/weights.svg", "compared_weights", PAGE)
        if moved
        else None,
        found,
        tuple(moved),
    )


def _no_matrices(found: WeightChanges) -> str:
    own, other = (listed(names[:_NAMED]) for names in (found.only_before, found.only_after))
    return f"no matrix has the same name and shape in both (before: {own}; after: {other})."


def _moved(found: WeightChanges) -> str:
    """How far the weights moved, whole and where most."""
    rows, lacks = found.matrices, found.only_before or found.only_after
    changed = [row for row in rows.tolist() if found.change[row] > 0]
    if not (found.change > 0).any():
        return f"Every weight {'that both have in one shape ' if lacks else ''}is the same in both."
    of = f"{len(changed)} of {_matrices(len(rows))}"
    groups = list(by_group(found))
    name, _, most = max(groups, key=lambda one: one[2])
    change, norm = (float(np.sqrt(np.square(each).sum())) for each in (found.change, found.norm))
    known = found.relative_shuffled[rows]
    apart = float(np.median(known[np.isfinite(known)])) if np.isfinite(known).any() else None
    return (
        f"{'The weights that both have' if lacks else 'All weights'} together, norms included, moved by "
        f"{percent(over(change, norm))} of their norm; {of} changed. Furthest moved {name}, by "
        f"{percent(most)}. From the same matrix before with its rows in another order the median one "
        f"lies {percent(apart, 0)} of its norm away."
    )


def _matrices(count: int) -> str:
    return f"{count:,} {'matrix' if count == 1 else 'matrices'}"


def _ranks(found: WeightChanges) -> Iterator[str]:
    """What the ranks say: an adapter of a low rank, or a change in every direction."""
    rows = [row for row in found.matrices.tolist() if found.change[row] > 0]
    if not rows:
        return
    low = [row for row in rows if found.rank[row] < _LOW * found.full[row]]
    if not low:
        yield (
            "What changed of them has full rank, or close to it: all directions moved, as rounding or "
            "training of every weight leaves it."
        )
        return
    ranks = found.rank[low]
    least, most = int(ranks.min()), int(ranks.max())
    said = f"rank {least}" if least == most else f"ranks from {least} to {most}"
    where = "the one that changed" if len(rows) == 1 else f"{len(low)} of {len(rows)} of them"
    yield (
        f"What changed has {said} in {where}, far below the full one, as a "
        "low-rank adapter, a silenced head or a silenced unit leaves it."
    )


def _lacks(run: Run, found: WeightChanges) -> Iterator[str]:
    """Which parameters one of the two lacks."""
    for side, names in zip(sides(run), (found.only_before, found.only_after), strict=True):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            yield f"Only {side.title} has {', '.join(names[:_NAMED])}{more}, or in another shape."


def _buffers(found: WeightChanges) -> Iterator[str]:
    """What else differs that networks are saved with: it changes what they compute, and is no weight."""
    names = found.buffers_changed
    if names:
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        yield (
            f"Of {amount(found.buffers, 'tensor')} that are saved beside the weights, such as the statistics "
            f"of batch norms, {len(names):,} {'is' if len(names) == 1 else 'are'} not the same: "
            f"{', '.join(names[:_NAMED])}{more}."
        )


def figure(run: Run) -> Figure:
    """How far each matrix moved, from first to last, and the rank of what changed."""
    found, (before, after) = run[COMPARED_WEIGHTS], sides(run)
    rows = found.matrices
    if not len(rows):
        raise UsageError(f"{run.id}: weights are not compared: {_no_matrices(found)}.")
    arguments = {
        "kinds": tuple(kind_of(found.names[row]) for row in rows),
        "relative": found.relative[rows],
        "rank": found.rank[rows],
        "full": found.full[rows],
    }
    text = (
        f"{_matrices(len(rows))} of {before.title} and {after.title}, first to last: how far each moved, as "
        f"a share of its norm (at most {percent(float(found.relative[rows].max()))}), and the rank of the "
        "difference."
    )
    return published("weight_courses", arguments, f"Two charts. {text}", text)


def tables(run: Run) -> Iterator[Table]:
    """Every parameter, and every layer or module."""
    found = run[COMPARED_WEIGHTS]
    yield Table("compared_weights.csv", lambda: (_HEADER, _rows(found)))
    yield Table("compared_weight_layers.csv", lambda: (_GROUPS, by_group(found)))


_COLUMNS = (
    "relative", "cosine", "rank", "full", "stable", "change", "norm", "relative_shuffled",
    "cosine_shuffled",
)  # fmt: skip
_HEADER = ("parameter", "shape", *_COLUMNS)
_GROUPS = ("layer", "parameters", "relative")


def _rows(found: WeightChanges) -> Iterator[Sequence[object]]:
    columns = [getattr(found, name) for name in _COLUMNS]
    for row, (name, shape) in enumerate(zip(found.names, found.shapes, strict=True)):
        yield (name, shape, *(column[row] for column in columns))
    for name in found.only_before:
        yield (name, "only before", *[""] * len(columns))
    for name in found.only_after:
        yield (name, "only after", *[""] * len(columns))


COMPARED_WEIGHTS = Technique(
    name="compared_weights",
    title="Weights side by side",
    search="weights norm rank LoRA adapter quantisation pruning compare",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
    compares=True,
    figures={"compared_weights": figure},
    tables=tables,
    sections=(Section("comparison", "weights", "compared_weights.html", view),),
)
