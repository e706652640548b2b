"""Every command as a user runs it: in a process of its own where the process is what is asked about."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import EFFICIENTNET, MINILM, SMOLLM2
from filelock import FileLock
from small_site import (
    COMMAND,
    Run,
    cutaway,
    cutaway_here,
    environment,
    files_of,
    make_exhibit,
    read_exhibit,
    write_exhibit,
)
from tiny_transformers import save_tiny
from warm import running
from wheels import make_wheel

from generator.serve import make_server

pytestmark = pytest.mark.slow

ON_POSIX = pytest.mark.skipif(os.name == "nt", reason="signals, terminals and mounts of POSIX")


def refused(run: Run, code: int, *said: str) -> None:
    """The command ended with a sentence on stderr, the right code, and no traceback."""
    assert "Traceback" not in run.out + run.err
    assert run.code == code, run.out + run.err
    assert run.err.count("Error") == 1, run.err
    assert len(run.err.strip().splitlines()) <= 4, run.err
    for words in said:
        assert words in run.err, run.err


# What works


def test_one_vision_model_needs_no_exhibit(tmp_path):
    folder = make_exhibit(tmp_path / "e", models=(), pictures=("cat",))
    where = tmp_path / "run"
    where.mkdir()
    words = ("--model", "timm:test_resnet", "--weights", "random", "--images", folder / "images")
    words = (*words, "--features", "0", "--jobs", "1")
    run = cutaway_here("build", *words, "--out", tmp_path / "out" / "site", cwd=where)
    assert run.code == 0, run.out + run.err
    site = tmp_path / "out" / "site"
    assert "test-resnet" in (site / "index.html").read_text()
    layers = (site / "models" / "test-resnet" / "data" / "layers.csv").read_text().splitlines()
    assert (site / "models/test-resnet/layers/layer4.0.conv2/index.html").is_file()
    assert "random weights" in (site / "manifest.json").read_text()
    overview = (site / "models/test-resnet/index.html").read_text(encoding="utf-8")
    assert "The weights of this network are random" in overview
    assert {path.name for path in where.iterdir()} == {"build"}
    assert len(layers) > 15
    assert "https://" not in run.out
    assert not list(folder.glob("build"))


def test_one_local_language_model_needs_no_exhibit(tmp_path):
    save_tiny("bert", tmp_path / "model", num_hidden_layers=1, num_attention_heads=2)
    (tmp_path / "lines.txt").write_text(
        "Rain fell on the roof.\n\nThe roof held, the rain did not.\n"
    )
    words = ("--model", "./model", "--texts", "lines.txt", "--jobs", "1")
    run = cutaway_here("build", *words, cwd=tmp_path)
    assert run.code == 0, run.out + run.err
    data = tmp_path / "site" / "models" / "model" / "data"
    assert len((data / "heads.csv").read_text().splitlines()) >= 1 + 2
    assert "text-2" in (data / "links.csv").read_text()
    assert "The roof held" in (tmp_path / "site/models/model/index.html").read_text()


@pytest.mark.parametrize(
    ("words", "first", "lines", "last"),
    [
        (
            (EFFICIENTNET, "--architecture", "timm:tf_efficientnet_lite0"),
            "4,652,008",
            66,
            "1,281,000",
        ),
        ((MINILM,), "encoder", 6, "384 384 12 12 1,774,464"),
        ((SMOLLM2,), "decoder", 30, "576 576 9 3 3,540,096"),
    ],
)
def test_inspect_lists_layers_units_heads_and_groups(words, first, lines, last):
    run = cutaway_here("inspect", *words)
    assert (run.code, run.err) == (0, "")
    said = run.out.splitlines()
    assert first in said[0]
    assert re.search(r"\b[0-9a-f]{64}\b", said[1])
    columns = ("layer", "kind", "units", "heads", "KV groups")
    header = next(at for at, line in enumerate(said) if all(word in line for word in columns))
    rows = [" ".join(line.split()) for line in said[header + 1 :]]
    assert [int(row.split()[0]) for row in rows] == list(range(lines))
    assert rows[-1].endswith(last)
    assert "…" not in run.out
    if lines == 66:
        assert "blocks.1.0.conv_dw depthwise convolution" in run.out.replace("  ", " ").replace(
            "  ", " "
        )


def test_inspect_knows_the_models_of_an_exhibit_by_their_ids(seeded_site, tmp_path):
    for run in (
        cutaway_here("inspect", "encoder", cwd=seeded_site.exhibit),
        cutaway_here("inspect", "encoder", "--exhibit", seeded_site.exhibit),
    ):
        assert (run.code, run.err) == (0, "")
        assert "encoder: encoder, " in run.out
    near = cutaway_here("inspect", "encodr", cwd=seeded_site.exhibit)
    assert (near.code, "Did you mean 'encoder'?" in near.err) == (2, True)
    nowhere = cutaway_here("inspect", "encodr", cwd=tmp_path)
    assert (nowhere.code, "no exhibit.yml in this folder" in nowhere.err) == (2, True)


def test_doctor_says_what_there_is():
    run = cutaway_here("doctor")
    assert (run.code, run.err) == (0, "")
    for name in ("cutaway", "torch", "transformers", "devices", "mkdocs", "templates", "cache"):
        assert re.search(rf"^ok\s+{name}\s+\S", run.out, re.MULTILINE), run.out
    assert re.search(r"torch\s+2\..*torchvision 0\.", run.out)
    plain = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True)
    assert ("a plain 'import torchvision' fails" in run.out) == (plain.returncode != 0)
    assert "\x1b" not in run.out


def test_doctor_fails_where_a_build_would(tmp_path):
    (tmp_path / "file").write_text("no folder")
    run = cutaway_here("doctor", CUTAWAY_CACHE=str(tmp_path / "file" / "cache"))
    assert run.code == 1
    assert re.search(r"^no\s+cache\s+\S", run.out, re.MULTILINE), run.out
    assert "Traceback" not in run.out + run.err


def test_help_and_version_answer_at_once():
    assert cutaway("--version").out.startswith("cutaway 0.")
    run = cutaway("build", "--help")
    assert run.code == 0
    assert all(option in run.out for option in ("--out", "--model", "--texts", "--images"))
    assert run.seconds < 5


def test_without_a_network_the_weights_of_a_library_are_refused_at_once(tmp_path):
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    run = cutaway("inspect", "timm:resnet18", **nowhere)
    refused(run, 1, "http://127.0.0.1:9 gives no answer", "weights: random")
    assert "Retrying" not in run.out + run.err


# Serving


@contextlib.contextmanager
def serving(site: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [COMMAND, "serve", site, *words],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line + process.stderr.read()
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()


def test_serve_shows_the_site_until_interrupted(seeded_site):
    with serving(seeded_site.site, "--port", "0") as (process, url):
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == (seeded_site.site / "index.html").read_bytes()
        with urllib.request.urlopen(f"{url}models/encoder/layers/0/heads/1/") as answer:
            assert answer.headers["Content-Type"].startswith("text/html")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}../../../etc/passwd")
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"{url}models/nonsense/")
        assert missing.value.code == 404
        assert missing.value.read() == (seeded_site.site / "404.html").read_bytes()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")


def test_serve_says_nothing_of_readers_who_leave(seeded_site, tmp_path):
    shutil.copytree(seeded_site.site, tmp_path / "site")
    (tmp_path / "site" / "large.bin").write_bytes(bytes(30_000_000))
    with serving(tmp_path / "site", "--port", "0") as (process, url):
        address = urllib.parse.urlsplit(url)
        for _ in range(3):
            with socket.create_connection((address.hostname, address.port)) as reader:
                reader.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
                reader.recv(1000)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")


def test_serve_finds_the_site_in_the_folder_that_it_was_built_in(seeded_site):
    server = make_server(seeded_site.site.parent, "127.0.0.1", 0)
    server.server_close()
    assert Path(server.RequestHandlerClass.keywords["directory"]) == seeded_site.site


def test_serve_without_a_site_says_how_to_make_one(tmp_path):
    refused(cutaway("serve", tmp_path / "site"), 2, "holds no built site", "cutaway build")
    refused(cutaway("serve", cwd=tmp_path), 2, "holds no built site")


def test_serve_on_a_port_in_use_asks_for_another(seeded_site):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        run = cutaway("serve", seeded_site.site, "--port", port)
    refused(run, 1, f"Cannot listen on 127.0.0.1:{port}", "--port")


# Mistakes


def change(folder: Path, **keys: object) -> None:
    write_exhibit(folder, read_exhibit(folder) | keys)


def unknown_key(folder: Path) -> None:
    text = (folder / "exhibit.yml").read_text()
    (folder / "exhibit.yml").write_text(text + "titel: Wrong\n")


def unknown_model(folder: Path) -> None:
    change(folder, models=[{"id": "m", "source": "timm:resnet81", "weights": "random"}])


def missing_picture(folder: Path) -> None:
    next((folder / "images").iterdir()).unlink()


def cut_picture(folder: Path) -> None:
    picture = next((folder / "images").iterdir())
    picture.write_bytes(picture.read_bytes()[:1000])


def long_text(folder: Path) -> None:
    change(folder, texts=[{"id": "long", "text": "rain " * 600}])


def no_text(folder: Path) -> None:
    change(folder, texts=[])


def unknown_layer(folder: Path) -> None:
    models = read_exhibit(folder)["models"]
    models[0]["layers"] = ["conv_steam"]
    change(folder, models=models)


def evil_pickle(folder: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {folder}/harmed",))

    (folder / "evil.pth").write_bytes(pickle.dumps({"weight": Evil()}))
    change(folder, models=[{"id": "m", "source": "./evil.pth", "architecture": "timm:resnet18"}])


def no_weights(folder: Path) -> None:
    (folder / "empty").mkdir()
    model = {"id": "m", "source": "./empty", "architecture": "timm:resnet18"}
    change(folder, models=[model])


MISTAKES = {
    unknown_key: (2, ("exhibit.yml, line", "titel", "Did you mean 'title'?")),
    unknown_model: (2, ("resnet81", "Did you mean")),
    missing_picture: (2, ("cat.jpg", "no such picture")),
    cut_picture: (1, ("cat.jpg", "cannot be read as a picture")),
    long_text: (2, ("'long' has 600 tokens", "at most 64")),
    no_text: (2, ("encoder takes texts",)),
    unknown_layer: (2, ("conv_steam", "Did you mean 'conv_stem'?", "cutaway inspect")),
    evil_pickle: (1, ("evil.pth is refused", "pickle that holds code")),
    no_weights: (1, ("holds no weights",)),
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda function: function.__name__)
def test_a_mistake_is_answered_and_the_old_site_stays(seeded, seeded_site, mistake):
    code, said = MISTAKES[mistake]
    mistake(seeded)
    before = files_of(seeded)
    refused(cutaway_here("build", seeded), code, *said)
    assert files_of(seeded / "site") == files_of(seeded_site.site)
    assert set(files_of(seeded)) == set(before)  # nothing was done to the folder either


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", ""), "source ''"),
        (("--model", "x" * 500), "source"),
        (("--model", "resnet18"), "./resnet18"),
        (("--model", "timm:resnet18", "--images", "nowhere"), "nowhere"),
        (("--weights", "random"), "go with --model"),
        (("nowhere.yml",), "cutaway new"),
        ((".", "--model", "timm:resnet18"), "not both"),
        (("--bogus",), "--bogus"),
        (("--jobs", "-1"), "--jobs"),
        (("--model", "timm:resnet18", "--weights", "random", "--device", "tpu"), "no device 'tpu'"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = cutaway_here("build", *words)
    assert (run.code, "Traceback" in run.err) == (2, False), run.err
    assert said in run.err
    assert [path for path in tmp_path.iterdir() if path.name != "build"] == []


def test_an_address_of_a_site_has_a_scheme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = cutaway_here("card", "timm:resnet18", "--site-url", "example.org/x")
    assert (run.code, "https://" in run.err) == (2, True), run.err


@pytest.mark.parametrize("out", [".", "..", "images", "exhibit.yml", "build/docs"])
def test_out_replaces_no_folder_that_holds_something_else(seeded, out):
    (seeded.parent / "precious.txt").write_text("mine")
    before = files_of(seeded.parent)
    run = cutaway_here("build", seeded, "--out", seeded / out)
    refused(run, 2, "replaces the folder")
    assert files_of(seeded.parent) == before


def test_a_folder_in_which_another_build_works_is_left_alone(seeded, seeded_site, monkeypatch):
    monkeypatch.setattr("generator.site._PATIENCE", 0.1)
    before = files_of(seeded)
    with FileLock(seeded / "build" / "lock"):
        refused(cutaway_here("build", seeded), 2, "Another build is at work in", "Wait until")
    assert files_of(seeded) == before
    assert cutaway_here("build", seeded).code == 0


def test_a_wrong_checksum_stops_the_build(seeded, seeded_site, tmp_path):
    (tmp_path / "shelf").mkdir()
    make_wheel(tmp_path / "shelf", {"toy/w.bin": b"1"})
    source = f"pypi:toy==1.0#sha256={'0' * 64}"
    change(seeded, models=[{"id": "m", "source": source, "architecture": "timm:resnet18"}])
    only = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
    shelf = {"PIP_FIND_LINKS": str(tmp_path / "shelf"), "CUTAWAY_CACHE": str(tmp_path / "cache")}
    run = cutaway_here("build", seeded, **only, **shelf)
    refused(run, 1, "not the one that the exhibit pins", "0000")
    assert files_of(seeded / "site") == files_of(seeded_site.site)
    assert files_of(tmp_path / "cache") == {}


@pytest.mark.parametrize("source", [MINILM, "hf:org/name"])
def test_without_a_network_it_says_who_cannot_be_reached(seeded, seeded_site, tmp_path, source):
    change(seeded, models=[{"id": "m", "source": source}])
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), gone)
        pip = {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{gone}/simple",
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
            "PIP_RETRIES": "0",
        }
        hub = {"HF_ENDPOINT": gone, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": ""}
        caches = {"CUTAWAY_CACHE": str(tmp_path / "cache"), "NO_PROXY": "", "no_proxy": ""}
        told = (
            cutaway if source[:3] == "hf:" else cutaway_here
        )  # the Hub's client reads these when it is loaded
        run = told("build", seeded, **proxies, **pip, **hub, **caches)
        refused(run, 1, gone, "proxy")
    assert files_of(seeded / "site") == files_of(seeded_site.site)


# Full disks. A mount namespace of one process needs no root where the system allows namespaces.


@pytest.fixture
def small_disk() -> list[str]:
    """The words that run a script where mounting is allowed and seen by nobody else."""
    words = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    try:
        tried = subprocess.run([*words, "mount -t tmpfs none /mnt"], capture_output=True)
    except OSError:
        pytest.skip("no unshare: mount namespaces belong to Linux")
    if tried.returncode:
        pytest.skip(f"no mount namespace here: {tried.stderr.decode().strip()}")
    return words


@ON_POSIX
@pytest.mark.parametrize("full", ["build", "out"])
def test_a_full_disk_leaves_the_old_site(small_disk, seeded, seeded_site, tmp_path, full):
    old = tmp_path / "old"
    shutil.copytree(seeded / "site", old)
    disk = seeded / full
    if full == "build":
        shutil.rmtree(disk)  # so that everything has to be drawn anew
    disk.mkdir()
    kept = sum(file.stat().st_size for file in old.rglob("*") if file.is_file())
    room = 2_000_000 if full == "build" else 2 * kept
    script = f"""
        mount -t tmpfs -o size={room} none {disk}
        [ {full} = build ] || cp -r {old} {disk}/site
        site={seeded}/site
        [ {full} = build ] || site={disk}/site
        code=0
        {COMMAND} build {seeded} --out $site || code=$?
        diff -r {old} $site
        [ -z "$(find $(dirname $site) -maxdepth 1 -name '.site-*')" ]
        exit $code
    """
    started = time.perf_counter()
    done = subprocess.run(
        [*small_disk, script], env=environment(), capture_output=True, text=True, timeout=300
    )
    run = Run(done.returncode, done.stdout, done.stderr, time.perf_counter() - started)
    assert "Only in" not in run.out
    assert "differ" not in run.out
    refused(run, 1, "The disk is full", "The site was left as it was")
    assert files_of(seeded_site.site) == files_of(old)


# Terminals and signals


@ON_POSIX
@pytest.mark.parametrize(("stage", "seconds"), [("Figures", 0.02), ("Site", 0)])
def test_an_interrupt_stops_at_once_and_leaves_the_old_site(
    seeded, seeded_site, tmp_path, stage, seconds
):
    if stage == "Figures":
        shutil.rmtree(seeded / "build" / "store" / "figures")  # so that there is something to draw
    with running(tmp_path, "build", seeded) as command:
        command.wait_for(f"{stage} ...")
        time.sleep(seconds)
        command.signal(signal.SIGINT)
        stopped = command.ended(60)
    refused(stopped, 130, "Stopped", "continues there")
    assert files_of(seeded / "site") == files_of(seeded_site.site)
    assert not list(seeded.glob(".site*"))


def test_without_a_terminal_progress_is_plain_lines(seeded_site):
    lines = seeded_site.stdout.splitlines()
    assert "\x1b" not in seeded_site.stdout
    assert "\r" not in seeded_site.stdout
    for stage in ("Models", "Probes", "Figures", "Pages", "Site"):
        assert f"{stage} ..." in lines
        assert any(re.match(rf"{stage}: \d+\.\d s", line) for line in lines)
    pages = len(list(seeded_site.site.rglob("*.html"))) - 1  # the builder adds the one for 404
    assert any(re.match(rf"total +\d+\.\d +{pages} pages, ", line) for line in lines)
    assert f"The site is in {seeded_site.site}" in lines
    assert f"Look at it: cutaway serve {seeded_site.site}" in lines


@ON_POSIX
def test_a_terminal_shows_bars(seeded, tmp_path):
    import pty

    ours, theirs = pty.openpty()
    words, screen = ("build", seeded, "--jobs", "1"), Path(os.ttyname(theirs))
    shown = b""
    with running(tmp_path, *words, out=screen, TERM="xterm-256color") as command:
        while select.select([ours], [], [], 0.1)[0] or command.process.is_alive():
            if select.select([ours], [], [], 0.1)[0]:
                shown += os.read(ours, 65536)
        assert command.process.exitcode == 0
    os.close(ours)
    os.close(theirs)
    text = shown.decode()
    assert "\x1b[" in text
    assert "━" in text
    for stage in ("Models", "Probes", "Figures", "Pages", "Site"):
        assert stage in text
        assert f"{stage} ..." not in text
    assert re.search(r"(\d+)/\1\b", text)
