"""`croft listen`: a webhook receiver on this machine that prints what arrives."""

import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from undercroft.app.cli.arrivals import Arrival, Check, as_json, as_text, signature_check
from undercroft.app.cli.client import WrongUsage
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import console, note, now_ms, print_json
from undercroft.base.refusals import Refusal

if TYPE_CHECKING:
    import uvicorn

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
    bound = _bind(host, port)
    where = f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"
    note(f"Listening on {where}, answering {status}. Ctrl-C stops it.")
    receiver.run(bound)


class Receiver:
    """A bare ASGI app under uvicorn. It ends after `count` answers (0: never) or with Ctrl-C."""

    def __init__(
        self, status: int, delay: float, check: Check | None, count: int, show: Callable[[Arrival], None]
    ) -> None:
        self._status = status
        self._delay = delay
        self._check = check
        self._left = count or None
        self._show = show
        self._server: uvicorn.Server | None = None

    def run(self, bound: socket.socket) -> None:
        import uvicorn

        config = uvicorn.Config(self, log_config=None, lifespan="off", server_header=False, ws="none")
        self._server = uvicorn.Server(config)
        try:
            self._server.run([bound])
        except KeyboardInterrupt:  # uvicorn passes it on once it has stopped in order
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        import asyncio

        at = now_ms()
        body = await _body(receive)
        if body is None or self._left == 0:
            await _answer(send, 413 if body is None else 503)
            return
        self._take(_arrival(at, scope, body, self._check))
        await asyncio.sleep(self._delay)
        await _answer(send, self._status)
        self._leave_when_done()

    def _take(self, arrival: Arrival) -> None:
        self._show(arrival)
        if self._left is not None:
            self._left -= 1

    def _leave_when_done(self) -> None:
        if self._left == 0 and self._server is not None:
            self._server.should_exit = True


def _arrival(at: int, scope: dict[str, Any], body: bytes, check: Check | None) -> Arrival:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    path: str = scope["raw_path"].decode("latin-1")
    if scope["query_string"]:
        path += "?" + scope["query_string"].decode("latin-1")
    return Arrival(
        at=at,
        method=scope["method"],
        path=path,
        headers=headers,
        body=body,
        signature=check(headers, body, at) if check else None,
    )


async def _body(receive: Any) -> bytes | None:
    """None when it is more than we take."""
    parts, length = [], 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        parts.append(part)
        length += len(part)
        if length > LARGEST_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(send: Any, status: int) -> None:
    # A 204 or 304 has no body, and says nothing of its length.
    headers = [] if status in (204, 304) else [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _printer(json: bool, status: int) -> Callable[[Arrival], None]:
    def line(arrival: Arrival) -> None:
        print_json(as_json(arrival))
        sys.stdout.flush()

    if json:
        return line
    out = console()
    return lambda arrival: out.print(as_text(arrival, status))


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(1024)
    except OSError as error:
        bound.close()
        raise WrongUsage(
            f"can't listen on {host} port {port}: {error.strerror}", "name another with --host and --port"
        ) from None
    return bound


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
