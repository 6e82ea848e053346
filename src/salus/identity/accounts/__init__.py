# SPDX-License-Identifier: Apache-2.0
"""What is kept of people: accounts, their passwords, factors and recovery codes, wrong guesses, notices."""
