#!/bin/bash
# Run by InfluxDB's image once, after it has set up an empty volume: a token that can only read, for
# Grafana. Who may look at a dashboard may send any query through it, so it must not be able to write.
set -euo pipefail

to=${GRAFANA_TOKEN:-/secrets/grafana-influxdb/token}
answer=$(influx auth create --org "$DOCKER_INFLUXDB_INIT_ORG" --description 'Grafana reads' --read-buckets --json)
token=$(sed -n 's/^[[:space:]]*"token": *"\([^"]*\)".*/\1/p' <<<"$answer")
[ -n "$token" ] || { echo "influxdb-tokens: no token in the answer" >&2; exit 1; }
(umask 027 && printf '%s' "$token" >"$to")
echo "influxdb-tokens: Grafana's token is in $to"
