# SPDX-License-Identifier: Apache-2.0
"""What somebody with a token, a network or a disk would try. Each test is named after the attack."""
