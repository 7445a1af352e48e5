"""Dropbox' HTTP API as its documentation describes it, played by a server of ours on a loopback port.

This is no Dropbox: none can be had here, and nothing but the documentation was at hand. What Dropbox does and does not
write down, this does not do. It knows one account, names without regard to case and with letters composed, revisions,
upload sessions, cursors, tokens that end, and answers as programmed.
"""

import hashlib
import itertools
import json
import threading
import unicodedata
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

APP_KEY, APP_SECRET, REFRESH_TOKEN = "app-key", "app-secret", "refresh-token-of-the-user"
ACCOUNT = "ann@example.com"
BLOCK = 4 * 2**20
LARGEST_REQUEST = 150 * 2**20

Json = dict[str, Any]


class Conflict(Exception):
    """Answered 409: `summary` as in path/conflict/file, and more of the error."""

    def __init__(self, summary: str, **more: Any) -> None:
        super().__init__(summary)
        self.summary, self.more = summary, more


@dataclass
class Node:
    name: str
    shown: str
    content: bytes | None = None
    rev: str = ""
    modified: str = "2026-01-02T03:04:05Z"
    more: Json = field(default_factory=dict)


class DropboxServer:
    """A context manager. `options` are a drive's; `answers`: path → what is answered next instead, as status, headers,
    body; `asked` counts calls. `lose`: path → so many next answers are lost once all is done."""

    def __init__(self) -> None:
        self.answers: defaultdict[str, deque[tuple[int, dict[str, str], bytes]]] = defaultdict(deque)
        self.asked: Counter[str] = Counter()
        self.lose: Counter[str] = Counter()
        self.page = 2_000
        self.tokens: set[str] = set()
        self.nodes: dict[str, Node] = {}
        self._changes: list[str] = []
        self._sessions: dict[str, bytearray] = {}
        self._cursors: dict[str, tuple[str, list[str], int]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"dropbox": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def options(self) -> Json:
        keys = {"access_key": APP_KEY, "access_secret": APP_SECRET, "refresh_token": REFRESH_TOKEN}
        return {**keys, "api_url": self.url, "content_url": self.url}

    def new_token(self, form: Json) -> tuple[int, Json]:
        wanted = {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}
        if form != {**wanted, "client_id": APP_KEY, "client_secret": APP_SECRET}:
            return 400, {"error": "invalid_grant", "error_description": "refresh token is invalid or revoked"}
        token = f"short-lived-{next(self._numbers)}"
        self.tokens.add(token)
        return 200, {"access_token": token, "expires_in": 14400, "token_type": "bearer"}

    def answer(self, path: str, argument: Json, body: bytes) -> tuple[Any, bytes | None]:
        """What is told, and content where it was asked for."""
        with self._lock:
            calls = {
                "files/get_metadata": self._get_metadata,
                "files/list_folder": self._list_folder,
                "files/list_folder/continue": self._continue,
                "files/delete_v2": self._delete,
                "files/move_v2": self._move,
                "files/copy_v2": self._copy,
            }
            if path == "users/get_current_account":
                return {"email": ACCOUNT}, None
            if path == "files/download":
                node = self._node(argument["path"])
                if node.content is None:
                    raise Conflict("path/not_file")
                return self._told(argument["path"]), node.content
            if path in calls:
                return calls[path](argument), None
            sends = {
                "files/upload": self._upload,
                "files/upload_session/start": self._start,
                "files/upload_session/append_v2": self._append,
                "files/upload_session/finish": self._finish,
            }
            if argument.get("content_hash", hash_of(body)) != hash_of(body):
                raise Conflict("content_hash_mismatch")
            return sends[path](argument, body), None

    # Files and folders

    def put(self, path: str, content: bytes, **more: Any) -> None:
        """As another app would."""
        with self._lock:
            self._write(path, content, {}, more)

    def make_folder(self, path: str) -> None:
        with self._lock:
            self._folders_above(f"{path}/x")

    def remove(self, path: str) -> None:
        with self._lock:
            self._drop(_key(path))

    def _get_metadata(self, argument: Json) -> Json:
        self._node(argument["path"])
        return self._told(argument["path"])

    def _delete(self, argument: Json) -> Json:
        path = argument["path"]
        if _key(path) not in self.nodes:
            raise Conflict("path_lookup/not_found")
        if argument.get("parent_rev", self.nodes[_key(path)].rev) != self.nodes[_key(path)].rev:
            raise Conflict("path_write/conflict/file")
        told = self._told(path)
        self._drop(_key(path))
        return {"metadata": told}

    def _move(self, argument: Json) -> Json:
        source, target = argument["from_path"], argument["to_path"]
        if _key(source) == _key(target):
            raise Conflict("duplicated_or_nested_paths")
        told = self._copy(argument)
        self._drop(_key(source))
        return told

    def _copy(self, argument: Json) -> Json:
        source, target = argument["from_path"], argument["to_path"]
        if _key(source) not in self.nodes:
            raise Conflict("from_lookup/not_found")
        self._refuse_taken(target, "to")
        node = self.nodes[_key(source)]
        assert node.content is not None, "folders are not moved here"
        self._write(target, node.content, {"client_modified": node.modified}, {})
        return {"metadata": self._told(target)}

    def _upload(self, argument: Json, body: bytes) -> Json:
        self._commit(argument, body)
        return self._told(argument["path"])

    def _commit(self, said: Json, content: bytes) -> None:
        assert said["autorename"] is False and said["strict_conflict"] is True
        there = self.nodes.get(_key(said["path"]))
        if said["mode"][".tag"] == "add" or there is None or there.content is None:
            self._refuse_taken(said["path"], "path")
        elif there.rev != said["mode"]["update"]:
            raise Conflict("path/conflict/file")
        self._write(said["path"], content, said, {})

    def _start(self, _argument: Json, body: bytes) -> Json:
        name = f"session-{next(self._numbers)}"
        self._sessions[name] = bytearray(body)
        return {"session_id": name}

    def _append(self, argument: Json, body: bytes) -> None:
        self._at(argument["cursor"]).extend(body)

    def _finish(self, argument: Json, body: bytes) -> Json:
        content = bytes(self._at(argument["cursor"])) + body
        self._commit(argument["commit"], content)
        return self._told(argument["commit"]["path"])

    def _at(self, cursor: Json) -> bytearray:
        if cursor["session_id"] not in self._sessions:
            raise Conflict("lookup_failed/not_found")
        session = self._sessions[cursor["session_id"]]
        if len(session) != cursor["offset"]:
            raise Conflict("incorrect_offset", correct_offset=len(session))
        return session

    # Listing

    def forget_cursors(self) -> None:
        self._cursors.clear()

    def _list_folder(self, argument: Json) -> Json:
        root = argument["path"]
        if root and self._node(root).content is not None:
            raise Conflict("path/not_folder")
        below = [key for key in self.nodes if key.startswith(f"{_key(root)}/")]
        return self._page_of(_key(root), sorted(below), len(self._changes))

    def _continue(self, argument: Json) -> Json:
        if argument["cursor"] not in self._cursors:
            raise Conflict("reset")
        root, left, seen = self._cursors[argument["cursor"]]
        if left:
            return self._page_of(root, left, seen)
        news = [key for key in self._changes[seen:] if key.startswith(f"{root}/")]
        return self._page_of(root, list(dict.fromkeys(news)), len(self._changes))

    def _page_of(self, root: str, keys: list[str], seen: int) -> Json:
        now, left = keys[: self.page], keys[self.page :]
        cursor = f"cursor-{next(self._numbers)}"
        self._cursors[cursor] = (root, left, seen)
        return {"entries": [self._entry(key) for key in now], "cursor": cursor, "has_more": bool(left)}

    # Parts

    def _node(self, path: str) -> Node:
        _refuse_malformed(path)
        if _key(path) not in self.nodes:
            raise Conflict("path/not_found")
        return self.nodes[_key(path)]

    def _refuse_taken(self, path: str, what: str) -> None:
        _refuse_malformed(path, what)
        for above in _above(path):
            node = self.nodes.get(_key(above))
            if node is not None and node.content is not None:
                raise Conflict(f"{what}/conflict/file_ancestor")
        there = self.nodes.get(_key(path))
        if there is not None:
            raise Conflict(f"{what}/conflict/{'folder' if there.content is None else 'file'}")

    def _write(self, path: str, content: bytes, said: Json, more: Json) -> None:
        self._folders_above(path)
        path = unicodedata.normalize("NFC", path)
        there = self.nodes.get(_key(path))
        name = there.name if there else path.rpartition("/")[2]
        node = Node(name, path, content, f"{next(self._numbers):09x}", more=more)
        node.modified = said.get("client_modified", node.modified)
        self.nodes[_key(path)] = node
        self._changes.append(_key(path))

    def _folders_above(self, path: str) -> None:
        for above in _above(path):
            if _key(above) not in self.nodes:
                self.nodes[_key(above)] = Node(above.rpartition("/")[2], above)
                self._changes.append(_key(above))

    def _drop(self, key: str) -> None:
        for one in [one for one in self.nodes if one == key or one.startswith(f"{key}/")]:
            del self.nodes[one]
        self._changes.append(key)

    def _told(self, path: str) -> Json:
        return self._entry(_key(path))

    def _entry(self, key: str) -> Json:
        node = self.nodes.get(key)
        if node is None:
            return {".tag": "deleted", "name": key.rpartition("/")[2], "path_lower": key, "path_display": key}
        told = {"name": node.name, "path_lower": key, "path_display": node.shown, "id": f"id:{key}"}
        if node.content is None:
            return {".tag": "folder", **told}
        about = {"rev": node.rev, "size": len(node.content), "client_modified": node.modified}
        return {".tag": "file", **told, **about, "content_hash": hash_of(node.content), **node.more}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or each answer waits for an acknowledgement
    dropbox: DropboxServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        path = self.path.removeprefix("/2/")
        dropbox = self.dropbox
        dropbox.asked[path] += 1
        if dropbox.answers[path]:
            status, headers, said = dropbox.answers[path].popleft()
            return self._say(status, headers, said)
        if path == "/oauth2/token":
            status, told = dropbox.new_token(dict(parse_qsl(body.decode())))
            return self._say(status, {}, json.dumps(told).encode())
        if (refusal := self._unknown()) is not None:
            return self._say(401, {}, _error(refusal))
        assert len(body) <= LARGEST_REQUEST
        return self._call(path, body)

    def _call(self, path: str, body: bytes) -> None:
        in_header = self.headers["dropbox-api-arg"]
        try:
            told, content = self.dropbox.answer(path, json.loads(in_header or body), body if in_header else b"")
        except Conflict as conflict:
            return self._say(409, {}, _error(conflict.summary, **conflict.more))
        if self.dropbox.lose[path]:
            self.dropbox.lose[path] -= 1
            self.close_connection = True
            return None
        if content is None:
            return self._say(200, {"content-type": "application/json"}, json.dumps(told).encode())
        return self._give(json.dumps(told), content)

    def _give(self, told: str, content: bytes) -> None:
        asked = self.headers["range"]
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if asked and start >= len(content):
            return self._say(416, {}, b"")
        return self._say(206 if asked else 200, {"dropbox-api-result": told}, content[start:])

    def _unknown(self) -> str | None:
        kind, _, token = (self.headers["authorization"] or "").partition(" ")
        if kind == "Bearer" and token in self.dropbox.tokens:
            return None
        return "expired_access_token" if token.startswith("short-lived") else "invalid_access_token"

    def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def hash_of(content: bytes) -> str:
    """Dropbox' content hash."""
    blocks = (content[at : at + BLOCK] for at in range(0, len(content), BLOCK))
    return hashlib.sha256(b"".join(hashlib.sha256(block).digest() for block in blocks)).hexdigest()


def _error(summary: str, **more: Any) -> bytes:
    return json.dumps({"error_summary": f"{summary}/..", "error": {".tag": summary.split("/")[0], **more}}).encode()


def _key(path: str) -> str:
    return unicodedata.normalize("NFC", path).lower()


def _above(path: str) -> Iterator[str]:
    parts = path.strip("/").split("/")[:-1]
    for end in range(1, len(parts) + 1):
        yield "/" + "/".join(parts[:end])


def _refuse_malformed(path: str, what: str = "path") -> None:
    parts = path.split("/")[1:]
    if not path.startswith("/") or any(not part or len(part) > 255 or part != part.rstrip() for part in parts):
        raise Conflict(f"{what}/malformed_path")
