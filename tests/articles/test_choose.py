"""Choices in articles: a part is there for each combination of values, and readers swap them."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from math import prod
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.articles import choose as module
from generator.articles.bibliography import Bibliography
from generator.articles.catalogue import Catalogue
from generator.articles.check import links_of
from generator.articles.document import Article
from generator.articles.dry_run import check_early
from generator.articles.errors import WritingError, WritingErrors
from generator.articles.knobs import COMBINATIONS, FEW, Knob, knobs_of
from generator.articles.pages import article_pages
from generator.articles.published import told_figures
from generator.articles.read import read_article
from generator.articles.source import Writing, read_source
from generator.errors import UsageError
from generator.exhibit import Exhibit
from generator.figures.render import render
from generator.pages.environment import Pages
from generator.paths import data_root
from generator.store import Store

FRONT = "---\ntitle: T\ndescription: D\nslides: true\n---\n"  # five lines
TABLE = "layer,unit,effect\n0,a,0.5\n1,a,0.25\n2,a,10\n0,b,7\n1,b,8\n2,b,9\n"
CNN = 'model="efficientnet-lite0"'
Read = Callable[[str], Article]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads an article with a table beside it, as a build does, without models."""
    return reader_in(tmp_path, Catalogue({}, Store(tmp_path / "store"), 0))


@pytest.fixture
def read_models(tmp_path: Path, catalogue: Catalogue) -> Read:
    """The same, with the models of the tiny exhibit."""
    return reader_in(tmp_path, catalogue, ["efficientnet-lite0", "minilm-l6"])


def reader_in(folder: Path, catalogue: Catalogue, models: list[str] | None = None) -> Read:
    (folder / "t.csv").write_text(TABLE, encoding="utf-8")

    def reader(text: str) -> Article:
        path = folder / "one.md"
        path.write_text(FRONT + text, encoding="utf-8")
        source, book = read_source(path, "articles"), Bibliography()
        check_early(Writing((source,), book), models or [])
        return read_article(source, catalogue, book)

    return reader


def pages_of(article: Article, catalogue: Catalogue | None = None) -> list[str]:
    """The article and its slides, filled; its pictures are drawn where there are any."""
    exhibit = Exhibit.model_construct(title="E", base=Path(), site_url="")
    pictures = {}
    if catalogue:
        folder = catalogue.store.root / "figures"
        pictures = render(article.drawings, folder, 1, lambda: None)[0]
    pages = Pages(data_root() / "templates", pictures)
    made = article_pages([article], exhibit, pages)
    found = [pages.fill(one).body for one in made if one.address.startswith("articles/one/")]
    article.document.mistakes.tell()
    return found


def variants(page: str) -> list[tuple[str, str]]:
    """Of each combination the places of its values, and its HTML."""
    parts = re.split(r'<div class="c-choice c-grid" data-places="([\d ]+)"', page)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html.split(">", 1)[1]).split())


TEXT = """
{% call(c) choose(id="pick", layer=[0, 1, 2], unit=["a", "b"]) %}
{% set effect = stat("t", "effect", layer=c.layer, unit=c.unit) %}
{% claim effect > 0.2 %}Layer {{ c.layer }}, unit {{ c.unit }}: {{ effect }}.{% endclaim %}
{% endcall %}
"""


def test_every_combination_is_on_the_page_with_its_own_numbers(read: Read) -> None:
    page, slides = pages_of(read(TEXT))
    found = variants(page)
    assert [places for places, _ in found] == ["0 0", "0 1", "1 0", "1 1", "2 0", "2 1"]
    said = [words(html) for _, html in found]
    stated = [(0, "a", "0.500"), (0, "b", "7.00"), (1, "a", "0.250")]
    stated += [(1, "b", "8.00"), (2, "a", "10.0"), (2, "b", "9.00")]
    for text, (layer, unit, effect) in zip(said, stated, strict=True):
        assert f"Layer {layer} Unit {unit} Layer {layer}, unit {unit}: {effect}." in text
    assert 'aria-label="Layer 1, Unit b"' in page
    assert len(variants(slides)) == 6  # a choice fills a slide
    assert 'href="../index.html#pick"' in slides
    assert slides.count("choose.js") == page.count("choose.js") == 1
    # Each is a claim of its own, which is compared and listed.
    assert page.count('class="c-claim"') == 6
    assert "effect = 8" in page
    other, _ = pages_of(read("Nothing to choose."))
    assert "c-choose" not in other
    assert "choose.js" not in other


CONTROLS = {
    ("a", "b"): "buttons",
    (1, 2, 3, 4): "buttons",
    (1, 2, 3, 4, 5): "slider",
    (5, 4, 3.5, 2, 1): "slider",
    (1, 3, 2, 4, 5): "menu",
    ("a", "b", "c", "d", "e"): "menu",
    (1, 2, 3, 4, "all"): "menu",
}


@pytest.mark.parametrize("values", CONTROLS, ids=str)
def test_few_values_are_buttons_many_numbers_a_slider_and_others_a_menu(
    values: tuple, read: Read
) -> None:
    assert Knob("x", values).control == CONTROLS[values]
    page, _ = pages_of(
        read(
            f"{{% call(c) choose(kept_channels={list(values)}) %}}{{{{ c.kept_channels }}}}{{% endcall %}}"
        )
    )
    tag = {"buttons": 'type="radio"', "slider": 'type="range"', "menu": "<select"}
    assert {name for name, text in tag.items() if text in page} == {CONTROLS[values]}
    assert page.count("data-value=") == len(values)
    assert "Kept channels" in page


FIGURES = f"""
{{{{ figure("image", {CNN}, image="cat") }}}}

{{% call(c) choose(size=["big", "small"], count=[1, 2]) %}}
See {{{{ ref("fig-maps") }}}} and {{{{ ref("eq-x") }}}}.

{{{{ figure("activation_maps", id="fig-maps", {CNN}, layer="conv_stem", image="cat", count=c.count) }}}}
{{% if c.size == "small" %}}
{{{{ figure("image", {CNN}, image="cat", caption="As in " ~ ref("fig-maps")) }}}}
{{% endif %}}
{{% endcall %}}

{{{{ figure("filters", id="fig-last", {CNN}, layer="conv_stem") }}}}

{{% call equation(id="eq-x") %}}x{{% endcall %}}

After it: {{{{ ref("fig-maps") }}}}, {{{{ ref("fig-last") }}}} and {{{{ ref("choose-1") }}}}.
"""


def test_figures_are_numbered_in_a_line_and_references_stay_within_their_combination(
    read_models: Read, catalogue: Catalogue
) -> None:
    article = read_models(FIGURES)
    page, slides = pages_of(article, catalogue)
    numbers = [(one.id, one.number) for one in article.document.figures]
    assert numbers == [
        ("fig-1", 1),
        ("fig-maps.1", 2), ("fig-maps.2", 2),
        ("fig-maps.3", 2), ("fig-3.3", 3), ("fig-maps.4", 2), ("fig-3.4", 3),
        ("fig-last", 4),
    ]  # fmt: skip
    for number, (_, html) in enumerate(variants(page), start=1):
        assert f'<a class="c-ref" href="#fig-maps.{number}">Figure' in html
        assert '<a class="c-ref" href="#eq-x">Equation' in html  # of the article's own
        assert f'id="fig-maps.{number}"' in html
    assert 'As in <a class="c-ref" href="#fig-maps.4">' in page
    after = page.split("After it:")[1]
    assert [*re.findall('href="#([^"]+)"', after)][:3] == ["fig-maps", "fig-last", "choose-1"]
    for html in (page, slides):
        found = links_of(html)
        assert found.twice == []
    assert {link[1:] for link in links_of(page).links if link.startswith("#")} <= links_of(page).ids
    pictures = [path for one in article.document.figures for path in one.paths]
    assert len(set(pictures)) == len(pictures)
    # The gallery of figures has the first of a choice.
    told = [item.target for _, item in told_figures([article])]
    assert told == [
        f"articles/one/index.html#{name}" for name in ("fig-1", "fig-maps.1", "fig-last")
    ]


def test_what_is_repeated_is_not_counted_as_reading(read: Read) -> None:
    text = "word " * 300
    said = [
        f"Before. {text}",
        f"{{% call(c) choose(x=[1, 2, 3]) %}}{text}{{{{ c.x }}}}{{% endcall %}}",
    ]
    minutes = [re.search(r"(\d+) min", pages_of(read(one))[0])[1] for one in said]
    assert minutes == ["2", "2"]


def test_values_are_text_wherever_they_are_shown(read: Read) -> None:
    hostile = '</script><img src=x onerror=alert(1)> *a* "b" {x}'
    page, slides = pages_of(
        read(f"{{% call(c) choose(w=['{hostile}', 'other']) %}}*{{{{ c.w }}}}*{{% endcall %}}")
    )
    for html in (page, slides):
        assert "<img src=x" not in html
        assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt; *a* &#34;b&#34; {x}" in html


def test_values_can_be_read_from_a_table(read: Read) -> None:
    text = (
        '{% call(c) choose(unit=rows("t")|map(attribute="unit")|unique|list, layer=range(3)) %}'
        '{{ c.unit }}{{ c.layer }}={{ stat("t", "effect", unit=c.unit, layer=c.layer) }}{% endcall %}'
    )
    page, _ = pages_of(read(text))
    assert [words(html).split()[-1] for _, html in variants(page)][:2] == ["a0=0.500", "a1=0.250"]
    assert len(variants(page)) == 6


# What is told before anything is measured: file, line and reason.
EARLY = {
    "\n{% call choose(layer=[1, 2]) %}x{% endcall %}": ("line 7: choose:", "need a name"),
    "{% call(c) choose() %}x{% endcall %}": ("line 6: choose:", "nothing to choose"),
    '{% call(c) choose(layer="ab") %}x{% endcall %}': ("'layer' is no list",),
    "{% call(c) choose(layer=3) %}x{% endcall %}": ("'layer' is no list",),
    "{% call(c) choose(layer={1: 2}) %}x{% endcall %}": ("'layer' is no list",),
    "{% call(c) choose(layer=[]) %}x{% endcall %}": ("has no value", "needs two"),
    "{% call(c) choose(layer=[1]) %}x{% endcall %}": ("has 1 value", "needs two"),
    "{% call(c) choose(layer=[1, 2, 1]) %}x{% endcall %}": ("'1' more than once",),
    '{% call(c) choose(layer=[1, "1"]) %}x{% endcall %}': ("'1' more than once",),
    '{% call(c) choose(layer=["", "x"]) %}x{% endcall %}': ("words and numbers",),
    "{% call(c) choose(layer=[true, false]) %}x{% endcall %}": ("words and numbers", "True"),
    "{% call(c) choose(a=[1, 2, 3, 4, 5], b=[1, 2, 3, 4, 5]) %}x{% endcall %}": (
        "line 6: choose: 5 × 5 = 25 combinations, and a choice has at most 24.",
        "fewer values",
    ),
    "{% call(c) choose(layer=[1, 2]) %}\n{{ c.layr }}{% endcall %}": (
        "line 7: choose: there is no 'layr' to choose.",
        "Did you mean 'layer'?",
    ),
    "{% call(c) choose(a=[1, 2]) %}\n{% call(d) choose(b=[1, 2]) %}x{% endcall %}{% endcall %}": (
        "line 7: choose: 'choose' cannot stand in a choice.",
    ),
    "{% call(c) choose(a=[1, 2]) %}\n{% call exercise() %}x{% endcall %}{% endcall %}": (
        "line 7: choose: 'exercise' cannot stand in a choice.",
    ),
    '{% call(c) choose(a=[1, 2]) %}{% claim c.a > 0 %}x{% endclaim %}{% endcall %}': ("cannot fail",),
}  # fmt: skip


@pytest.mark.parametrize("text", EARLY, ids=range(len(EARLY)))
def test_what_the_text_alone_tells_is_told_early(text: str, tmp_path: Path) -> None:
    path = tmp_path / "one.md"
    path.write_text(FRONT + text, encoding="utf-8")
    writing = Writing((read_source(path, "articles"),), Bibliography())
    with pytest.raises((WritingError, WritingErrors)) as error:
        check_early(writing, [])
    said = f"{error.value} {error.value.hint}"
    for word in ("one.md, ", *EARLY[text]):
        assert word in said


LATE = {
    "{% set n = 5 %}{% call(c) choose(a=range(n), b=range(n)) %}x{% endcall %}": ("5 × 5 = 25",),
    "{% call(c) choose(a=[1, 2]) %}\n## Above\n{% endcall %}": ("the heading “Above” cannot",),
    "{% call(c) choose(a=[1, 2]) %}\nx[^a]\n\n[^a]: Note {{ c.a }}.\n{% endcall %}": ("footnote cannot",),
    '{% call(c) choose(id="a b", a=[1, 2]) %}x{% endcall %}': ("the id 'a b' is to be letters",),
    2 * '{% call(c) choose(id="x", a=[1, 2]) %}x{% endcall %}': (
        "the id 'x' is used more than once",
    ),
    "{% set name = 'layr' %}{% call(c) choose(layer=[1, 2]) %}\n{{ c[name] }}{% endcall %}": ("layr",),
    # A mistake that is made with some values names them, and one that is made with all is told once.
    '{% call(c) choose(layer=[0, 1, 2]) %}\n{% claim stat("t", "effect", layer=c.layer, unit="a") > 0.3 %}'
    "Big{% endclaim %}{% endcall %}": (
        "line 7: claim: “Big” does not hold",
        "= 0.2500. (layer 1)",
    ),
    '{% call(c) choose(layer=[0, 1]) %}\n{{ stat("t", "efect", layer=c.layer, unit="a") }}{% endcall %}': (
        "line 7: stat: t.csv has no column 'efect'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", LATE, ids=range(len(LATE)))
def test_what_is_known_when_it_is_read_names_line_and_values(text: str, read: Read) -> None:
    with pytest.raises((WritingError, WritingErrors)) as error:
        read(text)
    said = f"{error.value} {error.value.hint}"
    assert "mistakes in what" not in said  # one is told
    for word in LATE[text]:
        assert word in said


def test_seconds_and_bytes_of_what_was_really_drawn_have_a_limit(
    read_models: Read, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "\n{% call(c) choose(count=[1, 2, 3]) %}\n"
        f'{{{{ figure("activation_maps", {CNN}, layer="conv_stem", image="cat", count=c.count) }}}}'
        "\n{% endcall %}"
    )
    article = read_models(text)
    drawn = [one.figure.drawing for one in article.document.figures]
    assert len(drawn) == 3
    with monkeypatch.context() as less:
        less.setattr(module, "SECONDS", 0.0)
        with pytest.raises(
            WritingError, match=r"one\.md, line 7: choose: 1 of 3 combinations took \d+ s"
        ):
            read_models(text)
    # All but the last fit: the sum is of the files that were drawn.
    folder, text_bytes = catalogue.store.root / "figures", 3 * 100
    sizes = [
        sum(one.file.stat().st_size for one in render([each], folder, 1, lambda: None)[0].values())
        for each in drawn
    ]
    monkeypatch.setattr(module, "BYTES", sum(sizes[:2]) + text_bytes)
    with pytest.raises(
        WritingError, match=r"line 7: choose: 3 of 3 combinations take [\d.]+ MB, and at most"
    ):
        read_models(text)
    monkeypatch.setattr(module, "BYTES", sum(sizes) + text_bytes)
    read_models(text)


NAMES = st.sampled_from(["layer", "unit", "kept_channels", "image"])
VALUES = st.one_of(
    st.lists(st.integers(-9, 99), min_size=2, max_size=7, unique=True),
    st.lists(
        st.text("abc<&\"'*_`.é日 ", min_size=1, max_size=5).filter(str.strip),
        min_size=2,
        max_size=7,
        unique=True,
    ),
)


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.dictionaries(NAMES, VALUES, min_size=1, max_size=3))
def test_for_any_lists_every_combination_is_there_once_and_ids_are_unique(
    values: dict[str, list], read: Read
) -> None:
    count = prod(map(len, values.values()))
    if count > COMBINATIONS:
        with pytest.raises(UsageError, match=f"{count} combinations"):
            knobs_of(values)
        return
    knobs = ", ".join(f"{name}={each!r}" for name, each in values.items())
    text = (
        f"{{% call(c) choose({knobs}) %}}{{% call equation(id='eq-a') %}}x{{% endcall %}}\n\n"
        f"{{{{ ref('eq-a') }}}} {'~'.join(f'{{{{ c.{name} }}}}' for name in values)}\n{{% endcall %}}\n\n"
        "{% call equation(id='eq-b') %}y{% endcall %}\n\n{{ ref('eq-b') }}"
    )
    article = read(text)
    page, slides = pages_of(article)
    found = variants(page)
    assert len(found) == count == len({places for places, _ in found}) == len(variants(slides))
    for number, (places, html) in enumerate(found, start=1):
        assert f'href="#eq-a.{number}"' in html
        for at, each in zip(map(int, places.split()), values.values(), strict=True):
            assert _plain(str(each[at])) in _plain(unescape(words(html)))
    assert links_of(page).twice == links_of(slides).twice == []
    assert article.document.anchors["eq-b"].text.endswith("2")
    controls = [Knob(name, tuple(each)).control for name, each in values.items()]
    assert page.count('type="radio"') == sum(
        len(each)
        for each, control in zip(values.values(), controls, strict=True)
        if control == "buttons"
    )
    assert all(
        len(each) <= FEW
        for each, control in zip(values.values(), controls, strict=True)
        if control == "buttons"
    )


def _plain(text: str) -> str:
    return " ".join(text.split())
