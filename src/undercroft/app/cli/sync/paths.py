"""Paths of the API."""

from undercroft.app.cli.urls import path_of


def api(*segments: str) -> str:
    return "/api/v1.0" + path_of(*segments)
