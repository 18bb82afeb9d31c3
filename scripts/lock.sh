#!/usr/bin/env bash
# Renews requirements.lock: installs the extras into a fresh environment and writes down what came. Holds no host names.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "torch==2.13.0" hatchling editables
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ".[server,train,gguf,keras,silver,postgres,dev]" hatchling editables
{
  echo "# Every package of .venv with its version; renewed by make lock."
  "$folder/venv/bin/pip" freeze --exclude hanlin | grep -v '^hanlin @' | sed 's/+cpu$//; s/ @ file.*//'
} >requirements.lock
