"""The section on limits and biases that were probed: numbers, their controls, and what they do not show."""

from __future__ import annotations

import numpy as np

from generator.addresses import Link
from generator.card_schema import PairedProbe
from generator.cards.evaluated import evaluation_blocks, interval
from generator.cards.tree import CardFigure, Inline, Line, Paragraph, Section, Strong, Table
from generator.formatting import fixed, number, percent
from generator.probes.paired_images import AGAIN, OTHER, Change
from generator.probes.paired_texts import CONTROL, PairedTexts, standard_error
from generator.run import PICTURES, TEXTS, Run
from generator.techniques.evaluations import EVALUATION
from generator.techniques.leans import LEANS, leans_chart
from generator.techniques.recognition import RECOGNITION, changes_chart
from generator.uncertainty import sample_deviation

TITLE = "Limits and biases probed"
_TEXTS = (
    "These are probes, not proofs. Each asks one question with a few sentences; another wording can give "
    "another answer. A large lean shows that the model treats these sentences differently. A small one does "
    "not show that the model is fair, and none says what the model does in use."
)
_PICTURES = (
    "These are probes, not proofs. Each picture is shown as it is and with one change that leaves what it "
    "shows alone. Many changed answers show that the model leans on what was changed. Few do not show that "
    "it would withstand other changes or other pictures."
)
_CHANGES = {
    "greyscale": "greyscale: luminance in all three channels",
    "mirrored": "mirrored: left and right exchanged, which turns writing into something else",
    "moved": "moved: an eighth of the side to the right and down",
    "blurred": "blurred: Gaussian, standard deviation a hundredth of the side",
    "other ground": "other ground: an even ground in another colour, as light as before",
    AGAIN: "control, saved again: JPEG of quality 95, which hardly anyone sees",
    OTHER: "control, another picture: how often two different pictures get different answers",
}
_LEANS = {
    "next token": "ln p(sentence with the first choice) − ln p(sentence with the second), in nats",
    "masked token": "ln p(first choice) − ln p(second choice), in nats, the choice masked",
    "representation": "cosine similarity of the subject’s sentence to the first choice’s, less that to the "
    "second choice’s",
}
_RANDOM = (
    "Left out: the weights are random. What such a network leans to is an accident of their seed, not a bias "
    "that was learned."
)


def probed(run: Run) -> Section:
    """Everything that was probed of a model; empty where nothing was, or where nothing was learned."""
    if run.model.provenance.random:
        return Section("probes", TITLE, (Paragraph((_RANDOM,)),))
    made = {TEXTS: _texts, PICTURES: _pictures}
    return made[run.reads](run) if run.reads in made else Section("probes", TITLE)


def _texts(run: Run) -> Section:
    paired = run[LEANS].paired
    if not paired:
        return Section("probes", TITLE)
    known = {probe.id: probe for probe in run.inputs.pairs.probes}
    how = (
        f"A subject’s lean is {_LEANS[run.language.head_kind]}, averaged over the sentences, less the mean "
        "lean of control subjects that should not lean. Errors are standard errors over subjects. Beside "
        "each stands what the same network with random weights gives."
    )
    blocks = (Paragraph((_TEXTS,)), Paragraph((how,)), CardFigure(leans_chart(run)))
    return Section(
        "probes",
        TITLE,
        blocks,
        (*(_probe(run, one, known[one.probe]) for one in paired), _same_words(run)),
    )


def _same_words(run: Run) -> Section:
    """Evaluations that were made to be failed; empty where there are none."""
    limits = [one for one in run[EVALUATION] if one.limit]
    title = "Same words, another meaning"
    if not limits:
        return Section("same-words", title)
    text = (
        "A sentence, a paraphrase in other words, and a distractor that turns the meaning round with the "
        "same words: negation, who did what to whom, another sense of a word. A model that goes by words "
        "fails."
    )
    return Section("same-words", title, (Paragraph((text,)), *evaluation_blocks(limits)))


def _probe(run: Run, one: PairedTexts, probe: PairedProbe) -> Section:
    first = " / ".join(pair[0] for pair in probe.choices)
    second = " / ".join(pair[1] for pair in probe.choices)
    source: list[Inline] = []
    if probe.reference:
        source = [" After ", Link(probe.reference.url, probe.reference.title), "."]
    about = Paragraph((probe.about, *source))
    bare = run.language.head_kind == "representation"
    said = (probe.sentences.subject, probe.sentences.choice) if bare and probe.sentences else ()
    frames = "; ".join(f"“{frame}”" for frame in (said or probe.frames))
    asked = Paragraph(
        (
            f"{one.sentences} sentences such as {frames}; first choice ",
            Strong(first),
            ", second ",
            Strong(second),
            ".",
        )
    )
    return Section(
        probe.id, probe.title, (about, asked, _leans(one), Paragraph(_verdict(one, probe)))
    )


def _leans(one: PairedTexts) -> Table:
    rows: list[tuple[Line, ...]] = []
    for group in (*one.trained.names, CONTROL):
        mine, theirs = one.trained.of(group), one.random.of(group)
        name = "control subjects" if group == CONTROL else group
        mean = number(float(mine.mean())) if group != CONTROL else "0 by definition"
        error = f" ± {number(standard_error(mine))}" if group != CONTROL else ""
        rows.append(
            (
                (name,),
                (str(len(mine)),),
                (f"{mean}{error}",),
                (number(float(sample_deviation(mine))),),
                (number(float(theirs.mean())) if group != CONTROL else "0",),
            )
        )
    return Table(
        ("Group", "Subjects", "Mean lean to the first choice", "Spread", "Random weights"),
        tuple(rows),
    )


def _verdict(one: PairedTexts, probe: PairedProbe) -> Line:
    """What the numbers say, in words that go no further than they do."""
    leans, random = one.trained, one.random
    control = float(sample_deviation(leans.of(CONTROL)))
    if len(leans.names) == 2:
        first, second = leans.names
        size = f"{number(leans.difference)} ± {number(leans.error)}"
        clear = abs(leans.difference) > 2 * leans.error
        beyond = abs(leans.difference) > 2 * abs(random.difference)
        said = (
            f"The groups differ by {size} ({first} less {second}); with random weights by "
            f"{number(random.difference)}. "
        )
        if not probe.expected:
            end = (
                "That is more than two standard errors and more than twice as much as random weights give."
                if clear and beyond
                else "That is not clear: within two standard errors, or no more than twice what random "
                "weights give."
            )
        elif clear and beyond and leans.difference > 0:
            end = "The method finds what it should here."
        else:
            end = (
                "The method does not find what it should here: read the other probes of this model with "
                "that in mind."
            )
        return (said + end,)
    mine = leans.of(leans.names[0])
    order = np.argsort(mine, kind="stable")
    names = leans.subjects_of(leans.names[0])
    low, high = (f"{number(float(mine[n]))} ({names[n]})" for n in (order[0], order[-1]))
    spread, twin = (float(sample_deviation(one.of(leans.names[0]))) for one in (leans, random))
    return (
        f"Leans reach from {low} to {high}; their spread is {number(spread)}, that of the control "
        f"subjects {number(control)}, and with random weights {number(twin)}.",
    )


def _pictures(run: Run) -> Section:
    changed = run[RECOGNITION].changed.changes
    if not changed:
        return Section("probes", TITLE)
    count = max(len(one.pictures) for one in changed)
    how = (
        f"{count} pictures of as many things, curated ones and some of the pool. Counted is how often the "
        "most probable class becomes another one, and how far the probability of the first class moves."
    )
    head = (
        "Change",
        "Pictures",
        "Another class (interval)",
        "Change of probability, points",
        "Spread",
    )
    blocks = (
        Paragraph((_PICTURES,)),
        Paragraph((how,)),
        CardFigure(changes_chart(run)),
        Table(head, tuple(_change(one) for one in changed)),
    )
    return Section("probes", TITLE, blocks)


def _change(one: Change) -> tuple[Line, ...]:
    moves = 100 * one.moves
    return (
        (_CHANGES[one.name],),
        (str(len(one.pictures)),),
        (f"{percent(one.share)} ({interval(one.interval)})",),
        (_with_error(moves),),
        (fixed(float(sample_deviation(moves)), 1) if len(moves) > 1 else "–",),
    )


def _with_error(moves: np.ndarray) -> str:
    """The mean, with its standard error where there is one."""
    mean = fixed(float(moves.mean()), 1)
    return f"{mean} ± {fixed(standard_error(moves), 1)}" if len(moves) > 1 else mean
