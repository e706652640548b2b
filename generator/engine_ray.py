"""Workers of a Ray cluster: the same work on other machines, which share the folder of the store.

Ray starts the workers, places them, gives each its processor and GPU, and replaces those that die. What
they find goes into the store by its own writes, and none of it through Ray.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

from generator.engine import DEATHS, Work, fill
from generator.errors import CutawayError, UsageError
from generator.processes import threads
from generator.profile import Profile, Spent
from generator.progress import Step


def fill_by_ray(work: Work, count: int, address: str, profile: Profile, step: Step) -> None:
    """Fill the store by `count` workers of the cluster at `address`, or of one that is started here.

    Raises UsageError where Ray is not installed or a worker cannot see the store, CutawayError where no
    cluster answers.
    """
    try:
        import ray
    except ImportError as error:
        hint = "Install it: pip install 'cutaway[ray]'"
        raise UsageError("--engine ray needs Ray, which is not installed.", hint) from error
    work = replace(
        work, store=work.store.resolve(), weights=work.weights and work.weights.resolve()
    )
    work.store.mkdir(parents=True, exist_ok=True)
    token = work.store / f".here-{secrets.token_hex(8)}"
    token.touch()
    size: dict[str, Any] = {"address": address} if address else {"num_cpus": count * threads()}
    try:
        ray.init(**size, include_dashboard=None if address else False, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        token.unlink()
        raise CutawayError(f"No Ray cluster answers at '{address}': {error}") from error
    gpus = 1 if work.device != "cpu" and ray.cluster_resources().get("GPU", 0) >= count else 0
    remote = ray.remote(num_cpus=threads(), num_gpus=gpus, max_retries=DEATHS)(_work)
    try:
        waiting = [remote.remote(work, token, number) for number in range(count)]
        while waiting:
            ended, waiting = ray.wait(waiting, timeout=1.0)
            for spent in (one for each in ray.get(ended) for one in each):
                profile.add(spent)
            step(f"{count - len(waiting)} of {count} workers have ended")
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, CutawayError) else CutawayError(str(error))
        raise cause from error
    finally:
        ray.shutdown()
        with contextlib.suppress(OSError):
            token.unlink()


def _work(work: Work, token: Path, number: int) -> list[Spent]:
    """What one worker does; what it spent."""
    if not token.is_file():
        raise UsageError(
            f"The worker on {socket.gethostname()} does not see {work.store}.",
            hint="All machines need the folder of the build under the same path: put it on a shared disk.",
        )
    spent: list[Spent] = []

    def say(what: Any) -> None:
        if isinstance(what, Spent):
            spent.append(what)

    fill(work, say, number)
    return spent
