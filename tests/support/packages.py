# SPDX-License-Identifier: Apache-2.0
"""FHIR packages made by the tests, and definitions to put into them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

JSON = dict[str, Any]


def about(name: str = "example.colours", version: str = "1.0.0", **more: Any) -> JSON:
    return {"name": name, "version": version, "fhirVersions": ["4.0.1"], **more}


def code_system(url: str = "http://example.org/colours", version: str = "1.0.0", **more: Any) -> JSON:
    concepts = [{"code": "red", "display": "Red"}, {"code": "blue", "display": "Blue"}]
    return {
        "resourceType": "CodeSystem",
        "url": url,
        "version": version,
        "status": "active",
        "content": "complete",
        "caseSensitive": True,
        "concept": concepts,
        **more,
    }


def value_set(url: str, *include: JSON, version: str = "1.0.0", **more: Any) -> JSON:
    return {
        "resourceType": "ValueSet",
        "url": url,
        "version": version,
        "status": "active",
        "compose": {"include": list(include)},
        **more,
    }


def archive(path: Path, files: dict[str, Any], links: dict[str, str] | None = None) -> Path:
    """A gzipped tar with these files (JSON or bytes) and symbolic links."""
    with tarfile.open(path, "w:gz") as made:
        for name, content in files.items():
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(body)
            made.addfile(member, io.BytesIO(body))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            made.addfile(member)
    return path


def package(path: Path, *resources: JSON, described: JSON | None = None) -> Path:
    """A FHIR package with these resources."""
    files: dict[str, Any] = {"package/package.json": described or about()}
    for number, resource in enumerate(resources):
        files[f"package/{resource['resourceType']}-{number}.json"] = resource
    return archive(path, files)
