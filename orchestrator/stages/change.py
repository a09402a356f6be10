"""Change hosts, all or none: lock, fan out, stage ║ activate, verify, commit; whatever fails ends in recovery."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

from orchestrator.errors import ExitCode, StoppedError
from orchestrator.model.deployment import DeploymentIdentity, DeploymentResult, HostEnd, OnFailure, Policy
from orchestrator.model.events import Note
from orchestrator.model.fanout import FanOutReport
from orchestrator.model.history import Decision, DeploymentKind, DeploymentRecord
from orchestrator.model.outcome import Delivery, Failure, Outcome
from orchestrator.model.verification import Verification
from orchestrator.planning.folding import fold_hosts
from orchestrator.planning.policy import Course, decide_course, make_waves, spread_over_sites
from orchestrator.ports import Carrier, Fleet, Journal, Reporter
from orchestrator.stages.explaining import explain_failures
from orchestrator.stages.fan_out import fan_out
from orchestrator.stages.install import Installer
from orchestrator.stages.locking import hold_hosts
from orchestrator.stages.orders import InstallOrder, SharedSource
from orchestrator.stages.recover import recover
from orchestrator.stages.verify import failed_verifications

_PAUSES_S = (0.0, 3.0)
"""Before each attempt to bring hosts to rest; one that was lost may come back, one that is cut off will not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePorts:
    """What a change acts through."""

    fleet: Fleet
    reopen: Callable[[], AbstractContextManager[Fleet]]
    """Makes fresh connections to the same hosts, whatever has become of those of `fleet`."""
    carrier: Carrier
    journal: Journal
    reporter: Reporter
    now: Callable[[], str]
    """UTC, ISO 8601."""
    pause: Callable[[float], None]
    """Sleeps for so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTask:
    """What is to be changed, and how."""

    identity: DeploymentIdentity
    kind: DeploymentKind
    orders: Mapping[str, InstallOrder]
    """Host → what it is to have, in hostfile order."""
    sites: Mapping[str, str] = field(default_factory=dict)
    """Host → the host that writes the installation which both share; hosts that share none may be missing."""
    policy: Policy = field(default_factory=Policy)
    recipe: str | None = None


def change(task: ChangeTask, ports: ChangePorts) -> DeploymentResult:
    """Carry out all orders, or none of them, and return what became of each host.

    Until every host is staged nothing has changed anywhere. From then on a failure, or Ctrl-C, ends in recovery through
    fresh connections; another Ctrl-C leaves that to a later run, and the hosts in question are told as unknown.
    Raises StoppedError when somebody stops it before anything has changed, LockedError when a host is taken.
    """
    return _Change(task, ports).run()


class _Change:
    """One change while it goes on."""

    def __init__(self, task: ChangeTask, ports: ChangePorts) -> None:
        self._task = task
        self._ports = ports
        self._hosts = list(task.orders)
        self._installer = Installer(
            identity=task.identity,
            orders=task.orders,
            even_if_busy=task.policy.even_if_busy,
            fleet=ports.fleet,
            reporter=ports.reporter,
        )
        self._failures: dict[str, Outcome[object]] = {}
        self._touched: list[str] = []
        self._ends: dict[str, HostEnd] = {}
        self._deliveries: Mapping[str, Delivery] = {}
        self._fan_out: FanOutReport | None = None
        self._verifications: dict[str, Verification] = {}
        self._obstacles: Mapping[str, str] = {}
        self._is_interrupted = False

    def run(self) -> DeploymentResult:
        """Do all of it."""
        try:
            with hold_hosts(
                self._hosts, self._task.identity, fleet=self._ports.fleet, reporter=self._ports.reporter
            ) as locked:
                self._fail(locked.failed)
                self._proceed()
        except KeyboardInterrupt:
            if not self._touched:
                raise StoppedError("interrupted; no host was changed") from None
            self._is_interrupted = True
        finally:
            self._bring_to_rest()
        return self._result()

    def _proceed(self) -> None:
        for step in (self._deliver, self._stage):
            if self._course() is not Course.GO_BACK:
                self._fail(step(self._good(self._hosts)))
        hosts = self._good(self._hosts)
        if self._course() is Course.GO_BACK or not hosts:
            return
        self._ports.journal.begin(self._record())
        for wave in make_waves(hosts, self._task.policy, self._task.sites):
            self._change_wave(wave)
            if self._course() is not Course.GO_ON:
                break
        if self._course() is not Course.GO_BACK:
            self._commit()

    def _deliver(self, hosts: Sequence[str]) -> Iterable[Outcome[object]]:
        bundles = {host: bundle for host in hosts if (bundle := self._task.orders[host].bundle)}
        if not bundles:
            return ()
        ports = self._ports
        carried = fan_out(bundles, carrier=ports.carrier, fleet=ports.fleet, reporter=ports.reporter)
        self._deliveries, self._fan_out = carried.outcomes.values(), carried.report
        return carried.outcomes.failed

    def _stage(self, hosts: Sequence[str]) -> Iterable[Outcome[object]]:
        return self._installer.stage(hosts).failed

    def _change_wave(self, wave: Sequence[str]) -> None:
        """Activate and verify hosts; of those that share an installation, the one that writes it goes first."""
        self._touched += wave
        followers = [host for host in wave if isinstance(self._task.orders[host].source, SharedSource)]
        self._fail(self._installer.activate([host for host in wave if host not in followers]).failed)
        self._fail(self._installer.activate(self._good(followers)).failed)
        if self._course() is Course.GO_BACK:
            return
        checked = self._installer.verify(self._good(wave))
        self._verifications |= {host: found for host, found in checked.values().items() if found is not None}
        self._fail((*checked.failed, *failed_verifications(self._verifications)))

    def _commit(self) -> None:
        good = self._good(self._touched)
        decisions = {host: Decision.COMMIT if host in good else Decision.UNDO for host in self._touched}
        self._ports.journal.decide(self._task.identity.id, decisions)
        committed = self._installer.commit(good)
        self._fail(committed.failed)
        self._ends |= {outcome.host: HostEnd.NEW for outcome in committed.items if outcome.is_ok}
        if self._task.policy.on_failure is OnFailure.KEEP:
            left = self._installer.leave([host for host in self._touched if host not in good])
            self._ends |= {item.host: HostEnd.LEFT if item.is_ok else HostEnd.UNKNOWN for item in left.items}

    def _bring_to_rest(self) -> None:
        """End what is open on hosts that were touched, through fresh connections, and write down how all ended."""
        if not self._touched:
            return
        try:
            self._recover_open()
        except KeyboardInterrupt:
            if not self._is_interrupted:  # the first one asks for nothing else than what goes on already
                self._is_interrupted = True
                with suppress(KeyboardInterrupt):
                    self._recover_open()
        self._ends |= dict.fromkeys(self._open, HostEnd.UNKNOWN)
        self._ports.journal.end(self._task.identity.id, self._all_ends(), self._ports.now())

    def _recover_open(self) -> None:
        self._tell_what_comes()
        for pause_s in _PAUSES_S:
            if self._open:
                self._ports.pause(pause_s)
                self._recover(self._open)

    def _recover(self, hosts: Sequence[str]) -> None:
        ports, identity = self._ports, self._task.identity
        with ports.reopen() as fleet:
            found = recover(hosts, identity, fleet=fleet, journal=ports.journal, reporter=ports.reporter)
        self._obstacles = {item.host: item.failure.message for item in found.failures if item.failure}
        ends = {host: found.end_of(host, identity.id) for host in hosts}
        self._ends |= {host: end for host, end in ends.items() if end is not HostEnd.UNKNOWN}

    @property
    def _open(self) -> list[str]:
        """Hosts that were touched and whose end is not known."""
        return [host for host in self._touched if host not in self._ends]

    def _tell_what_comes(self) -> None:
        if self._open:
            failed = fold_hosts(list(self._failures)) or "a step"
            cause = "stopped" if self._is_interrupted else f"{failed} failed"
            again = "" if self._is_interrupted else " twice"
            self._ports.reporter.emit(
                Note(
                    text=f"{cause}: bringing {fold_hosts(self._open)} to rest",
                    hint=f"Ctrl-C{again} leaves that to the next provision, or to dsdeploy recover",
                )
            )

    def _fail(self, outcomes: Iterable[Outcome[object]]) -> None:
        for outcome in outcomes:
            self._failures.setdefault(outcome.host, outcome)

    def _good(self, hosts: Iterable[str]) -> list[str]:
        bad = spread_over_sites(self._failures, self._hosts, self._task.sites)
        return [host for host in hosts if host not in bad]

    def _course(self) -> Course:
        failed = len(self._hosts) - len(self._good(self._hosts))
        return decide_course(self._task.policy, failed=failed, total=len(self._hosts))

    def _record(self) -> DeploymentRecord:
        task = self._task
        return DeploymentRecord(
            id=task.identity.id,
            kind=task.kind,
            started_at=task.identity.started_at,
            author=task.identity.author,
            hosts=tuple(order.record(host) for host, order in task.orders.items()),
            recipe=task.recipe,
        )

    def _all_ends(self) -> dict[str, HostEnd]:
        return {host: self._ends.get(host, HostEnd.OLD) for host in self._hosts}

    def _result(self) -> DeploymentResult:
        unknown = [self._unknown(host) for host, end in self._ends.items() if end is HostEnd.UNKNOWN]
        return DeploymentResult(
            deployment=self._task.identity.id,
            deliveries=self._deliveries,
            fan_out=self._fan_out,
            verifications=self._verifications,
            ends=self._all_ends(),
            failures=(*explain_failures(self._unhealed()), *unknown),
            interrupted=self._is_interrupted,
        )

    def _unhealed(self) -> Iterator[Outcome[object]]:
        """Yield the failures that count, and tell the others: hosts that have committed after all, in recovery."""
        for host, outcome in self._failures.items():
            if self._ends.get(host) is not HostEnd.NEW:
                yield outcome
            elif outcome.failure:
                self._ports.reporter.emit(Note(text=f"{host} has committed after all: {outcome.failure.message}"))

    def _unknown(self, host: str) -> Outcome[object]:
        why = f": {self._obstacles[host]}" if host in self._obstacles else ""
        failure = Failure(
            message=f"{host} may have the old DeepSpeed, the new one, or a part of one{why}",
            hint="dsdeploy recover, when it can be reached again; so does the next provision",
            exit_code=ExitCode.ROLLBACK,
        )
        return Outcome(host=host, failure=failure)
