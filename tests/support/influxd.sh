#!/usr/bin/env bash
# Builds InfluxDB 2 (influxd) from its Go module into target/tools/bin, once: some 20 minutes, so only
# for `make test-full`. Its Flux engine is a library in Rust that its own pkg-config builds on the way.
# Exit code 3 where it can't be built here, with the reason on the last line.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=v2.7.11
tools=$PWD/target/tools
out=$tools/bin/influxd

say() { printf 'influxd: %s\n' "$*"; }

[ -x "$out" ] && exit 0
if ! command -v go >/dev/null 2>&1; then
  say "Go is missing: install Go 1.21 or newer, https://go.dev"
  exit 3
fi
for tool in clang pkg-config protoc; do
  command -v "$tool" >/dev/null 2>&1 || say "$tool is missing; the build may want it (Debian: clang pkg-config protobuf-compiler)"
done
mkdir -p "$tools/bin" target/influxd
export GOBIN=$tools/bin GOFLAGS=-mod=mod
say "building influxdata's pkg-config"
nice -n 19 go install github.com/influxdata/pkg-config@v0.2.14
cd target/influxd
cat >go.mod <<'MOD'
module retrotap.tests/influxd

go 1.21
MOD
cat >tools.go <<'GO'
//go:build tools

package tools

import _ "github.com/influxdata/influxdb/v2/cmd/influxd"
GO
nice -n 19 go get "github.com/influxdata/influxdb/v2/cmd/influxd@$version"
say "building influxd $version"
# Without the page's assets, which are not in the module.
if ! PKG_CONFIG=$tools/bin/pkg-config nice -n 19 go build -tags "sqlite_foreign_keys,sqlite_json" \
  -o "$out.part" github.com/influxdata/influxdb/v2/cmd/influxd; then
  say "it can't be built here"
  exit 3
fi
mv "$out.part" "$out"
"$out" version
