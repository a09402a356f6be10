"""Make a build environment beside the interpreter that runs this: it sees that one's torch, and has its own tools.

    PYTHON make_environment.py FOLDER [SITE_FOLDER ...]

FOLDER becomes a virtual environment; SITE_FOLDERs are searched before the interpreter's own. The last line told is
the result as JSON: the full version of the torch that it sees, or null.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import sysconfig
import venv
from pathlib import Path


def main() -> None:
    """Make the environment and tell its torch."""
    folder, *site_folders = sys.argv[1:]
    site_folders += own_site_folders()
    # Made from a virtual environment it rests on that one's base interpreter: the folders say where torch is.
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = Path(folder).glob("lib/python*/site-packages")
    # They come last in sys.path, so that the environment's own setuptools is the one that is imported.
    lines = [f"import site; site.addsitedir({site_folder!r})\n" for site_folder in site_folders]
    (packages / "target.pth").write_text("".join(lines), encoding="utf-8")
    sys.stdout.write(f"dsdeploy-result {json.dumps(torch_version(site_folders))}\n")


def own_site_folders() -> list[str]:
    """Return where this interpreter finds packages: PYTHONPATH and the user's folder too, not the standard library."""
    paths = sysconfig.get_paths()
    standard = (paths["stdlib"], paths["platstdlib"], sysconfig.get_config_var("DESTSHARED"))
    return [folder for folder in sys.path[1:] if Path(folder).is_dir() and folder not in standard]


def torch_version(site_folders: list[str]) -> str | None:
    """Return the full version of the torch in these folders, unimported; None without one."""
    sys.path[1:1] = site_folders
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    match = re.search(r"^__version__ = '(.+)'", text, re.MULTILINE)
    return match and match.group(1)


if __name__ == "__main__":
    main()
