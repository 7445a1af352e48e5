"""A lock as a `with` block: obtained at its beginning, renewed by a thread, released at its end.

Whether it is still held is judged by this side's clock, from before each request was sent: never longer than the server
holds it for us. A thread that is paused may still go on after that; only what checks `fence` is safe from it.
"""

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from undercroft.client.calls import Calls, ClientError, Refused, Unreachable, segment

log = logging.getLogger(__name__)

DEFAULT_URL = "http://127.0.0.1:3862"
# Seconds: the server's longest wait, what a call may take beside it, and the pause before one more try.
LONGEST_WAIT = 60.0
PATIENCE = 10.0
PAUSE = 0.2
_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _now() -> float:
    """Seconds that pass while the machine sleeps, too: the server's do."""
    return time.clock_gettime(_BOOT)


class LockNotObtained(ClientError):
    """`held_for`: seconds until it is free unless it is renewed; None: nobody knows. `owner` as its holder said."""

    def __init__(self, name: str, owner: str | None, held_for: float | None) -> None:
        super().__init__(f"the lock {name!r} is held" + (f" by {owner}" if owner else ""))
        self.name = name
        self.owner = owner
        self.held_for = held_for


class LockLost(ClientError):
    def __init__(self, name: str) -> None:
        super().__init__(f"the lock {name!r} was lost: what was done under it may have met another's work")
        self.name = name


class Client:
    """`url` and `token` come from UNDERCROFT_URL and UNDERCROFT_TOKEN unless they are given."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self._url = url or os.environ.get("UNDERCROFT_URL") or DEFAULT_URL
        self._token = token if token is not None else os.environ.get("UNDERCROFT_TOKEN", "").strip()
        self.calls()

    def __repr__(self) -> str:
        return f"Client({self._url!r})"

    def calls(self) -> Calls:
        return Calls(self._url, self._token)

    def lock(
        self,
        name: str,
        *,
        ttl: float = 30,
        wait: float | None = 0,
        owner: str | None = None,
        namespace: str | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> "Lock":
        """A lock to be entered. `ttl`, `wait`: seconds; `wait` None: as long as it takes, first come, first served.

        It is renewed every third of its `ttl`. `on_lost` is called in the renewing thread when that is in vain.
        """
        if ttl <= 0:
            raise ValueError("ttl is a number of seconds above 0")
        return Lock(self, name, ttl, wait, owner, namespace, on_lost)


class Lock:
    """Made by `Client.lock`. `fence` and `token` are those of the grant; `lost` is set when it is held no more."""

    fence: int
    token: str

    def __init__(
        self,
        client: Client,
        name: str,
        ttl: float,
        wait: float | None,
        owner: str | None,
        namespace: str | None,
        on_lost: Callable[[], None] | None,
    ) -> None:
        self.name = name
        self.ttl = ttl
        self.lost = threading.Event()
        self._client = client
        self._wait = wait
        self._given = {"owner": owner, "namespace": namespace}
        self._query = "" if namespace is None else f"?namespace={segment(namespace)}"
        self.on_lost = on_lost
        self._ends = 0.0
        self._released = threading.Event()
        self._renewing: threading.Thread | None = None
        self.on_renewed: Callable[[], None] | None = None
        """Called in the renewing thread after each renewal."""

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        if error is None:
            self.check()

    def remaining(self) -> float:
        """Seconds for which it is surely held, renewed or not."""
        return 0.0 if self.lost.is_set() else max(0.0, self._ends - _now())

    def check(self) -> None:
        """Raises LockLost when it is held no more: to be asked before what must not be done twice."""
        if self.lost.is_set() or (not self._released.is_set() and _now() >= self._ends):
            raise LockLost(self.name)

    def acquire(self) -> None:
        """Raises LockNotObtained, Refused or Unreachable."""
        if self._renewing is not None:
            raise RuntimeError("a lock is entered once; make another with client.lock()")
        deadline = None if self._wait is None else _now() + self._wait
        calls = self._client.calls()
        try:
            while True:
                left = LONGEST_WAIT if deadline is None else max(0.0, deadline - _now())
                answer = self._obtain(calls, min(left, LONGEST_WAIT))
                if answer is None:
                    continue  # it was obtained so late in the wait that it was over before we knew
                if answer["lock_obtained"]:
                    break
                if deadline is not None and _now() >= deadline:
                    raise LockNotObtained(self.name, answer.get("owner"), answer.get("held_for"))
        finally:
            calls.close()
        self._renewing = threading.Thread(target=self._renew_all, name=f"lock {self.name}", daemon=True)
        self._renewing.start()

    def release(self) -> None:
        """Others may have it at once. What can't be told to the server ends by itself."""
        if self._renewing is None or self._released.is_set():
            return
        self._released.set()
        self._renewing.join(PATIENCE)
        if self.lost.is_set():
            return
        calls = self._client.calls()
        try:
            reply = calls.call("DELETE", self._path(), headers={"X-Lock-Token": self.token}, timeout=PATIENCE)
            if not reply.get("lock_removed"):
                self._lose()
        except ClientError as error:
            log.warning("the lock %r ends by itself: %s", self.name, error)
        finally:
            calls.close()

    def _obtain(self, calls: Calls, wait: float) -> Any:
        """One request, sent again under the same key where its answer was lost."""
        body = {"name": self.name, "ttl": self.ttl, "wait": wait, "details": True, **self._given}
        body = {field: value for field, value in body.items() if value is not None}
        headers = {"Idempotency-Key": secrets.token_urlsafe(20)}
        asked = _now()
        answer = None
        while answer is None:
            try:
                answer = calls.call("POST", "/systems/locks", body, headers, timeout=wait + PATIENCE)
            except (Unreachable, Refused) as error:
                if not _may_pass(error) or _now() - asked > wait + PATIENCE:
                    raise
                time.sleep(PAUSE)
        if not answer["lock_obtained"]:
            return answer
        self.token, self.fence, self._ends = answer["token"], answer["fence"], asked + self.ttl
        if _now() - asked < self.ttl / 4 or self._renew(calls, self.ttl):
            return answer
        return None

    def _renew(self, calls: Calls, within: float) -> bool:
        """Whether it is still ours. Counted from before it was asked, whenever the server got to it."""
        asked = _now()
        body = {"token": self.token, "ttl": self.ttl}
        timeout = max(0.05, min(PATIENCE, self.ttl / 3, within))
        if not calls.call("PUT", self._path(), body, timeout=timeout).get("lock_renewed"):
            return False
        self._ends = asked + self.ttl
        return True

    def _renew_all(self) -> None:
        """Until it is released, or lost: the server said so, or could not be asked for too long."""
        calls = self._client.calls()
        pause = self.ttl / 3
        while not self._released.wait(max(0.0, min(pause, self._ends - _now()))):
            try:
                if not self._renew(calls, self._ends - _now()):
                    break
                pause = self.ttl / 3
                if self.on_renewed is not None:
                    self.on_renewed()
            except ClientError as error:
                log.warning("the lock %r was not renewed: %s", self.name, error)
                pause = min(1.0, self.ttl / 10)
            if _now() >= self._ends:
                break
        calls.close()
        if not self._released.is_set():
            self._lose()

    def _lose(self) -> None:
        self.lost.set()
        if self.on_lost is not None:
            self.on_lost()

    def _path(self) -> str:
        return f"/systems/locks/{segment(self.name)}{self._query}"


def _may_pass(error: ClientError) -> bool:
    return isinstance(error, Unreachable) or (isinstance(error, Refused) and error.status in (429, 503))
