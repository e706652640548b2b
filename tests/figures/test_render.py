"""Drawing in other processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from sharing import draw_long

from generator.figures.drawing import Drawing
from generator.figures.render import _draw_in_workers
from generator.profile import Profile


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_of_long_drawings_is_answered_soon(tmp_path: Path) -> None:
    """Sheets of hundreds of heads take many seconds each: nobody waits for those in the making."""
    begun = [tmp_path / str(number) for number in range(6)]
    missing = [
        (Drawing("own", {"begun": str(each)}, ("long.svg",), draw_long), tmp_path / "store")
        for each in begun
    ]
    interrupted: list[float] = []

    def interrupt() -> None:
        until = time.monotonic() + 60
        while sum(each.exists() for each in begun) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        interrupted.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        _draw_in_workers(missing, 2, lambda: None, Profile())
    assert time.monotonic() - interrupted[0] < 5
    thread.join()
    assert sum(each.exists() for each in begun) < 6  # those that waited were not begun
