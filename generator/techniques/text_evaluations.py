"""What was evaluated of a model of texts: its loss, and what its embeddings make of paraphrases."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from generator.models.stated import VECTORS
from generator.probes.language_loss import LanguageLoss
from generator.probes.paraphrases import Paraphrases
from generator.run import Run
from generator.techniques.answers import ANSWERS
from generator.techniques.evaluation_record import NAN, Control, Data, Evaluation, digest
from generator.techniques.leans import LEANS
from generator.uncertainty import sample_deviation, share_error


def text_evaluations(run: Run) -> Iterator[Evaluation]:
    """The evaluations of a model of texts, in the order of its card."""
    loss, paraphrases = run[LEANS].loss, run[LEANS].paraphrases
    if loss is not None:
        yield from _losses(run, loss)
    if paraphrases is not None:
        yield from _paraphrases(run, paraphrases)


_PREDICTED = {
    "next token": "each token but the first is predicted from those before it",
    "masked token": "each token is masked in turn and predicted from all others (Salazar et al. 2020)",
}


def _losses(run: Run, loss: LanguageLoss) -> Iterator[Evaluation]:
    one, random = loss.trained, loss.random
    chosen = [text for text in run.inputs.texts if text.id in one.texts]
    decoder = loss.kind == "next token"
    data = Data(
        "text-generation" if decoder else "fill-mask",
        "cutaway-texts",
        f"{len(chosen)} curated texts, {one.tokens} predicted tokens",
        digest([text.text for text in chosen]),
    )
    how = (
        f"Mean of -ln p over all predicted tokens of the curated texts; {_PREDICTED[loss.kind]}. "
        f"The standard error takes the {len(chosen)} texts, not the tokens, as drawn at random; the spread "
        "is the sample standard deviation of the texts’ means."
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
        count=one.tokens,
        counted="tokens",
        definition="exp(loss): as unsure as among so many equally likely tokens. Its standard error is that "
        "of the loss, carried over to first order.",
        controls=(Control("random weights", float(np.exp(random.mean))),),
    )


def _paraphrases(run: Run, made: Paraphrases) -> Iterator[Evaluation]:
    data = Data(
        "sentence-similarity",
        "cutaway-paraphrases",
        f"{len(made.ids)} curated sentences and their paraphrases",
        digest([triple.model_dump_json() for triple in run.inputs.pairs.paraphrases]),
    )
    for evaluate in (_found, _preferred, _separation):
        yield evaluate(data, made)
    yield _similarity(data, made, VECTORS[run.language.pooling])


def _beside(words: float, random: float, chance: float) -> tuple[Control, ...]:
    """What counting words in common, random weights and chance give."""
    names = ("words in common", "random weights", "chance")
    return tuple(map(Control, names, (words, random, chance)))


def _found(data: Data, made: Paraphrases) -> Evaluation:
    one, random, words, count = made.trained, made.random, made.words, len(made.ids)
    return Evaluation(
        data=data,
        key="paraphrase-found",
        title="Paraphrase found among all others",
        metric="accuracy",
        metric_name="Accuracy of finding the paraphrase",
        value=one.found / count,
        error=share_error(one.found, count),
        count=count,
        counted="sentences",
        unit="share",
        definition=f"Share of sentences whose nearest neighbour, by cosine similarity among the {count} "
        "paraphrases, is their own.",
        controls=_beside(words.found / count, random.found / count, 1 / count),
    )


def _preferred(data: Data, made: Paraphrases) -> Evaluation:
    one, random, words, count = made.trained, made.random, made.words, len(made.ids)
    return Evaluation(
        data=data,
        key="paraphrase-preferred",
        title="Paraphrase preferred to a distractor",
        metric="cosine_accuracy",
        metric_name="Accuracy on triplets (paraphrase, distractor of the same words)",
        value=one.preferred / count,
        error=share_error(one.preferred, count),
        count=count,
        counted="sentences",
        unit="share",
        definition="Share of sentences that are nearer to their paraphrase, which has other words, than to "
        "their distractor, which has most of the same words and says something else.",
        controls=_beside(words.preferred / count, random.preferred / count, 0.5),
        limit=True,
    )


def _separation(data: Data, made: Paraphrases) -> Evaluation:
    one, random, words = made.trained, made.random, made.words
    return Evaluation(
        data=data,
        key="paraphrase-separation",
        title="Paraphrases told from unrelated sentences",
        metric="roc_auc",
        metric_name="Area under the ROC curve, paraphrases against unrelated sentences",
        value=one.separation,
        count=len(made.ids) + len(one.unrelated),
        counted="pairs",
        unit="share",
        definition="Chance that the similarity of a sentence and its paraphrase exceeds that of a sentence "
        "and the paraphrase of another one.",
        controls=_beside(words.separation, random.separation, 0.5),
    )


def _similarity(data: Data, made: Paraphrases, vectors: str) -> Evaluation:
    one, random, count = made.trained, made.random, len(made.ids)
    return Evaluation(
        data=data,
        key="paraphrase-similarity",
        title="Similarity of a sentence and its paraphrase",
        metric="cosine_similarity",
        metric_name="Mean cosine similarity of paraphrases",
        value=float(one.paired.mean()),
        error=float(sample_deviation(one.paired) / np.sqrt(count)),
        spread=float(sample_deviation(one.paired)),
        count=count,
        counted="pairs",
        definition=f"Mean cosine similarity of a sentence and its paraphrase; embeddings are {vectors}.",
        controls=(
            Control(
                "unrelated sentences",
                float(one.unrelated.mean()),
                float(sample_deviation(one.unrelated)),
            ),
            Control(
                "paraphrases, random weights",
                float(random.paired.mean()),
                float(sample_deviation(random.paired)),
            ),
            Control("unrelated, random weights", float(random.unrelated.mean())),
        ),
    )


def pair_evaluations(run: Run) -> Iterator[Evaluation]:
    """The loss on targets that were given; nothing where every target is the model's own answer."""
    given = {name: pair for name, pair in run[ANSWERS].items() if not pair.generated}
    if not given:
        return
    losses = np.array([pair.loss for pair in given.values()])
    random = run.control[ANSWERS]
    untrained = np.array([random[name].loss for name in given])
    several = len(losses) > 1
    yield Evaluation(
        data=Data(
            "text2text-generation",
            "cutaway-texts",
            f"{len(given)} curated texts with a target",
            digest([f"{run.text(name).text}\n{pair.target}" for name, pair in given.items()]),
        ),
        key="loss",
        title="Loss on the targets that texts come with",
        metric="loss",
        metric_name="Loss on the target, nats a token",
        value=float(losses.mean()),
        error=float(sample_deviation(losses) / np.sqrt(len(losses))) if several else NAN,
        spread=float(sample_deviation(losses)) if several else NAN,
        count=len(given),
        counted="texts",
        unit="nats",
        definition="Mean over texts of -ln p over the tokens of the target, each predicted from the source "
        "and from the tokens of the target before it. The standard error takes the texts as drawn at random.",
        controls=(Control("random weights", float(untrained.mean())),),
    )
