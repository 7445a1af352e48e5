"""What an entry has to do about files, by what it has and should have. Pure."""

from collections.abc import Iterable, Mapping

from undercroft.families.sync.operations import Delete, Move, Operation, Put
from undercroft.families.sync.reconcile import Content, Copy, File, behind, equal


def operation(file: File, copies: Mapping[str, Copy], entry: str) -> Operation | None:
    """What the entry has to do about the file."""
    copy = copies.get(entry, Copy(entry))
    if not behind(file, copies.get(entry), entry):
        return None
    if file.content is None:
        return Delete(file.path, file.version, copy.revision, copy.keep_as)
    others = [c.entry for c in copies.values() if c.entry != entry and equal(c.content, file.content)]
    others.sort(key=lambda name: name != file.origin)
    sources = tuple((name, file.path) for name in others)
    base = copy.revision if copy.content is not None else ""
    return Put(file.path, file.version, file.content, base, copy.keep_as, sources)


def with_moves(operations: Iterable[Operation], contents: Mapping[str, Content]) -> list[Operation]:
    """A deletion and an arrival of one content at one entry are a move: nothing is sent. `contents`: what lies where.

    In the order in which they have to begin: what goes makes room for what comes.
    """
    deletes = {operation.path: operation for operation in operations if isinstance(operation, Delete)}
    by_hash: dict[str, list[str]] = {}
    for path, delete in deletes.items():
        if path in contents and not delete.keep_as:
            by_hash.setdefault(contents[path].hash, []).append(path)
    rest: list[Operation] = []
    for operation in operations:
        if isinstance(operation, Put):
            going = by_hash.get(operation.content.hash)
            if going and not operation.base:
                gone = deletes.pop(going.pop())
                rest.append(
                    Move(operation.path, operation.version, operation.content, gone.path, gone.version, gone.base)
                )
            else:
                rest.append(operation)
    moves = [operation for operation in rest if isinstance(operation, Move)]
    puts = [operation for operation in rest if isinstance(operation, Put)]
    return [*sorted(deletes.values(), key=lambda gone: -gone.path.count("/")), *moves, *puts]
