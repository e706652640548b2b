"""What the command says when it fails."""

from __future__ import annotations

import errno
import sys
import traceback

MENDABLE = {
    errno.ENOSPC: "The disk is full. {}",
    errno.EDQUOT: "The disk quota is used up. {}",
    errno.EACCES: "No permission for {}",
    errno.EROFS: "The disk is read-only: {}",
    errno.EBUSY: "A mount point cannot be replaced; name a folder inside it: {}",
}


def tell_failure(message: str, hint: str, verbose: bool) -> None:
    """Say what went wrong; with --verbose also where."""
    if verbose:
        traceback.print_exc()
    print(f"Error: {message}", file=sys.stderr)
    if hint:
        print(hint, file=sys.stderr)
