#!/bin/sh
# The certificates of the lake on one machine: an authority of its own, the broker's certificate, one for
# the lake's programs, one for the broker's health check, and one for each gateway.
#
#   certificates.sh first-start             what is needed to start; keeps what is there and in order
#   certificates.sh gateway SITE GATEWAY    a certificate for one more gateway
#   certificates.sh revoke SITE GATEWAY     a gateway's certificate isn't accepted any more
#
# What holds: a certificate that is there and in order is kept, so every start may call this. One that
# ends within 60 days, isn't of this authority, or was made out for other names is made again. A key and
# its certificate are put in place one after the other; a cut in between is found at the next start.
# What it doesn't do: make the authority again. It lasts ten years, and a new one means new certificates
# for every gateway.
#
# The common name is the broker's user name, and docker/mosquitto.acl gives rights by it.
set -eu

folder=${CERTIFICATES:-/certificates}
# Whom clients must be able to call the broker: the service's name, this machine, and its name in the plant.
broker_names="mosquitto localhost ${LAKE_HOST:-localhost}"
first_site=${RETROTAP_SITE:-plant}
first_gateway=${RETROTAP_GATEWAY:-gateway-1}
# Who reads the keys. Empty: whoever runs this.
broker_user=${BROKER_USER-1883}
lake_user=${LAKE_USER-10001}

authority_days=3650
certificate_days=730
renew_before_days=60

authority=$folder/authority
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf 'certificates: %s\n' "$*"; }
fail() {
  printf 'certificates: %s\n' "$*" >&2
  exit 1
}

# The same names as the gateway's settings take, but for a leading dot: they become folders here.
check_name() { # what, name
  case $2 in
    '' | .* | *[!A-Za-z0-9._-]*) fail "$1 \`$2\`: 1 to 64 letters, digits, \`-\`, \`_\` and \`.\`, none of them first a dot" ;;
  esac
}

# A name or an address of the broker, which ends up in OpenSSL's settings.
check_host() { # name
  case $1 in
    '' | *[!A-Za-z0-9.:-]*) fail "LAKE_HOST \`$1\` is no host name and no address" ;;
  esac
}

alternative_names() { # names…
  list=
  for name in "$@"; do
    check_host "$name"
    case $name in
      *:* | *[!0-9.]*) kind=DNS ;;
      *) kind=IP ;;
    esac
    case $name in *:*) kind=IP ;; esac
    case ",$list," in *",$kind:$name,"*) continue ;; esac
    list=${list:+$list,}$kind:$name
  done
  printf '%s' "$list"
}

settings() { # alternative names, common name
  cat >"$work/openssl.cnf" <<END
[ca]
default_ca = lake
[lake]
dir = $authority
database = $authority/index.txt
new_certs_dir = $authority/issued
serial = $authority/serial
rand_serial = yes
certificate = $authority/ca.pem
private_key = $authority/ca.key
default_md = sha256
default_crl_days = $authority_days
policy = policy
unique_subject = no
[policy]
commonName = supplied
[req]
prompt = no
utf8 = yes
distinguished_name = name
[name]
CN = $2
[authority]
basicConstraints = critical,CA:true,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $1
[client]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END
}

new_key() { # file
  (umask 077 && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>"$work/said") || fail "$(cat "$work/said")"
}

make_authority() {
  mkdir -p "$authority/issued"
  chmod 700 "$authority"
  [ -e "$authority/index.txt" ] || : >"$authority/index.txt"
  if [ ! -s "$authority/ca.pem" ]; then
    [ ! -s "$authority/index.txt" ] || fail "$authority has issued certificates but has no ca.pem: bring it back from the backup, or empty the folder and give every gateway a new certificate"
    settings DNS:unused 'Retrotap lake'
    new_key "$work/ca.key"
    openssl req -x509 -new -key "$work/ca.key" -sha256 -days "$authority_days" \
      -config "$work/openssl.cnf" -extensions authority -out "$work/ca.pem"
    mv "$work/ca.key" "$authority/ca.key"
    mv "$work/ca.pem" "$authority/ca.pem"
    say "made an authority, valid for ten years: $authority"
  fi
  [ -s "$authority/ca.key" ] || fail "$authority/ca.key is missing: bring it back from the backup"
  openssl x509 -in "$authority/ca.pem" -noout -checkend $((renew_before_days * 86400)) >/dev/null ||
    say "the authority ends soon: $(openssl x509 -in "$authority/ca.pem" -noout -enddate)"
  [ -s "$authority/crl.pem" ] || make_revocations
}

# The list of what isn't accepted any more; the broker reads it. An empty list is a list too.
make_revocations() {
  settings DNS:unused unused
  openssl ca -batch -config "$work/openssl.cnf" -gencrl -out "$work/crl.pem" 2>"$work/said" || fail "$(cat "$work/said")"
  mv "$work/crl.pem" "$authority/crl.pem"
}

# Is this certificate there, of this authority, not revoked, with its key, and not at its end?
in_order() { # certificate, key
  [ -s "$1" ] && [ -s "$2" ] || return 1
  openssl x509 -in "$1" -noout -checkend $((renew_before_days * 86400)) >/dev/null || return 1
  openssl verify -crl_check -CAfile "$authority/ca.pem" -CRLfile "$authority/crl.pem" "$1" >/dev/null 2>&1 || return 1
  [ "$(openssl x509 -in "$1" -noout -pubkey)" = "$(openssl pkey -in "$2" -pubout 2>/dev/null)" ]
}

issue() { # folder, stem, common name, server or client, alternative names
  settings "${5:-DNS:unused}" "$3"
  new_key "$work/new.key"
  openssl req -new -key "$work/new.key" -config "$work/openssl.cnf" -out "$work/new.csr" 2>"$work/said" ||
    fail "no certificate for $3: $(cat "$work/said")"
  # Valid from yesterday on, for gateways whose clocks are a little behind.
  openssl ca -batch -notext -config "$work/openssl.cnf" -extensions "$4" \
    -startdate "$(date -u -d '1 day ago' +%Y%m%d%H%M%SZ)" -days "$certificate_days" \
    -in "$work/new.csr" -out "$work/new.pem" 2>"$work/said" || fail "no certificate for $3: $(cat "$work/said")"
  mkdir -p "$1"
  mv "$work/new.key" "$1/$2.key"
  mv "$work/new.pem" "$1/$2.pem"
  say "made $1/$2.pem for $3, $(openssl x509 -in "$1/$2.pem" -noout -enddate | sed 's/notAfter=/valid until /')"
}

belongs_to() { # user, folder
  chmod 750 "$2"
  [ -z "$1" ] || chown -R "$1:$1" "$2"
}

for_broker() {
  # The names are separate words.
  # shellcheck disable=SC2086
  names=$(alternative_names $broker_names)
  if ! in_order "$folder/broker/broker.pem" "$folder/broker/broker.key" ||
    [ "$(cat "$folder/broker/names" 2>/dev/null)" != "$names" ]; then
    issue "$folder/broker" broker mosquitto server "$names"
    printf '%s\n' "$names" >"$folder/broker/names"
  fi
  in_order "$folder/broker/health.pem" "$folder/broker/health.key" || issue "$folder/broker" health health client
  cp "$authority/ca.pem" "$authority/crl.pem" "$folder/broker/"
  belongs_to "$broker_user" "$folder/broker"
}

for_lake() {
  in_order "$folder/lake/lake.pem" "$folder/lake/lake.key" || issue "$folder/lake" lake retrotap-lake client
  cp "$authority/ca.pem" "$folder/lake/"
  belongs_to "$lake_user" "$folder/lake"
}

for_gateway() { # site, gateway
  check_name site "$1"
  check_name gateway "$2"
  in_order "$folder/gateways/$1/$2/gateway.pem" "$folder/gateways/$1/$2/gateway.key" ||
    issue "$folder/gateways/$1/$2" gateway "$1/$2" client
  cp "$authority/ca.pem" "$folder/gateways/$1/$2/"
  say "the gateway $2 at $1 takes ca.pem, gateway.pem and gateway.key from $folder/gateways/$1/$2:"
  say "    docker compose -f docker/compose.yaml cp certificates:$folder/gateways/$1/$2 ."
}

case ${1:-} in
  first-start)
    [ $# = 1 ] || fail "first-start takes no more words"
    make_authority
    for_broker
    for_lake
    for_gateway "$first_site" "$first_gateway"
    ;;
  gateway)
    [ $# = 3 ] || fail "say it as: gateway SITE GATEWAY"
    make_authority
    for_gateway "$2" "$3"
    ;;
  revoke)
    [ $# = 3 ] || fail "say it as: revoke SITE GATEWAY"
    check_name site "$2"
    check_name gateway "$3"
    make_authority
    # All that were made out for it, also those before a renewal.
    serials=$(awk -F '\t' -v name="/CN=$2/$3" '{gsub(/\\/, "", $6)} $1 == "V" && $6 == name {print $4}' "$authority/index.txt")
    [ -n "$serials" ] || fail "there is no certificate for $2/$3"
    settings DNS:unused unused
    for serial in $serials; do
      openssl ca -batch -config "$work/openssl.cnf" -revoke "$authority/issued/$serial.pem" 2>"$work/said" ||
        fail "$(cat "$work/said")"
    done
    make_revocations
    for_broker
    say "revoked $2/$3. The broker reads the list when it is told to:"
    say "    docker compose -f docker/compose.yaml kill -s HUP mosquitto"
    ;;
  *)
    fail "say one of: first-start, gateway SITE GATEWAY, revoke SITE GATEWAY"
    ;;
esac
