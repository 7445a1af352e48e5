"""What keeps a storage from doing what it is asked for, beside OSError."""

import errno

_CUT = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)


class Vanished(Exception):
    """The root is not there, or not the one that it was; the message says so."""


class Changed(Exception):
    """Somebody else changed it meanwhile."""


class LeftAlone(OSError):
    """It is the server's own, or in a root of another's below this one: neither looked at nor changed, and not gone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.strerror = reason


class InTheWay(Exception):
    """There is a file where a folder has to be, or a folder with files where a file has to be."""


class SourceChanged(Exception):
    """The source no longer holds what was asked for."""


class SourceLost(SourceChanged):
    """The source can't be read at this moment; what has arrived of it is good."""


def is_cut(error: BaseException) -> bool:
    """Whether a line was, of the source or of the storage: what has arrived is good to be gone on with. What was
    refused would be refused again."""
    if isinstance(error, SourceLost | ConnectionError | TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno in _CUT
