"""Names of files as text, exactly. Pure.

On disk a name is bytes; in the database and on the wire it is text. What is UTF-8 stays as it is. A byte that is not is
written `\\xNN`, and a backslash that would read as such an escape `\\x5c`, so that every name has one text and back.
"""

import fnmatch
import hashlib
import re
import uuid
from collections.abc import Collection

FID_SPACE = uuid.UUID("bcd336f2-d023-4856-bc92-e79dd24b64d7")
LONGEST_NAME = 255
# Bytes of its text: an index of PostgreSQL's takes 2,704 a key, of which an entry's name has its part.
LONGEST_PATH = 2_048
# Bytes that are left of a name, where there are as many, within the name of a conflict.
LEAST_STEM = 8
# Bytes of an entry's name within the name of a conflict.
LONGEST_WHO = 60
_space = hashlib.sha1(FID_SPACE.bytes, usedforsecurity=False)
# What the server keeps inside of an entry's root; never synchronised, wherever it is met.
OWN_FOLDER = ".undercroft"
_OWN = OWN_FOLDER.encode()

_ESCAPED = re.compile(r"\\x([89a-f][0-9a-f]|5c)")
_LOOKS_ESCAPED = re.compile(rb"\\(?=x(?:[89a-f][0-9a-f]|5c))")


def shown(name: bytes) -> str:
    """A path's text."""
    if b"\\x" in name:
        name = _LOOKS_ESCAPED.sub(rb"\\x5c", name)
    try:
        return name.decode()
    except UnicodeDecodeError:
        text = name.decode(errors="surrogateescape")
        return "".join(f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in text)


def raw(text: str) -> bytes:
    """The path's bytes; undoes `shown`."""
    if "\\x" not in text:
        return text.encode()
    parts = _ESCAPED.split(text)
    return b"".join(bytes([int(part, 16)]) if n % 2 else part.encode() for n, part in enumerate(parts))


def fid_of(filename: str) -> str:
    """A file's id: a function of its name alone, the same on every instance. It is `uuid.uuid5(FID_SPACE, filename)`,
    made without an object on the way: three times as quick, and every change of a file asks for it."""
    digest = _space.copy()
    digest.update(filename.encode())
    text = digest.hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


def is_too_long(path: bytes) -> bool:
    """A byte that is not UTF-8 has four in the text."""
    return len(path) > LONGEST_PATH or (4 * len(path) > LONGEST_PATH and len(shown(path).encode()) > LONGEST_PATH)


def is_text(text: str) -> bool:
    """Whether it can be sent and kept: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def complaint(filename: str) -> str | None:
    """Why this can't be the path of a file, relative to a root; None where it can."""
    if not filename or filename.startswith("/") or "\x00" in filename:
        return "a file's name is not empty, does not begin with / and holds no NUL"
    try:
        name = raw(filename)
    except UnicodeEncodeError:
        return "a file's name is text; bytes that are no UTF-8 are written \\xNN"
    if shown(name) != filename:
        return "this spelling of the name is not ours"
    parts = name.split(b"/")
    if any(part in (b"", b".", b"..") for part in parts):
        return "a file's name has no empty parts, no . and no .."
    if _OWN in parts:
        return f"what is in {OWN_FOLDER} is the server's"
    if is_too_long(name) or max(map(len, parts)) > LONGEST_NAME:
        return f"a name has up to {LONGEST_NAME} bytes, a path up to {LONGEST_PATH}"
    return None


def is_ignored(path: bytes, patterns: Collection[str]) -> bool:
    """What is the server's own, or matches as a path or by its name."""
    if _OWN in path and _OWN in path.split(b"/"):
        return True
    if not patterns:
        return False
    text = shown(path)
    name = text.rpartition("/")[2]
    return any(fnmatch.fnmatchcase(text, p) or fnmatch.fnmatchcase(name, p) for p in patterns)


def conflict_name(filename: str, entry: str, stamp: str) -> str:
    """`photos/a.jpg` of entry A → `photos/a.conflict-A-20260102T030405.jpg`, cut to what a name and a path may have.

    Where a folder is so deep that it leaves a name no room, it is in the next one above that does.
    """
    folder, slash, name = raw(filename).rpartition(b"/")
    stem, dot, extension = name.rpartition(b".")
    if not stem or len(extension) > 20:
        stem, dot, extension = name, b"", b""
    who = _cut(re.sub(r"[^\w.-]", "_", entry).encode(), LONGEST_WHO)
    rest = b".conflict-" + who + f"-{stamp}".encode() + dot + extension
    stem = _cut(stem, LONGEST_NAME - len(rest))
    while is_too_long(folder + slash + stem[:LEAST_STEM] + rest):
        folder, slash, _ = folder.rpartition(b"/")
    while is_too_long(folder + slash + stem + rest):
        stem = _cut(stem, len(stem) - 1)
    return shown(folder + slash + stem + rest)


def _cut(name: bytes, most: int) -> bytes:
    """Its beginning, of so many bytes at the most, and no half of a UTF-8 character."""
    if len(name) <= most:
        return name
    name = name[:most]
    for back in range(1, min(4, len(name)) + 1):
        byte = name[-back]
        if byte & 0xC0 != 0x80:
            is_half = byte >= 0xC0 and back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)
            return name[:-back] if is_half else name
    return name
