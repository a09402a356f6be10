"""`dsdeploy hosts`: what the hostfile and the filters choose."""

from __future__ import annotations

from orchestrator.cli.options import Output, Targets

NAME = "hosts"


def command(targets: Targets, output: Output) -> None:
    """Print the hosts that the hostfile and the filters choose; no host is contacted.

    Example:  dsdeploy hosts -H hostfile -e worker-3@worker-7:0
    """
    from orchestrator.cli.render import show
    from orchestrator.cli.user_files import load_hosts
    from orchestrator.report.documents import hosts_document
    from orchestrator.report.tables.hosts import hosts_table

    hosts = load_hosts(targets)
    show(hosts_document(hosts), lambda: hosts_table(hosts), output)
