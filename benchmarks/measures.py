"""What is measured, in plain values: rates, firings, and the report of a work with its ratios."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Rate:
    """So many jobs made durable in so many seconds, and the CPU seconds that it took."""

    done: int
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        return self.done / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU of the whole system per job, in µs."""
        return self.cpu / self.done * 1e6


@dataclass(frozen=True)
class Pairs:
    """Locks obtained and released: how long each pair took (ms), in so many seconds, and their CPU seconds."""

    took: list[float]
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        return len(self.took) / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu / len(self.took) * 1e6

    def percentile(self, percent: float) -> float:
        """The ms that this percentage of pairs stays under."""
        return sorted(self.took)[min(len(self.took) - 1, int(len(self.took) * percent / 100))]


@dataclass(frozen=True)
class Plan:
    """Jobs 0 … count-1: job n is due `spacing` ms after job n-1."""

    count: int
    spacing: int = 0

    @property
    def seconds(self) -> float:
        return self.count * self.spacing / 1000


@dataclass(frozen=True)
class Firing:
    """When the jobs of a plan arrived: `due` (of job 0) and arrivals in epoch ms, CPU in seconds."""

    plan: Plan
    due: float
    arrivals: list[tuple[int, float]]
    cpu: float

    @property
    def last(self) -> float:
        """ms from the first due moment until the last job had arrived."""
        return max(self._firsts().values()) - self.due

    @property
    def fires_per_second(self) -> float:
        return self.plan.count / self.last * 1000

    @property
    def lateness(self) -> list[float]:
        """ms of each job's first arrival behind its due moment, ascending; negative is early."""
        return sorted(at - self.due - n * self.plan.spacing for n, at in self._firsts().items())

    @property
    def early(self) -> int:
        return sum(late < 0 for late in self.lateness)

    @property
    def doubled(self) -> int:
        return sum(times - 1 for times in Counter(n for n, _ in self.arrivals).values())

    @property
    def cpu_us(self) -> float:
        return self.cpu / self.plan.count * 1e6

    def late(self, percent: float) -> float:
        """The lateness in ms that this percentage of jobs stays under."""
        ordered = self.lateness
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    def _firsts(self) -> dict[int, float]:
        return dict(reversed(self.arrivals))


@dataclass(frozen=True)
class Bound:
    """What a value is to reach."""

    limit: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:g}"


def at_least(limit: float) -> Bound:
    return Bound(limit)


def at_most(limit: float) -> Bound:
    return Bound(limit, at_most=True)


@dataclass(frozen=True)
class Figure:
    """One measure of one contestant: a value per round."""

    who: str
    what: str
    values: list[float]
    unit: str
    bound: Bound | None = None

    @property
    def median(self) -> float:
        return median(self.values)


@dataclass(frozen=True)
class Ratio:
    """One contestant's measure over another's, paired round by round so that slow drift cancels."""

    what: str
    over: str
    under: str
    values: list[float]
    bound: Bound | None = None

    @property
    def median(self) -> float:
        return median(self.values)


@dataclass
class Report:
    """What a work found."""

    work: str
    title: str
    figures: list[Figure] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, who: str, what: str, values: Iterable[float], unit: str, bound: Bound | None = None) -> None:
        self.figures.append(Figure(who, what, list(values), unit, bound))

    def compare(self, what: str, over: str, under: str, bound: Bound | None = None) -> None:
        """Adds the ratio of two figures; nothing when one of them has not been measured."""
        ours, theirs = self._values(what, over), self._values(what, under)
        if ours and theirs:
            pairs = [a / b for a, b in zip(ours, theirs, strict=False)]
            self.ratios.append(Ratio(what, over, under, pairs, bound))

    def _values(self, what: str, who: str) -> list[float]:
        return next((f.values for f in self.figures if (f.what, f.who) == (what, who)), [])
