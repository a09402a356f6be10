"""A deployment that is about to happen, on hosts in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from fakes.carrier import FakeCarrier
from fakes.fleet import FakeFleet
from fakes.hosts import make_facts
from fakes.index import FakeIndex
from fakes.journal import MemoryJournal
from fakes.op_cache import MemoryHistory, MemoryOpCache
from fakes.reporter import FakeReporter
from fakes.store import MemoryStore
from fakes.wheels import make_manifest, make_wheel

from orchestrator.model.deployment import DeploymentIdentity, Policy
from orchestrator.model.facts import Facts
from orchestrator.model.plan import DeployPlan, HostPlan, HostVerdict, WheelPlan, WheelVerdict
from orchestrator.model.recipe import Recipe, Source, SourceKind
from orchestrator.model.wheels import Artifact, BuildKey
from orchestrator.stages.build import BuildFolders, BuildPorts, BuildTask
from orchestrator.stages.change import ChangePorts
from orchestrator.stages.deploy import DeployPorts, DeployTask

RECIPE = Recipe(name="cpu-training", source=Source(kind=SourceKind.VERSION, value="0.19.8"))
IDENTITY = DeploymentIdentity(id="20260102T030405Z-abc", started_at="2026-01-02T03:04:05+00:00", author="u@ctl")


def add_artifact(store: MemoryStore, folder: Path, *, requires: Sequence[str] = (), **changes: object) -> Artifact:
    """A wheel in the store."""
    folder.mkdir(exist_ok=True)
    manifest = make_manifest(**changes)
    path = make_wheel(folder, version=manifest.deepspeed_version, requires=requires, manifest=manifest)
    return store.add(path, manifest)


def plan_wheel(artifact: Artifact, hosts: Sequence[str], verdict: WheelVerdict = WheelVerdict.REUSE) -> WheelPlan:
    return WheelPlan(
        signature=artifact.manifest.signature,
        build_key=artifact.manifest.build_key,
        verdict=verdict,
        reason="for a test",
        hosts=tuple(hosts),
        sha256=artifact.sha256,
    )


def plan_host(host: str, key: BuildKey | None, verdict: HostVerdict = HostVerdict.INSTALL) -> HostPlan:
    return HostPlan(host=host, verdict=verdict, reason="for a test", build_key=key)


@dataclass(kw_only=True)
class World:
    """Hosts that are to get one wheel, and everything that a stage acts through."""

    folder: Path
    artifact: Artifact
    store: MemoryStore
    facts: Mapping[str, Facts]
    plan: DeployPlan
    fleet: FakeFleet
    index: FakeIndex
    lasting: int | None = 0
    """How many times recovery still meets what went wrong on hosts; None: always."""
    policy: Policy = field(default_factory=Policy)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    reporter: FakeReporter = field(default_factory=FakeReporter)

    @property
    def pythons(self) -> dict[str, str]:
        return dict.fromkeys(self.facts, "/opt/venv/bin/python")

    @property
    def deploy_task(self) -> DeployTask:
        return DeployTask(
            identity=IDENTITY,
            plan=self.plan,
            facts=self.facts,
            pythons=self.pythons,
            artifacts={artifact.manifest.build_key: artifact for artifact in self.store.all()},
            policy=self.policy,
        )

    @property
    def deploy_ports(self) -> DeployPorts:
        return DeployPorts(store=self.store, index=self.index, change=self.change_ports)

    @property
    def change_ports(self) -> ChangePorts:
        return ChangePorts(
            fleet=self.fleet,
            reopen=self._reopen,
            carrier=FakeCarrier(),
            journal=self.journal,
            reporter=self.reporter,
            now=lambda: "2026-01-02T03:05:00+00:00",
            pause=lambda _: None,
        )

    def _reopen(self) -> AbstractContextManager[FakeFleet]:
        if self.lasting:
            self.lasting -= 1
        elif self.lasting == 0:
            for remote in self.fleet.remotes.values():
                remote.errors.clear()
        return nullcontext(self.fleet)

    @property
    def build_task(self) -> BuildTask:
        return BuildTask(
            plan=self.plan, facts=self.facts, controller=lambda _: make_facts(), pythons=self.pythons, specs=(), jobs=1
        )

    @property
    def build_ports(self) -> BuildPorts:
        moments = iter(range(1000))
        return BuildPorts(
            fleet=self.fleet,
            controller=lambda: self.fleet.remote("controller"),
            store=self.store,
            index=self.index,
            toolchains={},
            op_cache=MemoryOpCache(self.folder / "ops"),
            history=MemoryHistory(),
            reporter=self.reporter,
            folders=BuildFolders(work=self.folder, logs=self.folder / "logs", cache=self.folder),
            clock=lambda: float(next(moments)),
        )


def make_world(
    folder: Path,
    hosts: Sequence[str] = ("worker-0", "worker-1"),
    *,
    facts: Facts | None = None,
    requires: Sequence[str] = (),
    absent: Sequence[str] = (),
) -> World:
    """All hosts alike, one wheel in the store that fits them, and a plan to install it everywhere."""
    store = MemoryStore(folder / "store")
    artifact = add_artifact(store, folder / "wheels", requires=requires)
    found = dict.fromkeys(hosts, facts or make_facts())
    key = artifact.manifest.build_key
    plan = DeployPlan(
        recipe=RECIPE,
        hosts=tuple(plan_host(host, key) for host in hosts),
        wheels=(plan_wheel(artifact, hosts),),
        facts={host: each.digest() for host, each in found.items()},
    )
    (folder / "index").mkdir(exist_ok=True)
    return World(
        folder=folder,
        artifact=artifact,
        store=store,
        facts=found,
        plan=plan,
        fleet=FakeFleet(found),
        index=FakeIndex(folder / "index", absent=absent),
    )
