# SPDX-License-Identifier: Apache-2.0
"""Who someone is: people, services and applications. What they may do is `salus.access`.

Sub-rooms and files, each importing only those before it:
- `factors`: what somebody shows to be recognised, and how surely it says who they are.
- `accounts`: what is kept of people; then `sessions` and `tokens`.
- `ceremonies`: what people do, step by step; `people` opens all of these as one.
- `provisioning` and `federation`: accounts from a directory, and signing in with somebody else's identity provider.
- `smart`, `oauth`, `clients`: scopes in words, our authorization server, and the applications that come to it.
"""
