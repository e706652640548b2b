"""The sections on licence, environment, provenance and citation: nothing in them is written by hand."""

from __future__ import annotations

import platform

from generator import __version__
from generator.addresses import Link, on_the_web, part_address
from generator.card_schema import CardSpec
from generator.cards.stated import cited
from generator.cards.tree import Block, Code, Facts, Line, Listing, Paragraph, Section
from generator.exhibit import Exhibit
from generator.formatting import amount, thousands
from generator.models.stacks import CROSS, DECODER, ENCODER
from generator.models.tokens import context_text
from generator.pages.context import size_text
from generator.run import PAIRS, PICTURES, Run
from generator.techniques.measured_stack import heads_of
from generator.techniques.naming import counted
from generator.versions import measured_with

NOT_STATED = "not stated"
CARD = "card"


def about(run: Run) -> Section:
    """Kind and size of the network."""
    model = run.model
    layers = counted(run.vision)[0] if run.reads == PICTURES else str(len(model.layers))
    rows: list[tuple[str, Line]] = [
        ("Kind", (model.kind,)),
        ("Parameters", (f"{size_text(model.parameters)} ({thousands(model.parameters)})",)),
        ("Layers", (layers.removesuffix(" layers").replace(" layers", ","),)),
    ]
    if run.reads == PICTURES:
        size = run.vision.preprocessing.size
        rows += [
            ("Input", (f"{size} × {size} pixels",)),
            ("Classes", (thousands(len(run.vision.labels)),)),
        ]
    else:
        rows += _reads(run)
    return Section("about", "What it is", (Facts(tuple(rows)),))


def _reads(run: Run) -> list[tuple[str, Line]]:
    """What there is to say of a model that reads texts."""
    stacks = heads_of(run.model)
    longest = (run.pair if run.reads == PAIRS else run.language).max_tokens
    of = {ENCODER: " of the encoder", DECODER: " of the decoder", CROSS: " across"}
    heads = (f"{one.heads} a layer{of.get(one.stack, '')}" for one in stacks)
    answers = "a text" if run.reads == PAIRS else run.language.head_kind
    return [
        ("Attention heads", (", ".join(dict.fromkeys(heads)),)),
        ("Width", (str(run.model.layers[0].shape[0]),)),
        ("Longest input", (context_text(longest),)),
        ("Answers with", (answers,)),
    ]


def licence(run: Run) -> Section:
    """The licence of the weights; no section where none is stated."""
    stated = run.model.provenance.licence
    if stated == NOT_STATED:
        return Section("licence", "Licence")
    text = f"The weights are under {stated}, as their source states."
    return Section("licence", "Licence", (Paragraph((text,)),))


def environment(run: Run, exhibit: Exhibit) -> Section:
    """What the numbers were measured with."""
    used = measured_with()
    libraries = ", ".join(f"{name} {version}" for name, version in used["libraries"].items())
    rows: list[tuple[str, Line]] = [
        ("Cutaway", (__version__,)),
        ("Python", (f"{used['python']} on {platform.system()}, {used['machine']}",)),
        ("Libraries", (libraries,)),
        ("Device", (run.model.device.type,)),
        ("Seed", (str(exhibit.seed),)),
    ]
    return Section("environment", "Environment", (Facts(tuple(rows)),))


def provenance(run: Run) -> Section:
    """Where the weights and the inputs come from, with their digests."""
    origin = run.model.provenance
    rows: list[tuple[str, Line]] = [
        ("Source", (Code(origin.source),)),
        ("Origin", (origin.origin,)),
    ]
    if origin.revision:
        rows.append(("Revision", (Code(origin.revision),)))
    rows.append(("Architecture", (Code(origin.architecture),)))
    rows += [(f"SHA-256 of {name}", (Code(digest),)) for name, digest in origin.files.items()]
    rows.append(("SHA-256 of the weights", (Code(origin.weights_sha256),)))
    shown = _pictures(run) if run.reads == PICTURES else amount(len(run.inputs.texts), "text")
    manifest = Link("manifest.json", "manifest.json")
    inputs = Paragraph(
        (f"Measured on {shown}; ", manifest, " of the site lists every one of them.")
    )
    return Section("provenance", "Provenance", (Facts(tuple(rows)), inputs))


def _pictures(run: Run) -> str:
    pool = f" and a pool of {len(run.inputs.pool)}" if run.inputs.pool else ""
    return f"{len(run.inputs.images)} curated pictures{pool}"


def cite(run: Run, card: CardSpec, exhibit: Exhibit) -> Section:
    """The model's own entry as stated, and one for this card."""
    blocks: list[Block] = []
    if card.citation:
        blocks += [Paragraph(("The model:",)), *cited(card.citation)]
    blocks += [Paragraph(("This card:",)), Listing(_entry(run, exhibit), "bibtex")]
    return Section("cite", "How to cite", tuple(blocks))


def _entry(run: Run, exhibit: Exhibit) -> str:
    model = run.model
    digest = model.provenance.weights_sha256[:12]
    lines = [
        f"@misc{{cutaway-{model.id},",
        f"  title = {{Model card of {_braced(model.title)}, measured by Cutaway}},",
        f"  note = {{{_braced(exhibit.title)}. Cutaway {__version__}, weights {digest}}},",
    ]
    if exhibit.site_url:
        lines.append(f"  url = {{{card_url(exhibit, model.id)}}},")
    return "\n".join([*lines, "}"])


def _braced(text: str) -> str:
    """Text that ends no BibTeX field."""
    return text.replace("\\", "").replace("{", "(").replace("}", ")")


def card_url(exhibit: Exhibit, model: str) -> str:
    """The card's address on the web; empty without one."""
    return on_the_web(exhibit.site_url, card_address(model))


def card_address(model: str) -> str:
    """The page of a model's card."""
    return part_address(model, CARD)
