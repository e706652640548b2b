"""What `make same` tells of two sites that differ."""

from __future__ import annotations

import pytest
from same import differences, visible

PAGE = "<p>A head of <b>{}</b> nats</p><script>{}</script><a href={}>it</a>"


def write(root, **more):
    files = {
        "index.html": PAGE.format(3, "x", "a/"),
        "data.csv": "unit,mean\n0,1.5\n1,2.5\n",
        "b.webp": "b",
    }
    for name, text in (
        files | {name.replace("_", "."): text for name, text in more.items()}
    ).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"data_csv": "unit,mean\n0,1.5\n1,2.6\n"}, "1 cells, in mean; first 'mean': 2.5 -> 2.6"),
        ({"data_csv": "unit,mean\n0,1.5\n"}, "2 and 1 rows"),
        ({"data_csv": "unit,maximum\n0,1.5\n1,2.5\n"}, "columns ['maximum', 'mean']"),
        ({"index_html": PAGE.format(4, "x", "a/")}, "    -3\n    +4"),
        ({"index_html": PAGE.format(3, "x", "b/")}, "    -[href a/]\n    +[href b/]"),
        ({"b_webp": "bb"}, "1 and 2 bytes"),
        ({"c_webp": "c"}, "only after"),
    ],
)
def test_what_differs_is_told_by_kind(changed, told, tmp_path):
    found = list(differences(write(tmp_path / "before"), write(tmp_path / "after", **changed)))
    assert len(found) == 1
    assert told in found[0]


def test_what_no_reader_sees_is_no_difference(tmp_path):
    after = write(tmp_path / "after", index_html=PAGE.format(3, "y", "a/"))
    assert not list(differences(write(tmp_path / "before"), after))
    assert visible(PAGE.format(3, "y", "a/")) == ["A head of", "3", "nats", "[href a/]", "it"]
