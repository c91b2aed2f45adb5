import pytest

from vitrail.core.clock import Clock, Left
from vitrail.core.progress import Silent, phase, running


class Time:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def clock(time: Time) -> Clock:
    return Clock(now=time)


def go(clock: Clock, time: Time, name, seconds: float) -> None:
    with phase(clock, name):
        time.seconds += seconds


def test_phases_and_the_time_between_them_add_up_to_the_total(clock: Clock, time: Time):
    go(clock, time, "reading", 2.0)
    time.seconds += 0.5
    go(clock, time, "search", 3.0)
    go(clock, time, "search", 4.0)
    assert clock.parts() == {"reading": 2.0, "search": 7.0}
    assert clock.wall_s == 9.5


def test_a_phase_within_another_is_part_of_it(clock: Clock, time: Time):
    with phase(clock, "checks"):
        time.seconds += 1
        go(clock, time, "features", 5.0)
    assert clock.parts() == {"checks": 6.0}


def test_a_phase_that_fails_ends_too(clock: Clock, time: Time):
    def fail() -> None:
        time.seconds += 1
        raise OSError("full")

    with pytest.raises(OSError, match="full"), phase(clock, "page"):
        fail()
    assert clock.parts() == {"page": 1.0}


def test_everything_is_passed_on():
    class Recorded(Silent):
        def __init__(self) -> None:
            self.calls: list[object] = []

        def start(self, task: str, *, total: int | None, unit: str) -> None:
            self.calls.append(("start", task, total, unit))

        def advance(self, task: str, amount: int = 1) -> None:
            self.calls.append(("advance", task, amount))

        def note(self, message: str) -> None:
            self.calls.append(message)

        def done(self, task: str) -> None:
            self.calls.append(("done", task))

        def expect(self, phase: str, times: int) -> None:
            self.calls.append(("expect", phase, times))

        def enter(self, phase: str) -> None:
            self.calls.append(("enter", phase))

        def leave(self) -> None:
            self.calls.append("leave")

    recorded = Recorded()
    clock = Clock(recorded)
    clock.expect("search", 2)
    with phase(clock, "search"), running(clock, "heads", total=3, unit="heads"):
        clock.advance("heads", 2)
        clock.note("halfway")
    assert recorded.calls == [
        ("expect", "search", 2),
        ("enter", "search"),
        ("start", "heads", 3, "heads"),
        ("advance", "heads", 2),
        "halfway",
        ("done", "heads"),
        "leave",
    ]


def test_a_run_without_announced_phases_has_no_time_left(clock: Clock, time: Time):
    go(clock, time, "reading", 2.0)
    assert clock.left() is None


def test_a_phase_without_ground_for_an_estimate_is_named(clock: Clock, time: Time):
    clock.expect("features", 1)
    clock.expect("search", 2)
    assert clock.left() == Left(0.0, ("features", "search"))
    clock.enter("features")
    clock.start("a", total=100, unit="images")
    time.seconds += 0.5
    clock.advance("a", 1)
    assert clock.left() == Left(0.0, ("features", "search"))  # half a second says nothing


def test_features_take_as_long_as_the_slowest_network_still_needs(clock: Clock, time: Time):
    clock.expect("features", 1)
    with phase(clock, "features"), running(clock, "a", total=100, unit=""), running(clock, "b", total=200, unit=""):
        time.seconds += 10
        clock.advance("a", 50)
        clock.advance("b", 50)
        assert clock.left() == Left(30.0, ())
    assert clock.left() == Left(0.0, ())


def test_a_phase_of_each_backbone_takes_as_long_as_it_did_for_those_before(clock: Clock, time: Time):
    clock.expect("search", 3)
    go(clock, time, "search", 8.0)
    assert clock.left() == Left(16.0, ())
    with phase(clock, "search"):
        time.seconds += 3
        assert clock.left() == Left(13.0, ())
        time.seconds += 20
        assert clock.left() == Left(0.0, ())
    time.seconds += 1
    assert clock.left() == Left(15.5, ())


def test_features_that_are_all_stored_are_over_once_a_search_begins(clock: Clock, time: Time):
    clock.expect("features", 1)
    clock.expect("search", 1)
    assert clock.left() == Left(0.0, ("features", "search"))
    with phase(clock, "search"):
        assert clock.left() == Left(0.0, ("search",))
    assert clock.left() == Left(0.0, ())


def test_what_was_noted_before_is_not_noted_again():
    class Notes(Silent):
        lines: tuple[str, ...] = ()

        def note(self, message: str) -> None:
            self.lines += (message,)

    notes = Notes()
    clock = Clock(notes)
    for message in ("first", "second", "first"):
        clock.note(message)
    assert notes.lines == ("first", "second")
