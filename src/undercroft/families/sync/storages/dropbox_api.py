"""Dropbox' HTTP API, version 2: tokens, the three kinds of calls, and its errors in our words.

Source: Dropbox' own description of it (www.dropbox.com/developers/documentation/http). Nothing that a server says is
repeated but its error's tags.
"""

import errno
import json
import re
from collections.abc import Callable, Iterator, Mapping
from types import NoneType
from typing import Any
from urllib.parse import urlencode

from undercroft.families.sync.storages.asking import MOST_LISTED, MOST_PAGES, Answer, Asking, Said, Streamed, endless
from undercroft.families.sync.storages.errors import Vanished

API = "https://api.dropboxapi.com"
CONTENT = "https://content.dropboxapi.com"
# A token is renewed so many seconds before its end.
EARLY = 60

Json = dict[str, Any]


# What is told under these names is of these kinds, wherever it stands.
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys((".tag", "rev", "client_modified", "content_hash", "cursor", "session_id", "email"), str),
    **dict.fromkeys(("path_lower", "access_token", "error_summary"), (str, NoneType)),
    "size": int, "expires_in": (int, float), "has_more": bool, "entries": list, "metadata": dict,
}  # fmt: skip


class _Told(Json):
    """An answer. What is missing of it, or of another kind than it has to be, is told as an error of theirs."""

    def __init__(self, told: Json) -> None:
        super().__init__(told)
        for name, kind in _KINDS.items():
            if name in told and not isinstance(told[name], kind):
                self.__missing__(name)
        if ("rev" in told or "path_lower" in told) and not isinstance(told.get("name"), str):  # a user's is none
            self.__missing__("name")
        if not all(isinstance(entry, dict) for entry in told.get("entries", ())):
            self.__missing__("entries")

    def __missing__(self, name: str) -> Any:
        raise OSError(errno.EPROTO, f"the answer is not Dropbox', it tells no {name}: is api_url right?")


class Refused(Exception):
    """A 409: what was asked for can't be done. `tags` say why, from the outside in: path, conflict, file."""

    def __init__(self, error: Json, tags: list[str]) -> None:
        super().__init__("/".join(tags))
        self.error, self.tags = error, tags


class DropboxApi:
    """For one thread."""

    def __init__(self, options: Mapping[str, Any], asking: Asking) -> None:
        self._api = (options.get("api_url") or API).rstrip("/")
        self._content = (options.get("content_url") or CONTENT).rstrip("/")
        self._options, self._asking = options, asking
        self._token, self._until = options.get("access_token") or "", float("inf")
        if options.get("refresh_token"):
            self._token, self._until = "", 0.0

    def call(self, path: str, argument: Json | None) -> Json:
        """What is answered. Raises Refused, OSError, Vanished."""
        body = json.dumps(argument).encode()
        said = {"content-type": "application/json"}
        return self._decoded(
            self._authorised(lambda token: self._asking.ask("POST", f"{self._api}/2/{path}", {**token, **said}, body))
        )

    def pages(self, page: Json) -> Iterator[Json]:
        """This one of a folder's list, and all after it. Raises OSError for a list that begins again, or has no end."""
        listed, cursors = 0, set[int]()
        for _ in range(MOST_PAGES):
            yield page
            listed += len(page["entries"])
            cursor = page["cursor"]
            if not page["has_more"]:
                return
            if hash(cursor) in cursors or listed > MOST_LISTED:
                break
            cursors.add(hash(cursor))
            page = self.call("files/list_folder/continue", {"cursor": cursor})
        raise endless("Dropbox")

    def send(self, path: str, argument: Json, body: bytes | bytearray) -> Json:
        """With content; the argument travels in a header."""
        said = {"content-type": "application/octet-stream", "dropbox-api-arg": json.dumps(argument)}
        url = f"{self._content}/2/{path}"
        return self._decoded(self._authorised(lambda token: self._asking.ask("POST", url, {**token, **said}, body)))

    def fetch(self, path: str, argument: Json, start: int) -> tuple[Json, Streamed]:
        """Content from a byte on, and what it is of; the status may be 416."""
        said = {"dropbox-api-arg": json.dumps(argument), **({"range": f"bytes={start}-"} if start else {})}
        url = f"{self._content}/2/{path}"
        answer = self._authorised(lambda token: self._asking.stream("POST", url, {**token, **said}))
        if answer.status in (200, 206, 416):
            return _json(answer.headers.get("dropbox-api-result", "{}").encode()), answer
        try:
            raise _failure(Answer(answer.status, answer.headers, answer.body()))
        finally:
            answer.close()

    def _authorised(self, ask: Callable[[dict[str, str]], Said]) -> Said:
        """Once more with a new token where the first has ended before its time."""
        answer = ask(self._bearer())
        if answer.status == 401 and self._options.get("refresh_token"):
            answer.close()
            self._until = 0.0
            answer = ask(self._bearer())
        return answer

    def _bearer(self) -> dict[str, str]:
        if self._asking.clock() >= self._until:
            self._renew()
        if not self._token:
            raise Vanished("Dropbox wants a token: set refresh_token and access_key, or access_token")
        return {"authorization": f"Bearer {self._token}"}

    def _renew(self) -> None:
        form = {"grant_type": "refresh_token", "refresh_token": self._options["refresh_token"]}
        form["client_id"] = self._options.get("access_key") or ""
        if secret := self._options.get("access_secret"):
            form["client_secret"] = secret
        said = {"content-type": "application/x-www-form-urlencoded"}
        answer = self._asking.ask("POST", f"{self._api}/oauth2/token", said, urlencode(form).encode())
        if answer.status in (400, 401, 403):
            raise Vanished("Dropbox refuses refresh_token, access_key or access_secret: let the app be allowed anew")
        got = self._decoded(answer)
        if not isinstance(got.get("access_token"), str):
            raise OSError(errno.EPROTO, "Dropbox gave no token; it is tried again")
        self._token = got["access_token"]
        self._until = self._asking.clock() + float(got.get("expires_in", 3600)) - EARLY

    def _decoded(self, answer: Answer) -> Json:
        if answer.status != 200:
            raise _failure(answer)
        return _json(answer.body)


def _failure(answer: Answer) -> Exception:
    said = _json(answer.body) if answer.body[:1] == b"{" else {}
    error = said.get("error")
    summary = re.sub(r"[^a-z_/]", "", str(said.get("error_summary", "")))[:200]
    tags = [tag for tag in summary.split("/") if tag]
    if answer.status == 409:
        return Refused(error if isinstance(error, dict) else {}, tags)
    if answer.status == 401:
        if "missing_scope" in tags:
            told = error if isinstance(error, dict) else {}
            scope = re.sub(r"[^a-z._]", "", str(told.get("required_scope", "")))
            return Vanished(f"the token may not do this: allow {scope or 'files.content.write'} to the app, and anew")
        return Vanished(f"Dropbox refuses the token ({'/'.join(tags) or 401}): set a new one")
    if answer.status == 403:
        return Vanished(f"Dropbox does not allow this to the account ({'/'.join(tags) or 403})")
    if answer.status == 429:
        wait = re.sub(r"\D", "", answer.headers.get("retry-after", ""))[:6]
        return OSError(errno.EAGAIN, f"Dropbox asks us to wait for {wait or 'some'} seconds; it is tried again")
    return OSError(errno.EIO, f"Dropbox answered {answer.status}; it is tried again")


def as_error(refused: Refused, name: str) -> OSError:
    """What a refusal means, but for a conflict."""
    tags, why = set(refused.tags), "/".join(refused.tags)
    if "not_found" in tags and "lookup_failed" not in tags:
        return FileNotFoundError(errno.ENOENT, "it is not there", name)
    if tags & {"malformed_path", "disallowed_name", "malformed_pattern"}:
        return OSError(errno.EILSEQ, f"Dropbox takes no such name ({why})", name)
    if tags & {"insufficient_space", "insufficient_quota", "payload_too_large"}:
        return OSError(errno.ENOSPC, f"Dropbox has no room for it ({why})", name)
    if tags & {"no_write_permission", "restricted_content", "team_folder", "cant_move_shared_folder"}:
        return PermissionError(errno.EACCES, f"Dropbox does not allow it ({why})", name)
    return OSError(errno.EIO, f"Dropbox did not do it ({why}); it is tried again", name)


def _json(body: bytes) -> Json:
    try:
        said = json.loads(body, object_hook=_Told) or _Told({})
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise OSError(errno.EPROTO, "the answer is not Dropbox': is api_url right?")
    return said
