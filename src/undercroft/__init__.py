"""One self-hosted server for what a team's apps need underneath them."""

__version__ = "0.1.0"
