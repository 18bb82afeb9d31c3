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
[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "Installing pinned dependencies into .venv (about two minutes the first time) …"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
touch .venv/.ready
