#!/bin/bash
# Exit code 0 where `GET PATH` on this machine is answered with 200. For health checks in images that have
# neither curl nor wget: bash can open a connection by itself.
#
#   healthy.sh PORT PATH
set -euo pipefail

exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$2" >&3
IFS=' ' read -r -t 3 _ status _ <&3
[ "$status" = 200 ]
