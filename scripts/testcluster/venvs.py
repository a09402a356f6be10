"""Makes the hosts' virtual environments quickly: a template once, then a copy of hard links for each host."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from testcluster.errors import ClusterError
from testcluster.interpreter import Interpreter
from testcluster.layout import lock

_COMPLETE = ".complete"
_PTH = "dsdeploy-test-cluster.pth"


def find_template(cache: Path, interpreter: Interpreter, *, has_pip: bool) -> Path:
    """Return a finished virtual environment to copy from; it is made on the first call."""
    digest = hashlib.sha256(interpreter.executable.encode()).hexdigest()[:8]
    template = cache / "venvs" / f"{interpreter.tag}-{digest}-{'pip' if has_pip else 'bare'}"
    with lock(cache):
        if not (template / _COMPLETE).exists():
            shutil.rmtree(template, ignore_errors=True)
            _make_environment(template, interpreter, has_pip=has_pip)
            (template / _COMPLETE).touch()
    return template


def _make_environment(folder: Path, interpreter: Interpreter, *, has_pip: bool) -> None:
    options = [] if has_pip else ["--without-pip"]
    command = [interpreter.executable, "-m", "venv", *options, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(
            f"{interpreter.executable} cannot make a virtual environment: {(done.stdout + done.stderr).strip()}",
            hint="as root: apt-get install -y python3-venv",
        )


def copy_environment(template: Path, target: Path) -> None:
    """Copy a virtual environment to another place, as if it had been made there.

    Packages are hard links: pip replaces files and never changes them in place, so the copies stay apart.
    """
    target.mkdir()
    for entry in os.scandir(template):
        source, copy = Path(entry.path), target / entry.name
        if entry.name == _COMPLETE:
            continue
        if entry.is_symlink():
            copy.symlink_to(source.readlink())
        elif entry.is_dir():
            _copy_folder(source, copy, template=template, target=target)
        else:
            _copy_text(source, copy, template=template, target=target)


def _copy_folder(source: Path, copy: Path, *, template: Path, target: Path) -> None:
    if source.name != "bin":
        shutil.copytree(source, copy, symlinks=True, copy_function=_link)
        return
    copy.mkdir()
    for script in source.iterdir():
        if script.is_symlink():
            (copy / script.name).symlink_to(script.readlink())
        else:
            _copy_text(script, copy / script.name, template=template, target=target)


def _copy_text(source: Path, copy: Path, *, template: Path, target: Path) -> None:
    """Copy one of the few files that say where the environment is."""
    copy.write_bytes(source.read_bytes().replace(os.fsencode(template), os.fsencode(target)))
    shutil.copymode(source, copy)


def _link(source: str, copy: str) -> str:
    try:
        os.link(source, copy)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, copy)
    return copy


def share_folder(environment: Path, interpreter: Interpreter, shared: Path) -> None:
    """Let an environment see the packages of a folder, after its own."""
    path_file = environment / interpreter.site_packages / _PTH
    path_file.write_text(f"import site; site.addsitedir({str(shared)!r})\n", encoding="utf-8")
