"""Paths of the API, and a word of its answers."""

from undercroft.app.cli.urls import path_of

UNDER_WAY = "under way"
"""The status of what takes longer than a request, and goes on by itself."""


def api(*segments: str) -> str:
    return "/api/v1.0" + path_of(*segments)
