#!/bin/sh
# Passwords and tokens of the lake on one machine, made at the first start and kept. Each stands in a file
# that only the program that needs it can read; none stands in the YAML or in an environment.
#
# InfluxDB takes its administrator's token from here once, when its volume is empty. Another token in the
# file changes nothing there afterwards: make a new one with `influx auth create`.
set -eu

folder=${SECRETS:-/secrets}
# Who reads the files. Empty: whoever runs this.
influxdb_user=${INFLUXDB_USER-1000}
grafana_user=${GRAFANA_USER-472}
lake_user=${LAKE_USER-10001}

random() { # characters: letters and digits alone, so that no quoting can go wrong
  LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c "$1"
}

secret() { # file, characters
  if [ -s "$1" ]; then return; fi
  (umask 077 && random "$2" >"$1.new")
  mv "$1.new" "$1"
  printf 'secrets: made %s\n' "$1"
}

belongs_to() { # user, folder
  chmod 700 "$2"
  [ -z "$1" ] || chown -R "$1:$1" "$2"
}

mkdir -p "$folder/influxdb" "$folder/sink" "$folder/grafana" "$folder/grafana-influxdb"
secret "$folder/influxdb/admin-password" 32
secret "$folder/influxdb/admin-token" 64
secret "$folder/grafana/admin-password" 24
(umask 077 && cp "$folder/influxdb/admin-token" "$folder/sink/token")

belongs_to "$influxdb_user" "$folder/influxdb"
belongs_to "$lake_user" "$folder/sink"
belongs_to "$grafana_user" "$folder/grafana"
# InfluxDB's first start writes a token for reading here (docker/influxdb-tokens.sh), and Grafana reads it.
[ -z "$influxdb_user" ] || chown "$influxdb_user:$grafana_user" "$folder/grafana-influxdb"
chmod 2750 "$folder/grafana-influxdb"
printf 'secrets: the password of Grafana (user admin) is in %s\n' "$folder/grafana/admin-password"
