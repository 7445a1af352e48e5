"""Room for large bodies, which are held in memory while they are read and answered."""

# So many of the largest at once, over all connections: what comes beyond is told to wait.
LARGEST_AT_ONCE = 8


class LargeBodies:
    """Of all connections of a server, in bytes."""

    def __init__(self, largest: int) -> None:
        self.most = LARGEST_AT_ONCE * largest
        self.bytes = 0


class Held:
    """Of one connection, in bytes."""

    def __init__(self, bodies: LargeBodies) -> None:
        self._bodies = bodies
        self.bytes = 0

    def hold(self, size: int) -> bool:
        """Whether there is room for so many more."""
        if self._bodies.bytes + size > self._bodies.most:
            return False
        self._bodies.bytes += size
        self.bytes += size
        return True

    def let_go(self, size: int) -> None:
        self._bodies.bytes -= size
        self.bytes -= size
