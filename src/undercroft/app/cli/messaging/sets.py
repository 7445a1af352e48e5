"""`croft messaging set`, `say`, `upload`: what is said, in which order."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.messaging.asking import (
    ROOT,
    Namespace,
    Row,
    SetId,
    everything,
    field,
    remove_at,
    report,
    table,
    where,
)
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import print_json

app = typer.Typer(no_args_is_help=True, help="Message sets: series of messages, one after the other.")
Format = Annotated[str, typer.Option("--to", metavar="yaml|csv", help="The form of the file.")]


@app.command("add")
def add(  # noqa: PLR0913 - one argument per flag
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its short name.")],
    schedule: Annotated[int, typer.Option("--schedule", metavar="ID", help="The schedule that it usually goes by.")],
    channel: Annotated[str, typer.Option(metavar="CHANNEL", help="webhook:ROUTE, sender, mail or capture.")] = "",
    label: Annotated[str, typer.Option(metavar="TEXT", help="How people call it; the subject of its mails.")] = "",
    next_set: Annotated[int, typer.Option("--next", metavar="SET", help="The set that follows it.")] = 0,
    quiet: Annotated[str, typer.Option(metavar="FROM-UNTIL", help="Hours in which nothing is sent: 21:00-08:00.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing; everything else goes on.")] = False,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Make a message set.

    \b
    croft messaging set add welcome --schedule 1 --channel webhook:sms --quiet 21:00-08:00
    """
    body: dict[str, object] = {"short_name": name, "default_schedule": schedule, "label": label, "dry_run": dry_run}
    body |= {"channel": channel} if channel else {}
    body |= {"next_set": next_set} if next_set else {}
    if quiet:
        begin, _, end = quiet.partition("-")
        body |= {"quiet_from": begin, "quiet_until": end}
    with connect(context) as server:
        made = server.post(ROOT + "messageset/", body, where(namespace))
    report(f"Set {made['id']} is {name}.", made, json=json)


@app.command("list")
def list_sets(context: typer.Context, namespace: Namespace = "", json: Json = False) -> None:
    """Show the message sets, and the languages of each.

    \b
    croft messaging set list
    """
    with connect(context) as server:
        found = list(everything(server, ROOT + "messageset/", where(namespace)))
        languages = server.get(ROOT + "messageset_languages/", where(namespace))
    columns: dict[str, Row] = {
        "ID": field("id"),
        "NAME": field("short_name"),
        "SCHEDULE": field("default_schedule"),
        "CHANNEL": field("channel"),
        "NEXT": field("next_set"),
        "LANGUAGES": lambda one: " ".join(languages.get(str(one["id"]), [])),
    }
    table(found, columns, json=json)


@app.command("clone")
def clone(
    context: typer.Context,
    id: SetId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The short name of the new one.")],
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Make the same set again under another name, with all its messages.

    \b
    croft messaging set clone 1 welcome-2027
    """
    with connect(context) as server:
        made = server.post(f"{ROOT}messageset/{id}/clone", {"short_name": name}, where(namespace))
    report(f"Set {made['id']} is {name}, as set {id}.", made, json=json)


@app.command("export")
def export(
    context: typer.Context, id: SetId, to: Format = "yaml", namespace: Namespace = "", json: Json = False
) -> None:
    """Write a set on stdout, for version control or a spreadsheet.

    \b
    croft messaging set export 1 > welcome.yaml
    croft messaging set export 1 --to csv > welcome.csv
    """
    with connect(context) as server:
        written = server.text(f"{ROOT}messageset/{id}/export", where(namespace, to=to))
    if json:
        print_json({"file": written})
    else:
        sys.stdout.write(written)


@app.command("import")
def import_set(
    context: typer.Context,
    id: SetId,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="FILE.yaml or FILE.csv, as export writes it.")],
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Put a file's messages into a set: new ones are made, others get the file's words, none is taken out.

    \b
    croft messaging set import 1 welcome.yaml
    """
    kind = "csv" if file.suffix.lower() == ".csv" else "yaml"
    with connect(context) as server:
        done = server.post(f"{ROOT}messageset/{id}/import", _content(file), where(namespace, to=kind))
    report(f"Made {done['created']} messages, changed {done['changed']}.", done, json=json)


@app.command("remove")
def remove(context: typer.Context, id: SetId, namespace: Namespace = "", json: Json = False) -> None:
    """Remove a set that nobody is on, with its messages.

    \b
    croft messaging set remove 2
    """
    remove_at(context, f"{ROOT}messageset/{id}/", namespace, f"Set {id} is removed.", id, json=json)


def say(
    context: typer.Context,
    set_id: SetId,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="Its place in the set.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What it says.")],
    lang: Annotated[str, typer.Option(metavar="LANG", help="Its language, such as eng.")] = "eng",
    file: Annotated[int, typer.Option("--file", metavar="ID", help="A file that was uploaded before.")] = 0,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Add a message to a set.

    \b
    croft messaging say 1 1 "Welcome! Stop: {{opt_out_url}}"
    croft messaging say 1 1 "Bienvenue !" --lang fra
    """
    body = {"messageset": set_id, "sequence_number": number, "lang": lang, "text_content": text}
    with connect(context) as server:
        made = server.post(ROOT + "message/", body | ({"binary_content": file} if file else {}), where(namespace))
    report(f"Message {number} of set {set_id} in {lang}.", made, json=json)


def upload(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A picture or a sound that messages bring.")],
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Upload a file for messages.

    \b
    croft messaging upload day1.mp3
    """
    boundary = b"croft-" + file.name.encode("utf-8", "surrogateescape").hex().encode()[:40]
    name = file.name.replace('"', "'").replace("\\", "/").encode("utf-8", "replace")
    head = b'--%b\r\nContent-Disposition: form-data; name="content"; filename="%b"\r\n\r\n' % (boundary, name)
    body = head + _content(file) + b"\r\n--%b--\r\n" % boundary
    with connect(context) as server:
        kind = f"multipart/form-data; boundary={boundary.decode()}"
        made = server.post(ROOT + "binarycontent/", body, where(namespace), content_type=kind)
    report(f"File {made['id']}: {made['content']}", made, json=json)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise WrongUsage(f"{file} can't be read: {error.strerror}", "name another file") from None
