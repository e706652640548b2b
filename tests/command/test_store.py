"""Results on disk: what goes in comes out, damage is measured anew, and no code is ever loaded."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from generator import archive
from generator.store import Store, digest_of, digest_of_value, write_atomically

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Inner:
    name: str
    values: np.ndarray
    score: float | None = None


@dataclass(frozen=True)
class Outer:
    label: str
    many: tuple[Inner, ...]
    table: Mapping[str, Inner]
    counts: np.ndarray
    flags: tuple[bool, ...]
    whole: int


arrays = st.sampled_from(
    [np.float32, np.float64, np.float16, np.int64, np.uint8, np.bool_]
).flatmap(
    lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
texts = st.text(max_size=8) | st.sampled_from(["</script>", "$array", "$class", "$map", "\ud800"])
inners = st.builds(Inner, texts, arrays, st.none() | st.floats())
outers = st.builds(
    Outer,
    texts,
    st.lists(inners, max_size=3).map(tuple),
    st.dictionaries(texts, inners, max_size=3),
    arrays,
    st.lists(st.booleans(), max_size=3).map(tuple),
    st.integers(),
)
SOME = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def same(one, two) -> bool:
    if isinstance(one, np.ndarray):
        equal = one.dtype == two.dtype and one.shape == two.shape
        return equal and np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(two).tobytes()
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return type(one) is type(two) and all(
            same(getattr(one, name), getattr(two, name)) for name in names
        )
    if isinstance(one, Mapping):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and (one == two or (one != one and two != two))


def never():
    raise AssertionError("the result was made anew")


def file_of(store: Store) -> Path:
    (found,) = store.root.rglob("*.npz")
    return found


@pytest.fixture(params=["read", "mapped"])
def how(request, monkeypatch) -> str:
    """Whether results are read, or mapped, as large ones are."""
    if request.param == "mapped":
        monkeypatch.setattr(archive, "LARGE", 0)
    return request.param


@pytest.mark.slow
@SOME
@given(outers, st.integers())
def test_what_goes_in_comes_out(tmp_path_factory, how, made, part):
    store = Store(tmp_path_factory.mktemp("store"))
    parts = {"part": part}
    assert store.result("probe", 1, parts, Outer, lambda: made) is made
    again = Store(store.root).result("probe", 1, parts, Outer, never)
    assert same(made, again)
    assert digest_of_value(made) == digest_of_value(again)
    assert (store.made, store.reused) == (1, 0)


def test_arrays_of_an_earlier_version_which_lie_askew_are_read(tmp_path, how):
    """numpy's own archives, which the store used to write, start arrays anywhere."""
    made, arrays = Inner("a", np.arange(50_001.0)), []
    meta = {"$class": "Inner", "fields": {"name": "a", "values": {"$array": 0}, "score": None}}
    np.savez(
        tmp_path / "a.npz", meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), a0=made.values
    )
    _, arrays = archive.read_arrays(tmp_path / "a.npz")
    assert arrays["a0"].flags.aligned and (arrays["a0"] == made.values).all()


@pytest.mark.slow
@given(outers, outers)
def test_values_have_one_digest_only_if_they_are_equal(one, two):
    assert (digest_of_value(one) == digest_of_value(two)) == same(one, two)


@pytest.mark.parametrize(
    "value",
    [
        {"a set"},
        b"bytes",
        object(),
        np.array([object()]),
        np.array(["a", None], dtype=object),
        Path(),
        np.int64(1),
        1j,
    ],
)
def test_only_arrays_and_plain_values_are_kept(tmp_path, value):
    with pytest.raises(TypeError, match="arrays and plain values"):
        Store(tmp_path).result("p", 1, {}, Inner, lambda: Inner("a", value))
    assert not list(tmp_path.rglob("*.npz"))


# Keys

PARTS = {"model": {"weights": "a", "device": "cpu"}, "ids": [1, 2], "seed": 0}


def keys_of(tmp_path: Path, *runs) -> list[str]:
    names = []
    for number, (probe, version, parts) in enumerate(runs):
        store = Store(tmp_path / str(number))
        store.result(probe, version, parts, Inner, lambda: Inner("a", np.zeros(1)))
        names.append(file_of(store).name)
    return names


def test_each_part_changes_the_key(tmp_path):
    model = PARTS["model"]
    keys = keys_of(
        tmp_path,
        ("p", 1, PARTS),
        ("q", 1, PARTS),
        ("p", 2, PARTS),
        ("p", 1, {**PARTS, "seed": 1}),
        ("p", 1, {**PARTS, "seed": "0"}),
        ("p", 1, {**PARTS, "seed": None}),
        ("p", 1, {**PARTS, "ids": [2, 1]}),
        ("p", 1, {**PARTS, "ids": [12]}),
        ("p", 1, {**PARTS, "ids": [[1, 2]]}),
        ("p", 1, {**PARTS, "model": {**model, "weights": "b"}}),
        ("p", 1, {**PARTS, "model": {**model, "device": "cuda"}}),
        ("p", 1, {**PARTS, "more": 0}),
        ("p", 1, {name: part for name, part in PARTS.items() if name != "seed"}),
    )
    assert len(set(keys)) == len(keys)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), plain, max_size=5), st.randoms())
def test_the_order_of_a_mapping_does_not_change_the_key(parts, random):
    def shuffled(value):
        if isinstance(value, dict):
            items = [(key, shuffled(item)) for key, item in value.items()]
            random.shuffle(items)
            return dict(items)
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert digest_of(shuffled(parts)) == digest_of(parts)


@pytest.mark.slow
@given(plain, plain)
def test_other_parts_have_other_keys(one, two):
    written = [json.dumps(value, sort_keys=True) for value in (one, two)]
    assert (digest_of({"a": one}) == digest_of({"a": two})) == (written[0] == written[1])


def test_keys_are_the_same_in_every_process(tmp_path):
    code = f"from generator.store import digest_of; print(digest_of({PARTS!r}))"
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == digest_of(PARTS)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (np.zeros(2, np.float32), np.zeros(2, np.float64)),
        (np.zeros(2), np.zeros((1, 2))),
        (np.zeros(2), np.ones(2)),
        (np.arange(4).reshape(2, 2), np.arange(4).reshape(2, 2).T),
    ],
)
def test_arrays_that_differ_in_any_way_have_other_digests(one, two):
    assert digest_of_value(one) != digest_of_value(two)
    assert digest_of_value(one) == digest_of_value(np.asfortranarray(one.copy()))


# Damage

WHOLE = Outer(
    "label",
    (Inner("one", np.arange(6.0).reshape(2, 3), 0.5),),
    {"two": Inner("two", np.zeros(3, np.int64))},
    np.arange(5),
    (True,),
    7,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> bytes:
    store = Store(tmp_path_factory.mktemp("sound"))
    store.result("p", 1, {}, Outer, lambda: WHOLE)
    return file_of(store).read_bytes()


def recovered(folder: Path, data: bytes) -> Outer:
    """What a store gives where `data` stands under the key; the file must be sound afterwards."""
    store = Store(folder)
    path = (
        folder / "p" / f"{digest_of({'probe': 'p', 'version': 1, 'beneath': {}, 'parts': {}})}.npz"
    )
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    found = store.result("p", 1, {}, Outer, lambda: WHOLE)
    assert store.made + store.reused == 1
    assert same(Store(folder).result("p", 1, {}, Outer, never), found)
    return found


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"nonsense",
        b"\x93NUMPY",
        pickle.dumps({"meta": 1}),
        b"PK\x05\x06" + b"\0" * 18,
    ],
    ids=["empty", "two bytes", "nonsense", "cut array", "pickle", "empty archive"],
)
def test_what_is_no_result_is_made_anew(tmp_path, data):
    assert recovered(tmp_path, data) is WHOLE


def test_a_bare_array_is_made_anew(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    assert recovered(tmp_path, buffer.getvalue()) is WHOLE


@SOME
@given(st.data())
def test_a_file_that_is_cut_short_is_made_anew(tmp_path, how, sound, data):
    kept = data.draw(st.integers(0, len(sound) - 1))
    assert recovered(tmp_path, sound[:kept]) is WHOLE


@pytest.mark.slow
@settings(SOME, max_examples=400)
@given(st.data())
def test_a_file_with_changed_bytes_is_made_anew_or_reads_as_it_was(tmp_path, how, sound, data):
    changed = bytearray(sound)
    for place in data.draw(st.lists(st.integers(0, len(sound) - 1), min_size=1, max_size=4)):
        changed[place] = data.draw(st.integers(0, 255))
    assert same(recovered(tmp_path, bytes(changed)), WHOLE)


def archive_of(meta: object, **extra: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    text = json.dumps(meta).encode()
    np.savez(buffer, meta=np.frombuffer(text, dtype=np.uint8), **extra)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "meta",
    [
        5,
        None,
        [],
        {},
        {"$class": "Outer"},
        {"$class": "Nobody", "fields": {}},
        {"$class": "Outer", "fields": {"label": "x"}},
        {"$class": "Outer", "fields": []},
        {"$class": "Inner", "fields": {"name": "x", "values": {"$array": 0}, "score": None}},
        {"$array": 0},
        {"$array": 99},
        {"$map": 3},
        {"$map": [[[1], 2]]},
        {"$class": ["a"], "fields": {}},
    ],
    ids=range(14),
)
def test_a_result_of_another_schema_is_made_anew(tmp_path, meta):
    assert recovered(tmp_path, archive_of(meta, a0=np.zeros(1))) is WHOLE


def test_a_field_that_was_added_to_the_dataclass_makes_the_result_anew(tmp_path):
    @dataclass(frozen=True)
    class Before:
        name: str

    @dataclass(frozen=True)
    class After:
        name: str
        more: int = 0

    store = Store(tmp_path)
    store.result("p", 1, {}, Before, lambda: Before("old"))
    Before.__name__ = After.__name__ = "Same"
    store = Store(tmp_path / "second")
    store.result("p", 1, {}, Before, lambda: Before("old"))
    assert store.result("p", 1, {}, After, lambda: After("new", 1)) == After("new", 1)
    assert store.made == 2


def test_no_pickle_is_ever_loaded(tmp_path, sound):
    trap = tmp_path / "sprung"

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (trap,))

    pickled = np.array([Bomb()], dtype=object)
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        names = [name for name in archive.namelist() if name.startswith("a")]
        meta = json.loads(np.load(io.BytesIO(archive.read("meta.npy"))).tobytes())
    extra = {name.removesuffix(".npy"): pickled for name in names}
    (tmp_path / "store").mkdir()
    for data in (archive_of(meta, **extra), pickle.dumps(Bomb())):
        assert recovered(tmp_path / "store", data) is WHOLE
        assert not trap.exists()


def test_a_failed_measurement_leaves_nothing(tmp_path):
    def fail():
        raise ValueError("measured nothing")

    with pytest.raises(ValueError, match="measured nothing"):
        Store(tmp_path).result("p", 1, {}, Inner, fail)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_error_of_a_measurement_is_not_taken_for_a_damaged_file(tmp_path):
    calls = []

    def fail():
        calls.append(1)
        raise KeyError("layer")

    with pytest.raises(KeyError) as caught:
        Store(tmp_path).result("p", 1, {}, Inner, fail)
    assert len(calls) == 1
    # The user is not told of a file that was never there.
    assert caught.value.__context__ is None


# Writing


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [one.name for one in path.parent.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_no_part(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, ["no bytes"])
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, {tests!r})
import generator.store as store
from test_store import Inner

moment = {moment!r}
opened, replace = os.fdopen, Path.replace

class Stream:
    def __init__(self, inner): self.inner = inner
    def __enter__(self): return self
    def __exit__(self, *_): self.inner.close()
    def write(self, data):
        self.inner.write(data[: len(data) // 2])
        self.inner.flush()
        os._exit(9)

if moment == "while writing":
    store.os.fdopen = lambda *given: Stream(opened(*given))
else:
    Path.replace = lambda *_: os._exit(9)
make = lambda: Inner("new", np.arange(100_000.0))
store.Store(Path({root!r})).result("p", 1, {{}}, Inner, make)
"""


@pytest.mark.parametrize("moment", ["while writing", "before the name is given"])
def test_a_writer_that_is_killed_leaves_nothing_under_the_final_name(tmp_path, moment):
    code = KILLED.format(tests=str(Path(__file__).parent), moment=moment, root=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=CHECKOUT, check=False)
    assert done.returncode == 9
    assert not list(tmp_path.rglob("*.npz"))
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left, "the writer was not caught in the act"
    store = Store(tmp_path)
    made = store.result("p", 1, {}, Inner, lambda: Inner("next", np.zeros(1)))
    assert made.name == "next"
    assert store.result("p", 1, {}, Inner, never).name == "next"
