# SPDX-License-Identifier: Apache-2.0
"""GET an address over TLS and print the answer, for machines without curl. The token comes from the variable TOKEN.

usage: .venv/bin/python tools/ask.py CA_CERTIFICATE URL
"""

from __future__ import annotations

import os
import ssl
import sys
import urllib.error
import urllib.request


def main(authority: str, url: str) -> int:
    """Print the body; 0 for an answer below 400, else 1."""
    request = urllib.request.Request(url)  # noqa: S310  the caller names an https address
    token = os.environ.get("TOKEN")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    trust = ssl.create_default_context(cafile=authority)
    trust.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        with urllib.request.urlopen(request, context=trust, timeout=30) as answer:  # noqa: S310
            print(answer.read().decode())
    except urllib.error.HTTPError as error:
        print(error.read().decode())
        return 1
    except OSError as error:
        print(f"no answer: {type(error).__name__}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
