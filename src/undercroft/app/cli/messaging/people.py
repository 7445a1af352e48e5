"""`croft messaging route` and `identity`: where messages are posted, and whom identities mean."""

from typing import Annotated

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.messaging.asking import ROOT, Namespace, Row, field, list_at, remove_at, report, where
from undercroft.app.cli.options import Json
from undercroft.app.cli.urls import path_of

routes = typer.Typer(no_args_is_help=True, help="Routes: the webhooks that webhook:ROUTE means.")
identities = typer.Typer(no_args_is_help=True, help="Identities: addresses, languages and time zones.")
_API = ("api", "v1")


@routes.command("add")
def add_route(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The ROUTE of webhook:ROUTE.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Where messages are posted.")],
    secret: Annotated[str, typer.Option(metavar="whsec_…", help="Signs every call.")] = "",
    concurrency: Annotated[int, typer.Option(metavar="N", min=1, max=500, help="Calls at once.")] = 32,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Make a route, or change it; one that was paused goes on.

    \b
    croft messaging route add sms http://127.0.0.1:9000/outbound
    """
    body: dict[str, object] = {"name": name, "url": url, "concurrency": concurrency}
    with connect(context) as server:
        made = server.post(ROOT + "routes/", body | ({"secret": secret} if secret else {}), where(namespace))
    report(f"webhook:{name} posts to {made['url']}.", made, json=json)


@routes.command("list")
def list_routes(context: typer.Context, namespace: Namespace = "", json: Json = False) -> None:
    """Show the routes.

    \b
    croft messaging route list
    """
    columns = {"NAME": field("name"), "URL": field("url"), "PAUSED": field("paused")}
    list_at(context, "routes/", namespace, columns, json=json)


@routes.command("remove")
def remove_route(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Remove a route that no set sends by.

    \b
    croft messaging route remove sms
    """
    remove_at(context, path_of(*_API, "routes", name), namespace, f"Route {name} is removed.", name, json=json)


@identities.command("put")
def put_identity(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="IDENTITY", help="As subscriptions name it.")],
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="Phone numbers, e-mail addresses.")],
    lang: Annotated[str, typer.Option(metavar="LANG", help="Their language.")] = "",
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Where they live: an IANA name.")] = "",
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Make an identity, or give it these addresses.

    \b
    croft messaging identity put ann +27820001001 ann@example.org --timezone Africa/Lagos
    """
    body: dict[str, object] = {"addresses": addresses}
    body |= {"lang": lang} if lang else {}
    body |= {"timezone": timezone} if timezone else {}
    with connect(context) as server:
        made = server.call("PUT", path_of(*_API, "identities", id), where(namespace), body)
    report(f"{id} is reached at {', '.join(one['address'] for one in made['addresses'])}.", made, json=json)


@identities.command("list")
def list_identities(context: typer.Context, namespace: Namespace = "", json: Json = False) -> None:
    """Show the identities.

    \b
    croft messaging identity list
    """
    columns: dict[str, Row] = {
        "IDENTITY": field("id"),
        "LANG": field("lang"),
        "TIMEZONE": field("timezone"),
        "ADDRESSES": lambda one: ", ".join(address["address"] for address in one["addresses"]),
    }
    list_at(context, "identities/", namespace, columns, json=json)


@identities.command("remove")
def remove_identity(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="IDENTITY")],
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Forget an identity.

    \b
    croft messaging identity remove ann
    """
    remove_at(context, path_of(*_API, "identities", id), namespace, f"{id} is forgotten.", id, json=json)
