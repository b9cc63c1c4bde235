#!/usr/bin/env bash
# Makes .venv and installs every pin and the package into it:  tools/make_venv.sh [python]
# Works where the venv module comes without pip, as in some Linux distributions.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${1:-python3}"

if ! command -v "$python" >/dev/null; then
  echo "No '$python' was found. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python" >&2
  exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "$("$python" --version) is too old: Python 3.11 or newer is needed." >&2
  echo "Install one (Debian, Ubuntu: apt-get install python3.11 python3.11-venv; macOS: brew install python)" >&2
  echo "and name it: make PYTHON=python3.11" >&2
  exit 1
fi

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  echo "Making .venv with $("$python" --version)"
  rm -rf .venv
  "$python" -m venv .venv >/dev/null 2>&1 ||
    { rm -rf .venv; "$python" -m venv --without-pip .venv >/dev/null 2>&1 &&
      "$python" -m pip --python .venv/bin/python install -q pip; } ||
    { rm -rf .venv; "$python" -m virtualenv -q .venv; } ||
    { rm -rf .venv
      echo "No virtual environment could be made: install the module for it" >&2
      echo "(Debian, Ubuntu: apt-get install python3-venv; or: $python -m pip install virtualenv)." >&2
      exit 1; }
fi

echo "Installing the pinned packages into .venv (a few minutes the first time)"
.venv/bin/python -m pip install -q --disable-pip-version-check -r requirements.txt
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps -e .
