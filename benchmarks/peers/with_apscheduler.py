"""APScheduler 3 on SQLite: write-ahead log, every commit synced."""

import logging
import random
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from program import ADDRESS, arguments, at, later_this_month, meta, now_ms, say_due, until_told_to_end
from sqlalchemy import create_engine, event
from threads import create_for

RUN = random.randbytes(4).hex()
TASK = "threads:post"


def scheduler(workers: int) -> BackgroundScheduler:
    engine = create_engine(f"sqlite:///{ADDRESS}")

    @event.listens_for(engine, "connect")
    def durable(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    stores = {"default": SQLAlchemyJobStore(engine=engine)}
    # Without this a job that is more than 1 s late would be skipped.
    defaults = {"misfire_grace_time": None}
    executors = {"default": ThreadPoolExecutor(workers)}
    return BackgroundScheduler(jobstores=stores, executors=executors, job_defaults=defaults, timezone="UTC")


def add(jobs: BackgroundScheduler, n: int, when: Any, url: str = "") -> None:
    jobs.add_job(TASK, "date", run_date=when, args=(url, meta(n)), id=f"job-{RUN}-{n}")


def fire(jobs: BackgroundScheduler, options: Any) -> None:
    due = now_ms() + options.lead
    for n in range(options.count):
        add(jobs, n, at(due + n * options.spacing), options.url)
    say_due(due)
    until_told_to_end()


def main() -> None:
    logging.disable()
    options = arguments()
    jobs = scheduler(options.workers)
    if options.work == "create":
        jobs.start(paused=True)
        create_for(options.seconds, options.clients, lambda n: add(jobs, n, later_this_month()))
    else:
        jobs.start()
        fire(jobs, options)
    jobs.shutdown(wait=False)


if __name__ == "__main__":
    main()
