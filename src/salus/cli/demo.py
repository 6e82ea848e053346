# SPDX-License-Identifier: Apache-2.0
"""`salus demo`: from nothing to a clinic on HTTPS with one command."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import click

from salus.app.certificates import fingerprint
from salus.app.clinic import credentials_of, first_patient, furnish
from salus.app.demo_openbao import OpenBao
from salus.app.found import TLS_FOLDER, found, note_founding
from salus.app.house import House
from salus.app.listening import check_free
from salus.app.renewing import renew_if_due
from salus.app.server import serve
from salus.cli.shell import EXIT_MISUSE, table, tells_problems
from salus.cli.start import refuse_unsafe
from salus.kernel.settings import FILE_NAME, Server, Settings, load

_OPENBAO = "openbao"
_APART = 100  # ports between Salus and the OpenBao server beside it, which takes two


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("salus-demo"),
    show_default=True,
    help="Where the demo lives; made on the first run, served again on later ones.",
)
@click.option("--port", type=click.IntRange(1, 65_535), default=8443, show_default=True, help="Port to listen on.")
@click.option("--patients", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Invented patients.")
@click.option("--seed", type=click.IntRange(0, 10**9), default=1, show_default=True, help="Same seed, same people.")
@click.option(
    "--kms",
    type=click.Choice(["local", "openbao"]),
    default="local",
    show_default=True,
    help="Keep the keys in a file, or in an OpenBao server that is started beside the clinic.",
)
@tells_problems
def demo(data_dir: Path, port: int, patients: int, seed: int, kms: str) -> None:
    """Serve a clinic of invented patients on https://localhost:8443. Asks nothing."""
    folder = data_dir.absolute()
    check_free(Server(port=port))  # before many patients are invented for nothing
    if not (folder / FILE_NAME).exists():
        _make(folder, port, patients, seed, kms)
    settings = load(folder)
    if kms not in {"local", settings.keys.provider}:
        click.echo("salus: this demo folder keeps its keys in a file; choose another --data-dir.", err=True)
        sys.exit(EXIT_MISUSE)
    if settings.server.port != port:
        click.echo(f"salus: this demo folder is set to port {settings.server.port} (in {FILE_NAME}).", err=True)
        sys.exit(EXIT_MISUSE)
    renew_if_due(settings)
    refuse_unsafe(settings)
    _introduce(settings, data_dir)
    key_service = _key_service(folder, port) if settings.keys.provider == "openbao" else None
    if key_service is not None:
        key_service.start()
        click.echo(f"OpenBao keeps the keys: {key_service.address}")
    try:
        serve(settings)
    finally:
        if key_service is not None:
            key_service.stop()


def _key_service(folder: Path, port: int) -> OpenBao:
    """The OpenBao server of a demo folder, on a port apart from that of Salus."""
    return OpenBao(folder / _OPENBAO, port + _APART, port + _APART + 1)


def _make(folder: Path, port: int, patients: int, seed: int, kms: str) -> None:
    """Build beside the target and move it there when it is whole, so that an interrupted run leaves nothing half."""
    if folder.exists() and any(folder.iterdir()):
        click.echo(f"salus: {folder} is not empty and is no Salus folder; choose another --data-dir.", err=True)
        sys.exit(EXIT_MISUSE)
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    key_service = _key_service(building, port) if kms == "openbao" else None
    try:
        if key_service is not None:
            key_service.make()
        settings = found(building, port=port, keys=key_service.keys(_OPENBAO) if key_service else None, beside=_OPENBAO)
        _without_security_keys(settings)
        house = House(settings)
        try:
            with click.progressbar(length=patients, label="inventing patients", file=sys.stderr) as bar:
                asyncio.run(_fill(house, patients, seed, lambda: bar.update(1)))
        finally:
            house.close()
        if key_service is not None:
            key_service.stop()
        if folder.exists():
            folder.rmdir()
        building.rename(folder)
    except BaseException:
        if key_service is not None:
            key_service.stop()
        shutil.rmtree(building, ignore_errors=True)
        raise


def _without_security_keys(settings: Settings) -> None:
    """Let the officers of the demo work with password and code: whoever tries it may have no passkey of one device."""
    path = settings.path(settings.access.policy)
    text = path.read_text("utf-8").replace('assurance = "aal3"', 'assurance = "aal2"  # of the demo only: aal3')
    path.write_text(text, "utf-8")


async def _fill(house: House, patients: int, seed: int, on_patient: Callable[[], None]) -> None:
    await note_founding(house)
    await furnish(house, patients, seed, lambda _: on_patient())


def _introduce(settings: Settings, data_dir: Path) -> None:
    known = credentials_of(settings.folder)
    click.echo(
        "\nWho can sign in, with password and one-time code (put the secret into any authenticator application):\n"
    )
    rows = [
        (a["name"], a["role"], a["purpose"], a["password"], parse_qs(urlsplit(a["authenticator"]).query)["secret"][0])
        for a in known["accounts"]
    ]
    table(("account", "role", "purpose", "password", "one-time code secret"), rows, machine=False)
    certificate = settings.path(settings.server.tls_certificate)
    click.echo(f"\ncertificate SHA-256 {fingerprint(certificate)}")
    authority = data_dir / TLS_FOLDER / "ca.crt"
    base = f"{settings.base_url}/fhir"
    patient = first_patient(known["seed"])
    salus = Path(sys.argv[0])
    click.echo("\nThree commands to try in another terminal:\n")
    click.echo(f"  TOKEN=$({salus} token issue dr-amara --data-dir {data_dir})")
    click.echo(f'  curl --cacert {authority} -H "Authorization: Bearer $TOKEN" {base}/Patient/{patient}')
    click.echo(f"  {salus} audit verify --data-dir {data_dir}")
    click.echo(f"\nServing {settings.base_url}; stop with Ctrl-C.\n")


COMMANDS = {"demo": demo}
