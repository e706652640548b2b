"""`cutaway serve --watch`: read an exhibit again whenever one of its files changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from generator.errors import UsageError
from generator.preview import Preview
from generator.processes import fixed_threads
from generator.serve import built_folder, serve_folder

_SETTLED = 0.1  # seconds without a change: editors write a file in several steps
_CHANGES = {"created", "modified", "moved", "deleted"}


def serve_watched(
    site: Path, host: str, port: int, device: str, commands: Callable[[], str]
) -> None:
    """Serve the built site beside an exhibit, as the exhibit is written now, until interrupted.

    Raises UsageError where there is no exhibit beside the site.
    """
    built = built_folder(site.resolve())
    base = built.parent
    if not (base / "exhibit.yml").is_file():
        hint = "A site is watched in the folder of its exhibit."
        raise UsageError(f"{base} holds no exhibit.yml to watch.", hint)
    preview = Preview(base, built, base / "build", device, commands)
    with fixed_threads(), watched(preview):
        serve_folder(built, host, port, preview)


@contextmanager
def watched(preview: Preview) -> Iterator[None]:
    """Within the block, refresh a preview when files of its exhibit change, in a thread of its own."""
    changed: SimpleQueue[Path | None] = SimpleQueue()
    observer = Observer()
    handler = _Handler(changed)
    observer.schedule(handler, str(preview.base))
    for folder in preview.base.iterdir():
        if folder.is_dir() and folder not in (preview.site, preview.work) and folder.name[0] != ".":
            observer.schedule(handler, str(folder), recursive=True)
    thread = threading.Thread(target=_refresh, args=(preview, changed), daemon=True)
    observer.start()
    thread.start()
    try:
        yield
    finally:
        observer.stop()
        changed.put(None)


class _Handler(FileSystemEventHandler):
    def __init__(self, changed: SimpleQueue[Path | None]) -> None:
        self._changed = changed

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in _CHANGES and not event.is_directory:
            self._changed.put(Path(str(event.dest_path or event.src_path)))


def _refresh(preview: Preview, changed: SimpleQueue[Path | None]) -> None:
    preview.refresh()
    while (path := changed.get()) is not None:
        several = {path}
        try:
            while True:
                more = changed.get(timeout=_SETTLED)
                if more is None:
                    return
                several.add(more)
        except Empty:
            preview.refresh(several)
