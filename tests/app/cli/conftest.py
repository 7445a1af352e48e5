"""`croft` in this process: its own home, no variables of ours, and a server that answers as documented."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.services.receiver import Answer, Call, Receiver
from undercroft.app.cli import main


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


Run = Callable[..., Ended]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith("UNDERCROFT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def croft(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a verb to its end; `stdin` is what a pipe would hold."""

    def run(*arguments: object, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ended(ended.value.code or 0, out, err)  # type: ignore[arg-type]

    return run


class Server:
    """Answers what a test has it answer, and tells what it was asked."""

    def __init__(self, receiver: Receiver) -> None:
        self.url = receiver.url("")
        self._receiver = receiver

    def answers(self, path: str, *replies: object, status: int = 200) -> None:
        answers = [
            Answer(status, msgspec.json.encode(reply), {"Content-Type": "application/json"}) for reply in replies
        ]
        self._receiver.answer(path, *answers)

    def says(self, path: str, answer: Answer) -> None:
        self._receiver.answer(path, answer)

    @property
    def calls(self) -> list[Call]:
        return self._receiver.calls()

    @property
    def asked(self) -> str:
        """The last request's line: `POST /job/default/default?upsert=1`."""
        call = self.calls[-1]
        return f"{call.method} {call.path}" + (f"?{call.query}" if call.query else "")

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.calls[-1].body)


@pytest.fixture
def server(receiver: Receiver, home: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("UNDERCROFT_URL", receiver.url(""))
    monkeypatch.setenv("UNDERCROFT_TOKEN", "a-token-of-the-tests")
    return Server(receiver)
