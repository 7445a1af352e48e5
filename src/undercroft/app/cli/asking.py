"""Passwords: asked for without echo on a terminal, else read from stdin, a line each; never an argument."""

import sys

import typer

from undercroft.app.cli.failures import WrongUsage


def asked_password(prompt: str = "Password") -> str:
    """Raises WrongUsage for none."""
    text = str(typer.prompt(prompt, hide_input=True, err=True)) if sys.stdin.isatty() else _line()
    if not text:
        raise WrongUsage("no password given", "type it, or pipe it in: one line for each that is asked for")
    return text


def new_password() -> str:
    """On a terminal it is asked for twice. Raises WrongUsage."""
    if not sys.stdin.isatty():
        return asked_password()
    return str(typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True))


def _line() -> str:
    return sys.stdin.readline().rstrip("\r\n")
