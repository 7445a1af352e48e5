"""How an empty folder is taken away where a DELETE takes all with it that came into it meanwhile.

It is moved aside, and looked into there. What came in that moment gets its name back, or one beside.
"""

import contextlib
import posixpath
from collections.abc import Callable

from undercroft.base.ids import sortable_id
from undercroft.families.sync.names import OWN_FOLDER, conflict_name
from undercroft.families.sync.storages.errors import Changed
from undercroft.families.sync.storages.real_folders import MOST_EMPTY, RealFolders, is_left
from undercroft.families.sync.storages.remote_names import path_of, text_of
from undercroft.families.sync.storages.webdav_client import WebdavClient

ASIDE = f"{OWN_FOLDER}/emptied"
_HOUR = 3_600.0


class Aside:
    def __init__(self, client: Callable[[], WebdavClient], folders: RealFolders) -> None:
        self._opened = client
        self._folders = folders

    def remove(self, folder: str) -> bool:
        """Whether it was empty, and is gone. Raises FileNotFoundError."""
        if len(self._client.list_folder(folder)) > 1:
            return False
        aside = f"{ASIDE}/{sortable_id()}"
        try:
            self._folders.above(aside, lambda: self._move(folder + "/", aside + "/"))
        except (OSError, Changed):
            return False
        if self._files_below(aside):
            self._bring_back(aside, folder)
            return False
        self._client.do("DELETE", aside + "/", {})
        return True

    def clear(self) -> None:
        """What was left here by a process that was killed: what came in that moment is put where somebody sees it."""
        with contextlib.suppress(OSError):
            for one in self._client.list_folder(ASIDE)[1:]:
                if one.is_folder and is_left(one.name, _HOUR):
                    with contextlib.suppress(OSError, Changed):  # what can't be moved keeps nobody from the rest
                        self._clear(one.name)

    # Parts

    def _clear(self, aside: str) -> None:
        if self._files_below(aside):
            self._bring_back(aside, conflict_name("emptied", "here", posixpath.basename(aside)))
        else:
            self._client.do("DELETE", aside + "/", {})

    @property
    def _client(self) -> WebdavClient:
        return self._opened()

    def _bring_back(self, aside: str, folder: str) -> None:
        """File by file where the folder has been made anew meanwhile."""
        with contextlib.suppress(OSError, Changed):
            return self._move(aside + "/", folder + "/")
        for name in self._files_below(aside):
            back = folder + name.removeprefix(aside)
            try:
                self._onto_nothing(name, back)
            except (Changed, FileExistsError, NotADirectoryError):
                self._onto_nothing(name, _beside(back))
        if not self._files_below(aside):
            self._client.do("DELETE", aside + "/", {})
        return None

    def _onto_nothing(self, source: str, name: str) -> None:
        self._folders.onto_nothing(name, lambda: self._move(source, name))

    def _move(self, source: str, to: str) -> None:
        self._client.do("MOVE", source, {"destination": self._client.address(to), "overwrite": "F"})

    def _files_below(self, folder: str) -> list[str]:
        """Raises OSError for more folders than anybody makes in a moment."""
        found: list[str] = []
        folders = [folder]
        for one in folders:  # it grows meanwhile
            for inner in self._client.list_folder(one)[1:]:
                (folders if inner.is_folder else found).append(inner.name)
            if len(folders) > MOST_EMPTY:
                raise OSError(f"{self._client.url} lists folders without an end")
        return found


def _beside(name: str) -> str:
    return text_of(conflict_name(path_of(name), "here", sortable_id()))
