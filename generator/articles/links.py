"""Links from articles into the models, with a picture and a measured note for the reader who hesitates."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from generator.addresses import Link, head_address, layer_address, model_address, unit_address
from generator.articles.catalogue import Catalogue
from generator.articles.document import Document, Renderer
from generator.articles.errors import template_line
from generator.errors import UsageError
from generator.formatting import number, percent
from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.pages.context import size_text
from generator.pages.parts import ways
from generator.probes.exemplars import searched_units
from generator.run import PICTURES, Run, why_not
from generator.techniques.exemplars import exemplars_of
from generator.techniques.features import picture, visualised
from generator.techniques.heads import measured
from generator.techniques.links import layer_title, paged_layers
from generator.techniques.measured_stack import MeasuredStack, stack_named
from generator.techniques.naming import layer_of, layers_text, listed, one_of, unit_of
from generator.techniques.neuron_choice import paged_units
from generator.techniques.neurons import NEURONS, chosen_of, neuron_link, neurons
from generator.techniques.patch_figures import head_preview
from generator.techniques.signal import SIGNAL
from generator.techniques.token_unit_list import strongest

# What the note of a head says, where it was measured.
_TOLD = ("previous_token", "induction", "sink_mass")


@dataclass(frozen=True, eq=False)
class Links:
    """A link for each kind of page. What a link says is a name, unless `text` says otherwise."""

    document: Document
    catalogue: Catalogue

    def head(
        self, model: str, layer: int | str, head: int, text: str = "", stack: str = ""
    ) -> Markup:
        """An attention head, written L18H6; of an encoder-decoder one of a `stack`, written X1H3."""
        run = self.catalogue.run(model)
        heads = stack_named(run.model, stack)
        row, column = heads.layer_named(layer), heads.head_numbered(head)
        name, place = heads.head(row, column), heads.layers[row].name
        if not heads.paged(row):
            with_pages = [one.name for at, one in enumerate(heads.layers) if heads.paged(at)]
            near = ", ".join(with_pages) or "none"
            raise UsageError(f"the heads of {place} have no pages. Those with pages: {near}.")
        if run.reads == PICTURES:
            picture = self._over_picture(run, row, column)
        else:
            first = run.inputs.texts[0].id
            picture = f"{run.folder}/layers/{place}/heads/{column}/{first}.webp"
        link = Link(head_address(model, place, column), text or name)
        note = f"{name} of {run.model.title}: {_of_head(measured(run, heads), row, column)}"
        return self._link(link, [picture], note, "head")

    def _over_picture(self, run: Run, block: int, head: int) -> str:
        """The path of a head's map over the first picture, which is drawn for the link."""
        source = self.document.source
        drawing = head_preview(run, (block, head), f"{source.section}/{source.stem}")
        if all(drawing.paths != one.paths for one in self.document.drawings):
            self.document.drawings.append(drawing)
        return drawing.paths[0]

    def unit(self, model: str, layer: str | int, unit: int, text: str = "") -> Markup:
        """A unit of a layer, or a neuron of its MLP, written L5 N12."""
        run = self.catalogue.run(model)
        if run.reads != PICTURES:
            return self._neuron(run, layer_of(run.model, layer), unit, text)
        found = layer_of(run.model, layer)
        number_of = unit_of(found, unit)
        searched = searched_units(run.vision) if run.inputs.pool else ()
        with_pages = [one.name for one in searched]
        if found.name not in with_pages:
            near = f"Units have pages in {', '.join(with_pages)}." if with_pages else "None have."
            raise UsageError(f"the units of {found.name} have no pages. {near}")
        paged = paged_units(run, found)
        if number_of not in paged:
            numbers = ", ".join(str(one) for one in paged) or "none"
            raise UsageError(f"of the neurons of {found.name} these have pages: {numbers}.")
        link = Link(
            unit_address(model, found.name, number_of), text or f"{found.name} unit {number_of}"
        )
        strip = f"{run.folder}/layers/{found.name}/units/{number_of}-rules.webp"
        made = visualised(run, found.name, number_of)
        drawn = [picture(run, made, "").path] if made else []
        return self._link(link, [*drawn, strip], _of_unit(run, found, number_of), "unit")

    def _neuron(self, run: Run, layer: Layer, unit: int, text: str) -> Markup:
        reason, paged = why_not(NEURONS, run), chosen_of(run, layer).units
        if unit not in paged:
            numbers = ", ".join(str(one) for one in paged)
            known = f"of the neurons of layer {layer.name} these have pages: {numbers or 'none'}."
            raise UsageError(f"{run.model.id}: {reason or known}")
        link, shown = neuron_link(run, layer.name, unit), neurons(run)
        place = shown.found.place(layer.name) or 0
        first = strongest(run, shown.layer(place).by_peak, unit, 3)
        tokens = listed([f"“{token}”" for token in dict.fromkeys(token for _, token, _ in first)])
        name = shown.found.name_of(place, unit)
        note = f"{link.text} of {run.model.title}, excited most by {tokens}"
        note += f"; tells {name[0]} from the rest, AUROC {number(name[1], 2)}" if name else ""
        return self._link(Link(link.target, text or link.text), [], note, "unit")

    def layer(self, model: str, layer: str | int, text: str = "") -> Markup:
        """A layer."""
        network = self.catalogue.run(model).model
        found = layer_of(network, layer)
        one_of(
            "layer",
            found.name,
            [one.name for one in paged_layers(network)],
            "no page is made of the",
        )
        folder = f"models/{model}/layers/{found.name}"
        texts = [text.id for text in self.catalogue.run(model).inputs.texts[:1]]
        pictures = (
            [f"{folder}/heads-{one}.webp" for one in texts]
            if found.heads
            else [f"{folder}/units.webp"]
        )
        shape = " × ".join(str(side) for side in found.shape)
        note = f"{found.heads} heads" if found.heads else f"{found.kind}, {shape}"
        link = Link(layer_address(model, found.name), text or layer_title(network, found))
        return self._link(link, pictures, f"{link.text} of {network.title}: {note}", "layer")

    def model(self, model: str, text: str = "") -> Markup:
        """A model."""
        network = self.catalogue.run(model).model
        seen = isinstance(network, VisionModel)
        layers = layers_text(network.layers) if seen else f"{len(network.layers)} layers"
        note = f"{network.title}: {layers}, {size_text(network.parameters)} parameters"
        link = Link(model_address(model), text or network.title)
        return self._link(link, [f"models/{model}/card.webp"], note, "model")

    def page(self, model: str, part: str, text: str = "") -> Markup:
        """One of a model's own pages, such as its building blocks."""
        run = self.catalogue.run(model)
        known = {
            link.target.split("/", 2)[2].removesuffix("/index.html"): link for link, _ in ways(run)
        }
        found = known[one_of("page", part, known, f"{model} has no")]
        link = Link(found.target, text or found.text)
        return self._link(link, [], f"{found.text}: {run.model.title}", "page")

    def _link(self, link: Link, pictures: list[str], note: str, directive: str) -> Markup:
        def filled(filling: Renderer) -> Markup:
            drawn = next((path for path in pictures if filling.pages.has(path)), "")
            return filling.macro("inside", link, drawn, note, filling.to)

        return self.document.gap(template_line(), directive, filled, link.text)


def _of_head(found: MeasuredStack, layer: int, head: int) -> str:
    """The role of a head, if it has one, and what its statistics say of it."""
    role = found.role(layer, head)
    names = [name for name in _TOLD if name in found.known] or found.telling_axes
    values = [
        f"{name.replace('_', ' ')} {number(float(found.known[name].mean[layer, head]), 2)}"
        for name in names
    ]
    return ", ".join([*([role] if role else []), *values])


def _of_unit(run: Run, layer: Layer, unit: int) -> str:
    exemplars = exemplars_of(run, layer.name)
    share = float(run[SIGNAL].of(layer.name).active[unit])
    said = f"Unit {unit} of {layer.name}: above zero at {percent(share)} of positions"
    if exemplars is None or int(exemplars.neuron[unit, 0]) < 0:
        return said
    best = run.inputs.pool[int(exemplars.neuron[unit, 0])].label
    return f"{said}, strongest on {best} ({number(float(exemplars.neuron_value[unit, 0]), 2)})"
