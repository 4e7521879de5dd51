#!/usr/bin/env bash
# Checks every file of docker/ and k8s/ (tests/scenarios/deploy), after tests/support/setup.sh test and
# `cargo build --workspace`. No container engine is needed, and none is used: what an image does when it
# runs isn't seen here.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Only pytest itself: packages bring plugins along that need others.
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTHONDONTWRITEBYTECODE=1
exec target/tools/venv/bin/python -m pytest -q -rs -p no:cacheprovider tests/scenarios/deploy "$@"
