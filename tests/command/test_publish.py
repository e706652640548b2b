"""`cutaway publish`: to a hub on loopback through its real client, and to a bare git repository."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from local_hub import LARGE, Hub, Repo, serving
from small_site import Run, cutaway, cutaway_here

from generator.paths import data_root
from generator.publishing.files import of_card, of_site
from generator.publishing.plan import redacted
from generator.record import RECORD, read_record
from generator.site import Tree, lay_out_statics, run_builder

TOKEN, ODD_TOKEN = "hf_abcdefGHIJKL123456", "my.own-secret/of+another=kind"
SPACE, CARD = "spaces/ada/shown", "ada/net"
STATED = {
    "schema": 1,
    "exhibit": {"title": 'Nets: "opened" & <shown>', "seed": 3},
    "models": [{"id": "net", "source": "./net", "weights_sha256": "ab" * 32}],
}
PAGE = "---\ntitle: {title}\n---\n\n{text}\n"


def build(root: Path, **pages: str) -> Path:
    """A site of a few pages, made by the real builder with all styles and scripts, in `root`/site."""
    tree = Tree(root / "build" / "docs")
    for name, text in ({"index": "First", "models": "Second"} | pages).items():
        tree.put(
            f"{name}.md" if name == "index" else f"{name}/index.md",
            PAGE.format(title=name, text=text).encode(),
        )
    tree.put("manifest.json", json.dumps(STATED).encode())
    tree.put("models/net/large.webp", bytes(range(256)) * (LARGE // 200))
    lay_out_statics(tree, root / "build" / "theme", data_root())
    tree.prune()
    config = root / "mkdocs.yml"
    config.write_text(
        "INHERIT: " + str(data_root() / "mkdocs.yml") + "\nnav: [{Gallery: index.md}]\n"
    )
    run_builder(config, root / "build", root / "site", "")
    return root / "site"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("made"))


@pytest.fixture
def site(made: Path, tmp_path: Path) -> Path:
    """A copy of a built site, to change."""
    shutil.copytree(made, tmp_path / "exhibit" / "site")
    return tmp_path / "exhibit" / "site"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub on loopback on which ada may write, and who is logged in."""
    from huggingface_hub import constants

    with serving({}) as hub:
        hub.writers = {TOKEN: "ada", ODD_TOKEN: "ada"}
        files = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


def published(*words: str | Path, code: int = 0) -> Run:
    """What the command does in this process; no token in anything that it says."""
    run = cutaway_here("publish", *words)
    assert run.code == code, run.out + run.err
    assert TOKEN not in run.out + run.err
    assert ODD_TOKEN not in run.out + run.err
    return run


def refusal(run: Run, *words: str) -> None:
    """An error is a sentence or two, with no traceback, that says these words."""
    assert run.err.startswith("Error: ")
    assert "Traceback" not in run.err
    assert len(run.err.strip().splitlines()) <= 2, run.err
    for word in words:
        assert word in run.err, run.err


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# What is published.


def test_a_build_records_every_file_that_it_made(made: Path) -> None:
    entries = read_record((made / RECORD).read_bytes())
    files = contents(made)
    assert set(entries) == set(files) - {RECORD}
    assert len(files) > 50
    asked = subprocess.run(
        ["git", "hash-object", made / "index.html"], capture_output=True, text=True, check=True
    )
    assert entries["index.html"].git == asked.stdout.strip()
    assert entries["models/net/large.webp"].size == len(files["models/net/large.webp"]) > LARGE
    assert (
        build(made.parent / "again").joinpath(RECORD).read_bytes() == (made / RECORD).read_bytes()
    )


def test_what_the_build_did_not_make_stays_at_home(site: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    (site / "notes.txt").write_text("mine")
    (site / ".env").write_text("KEY=mine")
    (site / ".git").mkdir()
    (site / ".git" / "config").write_text("mine")
    (site / "models" / "away").symlink_to(tmp_path)
    (site / "link.html").symlink_to(secret)
    local = of_site(site.parent)
    assert set(local.items) == set(read_record((site / RECORD).read_bytes())) | {RECORD}
    assert dict(local.skipped) == {
        ".env": "hidden",
        ".git/config": "hidden",
        "link.html": "a link",
        "models/away": "a link",
        "notes.txt": "the build did not make it",
    }


def unfinished(site: Path) -> None:
    (site / "manifest.json").write_text(json.dumps(STATED | {"unfinished": True}))


def changed(site: Path) -> None:
    (site / "index.html").write_text("other")


def missing(site: Path) -> None:
    (site / "models" / "index.html").unlink()
    (site / "models" / "index.html").mkdir()


def linked(site: Path) -> None:
    (site / "models" / "index.html").rename(site.parent / "index.html")
    (site / "models" / "index.html").symlink_to(site.parent / "index.html")


def folder_linked(site: Path) -> None:
    (site / "models").rename(site.parent / "elsewhere")
    (site / "models").symlink_to(site.parent / "elsewhere")


def outside(site: Path) -> None:
    stated = json.loads((site / RECORD).read_text())
    (site.parent / "key").write_text("mine")
    stated["files"]["../key"] = stated["files"]["index.html"]
    (site / RECORD).write_text(json.dumps(stated))


def hidden(site: Path) -> None:
    stated = json.loads((site / RECORD).read_text())
    shutil.copyfile(site / "index.html", site / ".env")
    stated["files"][".env"] = stated["files"]["index.html"]
    (site / RECORD).write_text(json.dumps(stated))


def unrecorded(site: Path) -> None:
    (site / RECORD).unlink()


def recorded_elsewhere(site: Path) -> None:
    (site / RECORD).write_text('{"schema": 9, "files": []}')


def not_a_record(site: Path) -> None:
    (site / RECORD).write_text("[1]")


REFUSED: dict[Callable[[Path], None], str] = {
    unfinished: "is not finished",
    changed: "index.html (changed)",
    missing: "models/index.html (missing)",
    linked: "models/index.html (a link)",
    folder_linked: "models/index.html (a link)",
    outside: "../key (no path within it)",
    hidden: ".env (hidden)",
    unrecorded: "an older build or another builder made it",
    recorded_elsewhere: "schema 9",
    not_a_record: "no record of Cutaway's",
}


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda one: one.__name__)
def test_a_site_that_is_not_what_was_built_is_refused(
    spoil: Callable[[Path], None], site: Path, hub: Hub
) -> None:
    spoil(site)
    refusal(published("hf-space:ada/shown", site, code=2), REFUSED[spoil])
    assert hub.asked == []


def test_a_target_or_a_folder_that_is_none_is_told(tmp_path: Path, hub: Hub) -> None:
    refusal(published("hf-spce:ada/shown", tmp_path, code=2), "hf-space:USER/NAME")
    refusal(published("hf-space:ada", tmp_path, code=2), "hf-space:USER/NAME")
    refusal(
        published("hf-space:ada/shown", tmp_path, code=2), "holds no built site", "cutaway build"
    )
    refusal(published("hf:ada/net", tmp_path, code=2), "holds no card", "cutaway card")
    assert hub.asked == []


def test_secrets_leave_what_is_said() -> None:
    said = f"https://user:pa@host/x and https://{TOKEN}@host/y with Bearer {ODD_TOKEN} and {TOKEN}."
    plain = redacted(said)
    assert "pa@" not in plain.replace("…@", "")
    assert TOKEN not in plain
    assert ODD_TOKEN not in plain
    assert "host/x" in plain


# A Space.


def test_a_dry_run_says_what_would_go_where_and_changes_nothing(
    site: Path, hub: Hub, monkeypatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")  # nobody has to be logged in to look
    (site / "notes.txt").write_text("mine")
    run = published("hf-space:ada/shown", site, "--dry-run")
    files = of_site(site)
    assert f"{hub.url}/spaces/ada/shown" in run.out
    assert f"{len(files.items) + 1} files to send" in run.out  # and README.md
    assert "skip" in run.out
    assert "notes.txt: the build did not make it" in run.out
    assert "would be made" in run.out
    assert "Nothing was changed" in run.out
    assert not [line for line in hub.asked if not line.startswith(("GET", "HEAD"))]
    assert hub.repos == {}


def test_a_space_holds_the_site_and_says_what_it_is(site: Path, hub: Hub) -> None:
    run = published("hf-space:ada/shown", site)
    assert "Published to the Space ada/shown" in run.out
    files = hub.repos[SPACE].files
    local = {name: data for name, data in contents(site).items() if name != RECORD}
    assert {name: files[name] for name in local} == local
    # The page that the Hub put there is replaced, its style is gone, and its own settings stay.
    assert set(files) - set(local) == {"README.md", RECORD, ".gitattributes"}
    assert set(read_record(files[RECORD])) == {*local, "README.md"}
    front = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert (front["title"], front["sdk"], front["app_file"]) == (
        STATED["exhibit"]["title"],
        "static",
        "index.html",
    )
    assert hub.stored  # what is large went to the storage of large files
    assert "POST /api/spaces/ada/shown/preupload/main" in hub.asked


def test_a_second_time_only_what_changed_is_sent_and_what_is_gone_is_removed(
    site: Path, hub: Hub, tmp_path: Path
) -> None:
    published("hf-space:ada/shown", site)
    first = len(hub.commits)
    assert "has all of it already" in published("hf-space:ada/shown", site).out
    assert len(hub.commits) == first

    other = build(tmp_path / "other", index="Changed", articles="New")
    hub.repos[SPACE].files["theirs.txt"] = b"a reader's"
    shutil.rmtree(tmp_path / "other" / "build" / "docs" / "models")
    other = build(tmp_path / "other", index="Changed", articles="New")
    dry = published("hf-space:ada/shown", other, "--dry-run").out
    assert len(hub.commits) == first
    assert "theirs.txt: Cutaway did not write it so" in dry
    published("hf-space:ada/shown", other)
    assert len(hub.commits) == first + 1
    sent = set(hub.commits[-1]["sent"])
    assert {"index.html", "articles/index.html", RECORD} <= sent
    assert not [name for name in sent if name.startswith(("stylesheets/", "javascripts/"))]
    assert hub.repos[SPACE].files["theirs.txt"] == b"a reader's"


def test_what_is_broken_off_goes_on_and_ends_the_same(
    site: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.publishing.hub.FILES", 40)
    from huggingface_hub import HfApi

    whole, calls = HfApi.create_commit, []

    def breaks(*words, **named):
        calls.append(named["commit_message"])
        if len(calls) == 3:
            raise ConnectionError("the line is dead")
        return whole(*words, **named)

    with monkeypatch.context() as during:
        during.setattr(HfApi, "create_commit", breaks)
        refusal(published("hf-space:ada/shown", site, code=1), "gives no answer", "goes on")
    assert len(hub.commits) == 2
    assert not [name for each in hub.commits for name in each["sent"] if name.endswith(".html")]
    before = {name for each in hub.commits for name in each["sent"]}
    published("hf-space:ada/shown", site)
    again = {name for each in hub.commits[2:] for name in each["sent"]}
    assert before & again == {RECORD}
    local = {name: data for name, data in contents(site).items() if name != RECORD}
    files = hub.repos[SPACE].files
    assert {name: files[name] for name in local} == local
    assert set(files) - set(local) == {"README.md", RECORD, ".gitattributes"}


def test_a_space_of_somebody_else_is_not_overwritten_unless_told_to(site: Path, hub: Hub) -> None:
    own = {"index.html": b"theirs", "app.py": b"theirs", ".gitattributes": b""}
    hub.repos[SPACE] = Repo(dict(own), "c" * 40)
    for words in ((), ("--dry-run",)):
        run = published("hf-space:ada/shown", site, *words, code=1)
        refusal(run, "Cutaway did not write what is in the Space ada/shown", "--overwrite")
    assert hub.repos[SPACE].files == own
    published("hf-space:ada/shown", site, "--overwrite")
    assert hub.repos[SPACE].files["index.html"] == (site / "index.html").read_bytes()
    assert hub.repos[SPACE].files["app.py"] == b"theirs"


def test_what_was_changed_there_is_not_lost(site: Path, hub: Hub) -> None:
    published("hf-space:ada/shown", site)
    hub.repos[SPACE].files["README.md"] += b"\nA word of thanks.\n"
    refusal(published("hf-space:ada/shown", site, code=1), "README.md", "changed since")
    assert hub.repos[SPACE].files["README.md"].endswith(b"thanks.\n")


def test_a_site_that_a_space_cannot_hold_is_told_before_anything_is_sent(
    site: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.publishing.hub.SPACE_BYTES", 1_000_000)
    refusal(
        published("hf-space:ada/shown", site, code=1), "MB, and a Space holds 1 MB", "fewer models"
    )
    assert hub.asked == []


ANSWERS = {
    (401, "Invalid credentials in Authorization header"): (
        "does not know the token",
        "hf auth login",
    ),
    (403, "Forbidden: pass a token with write access"): (
        "does not let this token write",
        "may write",
    ),
    (403, "Repository storage limit reached (Max: 1 GB)"): (
        "more than the Hub allows",
        "fewer models",
    ),
    (404, "Not there"): ("does not find", "Check the user's"),
    (412, "The branch has moved"): ("was changed meanwhile", "again"),
    (413, "Payload"): ("more than the Hub allows",),
    (422, "No such thing as " + ODD_TOKEN): ("refuses",),
}


@pytest.mark.parametrize("answer", ANSWERS, ids=[f"{code}-{word[:9]}" for code, word in ANSWERS])
def test_what_the_hub_refuses_is_a_sentence_with_what_to_do(
    answer: tuple[int, str], site: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", ODD_TOKEN)
    hub.refuse = {"POST /api/spaces/ada/shown/commit": answer}
    refusal(published("hf-space:ada/shown", site, code=1), *ANSWERS[answer])


def test_no_login_a_wrong_login_another_owner_and_no_network_are_told(
    site: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    refusal(
        published("hf-space:bob/shown", site, code=1), "does not let this token write", "bob/shown"
    )
    monkeypatch.setenv("HF_TOKEN", "hf_nobodys0123456")
    run = published("hf-space:ada/shown", site, code=1)
    refusal(run, "does not know the token")
    assert "nobodys" not in run.err
    monkeypatch.delenv("HF_TOKEN")
    refusal(published("hf-space:ada/shown", site, code=1), "Nobody is logged in", "hf auth login")
    assert hub.repos == {}
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    refusal(published("hf-space:ada/shown", site, code=1), "gives no answer", "Check the network")


# A card.


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A folder as `cutaway card` lays it out, with more in it."""
    folder = tmp_path / "net-card"
    for name in (
        "figures/cam map.png",
        "figures/old.png",
        "data/evaluation.csv",
        "notes/private.md",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "README.md").write_text(
        "---\nlicense: apache-2.0\nlibrary_name: timm\n---\n\n# Net\n\n![A map](<figures/cam map.png>)\n\n"
        "[Numbers](./data/evaluation.csv), [notes](notes/private.md), [more](https://example.org/figures/x.png)\n"
    )
    return folder


def test_a_card_goes_beside_the_weights_with_what_it_names(card: Path, hub: Hub) -> None:
    weights = {
        "model.safetensors": b"weights",
        "figures/theirs.png": b"theirs",
        ".gitattributes": b"",
    }
    hub.repos[CARD] = Repo(dict(weights), "c" * 40)
    dry = published("hf:ada/net", card, "--dry-run").out
    assert "notes/private.md: README.md does not name it" in dry
    assert "figures/old.png: README.md does not name it" in dry
    published("hf:ada/net", card)
    named = {"README.md", "figures/cam map.png", "data/evaluation.csv"}
    files = hub.repos[CARD].files
    assert set(files) == {*weights, *named, RECORD}
    assert {name: files[name] for name in weights} == weights

    text = (card / "README.md").read_text().replace("cam map.png", "old.png")
    (card / "README.md").write_text(text)
    published("hf:ada/net", card)
    files = hub.repos[CARD].files
    assert set(files) == {*weights, "README.md", "figures/old.png", "data/evaluation.csv", RECORD}
    assert set(hub.commits[-1]["sent"]) == {"README.md", "figures/old.png", RECORD}
    assert hub.commits[-1]["removed"] == ["figures/cam map.png"]


def test_a_card_that_somebody_wrote_there_is_not_lost(card: Path, hub: Hub) -> None:
    hub.repos[CARD] = Repo({"README.md": b"written with care"}, "c" * 40)
    refusal(published("hf:ada/net", card, code=1), "README.md", "cutaway card", "--overwrite")
    assert hub.repos[CARD].files == {"README.md": b"written with care"}
    published("hf:ada/net", card, "--overwrite")
    assert hub.repos[CARD].files["README.md"] == (card / "README.md").read_bytes()


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("figures/gone.png", "missing"),
        ("figures/../../secret", "no path within it"),
        ("figures/.key", "hidden"),
        ("data/away", "a link"),
    ],
)
def test_a_card_that_names_what_must_not_go_is_refused(
    card: Path, hub: Hub, named: str, why: str
) -> None:
    (card.parent / "secret").write_text("mine")
    (card / "figures" / ".key").write_text("mine")
    (card / "data" / "away").symlink_to(card.parent / "secret")
    with (card / "README.md").open("a") as file:
        file.write(f"\n![x]({named})\n")
    refusal(published("hf:ada/net", card, code=2), f"{named} ({why})")
    assert hub.asked == []


def test_the_files_of_a_card_are_those_that_it_names(card: Path) -> None:
    assert set(of_card(card).items) == {"README.md", "figures/cam map.png", "data/evaluation.csv"}


# A branch.


def git(folder: Path, *words: str, **env: str) -> str:
    plain = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    own = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = subprocess.run(
        ["git", "-C", folder, *words],
        env=plain | own | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def clone(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with work going on in it, whose remote is a bare one, with the site built in it."""
    for name in ("GLOBAL", "SYSTEM"):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    bare, folder = tmp_path / "bare.git", site.parent
    git(tmp_path, "init", "--quiet", "--bare", str(bare))
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "config", "user.name", "Ada")
    git(folder, "config", "user.email", "ada@example.org")
    git(folder, "config", "core.autocrlf", "true")
    git(folder, "remote", "add", "origin", str(bare))
    (folder / ".gitignore").write_text("site/\n")
    (folder / "exhibit.yml").write_text("title: x\r\n")
    git(folder, "add", ".gitignore", "exhibit.yml")
    git(folder, "commit", "--quiet", "-m", "Begin")
    (folder / "exhibit.yml").write_text("title: y\n")
    (folder / "staged.txt").write_text("staged")
    git(folder, "add", "staged.txt")
    return folder


def state(folder: Path) -> tuple[str, ...]:
    """Everything of a repository that is its user's: branches, what is checked out, index, working tree."""
    asked = (
        ("for-each-ref", "refs/heads"),
        ("symbolic-ref", "HEAD"),
        ("ls-files", "-s"),
        ("status", "--porcelain"),
    )
    return tuple(git(folder, *words) for words in asked)


def tree(bare: Path, commit: str = "gh-pages") -> dict[str, bytes]:
    names = git(bare, "ls-tree", "-r", "--name-only", "-z", commit).split("\0")
    return {
        name: subprocess.run(
            ["git", "-C", bare, "show", f"{commit}:{name}"], capture_output=True, check=True
        ).stdout
        for name in names
        if name
    }


def test_a_branch_gets_the_site_in_one_commit_and_nothing_else_is_touched(clone: Path) -> None:
    before, bare = state(clone), clone.parent / "bare.git"
    dry = published("gh-pages", clone / "site", "--dry-run").out
    assert ".nojekyll" in dry
    assert git(bare, "for-each-ref") == ""
    run = published("gh-pages", clone / "site")
    assert "Published as commit" in run.out
    assert state(clone) == before
    assert tree(bare) == contents(clone / "site") | {".nojekyll": b""}
    assert git(bare, "rev-list", "--count", "gh-pages") == "1"
    said = git(bare, "log", "-1", "--format=%B", "gh-pages")
    assert said.startswith(f"Publish {STATED['exhibit']['title']}\n")
    for word in (
        git(clone, "rev-parse", "HEAD"),
        "net: ./net, weights abababababab",
        "Published-by: cutaway",
    ):
        assert word in said
    assert git(bare, "log", "-1", "--format=%an", "gh-pages") == "Ada"


def test_a_second_commit_holds_what_changed_and_keeps_the_domain(
    clone: Path, tmp_path: Path
) -> None:
    bare = clone.parent / "bare.git"
    published("gh-pages", clone / "site")
    assert "has all of it already" in published("gh-pages", clone / "site").out
    assert git(bare, "rev-list", "--count", "gh-pages") == "1"
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", "--branch", "gh-pages", str(bare), str(other))
    (other / "CNAME").write_text("nets.example.org\n")
    git(other, "add", "CNAME")
    git(
        other,
        "-c",
        "user.name=Bo",
        "-c",
        "user.email=b@example.org",
        "commit",
        "--quiet",
        "-m",
        "Create CNAME",
    )
    git(other, "push", "--quiet")
    # Somebody else has written to the branch: that is told, and kept if one goes on.
    refusal(published("gh-pages", clone / "site", code=1), "is not Cutaway's", "--overwrite")
    shutil.rmtree(clone / "site")
    build(clone, index="Changed")
    run = published("gh-pages", clone / "site", "--overwrite")
    assert git(bare, "rev-list", "--count", "gh-pages") == "3"
    assert tree(bare) == contents(clone / "site") | {
        ".nojekyll": b"",
        "CNAME": b"nets.example.org\n",
    }
    touched = git(bare, "diff", "--name-only", "gh-pages~1", "gh-pages").split()
    assert "index.html" in touched
    assert not [name for name in touched if name.startswith("javascripts/")]
    assert "there already" in run.out


def test_a_branch_of_somebody_else_is_not_overwritten_unless_told_to(clone: Path) -> None:
    bare = clone.parent / "bare.git"
    git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/gh-pages")
    for words in ((), ("--dry-run",)):
        run = published("gh-pages", clone / "site", *words, code=1)
        refusal(run, "Cutaway did not write the branch gh-pages", "--overwrite")
    published("gh-pages", clone / "site", "--overwrite")
    assert tree(bare) == contents(clone / "site") | {".nojekyll": b""}
    assert git(bare, "log", "--format=%s", "gh-pages").splitlines()[1:] == [
        "Begin"
    ]  # kept below it


def test_without_a_remote_the_branch_is_made_here(clone: Path) -> None:
    git(clone, "remote", "remove", "origin")
    published("gh-pages", clone / "site")
    assert tree(clone) == contents(clone / "site") | {".nojekyll": b""}
    assert git(clone, "symbolic-ref", "HEAD") == "refs/heads/main"
    refusal(
        published("gh-pages", clone / "site", "--remote", "upstrem", code=2), "no remote 'upstrem'"
    )
    git(clone, "stash", "--quiet")
    git(clone, "worktree", "add", "--quiet", str(clone.parent / "tree"), "gh-pages")
    refusal(published("gh-pages", clone / "site", code=1), "is checked out here")


def test_on_a_machine_that_nobody_has_a_name_on_cutaway_commits(clone: Path, monkeypatch) -> None:
    git(clone, "config", "--unset", "user.name")
    git(clone, "config", "--unset", "user.email")
    git(clone, "config", "user.useConfigOnly", "true")
    published("gh-pages", clone / "site")
    assert git(clone.parent / "bare.git", "log", "-1", "--format=%an", "gh-pages") == "cutaway"


def test_what_git_refuses_is_a_sentence_without_the_password(clone: Path, tmp_path: Path) -> None:
    git(clone, "remote", "set-url", "origin", f"http://ada:{TOKEN}@127.0.0.1:9/x.git")
    refusal(
        published("gh-pages", clone / "site", code=1), "The remote cannot be used", "git remote -v"
    )
    git(clone, "remote", "set-url", "origin", str(clone.parent / "bare.git"))
    hook = clone.parent / "bare.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'you are denied' >&2\nexit 1\n")
    hook.chmod(0o755)
    refusal(published("gh-pages", clone / "site", code=1), "The remote refuses", "denied")
    apart = shutil.move(clone / "site", tmp_path / "apart")
    refusal(published("gh-pages", apart, code=2), "lies in no git repository")


def test_a_branch_that_moves_meanwhile_is_not_overwritten(clone: Path, monkeypatch) -> None:
    from generator.publishing import git as publish_git

    whole, bare = publish_git._commit, clone.parent / "bare.git"

    def moves(*words):
        git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/gh-pages")
        return whole(*words)

    monkeypatch.setattr(publish_git, "_commit", moves)
    refusal(published("gh-pages", clone / "site", code=1), "has moved meanwhile", "again")
    assert git(bare, "rev-parse", "gh-pages") == git(clone, "rev-parse", "HEAD")


def test_the_command_publishes_as_users_run_it(clone: Path, hub: Hub) -> None:
    """In a process of its own, in the folder of the exhibit, where nothing is named."""
    env = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    run = cutaway("publish", "hf-space:ada/shown", cwd=clone, **env)
    assert (run.code, run.err) == (0, ""), run.err
    assert hub.repos[SPACE].files["index.html"] == (clone / "site" / "index.html").read_bytes()
    run = cutaway("publish", "gh-pages", cwd=clone)
    assert (run.code, run.err) == (0, "")
    run = cutaway(
        "publish", "hf-space:ada/shown", cwd=clone, **(env | {"HF_TOKEN": "hf_other0123456789"})
    )
    assert run.code == 0  # all of it is there: nothing is written
    run = cutaway(
        "publish", "hf-space:ada/new", cwd=clone, **(env | {"HF_TOKEN": "hf_other0123456789"})
    )
    refusal(run, "does not know the token")
