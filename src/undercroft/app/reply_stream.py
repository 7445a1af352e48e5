"""A reply that comes piece by piece, at the client's pace."""

import asyncio

import structlog

from undercroft.app.reply_head import render_head
from undercroft.machinery.operations import Reply, Stream

log = structlog.get_logger()


async def write_stream(
    transport: asyncio.Transport, reply: Reply, stream: Stream, date: bytes, may_write: asyncio.Event
) -> None:
    """In chunks where nobody knows how much it is; the connection ends if the source fails midway."""
    transport.write(render_head(reply, date, reply.length, True))
    piece, end = (b"%x\r\n%b\r\n", b"0\r\n\r\n") if reply.length is None else (b"", b"")
    try:
        async for chunk in stream:
            if transport.is_closing():
                return
            if chunk:
                transport.write(piece % (len(chunk), chunk) if piece else chunk)
            await may_write.wait()
        transport.write(end)
    except Exception:
        log.exception("stream_failed")
        transport.abort()
