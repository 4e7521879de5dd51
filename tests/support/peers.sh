#!/usr/bin/env bash
# Builds what `make bench-lake` compares with, once, into target/tools/peers: Telegraf as a Go module with
# the plugins that are needed, and Node-RED from npm. What can't be had is said and left out: the bench then
# says so too.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
peers=$PWD/target/tools/peers

telegraf_version=1.37.2
node_red_version=5.0.7
serialport_version=2.0.3

say() { printf 'peers: %s\n' "$*"; }

telegraf() {
  [ -x "$peers/telegraf/telegraf" ] && return 0
  command -v go >/dev/null 2>&1 || { say "no Go, no Telegraf: apt-get install golang"; return 0; }
  say "building Telegraf $telegraf_version (some minutes, once)"
  mkdir -p "$peers/telegraf"
  (
    cd "$peers/telegraf" || exit 1
    export CGO_ENABLED=0 GOFLAGS=-mod=mod
    [ -f go.mod ] || go mod init bench/telegraf
    go get "github.com/influxdata/telegraf@v$telegraf_version"
    # Telegraf's own choice of plugins: `custom`, and then only those that are named.
    tags=custom,inputs.mqtt_consumer,inputs.kafka_consumer,outputs.kafka,outputs.influxdb_v2
    tags=$tags,parsers.json,parsers.influx,serializers.influx
    go build -trimpath -ldflags '-s -w' -tags "$tags" -o telegraf github.com/influxdata/telegraf/cmd/telegraf
  ) || say "Telegraf can't be built here"
}

node_red() {
  [ -d "$peers/node-red/node_modules/node-red-node-serialport" ] && return 0
  say "installing Node-RED $node_red_version"
  mkdir -p "$peers/node-red"
  (
    cd "$peers/node-red" || exit 1
    npm install --no-audit --no-fund --omit=dev --loglevel=error "node-red@$node_red_version" \
      "node-red-node-serialport@$serialport_version"
  ) || say "Node-RED can't be installed here"
}

telegraf
node_red
