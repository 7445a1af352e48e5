"""`croft messaging rule`: what happens to a subscription or an identity subscribes it elsewhere, or ends something."""

from typing import Annotated, Any

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.messaging.asking import (
    ROOT,
    Namespace,
    Row,
    field,
    list_at,
    remove_at,
    report,
    table,
    where,
)
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import note

app = typer.Typer(no_args_is_help=True, help="Rules: subscribe when something happens.")
RuleId = Annotated[int, typer.Argument(metavar="RULE", help="Its number.")]
_WHEN = ("event", "messageset", "number", "address_type", "field")
_TRIED: dict[str, Row] = {"IDENTITY": field("identity"), "LANG": field("lang"), "OUTCOME": field("outcome")}


@app.command("add")
def add(  # noqa: PLR0913 - one argument per flag
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="How people call it.")],
    event: Annotated[str, typer.Option("--when", metavar="EVENT", help="completed, reached, opted_out, …")],
    subscribe: Annotated[int, typer.Option("--subscribe", metavar="SET", help="Subscribe them to this set.")] = 0,
    unsubscribe: Annotated[int, typer.Option("--unsubscribe", metavar="SET", help="End what they have on it.")] = 0,
    of_set: Annotated[int, typer.Option("--set", metavar="SET", help="Of which set, if of a set.")] = 0,
    number: Annotated[int | None, typer.Option(metavar="NUMBER", help="Which message was reached.")] = None,
    address: Annotated[str, typer.Option(metavar="KIND", help="An address of this kind alone: msisdn, email.")] = "",
    of_field: Annotated[str, typer.Option("--field", metavar="NAME[=VALUE]", help="Which field got a value.")] = "",
    lang: Annotated[str, typer.Option(metavar="LANG", help="Only who is written to in this language.")] = "",
    conditions: Annotated[
        list[str] | None, typer.Option("--if", metavar="FIELD=VALUE", help="Only with this detail; may be repeated.")
    ] = None,
    schedule: Annotated[int, typer.Option(metavar="ID", help="Another schedule than the set's own.")] = 0,
    first: Annotated[int, typer.Option("--from", metavar="NUMBER", help="The first message that they get.")] = 1,
    default_lang: Annotated[str, typer.Option(metavar="LANG", help="Where no language is known.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make nothing: show whom it would subscribe.")] = False,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Make a rule: subscribe when something happens, or unsubscribe.

    EVENT is completed, reached or opted_out, of a set; or address or field, of an identity.
    VALUE is JSON where it can be read as such (5, true), and a text elsewhere.

    \b
    croft messaging rule add onward --when completed --set 1 --subscribe 2 --if city=Lagos
    croft messaging rule add welcome --when address --subscribe 1 --default-lang eng --dry-run
    """
    if bool(subscribe) == bool(unsubscribe):
        raise WrongUsage("a rule does one of two things", "name --subscribe SET or --unsubscribe SET")
    which, _, value = of_field.partition("=")
    given = {
        "messageset": of_set, "number": number, "address_type": address, "field": which, "lang": lang,
        "value": _value(value) if value else None, "schedule": schedule, "default_lang": default_lang,
    }  # fmt: skip
    body: dict[str, Any] = {
        "name": name, "event": event, "action": "subscribe" if subscribe else "unsubscribe",
        "target": subscribe or unsubscribe, "first_number": first, "conditions": _conditions(conditions or []),
        **{key: value for key, value in given.items() if value or key == "value" or value == number},
    }  # fmt: skip
    with connect(context) as server:
        if dry_run:
            _show_tried(server.post(ROOT + "rules/preview", body, where(namespace)), json=json)
            return
        made = server.post(ROOT + "rules/", body, where(namespace))
        circle = server.get(f"{ROOT}rules/{made['id']}/preview", where(namespace))["leads_back"]
    if circle and not json:
        note("Whom it subscribes comes back to where it began; such a chain ends after ten rules.")
    report(f"Rule {made['id']} is {name}.", made, json=json)


@app.command("list")
def list_rules(context: typer.Context, namespace: Namespace = "", json: Json = False) -> None:
    """Show the rules, and how often each has done something.

    \b
    croft messaging rule list
    """
    columns: dict[str, Row] = {
        "ID": field("id"),
        "NAME": field("name"),
        "WHEN": lambda one: " ".join(str(one[name]) for name in _WHEN if one[name] is not None),
        "DOES": lambda one: f"{one['action']} {one['target']}",
        "ACTIVE": lambda one: "yes" if one["active"] else "no",
        "FIRED": field("fired"),
    }
    list_at(context, "rules/", namespace, columns, json=json)


@app.command("preview")
def preview(context: typer.Context, id: RuleId, namespace: Namespace = "", json: Json = False) -> None:
    """Show whom a rule would subscribe as things stand; nothing is changed.

    \b
    croft messaging rule preview 1
    """
    with connect(context) as server:
        _show_tried(server.get(f"{ROOT}rules/{id}/preview", where(namespace)), json=json)


@app.command("apply")
def apply(context: typer.Context, id: RuleId, namespace: Namespace = "", json: Json = False) -> None:
    """Have a rule done for those to whom it would have happened before it was made.

    \b
    croft messaging rule apply 1
    """
    with connect(context) as server:
        done = server.post(f"{ROOT}rules/{id}/apply", None, where(namespace))
    said = [f"{count} {outcome}" for outcome, count in sorted(done["outcomes"].items())]
    report("; ".join(said) or "There was nobody.", done, json=json)


@app.command("log")
def log(
    context: typer.Context,
    id: RuleId,
    only: Annotated[int, typer.Option("--last", min=1, metavar="N", help="So many.")] = 100,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Show what a rule did, the newest first.

    \b
    croft messaging rule log 1
    """
    columns = {"AT": field("created_at"), "IDENTITY": field("identity"), "OUTCOME": field("outcome"),
               "SUBSCRIPTION": field("subscription")}  # fmt: skip
    list_at(context, f"rules/{id}/firings", namespace, columns, json=json, only=only)


@app.command("pause")
def pause(context: typer.Context, id: RuleId, namespace: Namespace = "", json: Json = False) -> None:
    """Let a rule do nothing for a while.

    \b
    croft messaging rule pause 1
    """
    _switch(context, id, namespace, active=False, json=json)


@app.command("resume")
def resume(context: typer.Context, id: RuleId, namespace: Namespace = "", json: Json = False) -> None:
    """Let a paused rule go on. What happened meanwhile is done by `apply`.

    \b
    croft messaging rule resume 1
    """
    _switch(context, id, namespace, active=True, json=json)


@app.command("remove")
def remove(context: typer.Context, id: RuleId, namespace: Namespace = "", json: Json = False) -> None:
    """Remove a rule; whom it has subscribed stays so.

    \b
    croft messaging rule remove 1
    """
    remove_at(context, f"{ROOT}rules/{id}/", namespace, f"Rule {id} is removed.", id, json=json)


def _switch(context: typer.Context, id: int, namespace: str, *, active: bool, json: bool) -> None:
    with connect(context) as server:
        changed = server.call("PATCH", f"{ROOT}rules/{id}/", where(namespace), {"active": active})
    report(f"Rule {id} is {'active' if active else 'paused'}.", changed, json=json)


def _show_tried(tried: dict[str, Any], *, json: bool) -> None:
    table(tried["results"], _TRIED, json=json)
    if tried["next"] and not json:
        note("There are more.")
    if tried["leads_back"] and not json:
        note("Whom it subscribes comes back to where it began; such a chain ends after ten rules.")


def _conditions(given: list[str]) -> dict[str, Any]:
    """Of a field that is named twice, either value will do."""
    conditions: dict[str, list[Any]] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise WrongUsage(f"{one!r} names no field and value", "such as --if city=Lagos")
        conditions.setdefault(name, []).append(_value(value))
    return dict(conditions)


def _value(text: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError):
        return text
