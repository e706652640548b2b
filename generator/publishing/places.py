"""`cutaway publish`: what a build or a card has made, put where it is read."""

from __future__ import annotations

import re
from pathlib import Path

from generator.errors import UsageError
from generator.publishing import git, hub
from generator.publishing.files import of_card, of_site
from generator.publishing.plan import Wish

_TARGETS = ("hf-space:USER/NAME", "hf:USER/MODEL", "gh-pages")
_HUB = re.compile(r"(hf-space|hf):([\w.-]+/[\w.-]+)")


def publish(target: str, folder: Path | None, wish: Wish) -> str:
    """Publish the site or the card in a folder, or say what that would be; what the command prints.

    Raises UsageError or CutawayError, in a sentence, for all that can be mended.
    """
    if target == "gh-pages":
        return git.publish(of_site(folder or Path("site")), wish)
    asked = _HUB.fullmatch(target)
    if not asked:
        raise UsageError(f"'{target}' is no place to publish to: {', '.join(_TARGETS)}.")
    kind, name = asked.groups()
    if kind == "hf-space":
        return hub.publish_space(name, of_site(folder or Path("site")), wish)
    return hub.publish_card(name, of_card(folder or Path(f"{name.split('/')[1]}-card")), wish)
