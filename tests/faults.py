"""Puts in ten faults, one a package, and says of each whether its test caught it.

    python tests/faults.py

Works on a copy of the checkout. Exits with 1 if a test fails before its fault is in, or passes after.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
CACHES = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__")


@dataclass(frozen=True)
class Fault:
    """A piece of one file, what it is changed to, and the test that has to fail then."""

    file: str
    right: str
    wrong: str
    test: str


FAULTS = (
    Fault(  # the revision that was asked for is forgotten
        "inputs/source.py",
        'Source("hf", name, revision or None, None, text)',
        'Source("hf", name, None, None, text)',
        "inputs/test_sources.py::test_each_form_is_taken_apart",
    ),
    Fault(  # padding is counted in pixels of the picture, not of the layer
        "models/field_steps.py",
        "start=field.start - pad * field.stride",
        "start=field.start - pad",
        "models/test_receptive_field.py::test_the_field_is_exactly_the_gradients_support",
    ),
    Fault(  # the previous token is taken for the next one
        "probes/heads.py",
        "_mean_diagonal(weights, -1)",
        "_mean_diagonal(weights, 1)",
        "probes/test_head_statistics.py::test_previous_and_next_token_know_their_direction",
    ),
    Fault(  # what is no number in the browser's runtime is taken for equal
        "live/check.py",
        "if np.isfinite(one[1]) else np.inf",
        "if np.isfinite(one[1]) else 0",
        "live/test_export.py::test_what_is_no_number_does_not_pass",
    ),
    Fault(  # of a map that is too large to draw, single strong weights vanish
        "figures/attention.py",
        "np.asarray(blocks.max(axis=(3, 5)))",
        "np.asarray(blocks.mean(axis=(3, 5)))",
        "site/test_components.py::test_a_block_of_the_overview_is_its_largest_weight",
    ),
    Fault(  # what a user wrote is markup on a page
        "pages/environment.py",
        "autoescape=True",
        "autoescape=False",
        "site/test_cards.py::test_the_card_of_a_transformer",
    ),
    Fault(  # an article of two authors is cited as that of the first and second, without "and"
        "articles/bibliography.py",
        "{', '.join(names[:-1])} and {names[-1]}",
        "{', '.join(names)}",
        "articles/test_bibliography.py::test_how_an_article_is_cited",
    ),
    Fault(  # a card is written over what its owner edited
        "cards/merge.py",
        "elif digest(text) != mark and not overwrite:",
        "elif digest(text) != mark and overwrite:",
        "site/test_cards.py::test_a_section_that_was_edited_is_kept_and_named_unless_it_is_overwritten",
    ),
    Fault(  # intervals are those of twice as many pictures
        "techniques/evaluation_record.py",
        "share_interval(self.value, self.count)",
        "share_interval(self.value, 2 * self.count)",
        "probes/test_shares.py::test_one_picture_that_was_named_rightly_says_little",
    ),
    Fault(  # a file behind a link, which may lie anywhere, is published
        "publishing/files.py",
        "any(step.is_symlink() for step in steps)",
        "any(step.is_symlink() for step in ())",
        "command/test_publish.py::test_a_site_that_is_not_what_was_built_is_refused",
    ),
)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(CHECKOUT, Path(folder) / "copy", ignore=_left_out))
        before = _status(copy, [fault.test for fault in FAULTS])
        print(f"without a fault: {'all pass' if before == 0 else 'SOME FAIL'}", flush=True)
        caught = [_is_caught(copy, fault) for fault in FAULTS]
    return 0 if before == 0 and all(caught) else 1


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Caches, and what was built here; the tests of the site have a folder of that name, too."""
    built = {"build", "site"} if Path(folder) == CHECKOUT else set()
    return CACHES(folder, names) | built


def _is_caught(copy: Path, fault: Fault) -> bool:
    """Whether the test fails while the fault is in."""
    file = copy / "generator" / fault.file
    text = file.read_text(encoding="utf-8")
    if text.count(fault.right) != 1:
        print(f"GONE {fault.file}: '{fault.right}' does not stand there once", flush=True)
        return False
    file.write_text(text.replace(fault.right, fault.wrong), encoding="utf-8")
    try:
        caught = _status(copy, [fault.test]) == 1  # 1: tests ran, and some failed
    finally:
        file.write_text(text, encoding="utf-8")
    print(f"{'caught' if caught else 'MISSED'} {fault.file}: {fault.test}", flush=True)
    return caught


def _status(copy: Path, tests: list[str]) -> int:
    """What pytest exits with."""
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    # Python's own cache of a file knows it by second and size: a fault could be missed.
    env = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    chosen = [f"tests/{test}" for test in tests]
    done = subprocess.run([*words, *chosen], cwd=copy, env=env, capture_output=True, text=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
