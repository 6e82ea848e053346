# SPDX-License-Identifier: Apache-2.0
"""The benchmark: the real server over TLS, with everything on and with parts replaced by nothing.

`make bench` or `python -m bench`; `python -m bench.micro` measures the stages inside one process.
"""
