# SPDX-License-Identifier: Apache-2.0
"""What somebody shows to be recognised: passwords, codes, passkeys; and how surely each says who they are.

Rules over values: nothing here knows an account or a table.
"""
