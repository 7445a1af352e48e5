"""The pages for people: an overview of what happens, and the docs. Its only door."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from undercroft.app.dashboard.assets import Assets
from undercroft.app.dashboard.docs import Docs
from undercroft.app.dashboard.guide import Example, Guide
from undercroft.app.dashboard.pages import Pages, ServedFamily, refuse
from undercroft.app.dashboard.rendering import Rendering
from undercroft.base.refusals import Kind
from undercroft.database import Database
from undercroft.machinery.family import Family
from undercroft.machinery.identity.gate import Gate
from undercroft.machinery.operations import Access, Operation

NAME = "dashboard"


def dashboard(
    database: Database,
    gate: Gate,
    families: Sequence[Family],
    guides: Mapping[str, Guide],
    document: Callable[[], Mapping[str, Any]],
    statuses: Mapping[Kind, int],
    node: str,
) -> Family:
    """The pages, as a family of their own: they share the house's paths and word refusals as pages.

    `guides`: family → what its docs say; `document`: the OpenAPI document; `statuses`: what a refusal is in HTTP.
    """
    assets = Assets()
    rendering = Rendering(assets)
    served = [ServedFamily(one.name, guides.get(one.name, Guide()).about, one.prefixes) for one in families]
    pages = Pages(database, gate, rendering, served, node)
    docs = Docs(rendering, document, guides)
    return Family(
        NAME,
        [*_pages(pages), *_docs(docs, assets)],
        partial(refuse, rendering, statuses),
        prefixes=("", "signin", "signout", "docs", "assets", "dashboard"),
    )


def _pages(pages: Pages) -> list[Operation]:
    return [
        Operation("GET", "/", pages.home, "What happens", Access.PAGE),
        Operation("GET", "/dashboard/delivery/{id}", pages.delivery, "One delivery", Access.PAGE),
        Operation("POST", "/dashboard/replay", pages.replay, "Replay a dead letter", Access.PAGE),
        Operation("POST", "/dashboard/resume", pages.resume, "Resume what is paused", Access.PAGE),
        Operation("GET", "/signin", pages.go_home, "The way in", Access.PAGE),
        Operation("POST", "/signin", pages.sign_in, "Sign in", Access.PUBLIC),
        Operation("POST", "/signout", pages.sign_out, "Sign out", Access.PUBLIC),
    ]


def _docs(docs: Docs, assets: Assets) -> list[Operation]:
    return [
        Operation("GET", "/docs", docs.docs, "The docs", Access.PAGE, also_anonymous="docs"),
        Operation("GET", "/assets/{name}", assets.fetch, "What pages load", Access.PAGE, also_anonymous="docs"),
    ]


__all__ = ["NAME", "Example", "Guide", "dashboard"]
