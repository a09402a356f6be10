"""Decides, while files are relayed, who takes from whom: at the start, and whenever a host comes late, fails or lags.

No I/O and no clock: what happened comes in with its time, the steps to take come out.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.planning.fanout import make_topology
from orchestrator.planning.relay_hosts import WINDOW_S, GiveUp, Listen, Look, RelayHost, Say, Standing, Step, Take
from orchestrator.planning.relay_parents import choose_parent, crowding_hosts
from orchestrator.planning.relay_slowness import HeadTrial, best_rate, plan_trial, recovered_hosts, slow_hosts

GRACE_S = 2.0
"""How long those that are ready wait for the others before they begin; who comes later joins at the end."""
OPENING_S = 120.0
"""To look at what is there: digests of all that an earlier run left."""
SILENCE_S = 9.0
"""Hosts give a sign of life every second."""
FEEDS = 16
"""Hosts that the controller sends to at once, at most; the others wait for their turn."""
_LATE_S = 1.0
"""When a tick comes so late, this machine was too busy to listen: it knows no rates, and not who was silent."""
_SHORTEST_S = 0.5
"""What took less time says nothing of rates."""
_UNREACHED = ("refused", "unreachable", "stranger", "silent")
"""Reasons that speak of the way between two hosts, or of a host that is dead."""
_MOST_UNREACHED = 2
"""So many others a host tries before it takes from the controller."""
_HOPELESS = 3
"""After so many failures between hosts without one success, nobody tries a second time."""


class Relaying:
    """One cargo on its way to the hosts. Not safe to use from several threads."""

    def __init__(self, hosts: Sequence[str], *, degree: int, now_s: float) -> None:
        """Take the hosts, in the order of the chain, and how many others each may serve; 0 makes a star."""
        self.hosts = {name: RelayHost(name=name, heard_s=now_s) for name in hosts}
        """What is known of each host, to read only."""
        self.best_rate = 0.0
        """The best that any host took at for two seconds, or until it was whole, in bytes per second."""
        self._degree = degree
        self._seeds: dict[str, float] | None = None
        self._first_ready_s: float | None = None
        self._has_begun = False
        self._have_peers_worked = False
        self._unreached: dict[str, str] = {}
        self._ticked_s = self._blind_until_s = now_s
        self._trial: HeadTrial | None = None
        self._tried: set[str] = set()
        self._steps: list[Step] = []

    @property
    def fallen_back(self) -> dict[str, str]:
        """Hosts that got their files from the controller, though others lived that could have served → why not."""
        return {name: why for name, why in self._unreached.items() if self._has_fallen_back(self.hosts[name])}

    def ready(
        self, name: str, *, held_bytes: int, total_bytes: int, serves: bool, filesystem: str | None, now_s: float
    ) -> list[Step]:
        """Take what a host says it holds, at first and again when it was told to look or to listen."""
        host = self._heard(name, now_s)
        host.total_bytes, host.serves = total_bytes, serves
        host.mark(held_bytes, now_s)
        if self._first_ready_s is None:
            self._first_ready_s = now_s
        if not host.attempt:
            host.kept_bytes = held_bytes
        if held_bytes == total_bytes:
            host.filesystem = filesystem
            self._complete(host, now_s)
        elif host.standing is Standing.OPENING:
            host.filesystem = filesystem
            self._share_or_wait(host, now_s)
        elif host.standing is Standing.SHARING:
            host.filesystem = None  # it was told to look, and does not see what the other one has
            self._wait(host, now_s)
        return self._answer(now_s)

    def at(self, name: str, held_bytes: int, now_s: float) -> None:
        """Take how much a host holds by now."""
        host = self._heard(name, now_s)
        if held_bytes > host.held_bytes and host.standing is Standing.TAKING and host.parent is not None:
            self._have_peers_worked = True
        host.mark(held_bytes, now_s)

    def whole(self, name: str, now_s: float) -> list[Step]:
        """Take that a host has all files under their names."""
        host = self._heard(name, now_s)
        host.mark(host.total_bytes, now_s)
        self._complete(host, now_s)
        return self._answer(now_s)

    def lost(self, name: str, attempt: int, reason: str, text: str, now_s: float) -> list[Step]:
        """Take that a host's source gives nothing any more; word of a source before the present one is ignored."""
        host = self._heard(name, now_s)
        if host.standing is Standing.TAKING and attempt == host.attempt:
            if host.parent is None:
                self._steps.append(GiveUp(host=name, reason=f"the file has changed since it was announced: {text}"))
            else:
                self._leave(host, self.hosts[host.parent], reason, text, now_s)
        return self._answer(now_s)

    def failed(self, name: str, now_s: float) -> list[Step]:
        """Take that a host is gone: whoever took from it takes from somebody else."""
        host = self.hosts[name]
        was, host.serves = host.standing, False
        if was is not Standing.WHOLE:
            host.standing = Standing.FAILED
        self._move_children(host, now_s)
        if was in (Standing.WAITING, Standing.TAKING):
            for heir in self._sharers(host)[:1]:
                self._wait(heir, now_s)
        return self._answer(now_s)

    def tick(self, now_s: float) -> list[Step]:
        """Let time pass; call it several times a second."""
        if now_s - self._ticked_s > _LATE_S:
            self._forgive(now_s)
        self._ticked_s = now_s
        for host in self.hosts.values():
            limit_s = OPENING_S if host.standing is Standing.OPENING else SILENCE_S
            if not host.is_over and now_s - host.heard_s > limit_s:
                self._steps.append(GiveUp(host=host.name, reason=f"nothing was heard for {limit_s:.0f} s"))
        if now_s >= self._blind_until_s:
            self._judge_rates(now_s)
        return self._answer(now_s)

    def _has_fallen_back(self, host: RelayHost) -> bool:
        lived = any(self.hosts[name].standing is Standing.WHOLE for name in host.unserved)
        return lived and host.standing is Standing.WHOLE and host.parent is None

    def _answer(self, now_s: float) -> list[Step]:
        if not self._has_begun:
            self._try_to_begin(now_s)
        elif self._has_room_to_feed:
            for host in self._of(Standing.WAITING)[:1]:
                self._take(host, None, now_s)
        steps, self._steps = self._steps, []
        return steps

    def _heard(self, name: str, now_s: float) -> RelayHost:
        host = self.hosts[name]
        host.heard_s = now_s
        return host

    def _of(self, standing: Standing) -> list[RelayHost]:
        return [host for host in self.hosts.values() if host.standing is standing]

    def _try_to_begin(self, now_s: float) -> None:
        waiting = self._of(Standing.WAITING)
        is_late = self._first_ready_s is not None and now_s - self._first_ready_s > GRACE_S
        if not waiting or (self._of(Standing.OPENING) and not is_late):
            return
        if self._seeds is None:
            count = len(waiting) if self._degree else 0
            self._seeds = {host.name: now_s + GRACE_S for host in self._of(Standing.WHOLE)[:count]}
            self._steps.extend(Listen(host=name) for name in self._seeds)
        if any(not self.hosts[name].serves and now_s < until_s for name, until_s in self._seeds.items()):
            return
        self._has_begun = True
        seeds = [name for name in self._seeds if self.hosts[name].serves]
        relays = [host.name for host in waiting if host.serves or not self._degree]
        for name, parent in make_topology(relays, roots=seeds or [None], degree=self._degree).parents.items():
            self._take(self.hosts[name], parent, now_s)
        for host in waiting:
            if host.name not in relays:
                self._place(host, now_s)

    @property
    def _has_room_to_feed(self) -> bool:
        return sum(host.parent is None for host in self._of(Standing.TAKING)) < FEEDS

    def _take(self, host: RelayHost, parent: str | None, now_s: float) -> None:
        host.parent = parent
        if parent is None and not self._has_room_to_feed:
            host.standing = Standing.WAITING
            return
        host.standing = Standing.TAKING
        host.attempt += 1
        host.placed_s = host.since_s = now_s
        host.since_bytes = host.held_bytes
        host.marks.clear()
        host.mark(host.held_bytes, now_s)
        self._steps.append(Take(host=host.name, attempt=host.attempt, parent=parent))

    def _place(self, host: RelayHost, now_s: float) -> None:
        """Let a host take from whoever is best now; one that reaches nobody takes from the controller."""
        is_hopeless = not self._have_peers_worked and sum(each.unreached for each in self.hosts.values()) >= _HOPELESS
        is_lonely = self._degree == 0 or host.unreached >= (1 if is_hopeless else _MOST_UNREACHED)
        parent = None if is_lonely else choose_parent(self.hosts, host.name, degree=self._degree, now_s=now_s)
        self._take(host, parent, now_s)

    def _move_children(self, parent: RelayHost, now_s: float) -> None:
        for host in self._of(Standing.TAKING):
            if host.parent == parent.name:
                self._place(host, now_s)

    def _wait(self, host: RelayHost, now_s: float) -> None:
        host.standing = Standing.WAITING
        if self._has_begun:
            self._place(host, now_s)

    def _share_or_wait(self, host: RelayHost, now_s: float) -> None:
        """Let a host wait for another one that works on the same file system, or begin itself."""
        same = [each for each in self.hosts.values() if each is not host and each.filesystem == host.filesystem]
        standings = {each.standing for each in same} if host.filesystem is not None else set()
        if not standings & {Standing.WAITING, Standing.TAKING, Standing.WHOLE}:
            self._wait(host, now_s)
            return
        host.standing = Standing.SHARING
        if Standing.WHOLE in standings:
            self._steps.append(Look(host=host.name))

    def _sharers(self, host: RelayHost) -> list[RelayHost]:
        if host.filesystem is None:
            return []
        return [each for each in self._of(Standing.SHARING) if each.filesystem == host.filesystem]

    def _complete(self, host: RelayHost, now_s: float) -> None:
        if host.standing is not Standing.WHOLE:
            if now_s - host.since_s >= _SHORTEST_S:
                self.best_rate = max(self.best_rate, host.last_rate(now_s))
            host.standing = Standing.WHOLE
            self._steps.extend(Look(host=each.name) for each in self._sharers(host))

    def _leave(self, host: RelayHost, parent: RelayHost, reason: str, text: str, now_s: float) -> None:
        host.unserved.add(parent.name)
        if reason in _UNREACHED:
            host.unreached += 1
            self._unreached[host.name] = text
        if reason == "wrong-bytes" and not parent.is_shunned:
            hint = "is its memory or its disk failing? every chunk is checked, so nothing of it was kept"
            self._steps.append(
                Say(text=f"{parent.name} sent {host.name} wrong bytes: nobody takes from it now", hint=hint)
            )
            parent.is_wrong = True
            self._move_children(parent, now_s)
        if host.parent == parent.name:  # it was not moved with the others
            self._place(host, now_s)

    def _shun_slow(self, host: RelayHost, now_s: float) -> None:
        """Let nobody wait for a slow host; when a parent's second child is slow, it is the parent."""
        rate = (host.rate(now_s) or 0.0) / 1e6
        self._steps.append(Say(text=f"{host.name} is slow ({rate:.1f} MB/s): nobody waits for it"))
        host.is_slow = True
        self._move_children(host, now_s)
        if host.parent is not None:
            parent = self.hosts[host.parent]
            parent.slow_children += 1
            if parent.slow_children > 1 and not parent.is_shunned:
                parent.is_slow = True
                self._move_children(parent, now_s)

    def _forgive(self, now_s: float) -> None:
        """Hold nothing against hosts that may have spoken while nobody listened."""
        for host in self.hosts.values():
            host.heard_s = max(host.heard_s, now_s - (self._ticked_s - host.heard_s))
        self._blind_until_s = now_s + WINDOW_S

    def _judge_rates(self, now_s: float) -> None:
        self.best_rate = max(self.best_rate, best_rate(self.hosts, now_s))
        for host in slow_hosts(self.hosts, self.best_rate, now_s):
            self._shun_slow(host, now_s)
        for host in recovered_hosts(self.hosts, self.best_rate, now_s):
            host.is_slow = False
        for name in crowding_hosts(self.hosts, degree=self._degree):
            parent = choose_parent(self.hosts, name, degree=self._degree, now_s=now_s)
            host = self.hosts[name]
            if parent not in (None, host.parent) and now_s - host.placed_s > WINDOW_S:
                self._take(host, parent, now_s)
        self._try_heads(now_s)

    def _try_heads(self, now_s: float) -> None:
        trial = self._trial
        if trial is None:
            self._trial = plan_trial(self.hosts, self._tried, now_s)
            if self._trial is not None:
                self._tried.add(self._trial.second)
                self._take(self.hosts[self._trial.second], None, now_s)
        elif trial.is_due(now_s):
            self._trial = None
            head, second = self.hosts[trial.head], self.hosts[trial.second]
            if second.standing is not Standing.TAKING or second.parent is not None:
                return
            if trial.blames_head(head, second):
                self._shun_slow(head, now_s)
            elif head.standing is Standing.TAKING:
                self._place(second, now_s)
