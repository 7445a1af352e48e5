"""`croft listen`: a webhook receiver on this machine that prints what arrives."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from undercroft.app.cli.arrivals import Arrival, Check, as_json, as_text, signature_check
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import console, note, now_ms, print_json
from undercroft.base.refusals import Refusal

if TYPE_CHECKING:
    import asyncio
    import socket

    from undercroft.app.application import Head
    from undercroft.machinery.operations import Reply

LARGEST_BODY = 64 * 2**20


def listen(
    port: Annotated[int, typer.Option(min=0, max=65_535, metavar="PORT", help="0 takes a free one.")] = 9000,
    host: Annotated[str, typer.Option(metavar="HOST", help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    status: Annotated[int, typer.Option(min=200, max=599, metavar="CODE", help="What to answer.")] = 200,
    delay: Annotated[str, typer.Option(metavar="DURATION", help="Wait so long before answering.")] = "0s",
    secret: Annotated[
        str, typer.Option(metavar="whsec_…", help="Check the signatures with this secret of the route.")
    ] = "",
    count: Annotated[int, typer.Option(min=0, metavar="N", help="Exit after N arrivals; 0 never.")] = 0,
    json: Json = False,
) -> None:
    """Receive webhooks on this machine and print each.

    It says how late they are, which attempt, their headers and body. --json prints one line per arrival.

    \b
    croft listen
    croft listen --port 9000 --status 503         watch the retries
    croft listen --secret whsec_… --count 1 --json
    """
    receiver = Receiver(status, _seconds(delay), _check(secret), count, _printer(json, status))
    sockets = [_bind(host, port)]
    from undercroft.app.listening import shown

    note(f"Listening on {shown(sockets[0])}, answering {status}. Ctrl-C stops it.")
    import uvloop

    uvloop.run(receiver.run(sockets))


class Receiver:
    """An application for our own listener. It ends after `count` answers (0: never) or with Ctrl-C."""

    max_body = LARGEST_BODY

    def __init__(
        self, status: int, delay: float, check: Check | None, count: int, show: Callable[[Arrival], None]
    ) -> None:
        self._status = status
        self._delay = delay
        self._check = check
        self._left = count or None
        self._show = show
        self._done: asyncio.Event

    async def run(self, sockets: "list[socket.socket]") -> None:
        import asyncio
        import signal

        from undercroft.app.listening import Listener
        from undercroft.base.clock import wall_clock
        from undercroft.machinery.loops import Loop, Loops

        self._done = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._done.set)
        listener = Listener(self, request_timeout=60)
        watching = Loops(wall_clock)
        watching.start([Loop("clients", listener.keep_watch, 1)])
        await listener.start(sockets)
        await self._done.wait()
        await listener.stop(grace=1)
        await watching.stop()

    def most_body(self, head: "Head") -> int:
        return self.max_body

    async def answer(self, head: "Head", body: bytes) -> "Reply":
        import asyncio

        at = now_ms()
        if self._left == 0:
            return _reply(503)
        self._take(_arrival(at, head, body, self._check))
        last = self._left == 0
        await asyncio.sleep(self._delay)
        if last:
            self._done.set()  # the listener lets this answer out before it hangs up
        return _reply(self._status)

    async def admit(self, head: "Head") -> "Reply | None":
        """Anyone may send what they like."""

    def refuse_unread(self, status: int, message: str, url: bytes) -> "Reply":
        note(f"Answered {status}: {message}")
        return _reply(status)

    def _take(self, arrival: Arrival) -> None:
        self._show(arrival)
        if self._left is not None:
            self._left -= 1


def _arrival(at: int, head: "Head", body: bytes, check: Check | None) -> Arrival:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers.items()}
    return Arrival(
        at=at,
        method=head.method,
        path=head.url.decode("latin-1"),
        headers=headers,
        body=body,
        signature=check(headers, body, at) if check else None,
    )


def _reply(status: int) -> "Reply":
    from undercroft.machinery.operations import Reply

    return Reply(status, b"", b"text/plain")


def _printer(json: bool, status: int) -> Callable[[Arrival], None]:
    def line(arrival: Arrival) -> None:
        print_json(as_json(arrival))
        sys.stdout.flush()

    if json:
        return line
    out = console()
    return lambda arrival: out.print(as_text(arrival, status))


def _bind(host: str, port: int) -> "socket.socket":
    from undercroft.app.listening import bind
    from undercroft.app.notation import Address

    try:
        return bind(Address(host, port))
    except OSError as error:
        raise WrongUsage(str(error), "name another with --host and --port") from None


def _seconds(delay: str) -> float:
    from undercroft.app.notation import duration

    try:
        return duration(delay)
    except ValueError as error:
        raise WrongUsage(f"--delay: {error}") from None


def _check(secret: str) -> Check | None:
    try:
        return signature_check(secret) if secret else None
    except Refusal as refusal:
        raise WrongUsage(f"--secret: {refusal.message}") from None
