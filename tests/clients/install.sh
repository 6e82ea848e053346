#!/usr/bin/env bash
# Put the clients from npm into tests/clients/node_modules, as package-lock.json pins them by hash.
# Never fails: without npm or without its registry the tests of these clients are skipped.
set -uo pipefail
cd "$(dirname "$0")"
if [ node_modules/.package-lock.json -nt package-lock.json ]; then exit 0; fi
for program in node:nodejs npm:npm; do
  command -v "${program%%:*}" >/dev/null ||
    ../../tools/debian.sh "${program##*:}" "FHIR clients from npm are tried against the server" ||
    { echo "the tests of clients from npm will be skipped: ${program%%:*} is missing" >&2; exit 0; }
done
timeout 200 npm ci --fetch-retries 1 --fetch-timeout 30000 >/dev/null 2>&1 ||
  { rm -rf node_modules; echo "the tests of clients from npm will be skipped: npm ci could not install them" >&2; }
