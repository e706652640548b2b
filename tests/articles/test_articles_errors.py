"""Every mistake in an article is answered with file, line and the nearest valid name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from small_site import cutaway_here, read_exhibit, write_exhibit

from generator.articles.bibliography import Bibliography, read_bibliography
from generator.articles.catalogue import Catalogue
from generator.articles.check import check_links
from generator.articles.document import Article, Renderer
from generator.articles.dry_run import check_early
from generator.articles.errors import WritingError, WritingErrors
from generator.articles.pages import article_pages
from generator.articles.published import asked_files
from generator.articles.read import read_article
from generator.articles.source import Writing, read_source, read_writing
from generator.errors import UsageError
from generator.exhibit import Exhibit, ModelSpec
from generator.exhibit_yaml import load_exhibit
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.paths import data_root

FRONT = "---\ntitle: T\ndescription: D\n---\n"  # four lines
# The styles and scripts that pages ask for.
SITE_SRC = data_root() / "site_src"
STATICS = {
    path.relative_to(SITE_SRC).as_posix()
    for folder in ("stylesheets", "javascripts")
    for path in (SITE_SRC / folder).rglob("*")
}
CNN = 'model="efficientnet-lite0"'
BERT = 'model="minilm-l6"'


@pytest.fixture
def book(tmp_path: Path) -> Bibliography:
    path = tmp_path / "references.bib"
    path.write_text(
        "@misc{zhou2016learning, title = {T}, year = 2016}\n"
        "@article{bare, title = {T}, author = {A. B.}, year = 2016}\n"
        "@artikel{kindless, title = {T}}\n",
        encoding="utf-8",
    )
    return read_bibliography(path)


Read = Callable[[str], Article]


@pytest.fixture
def read(tmp_path: Path, catalogue: Catalogue, book: Bibliography) -> Read:
    def reader(text: str) -> Article:
        path = tmp_path / "one.md"
        path.write_text(FRONT + text, encoding="utf-8")
        return read_article(read_source(path, "articles"), catalogue, book)

    return reader


def filled(article: Article) -> str:
    html = str(Renderer(article, Pages(data_root() / "templates", {})).html(article.html))
    article.document.mistakes.tell()
    return html


WRONG = {
    '{{ figur("cam") }}': ("line 5", "'figur' is undefined", "Did you mean 'figure'?"),
    '\n\n{{ figure("came") }}': ("line 7: figure:", "no kind of figure 'came'", "'cam'"),
    f'{{{{ figure("cam", {CNN}) }}}}': ("line 5: figure:", "needs the parameter 'image'"),
    f'{{{{ figure("cam", {CNN}, imag="cat") }}}}': ("no parameter 'imag'", "mean 'image'?"),
    '{{ figure("cam", model="efficientnet", image="cat") }}': (
        "shows no model 'efficientnet'",
        "mean 'efficientnet-lite0'?",
    ),
    f'{{{{ figure("cam", {CNN}, image="cta") }}}}': ("picture 'cta'", "mean 'cat'?"),
    f'{{{{ figure("cam", {CNN}, image="cat", classes="tabyb") }}}}': ("class 'tabyb'", "'tabby'"),
    f'{{{{ figure("cam", {CNN}, image="cat", classes=1000) }}}}': ("0 to 999, not 1000",),
    f'{{{{ figure("cam", {BERT}, image="cat") }}}}': ("minilm-l6: 'cam'", "pictures, not texts"),
    f'{{{{ figure("grad_cam", {CNN}, image="cat", layer="blocks.9") }}}}': ("no layer 'blocks.9'",),
    f'{{{{ figure("attention_map", {BERT}, layer=6, head=0, text="coreference") }}}}': (
        "no layer '6'",
    ),
    f'{{{{ figure("attention_map", {BERT}, layer=0, head=12, text="coreference") }}}}': (
        "the heads 0 to 11, not 12",
    ),
    f'{{{{ figure("attention_map", {BERT}, layer=0, head="x", text="coreference") }}}}': (
        "head: Input should be a valid integer",
    ),
    f'{{{{ figure("attention_map", {BERT}, layer=0, head=0, text="corefer") }}}}': (
        "text 'corefer'",
        "'coreference'",
    ),
    f'{{{{ figure("head_grid", {BERT}, statistic="inductio") }}}}': ("'inductio'", "'induction'"),
    f'{{{{ figure("head_scatter", {BERT}, heads="six") }}}}': ("'six' names no head", "L5H1"),
    f'{{{{ figure("image", {CNN}, image="cat", alt=" ") }}}}': ("needs alt text",),
    f'{{{{ figure("image", {CNN}, image="cat", layout="wide") }}}}': ("no layout 'wide'", "middle"),
    '{{ unit("efficientnet-lite0", "conv_stem", 32) }}': ("units 0 to 31, not 32",),
    '{{ unit("efficientnet-lite0", "classifier", 1) }}': ("have no pages", "conv_stem"),
    '{{ layer("efficientnet-lite0", "conv_head") }}': ("no page is made", "conv_stem"),
    '{{ page("efficientnet-lite0", "building-block") }}': ("'building-block'", "building-blocks"),
    f'{{{{ stat("head", "induction", {BERT}) }}}}': ("table 'head'", "'heads'"),
    f'{{{{ stat("heads", "inductio", {BERT}) }}}}': ("column 'inductio'", "'induction'"),
    f'{{{{ stat("heads", "induction", {BERT}, layer=0) }}}}': (
        "12 rows",
        "layer=0",
        "one is needed",
    ),
    f'{{{{ stat("heads", "induction", {BERT}, layr=0) }}}}': ("column 'layr'", "'layer'"),
    f'{{{{ stat("heads", "role", {BERT}, layer=0, head=0) }}}}': ("no number", ""),
    f'{{{{ stat("heads", "induction", {BERT}, of="maximum") }}}}': ("'maximum'", "'max'"),
    '{{ cite("zhou2016lerning") }}': ("line 5: cite:", "mean 'zhou2016learning'?"),
    "{{ cite() }}": ("line 5: cite:", "names no key"),
    f'{{{{ widget("head_vew", {BERT}, text="coreference") }}}}': ("'head_vew'", "'head_view'"),
    f'{{{{ widget("head_view", {BERT}, text="coreference", layer=1) }}}}': (
        "needs the parameter 'head'",
    ),
    '{% call equation(id="eq-a") %}x{% endcall %}\n\n{% call equation(id="eq-a") %}y{% endcall %}': (
        "line 7: equation:",
        "'eq-a' is used more than once, on line 5",
    ),
    '## A {#eq-a}\n\n{% call equation(id="eq-a") %}x{% endcall %}': ("line 7", "that of a heading"),
    "{{ 1 / 0 }}": ("line 5", "division by zero"),
    "\n{{ unclosed": ("line 6", "unexpected"),
    "{{ 1|nums }}": ("line 5", "No filter named 'nums'", "mean 'num'?"),
    "{{ ref() }}": ("line 5: ref:", "id"),
    '{{ cite("bare") }}': ("line 5: cite:", "'bare' in references.bib has no 'journal'", "@misc"),
    '{{ cite("kindless") }}': (
        "line 5: cite:",
        "'kindless'",
        "@artikel",
        "Did you mean 'article'?",
    ),
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_a_mistake_names_file_line_and_the_nearest_name(text: str, read: Read) -> None:
    with pytest.raises(WritingError) as caught:
        read(text)
    said = f"{caught.value} {caught.value.hint}"
    assert "one.md, line " in said
    for word in WRONG[text]:
        assert word in said


# What an early look cannot know: it has no findings, follows no variable and calls nothing.
EARLY = [
    text
    for text in WRONG
    if any(
        word in " ".join(WRONG[text])
        for word in (
            "undefined",
            "kind of figure",
            "the parameter",
            "no parameter",
            "shows no model",
        )
    )
    or text.startswith(("{{ cite(", "\n{{ unclosed", "{{ 1|nums"))
    if text not in ("{{ cite() }}",) and "widget" not in text
]


@pytest.mark.parametrize("text", EARLY)
def test_what_is_wrong_in_so_many_words_is_told_before_anything_is_measured(
    text: str, tmp_path: Path, book: Bibliography
) -> None:
    path = tmp_path / "one.md"
    path.write_text(FRONT + text, encoding="utf-8")
    writing = Writing((read_source(path, "articles"),), book)
    with pytest.raises(WritingError) as caught:
        check_early(writing, ["efficientnet-lite0", "minilm-l6"])
    said = f"{caught.value} {caught.value.hint}"
    for word in ("one.md, line ", *WRONG[text]):
        assert word in said


def test_the_mistake_that_the_guide_shows_is_answered_as_it_says(read: Read) -> None:
    guide = (SITE_SRC / "guide" / "writing.md").read_text(encoding="utf-8")
    told = guide.split("line 14: ")[1].split("\n")[0]
    with pytest.raises(WritingError) as caught:
        read(f'{{{{ figure("cam", {CNN}, image="cot") }}}}')
    assert str(caught.value).endswith(told)


@pytest.mark.parametrize(
    "folder", [SITE_SRC, *sorted((SITE_SRC / "starters").glob("[!.]*/writing"))], ids=str
)
def test_what_is_right_is_let_through(folder: Path) -> None:
    writing = read_writing(folder.parent, folder.name)
    base = folder.parent
    models = [model.id for model in load_exhibit(base).models]
    assert writing.sources
    check_early(writing, models)


def test_a_build_answers_such_a_mistake_before_it_loads_a_model(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.models.load.fetch", None)  # nor fetches one
    (seeded / "writing" / "articles").mkdir(parents=True)
    (seeded / "writing" / "articles" / "one.md").write_text(FRONT + "{{ figur() }}")
    write_exhibit(seeded, read_exhibit(seeded) | {"writing": "writing"})
    run = cutaway_here("build", seeded)
    assert run.code == 2
    assert "one.md, line 5: 'figur' is undefined. Did you mean 'figure'?" in run.err
    assert "Models" not in run.out


def test_all_mistakes_of_all_texts_are_told_at_once(
    tmp_path: Path, catalogue: Catalogue, book: Bibliography
) -> None:
    (tmp_path / "writing" / "articles").mkdir(parents=True)
    for name, text in {
        "one.md": FRONT + "{{ figur() }}\n{{ figure('came') }}",
        "three.md": FRONT.replace("title", "titel").replace("D\n", "D\nauthor: A\n"),
        "two.md": FRONT + "\n{{ cite('nobody') }}",
    }.items():
        (tmp_path / "writing" / "articles" / name).write_text(text, encoding="utf-8")
    with pytest.raises(WritingErrors) as caught:
        check_early(read_writing(tmp_path, "writing"), ["efficientnet-lite0"])
    first, *told = str(caught.value).splitlines()
    assert first == "6 mistakes in what is written."
    places = (
        "one.md, line 5: 'figur'",
        "one.md, line 6: figure",
        "three.md, line 1",
        "three.md, line 2",
    )
    places += ("three.md, line 4", "two.md, line 6: cite")
    for line, place in zip(told, places, strict=True):
        assert place in line


def test_all_directives_that_fail_are_told_at_once_and_nothing_that_follows_from_them(
    read: Read,
) -> None:
    text = f"""{{{{ figure("cam", {CNN}, image="cot") }}}}
{{{{ best("heads", "inductio", {BERT})[0].layer + 1 }}}}
{{{{ stat("haeds", "induction", {BERT}, of="max") }}}}"""
    with pytest.raises(WritingErrors) as caught:
        read(text)
    _, *told = str(caught.value).splitlines()
    assert [line.split(": ")[0].split(", ")[1] for line in told] == ["line 5", "line 6"]
    with pytest.raises(WritingErrors) as caught:
        read(text.replace("[0].layer + 1", ""))
    assert "line 7: stat" in str(caught.value)
    article = read('{{ ref("gone") }}\n\n{{ ref("away") }}')
    with pytest.raises(WritingErrors, match=r"(?s)line 5: ref.*line 7: ref"):
        filled(article)


def test_a_dead_link_is_told_by_its_own_article_alone(
    tmp_path: Path, catalogue: Catalogue, book: Bibliography, tiny_exhibit: Path
) -> None:
    texts = {"one": "[two](two.md)", "two": "`gone.md`\n\n[x](gone.md) ![A cat](cat.png)\n"}
    articles = []
    for name, text in texts.items():
        path = tmp_path / f"{name}.md"
        path.write_text(
            FRONT.replace("D\n", "D\nabstract: '[y](away.md)'\n") + text, encoding="utf-8"
        )
        articles.append(read_article(read_source(path, "articles"), catalogue, book))
    made = pages_of(articles, tiny_exhibit)
    with pytest.raises(WritingErrors) as caught:
        check_links(articles, [*made, replace(made[0], address="index.html", body="")], STATICS)
    _, *told = str(caught.value).splitlines()
    assert [line.removeprefix(f"{tmp_path}/").split(" leads")[0] for line in told] == [
        "one.md, line 4: the link 'away.md'",
        "two.md, line 4: the link 'away.md'",
        "two.md, line 6: the link 'gone.md'",
        "two.md, line 8: the link 'cat.png'",
    ]


def test_only_what_an_article_asks_for_is_published(
    tmp_path: Path, catalogue: Catalogue, tiny_exhibit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "writing" / "articles"
    (folder / "demo").mkdir(parents=True)
    asked = {"cat.png", "film.png", "demo/index.html", "demo/app.js", "two words.csv"}
    left = {"one.md~", "one.md.bak", "demo/app.js.orig", ".DS_Store", "draft.md.swp", "._one.md"}
    for name in asked | left | {"turns.csv"}:
        (folder / name).write_text('<script src="app.js"></script>')
    text = """![A cat](cat.png) [data](two%20words.csv) <iframe src="demo/index.html"></iframe>
<video poster="film.png"></video> `one.md.bak`"""
    (folder / "one.md").write_bytes(b"\xef\xbb\xbf" + (FRONT + text).encode())
    writing = read_writing(tmp_path, "writing")
    (source,) = writing.sources
    article = read_article(source, catalogue, Bibliography())
    made = pages_of([article], tiny_exhibit)
    published = asked_files([article], made, writing.files, every=True)
    assert set(published) == {f"articles/{name}" for name in asked}
    told = capsys.readouterr().err
    assert "articles/one.md~" in told and "articles/demo/app.js.orig" in told
    assert "DS_Store" not in told and "turns" not in told and "cat.png" not in told


def test_a_block_that_is_not_closed_names_no_other_thing(read: Read) -> None:
    with pytest.raises(WritingError, match="'endcall'") as caught:
        read("{% call aside() %}\ntext")
    assert "Did you mean" not in str(caught.value)


def test_a_dead_link_is_told_by_its_line_where_there_are_slides_too(
    tmp_path: Path, catalogue: Catalogue, book: Bibliography, tiny_exhibit: Path
) -> None:
    path = tmp_path / "one.md"
    path.write_text(FRONT.replace("---\n", "---\nslides: true\n", 1) + "\n[x](gone.md)\n")
    article = read_article(read_source(path, "articles"), catalogue, book)
    made = pages_of([article], tiny_exhibit)
    assert len(made) == 3
    front = replace(made[0], address="index.html", body="")
    with pytest.raises(WritingError, match=r"line 7: the link 'gone.md' leads to articles/gone/"):
        check_links([article], [*made, front], STATICS)


def test_a_table_beside_the_article_is_read_like_those_of_models(
    read: Read, tmp_path: Path
) -> None:
    table = "layer,bank,word\n0,29.18,<b>\n1,25.41,b\n"
    (tmp_path / "turns.csv").write_text(table, encoding="utf-8")
    text = '{{ stat("turns", "bank", layer=1) }} {{ stat("turns", "bank", of="mean") }} '
    text += '{{ stat("turns", "word", layer=0, format="text") }} '
    text += '{{ best("turns", "bank", n=1)[0].layer }}'
    assert "25.4 27.3 &lt;b&gt; 0" in filled(read(text))
    for wrong, said in (
        (
            'stat("truns", "bank", layer=1)',
            "no truns.csv beside the article. Did you mean 'turns'?",
        ),
        ('stat("turns", "bnak", layer=1)', "turns.csv has no column 'bnak'. Did you mean 'bank'?"),
    ):
        with pytest.raises(WritingError) as caught:
            read("{{ " + wrong + " }}")
        assert said in str(caught.value)
    (tmp_path / "turns.csv").write_text("a,b\n1\n", encoding="utf-8")
    with pytest.raises(WritingError, match="longer or shorter"):
        read('{{ stat("turns", "a", of="max") }}')


def test_a_reference_without_a_target_names_the_nearest(read: Read) -> None:
    article = read('## A section\n\n{{ ref("a-sectoin") }}')
    with pytest.raises(WritingError, match=r"one.md, line 7: ref: .*'a-sectoin'.*'a-section'"):
        filled(article)


def test_a_missing_model_comes_with_a_hint(read: Read) -> None:
    with pytest.raises(WritingError) as caught:
        read('{{ model("resnet") }}')
    assert "'models' in exhibit.yml" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[x](/models/minilm-l6/layer/0/)", ("line 5", "models/minilm-l6/layer/0/index.html")),
        ("\n[x](#no-where)\n\n## Now here", ("line 6", "no '#no-where'", "now-here")),
        ("![One](picture.png)", ("line 5", "articles/picture.png")),
        ("\n![ ](picture.png)", ("line 6", "'picture.png' has no alt text")),
        ("{% call aside() %}\n![](picture.png)\n{% endcall %}", ("line 6", "has no alt text")),
        ("![One](https://example.org/x.png)", ("line 5", "is on another host")),
        ("![One](//example.org/x.png)", ("line 5", "is on another host")),
        ('<a id="here"></a>\n\n## X {#here}', ("line 5", "'here' is used twice")),
        ("\n<img src='/index.html'>", ("line 6", "no alt text")),
        ("[x](two.md#gone)", ("line 5", "no '#gone'")),
    ],
)
def test_dead_links_are_found(
    text: str, words: tuple[str, ...], read: Read, tiny_exhibit: Path
) -> None:
    article = read(text)
    made = pages_of([article], tiny_exhibit)
    index = made[0]
    two = replace(index, address="articles/two/index.html", body='<p id="here">')
    front = replace(index, address="index.html", body="")
    with pytest.raises(UsageError) as caught:
        check_links([article], [*made, two, front], STATICS)
    for word in words:
        assert word in str(caught.value)


def test_a_dead_link_on_a_page_that_is_linked_to_is_found(read: Read, tiny_exhibit: Path) -> None:
    article = read("\n[x](/models/minilm-l6/)")
    made = pages_of([article], tiny_exhibit)
    model = replace(
        made[0],
        address="models/minilm-l6/index.html",
        body='<a href="layers/77/index.html">x</a>',
    )
    with pytest.raises(
        WritingError, match=r"line 6: it links to models/minilm-l6/index.html, whose"
    ):
        front = replace(model, address="index.html", body="")
        check_links([article], [*made, model, front], STATICS)


@pytest.mark.parametrize(
    ("front", "words"),
    [
        ("title: T\ndescription: D\nauthor: [x]", ("line 4", "'author'", "'authors'")),
        ("title: T", ("line 1", "'description' is missing")),
        (
            "title: T\ndescription: D\nauthors:\n- name: A\n  orcid: 1-2",
            ("line 6", "authors.0.orcid"),
        ),
        ("title: T\ndescription: D\nauthors:\n- nam: A\n  name: B", ("line 5", "mean 'name'?")),
        ("title: T\ndescription: D\ndate: yesterday", ("line 4", "date")),
        ("title: T\ndescription: [", ("line ", "not YAML")),
        ("- a\n- b", ("line 1", "list of keys")),
    ],
)
def test_front_matter_is_checked(front: str, words: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "one.md"
    path.write_text(f"---\n{front}\n---\ntext\n", encoding="utf-8")
    with pytest.raises(WritingError) as caught:
        read_source(path, "articles")
    for word in ("one.md", *words):
        assert word in str(caught.value)


def test_what_is_no_article_is_refused(tmp_path: Path) -> None:
    bare, spaced = tmp_path / "bare.md", tmp_path / "My Article.md"
    for path in (bare, spaced):
        path.write_text("# Hello\n", encoding="utf-8")
    with pytest.raises(WritingError, match="starts with front matter"):
        read_source(bare, "articles")
    with pytest.raises(WritingError, match="becomes its address"):
        read_source(spaced, "articles")
    with pytest.raises(UsageError, match="'writing'"):
        read_writing(tmp_path, "nowhere")
    assert read_writing(tmp_path, "").sources == ()


def test_the_curated_pictures_of_an_article_are_credited_and_no_licence_is_claimed(
    read: Read,
) -> None:
    text = f"""{{{{ figure("image", {CNN}, image="cat") }}}}\n\n{{{{ figure("cam", {CNN}, image="cat") }}}}"""
    article = read(text)
    (cat,) = article.pictures
    pages = Pages(data_root() / "templates", {})
    made = str(
        pages.macro("partials/around.html", "appendix", {"pictures": [cat]}, "", "", "articles")
    )
    assert cat.origin.rstrip(".") in unescape(made) and cat.licence in made
    assert "not stated" not in made
    assert read("Text.").pictures == ()
    page = article_page_of(read("Text."), pages)
    assert "icence" not in page.body.replace("c-licence", "") and "license" not in str(page.meta)


def article_page_of(article: Article, pages: Pages) -> Page:
    exhibit = Exhibit(models=(ModelSpec(id="m", source="timm:x"),))
    return next(
        pages.fill(page)
        for page in article_pages([article], exhibit, pages)
        if page.address == article.source.address
    )


def pages_of(articles: list[Article], exhibit: Path) -> list[Page]:
    """The pages of articles with their bodies."""
    pages = Pages(data_root() / "templates", {})
    made = article_pages(articles, load_exhibit(exhibit), pages)
    return [pages.fill(page) for page in made]
