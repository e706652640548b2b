"""A site as a branch of the git repository that it was built in: one commit, made beside the working tree.

Blobs, trees and commits are written with git's plumbing and an index of their own. Neither the working
tree nor the index nor the branch that is checked out is touched.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from generator import __version__
from generator.errors import CutawayError, UsageError
from generator.publishing.files import Item, Local
from generator.publishing.plan import Plan, Wish, redacted
from generator.record import RECORD

BRANCH = "gh-pages"
_REF = f"refs/heads/{BRANCH}"
_TRAILER = "Published-by: cutaway"
_MADE = {".nojekyll": Item.of(b"")}  # GitHub is to serve the files as they are
_KEPT = {"CNAME": "GitHub keeps the domain of the site in it"}
_NOT_OURS = "--overwrite replaces all of it; what it held stays in its history."


@dataclass(frozen=True)
class Git:
    """A repository, and the environment for its commands."""

    root: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, data: bytes = b"", may_fail: bool = False) -> bytes:
        """What a command writes, b"" where it may fail and does. Raises CutawayError in git's own words."""
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("GIT_DIR", "GIT_INDEX", "GIT_WORK"))
        }
        env = {**kept, "LC_ALL": "C", **self.env}
        done = subprocess.run(
            ["git", "-C", str(self.root), *words],
            input=data,
            env=env,
            capture_output=True,
            check=False,
        )
        if done.returncode and not may_fail:
            raise CutawayError(*_explained(words[0], done.stderr.decode(errors="replace")))
        return b"" if done.returncode else done.stdout

    def line(self, *words: str, data: bytes = b"", may_fail: bool = False) -> str:
        """The same as a line of text."""
        return self(*words, data=data, may_fail=may_fail).decode(errors="replace").strip()


@dataclass(frozen=True)
class Tip:
    """The last commit of the branch, "" where there is no branch yet, and its blobs by path."""

    commit: str = ""
    blobs: Mapping[str, str] = field(default_factory=dict)


def publish(local: Local, wish: Wish) -> str:
    """Commit the files onto the branch and push it; what was done, or would be. Raises CutawayError."""
    git = _repository(local.root)
    remote = wish.remote if wish.remote in git.line("remote").split() else ""
    if not remote and wish.remote != Wish.remote:
        raise UsageError(f"The repository {git.root} has no remote '{wish.remote}'.")
    tip = _tip(git, remote)
    _check_ours(git, tip, remote, wish)
    items = {**_MADE, **local.items}
    plan, blobs = _plan(git, items, tip, local, remote)
    if wish.dry_run:
        return f"{plan.told()}\nNothing was changed (--dry-run)."
    if plan.empty:
        return f"{plan.where[:1].upper()}{plan.where[1:]} has all of it already."
    commit = _commit(git, plan, blobs, tip, local)
    _put(git, commit, tip, remote)
    return f"{plan.summary}\nPublished as commit {commit[:12]} of {plan.where}."


def _repository(folder: Path) -> Git:
    try:
        root = Git(folder.parent).line("rev-parse", "--show-toplevel", may_fail=True)
    except FileNotFoundError as error:
        raise CutawayError("git is not installed here.", "Install git.") from error
    if not root:
        hint = "Build it in a clone of the repository whose pages it is to be."
        raise UsageError(f"{folder} lies in no git repository.", hint)
    return Git(Path(root))


def _tip(git: Git, remote: str) -> Tip:
    """The branch as it is at the remote, or here where there is none; its objects are fetched."""
    if remote:
        commit, _, _ = git.line("ls-remote", remote, _REF).partition("\t")
        if commit:
            # Into no branch and no FETCH_HEAD of the user's.
            git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", remote, _REF)
    else:
        commit = git.line("rev-parse", "--verify", "--quiet", _REF, may_fail=True)
    if not commit:
        return Tip()
    listed = git("ls-tree", "-r", "-z", commit).decode(errors="surrogateescape").split("\0")
    parted = (line.partition("\t") for line in listed if line)
    return Tip(commit, {path: head.split()[2] for head, _, path in parted})


def _check_ours(git: Git, tip: Tip, remote: str, wish: Wish) -> None:
    """Raises CutawayError for a branch that somebody else wrote, or that is checked out here."""
    if not remote and f"branch {_REF}" in git.line("worktree", "list", "--porcelain").splitlines():
        raise CutawayError(f"{BRANCH} is checked out here.", "Check out another branch first.")
    if not tip.commit or wish.overwrite:
        return
    if RECORD not in tip.blobs:
        raise CutawayError(f"Cutaway did not write the branch {BRANCH}.", _NOT_OURS)
    if _TRAILER not in git.line("log", "-1", "--format=%B", tip.commit):
        said = f"The last commit of {BRANCH} ({tip.commit[:12]}) is not Cutaway's."
        raise CutawayError(said, _NOT_OURS)


def _plan(
    git: Git, items: Mapping[str, Item], tip: Tip, local: Local, remote: str
) -> tuple[Plan, dict[str, str]]:
    """What changes, and the blob of every path of the new tree."""
    blobs = dict(zip(items, _hashed(git, list(items.values())), strict=True))
    kept = {name: why for name, why in _KEPT.items() if name in tip.blobs and name not in items}
    send = {name: item for name, item in items.items() if tip.blobs.get(name) != blobs[name]}
    remove = sorted(set(tip.blobs) - set(items) - set(kept))
    where = f"the branch {BRANCH} of {remote or 'this repository, which has no remote'}"
    if remote:
        where += f" ({redacted(git.line('remote', 'get-url', '--push', remote))})"
    same = len(items) - len(send)
    plan = Plan(where, send, same, remove, local.skipped, tuple(kept.items()))
    return plan, {**blobs, **{name: tip.blobs[name] for name in kept}}


def _hashed(git: Git, items: Sequence[Item], *options: str) -> list[str]:
    """The blobs of some files; with the option -w they are written."""
    files = b"".join(os.fsencode(item.file) + b"\n" for item in items if item.file)
    read = git("hash-object", "--no-filters", *options, "--stdin-paths", data=files)
    of_files = iter(read.decode().split())
    made = [item.made for item in items if item.file is None]
    of_made = iter([git.line("hash-object", *options, "--stdin", data=one) for one in made])
    return [next(of_files if item.file else of_made) for item in items]


def _commit(git: Git, plan: Plan, blobs: Mapping[str, str], tip: Tip, local: Local) -> str:
    """A commit of the new tree on top of the branch."""
    _hashed(git, list(plan.send.values()), "-w")
    with tempfile.TemporaryDirectory(prefix="cutaway-") as folder:
        aside = Git(git.root, {"GIT_INDEX_FILE": str(Path(folder) / "index")})
        entries = "".join(f"100644 {blob}\t{path}\0" for path, blob in sorted(blobs.items()))
        aside("update-index", "-z", "--index-info", data=os.fsencode(entries))
        tree = aside.line("write-tree")
    parent = ("-p", tip.commit) if tip.commit else ()
    known = git.line("var", "GIT_COMMITTER_IDENT", may_fail=True)
    # On a machine that builds for others nobody has said who commits.
    nobody = {
        f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _NOBODY
    }
    committing = git if known else Git(git.root, nobody)
    message = _message(git, local).encode()
    return committing.line("commit-tree", tree, *parent, "-F", "-", data=message)


_NOBODY = (("NAME", "cutaway"), ("EMAIL", "cutaway@localhost"))


def _message(git: Git, local: Local) -> str:
    """What was published, and what it was made of."""
    stated = json.loads((local.root / "manifest.json").read_text(encoding="utf-8"))
    models = [
        f"- {one['id']}: {one['source']}, weights {one['weights_sha256'][:12]}"
        for one in stated.get("models", ())
    ]
    head = git.line("rev-parse", "--verify", "--quiet", "HEAD", may_fail=True)
    lines = [
        f"Publish {stated['exhibit']['title']}",
        "",
        f"{len(local.items):,} files, {local.size / 1e6:.1f} MB, seed {stated['exhibit']['seed']}.",
        *([f"Published while HEAD was {head}."] if head else []),
        f"manifest.json has the SHA-256 {local.items['manifest.json'].entry.sha256}.",
        *models,
        "",
        f"{_TRAILER} {__version__}",
    ]
    return "\n".join(lines) + "\n"


def _put(git: Git, commit: str, tip: Tip, remote: str) -> None:
    """Make a commit the tip of the branch, unless that has moved meanwhile."""
    if remote:
        git("push", "--quiet", remote, f"{commit}:{_REF}")
    else:
        git("update-ref", "-m", "cutaway publish", _REF, commit, tip.commit or "0" * len(commit))


_REFUSALS = ("ermission", "denied", "Authentication", "could not read Username")


def _explained(command: str, said: str) -> tuple[str, str]:
    """What went wrong and what can be done, of what git says."""
    told = redacted(" ".join(said.split())[:400] or "git gives no reason")
    if "fetch first" in said or "non-fast-forward" in said:
        return f"{BRANCH} has moved meanwhile.", "Publish again."
    if any(word in said for word in _REFUSALS):
        return f"The remote refuses: {told}", "Check that you may write to it: git push --dry-run"
    if command in {"ls-remote", "fetch", "push"}:
        return (
            f"The remote cannot be used (git {command}): {told}",
            "Check its address: git remote -v",
        )
    return f"git {command}: {told}", ""
