"""Mistakes in an exhibit are answered with file, line, key and the nearest valid name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from generator.dictionary_schema import DictionarySpec
from generator.errors import UsageError
from generator.exhibit import CheckpointSpec, Exhibit, ImageSpec, ModelSpec, Preprocessing, TextSpec
from generator.exhibit_yaml import load_exhibit, load_image_table, load_texts
from generator.inputs.source import FORMS
from generator.models.load import load_model

GOOD = """\
title: T
models:
  - id: m
    source: timm:resnet18
    preprocessing:
      size: 64
images:
  - file: a.png
    label: a
texts:
  - id: one
    text: words
"""


def load(folder: Path, text: str) -> Exhibit:
    path = folder / "exhibit.yml"
    path.write_text(text, encoding="utf-8")
    return load_exhibit(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(folder, text)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_good_exhibit_loads_with_defaults(tmp_path):
    found = load(tmp_path, GOOD)
    assert found.base == tmp_path.resolve()
    assert found.seed == 0
    assert found.models[0].preprocessing == Preprocessing(size=64)
    assert found.models[0].weights == "pretrained"
    assert found.models[0].layers == ("*",)
    assert found.models[0].name == "m"
    assert load_exhibit(tmp_path) == found


def test_the_shipped_exhibit_loads(exhibit):
    assert [model.id for model in exhibit.models] == [
        "efficientnet-lite0",
        "minilm-l6",
        "smollm2-135m",
        "smollm2-3bit",
        "digits",
        "digits-5",
        "induction",
        "induction-one-layer",
    ]
    assert [model.id for model in exhibit.models if not model.pages] == ["smollm2-3bit"]
    assert [one.id for one in exhibit.compare] == [
        "smollm2-135m-smollm2-3bit",
        "digits-5-digits",
    ]
    assert exhibit.models[0].name == "EfficientNet-Lite0"


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "nearest"),
    [
        ("title: T", "titel: T", 1, "titel", "title"),
        ("images:", "image:", 7, "image", "images"),
        ("    source: t", "    sourcee: x\n    source: t", 4, "models.0.sourcee", "source"),
        ("      size: 64", "      sizes: 64", 6, "models.0.preprocessing.sizes", "size"),
        ("    label: a", "    label: a\n    licnce: b", 10, "images.0.licnce", "licence"),
        ("    text: words", "    text: words\n    lookfor: b", 13, "texts.0.lookfor", "look_for"),
    ],
    ids=["top", "top collection", "model", "preprocessing", "picture", "text"],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest_valid_one(
    tmp_path, old, new, line, key, nearest
):
    assert GOOD.count(old) == 1
    first = refusal(tmp_path, GOOD.replace(old, new)).splitlines()[0]
    where = tmp_path / "exhibit.yml"
    assert first == f"{where}, line {line}: unknown key '{key}'. Did you mean '{nearest}'?"


def test_an_unknown_key_in_a_table_of_its_own_is_named_too(tmp_path):
    texts, images = tmp_path / "texts.yml", tmp_path / "images.yml"
    texts.write_text("- id: a\n  text: b\n  phenomenom: c\n")
    images.write_text("- file: a.png\n  label: b\n  orgin: c\n")
    with pytest.raises(UsageError) as caught:
        load_texts(texts)
    expected = f"{texts}, line 3: unknown key '0.phenomenom'. Did you mean 'phenomenon'?"
    assert str(caught.value) == expected
    with pytest.raises(UsageError) as caught:
        load_image_table(images)
    assert str(caught.value) == f"{images}, line 3: unknown key '0.orgin'. Did you mean 'origin'?"


@pytest.mark.parametrize(
    ("old", "new", "line", "key"),
    [
        ("size: 64", "size: large", 6, "models.0.preprocessing.size"),
        ("size: 64", "size: 4", 6, "models.0.preprocessing.size"),
        ("title: T", "title: [T]", 1, "title"),
        ("title: T", "title: T\nseed: -1", 2, "seed"),
        ("title: T", "title: T\nseed: many", 2, "seed"),
        ("id: m\n", "id: 3\n", 3, "models.0.id"),
        ("label: a", "label: {a: b}", 9, "images.0.label"),
        ("text: words", "text: ''", 12, "texts.0.text"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(tmp_path, old, new, line, key):
    assert GOOD.count(old) == 1
    first = refusal(tmp_path, GOOD.replace(old, new)).splitlines()[0]
    assert first.startswith(f"{tmp_path / 'exhibit.yml'}, line {line}: {key}: "), first


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id: m\n", "id: My Net\n", "models.0.id: 'My Net' will not do; write a-z, 0-9, and"),
        (
            "title: T",
            "title: T\nsite_url: user.example.org/x",
            "site_url: 'user.example.org/x' will not do; write an address that starts with https://.",
        ),
    ],
)
def test_a_pattern_is_told_in_words(tmp_path, old, new, said):
    assert said in refusal(tmp_path, GOOD.replace(old, new))


def test_a_file_of_texts_that_is_not_there_is_no_reason_to_start_anew(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.txt: there is no such file of texts\.") as caught:
        load_texts(tmp_path / "gone.txt")
    assert caught.value.hint == ""
    with pytest.raises(UsageError, match=r"is a folder; it should be a file of texts\."):
        load_texts(tmp_path)


@pytest.mark.parametrize(
    ("removed", "key", "line"),
    [
        ("    source: timm:resnet18\n", "models.0.source", 3),
        ("    label: a\n", "images.0.label", 8),
        ("    text: words\n", "texts.0.text", 11),
    ],
)
def test_a_missing_key_is_named_with_the_line_of_its_owner(tmp_path, removed, key, line):
    text = GOOD.replace(removed, "")
    line -= removed == "    source: timm:resnet18\n" and line > 4
    first = refusal(tmp_path, text).splitlines()[0]
    assert first == f"{tmp_path / 'exhibit.yml'}, line {line}: the key '{key}' is missing."


def test_missing_models_are_named(tmp_path):
    assert refusal(tmp_path, "title: T\n").endswith("the key 'models' is missing.")
    assert "line 2: models: " in refusal(tmp_path, "title: T\nmodels: []\n")


def test_a_model_can_have_pictures_a_pool_and_checkpoints_of_its_own(tmp_path):
    own = """
    images: digits
    pool: sklearn:digits
    checkpoints:
      - train:digits@1
      - {label: the end, source: ./w.pth, weights: random}
"""
    found = load(tmp_path, GOOD.replace("    source: timm:resnet18\n", "    source: x" + own))
    spec = found.models[0]
    assert spec.checkpoints == (
        CheckpointSpec(source="train:digits@1"),
        CheckpointSpec(source="./w.pth", label="the end", weights="random"),
    )
    shown = found.shown_to(spec)
    assert (shown.images, shown.pool, shown.texts) == ("digits", "sklearn:digits", found.texts)
    assert shown.base == found.base
    plain = load(tmp_path, GOOD + "pool: mine\n")
    assert plain.shown_to(plain.models[0]) == plain
    without = plain.models[0].model_copy(update={"pool": ""})
    assert plain.shown_to(without).pool == ""


def test_a_mistake_in_a_checkpoint_is_named_with_its_line(tmp_path):
    bad = "    checkpoints:\n      - {sorce: a}\n    preprocessing:"
    said = refusal(tmp_path, GOOD.replace("    preprocessing:", bad))
    assert "line 6: unknown key 'models.0.checkpoints.0.sorce'. Did you mean 'source'?" in said
    assert "the key 'models.0.checkpoints.0.source' is missing" in said


@pytest.mark.parametrize("name", ["Big", "a b", "a/b", "../a", "", "a--b-", "é", "a\nb", "x" * 81])
def test_an_id_that_makes_no_good_address_is_refused(tmp_path, name):
    text = GOOD.replace("id: m\n", f"id: {yaml.safe_dump(name, default_style=chr(34)).strip()}\n")
    assert "line 3: models.0.id: " in refusal(tmp_path, text)


def test_an_id_used_twice_is_refused(tmp_path):
    twice = GOOD.replace("images:", "  - id: m\n    source: timm:resnet18\nimages:")
    assert "the id 'm' is used more than once" in refusal(tmp_path, twice)


def test_a_mistake_in_a_list_says_nothing_of_the_file_name_that_could_stand_there(tmp_path):
    message = refusal(tmp_path, GOOD.replace("    label: a\n", ""))
    assert len(message.splitlines()) == 1
    assert "string" not in message


def test_a_collection_of_the_wrong_type_says_both_that_can_stand_there(tmp_path):
    text = GOOD[: GOOD.index("images:")] + "images: 3\n"
    message = refusal(tmp_path, text)
    assert "line 7: images" in message
    assert "string" in message


def test_several_mistakes_are_told_at_once(tmp_path):
    message = refusal(tmp_path, GOOD.replace("title:", "titel:").replace("size:", "sizes:"))
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [("title: T\nmodels: [\n", 3), ("title: 'T\n", 2), ("a: b: c\n", 1), ("title: T\n\tx: 1\n", 2)],
)
def test_what_is_not_yaml_is_told_with_its_line(tmp_path, text, line):
    message = refusal(tmp_path, text)
    assert message.startswith(f"{tmp_path / 'exhibit.yml'}, line {line}: not YAML: ")


@pytest.mark.parametrize(
    "text", ["", "- a\n- b\n", "just words\n", "42\n", "# nothing\n", "null\n"]
)
def test_what_is_no_mapping_is_refused(tmp_path, text):
    message = refusal(tmp_path, text)
    assert message == (
        f"{tmp_path / 'exhibit.yml'}: an exhibit is a mapping of keys such as 'title' and 'models'."
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "title: 2024-13-45\n",  # PyYAML takes it for a date
        "title: !!timestamp x\n",
        "title: !!int x\n",
        "title: !!bool x\n",
        "title: !!python/object/apply:os.getcwd []\n",
        "models: &a [*a]\n",
        "title: &a {x: *a}\nmodels: *a\n",
        f"seed: {'9' * 5000}\n",
        "models: " + "[" * 3000 + "\n",
        "models: " + "[" * 3000 + "]" * 3000 + "\n",
        "? [a, b]\n: c\n",
        "1: 2\n",
        "null: 2\n",
        "2024-01-01: 2\n",
        "title: .nan\n",
        'title: "\\ud800"\n',
        "title: \x07\n",
        "title: '\0'\n",
        "<<: {title: T}\nmodels: 3\n",
    ],
    ids=range(19),
)
def test_yaml_that_trips_parsers_is_refused_without_a_traceback(tmp_path, text):
    assert str(tmp_path / "exhibit.yml") in refusal(tmp_path, text)


def test_references_within_references_do_not_multiply(tmp_path):
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "unknown key 'a0'" in refusal(tmp_path, "\n".join(rows) + "\n")


def test_a_missing_file_is_named_with_a_way_on(tmp_path):
    with pytest.raises(UsageError, match=r"exhibit\.yml: there is no such exhibit") as caught:
        load_exhibit(tmp_path)
    assert "cutaway new" in caught.value.hint


def test_a_file_that_is_no_utf8_is_refused(tmp_path):
    (tmp_path / "exhibit.yml").write_bytes(b"title: caf\xe9\n")
    with pytest.raises(UsageError, match="cannot be read as UTF-8"):
        load_exhibit(tmp_path)


def test_the_base_folder_cannot_be_set_from_the_file(tmp_path):
    assert "unknown key 'base'" in refusal(tmp_path, GOOD + "base: /\n")


def test_an_unknown_kind_of_source_is_answered_with_the_valid_forms(tmp_path):
    found = load(tmp_path, GOOD.replace("timm:resnet18", "tim:resnet18"))
    with pytest.raises(UsageError, match="'tim' in the source 'tim:resnet18'") as caught:
        load_model(found.models[0], found.base, tmp_path)
    assert "Did you mean 'timm'?" in caught.value.hint
    assert all(form in caught.value.hint for form in FORMS.values())


# Arbitrary values


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.dates()
    | st.sampled_from(["m", "timm:resnet18", "a.png", "random", "*"])
)
names = st.sampled_from(
    sorted(
        {
            *Exhibit.model_fields,
            *ModelSpec.model_fields,
            *ImageSpec.model_fields,
            *TextSpec.model_fields,
            *CheckpointSpec.model_fields,
            *DictionarySpec.model_fields,
            *Preprocessing.model_fields,
        }
    )
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names | st.text(max_size=6), inner, max_size=4)
        | st.dictionaries(st.integers() | st.booleans() | st.none(), inner, max_size=2)
    ),
    max_leaves=12,
)
SOME = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@SOME
@given(
    st.dictionaries(st.sampled_from(sorted(Exhibit.model_fields)), values, max_size=5) | values,
    st.booleans(),
)
@example({"models": [{"id": "m", "source": "timm:x", "preprocessing": {"mean": [1, 2]}}]}, False)
@example({"images": {"a": 1}, "models": [3]}, True)
def test_arbitrary_values_give_an_exhibit_or_a_usage_error(tmp_path, value: Any, flow: bool):
    path = tmp_path / "exhibit.yml"
    path.write_text(yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True), "utf-8")
    try:
        found = load_exhibit(path)
    except UsageError as error:
        assert str(path) in str(error)
    else:
        assert found.models


@SOME
@given(st.text(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"%@`,? \n\t#", max_size=60))
def test_arbitrary_text_gives_texts_pictures_an_exhibit_or_a_usage_error(tmp_path, text):
    path = tmp_path / "file.yml"
    path.write_text(text, encoding="utf-8", newline="")
    for read in (load_exhibit, load_texts, load_image_table):
        try:
            read(path)
        except UsageError as error:
            assert str(path) in str(error)


@SOME
@given(st.data())
def test_one_changed_character_is_an_exhibit_or_a_usage_error(tmp_path, data):
    place = data.draw(st.integers(0, len(GOOD) - 1))
    text = GOOD[:place] + data.draw(st.characters(codec="utf-8")) + GOOD[place + 1 :]
    path = tmp_path / "exhibit.yml"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        load_exhibit(path)
    except UsageError as error:
        assert str(path) in str(error)


def test_a_key_that_stands_twice_is_refused_and_an_alias_is_not(tmp_path):
    path = tmp_path / "exhibit.yml"
    twice = "models:\n  - id: a\n    source: timm:x\n    make: {ablate: 1}\n    make: {words: 3}\n"
    path.write_text(twice, encoding="utf-8")
    with pytest.raises(UsageError, match=r"line 5: the key 'make' stands twice"):
        load_exhibit(path)
    path.write_text(
        "models:\n  - &one {id: a, source: 'timm:x'}\n  - {<<: *one, id: b}\n", encoding="utf-8"
    )
    assert [one.id for one in load_exhibit(path).models] == ["a", "b"]
