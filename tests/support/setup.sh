#!/usr/bin/env bash
# Installs what a build, or the tests, need beyond Rust, Node, Java and gcc.
#   setup.sh build   a target for the stages (by rustup, else Debian's own Rust for WebAssembly)
#   setup.sh package that, and a compiler, libraries and an emulator for arm64, lintian and debootstrap
#   setup.sh test    all of it, clang, a broker, Kafka, a time-series database, a clock to be set, a browser, a
#                    dissector for captures, cargo-deny, and what judges docker/ and k8s/
# Installs Debian packages as root or with sudo; where neither is possible it prints the line to run.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf 'setup: %s\n' "$*"; }

need_tool() { # tool, what it is for
  command -v "$1" >/dev/null 2>&1 || { say "$1 is missing: $2"; exit 1; }
}

install_debian() { # packages…
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local line="apt-get install -y --no-install-recommends ${missing[*]}"
  local as=()
  if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then as=(sudo); else
      say "these Debian packages are missing; run as root: $line"
      exit 1
    fi
  fi
  say "installing ${missing[*]}"
  "${as[@]}" apt-get update -q >/dev/null
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive "${as[@]}" $line >/dev/null
}

stage_target() {
  rustup target list --installed 2>/dev/null | grep -qx wasm32v1-none && return 0
  timeout 120 rustup target add wasm32v1-none >/dev/null 2>&1 && return 0
  install_debian rustc-web cargo-web rust-web-src lld-22
}

arm64_target() {
  install_debian gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
  rustup target list --installed 2>/dev/null | grep -qx aarch64-unknown-linux-gnu && return 0
  timeout 300 rustup target add aarch64-unknown-linux-gnu >/dev/null 2>&1 && return 0
  install_debian rustc-web cargo-web rust-web-src
}

# Apache Kafka as its published jars, which Java runs as they are.
kafka() {
  compgen -G 'target/tools/kafka/kafka_2.13-*.jar' >/dev/null && return 0
  command -v java >/dev/null 2>&1 || install_debian default-jre-headless
  command -v mvn >/dev/null 2>&1 || install_debian maven
  say "fetching Kafka's jars (40 MB, once)"
  # The folder gets its name when it is whole.
  rm -rf target/tools/kafka target/tools/kafka.part
  mkdir -p target/tools
  mvn -B -q -f tests/support/kafka/pom.xml dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$PWD/target/tools/kafka.part"
  mv target/tools/kafka.part target/tools/kafka
}

need_tool cargo "install Rust 1.95 or newer, https://rustup.rs"
need_tool npm "install Node 20 or newer, https://nodejs.org"
need_tool cc "install a C compiler, for Debian: apt-get install gcc libc6-dev"
# The lake's Kafka client is librdkafka, compiled here with TLS; the tests have one too.
install_debian libssl-dev pkg-config
stage_target
case ${1:-build} in package | test)
  arm64_target
  install_debian binutils lintian debootstrap systemd
  ;;
esac
if [ "${1:-build}" = test ]; then
  install_debian mosquitto mosquitto-clients victoria-metrics faketime tshark chromium
  kafka
  # Stages in C: the compiler, and a linker that knows memory in pages of one byte.
  install_debian clang lld-22
  # For docker/ and k8s/.
  install_debian shellcheck openssl
  python3 -c 'import ensurepip' 2>/dev/null || install_debian python3-venv
  tests/support/deploy/setup.sh
  if ! target/tools/bin/cargo-deny --version >/dev/null 2>&1; then
    say "building cargo-deny (some minutes, once)"
    cargo install --quiet --locked --root target/tools --version 0.20.2 cargo-deny
  fi
fi
