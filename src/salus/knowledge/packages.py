# SPDX-License-Identifier: Apache-2.0
"""Installing FHIR packages: profiles, search parameters, value sets, code systems and concept maps of others.

A package is taken as a whole or not at all; a single resource in it that is not what it claims to be is left out and
told. Installing the same name and version again replaces it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from salus.fhir import json
from salus.fhir.definitions import resource_types
from salus.fhir.search.define import defined
from salus.fhir.validate.report import schema_issues
from salus.fhir.validate.schema import validator
from salus.fhir.validate.walk import too_deep
from salus.kernel.db import Connection, exclusive
from salus.kernel.errors import Kind, Problem
from salus.knowledge.archive import MAX_FILE, fingerprint, parts
from salus.knowledge.library import Library, Resource, pack
from salus.knowledge.loading.loading import alone
from salus.knowledge.loading.resources import into_tables, is_large

KEPT = frozenset(
    {
        "CapabilityStatement",
        "CodeSystem",
        "ConceptMap",
        "OperationDefinition",
        "SearchParameter",
        "StructureDefinition",
        "ValueSet",
    }
)
"""Types that are installed; examples and pages of a package are passed over."""

SHIPPED = {"hl7.fhir.r4.core": "4.0.1", "hl7.fhir.us.core": "6.1.0"}
"""Packages whose definitions come with Salus."""

_NAME = re.compile(r"[A-Za-z0-9@][A-Za-z0-9._/-]{0,127}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}")
_TYPES = frozenset(resource_types())


class Package(msgspec.Struct, frozen=True):
    """An installed package.

    Attributes:
        fhir: FHIR versions that it says it is for.
        dependencies: version by name of the packages that it wants.
        installed_ms: when, in milliseconds since the epoch.
        resources: how many of it are installed.
    """

    name: str
    version: str
    title: str
    fhir: str
    dependencies: dict[str, str]
    installed_ms: int
    resources: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A resource of a package that was not installed, and why."""

    file: str
    reason: str


@dataclass(slots=True)
class Report:
    """What an installation did.

    Attributes:
        unchanged: the very same package was there already.
        installed: number of resources by type.
        missing: dependencies that are not installed, as `name#version`.
        unusable: search parameters that are installed and that nobody can search by, with the reason.
    """

    name: str
    version: str
    unchanged: bool = False
    installed: dict[str, int] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unusable: list[Refused] = field(default_factory=list)


@contextmanager
def installing(library: Library, path: Path, now_ms: int) -> Iterator[Report]:
    """Install one package; it is there for others when the `with` block ends without an error.

    Args:
        path: a `.tgz` file or the folder of an unpacked package.
        now_ms: the present moment, milliseconds since the epoch.

    Raises:
        Problem: INCORRECT for what is no FHIR R4 package, TOO_LARGE, UNAVAILABLE when the database cannot be written.
    """
    sha256 = fingerprint(path)
    db = library.writable()
    known: Any = db.execute("select name, version from package where sha256=?", (sha256,)).fetchone()
    if known is not None:
        name, version = known
        yield Report(name, version, unchanged=True, missing=_missing(db, name, version))
        return
    with alone(library):
        with exclusive(db):
            report = _fill(db, path, sha256, now_ms)
            report.missing = _missing(db, report.name, report.version)
            library.changed(db)
            yield report
        library.after_change()


def installed(library: Library) -> list[Package]:
    """What is installed, by name and version; packages that come with Salus are not in this list."""
    if library.db is None:
        return []
    sql = """select name, version, title, fhir, dependencies, installed_ms,
        (select count(*) from resource r where r.package = p.id) from package p order by name, version"""
    rows: Any = library.db.execute(sql).fetchall()
    return [Package(n, v, t, f, msgspec.json.decode(d), at, count) for n, v, t, f, d, at, count in rows]


@contextmanager
def removing(library: Library, name: str, version: str = "") -> Iterator[list[str]]:
    """Remove a package when the `with` block ends without an error; all its versions when none is named.

    Gives the versions that are removed.

    Raises:
        Problem: NOT_FOUND when it is not installed.
    """
    db = library.db
    sql = "select id, version from package where name=? and (?='' or version=?)"
    found: Any = db.execute(sql, (name, version, version)).fetchall() if db is not None else []
    if db is None or not found:
        raise Problem(Kind.NOT_FOUND, "This package is not installed; `salus package list` shows what is.")
    with alone(library):
        with exclusive(db):
            for id_, _ in found:
                _drop(db, id_)
            library.changed(db)
            yield [version for _, version in found]
        library.after_change()


def _fill(db: Connection, path: Path, sha256: str, now_ms: int) -> Report:
    sql = "insert into package(name, version, title, fhir, dependencies, sha256, installed_ms) values(?,?,'','','',?,?)"
    db.execute(sql, ("", sha256, sha256, now_ms))
    id_ = db.last_insert_rowid()
    report = Report("", "")
    about: dict[str, Any] | None = None
    seen: set[tuple[str, str, str]] = set()
    for name, body in parts(path):
        if name == "package.json":
            about = _about(body)
        elif not name.startswith("."):
            _take(db, id_, name, body, seen, report, now_ms)
    if about is None:
        raise Problem(Kind.INCORRECT, f"{path.name} is no FHIR package: there is no package/package.json in it.")
    report.name, report.version = about["name"], about["version"]
    former: Any = db.execute(
        "select id from package where name=? and version=?", (report.name, report.version)
    ).fetchall()
    for (one,) in former:
        _drop(db, one)
    db.execute(
        "update package set name=?, version=?, title=?, fhir=?, dependencies=? where id=?",
        (
            report.name,
            report.version,
            about["title"],
            ", ".join(about["fhir"]),
            msgspec.json.encode(about["dependencies"]).decode(),
            id_,
        ),
    )
    return report


def _about(body: bytes | None) -> dict[str, Any]:
    """Name, version, title, FHIR versions and dependencies out of `package.json`."""
    said = json.decode(body or b"")
    name, version = said.get("name"), said.get("version")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise Problem(Kind.INCORRECT, "package.json does not name the package as npm would.")
    if not (isinstance(version, str) and _VERSION.fullmatch(version)):
        raise Problem(Kind.INCORRECT, "package.json does not give the package a version.")
    fhir = said.get("fhirVersions") or said.get("fhir-version-list") or []
    fhir = [one for one in fhir if isinstance(one, str)] if isinstance(fhir, list) else []
    if fhir and not any(one.startswith("4.0") for one in fhir):
        raise Problem(Kind.INCORRECT, "The package is for another version of FHIR; this server speaks R4 (4.0.1).")
    wanted = said.get("dependencies")
    pairs = wanted.items() if isinstance(wanted, dict) else ()
    dependencies = {name: version for name, version in pairs if isinstance(version, str)}
    title = said.get("title") or said.get("description") or ""
    return {
        "name": name,
        "version": version,
        "title": title[:200] if isinstance(title, str) else "",
        "fhir": fhir,
        "dependencies": dependencies,
    }


def _take(
    db: Connection,
    package: int,
    name: str,
    body: bytes | None,
    seen: set[tuple[str, str, str]],
    report: Report,
    now_ms: int,
) -> None:
    """Keep one file of a package, or note why not."""
    try:
        resource = _definition(body)
    except Problem as problem:
        told = [issue.text for issue in problem.issues[:1] if issue.text != problem.public]
        reason = " ".join([problem.public, *told])
        report.refused.append(Refused(name, reason))
        return
    if resource is None:
        return
    key = (resource["resourceType"], resource["url"], resource.get("version", ""))
    if key in seen:
        report.refused.append(Refused(name, "Another file of the package defines the same url and version."))
        return
    seen.add(key)
    if is_large(resource):
        resource = into_tables(db, resource, package, now_ms)
    target = resource.get("supplements", "").partition("|")[0] if key[0] == "CodeSystem" else ""
    sql = "insert into resource(package, type, url, version, supplements, body) values(?,?,?,?,?,?)"
    db.execute(sql, (package, *key, target, pack(resource)))
    report.installed[key[0]] = report.installed.get(key[0], 0) + 1
    report.unusable += [Refused(name, why) for why in _why_unusable(resource)]


def _why_unusable(resource: Resource) -> list[str]:
    """Why a search parameter is of no use; nothing for one that R4 has already, or whose parts others define."""
    if resource["resourceType"] != "SearchParameter" or resource.get("type") == "composite":
        return []
    try:
        defined({**resource, "status": "active"})
    except Problem as problem:
        return [issue.text for issue in problem.issues if issue.code != "duplicate"]
    return []


def _drop(db: Connection, package: int) -> None:
    """Remove a package; the concepts of its large code systems are cleared afterwards."""
    db.execute("update system set ready=0, package=null where package=?", (package,))
    db.execute("delete from package where id=?", (package,))


def _definition(body: bytes | None) -> Resource | None:
    """The resource of a file without its narrative; None when it is none that is installed.

    Raises:
        Problem: with the reason why it is refused.
    """
    if body is None:
        raise Problem(Kind.TOO_LARGE, f"The file is larger than {MAX_FILE} bytes.")
    resource = json.decode(body)
    type_ = resource.get("resourceType")
    if type_ not in _TYPES:
        raise Problem(Kind.INVALID, "There is no resourceType of FHIR R4 in it.")
    if type_ not in KEPT:
        return None
    resource.pop("text", None)
    for name, needed in (("url", True), ("version", False), ("status", True)):
        value = resource.get(name)
        if not (isinstance(value, str) and value) and (needed or value is not None):
            raise Problem(Kind.INVALID, f"The element {name} is missing or no text.")
    if "|" in resource["url"]:
        raise Problem(Kind.INVALID, "The url has a `|` in it.")
    _hold_structure(resource)
    return resource


def _hold_structure(resource: Resource) -> None:
    """Refuse what does not have the structure of its type.

    Structure is what the rules rely on. The finer rules of R4 are left alone here: published guides break many of them
    (extensions in places that their definitions do not name), and it is not for this server to refuse those guides.
    """
    issues = schema_issues(resource, 1) if too_deep(resource) or not validator().is_valid(resource) else []
    if issues:
        raise Problem(Kind.INVALID, "The resource does not have the structure of its type.", issues=tuple(issues))


def _missing(db: Connection, name: str, version: str) -> list[str]:
    row: Any = db.execute("select dependencies from package where name=? and version=?", (name, version)).fetchone()
    wanted: dict[str, str] = msgspec.json.decode(row[0])
    there = {known[0] for known in db.execute("select name from package")} | SHIPPED.keys()
    return [f"{other}#{at}" for other, at in wanted.items() if other not in there]
