"""An article between its text and its page: HTML with gaps, figures, numbers, citations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from generator.addresses import relative
from generator.articles.addresses import Written, links_in
from generator.articles.bibliography import Bibliography, Reference
from generator.articles.errors import Mistakes, WritingError, named
from generator.articles.markdown import GAP, Heading, as_text, convert_line, fill, gap
from generator.articles.source import Source
from generator.errors import UsageError, did_you_mean
from generator.figures.figure import Drawing, Figure
from generator.inputs.shown import Picture
from generator.pages.environment import Pages

# How wide figures are drawn, in CSS pixels, by the part of the page's grid that they stand in.
WIDTHS = {"gutter": 260, "text": 680, "middle": 860, "page": 1080, "screen": 1320}


@dataclass(frozen=True)
class Anchor:
    """What can be referred to: "Figure 3", and the line it is on."""

    text: str
    line: int


@dataclass(frozen=True)
class Claim:
    """A sentence that was checked: its id on the page, its text, and the condition with its numbers."""

    id: str
    text: str
    condition: str
    numbers: str


@dataclass(frozen=True, eq=False)
class Wanted:
    """A figure of an article: how it is drawn, and what is said of it; `model` is empty where it has none.

    Within a choice `variant` counts, from 1, the combination of values that it is drawn for.
    """

    id: str
    kind: str
    model: str
    number: int
    figure: Figure
    alt: str
    caption: str
    layout: str
    variant: int = 0

    @property
    def path(self) -> str:
        """The picture, for light grounds where there are two."""
        return self.figure.drawing.paths[0]

    @property
    def paths(self) -> tuple[str, ...]:
        """The picture; for photographs one for a light ground and one for a dark."""
        return self.figure.drawing.paths

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The same with what is said of them; a chart is turned over on a dark ground."""
        chart = len(self.paths) == 1
        numbers = range(len(self.paths))
        return tuple(replace(self.figure, alt=self.alt, number=n, ink=chart) for n in numbers)


@dataclass(frozen=True, eq=False)
class Placeholder:
    """Markup that a directive makes once everything is drawn, and the line on which it was asked for.

    `text` is what a reader sees of it, as far as that is known while the article is read.
    """

    line: int
    directive: str
    fill: Callable[[Renderer], Markup]
    text: str = "…"


@dataclass(eq=False)
class Document:
    """What is known of one article while its text is read.

    `links` has how each link was written, `claims` the sentences that were checked and hold. `variant` is 0
    but while a choice is read: then it counts the combinations of its values from 1, `shared` has the ids
    that these have in common, and `repeated` the words that all but the first repeat.
    """

    source: Source
    bibliography: Bibliography
    gaps: list[Placeholder] = field(default_factory=list)
    figures: list[Wanted] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    anchors: dict[str, Anchor] = field(default_factory=dict)
    cited: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    links: dict[str, Written] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    mistakes: Mistakes = field(default_factory=Mistakes)
    variant: int = 0
    shared: list[str] = field(default_factory=list)
    repeated: int = 0

    def gap(
        self, line: int, directive: str, filler: Callable[[Renderer], Markup], text: str = "…"
    ) -> Markup:
        """A word in the place of what will stand there, which reads `text`."""
        self.gaps.append(Placeholder(line, directive, filler, text))
        return Markup(gap(len(self.gaps) - 1))

    def plain(self, markdown: str) -> str:
        """What a reader sees of a line, with "…" for what is not known before everything is drawn."""
        html = GAP.sub(lambda match: self.gaps[int(match[1])].text, convert_line(markdown))
        return " ".join(as_text(html).split())

    def block(self, line: int, directive: str, filler: Callable[[Renderer], Markup]) -> Markup:
        """The same in a paragraph of its own."""
        return Markup("\n\n{}\n\n").format(self.gap(line, directive, filler))

    def count(self, what: str) -> int:
        """The next number of a kind of thing that is numbered."""
        self.counts[what] = self.counts.get(what, 0) + 1
        return self.counts[what]

    def anchor(self, line: int, name: str, text: str) -> str:
        """Something that can be referred to, and its id. Raises UsageError for an id that is taken.

        In a choice every combination has its own: where all share `name`, that of the second is `name.2`.
        """
        own = within(name, self.variant)
        for each in dict.fromkeys((name, own)):
            if each in self.shared:
                continue
            if each in self.anchors:
                before = self.anchors[each].line
                raise UsageError(f"the id '{each}' is used more than once, on line {before} too.")
            self.anchors[each] = Anchor(text, line)
        if self.variant and name not in self.shared:
            self.shared.append(name)
        return own

    def written(self, link: str) -> Written:
        """How a link of the finished page was written; on line 1 where no author wrote it."""
        return self.links.get(link, Written(link, 1))

    def known(self, name: str) -> str:
        """What an id is called, as far as it stands before this line."""
        return self.anchors[name].text if name in self.anchors else "…"

    def cite(self, key: str) -> int:
        """The number of a cited work, in order of first citation."""
        self.bibliography.check(key)
        return self.cited.setdefault(key, len(self.cited) + 1)


@dataclass(frozen=True, eq=False)
class Article:
    """A read article: HTML with gaps, what is needed to fill them, and the pictures it shows."""

    document: Document
    html: str
    headings: tuple[Heading, ...]
    abstract: str
    appendix: Mapping[str, str]
    pictures: tuple[Picture, ...] = ()

    @property
    def source(self) -> Source:
        """The text it was read from."""
        return self.document.source

    @property
    def drawings(self) -> list[Drawing]:
        """All pictures that it wants drawn."""
        return [
            *(wanted.figure.drawing for wanted in self.document.figures),
            *self.document.drawings,
        ]

    def references(self) -> tuple[Reference, ...]:
        """What it cites, in the order of the text."""
        book = self.document.bibliography
        return tuple(book.reference(key, number) for key, number in self.document.cited.items())


@dataclass(frozen=True, eq=False)
class Renderer:
    """Fills the placeholders of one article once all pictures are drawn; its document keeps mistakes."""

    article: Article
    pages: Pages

    def to(self, target: str) -> str:
        """The link from the article's page to an address."""
        return relative(self.article.source.address, target)

    def html(self, text: str) -> Markup:
        """HTML without gaps."""
        return fill(text, self._fill)

    def line(self, markdown: str) -> Markup:
        """A caption or the like."""
        return self.html(convert_line(markdown))

    def macro(self, name: str, *arguments: object) -> Markup:
        """One of the parts that articles are made of, from the templates."""
        return self.pages.macro("partials/article.html", name, *arguments)

    def _fill(self, number: int) -> Markup:
        document = self.article.document
        one, made = document.gaps[number], Markup("")
        with document.mistakes, named(document.source.path, one.line, one.directive):
            made = one.fill(self)
        for link in links_in(made):
            document.links.setdefault(link, Written(link, one.line))
        return made

    def refer(self, name: str, variant: int = 0) -> tuple[str, str]:
        """What an id in this article is called, and its id. Raises UsageError, with the nearest.

        Within a choice it is that of the same `variant`, if there is one.
        """
        known = {key: one.text for key, one in self.article.document.anchors.items()}
        known |= {one.id: as_text(self.html(one.text)) for one in flat(self.article.headings)}
        if name not in known:
            near = did_you_mean(name, known) or "Nothing in this article has an id."
            raise UsageError(f"nothing in this article has the id '{name}'. {near}")
        own = within(name, variant)
        return known[name], own if own in known else name

    def headings(self, found: tuple[Heading, ...]) -> tuple[Heading, ...]:
        """Headings without gaps."""
        return tuple(
            Heading(one.id, as_text(self.html(one.text)), one.level, self.headings(one.children))
            for one in found
        )


def within(name: str, variant: int) -> str:
    """The id of something in one combination of a choice; the same outside."""
    return f"{name}.{variant}" if variant else name


def flat(headings: tuple[Heading, ...]) -> list[Heading]:
    """All headings in the order of the text."""
    return [one for heading in headings for one in (heading, *flat(heading.children))]


def check_ids(article: Article) -> None:
    """Raises WritingError where a heading has the id of something else."""
    anchors, source = article.document.anchors, article.source
    for heading in flat(article.headings):
        if heading.id in anchors:
            line = anchors[heading.id].line
            reason = f"the id '{heading.id}' is that of a heading too."
            raise WritingError(source.path, line, reason)
