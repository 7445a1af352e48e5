"""A webhook receiver that costs little: it answers at once (or after a hang) and remembers who came when.

A process of its own: `python -m benchmarks.receiver [--hang SECONDS]` prints its port. The body of every
POST carries `"n":<int>`. `/arrivals` answers `[[n, epoch ms], …]` in order of arrival, `/count` their
number, `/forget` empties the list.
"""

import argparse
import asyncio
import json
import re
import time
from typing import cast

import httptools
import uvloop

NUMBER = re.compile(rb'"n"\s*:\s*(\d+)')
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"

Arrivals = list[tuple[int, float]]


class Receiver(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, arrivals: Arrivals, hang: float) -> None:
        self.arrivals = arrivals
        self.hang = hang
        self.parser = httptools.HttpRequestParser(self)
        self.path = b""
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.path = url
        self.body = b""

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if self.path == b"/arrivals":
            self.report(self.arrivals)
        elif self.path == b"/count":
            self.report(len(self.arrivals))
        elif self.path == b"/forget":
            self.arrivals.clear()
            self.report(0)
        else:
            self.remember()

    def remember(self) -> None:
        found = NUMBER.search(self.body)
        self.arrivals.append((int(found[1]) if found else -1, time.time() * 1000))
        if self.hang:
            asyncio.get_running_loop().call_later(self.hang, self.transport.write, OK)
        else:
            self.transport.write(OK)

    def report(self, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


async def receive(hang: float) -> None:
    arrivals: Arrivals = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiver(arrivals, hang), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--hang", type=float, default=0.0)
    uvloop.run(receive(arguments.parse_args().hang))
