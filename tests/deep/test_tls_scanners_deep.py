# SPDX-License-Identifier: Apache-2.0
"""What TLS scanners find on the real server.

Both are tools of their own and no part of Salus: sslyze (AGPL) in an environment made for this test, testssl.sh (GPL)
as the system has it. Where one cannot be had, its test is skipped and says why.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.served import Served

pytestmark = pytest.mark.deep

SSLYZE = "sslyze==6.3.1"
SCANS = (
    *("sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3", "elliptic_curves", "early_data"),
    *("heartbleed", "openssl_ccs", "compression", "robot", "reneg"),
)
# Of the certificate only: it is short-lived and of a local authority, so that it needs and has neither revocation
# lists nor CAA records; and testssl.sh, whose OpenSSL does not read TLS 1.3 tickets, cannot judge resumption.
EXPECTED = {"cert_expirationStatus", "cert_notAfter", "cert_revocation", "DNS_CAArecord", "sessionresumption_ticket"}


@pytest.fixture(scope="module")
def sslyze(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with sslyze."""
    folder = tmp_path_factory.mktemp("sslyze")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / "bin" / "python"
    got = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", SSLYZE], capture_output=True, timeout=300, check=False
    )
    if got.returncode:
        pytest.skip(f"{SSLYZE} could not be installed")
    return python


def test_sslyze_finds_tls_1_3_only_and_no_weakness(served: Served, sslyze: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    subprocess.run(
        [
            sslyze,
            "-m",
            "sslyze",
            *(f"--{what}" for what in SCANS),
            "--json_out",
            report,
            served.base.removeprefix("https://"),
        ],
        capture_output=True,
        timeout=120,
        check=False,  # its exit code judges the authority as well
    )
    found: dict[str, Any] = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]
    for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2"):
        assert found[f"{version}_cipher_suites"]["result"]["accepted_cipher_suites"] == [], version
    suites = found["tls_1_3_cipher_suites"]["result"]["accepted_cipher_suites"]
    assert {suite["cipher_suite"]["name"] for suite in suites} == {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    }
    curves = found["elliptic_curves"]["result"]["supported_curves"]
    assert {curve["name"] for curve in curves} == {"X25519", "secp256r1", "secp384r1"}
    assert found["heartbleed"]["result"]["is_vulnerable_to_heartbleed"] is False
    assert found["openssl_ccs_injection"]["result"]["is_vulnerable_to_ccs_injection"] is False
    assert found["tls_compression"]["result"]["supports_compression"] is False
    assert found["robot"]["result"]["robot_result"].startswith("NOT_VULNERABLE")
    assert found["session_renegotiation"]["result"]["is_vulnerable_to_client_renegotiation_dos"] is False
    assert found["tls_1_3_early_data"]["result"]["supports_early_data"] is False


def test_testssl_finds_nothing_but_the_nature_of_the_certificate(served: Served, tmp_path: Path) -> None:
    tool = shutil.which("testssl") or shutil.which("testssl.sh")
    if tool is None:
        pytest.skip("testssl.sh is not installed (Debian: testssl.sh)")
    report = tmp_path / "report.json"
    trust = ("--add-ca", served.folder / "tls" / "ca.crt")
    subprocess.run(
        [tool, "--quiet", "--color", "0", "--ip", "one", *trust, "--jsonfile", report, served.base + "/"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=400,
        check=False,
    )
    found = {entry["id"]: entry for entry in json.loads(report.read_text())}
    assert found["TLS1_3"]["finding"].startswith("offered")
    for version in ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2"):
        assert found[version]["finding"].startswith("not offered"), version
    assert found["HSTS_time"]["severity"] == "OK"
    assert {name for name, entry in found.items() if entry["severity"] not in {"OK", "INFO"}} <= EXPECTED
