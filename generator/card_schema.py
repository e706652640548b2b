"""What an exhibit can state for model cards: of a model, and of the sentences that probes compare."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from generator.yaml_schema import Line, Slug, Strict, refuse_repeats

Text = Annotated[str, Field(max_length=10_000)]
SUBJECT, CHOICE, ANSWER = "{subject}", "{choice}", "{answer}"


class Reference(Strict):
    """Something to read: a paper, a repository, a data sheet."""

    title: Line = Field(description="as readers see it")
    url: Annotated[str, Field(pattern=r"^https?://\S+$", max_length=1000)] = Field(
        description="its address, with http:// or https://"
    )


class OwnSection(Strict):
    """A section of the author's own. One with the title of a generated section takes its place."""

    title: Line = Field(description="heading of the section")
    text: Text = Field(min_length=1, description="paragraphs, with an empty line between them")
    after: str = Field("", description="key of the section that it follows; the end if left out")


class ResultSpec(Strict):
    """A result that was measured elsewhere, as the Hub's `model-index` has it."""

    task: Line = Field(description="id of the task on the Hub, such as image-classification")
    dataset: Line = Field(description="what it was measured on, as readers see it")
    dataset_id: str = Field(
        "", max_length=200, description="its id on the Hub; made of its name if left out"
    )
    split: str = Field("", max_length=80, description="the part of it, such as test")
    metric: Line = Field(description="id of the metric on the Hub, such as accuracy")
    name: str = Field("", max_length=200, description="the metric as readers see it")
    value: float = Field(
        allow_inf_nan=False, description="the number, as a share or in its own unit"
    )
    source: Reference | None = Field(None, description="who measured it, where that can be read")


class CardSpec(Strict):
    """What is stated of a model; what is left out has no section.

    Texts are plain paragraphs with an empty line between them; addresses in them become links.
    """

    intended_use: Text = Field("", description="what the model is for, and for whom")
    out_of_scope: Text = Field("", description="what it is not for")
    limits: Text = Field("", description="limits and biases that its makers state")
    training_data: Text = Field("", description="what it was trained on, as far as that is known")
    training: Text = Field("", description="how it was trained")
    reported: Text = Field("", description="results that others report, not measured here")
    results: tuple[ResultSpec, ...] = Field(
        (), description="results of your own or of others, for the card and its metadata"
    )
    datasets: tuple[Line, ...] = Field((), description="ids of its training data on the Hub")
    language: tuple[Line, ...] = Field((), description="codes such as en, for the metadata")
    library: str = Field("", max_length=80, description="library that loads it, for the metadata")
    pipeline: str = Field("", max_length=80, description="task on the Hub, such as fill-mask")
    tags: tuple[Line, ...] = Field((), description="more tags, for the metadata")
    base_model: str = Field("", max_length=200, description="id of the model it was made from")
    contact: Text = Field("", description="whom to ask")
    citation: Text = Field("", description="BibTeX of the model itself")
    references: tuple[Reference, ...] = Field((), description="where all of this is stated")
    sections: tuple[OwnSection, ...] = Field((), description="sections of your own")
    without: tuple[Line, ...] = Field((), description="keys of sections to leave out")


class Triple(Strict):
    """A sentence, the same said in other words, and most of the same words saying something else."""

    id: Slug = Field(description="its name")
    text: Line = Field(description="a sentence")
    same: Line = Field(description="a paraphrase of it, in other words")
    other: Line = Field(description="most of the words of the sentence, saying something else")


class Sentences(Strict):
    """How subject and choice are put to an encoder: one short sentence each."""

    subject: Line = Field(description="holds {subject}")
    choice: Line = Field(description="holds {choice}")

    @model_validator(mode="after")
    def _holds(self) -> Sentences:
        if SUBJECT not in self.subject or CHOICE not in self.choice:
            raise ValueError("'subject' must hold {subject}, 'choice' must hold {choice}")
        return self


class PairedProbe(Strict):
    """Sentences that differ in one word: which of two choices does a model lean to, by subject?"""

    id: Slug = Field(description="its name")
    title: Line = Field(description="heading of its part of the card")
    about: Text = Field("", description="what is asked, and where the lists come from")
    frames: tuple[Line, ...] = Field(min_length=1, description="hold {subject} and {choice}")
    choices: tuple[tuple[Line, Line], ...] = Field(
        min_length=1, description="pairs of words to choose between; a lean is towards the first"
    )
    groups: dict[Line, tuple[Line, ...]] = Field(
        min_length=1, max_length=2, description="one or two named groups of subjects"
    )
    control: tuple[Line, ...] = Field(min_length=2, description="subjects that should not lean")
    expected: bool = Field(False, description="a check of the method: the answer is known")
    sentences: Sentences | None = Field(
        None, description="how encoders are asked; they are not if left out"
    )
    reference: Reference | None = Field(None, description="where the lists come from")

    @model_validator(mode="after")
    def _usable(self) -> PairedProbe:
        for frame in self.frames:
            if SUBJECT not in frame or CHOICE not in frame:
                raise ValueError(f"the frame '{frame}' must hold {SUBJECT} and {CHOICE}")
            if frame.startswith(CHOICE):
                raise ValueError(f"nothing stands before {CHOICE} in the frame '{frame}'")
        for name, subjects in self.groups.items():
            if len(subjects) < 2:
                raise ValueError(f"the group '{name}' needs two subjects or more")
        return self


class PromptPair(Strict):
    """Two prompts that differ in one word, and the word that each of them asks for."""

    id: Slug = Field(description="its name")
    title: Line = Field(description="what it asks for, in a few words")
    frame: Line = Field(
        description="holds {subject} and, after it, {answer}; decoders read what stands before {answer}"
    )
    subjects: tuple[Line, Line] = Field(
        description="the word of the clean prompt, and that of the corrupted one"
    )
    answers: tuple[Line, Line] = Field(
        description="the right answer to each, one token of the model's"
    )

    @model_validator(mode="after")
    def _differs(self) -> PromptPair:
        before, found, _ = self.frame.partition(ANSWER)
        if not found or SUBJECT not in before:
            raise ValueError(
                f"the frame '{self.frame}' must hold {SUBJECT} and, after it, {ANSWER}"
            )
        if len({*self.subjects}) < 2 or len({*self.answers}) < 2:
            raise ValueError("'subjects' and 'answers' must be two different words each")
        return self


class Pairs(Strict):
    """A file of sentences that probes compare."""

    paraphrases: tuple[Triple, ...] = Field((), description="triples for sentence encoders")
    probes: tuple[PairedProbe, ...] = Field((), description="sentences that differ in one word")
    prompts: tuple[PromptPair, ...] = Field(
        (), description="prompts that differ in one word, for activation patching"
    )

    @model_validator(mode="after")
    def _unique(self) -> Pairs:
        refuse_repeats("paraphrases", [each.id for each in self.paraphrases])
        refuse_repeats("probes", [each.id for each in self.probes])
        refuse_repeats("prompts", [each.id for each in self.prompts])
        return self
