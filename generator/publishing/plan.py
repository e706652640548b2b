"""What goes where when something is published, and what is said of it: never with a token in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from generator.errors import CutawayError
from generator.files import some_of
from generator.formatting import amount
from generator.publishing.files import Item

_LISTED = 40  # files that a plan names of each kind


@dataclass(frozen=True)
class Plan:
    """What goes where: items that are new there or other, what is there already, and what goes away.

    `kept` is what stays there though nobody here made it, with the reason.
    """

    where: str
    send: Mapping[str, Item]
    same: int
    remove: Sequence[str]
    skipped: Sequence[tuple[str, str]] = ()
    kept: Sequence[tuple[str, str]] = ()

    @property
    def size(self) -> int:
        """The bytes that are sent."""
        return sum(item.size for item in self.send.values())

    @property
    def empty(self) -> bool:
        """Whether nothing would change."""
        return not self.send and not self.remove

    def told(self) -> str:
        """The plan, a line for each file of a kind up to some number."""
        lines = [f"To {self.where}:"]
        lines += _listed("send", [f"{one.size:>12,}  {name}" for name, one in self.send.items()])
        lines += _listed("remove", [f"{'':>12}  {name}" for name in self.remove])
        lines += _listed("skip", [f"{'':>12}  {name}: {why}" for name, why in self.skipped])
        lines += _listed("keep there", [f"{'':>12}  {name}: {why}" for name, why in self.kept])
        return "\n".join([*lines, self.summary])

    @property
    def summary(self) -> str:
        """The plan in numbers."""
        return (
            f"{amount(len(self.send), 'file')} to send, {self.size / 1e6:.2f} MB; {self.same:,} there "
            f"already; {len(self.remove):,} to remove; {len(self.skipped):,} skipped."
        )


def _listed(what: str, lines: Sequence[str]) -> Iterable[str]:
    for line in lines[:_LISTED]:
        yield f"  {what:<10} {line}"
    if len(lines) > _LISTED:
        yield f"  {what:<10} {'':>12}  and {len(lines) - _LISTED:,} more"


@dataclass(frozen=True)
class Wish:
    """How something is published: `dry_run` changes nothing, `overwrite` takes what others wrote there.

    `private` is of a repository that is made; `remote` is the one of git that a branch is pushed to.
    """

    dry_run: bool = False
    overwrite: bool = False
    private: bool = False
    remote: str = "origin"


_SECRET = re.compile(r"\bhf_[A-Za-z0-9]{6,}|(?<=://)[^/@\s]+(?=@)|(?i:(?<=bearer )|(?<=basic ))\S+")


def redacted(text: str, secret: str = "") -> str:
    """Text without tokens and without names and passwords in addresses."""
    plain = text.replace(secret, "…") if secret else text
    return _SECRET.sub("…", plain)


def refused(what: str, names: Sequence[str], hint: str) -> CutawayError:
    """An error that names some files, so that all else stays as it is."""
    return CutawayError(f"{what}: {some_of(names, 5)}.", hint)
