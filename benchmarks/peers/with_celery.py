"""Celery with an ETA on Redis; the worker is Celery's own program with a pool of threads."""

import subprocess
import sys
from typing import Any

from celery import Celery
from celery.signals import worker_ready
from program import ADDRESS, arguments, at, later_this_month, meta, now_ms, say_due, until_told_to_end
from threads import create_for, post

app = Celery("timers", broker=ADDRESS)
app.conf.update(
    broker_pool_limit=32,
    task_ignore_result=True,
    task_acks_late=True,  # a task that has begun when the worker dies is not lost, as with the others
    worker_redirect_stdouts=False,
)


@app.task(name="call")
def call(url: str, body: dict[str, Any]) -> None:
    post(url, body)


@worker_ready.connect
def tell(**_: Any) -> None:
    print("ready", flush=True)


def worker(threads: int) -> subprocess.Popen[str]:
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "with_celery:app", "worker"]
    pool = ["--pool", "threads", "--concurrency", str(threads)]
    return subprocess.Popen([*command, *pool, *quiet], stdout=subprocess.PIPE, text=True)


def fire(options: Any) -> None:
    working = worker(options.workers)
    assert working.stdout
    while working.stdout.readline().strip() != "ready":
        if working.poll() is not None:
            sys.exit("the worker ended at once")
    due = now_ms() + options.lead
    for n in range(options.count):
        call.apply_async((options.url, meta(n)), eta=at(due + n * options.spacing))
    say_due(due)
    until_told_to_end()
    working.terminate()
    working.wait()


def main() -> None:
    options = arguments()
    if options.work == "create":
        create_for(
            options.seconds,
            options.clients,
            lambda n: call.apply_async(("", meta(n)), eta=later_this_month()) and None,
        )
    else:
        fire(options)


if __name__ == "__main__":
    main()
