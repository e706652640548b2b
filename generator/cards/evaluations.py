"""What was evaluated here, as one list: for the card, for its metadata and for evaluation.csv."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.findings import Carded, TextFindings, VisionFindings
from generator.probes.language_loss import LanguageLoss
from generator.probes.learned_classes import LearnedClasses
from generator.probes.paraphrases import Paraphrases
from generator.probes.recognition import Recognition
from generator.shares import share_error

NAN = float("nan")


@dataclass(frozen=True)
class Control:
    """What the same measure gives where nothing was learned."""

    name: str
    value: float
    spread: float = NAN


@dataclass(frozen=True)
class Data:
    """What was evaluated on: the Hub's name of the task, our name of the set, and a digest of its inputs."""

    task: str
    id: str
    name: str
    digest: str


@dataclass(frozen=True)
class Evaluation:
    """One number with all that it needs to be understood. `metric` is the Hub's name of it.

    `limit` marks one that was made to be failed: it stands among the probes, not in the metadata. `error` is
    the standard error of `value`, `spread` a standard deviation over what `counted` names;
    nan where they have no meaning. `unit` is "share", "nats" or "".
    """

    key: str
    title: str
    data: Data
    metric: str
    metric_name: str
    value: float
    error: float
    spread: float
    count: int
    counted: str
    unit: str
    definition: str
    controls: tuple[Control, ...]
    limit: bool = False


def evaluations(found: Carded) -> tuple[Evaluation, ...]:
    """Every evaluation of a model, in the order in which a card lists them."""
    if isinstance(found, TextFindings):
        return tuple(_of_texts(found))
    return tuple(_of_pictures(found))


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:12]


def _of_texts(found: TextFindings) -> Iterator[Evaluation]:
    loss, paraphrases = found.evaluation.loss, found.evaluation.paraphrases
    if loss is not None:
        yield from _losses(found, loss)
    if paraphrases is not None:
        yield from _paraphrases(found, paraphrases)


_PREDICTED = {
    "next token": "each token but the first is predicted from those before it",
    "masked token": "each token is masked in turn and predicted from all others (Salazar et al. 2020)",
}


def _losses(found: TextFindings, loss: LanguageLoss) -> Iterator[Evaluation]:
    one, random = loss.trained, loss.random
    chosen = [text for text in found.texts if text.id in one.texts]
    decoder = loss.kind == "next token"
    data = Data(
        "text-generation" if decoder else "fill-mask",
        "cutaway-texts",
        f"{len(chosen)} curated texts, {one.tokens} predicted tokens",
        _digest([text.text for text in chosen]),
    )
    how = (
        f"Mean of -ln p over all predicted tokens of the curated texts; {_PREDICTED[loss.kind]}. "
        f"The standard error takes the {len(chosen)} texts, not the tokens, as drawn at random; the spread "
        "is the standard deviation of the texts’ means."
    )
    yield Evaluation(
        data=data,
        key="loss",
        title="Loss on the curated texts",
        metric="loss",
        metric_name=f"{'Next' if decoder else 'Masked'}-token loss, nats a token",
        value=one.mean,
        error=one.error,
        spread=one.spread,
        count=one.tokens,
        counted="tokens",
        unit="nats",
        definition=how,
        controls=(
            Control("random weights", random.mean, random.spread),
            Control(f"all {loss.vocabulary:,} tokens equally likely", loss.uniform),
        ),
    )
    name = "perplexity" if decoder else "pseudo-perplexity"
    yield Evaluation(
        data=data,
        key="perplexity",
        title=f"{name.capitalize()} on the curated texts",
        metric="perplexity",
        metric_name=name.capitalize(),
        value=float(np.exp(one.mean)),
        error=float(np.exp(one.mean) * one.error),
        spread=NAN,
        count=one.tokens,
        counted="tokens",
        unit="",
        definition="exp(loss): as unsure as among so many equally likely tokens. Its standard error is that "
        "of the loss, carried over to first order.",
        controls=(Control("random weights", float(np.exp(random.mean))),),
    )


def _paraphrases(found: TextFindings, made: Paraphrases) -> Iterator[Evaluation]:
    one, random, words = made.trained, made.random, made.words
    count = len(made.ids)
    triples = found.evaluation.pairs.paraphrases
    data = Data(
        "sentence-similarity",
        "cutaway-paraphrases",
        f"{count} curated sentences and their paraphrases",
        _digest([triple.model_dump_json() for triple in triples]),
    )
    yield Evaluation(
        data=data,
        key="paraphrase-found",
        title="Paraphrase found among all others",
        metric="accuracy",
        metric_name="Accuracy of finding the paraphrase",
        value=one.found / count,
        error=share_error(one.found, count),
        spread=NAN,
        count=count,
        counted="sentences",
        unit="share",
        definition=f"Share of sentences whose nearest neighbour, by cosine similarity among the {count} "
        "paraphrases, is their own.",
        controls=(
            Control("words in common", words.found / count),
            Control("random weights", random.found / count),
            Control("chance", 1 / count),
        ),
    )
    yield Evaluation(
        data=data,
        key="paraphrase-preferred",
        title="Paraphrase preferred to a distractor",
        metric="cosine_accuracy",
        metric_name="Accuracy on triplets (paraphrase, distractor of the same words)",
        value=one.preferred / count,
        error=share_error(one.preferred, count),
        spread=NAN,
        count=count,
        counted="sentences",
        unit="share",
        definition="Share of sentences that are nearer to their paraphrase, which has other words, than to "
        "their distractor, which has most of the same words and says something else.",
        controls=(
            Control("words in common", words.preferred / count),
            Control("random weights", random.preferred / count),
            Control("chance", 0.5),
        ),
        limit=True,
    )
    yield Evaluation(
        data=data,
        key="paraphrase-separation",
        title="Paraphrases told from unrelated sentences",
        metric="roc_auc",
        metric_name="Area under the ROC curve, paraphrases against unrelated sentences",
        value=one.separation,
        error=NAN,
        spread=NAN,
        count=count + len(one.unrelated),
        counted="pairs",
        unit="share",
        definition="Chance that the similarity of a sentence and its paraphrase exceeds that of a sentence "
        "and the paraphrase of another one.",
        controls=(
            Control("words in common", words.separation),
            Control("random weights", random.separation),
            Control("chance", 0.5),
        ),
    )
    yield Evaluation(
        data=data,
        key="paraphrase-similarity",
        title="Similarity of a sentence and its paraphrase",
        metric="cosine_similarity",
        metric_name="Mean cosine similarity of paraphrases",
        value=float(one.paired.mean()),
        error=float(one.paired.std(ddof=1) / np.sqrt(count)),
        spread=float(one.paired.std(ddof=1)),
        count=count,
        counted="pairs",
        unit="",
        definition="Mean cosine similarity of a sentence and its paraphrase; embeddings are means over all "
        "tokens of the final representation.",
        controls=(
            Control("unrelated sentences", float(one.unrelated.mean()), _sd(one.unrelated)),
            Control("paraphrases, random weights", float(random.paired.mean()), _sd(random.paired)),
            Control("unrelated, random weights", float(random.unrelated.mean())),
        ),
    )


def _sd(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else NAN


def _of_pictures(found: VisionFindings) -> Iterator[Evaluation]:
    evaluation = found.evaluation
    if evaluation.curated is not None:
        digests = [
            image.sha256 for image in found.images if image.id in evaluation.curated.pictures
        ]
        total = len(found.images)
        yield from _recognition("pictures", "curated pictures", total, evaluation.curated, digests)
    if evaluation.pool is not None:
        chosen = set(evaluation.pool.pictures)
        digests = [one.sha256 for one in found.pool if one.id in chosen]
        yield from _recognition(
            "pool", "pictures of the pool", len(found.pool), evaluation.pool, digests
        )
    learned = found.searched.learned if found.searched else None
    if learned is not None and learned.learned is not None:
        yield _learned(found, learned)


def _recognition(
    key: str, name: str, total: int, made: Recognition, digests: Sequence[str]
) -> Iterator[Evaluation]:
    subjects = len(set(made.subjects))
    several = subjects < len(made.pictures)
    of = f"{len(made.pictures)} {name}" + (f" of {subjects} things" if several else "")
    left = total - len(made.pictures)
    scope = (
        f" {left} of {total} pictures show nothing that the network has a class for and are left out."
        if left
        else ""
    )
    each = " Pictures of one thing count as one." if several else ""
    for places in (1, 5) if made.classes > 20 else (1,):
        top = f"top-{places}"
        controls = [Control("classes drawn at random", made.chance(places))]
        if places == 1:
            controls.insert(0, Control("answers exchanged among the pictures", made.dealt))
        yield Evaluation(
            key=f"{key}-{top}",
            title=f"{top.capitalize()} accuracy on {name}",
            data=Data("image-classification", f"cutaway-{key}", of, _digest(digests)),
            metric="accuracy" if places == 1 else "top_5_accuracy",
            metric_name=f"{top.capitalize()} accuracy",
            value=made.accuracy(places),
            error=made.error(places),
            spread=NAN,
            count=subjects,
            counted="things" if several else "pictures",
            unit="share",
            definition="Share of pictures with a right class "
            + ("in the first place" if places == 1 else f"among the {places} most probable")
            + f" of {made.classes:,} classes.{each}{scope}",
            controls=tuple(controls),
        )


def _learned(found: VisionFindings, learned: LearnedClasses) -> Evaluation:
    assert learned.learned is not None
    return Evaluation(
        key="learned-classes",
        title="Classes learned from the last feature maps",
        data=Data(
            "image-classification",
            "cutaway-pool-groups",
            f"{len(learned.pictures)} pictures of the pool in {len(learned.classes)} folders",
            _digest([one.sha256 for one in found.pool if one.id in set(learned.pictures)]),
        ),
        metric="accuracy",
        metric_name="Cross-validated accuracy of logistic regression on pooled features",
        value=learned.accuracy,
        error=learned.standard_error,
        spread=_sd(learned.fold_accuracies),
        count=len(learned.pictures),
        counted="pictures",
        unit="share",
        definition=f"Logistic regression on the channel means of {learned.layer} tells "
        f"{', '.join(learned.classes)} apart; mean over {len(learned.fold_accuracies)} folds, all pictures "
        "of one thing in one fold. It says what the features hold, not what the network’s own classes "
        "say. The standard error is over folds, which share training pictures: it is rather too small.",
        controls=(
            Control("shuffled labels", learned.shuffled, _sd(learned.learned.shuffled)),
            Control("always the most frequent", learned.majority),
        ),
    )
