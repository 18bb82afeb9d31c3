#!/usr/bin/env bash
# Makes sure there is a Chromium with CJK fonts for the console's tests. Installs Debian packages only where root and needed.
set -euo pipefail
if command -v chromium >/dev/null && fc-list 2>/dev/null | grep -qi cjk; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Chromium and CJK fonts for the console's tests …"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends chromium fontconfig fonts-noto-cjk >/dev/null
elif ! command -v chromium >/dev/null; then
  echo "The console's tests need Chromium: install it (Debian: apt-get install chromium fonts-noto-cjk) and run make again." >&2
  exit 1
fi
