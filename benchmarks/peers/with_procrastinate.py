"""procrastinate on PostgreSQL: asynchronous, one connection per client."""

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import aiohttp
import procrastinate
from program import ADDRESS, arguments, at, later_this_month, measured, meta, now_ms, say_due

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=ADDRESS, min_size=32, max_size=60),
)
http: aiohttp.ClientSession


@app.task(name="call", pass_context=False)
async def call(url: str, body: dict[str, Any]) -> None:
    async with http.post(url, json=body) as answer:
        answer.raise_for_status()


async def create_for(seconds: float, clients: int, create: Callable[[], Awaitable[int]]) -> None:
    await create()
    finished = measured()
    until = time.perf_counter() + seconds

    async def client() -> int:
        done = 0
        while time.perf_counter() < until:
            done += await create()
        return done

    finished(sum(await asyncio.gather(*(client() for _ in range(clients)))))


async def create(options: Any) -> None:
    numbers = count()

    async def one() -> int:
        await call.configure(schedule_at=later_this_month()).defer_async(url="", body=meta(next(numbers)))
        return 1

    async def many() -> int:
        jobs = [{"url": "", "body": meta(next(numbers))} for _ in range(options.size)]
        await call.configure(schedule_at=later_this_month()).batch_defer_async(*jobs)
        return options.size

    await create_for(options.seconds, options.clients, many if options.work == "bulk" else one)


async def defer_all(options: Any, due: int) -> None:
    """A batch has one due moment: one batch when all jobs share it, else job by job."""
    jobs = [{"url": options.url, "body": meta(n)} for n in range(options.count)]
    if not options.spacing:
        await call.configure(schedule_at=at(due)).batch_defer_async(*jobs)
        return
    for n, job in enumerate(jobs):
        await call.configure(schedule_at=at(due + n * options.spacing)).defer_async(**job)


async def fire(options: Any) -> None:
    global http
    async with aiohttp.ClientSession() as http:
        work = app.run_worker_async(
            concurrency=options.workers, fetch_job_polling_interval=0.1, install_signal_handlers=False
        )
        working = asyncio.create_task(work)
        due = now_ms() + options.lead
        await defer_all(options, due)
        say_due(due)
        await asyncio.to_thread(sys.stdin.read)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def main() -> None:
    logging.disable()
    options = arguments()
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        await (fire if options.work == "fire" else create)(options)


if __name__ == "__main__":
    asyncio.run(main())
