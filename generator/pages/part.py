"""Pages of a model beside its layers, units and heads: their names, and the words above them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Part:
    """One way into a model: its page, its name, and what a reader sees there.

    `key` is its folder, `page` what sections call it, `subject` what they are about. `heading` stands above
    it, `lead` below that, `description` is for search engines; {} is the model's name in all three.
    `more_tables` are offered beside those of the techniques on the page.
    """

    key: str
    title: str
    about: str
    lead: str = ""
    description: str = ""
    more_tables: tuple[str, ...] = ()
    heading: str = ""
    page: str = ""
    subject: tuple[Any, ...] = ()
    searchable: bool = True


OVER_PATCHES = Part(
    "attention",
    "Attention over patches",
    "where every head looks in a picture, and the answer followed back through the blocks",
    description="Where the heads of {} look in pictures, and its answer followed back through the blocks by "
    "attention rollout.",
    heading="Attention over patches: {}",
)
CLASSES = Part(
    "classes",
    "What made the class",
    "where the evidence for each class lies",
    "Where in a picture {} finds the evidence for what it says.",
    "Class activation maps, Grad-CAM and learned classes of {}: where in each picture the evidence lies, "
    "with the sums that check it.",
)
MATCHING = Part(
    "matching",
    "Pictures and texts",
    "which text fits which picture, and which patches move the match",
    "Which text fits which picture for {}, and which patches move the match.",
)
EVOLUTION = Part(
    "evolution",
    "Features, layer by layer",
    "patches and what is left of them in pixels",
    "What units of {} respond to, from the first layer to the last.",
    "How features grow through {}: units of its layers, the patches that excite them and their "
    "deconvolutions.",
    ("exemplars.csv", "pool.csv"),
)
FEATURES = Part(
    "features",
    "Feature visualisation",
    "pictures made to excite units and classes",
    "Pictures made from noise until a unit, or a class, of {} answers strongly.",
    "Pictures made to excite units and classes of {}, and what each of them reaches.",
)
BLOCKS = Part(
    "building-blocks",
    "Building blocks",
    "one layer taken apart, cell by cell",
    "What one layer of {} says of every part of a picture, and what that does to the classes.",
    "One layer of {} taken apart on pictures: the channels that respond in each cell, groups of channels, "
    "and what they do to the classes.",
)
# Of a network that names no classes.
CELLS = replace(
    BLOCKS,
    lead="What one layer of {} says of every part of a picture.",
    description="One layer of {} taken apart on pictures: the channels that respond in each cell, and groups "
    "of channels.",
)
TRAINING = Part(
    "training",
    "Through training",
    "the same units at several epochs",
    "The same units of {} at several states of its training.",
    "The same units of {} at several states of its training.",
    ("pool.csv",),
)
COURSE = replace(
    TRAINING,
    about="every head and the loss by position at several states of training",
    lead="The same heads of {} at several states of its training.",
    description="Heads and losses of {} at several states of its training.",
    more_tables=(),
)
CONTROLS = Part(
    "controls",
    "Controls",
    "the same methods on random weights",
    "What the same methods show where there is nothing to see: {} with random weights.",
)
WORKED = Part(
    "context",
    "Context, worked through",
    "one token through one head, with the real numbers",
    "What self-attention does to one token of {}, with every number: first three words with two numbers "
    "each, then a real head.",
    "One token through an attention head of {}: query, keys, scores, softmax, the weighted sum of values and "
    "how far it moves the token, with the real numbers.",
    searchable=False,
)
DECODING = Part(
    "decoding",
    "What it would say at each layer",
    "the logit lens, and which heads wrote the predicted token",
    "{} guesses a next token at every position. Here its guesses are read off after every layer, and the "
    "token that it ends with is split into what each head and each MLP wrote.",
    "The logit lens of {}: its next-token guess after each layer, and what every head and MLP wrote towards "
    "the token that it predicts.",
    searchable=False,
)
DECODING_HEADS = replace(
    DECODING,
    lead="{} guesses a next token at every position. Here its guesses are read off after every layer, and "
    "the token that it ends with is split into what each head wrote: its blocks have no MLPs.",
    description="The logit lens of {}: its next-token guess after each layer, and what every head wrote "
    "towards the token that it predicts.",
)
PATCHING = Part("patching", "Activation patching", "what brings an answer into another prompt")
DICTIONARIES = Part(
    "dictionaries",
    "Sparse dictionaries",
    "what its layers hold, taken apart into latents that are seldom active",
    "What a layer of {} holds, taken apart into many latents of which a token has few: how well that stands "
    "for it, and what each answers to.",
    "Sparse dictionaries of {}: variance explained, loss recovered, and latents with the passages that "
    "excite them most.",
)
WORDS = Part(
    "words",
    "Which words mattered",
    "every token lit by what it adds to the answer, and whether that holds when it is left out",
    "Which tokens of a text {} owes its answer to, by three methods, each held against leaving them out.",
    "What each token of a text adds to the answer of {}: leave-one-out, input × gradient and integrated "
    "gradients, with deletion curves beside random orders.",
)
TRY_TEXT = Part(
    "try",
    "Try your own",
    "your own sentence through every head, in your browser",
    "Type a sentence: {} itself runs in your browser, and every head of it can be looked at.",
    "{} on your own sentence, in your browser: every attention head, and what the network makes of it.",
)
TRY_PICTURE = replace(
    TRY_TEXT,
    about="your own picture through every layer, in your browser",
    lead="Choose a picture: {} itself runs in your browser, and every layer of it can be looked at.",
    description="{} on your own picture, in your browser: its classes, the maps of every layer, and the "
    "units that answer most.",
)
PICTURES_PART = Part(
    "pictures",
    "Pictures",
    "the pictures that everything here is made of: whose they are, under which licences",
    "The pictures that {} is shown, and whose they are.",
    "Authors, origins and licences of all pictures that {} is shown.",
    ("pool.csv",),
    searchable=False,
)
CARD = Part("card", "Model card", "what it is for, how well it does, what was probed")
