"""Runs the marked blocks of a page in order, and compares what they print with what the page shows."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.docs.fences import Fence, fences
from tests.docs.likeness import alike, shows, values
from tests.docs.terminal import Terminal
from tests.services.ports import free_port
from tests.services.waiting import wait_until

PROGRAMS = Path(sys.executable).parent


class PageRun:
    """One page in one folder. `replaced`: commands that are others in a test; `patience` (s) with other terminals."""

    def __init__(
        self,
        page: Path,
        folder: Path,
        replaced: Mapping[str, str],
        environment: Mapping[str, str],
        patience: float = 20,
    ) -> None:
        self._page = page
        self._patience = patience
        self._folder = folder
        self._replaced = replaced
        self._ports: dict[str, str] = {}
        home = folder / "home"
        home.mkdir()
        self._environment = {
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "HOME": str(home),
            "TZ": "UTC",
            "LANG": "C.UTF-8",
            **environment,
        }
        self._terminals: dict[str, Terminal] = {}
        self._printed = ""

    def run(self) -> int:
        """How many blocks were run. AssertionError that names page and line where they differ."""
        every = fences(self._page)
        for fence in every:
            if "keep" in fence.words:
                (self._folder / fence.words["keep"]).write_text(self._here(fence.text))
        return sum(self._take(fence) for fence in every)

    def close(self) -> None:
        for terminal in self._terminals.values():
            terminal.close()

    def _take(self, fence: Fence) -> bool:
        try:
            if "run" in fence.words:
                self._printed = self._terminal("").run(self._here(fence.text))
            elif "beside" in fence.words:
                self._terminal(fence.words["beside"]).type(self._here(fence.text))
            elif "answer" in fence.words:
                self._compare(fence)
        except AssertionError as error:
            raise AssertionError(f"{self._page.name}, line {fence.line}: {error}") from None
        return "run" in fence.words or "beside" in fence.words

    def _compare(self, fence: Fence) -> None:
        expected, beside = self._here(fence.text), fence.words["answer"]
        if beside:
            self._wait_for(self._terminals[beside], expected)
        elif fence.language == "json":
            same = alike(values(expected), values(self._printed))
            assert same, f"printed:\n{self._printed}\ninstead of:\n{expected}"
        else:
            assert shows(self._printed, expected), f"printed:\n{self._printed}\ninstead of:\n{expected}"

    def _wait_for(self, terminal: Terminal, expected: str) -> None:
        try:
            wait_until(lambda: shows(terminal.screen(), expected), "a terminal", self._patience)
        except AssertionError:
            raise AssertionError(f"the terminal shows:\n{terminal.screen()}\ninstead of:\n{expected}") from None

    def _terminal(self, name: str) -> Terminal:
        if name not in self._terminals:
            self._terminals[name] = Terminal(self._folder, name or "main", self._environment)
        return self._terminals[name]

    def _here(self, text: str) -> str:
        """The text as it is meant on this machine: every port that it names exchanged for a free one."""
        for word, other in self._replaced.items():
            text = re.sub(rf"\b{re.escape(word)}\b", other, text)
        return re.sub(r"\b(?:3862|90\d\d)\b", lambda found: self._port(found[0]), text)

    def _port(self, shown: str) -> str:
        if shown not in self._ports:
            self._ports[shown] = str(free_port())
        return self._ports[shown]
