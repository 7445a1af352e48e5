"""The three ways in which a verb fails."""


class Failure(Exception):
    """Ends a verb. `hint` says what to do; `exit_code` is stable.

    Failure
    ├── Refused        1   the server said no
    ├── WrongUsage     2   flags, files or settings are wrong
    └── NotReachable   3   no server, or none of ours, at that URL
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Refused(Failure):
    """`status` and `code` are the answer's; `code` is "" where it had none."""

    def __init__(self, message: str, hint: str = "", *, status: int = 0, code: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code

    def __str__(self) -> str:
        return f"{self.message} ({self.code})" if self.code else self.message


class WrongUsage(Failure):
    exit_code = 2


class NotReachable(Failure):
    exit_code = 3
