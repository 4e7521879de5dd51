#!/usr/bin/env bash
# Builds InfluxDB's server as a tool of the Go module beside this, into target/tools/influxd. Needs Go and
# some minutes of one core, once; `make test-full` and the chart of the README use it.
set -euo pipefail
cd "$(dirname "$0")/../../.."

say() { printf 'influxd: %s\n' "$*"; }

into=$PWD/target/tools/influxd
version=$(sed -n 's|.*github.com/influxdata/influxdb/v2 v\([^ ]*\).*|\1|p' tests/support/influxd/go.mod)
[ "$(cat "$into/version" 2>/dev/null)" != "$version" ] || exit 0
command -v go >/dev/null 2>&1 || {
  say "Go 1.24 or newer is missing (Debian 12 has 1.19): https://go.dev/dl"
  exit 1
}
say "building InfluxDB $version (some minutes, once)"
mkdir -p "$into"
# Its query language is a Rust library, which its own pkg-config builds on the way.
GOBIN=$into go install github.com/influxdata/pkg-config@v0.2.14
# That library names an old Rust to be fetched, and takes a newer one's warnings for errors.
cat >"$into/rustc-quiet" <<'END'
#!/bin/sh
exec "$@" --cap-lints=allow
END
chmod +x "$into/rustc-quiet"
toolchain=$(rustup show active-toolchain 2>/dev/null | cut -d' ' -f1 || true)
export RUSTC_WRAPPER=$into/rustc-quiet PKG_CONFIG=$into/pkg-config
[ -z "$toolchain" ] || export RUSTUP_TOOLCHAIN=$toolchain
# Without the assets of its page, which are no part of the module.
(cd tests/support/influxd && go build -tags noassets -o "$into/influxd" github.com/influxdata/influxdb/v2/cmd/influxd)
printf '%s\n' "$version" >"$into/version"
