"""Pools that are datasets: scikit-learn's digits, and files of a hub on loopback."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_hub import Repo, serving
from PIL import Image

from generator import subjects
from generator.errors import CutawayError, UsageError
from generator.exhibit import Exhibit, ModelSpec
from generator.inputs.datasets import local_folder, on_disk, parse_hub_dataset
from generator.inputs.digits import digits
from generator.inputs.hub_datasets import HubDataset
from generator.inputs.images import curated_images
from generator.inputs.passages import passage_pool
from generator.inputs.pool import image_pool
from generator.inputs.written import Found, write_pictures

COMMIT = "0123456789abcdef0123456789abcdef01234567"
EVIL = "../../evil\x00\n</script>"


def picture(shade: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), (shade, 0, 255 - shade)).save(buffer, format=kind)
    return buffer.getvalue()


def pool_in(folder: str | Path):
    return image_pool(Exhibit(models=(ModelSpec(id="m", source="timm:x"),), pool=str(folder)))


# References


@pytest.mark.parametrize("text", ["", "pool", "./a:b", "/a/b", "../x", "C:\\pictures", "~/pool"])
def test_a_path_stays_as_it_is(text, tmp_path):
    assert local_folder(text, tmp_path) == text


@pytest.mark.parametrize(
    ("rest", "wanted"),
    [
        ("org/name", HubDataset("org/name", None, "", "", "", 500)),
        (
            "org/name@v1#split=test&limit=7&image=a%20b&label=c",
            HubDataset("org/name", "v1", "test", "a b", "c", 7),
        ),
        (
            "org/n@refs/convert/parquet",
            HubDataset("org/n", "refs/convert/parquet", "", "", "", 500),
        ),
    ],
)
def test_a_hub_dataset_is_taken_apart(rest, wanted):
    assert parse_hub_dataset(rest) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hf-dataset:", "repository name"),
        ("hf-dataset:a/../b", "repository name"),
        ("hf-dataset:-a/b", "repository name"),
        ("hf-dataset:a/b@x/../y", "no branch"),
        ("hf-dataset:a/b#split", "split"),
        ("hf-dataset:a/b#spilt=test", "Did you mean 'split'?"),
        ("hf-dataset:a/b#limit=0", "limit"),
        ("hf-dataset:a/b#limit=1e3", "limit"),
        ("hf-dataset:a/b#limit=99999", "limit"),
        ("hf-datasets:a/b", "Did you mean 'hf-dataset'?"),
        ("sklearn:faces", "sklearn:digits"),
        ("https://x/y", "Valid forms"),
    ],
)
def test_each_mistake_is_named(text, said, tmp_path):
    with pytest.raises(UsageError) as caught:
        local_folder(text, tmp_path)
    assert said in f"{caught.value} {caught.value.hint}"


# Digits


def test_the_held_out_digits_are_a_pool_and_curated_pictures(tmp_path):
    spec = ModelSpec(id="m", source="timm:x", images="sklearn:digits", pool="sklearn:digits")
    exhibit = Exhibit(models=(spec,), images="photographs", pool="elsewhere")
    shown = on_disk(exhibit.shown_to(spec), tmp_path)
    _, held_out = digits()
    pool = image_pool(shown)
    assert len(pool) == 360
    by_number = {int(one.origin.split()[-1]): one for one in pool}
    for place, number in enumerate(held_out.numbers):
        one = by_number[int(number)]
        assert one.group == one.label == str(held_out.classes[place])
        np.testing.assert_array_equal(np.asarray(Image.open(one.path)), held_out.pixels[place])
        assert one.licence == "CC-BY-4.0"
    curated = curated_images(shown)
    assert [image.label for image in curated] == list("0123456789")
    assert "handwritten 3" in curated[3].alt
    written = Path(shown.pool) / "pool.csv"
    before = written.stat().st_mtime_ns
    assert on_disk(exhibit.shown_to(spec), tmp_path) == shown
    assert written.stat().st_mtime_ns == before


def test_each_model_is_shown_its_own_pictures_and_shared_ones_are_read_once(tmp_path, monkeypatch):
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "a.png").write_bytes(picture(1))
    own = {"images": "sklearn:digits", "pool": "sklearn:digits"}
    models = [ModelSpec(id=name, source="timm:x") for name in ("one", "two")]
    models.append(ModelSpec(id="digits", source="train:digits", **own))
    exhibit = Exhibit(models=tuple(models), images="photographs", pool="photographs")
    monkeypatch.setenv("CUTAWAY_CACHE", str(tmp_path / "cache"))
    one, two, of_digits = subjects.read_inputs(exhibit.model_copy(update={"base": tmp_path}))
    assert one is two
    assert [image.label for image in one.images] == ["a"]
    assert len(one.pool) == 1
    assert len(of_digits.images) == 10
    assert len(of_digits.pool) == 360


# Strangers' labels and files


def test_labels_become_folders_that_stay_inside_and_apart(tmp_path):
    labels = ["Cat", "cat", "c a t", EVIL, "", "猫", "犬", "cat-2"]
    found = [Found(picture(10 * n), label, "l", "o") for n, label in enumerate(labels)]
    (tmp_path / "pool").mkdir()
    assert write_pictures(found, tmp_path / "pool") == 0
    pool = pool_in(tmp_path / "pool")
    assert len(pool) == len(labels)
    assert len({one.group for one in pool}) == len(labels)
    assert {path.name for path in tmp_path.iterdir()} == {"pool"}
    assert all(one.path.resolve().is_relative_to(tmp_path / "pool") for one in pool)
    assert "../../evil </script>" in {one.label for one in pool}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_no_label_writes_outside_or_loses_a_picture(tmp_path_factory, labels):
    folder = tmp_path_factory.mktemp("labels") / "pool"
    folder.mkdir()
    write_pictures([Found(picture(1), label, "l", "o") for label in labels], folder)
    assert [path.name for path in folder.parent.iterdir()] == ["pool"]
    pool = pool_in(folder)
    assert len(pool) == len(labels)
    assert len(curated_images(Exhibit(models=_some(), images=str(folder)))) <= len(labels)


def _some() -> tuple[ModelSpec, ...]:
    return (ModelSpec(id="m", source="timm:x"),)


def test_what_is_no_picture_is_left_out_and_counted(tmp_path):
    cut = picture(1, "JPEG")[:200]
    found = [Found(data, "a", "l", "o") for data in (b"", b"<svg/>", cut, picture(3, "WEBP"))]
    assert write_pictures(found, tmp_path) == 3
    assert [one.path.suffix for one in pool_in(tmp_path)] == [".webp"]
    with pytest.raises(CutawayError, match="could be opened"):
        write_pictures([Found(b"", "a", "l", "o")], tmp_path)


# The Hub


def parquet(labels: list[int], names: list[str] | None, start: int = 0) -> bytes:
    images = [
        {"bytes": picture(start + n), "path": EVIL} if label >= 0 else None
        for n, label in enumerate(labels)
    ]
    table = pa.table({"note": labels, "image": images, "label": labels})
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        about = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": about})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def hub():
    rows = parquet([0] * 6 + [1] * 6, ["cat", EVIL])
    table = Repo(
        {
            "README.md": b"about",
            "data/train-00000-of-00002.parquet": parquet([0] * 3, None),
            "data/test-00000-of-00002.parquet": rows,
            "data/test-00001-of-00002.parquet": parquet([1, -1], ["cat", EVIL], 100),
        },
        COMMIT,
        card={"license": "cc0-1.0"},
    )
    files = {f"train/{label}/{n}.png": picture(n) for label in ("red_kite", "owl") for n in (1, 2)}
    folders = Repo({**files, "test/owl/9.png": picture(9)}, COMMIT)
    gated = Repo({"data/test.parquet": rows}, COMMIT, token="hf_right")
    none = Repo({"data.csv": b"a"}, COMMIT)
    odd = Repo({"x.parquet": _odd()}, COMMIT)
    said = {"body": ["Rain fell.", "Rain fell.", "", "Snow."], "label": ["a", "a", "b", None]}
    texts = Repo({"test.parquet": _written(said)}, COMMIT, card={"license": "cc-by-4.0"})
    repos = {
        "org/texts": texts,
        "org/table": table,
        "org/folders": folders,
        "org/gated": gated,
        "org/none": none,
    }
    with serving(repos | {"org/odd": odd}) as serving_hub:
        yield serving_hub


def _odd() -> bytes:
    return _written({"scan": [picture(1), picture(2)], "kind": ["a", None]})


def _written(columns: dict[str, list]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def fetched(hub, text, tmp_path, read="local_folder", **more):
    """What the reference gives, asked in a process of its own: the client reads its settings once."""
    code = (
        "import json, sys\nfrom pathlib import Path\n"
        "from generator.errors import CutawayError\n"
        "from generator.inputs import datasets\n"
        "try:\n    print(getattr(datasets, sys.argv[3])(sys.argv[1], Path(sys.argv[2])))\n"
        "except CutawayError as error:\n    print('ERROR', error, error.hint)\n"
    )
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()
    }
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, text, tmp_path / "cache", read],
        env=kept | own | more, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_rows_of_a_parquet_file_become_a_pool(hub, tmp_path):
    hub.asked.clear()
    text = "hf-dataset:org/table#limit=4"
    folder = fetched(hub, text, tmp_path)
    pool = pool_in(folder)
    assert len(pool) == 4
    # Every third of twelve rows, of the part that is for testing.
    assert [
        one.origin.split("row ")[1] for one in sorted(pool, key=lambda one: one.origin)
    ] == list("0369")
    assert {(one.group, one.label) for one in pool} == {
        ("cat", "cat"),
        ("evil-script", "../../evil </script>"),
    }
    assert all("at commit 0123456789ab" in one.origin for one in pool)
    assert {one.licence for one in pool} == {"cc0-1.0"}
    shades = {np.asarray(Image.open(one.path))[0, 0, 0] for one in pool}
    assert shades == {0, 3, 6, 9}
    assert hub.downloads() == {"data/test-00000-of-00002.parquet"}
    hub.asked.clear()
    assert fetched(hub, text, tmp_path) == folder
    assert hub.downloads() == set()
    hub.asked.clear()
    assert fetched(hub, text, tmp_path, HF_HUB_OFFLINE="1") == folder
    assert hub.asked == []
    refused = fetched(hub, "hf-dataset:org/table#limit=5", tmp_path, HF_HUB_OFFLINE="1")
    assert refused.startswith("ERROR The dataset org/table could not be fetched")


@pytest.mark.slow
def test_all_parts_of_a_split_are_read_when_they_are_needed(hub, tmp_path):
    folder = Path(fetched(hub, f"hf-dataset:org/table@{COMMIT}#split=test", tmp_path))
    rows = list(csv.DictReader((folder / "pool.csv").open(encoding="utf-8")))
    assert len(rows) == 13
    assert json.loads((folder / "dataset.json").read_text()) == {
        "dataset": "org/table",
        "commit": COMMIT,
        "left_out": 1,
    }
    train = pool_in(fetched(hub, "hf-dataset:org/table#split=train", tmp_path))
    assert {one.label for one in train} == {"0"}


@pytest.mark.slow
def test_a_folder_of_pictures_becomes_a_pool(hub, tmp_path):
    pool = pool_in(fetched(hub, "hf-dataset:org/folders#split=train&limit=3", tmp_path))
    assert sorted(one.label for one in pool) == ["owl", "owl", "red kite"]
    assert pool_in(fetched(hub, "hf-dataset:org/folders", tmp_path))[0].origin.endswith(
        "test/owl/9.png"
    )


def test_columns_can_be_named(hub, tmp_path):
    pool = pool_in(fetched(hub, "hf-dataset:org/odd#image=scan&label=kind", tmp_path))
    assert sorted(one.label for one in pool) == ["a", "not labelled"]


@pytest.mark.slow
def test_rows_of_a_parquet_file_become_passages(hub, tmp_path):
    path = fetched(hub, "hf-dataset:org/texts#text=body", tmp_path, read="local_table")
    made = Exhibit(models=_some(), passages=path)
    first, second = passage_pool(made)
    assert (first.text, first.kind, first.licence) == ("Rain fell.", "a", "cc-by-4.0")
    assert (second.text, second.kind) == ("Snow.", "")
    assert first.origin.endswith("org/texts at commit 0123456789ab, test.parquet, row 0")
    assert json.loads((Path(path).parent / "dataset.json").read_text())["left_out"] == 2
    unclear = fetched(hub, "hf-dataset:org/texts", tmp_path, read="local_table")
    assert "holds the texts is not clear. Add #text=COLUMN, one of body, label" in unclear
    none = fetched(hub, "hf-dataset:org/folders", tmp_path, read="local_table")
    assert "holds no Parquet files. " in none


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hf-dataset:org/unknown", "no dataset org/unknown"),
        ("hf-dataset:org/table@v9", "no revision 'v9'"),
        ("hf-dataset:org/gated", "is gated"),
        ("hf-dataset:org/none", "refs/convert/parquet"),
        ("hf-dataset:org/table#split=dev", "It has test, train."),
        ("hf-dataset:org/table#image=photo", "one of note, image, label"),
        ("hf-dataset:org/odd", "Add #image=COLUMN, one of scan, kind"),
    ],
)
def test_what_the_hub_refuses_is_explained(hub, tmp_path, text, said):
    answer = fetched(hub, text, tmp_path)
    assert answer.startswith("ERROR")
    assert said in answer
    assert not list(tmp_path.rglob("*.png"))
