from __future__ import annotations

from collections.abc import Sequence

import pytest

from orchestrator.planning.relay_hosts import GiveUp, Listen, Look, Say, Standing, Step, Take
from orchestrator.planning.relay_topology import topology_of
from orchestrator.planning.relaying import FEEDS, GRACE_S, OPENING_S, SILENCE_S, Relaying

TOTAL = 10_000_000


class Story:
    """A fan-out told step by step; `now_s` moves only when the test says so."""

    def __init__(self, names: str | Sequence[str] = "abcd", *, degree: int = 1) -> None:
        self.relaying = Relaying(list(names), degree=degree, now_s=0.0)
        self.now_s = 0.0
        self.steps: list[Step] = []

    def ready(
        self, names: str | Sequence[str], *, held: int = 0, serves: bool = True, filesystem: str | None = None
    ) -> list[Step]:
        return self._note(
            [
                step
                for name in names
                for step in self.relaying.ready(
                    name,
                    held_bytes=held,
                    total_bytes=TOTAL,
                    serves=serves,
                    filesystem=filesystem,
                    now_s=self.now_s,
                )
            ]
        )

    def at(self, **held: int) -> None:
        for name, held_bytes in held.items():
            self.relaying.at(name, held_bytes, self.now_s)

    def whole(self, *names: str) -> list[Step]:
        return self._note([step for name in names for step in self.relaying.whole(name, self.now_s)])

    def lost(self, name: str, reason: str = "closed", *, attempt: int | None = None) -> list[Step]:
        number = self.relaying.hosts[name].attempt if attempt is None else attempt
        return self._note(self.relaying.lost(name, number, reason, f"{reason}!", self.now_s))

    def failed(self, name: str) -> list[Step]:
        return self._note(self.relaying.failed(name, self.now_s))

    def later(self, seconds: float, *, alive: str = "") -> list[Step]:
        self.now_s += seconds
        self.at(**{name: self.relaying.hosts[name].held_bytes for name in alive})
        return self._note(self.relaying.tick(self.now_s))

    def run(self, seconds: float, **rates: float) -> list[Step]:
        """Let hosts take at rates (bytes per second) for some time, telling five times a second."""
        steps: list[Step] = []
        for _ in range(round(seconds * 5)):
            self.now_s += 0.2
            for name, host in self.relaying.hosts.items():
                grown = host.held_bytes + round(rates.get(name, 0.0) * 0.2)
                self.relaying.at(name, min(grown, TOTAL), self.now_s)
            steps += self._note(self.relaying.tick(self.now_s))
        return steps

    @property
    def is_over(self) -> bool:
        return all(host.is_over for host in self.relaying.hosts.values())

    @property
    def parents(self) -> dict[str, str | None]:
        return {name: host.parent for name, host in self.relaying.hosts.items() if host.attempt}

    def _note(self, steps: list[Step]) -> list[Step]:
        self.steps += steps
        return steps


def takes(steps: Sequence[Step]) -> dict[str, str | None]:
    return {step.host: step.parent for step in steps if isinstance(step, Take)}


def test_nothing_begins_before_every_host_has_said_what_it_holds() -> None:
    story = Story()
    assert story.ready("abc") == []
    assert takes(story.ready("d")) == {"a": None, "b": "a", "c": "b", "d": "c"}


def test_a_host_that_cannot_be_connected_to_is_left_out_of_the_chain() -> None:
    story = Story()
    story.ready("acd")
    assert takes(story.failed("b")) == {"a": None, "c": "a", "d": "c"}


def test_hosts_that_come_late_are_waited_for_a_moment_and_then_join_at_the_end() -> None:
    story = Story()
    story.ready("abc")
    assert story.later(GRACE_S) == []
    assert takes(story.later(0.1, alive="abc")) == {"a": None, "b": "a", "c": "b"}
    assert takes(story.ready("d")) == {"d": "c"}


def test_a_late_host_in_a_finished_fan_out_takes_from_a_host_and_not_from_the_controller() -> None:
    story = Story("abc")
    story.ready("ab")
    story.later(GRACE_S + 0.1)
    story.whole("a", "b")
    assert takes(story.ready("c")) == {"c": "b"}
    assert not story.is_over
    story.whole("c")
    assert story.is_over


def test_the_child_of_a_dead_relay_takes_from_its_grandparent() -> None:
    story = Story()
    story.ready("abcd")
    assert takes(story.failed("b")) == {"c": "a"}
    assert story.relaying.hosts["b"].standing is Standing.FAILED


def test_the_child_of_a_dead_head_takes_from_the_controller() -> None:
    story = Story()
    story.ready("abcd")
    assert takes(story.failed("a")) == {"b": None}


def test_a_child_that_lost_its_parent_moves_before_the_controller_knows_why() -> None:
    story = Story()
    story.ready("abcd")
    assert takes(story.lost("c", "silent")) == {"c": "a"}
    assert takes(story.failed("b")) == {}


def test_word_of_an_older_source_changes_nothing() -> None:
    story = Story()
    story.ready("abcd")
    story.lost("c")
    assert story.lost("c", attempt=1) == []
    assert story.parents["c"] == "a"


def test_when_two_neighbours_die_the_one_behind_them_finds_the_first_living_ancestor() -> None:
    story = Story("abcde")
    story.ready("abcde")
    story.failed("c")
    story.failed("b")
    assert story.parents["d"] == "a"
    assert story.parents["e"] == "d"


def test_the_two_children_of_a_dead_head_do_not_both_burden_the_controller() -> None:
    story = Story("abcdefg", degree=2)
    story.ready("abcdefg")
    moved = takes(story.failed("a"))
    assert sorted(moved) == ["b", "e"]
    assert [host for host, parent in moved.items() if parent is None] == ["b"]
    assert moved["e"] in {"c", "d"}


def test_no_host_is_ever_asked_to_take_from_one_that_takes_from_it() -> None:
    story = Story("abcdef")
    story.ready("abcdef")
    for name in "bcd":
        story.lost(name, "refused")
    for name in "abcdef":
        above, seen = name, set()
        while above is not None:
            assert above not in seen
            seen.add(above)
            above = story.relaying.hosts[above].parent  # type: ignore[assignment]


def test_where_no_host_reaches_another_all_take_from_the_controller_and_not_all_try_twice() -> None:
    story = Story()
    story.ready("abcd")
    for name in "bcdc":
        story.lost(name, "refused")
    assert story.parents == dict.fromkeys("abcd")
    assert story.relaying.hosts["c"].attempt == 3
    assert story.relaying.hosts["d"].attempt == 2
    story.whole("a", "b", "c", "d")
    assert story.relaying.fallen_back == {"b": "refused!", "c": "refused!", "d": "refused!"}


def test_hosts_that_cannot_be_connected_to_take_but_serve_nobody() -> None:
    story = Story()
    story.ready("ac", serves=False)
    assert takes(story.ready("bd")) == {"b": None, "d": "b", "a": "d", "c": "b"}


def test_a_host_that_waits_for_another_on_its_file_system_serves_nobody() -> None:
    story = Story("abc")
    story.ready("abc", filesystem="home")
    assert takes(story.failed("a")) == {"b": None}


def test_a_trial_whose_head_has_moved_below_the_second_makes_no_ring() -> None:
    story = Story("abc")
    story.ready("abc")
    story.run(2.4, a=1e5, b=1e5, c=1e5)
    assert story.parents["b"] is None
    story.relaying.hosts["a"].parent = "b"
    story.run(3, a=0.5e5, b=0.5e5, c=0.5e5)
    assert story.parents["b"] != "a"


def test_where_others_reach_each_other_a_host_tries_a_second_one_first() -> None:
    story = Story()
    story.ready("abcd")
    story.at(b=1)
    assert takes(story.lost("d", "unreachable")) == {"d": "b"}
    assert takes(story.lost("d", "unreachable")) == {"d": None}


def test_a_host_that_takes_from_the_controller_because_its_parent_died_has_not_fallen_back() -> None:
    story = Story()
    story.ready("abcd")
    story.failed("a")
    story.whole("b", "c", "d")
    assert story.relaying.fallen_back == {}


def test_a_parent_that_sent_wrong_bytes_serves_nobody_any_more_and_is_named() -> None:
    story = Story("abcdefg", degree=2)
    story.ready("abcdefg")
    steps = story.lost("c", "wrong-bytes")
    assert set(takes(steps)) == {"c", "d"}
    assert "b" not in takes(steps).values()
    (said,) = [step for step in steps if isinstance(step, Say)]
    assert said.text.startswith("b sent c wrong bytes")
    assert story.relaying.hosts["b"].is_shunned


def test_a_file_that_changes_under_the_controllers_hands_ends_who_takes_from_it() -> None:
    story = Story("ab")
    story.ready("ab")
    (step,) = story.lost("a", "wrong-bytes")
    assert isinstance(step, GiveUp)
    assert "changed" in step.reason


def test_a_silent_host_is_given_up() -> None:
    story = Story("ab")
    story.ready("ab")
    for _ in range(round(SILENCE_S)):
        assert not [step for step in story.later(1, alive="b") if isinstance(step, GiveUp)]
    (step,) = [step for step in story.later(0.1, alive="b") if isinstance(step, GiveUp)]
    assert step.host == "a"


def test_nobody_is_given_up_for_what_was_not_heard_while_this_machine_slept() -> None:
    story = Story("ab")
    story.ready("ab")
    story.later(0.5)
    assert story.later(3600) == []
    assert [step for step in story.later(0.5) if isinstance(step, GiveUp)] == []
    for _ in range(40):
        story.later(0.25)
    assert {step.host for step in story.steps if isinstance(step, GiveUp)} == {"a", "b"}


def test_a_host_may_take_long_to_look_at_what_it_has() -> None:
    story = Story("ab")
    for _ in range(round(OPENING_S)):
        assert story.later(1) == []
    assert {step.host for step in story.later(1) if isinstance(step, GiveUp)} == {"a", "b"}


def test_a_host_that_has_said_nothing_for_three_seconds_is_nobodys_new_parent() -> None:
    story = Story("abc")
    story.ready("abc")
    story.now_s = 4.0
    story.at(b=7, c=7)
    assert takes(story.lost("c")) == {"c": None}


def test_hosts_that_hold_everything_serve_and_the_controller_sends_nothing() -> None:
    story = Story()
    story.ready("b", held=TOTAL, serves=False)
    asked = story.ready("acd")
    assert asked == [Listen(host="b")]
    assert takes(story.ready("b", held=TOTAL)) == {"a": "b", "c": "a", "d": "c"}


def test_a_seed_that_cannot_listen_is_not_waited_for_long() -> None:
    story = Story("ab")
    story.ready("a", held=TOTAL, serves=False)
    assert story.ready("b") == [Listen(host="a")]
    assert takes(story.later(GRACE_S + 0.1)) == {"b": None}


def test_when_every_host_holds_everything_it_is_over_at_once() -> None:
    story = Story()
    assert story.ready("abcd", held=TOTAL, serves=False) == []
    assert story.is_over


def test_hosts_that_share_a_file_system_take_once_and_then_look() -> None:
    story = Story()
    story.ready("ab", filesystem="home")
    assert takes(story.ready("cd")) == {"a": None, "c": "a", "d": "c"}
    assert story.whole("a") == [Look(host="b")]
    story.ready("b", held=TOTAL, serves=False)
    assert story.relaying.hosts["b"].standing is Standing.WHOLE
    assert story.relaying.hosts["b"].kept_bytes == TOTAL


def test_when_the_one_that_takes_for_a_shared_file_system_dies_another_goes_on() -> None:
    story = Story()
    story.ready("ab", filesystem="home")
    story.ready("cd")
    assert takes(story.failed("a"))["b"] in {None, "d"}
    assert story.relaying.hosts["b"].standing is Standing.TAKING


def test_a_host_that_only_seems_to_share_a_file_system_takes_for_itself() -> None:
    story = Story("ab")
    story.ready("ab", filesystem="cloned-image")
    story.whole("a")
    assert takes(story.ready("b", filesystem="cloned-image")) == {"b": "a"}


def test_a_star_sends_to_a_few_hosts_at_a_time() -> None:
    names = [f"n{number}" for number in range(FEEDS + 3)]
    story = Story(names, degree=0)
    assert len(takes(story.ready(names))) == FEEDS
    assert takes(story.whole(names[0])) == {names[FEEDS]: None}
    assert takes(story.failed(names[1])) == {names[FEEDS + 1]: None}


def test_nobody_waits_for_a_slow_host() -> None:
    story = Story()
    story.ready("abcd")
    steps = story.run(2.4, a=2e6, b=1e5, c=1e5, d=1e5)
    assert takes(steps) == {"c": "a"}
    assert takes(story.run(3, a=2e6, b=1e5, c=2e6, d=2e6)) == {}
    assert story.relaying.hosts["b"].is_shunned
    assert story.parents == {"a": None, "b": "a", "c": "a", "d": "c"}


def test_a_host_that_was_done_before_its_rate_was_known_still_shows_who_is_slow() -> None:
    story = Story()
    story.ready("abcd")
    story.run(1.6, a=6e6, b=0.1e6, c=0.1e6, d=0.1e6)
    story.whole("a")
    assert takes(story.run(1, b=0.1e6, c=0.1e6, d=0.1e6)) == {"c": "a"}


def test_hosts_at_one_pace_stay_where_they_are() -> None:
    story = Story()
    story.ready("abcd")
    assert story.run(4, a=2e6, b=1.9e6, c=2e6, d=1.8e6) == []


def test_a_parent_that_sends_slowly_is_found_by_its_second_slow_child() -> None:
    story = Story("abcde")
    story.ready("abcde")
    story.run(2.4, a=2e6, b=2e6, c=1e5, d=1e5, e=1e5)
    assert story.parents["d"] == "b"
    story.run(2.4, a=1.5e6, b=1.5e6, c=1e5, d=1e5, e=1e5)
    assert [step.text.split()[0] for step in story.steps if isinstance(step, Say)] == ["c", "d"]
    assert story.parents["d"] != "b"


def test_a_host_that_only_seemed_slow_serves_again_and_leaves_its_crowded_parent() -> None:
    story = Story()
    story.ready("abcd")
    story.run(2.4, a=1e6, b=0.1e6, c=0.1e6, d=0.1e6)
    assert story.parents["c"] == "a"
    steps = story.run(3, a=1e6, b=0.8e6, c=0.9e6, d=0.9e6)
    assert not story.relaying.hosts["b"].is_slow
    assert takes(steps) == {"b": "d"}


def test_nobody_is_called_slow_while_this_machine_is_too_busy_to_listen() -> None:
    story = Story()
    story.ready("abcd")
    story.run(2, a=2e6, b=0.1e6, c=0.1e6, d=0.1e6)
    story.now_s += 1.5
    assert story.run(1, a=2e6, b=0.1e6, c=0.1e6, d=0.1e6) == []


def test_a_slow_head_is_found_by_sending_to_a_second_host_for_a_moment() -> None:
    story = Story()
    story.ready("abcd")
    steps = story.run(2.4, a=1e5, b=1e5, c=1e5, d=1e5)
    assert takes(steps) == {"b": None}
    steps = story.run(3, a=1e5, b=2e6, c=2e6, d=2e6)
    assert [step.text for step in steps if isinstance(step, Say)] == ["a is slow (0.1 MB/s): nobody waits for it"]
    assert story.parents == {"a": None, "b": None, "c": "b", "d": "c"}


def test_a_trial_that_shows_that_the_link_is_slow_is_undone() -> None:
    story = Story()
    story.ready("abcd")
    story.run(2.4, a=1e5, b=1e5, c=1e5, d=1e5)
    steps = story.run(3, a=0.5e5, b=0.5e5, c=0.5e5, d=0.5e5)
    assert takes(steps)["b"] == "a"
    assert not any(host.is_shunned for host in story.relaying.hosts.values())


def test_a_short_transfer_is_not_disturbed_by_trials() -> None:
    story = Story()
    story.ready("abcd")
    assert story.run(4, a=2e6, b=2e6, c=2e6, d=2e6) == []


def test_the_topology_leaves_out_who_failed_and_who_lacked_nothing() -> None:
    story = Story()
    story.ready("a", held=TOTAL, serves=False)
    story.ready("bcd")
    story.ready("a", held=TOTAL)
    story.failed("c")
    assert topology_of(story.relaying.hosts).parents == {"b": "a", "d": "b"}


@pytest.mark.parametrize("order", ["abcd", "dcba", "cadb"])
def test_the_order_in_which_hosts_are_ready_does_not_change_the_plan(order: str) -> None:
    story = Story()
    story.ready(order)
    assert story.parents == {"a": None, "b": "a", "c": "b", "d": "c"}
