"""Pools of texts: a table, a folder, a plain file, a dataset; and every mistake in one is named."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from generator import subjects
from generator.errors import CutawayError, UsageError
from generator.exhibit import Exhibit, ModelSpec
from generator.exhibit_yaml import load_exhibit
from generator.inputs.datasets import local_table, parse_hub_dataset
from generator.inputs.hub_datasets import TEXT, HubDataset
from generator.inputs.passages import LONGEST, Passage, passage_pool
from generator.inputs.texts import curated_texts, held_out_texts
from generator.inputs.written import Found, write_passages
from generator.paths import data_root

SOME = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def pool(base: Path, reference: str) -> tuple[Passage, ...]:
    made = Exhibit(models=(ModelSpec(id="m", source="timm:x"),), passages=reference)
    return passage_pool(made.model_copy(update={"base": base}))


def table(folder: Path, text: str, name: str = "p.csv") -> str:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return name


def refusal(folder: Path, reference: str) -> str:
    with pytest.raises(UsageError) as caught:
        pool(folder, reference)
    said = str(caught.value)
    assert said.startswith(str(folder / reference))
    return said.removeprefix(str(folder / reference)).lstrip(",: ")


# Tables


def test_an_exhibit_without_passages_has_none(tmp_path):
    assert pool(tmp_path, "") == ()


def test_a_table_says_what_each_passage_is(tmp_path):
    text = (
        "id, text,kind,language,licence,origin\r\n"
        '"a-1","def f(x):\r\n    return x\r\n",code,python,CC0-1.0,own\r\n'
        "\r\n"
        "b,  Rain fell. ,,,,\r\n"
    )
    assert pool(tmp_path, table(tmp_path, text)) == (
        Passage("a-1", "def f(x):\n    return x", "code", "python", "CC0-1.0", "own"),
        Passage("b", "  Rain fell. "),
    )


def test_only_the_column_of_texts_is_needed(tmp_path):
    found = pool(tmp_path, table(tmp_path, "\ufefftext\nOne.\nTwo.\n", "P.CSV"))
    assert [(one.id, one.text) for one in found] == [("passage-1", "One."), ("passage-2", "Two.")]
    assert {one.licence for one in found} == {one.origin for one in found} == {"not stated"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no passage."),
        ("text\n", "holds no passage."),
        ("kind\na\n", "line 1: the column 'text' is missing."),
        ("text,knd\n", "line 1: unknown column 'knd'. Did you mean 'kind'?"),
        ("\ntext,file\n", "line 2: unknown column 'file'. Valid are: id, kind"),
        ("text,text\n", "line 1: the column 'text' is there twice."),
        ("text,kind\na,b\nOne, two,c\n", "line 3: the row has 3 cells, and the table 2 columns."),
        ('id,text\na,"1\n2"\nb\n', "line 4: the row has 1 cells, and the table 2 columns."),
        ('text\na\n"b\nc\n', "line 3: no row of a table: unexpected end of data."),
        ('text\na\n"b"c\n', "line 3: no row of a table: "),
        ("id,text\na,b\nc, \n", "line 3: the text of 'c' is empty."),
        ('text\na\n"\n"\n', "line 3: the text of 'passage-2' is empty."),
        (f"text\n{'a' * (LONGEST + 1)}\n", "line 2: the text of 'passage-1' has more than 20,000"),
        (f"text\n{'a' * 200_000}\n", "line 2: no row of a table: field larger than field limit"),
        ("id,text\nA b,c\n", "line 2: the id 'A b' will not do; write a-z, 0-9, and - _ . between"),
        ("id,text\na,b\nb,c\na,d\n", "line 4: the id 'a' is used already, in "),
        ("id,text\npassage-2,b\n,c\n", "line 3: the id 'passage-2' is used already, in "),
        ("id,text\na,b\nc,d\ne,b\n", "line 4: 'e' has the same text as 'a'."),
    ],
)
def test_each_mistake_in_a_table_is_named_with_its_line(tmp_path, text, said):
    assert refusal(tmp_path, table(tmp_path, text)).startswith(said)


def test_what_is_no_file_of_passages_is_refused(tmp_path):
    assert refusal(tmp_path, "gone.csv") == "there is no such table of passages."
    assert refusal(tmp_path, "gone") == "there is no such table, folder or file of passages."
    assert refusal(tmp_path, table(tmp_path, "- a", "p.yml")) == "holds no passages."
    (tmp_path / "p.csv").write_bytes(b"text\ncaf\xe9\n")
    assert refusal(tmp_path, "p.csv").startswith("cannot be read as UTF-8 text")


texts = st.text(min_size=1, max_size=40).map(
    lambda text: text.replace("\r", "\n").rstrip("\n").encode("utf-8", "ignore").decode()
)


@SOME
@given(st.lists(texts.filter(str.strip), min_size=1, max_size=6, unique=True))
@example(["\0\x1c\u2028,\"'\n\x85 a", "\ta"])
def test_every_text_of_a_table_is_read_as_it_was_written(tmp_path, written):
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([("text", "kind"), *((text, "x") for text in written)])
    found = pool(tmp_path, table(tmp_path, buffer.getvalue()))
    assert [one.text for one in found] == written


@SOME
@given(st.text(max_size=120) | st.text(alphabet='ab,"\n \r\0', max_size=60))
def test_an_arbitrary_table_gives_passages_or_a_usage_error(tmp_path, text):
    lines = text.encode("utf-8", "ignore").decode()
    for name, start in (("p.csv", "id,text,kind\n"), ("p.csv", ""), ("p.txt", "")):
        try:
            found = pool(tmp_path, table(tmp_path, start + lines, name))
        except UsageError as error:
            assert str(tmp_path / name) in str(error)
        else:
            assert all(one.text.strip() and one.licence == "not stated" for one in found)
            assert len({one.id for one in found}) == len({one.text for one in found}) == len(found)


# Plain files and folders


def test_a_plain_file_has_a_passage_a_line(tmp_path):
    text = "First\u2028one.\r\n\r\n  Second\x0bone. \n"
    assert pool(tmp_path, table(tmp_path, text, "p.txt")) == (
        Passage("passage-1", "First\u2028one."),
        Passage("passage-2", "Second\x0bone."),
    )
    assert refusal(tmp_path, table(tmp_path, "\n \n", "p.txt")) == "holds no passage."
    twice = refusal(tmp_path, table(tmp_path, "a\nb\n\na\n", "p.txt"))
    assert twice == "line 4: 'passage-3' has the same text as 'passage-1'."


@pytest.fixture
def folder(tmp_path):
    files = {
        "code/sort.txt": "a.sort()\n",
        "code/Sort .txt": "sorted(a)\n",
        "verse/sea.txt": "The sea,\nthe sea\n",
        "alone.txt": "Rain fell.",
        ".hidden.txt": "no",
        "notes.md": "no passage",
    }
    for name, text in files.items():
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).write_text(text, encoding="utf-8")
    return tmp_path / "f"


def test_a_folder_has_a_passage_a_file_and_a_kind_a_folder(folder, capsys):
    assert pool(folder.parent, "f") == (
        Passage("alone", "Rain fell."),
        Passage("code-sort", "sorted(a)", "code"),
        Passage("code-sort.again-2", "a.sort()", "code"),
        Passage("verse-sea", "The sea,\nthe sea", "verse"),
    )
    assert "not read, since it is no passage (.txt): notes.md." in capsys.readouterr().err


def test_a_table_in_a_folder_says_more_of_its_files(folder):
    text = "file,kind,language,licence\nalone.txt,prose,en,CC0-1.0\ncode/sort.txt,,python,\n"
    table(folder, text, "passages.csv")
    alone, _, sort, _ = pool(folder.parent, "f")
    assert alone == Passage("alone", "Rain fell.", "prose", "en", "CC0-1.0")
    assert sort == Passage("code-sort.again-2", "a.sort()", "code", "python")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind\nx\n", "line 1: the column 'file' is missing."),
        ("file,text\n", "line 1: unknown column 'text'."),
        ("file\ncode/sor.txt\n", "line 2: there is no passage 'code/sor.txt'. Did you mean 'code/"),
        ("file\nalone.txt\nalone.txt\n", "line 3: the file 'alone.txt' is stated a second time."),
    ],
)
def test_each_mistake_in_the_table_of_a_folder_is_named(folder, text, said):
    table(folder, text, "passages.csv")
    with pytest.raises(UsageError) as caught:
        pool(folder.parent, "f")
    assert str(caught.value).startswith(f"{folder / 'passages.csv'}, {said}")


def test_mistakes_in_a_folder_are_named_with_the_file(folder):
    (folder / "verse" / "sky.txt").write_text("a.sort()")
    with pytest.raises(UsageError, match=r"sky\.txt: 'verse-sky' has the same text as 'code-sort"):
        pool(folder.parent, "f")
    (folder / "verse" / "sky.txt").write_text(" \n")
    with pytest.raises(UsageError, match=r"sky\.txt: the text of 'verse-sky' is empty"):
        pool(folder.parent, "f")
    (folder.parent / "none").mkdir()
    assert refusal(folder.parent, "none") == "holds no passage."


# The shipped table

KINDS = {"prose": 60, "dialogue": 40, "code": 50, "list": 30, "numbers": 40, "other language": 50}
KINDS |= {"verse": 10, "formal": 20}
LANGUAGES = {"fr", "de", "es", "it", "pt", "nl", "la", "pl", "ru", "el", "zh", "ja", "ar", "hi"}
NO_SPACES = ("zh", "ja")


@pytest.fixture(scope="module")
def shipped() -> tuple[Passage, ...]:
    return passage_pool(load_exhibit(data_root()))


def test_the_shipped_passages_are_of_many_kinds_and_languages(shipped):
    assert Counter(one.kind for one in shipped) == KINDS
    languages = {kind: {one.language for one in shipped if one.kind == kind} for kind in KINDS}
    assert len(languages["code"]) > 25
    assert languages["other language"] == LANGUAGES
    assert all(languages[kind] == {"en"} for kind in KINDS.keys() - {"code", "other language"})
    assert (data_root() / "site_src/inputs/passages.csv").stat().st_size < 150_000


def test_no_language_is_in_one_half_of_the_shipped_passages_alone(shipped):
    """Every second passage of a kind is held out."""
    halves: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for kind in KINDS:
        for place, one in enumerate(one for one in shipped if one.kind == kind):
            halves[place % 2][one.language] += 1
    for language, count in (halves[0] + halves[1]).items():
        assert count == 1 or abs(halves[0][language] - halves[1][language]) <= 1, language


def test_the_shipped_passages_are_of_like_length(shipped):
    for one in shipped:
        assert one.text == one.text.strip()
        assert "\r" not in one.text
        if one.kind == "code":
            assert 4 <= len(one.text.splitlines()) <= 14, one.id
            assert 80 <= len(one.text) <= 420, one.id
        elif one.language in NO_SPACES:
            assert 50 <= len(one.text) <= 120, one.id
        else:
            assert 25 <= len(one.text.split()) <= 60, one.id


def test_each_shipped_passage_states_its_licence_and_origin(shipped):
    quoted = [one for one in shipped if one.licence != "CC0-1.0"]
    assert {one.origin for one in shipped} - {one.origin for one in quoted} == {
        "written for Cutaway"
    }
    about = (data_root() / "site_src/inputs/LICENCES.md").read_text(encoding="utf-8")
    for one in quoted:
        author, year = one.origin.split(",")[0], one.origin.split(", ")[-1]
        assert one.licence == "public domain"
        assert f"{author.split()[-1]} ({year})" in " ".join(about.split())


def test_no_shipped_passage_is_nearly_another_or_a_curated_text(shipped):
    """No two share seven words in a row, nor does one with a text that is shown or held out."""
    exhibit = load_exhibit(data_root())
    others = [(one.id, one.text) for one in (*curated_texts(exhibit), *held_out_texts(exhibit))]
    assert len(others) > 30
    first: dict[tuple[str, ...], str] = {}
    for name, text in [*others, *((one.id, one.text) for one in shipped)]:
        words = re.findall(r"\w+", text.lower())
        for start in range(len(words) - 6):
            assert first.setdefault(tuple(words[start : start + 7]), name) == name, name


def test_shipped_programs_are_programs(shipped):
    for one in shipped:
        if one.language == "python" and not one.text.startswith("Traceback"):
            ast.parse(one.text)
        if one.language == "json":
            json.loads(one.text)


# What models are shown


def test_each_model_has_its_own_passages_and_shared_ones_are_read_once(tmp_path, monkeypatch):
    table(tmp_path, "text\nOne.\n")
    table(tmp_path, "Two.\n", "own.txt")
    monkeypatch.setenv("CUTAWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(subjects, "curated_images", lambda shown: ())
    own = {"b": {"passages": "own.txt"}, "d": {"passages": ""}}
    models = tuple(ModelSpec(id=name, source="x", **own.get(name, {})) for name in "abcd")
    exhibit = Exhibit(models=models, passages="p.csv").model_copy(update={"base": tmp_path})
    a, b, c, d = subjects.read_inputs(exhibit)
    assert a is c
    assert [[one.text for one in each.passages] for each in (a, b, d)] == [["One."], ["Two."], []]
    assert a.key != b.key != d.key
    assert a.key["passages"] == [("passage-1", "One.", "", "")]


def test_each_model_has_texts_of_its_own_and_shared_ones_are_read_once(tmp_path, monkeypatch):
    table(tmp_path, "One.\n", "shown.txt")
    table(tmp_path, "Two.\n", "hidden.txt")
    monkeypatch.setenv("CUTAWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(subjects, "curated_images", lambda shown: ())
    own = {
        "b": {"texts": ({"id": "x", "text": "Three."},)},
        "d": {"held_out": "", "texts": "hidden.txt"},
    }
    models = tuple(ModelSpec(id=name, source="x", **own.get(name, {})) for name in "abcd")
    exhibit = Exhibit(models=models, texts="shown.txt", held_out="hidden.txt")
    a, b, c, d = subjects.read_inputs(exhibit.model_copy(update={"base": tmp_path}))
    assert a is c
    assert [[one.text for one in each.texts] for each in (a, b, d)] == [
        ["One."], ["Three."], ["Two."],
    ]  # fmt: skip
    assert [[one.text for one in each.held_out] for each in (a, b, d)] == [["Two."], ["Two."], []]
    assert a.key != b.key != d.key


# Datasets


def test_a_dataset_of_texts_is_taken_apart():
    found = parse_hub_dataset("org/name@v1#text=body&label=topic&limit=7", TEXT)
    assert found == HubDataset("org/name", "v1", "", "body", "topic", 7, TEXT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hf-dataset:a/b#image=x", "unknown 'image'"),
        ("hf-dataset:a/b#txet=x", "Did you mean 'text'?"),
        ("hf-dataset:a/b#limit=0", "#split=test&text=text&label=label&limit=500"),
        ("sklearn:digits", "no kind of dataset of texts. Valid forms: a table; a folder; "),
    ],
)
def test_each_mistake_in_a_dataset_of_texts_is_named(text, said, tmp_path):
    with pytest.raises(UsageError) as caught:
        local_table(text, tmp_path)
    assert said in f"{caught.value} {caught.value.hint}"
    assert local_table("./a.csv", tmp_path) == "./a.csv"


def test_texts_of_strangers_are_cut_and_what_is_empty_or_there_already_is_left_out(tmp_path):
    long = " ".join(["four"] * 400)
    cells = ["Rain\r\nfell.\x85", "", "Rain\nfell.", long, "x" * 3000, "\0=1,\"a'", "\ud800"]
    found = [Found(text.encode("utf-8", "surrogatepass"), "a\0b", "CC0-1.0", "o") for text in cells]
    assert write_passages(found, tmp_path) == 2
    read = pool(tmp_path, "passages.csv")
    assert [one.text for one in read][:2] == ["Rain\nfell.", " ".join(["four"] * 200)]
    assert [len(one.text) for one in read] == [10, 999, 1000, 7, 3]
    assert {(one.kind, one.licence, one.origin) for one in read} == {("a b", "CC0-1.0", "o")}
    with pytest.raises(CutawayError, match="None of the dataset's texts could be read"):
        write_passages([Found(b" \n", "", "", "")], tmp_path)


@SOME
@given(st.lists(st.binary(max_size=30) | texts.map(str.encode), max_size=5))
def test_whatever_a_dataset_holds_is_read_or_left_out(tmp_path, cells):
    try:
        left_out = write_passages([Found(cell, "", "", "") for cell in cells], tmp_path)
    except CutawayError:
        return
    assert len(pool(tmp_path, "passages.csv")) == len(cells) - left_out
