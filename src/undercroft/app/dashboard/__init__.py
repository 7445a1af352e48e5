"""The pages for people: an overview of what happens, and the docs. Its only door."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from undercroft.app.dashboard.assets import Assets
from undercroft.app.dashboard.docs import Docs
from undercroft.app.dashboard.documents import HOUSE
from undercroft.app.dashboard.files import PAGE as FILES
from undercroft.app.dashboard.files import Files
from undercroft.app.dashboard.mails import Mails, Post
from undercroft.app.dashboard.messages import Messages
from undercroft.app.dashboard.pages import Pages, ServedFamily, refuse
from undercroft.app.dashboard.rendering import Rendering
from undercroft.base.refusals import Kind
from undercroft.database import Database
from undercroft.families.messaging import Ways
from undercroft.families.sync import Window
from undercroft.machinery.family import Family
from undercroft.machinery.guide import Guide
from undercroft.machinery.identity.gate import Gate
from undercroft.machinery.operations import Operation

NAME = "dashboard"


def dashboard(  # noqa: PLR0913 - all that pages show
    database: Database,
    gate: Gate,
    families: Sequence[Family],
    house: Guide,
    document: Callable[[], Mapping[str, Any]],
    statuses: Mapping[Kind, int],
    node: str,
    post: Post,
    ways: Ways,
    sync: Window,
) -> Family:
    """The pages, as a family of their own: they share the house's paths and word refusals as pages.

    `house`: what the docs say of the house itself; `document`: the OpenAPI document; `statuses`: what a refusal is in
    HTTP; `post`: what sends e-mails; `ways`: those on which messages leave; `sync`: what is seen and done of it.
    """
    assets = Assets()
    rendering = Rendering(assets)
    served = [ServedFamily(one.name, one.guide.about, one.prefixes, one.hooks.replay) for one in families]
    pages = Pages(database, gate, rendering, served, node)
    docs = Docs(rendering, document, {HOUSE: house, **{one.name: one.guide for one in families}})
    return Family(
        NAME,
        [
            *_pages(pages),
            *_mails(Mails(database, rendering, post)),
            *_messages(Messages(database, rendering, ways)),
            *_files(Files(rendering, sync)),
            *_docs(docs, assets),
        ],
        partial(refuse, rendering, statuses),
        prefixes=("", "signin", "signout", "docs", "assets", "dashboard"),
    )


def _pages(pages: Pages) -> list[Operation]:
    return [
        Operation("GET", "/", pages.home, "What happens", "look"),
        Operation("GET", "/dashboard/delivery/{id}", pages.delivery, "One delivery", "look"),
        Operation("POST", "/dashboard/replay", pages.replay, "Replay a dead letter", "replay"),
        Operation("POST", "/dashboard/resume", pages.resume, "Resume what is paused", "resume"),
        Operation("GET", "/signin", pages.go_home, "The way in", "look"),
        Operation("POST", "/signin", pages.sign_in, "Sign in", "sign in"),
        Operation("POST", "/signout", pages.sign_out, "Sign out", "sign out"),
    ]


def _mails(mails: Mails) -> list[Operation]:
    one = "/dashboard/mails/{id}"
    return [
        Operation("GET", "/dashboard/mails", mails.list_page, "E-mails", "look"),
        Operation("GET", one, mails.show, "One e-mail", "look"),
        Operation("GET", one + "/html", mails.html, "Its HTML, shut in", "look"),
        Operation("GET", one + "/source", mails.source, "Its source", "look"),
        Operation("GET", one + "/attachments/{number}", mails.attachment, "One of its attachments", "look"),
    ]


def _messages(messages: Messages) -> list[Operation]:
    page = "/dashboard/messages"
    return [
        Operation("GET", page, messages.show, "Sends of messages, and what failed", "look"),
        Operation("POST", page + "/replay", messages.replay, "Try a message again that failed", "replay"),
    ]


def _files(files: Files) -> list[Operation]:
    one = FILES + "/{fid}"
    return [
        Operation("GET", FILES, files.show, "Entries and files of sync", "look"),
        Operation("GET", one, files.file, "One file, and what is kept of it", "look"),
        Operation("GET", one + "/content", files.content, "Its content", "look"),
        Operation("POST", one + "/restore", files.restore, "Put a kept version back", "restore files"),
        Operation("POST", FILES + "/entries", files.do, "Start, stop or rescan an entry, or settle its deletions",
                  "run entries"),
    ]  # fmt: skip


def _docs(docs: Docs, assets: Assets) -> list[Operation]:
    return [
        Operation("GET", "/docs", docs.docs, "The docs", "read docs", also_anonymous="docs"),
        Operation("GET", "/assets/{name}", assets.fetch, "What pages load", "read docs", also_anonymous="docs"),
    ]


__all__ = ["NAME", "Post", "dashboard"]
