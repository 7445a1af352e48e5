"""`croft permissions`: who may do what, as the server decides it."""

from undercroft.app.cli.options import Json
from undercroft.app.cli.show import print_json, print_table


def show(json: Json = False) -> None:
    """Show who may do what: family by family, verb by verb.

    It is this program's table, asked of no server. Finer rules, such as who may change a team, are told of on the page
    of each family.

    \b
    croft permissions
    croft permissions --json
    """
    from undercroft.app.permissions import PERMISSIONS, WHO

    if json:
        print_json({family: {verb: access.value for verb, access in of.items()} for family, of in PERMISSIONS.items()})
        return
    rows = [(family, verb, WHO[access]) for family, of in PERMISSIONS.items() for verb, access in of.items()]
    print_table(("FAMILY", "VERB", "WHO"), rows)
