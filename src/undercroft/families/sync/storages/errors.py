"""What keeps a storage from doing what it is asked for, beside OSError."""


class Vanished(Exception):
    """The root is not there, or not the one that it was; the message says so."""


class Changed(Exception):
    """Somebody else changed it meanwhile."""


class SourceChanged(Exception):
    """The source no longer holds what was asked for."""
