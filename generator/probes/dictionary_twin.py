"""What the training of a dictionary finds in random weights: the same training, on both networks.

A dictionary explains variance, and has latents that a reader can name, in a network that learned nothing too
(Heap et al. 2025): tokens and positions alone have structure. What is found in both says little of training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from generator.errors import UsageError
from generator.models.dictionary import TOPK, Dictionary
from generator.models.randomise import random_twin
from generator.models.text_model import LanguageModel
from generator.probes.dictionaries import LOSSES, Evaluation, evaluate
from generator.probes.dictionary_training import (
    LATENTS,
    STEPS,
    as_dictionary,
    train_dictionary,
)
from generator.probes.passage_states import Passages, States, states_alone
from generator.store import Store

VERSION = 1


@dataclass(frozen=True)
class Twin:
    """A top-k dictionary trained on the model's weights and on random ones, on the same passages.

    Both have `latents` and `k`; `stand_in` says that they stand for a dictionary that was trained elsewhere,
    on more. If `reason` is not empty, nothing could be measured, and it says why.
    """

    latents: int
    k: int
    stand_in: bool
    trained: Evaluation | None
    random: Evaluation | None
    reason: str = ""


def compare_with_twin(
    model: LanguageModel,
    dictionary: Dictionary,
    l0: float,
    learned: Passages,
    held_out: Passages,
    store: Store,
    *,
    steps: int = STEPS,
    seed: int = 0,
    losses: int = LOSSES,
    states: States = states_alone,
    twin: Callable[[], LanguageModel] | None = None,
) -> Twin:
    """Train on `learned` passages of the model and of its random twin, and evaluate both on those held out.

    A dictionary that was trained here is trained in the same way. One that was loaded, with `l0` latents a
    token, would cost what it cost its makers: a top-k one of at most LATENTS latents stands for it. `twin`
    makes the network with random weights, drawn from `seed`. `losses` and `states` are those of `evaluate`.
    """
    here = dictionary.activation == TOPK and dictionary.origin == "trained here"
    latents = dictionary.latents if here else min(dictionary.latents, LATENTS)
    k = dictionary.k if here else min(max(1, round(l0)), latents)
    if dictionary.transcodes:
        reason = "it is a transcoder, and dictionaries that are trained here decode what they read."
        return Twin(latents, k, not here, None, None, reason)

    def on(network: LanguageModel, losses: int) -> Evaluation:
        trained = train_dictionary(
            network,
            dictionary.layer,
            learned,
            store,
            site=dictionary.site,
            latents=latents,
            k=k,
            steps=steps,
            seed=seed,
            states=states,
        )
        made = as_dictionary(trained, dictionary.name, network)
        return evaluate(network, made, held_out, store, seed=seed, losses=losses, states=states)

    try:
        random = (twin or partial(random_twin, model, seed))()
        # Nothing that random weights hold is worth anything to them, so that no loss can be recovered.
        pair = on(model, losses), on(random, 0)
        return Twin(latents, k, not here, *pair)
    except UsageError as error:
        return Twin(latents, k, not here, None, None, str(error))
