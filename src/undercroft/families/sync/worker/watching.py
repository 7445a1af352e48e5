"""The folders of a storage that are watched, as far as the machine takes watches."""

import errno
from collections import deque
from collections.abc import Callable, Collection

from asyncinotify import Inotify, Mask, Watch

from undercroft.families.sync.names import raw, shown
from undercroft.families.sync.worker.index import below
from undercroft.families.sync.worker.skips import Skips

_MASK = (
    Mask.CREATE | Mask.CLOSE_WRITE | Mask.MODIFY | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.DELETE | Mask.ATTRIB
    | Mask.ONLYDIR
)  # fmt: skip

UNWATCHED = (
    "this folder is not watched: what changes in it is found by hourly looks alone, for the machine takes no more"
    " watches; raise fs.inotify.max_user_watches, then restart the entry"
)
NOT_WATCHED_AT_ALL = (
    "no folder of this entry is watched: what changes is found by a look every five minutes, for the machine takes no"
    " more watchers; raise fs.inotify.max_user_instances, then restart the entry"
)


class Watched:
    def __init__(self, inotify: Inotify | None, skips: Skips, is_ignored: Callable[[bytes], bool]) -> None:
        """What is not watched is put on `skips`."""
        self._inotify = inotify
        self._skips = skips
        self.folders: dict[Watch, bytes] = {}
        self.names: set[bytes] = set()
        """What was found to be a folder, watched or not."""
        self._is_ignored = is_ignored
        self._arrived: dict[str, None] = {}

    def take(self, arrived: "deque[str]") -> None:
        """What has come by operations. They make folders as well, and somebody may take one away before it is watched:
        what came into it is asked for at the first look at its name."""
        while arrived:
            path = arrived.popleft()
            folder = raw(path).rpartition(b"/")[0]
            if self._inotify is not None and folder not in self.names and not self._is_ignored(folder):
                self._arrived[path] = None

    def unseen_below(self, paths: Collection[str]) -> list[str]:
        """What has come there and was not looked at since; from now on it is."""
        unseen = below(self._arrived, paths)
        for path in unseen:
            del self._arrived[path]
        return unseen

    def add(self, folder: bytes, descriptor: int) -> None:
        """By its descriptor: it is certainly this folder, whatever its name leads to by now."""
        self.names.add(folder)
        if self._inotify is None:
            self._skips["/"] = NOT_WATCHED_AT_ALL
            return
        try:
            watch = self._inotify.add_watch(f"/proc/self/fd/{descriptor}", _MASK)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self._skips[shown(folder) or "/"] = UNWATCHED
        else:
            self.folders[watch] = folder


def path_in(folder: bytes, name: bytes) -> str:
    return shown(folder + b"/" + name if folder else name)
