"""What keeps a storage from doing what it is asked for, beside OSError."""


class Vanished(Exception):
    """The root is not there, or not the one that it was; the message says so."""


class Changed(Exception):
    """Somebody else changed it meanwhile."""


class InTheWay(Exception):
    """There is a file where a folder has to be, or a folder with files where a file has to be."""


class SourceChanged(Exception):
    """The source no longer holds what was asked for."""


class SourceLost(SourceChanged):
    """The source can't be read at this moment; what has arrived of it is good."""
