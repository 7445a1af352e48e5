"""`croft user`, `croft team`, `croft key`: who may come in, over HTTP like everybody else."""

from undercroft.app.cli.accounts.keys import app as keys
from undercroft.app.cli.accounts.teams import app as teams
from undercroft.app.cli.accounts.users import app as users

__all__ = ["keys", "teams", "users"]
