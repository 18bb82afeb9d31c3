#!/usr/bin/env bash
# Creates .venv with everything the project needs, from pinned versions. Idempotent: `make setup` calls it when a lock changes.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" - <<'PY'
import sys
if sys.version_info < (3, 11):
    sys.exit(f"Hanlin needs Python 3.11 or newer; this is {sys.version.split()[0]}. Set PYTHON=/path/to/python3.11 and run make again.")
PY
if [ ! -x .venv/bin/python ]; then
  echo "1/3 Creating .venv with $("$python" --version) …"
  "$python" -m venv .venv
fi
echo "2/3 Installing $(grep -cE '^[A-Za-z0-9]' requirements.lock) pinned packages into .venv (3 GB, about two minutes the first time, more on a slow line) …"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
echo "3/3 Installing Hanlin itself …"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
touch .venv/.ready
echo "Ready: .venv/bin/hanlin --help, or make run."
