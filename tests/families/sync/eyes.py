"""An observer in this process, and what it has told."""

from pathlib import Path

from asyncinotify import Inotify

from undercroft.families.sync.storages import open_storage
from undercroft.families.sync.wire import Message, Report, Skipped
from undercroft.families.sync.worker.index import Index
from undercroft.families.sync.worker.observing import Observer


class Eyes:
    """An observer of a root, and what it has told."""

    def __init__(self, root: Path, inotify: Inotify) -> None:
        self.root = root
        self.told: list[Message] = []
        self.index = Index()
        self.storage = open_storage(("local_storage", {"root": str(root)}))
        self.storage.check(0)
        self.observer = Observer(self.storage, self.index, inotify, self.told.append)
        self.scan()

    def scan(self) -> list[Message]:
        self.observer.scan()
        return self.tell()

    def look_at(self, *paths: str) -> list[Message]:
        self.observer.look_at(paths)
        return self.tell()

    def tell(self) -> list[Message]:
        self.told.clear()
        assert self.observer.tell() == []
        return list(self.told)


def reports(messages: list[Message]) -> list[Report]:
    return [message for message in messages if isinstance(message, Report)]


def gone(messages: list[Message]) -> set[str]:
    return {seen.path for report in reports(messages) for seen in report.seen if seen.content is None}


def skipped(messages: list[Message]) -> list[tuple[list[tuple[str, str]], bool]]:
    return [(message.skipped, message.anew) for message in messages if isinstance(message, Skipped)]
