"""Which entries hold which file, by the rules. Pure. It costs what a path has of folders, however many rules are."""

from collections.abc import Iterable, Iterator

from undercroft.families.sync.model import Rule, mimetype

_First = tuple[int, int]
"""Where an entry is mentioned first: of which rule, at which place."""
_Kinds = dict[str | None, dict[str, _First]]
"""Entries by the kind of file that they are given, such as `image/png` or `image/*`; None: any."""


class Sharing:
    def __init__(self, rules: Iterable[Rule]) -> None:
        self._below: dict[str, _Kinds] = {}
        self._itself: dict[str, _Kinds] = {}
        self._has_kinds = False
        for number, rule in enumerate(rules):
            path = rule.match.path or "/"
            self._give(self._below.setdefault(path.rstrip("/"), {}), number, rule)
            if not path.endswith("/"):
                self._give(self._itself.setdefault(path, {}), number, rule)
        # One rule for everything is what most have.
        is_plain = self._below.keys() <= {""} and not self._has_kinds
        self._everything = self._find("") if is_plain else None

    def holders(self, filename: str) -> tuple[str, ...]:
        """The entries of all rules that match, together, in order of first mention."""
        return self._find(filename) if self._everything is None else self._everything

    def _find(self, filename: str) -> tuple[str, ...]:
        kinds = self._kinds_of(filename)
        found: dict[str, _First] = {}
        for given in self._matching("/" + filename):
            for kind in kinds:
                for entry, first in given.get(kind, {}).items():
                    if entry not in found or first < found[entry]:
                        found[entry] = first
        return tuple(sorted(found, key=found.__getitem__))

    def _give(self, kinds: _Kinds, number: int, rule: Rule) -> None:
        self._has_kinds = self._has_kinds or bool(rule.match.mime)
        for kind in rule.match.mime or (None,):
            entries = kinds.setdefault(kind, {})
            for place, entry in enumerate(rule.sync):
                entries.setdefault(entry, (number, place))

    def _matching(self, path: str) -> Iterator[_Kinds]:
        at = 0
        while at >= 0:
            if given := self._below.get(path[:at]):
                yield given
            at = path.find("/", at + 1)
        if given := self._itself.get(path):
            yield given

    def _kinds_of(self, filename: str) -> tuple[str | None, ...]:
        kind = mimetype(filename) if self._has_kinds else None
        return (None,) if kind is None else (None, kind, kind.partition("/")[0] + "/*")
