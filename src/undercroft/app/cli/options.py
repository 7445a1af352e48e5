"""Flags that many verbs share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the machine's form, and nothing else, on stdout.")]
Db = Annotated[str, typer.Option("--db", metavar="DB", help="The database of names that it lives in.")]
Collection = Annotated[str, typer.Option("--collection", "-c", metavar="NAME", help="The collection of jobs.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000, metavar="N", help="How many per page.")]
Everything = Annotated[bool, typer.Option("--all", help="Follow the pages to the end; --json: one item per line.")]
Profile = Annotated[str, typer.Option("--profile", metavar="NAME", help="The profile's name.")]
