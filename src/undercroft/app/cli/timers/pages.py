"""Lists that come in pages: one page, or all of them one after the other."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from undercroft.app.cli.client import Server
from undercroft.app.cli.show import note, print_json, print_table

Row = Callable[[dict[str, Any]], Sequence[str]]


class Listing(NamedTuple):
    """`key` names the list in the reply."""

    server: Server
    path: str
    key: str
    query: dict[str, object]

    def show(self, headers: Sequence[str], row: Row, *, everything: bool, json: bool) -> None:
        """As JSON: the reply itself; with `everything` one item per line, which `import` reads again."""
        if not everything:
            self._show_one_page(headers, row, json)
            return
        for number, page in enumerate(self.server.pages(self.path, self.key, self.query)):
            if json:
                for item in page:
                    print_json(item)
            else:
                print_table(headers, (row(item) for item in page), show_header=number == 0)

    def _show_one_page(self, headers: Sequence[str], row: Row, json: bool) -> None:
        reply = self.server.get(self.path, self.query)
        if json:
            print_json(reply)
            return
        print_table(headers, (row(item) for item in reply[self.key]))
        if reply.get("cursor"):
            note("There is more: --all shows it.")
