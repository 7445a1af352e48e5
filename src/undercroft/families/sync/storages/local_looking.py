"""Looking at a folder of this machine: what is there, since when, and what it holds."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from undercroft.families.sync.names import OWN_FOLDER, is_ignored, raw, shown
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.storages.errors import Vanished
from undercroft.families.sync.storages.judging import fitting
from undercroft.families.sync.storages.local_content import BLOCK, aged, hash_of, revision_of, unfit
from undercroft.families.sync.storages.local_folders import Folders, joined
from undercroft.families.sync.storages.local_source import lost, opened
from undercroft.families.sync.storages.others_roots import MARK, REASON, is_own, left_alone
from undercroft.families.sync.storages.storage import Found, OnFolder, Pace, Source, freely

OWN = OWN_FOLDER.encode()
_MARK = f"/{MARK}".encode()


class LocalLooking:
    """For one thread: open folders are remembered."""

    def __init__(self, root: str, ignore: tuple[str, ...] = (), *, block: int = BLOCK) -> None:
        """`block`: bytes that are copied at a time. Raises Vanished where there is no root."""
        self.root = root
        self._ignore = ignore
        self._block = block
        self._folders = Folders(root)
        self.skipped: dict[str, str] = {}

    def check(self, expected: int) -> None:
        """Raises Vanished for a root that can't be used, or that is not where `expected` files were."""
        try:
            with os.scandir(self._folders.root) as entries:
                names = {os.fsencode(entry.name) for entry in entries}
        except OSError as error:
            raise Vanished(f"the root {self.root} can't be read: {error.strerror}") from None
        if not os.access(self._folders.path, os.R_OK | os.W_OK | os.X_OK):
            raise Vanished(f"the root {self.root} may not be written")
        if expected and OWN not in names:
            raise Vanished(
                f"the root {self.root} is not the folder that it was: its {OWN_FOLDER} is missing."
                " Is a disk not mounted? Nothing was deleted elsewhere"
            )

    def is_there(self) -> bool:
        """Whether the root's name still leads to the folder that was opened."""
        try:
            now, then = os.lstat(self._folders.path), os.fstat(self._folders.root)
            own = os.stat(OWN, dir_fd=self._folders.root, follow_symlinks=False)
        except OSError:
            return False
        return stat.S_ISDIR(own.st_mode) and (now.st_ino, now.st_dev) == (then.st_ino, then.st_dev)

    def walk(self, below: bytes, on_folder: OnFolder) -> Iterator[Found]:
        """Every file below a folder (b"" is the root). `on_folder` is called with each one's path and descriptor before
        it is read: what appears there from then on is noticed by a watch."""
        if below.endswith(b"/" + OWN):
            self._watch_own(below, on_folder)
        if self.is_left_alone(shown(below)):
            return
        others: set[str] = set()
        waiting = [below]
        while waiting:
            folder = waiting.pop()
            try:
                descriptor = os.dup(self._folders.at(folder))
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    self.skipped[shown(folder)] = f"this folder can't be read: {error.strerror}"
                continue
            try:
                on_folder(folder, descriptor)
                entries = self._listed(folder, descriptor, on_folder)
                if entries is None:
                    others.add(shown(folder))
                else:
                    yield from self._entries(folder, entries, waiting)
            except OSError as error:
                self.skipped[shown(folder)] = f"this folder can't be read: {error.strerror}"
            finally:
                os.close(descriptor)
        if not below:
            self._folders.others.note_all(others)

    def _listed(self, folder: bytes, descriptor: int, on_folder: OnFolder) -> list["os.DirEntry[str]"] | None:
        """All of it at once, for a mark may be the last: None for a root of another's."""
        with os.scandir(descriptor) as listed:
            entries = list(listed)
        if folder and any(entry.name == OWN_FOLDER for entry in entries):
            self._watch_own(joined(folder, OWN), on_folder)
            if self._is_others_root(shown(folder)):
                return None
        return entries

    def _entries(self, folder: bytes, entries: list["os.DirEntry[str]"], waiting: list[bytes]) -> Iterator[Found]:
        for entry in entries:
            path = joined(folder, os.fsencode(entry.name))
            if entry.name == OWN_FOLDER or self.is_ignored(path):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                    continue
                about = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            reason = unfit(about.st_mode, path)
            if reason is None:
                yield Found(shown(path), revision_of(about))
            else:
                self.skipped[shown(path)] = reason

    def is_ignored(self, path: bytes) -> bool:
        """A mark below the root, and the folder that it is in, are no content, but looked at."""
        return is_ignored(path.removesuffix(_MARK).removesuffix(b"/" + OWN), self._ignore)

    def is_left_alone(self, path: str) -> bool:
        """The mark of whose root it would be is looked for: it may have come, or be there no more."""
        if is_own(path):
            self._is_others_root(f"/{path}/".partition(f"/{OWN_FOLDER}/")[0].removeprefix("/"))
            return True
        return any(self._is_others_root(folder) for folder in self._folders.others.maybe_above(path))

    def _is_others_root(self, folder: str) -> bool:
        """A folder in which the server's own was met."""
        if not folder:
            return False
        self._folders.others.note_maybe(folder)
        if not self._folders.is_marked(folder):
            self._folders.others.forget(folder)
            return False
        self._folders.others.note(folder)
        self.skipped[folder] = REASON
        return True

    def _watch_own(self, folder: bytes, on_folder: OnFolder) -> None:
        """In a root of another's, which gets its mark after it."""
        with contextlib.suppress(OSError):
            on_folder(folder, self._folders.at(folder))

    def _require_own(self, path: str) -> None:
        if self.is_left_alone(path):
            raise left_alone(path)

    def is_folder(self, path: str) -> bool:
        """False as well where it may not be looked at: once it may, all that is in the folder above is looked at."""
        try:
            about = self._folders.stat(raw(path))
        except OSError:
            return False
        return about is not None and stat.S_ISDIR(about.st_mode)

    def look(self, path: str) -> str | None:
        """The revision of the file that is there; None where there is no file. Raises LeftAlone."""
        self._require_own(path)
        name = raw(path)
        about = self._folders.stat(name)
        if about is None or stat.S_ISDIR(about.st_mode):
            return None
        reason = unfit(about.st_mode, name)
        if reason is not None:
            self.skipped[path] = reason
            return None
        self.skipped.pop(path, None)
        return revision_of(about)

    def read(self, path: str, pace: Pace = freely) -> Seen | None:
        """Hash it. None where it changes meanwhile. Raises OSError where it can't be read, and what `pace` raises."""
        self._require_own(path)
        descriptor = self._folders.open(path)
        try:
            before = aged(descriptor)
            if not stat.S_ISREG(before.st_mode):
                return None
            digest = hash_of(descriptor, before.st_size, pace)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        revision = revision_of(after)
        if revision != revision_of(before):
            return None
        content = Content(digest, after.st_size, fitting(after.st_mtime_ns), stat.S_IMODE(after.st_mode) & 0o777)
        return Seen(path, content, revision)

    def open_source(self, path: str) -> Source:
        """Raises SourceChanged where there is no file, SourceLost where it can't be read at this moment."""
        try:
            return opened(self._folders.open(path))
        except OSError as error:
            raise lost(error) from None
