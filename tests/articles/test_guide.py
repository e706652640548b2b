"""The guide says what the code does: its examples are run, its tables hold every name that there is."""

from __future__ import annotations

import inspect
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from pydantic import BaseModel
from small_site import CHECKOUT, Site

from generator.articles.directives import directives
from generator.articles.front_matter import Meta
from generator.articles.kinds import KINDS
from generator.articles.markdown import convert
from generator.articles.reference import reference_of
from generator.articles.schema import schema_reference
from generator.articles.source import read_source
from generator.card_schema import Pairs
from generator.cli import app
from generator.exhibit import Exhibit

GUIDE = CHECKOUT / "site_src" / "guide"
PAGES = ("quickstart", "writing", "exhibit", "probes", "publishing", "commands")
SHOWN = re.compile(
    r"\{% raw %\}\n\n```jinja\n(.*?)\n```\n\n\{% endraw %\}\n\n(.*?)(?=\n\{% raw %\}|\n## |\Z)",
    re.DOTALL,
)


@pytest.fixture(scope="module")
def built(small_site: Site) -> dict[str, str]:
    places = {name: small_site.site / "guide" / name / "index.html" for name in PAGES}
    return {name: place.read_text(encoding="utf-8") for name, place in places.items()}


def models_in(schema: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A pydantic model and all that stand in it."""
    yield schema
    for field in schema.model_fields.values():
        for found in re.findall(r"generator\.[a-z_.]+\.(\w+)", str(field.annotation)):
            module = sys.modules[
                re.search(r"(generator\.[a-z_.]+)\." + found, str(field.annotation))[1]
            ]  # type: ignore[index]
            inner = getattr(module, found, None)
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from models_in(inner)


@pytest.mark.parametrize(("page", "schema"), [("exhibit", Exhibit), ("writing", Meta)])
def test_every_key_stands_in_its_reference_with_a_meaning(
    built: dict[str, str], page: str, schema: type[BaseModel]
) -> None:
    checked = 0
    for model in models_in(schema):
        assert f'id="schema-{model.__name__.lower()}"' in built[page]
        for key, field in model.model_fields.items():
            if field.exclude:
                assert f"<td><code>{key}</code></td>" not in built[page]
                continue
            assert field.description, f"{model.__name__}.{key} has no description"
            assert f"<td><code>{key}</code></td>" in built[page], key
            checked += 1
    assert checked > 10
    if schema is Exhibit:
        assert checked > 50  # models within models


def test_every_kind_of_figure_is_listed_with_its_parameters(built):
    for kind in KINDS:
        row = re.search(
            rf"<tr>(?:(?!</tr>).)*<code>{kind}</code>.*?</tr>", built["writing"], re.DOTALL
        )
        assert row, kind
        for name in KINDS[kind].parameters:
            assert f"<code>{name}</code>" in row[0], (kind, name)


def test_every_directive_has_a_live_example_that_is_what_is_shown():
    text = read_source(GUIDE / "writing.md", "guide").body
    examples = SHOWN.findall(text)
    for shown, run in examples:
        assert shown in run
    called = set(
        re.findall(
            r"\{(?:\{|% call(?:\(\w+\))?) ?(\w+)\(", "\n".join(shown for shown, _ in examples)
        )
    )
    called |= set(re.findall(r"(?:in|=) (\w+)\(", "\n".join(shown for shown, _ in examples)))
    called |= set(re.findall(r"\{% (claim) ", "\n".join(shown for shown, _ in examples)))
    names = {name for name in directives(cast(Any, None), cast(Any, None)) if name[0] != "_"}
    assert names - {"reference"} <= called | {"stat"}


def test_every_directive_is_listed_with_its_parameters() -> None:
    known = directives(cast(Any, None), cast(Any, None))
    listed = reference_of(known, cast(Any, None))("directives")
    for name, function in known.items():
        assert (f"| `{name}` |" in listed) is (name[0] != "_")
        row = listed.split(f"| `{name}` |")[-1].split("\n")[0]
        for one in inspect.signature(function).parameters:
            known = one in ("caller", "written", "parameters", "chosen", "values") or name[0] == "_"
            assert known or f"`{one}`" in row, (name, one)


def test_every_command_is_described(built):
    for command in app.registered_commands:
        name = command.name or cast(Any, command.callback).__name__
        assert f'id="command-{name}"' in built["commands"]
    assert "--shape" in built["commands"]
    # Two hyphens stay two where a sentence names an option, and a default is told.
    assert "Units of <code>--model</code>" in built["commands"]
    assert re.search(r"<code>--jobs</code></td>\s*<td><code>0</code></td>", built["commands"])


def test_names_in_braces_stay_in_the_reference():
    reference = schema_reference(Pairs)
    assert "| holds `{subject}` |" in reference
    told = convert(reference).html.count("holds <code>{subject}</code>")
    assert told == reference.count("holds `{subject}`")


def fenced(page: str, language: str) -> list[str]:
    text = (GUIDE / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_guide_names_the_sections_of_a_card() -> None:
    text = (GUIDE / "model-cards.md").read_text(encoding="utf-8")
    (listed,) = re.findall(r"`without` name a generated section: (.*?)\.\n", text, re.DOTALL)
    named = set(re.findall(r"`([a-z]+)`", listed))
    cards = (CHECKOUT / "generator" / "cards").glob("*.py")
    code = "".join(path.read_text(encoding="utf-8") for path in cards)
    made = set(re.findall(r'Section\(\s*"([a-z-]+)"', code))
    assert {"about", "use", "cite"} <= named <= made


def test_the_first_article_of_the_quickstart_builds(new_site: Site, tmp_path: Path) -> None:
    """Someone who never saw the project writes an article by the quickstart alone."""
    from small_site import build_here

    folder = tmp_path / "mine"
    shutil.copytree(new_site.exhibit, folder)
    (article,) = fenced("quickstart", "markdown")
    (folder / "writing" / "articles" / "first.md").write_text(article, encoding="utf-8")
    # "Delete it when you need it no more, and the section goes with it."
    (folder / "writing" / "guide" / "next-steps.md").unlink()
    made = build_here(folder)
    page = (made.site / "articles" / "first" / "index.html").read_text(encoding="utf-8")
    assert 'id="fig-where"' in page
    assert 'href="#ref-zhou2016learning"' in page
    assert "blocks counted as layers" in re.sub("<[^>]+>", "", page)
    assert "My first article" in (made.site / "articles" / "index.html").read_text(encoding="utf-8")
    front = (made.site / "index.html").read_text(encoding="utf-8")
    assert 'href="articles/index.html"' in front and "guide/index.html" not in front


def test_the_examples_in_yaml_are_what_the_exhibit_takes() -> None:
    for page in ("exhibit", "publishing"):
        for example in fenced(page, "yaml"):
            if "models:" in example:
                Exhibit.model_validate(yaml.safe_load(example))
