# SPDX-License-Identifier: Apache-2.0
"""Installing and removing packages, with an entry in the audit log of every tenant.

What is installed changes what validation and search say for all of them. The entry is durable before the change is.
"""

from __future__ import annotations

from pathlib import Path

from salus.app.house import House
from salus.audit.event import EventType
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.knowledge.packages import Report, installing, removing


async def install(house: House, path: Path) -> Report:
    """Install one package (a file or a folder); raises Problem as `salus.knowledge.packages.installing` does."""
    with installing(house.knowledge, path, house.clock.now_ms()) as report:
        if not report.unchanged:
            await note(house, EventType.PACKAGE_INSTALL, f"package {report.name}#{report.version}")
    return report


async def remove(house: House, name: str, version: str = "") -> list[str]:
    """Remove a package; raises Problem as `salus.knowledge.packages.removing` does."""
    with removing(house.knowledge, name, version) as versions:
        for each in versions:
            await note(house, EventType.PACKAGE_REMOVE, f"package {name}#{each}")
    return versions


async def install_configured(house: House) -> list[Report]:
    """Install what lies in the folder that `[knowledge] packages` names; nothing when none is named.

    Raises:
        Problem: UNAVAILABLE when the folder is missing, and as `install` does: a server that should have a profile and
            has it not is better stopped with the reason.
    """
    named = house.settings.knowledge.packages
    if not named:
        return []
    folder = house.settings.path(named)
    if not folder.is_dir():
        raise Problem(Kind.UNAVAILABLE, f"There is no folder {folder.name}, which [knowledge] packages names.")
    return [await install(house, path) for path in packages_in(folder)]


def packages_in(path: Path) -> list[Path]:
    """The packages at a path: the path itself, or what lies in a folder of packages."""
    if not path.is_dir() or (path / "package.json").is_file() or (path / "package" / "package.json").is_file():
        return [path]
    return sorted(each for each in path.iterdir() if each.suffix == ".tgz" or (each.is_dir() and _is_package(each)))


def _is_package(folder: Path) -> bool:
    return (folder / "package.json").is_file() or (folder / "package" / "package.json").is_file()


async def note(house: House, event: EventType, reason: str) -> None:
    """Write an entry into the log of every tenant."""
    for tenant in house.keyring.tenants():
        await house.record(Unit(), house.operator(tenant), event, reason)
