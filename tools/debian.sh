#!/usr/bin/env bash
# Install one Debian package that a make target needs, and say why; without root, say what to ask for.
# usage: tools/debian.sh PACKAGE "what for"
set -euo pipefail
package=$1
reason=$2
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "installing the Debian package $package: $reason"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq "$package" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq "$package" >/dev/null; }
else
  echo "the Debian package $package is missing: $reason. Install it (sudo apt-get install $package) and run this again." >&2
  exit 1
fi
