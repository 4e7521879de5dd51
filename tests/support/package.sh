#!/usr/bin/env bash
# Looks at Debian packages of the gateway as whoever gets them would: what is in them, what lintian and
# systemd say, whether they install, update and go away cleanly in a Debian of their own, and whether the
# program inside does the KR C2 test cases, for arm64 in an emulator.
#   package.sh FILE.deb…
# BUILT_HERE=dev says that the amd64 one was made of the tests' own binary, which has paths in it.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
debian=target/package-root

check() { # sentence, command…: all that it says is shown if it fails
  local sentence=$1
  shift
  if "$@" >"$work/said" 2>&1; then
    passed=$((passed + 1))
    printf 'ok      %s\n' "$sentence"
  else
    failed=$((failed + 1))
    printf 'FAILED  %s\n' "$sentence"
    sed 's/^/        /' "$work/said"
  fi
}
skip() {
  skipped=$((skipped + 1))
  printf 'skipped %s\n' "$1"
}

# ── What is in it

# Everything that isn't documentation, with its mode and owner.
expected_files() {
  cat <<'END'
-rw-r--r-- root/root ./etc/retrotap/retrotap.yaml.example
-rw-r--r-- root/root ./usr/lib/modules-load.d/retrotap.conf
-rw-r--r-- root/root ./usr/lib/systemd/system/retrotap.service
-rw-r--r-- root/root ./usr/lib/sysusers.d/retrotap.conf
-rw-r--r-- root/root ./usr/lib/udev/rules.d/60-retrotap.rules
-rw-r--r-- root/root ./usr/share/bash-completion/completions/retrotap
-rw-r--r-- root/root ./usr/share/fish/vendor_completions.d/retrotap.fish
-rw-r--r-- root/root ./usr/share/zsh/vendor-completions/_retrotap
-rwxr-xr-x root/root ./usr/bin/retrotap
END
}
files() {
  dpkg-deb -c "$deb" | awk '!/\/$/ {print $1, $2, $6}' | sort -k 3 >"$work/files"
  diff <(expected_files | sort -k 3) <(grep -v ' ./usr/share/\(doc\|man\)/' "$work/files") &&
    ! grep -v '^-rw-r--r-- root/root ' <(grep ' ./usr/share/' "$work/files")
}
documentation() {
  local page
  for page in copyright changelog.gz changelog.Debian.gz third-party.gz handbook/install.md handbook/settings.md; do
    grep -q " ./usr/share/doc/retrotap/$page$" "$work/files" || { echo "no $page"; return 1; }
  done
  grep -q ' ./usr/share/man/man1/retrotap-run.1.gz$' "$work/files" || { echo "no man page"; return 1; }
  # The texts of licences of libraries that are surely in it.
  gzip -dc "$x/usr/share/doc/retrotap/third-party.gz" >"$work/third-party" &&
    grep -q '^tokio 1' "$work/third-party" && grep -q '^wasmtime 4' "$work/third-party"
}
sums() { (cd "$x" && md5sum --quiet -c "$work/control/md5sums"); }
scripts() { sh -n "$work/control/postinst" && sh -n "$work/control/prerm" && sh -n "$work/control/postrm"; }
machine() {
  local header
  header=$(readelf -h "$x/usr/bin/retrotap") &&
    case $arch in
      amd64) grep -q 'Machine:.*X86-64' <<<"$header" ;;
      arm64) grep -q 'Machine:.*AArch64' <<<"$header" ;;
    esac
}
stripped() { ! readelf -S "$x/usr/bin/retrotap" | grep -E '\.(symtab|debug_(info|line))'; }
libraries() { # nothing but what Depends names
  ! readelf -d "$x/usr/bin/retrotap" | grep NEEDED | grep -vE 'lib(c|m|gcc_s)\.so\.|ld-linux'
}
no_path() {
  local path
  for path in "$PWD" "${CARGO_HOME:-$HOME/.cargo}" "$(rustc --print sysroot)"; do
    ! strings -a "$x/usr/bin/retrotap" | grep -F -m 3 "$path" || return 1
  done
}

# ── What it does

retrotap() { # the program inside, whichever machine it is for
  if [ "$arch" = "$(dpkg --print-architecture)" ]; then "$x/usr/bin/retrotap" "$@"; else
    qemu-aarch64-static -L /usr/aarch64-linux-gnu "$x/usr/bin/retrotap" "$@"
  fi
}
example() { HOME=$work retrotap check "$x/etc/retrotap/retrotap.yaml.example"; }
one_case() { # folder
  local obstacles=()
  if [ -f "$1/obstacles.json" ]; then obstacles=(--obstacles "$1/obstacles.json"); fi
  HOME=$work retrotap replay "$1/capture.pcapng" --adapter kuka-krc2 "${obstacles[@]}" \
    --expect "$1/expected.jsonl" || { echo "$1"; return 1; }
}
cases() { # side by side: an emulator takes its time
  local folder case running=() wrong=0
  for folder in adapters/machines/kuka-krc2/testcases/*/; do
    one_case "$folder" &
    running+=($!)
  done
  for case in "${running[@]}"; do wait "$case" || wrong=$((wrong + 1)); done
  echo "${#running[@]} cases, $wrong wrong"
  [ "${#running[@]}" -ge 5 ] && [ "$wrong" = 0 ]
}

# ── What others say of it

# What lintian should not say, each with its reason, stands in gateway/package/lintian.
lint() { lintian --allow-root --no-cfg --fail-on error,warning --suppress-tags-from-file gateway/package/lintian "$deb"; }
security() { # at most 1.5 of 10; most services have more than 9
  systemd-analyze security --offline=true --threshold=15 --no-pager "$x/usr/lib/systemd/system/retrotap.service"
}

# ── A Debian of its own

debian_there() {
  [ -e "$debian/usr/bin/apt-get" ] && [ -e "$debian/.whole" ] && return 0
  rm -rf "$debian"
  debootstrap --variant=minbase --include=systemd,init-system-helpers,kmod,udev bookworm "$debian" &&
    touch "$debian/.whole"
}
inside() { chroot "$copy" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
begin() {
  copy=$work/debian
  cp -a "$debian" "$copy" && cp "$deb" "$copy/retrotap.deb"
}
installs() { # `dpkg` fetches nothing, so every dependency must be there
  inside dpkg -i /retrotap.deb && [ -z "$(inside dpkg --audit)" ]
}
user() { inside id retrotap | grep -q '(dialout)'; }
enabled() { [ "$(inside systemctl is-enabled retrotap.service)" = enabled ]; }
disabled() { [ "$(inside systemctl is-enabled retrotap.service)" = disabled ]; }
verify() { # what systemd doesn't like it says, and ends well all the same
  local said
  said=$(inside systemd-analyze verify --man=no /usr/lib/systemd/system/retrotap.service 2>&1) || { echo "$said"; return 1; }
  [ -z "$said" ] || { echo "$said"; return 1; }
}
runs_inside() {
  inside retrotap --version && inside retrotap check /etc/retrotap/retrotap.yaml.example
}
again() { inside /var/lib/dpkg/info/retrotap.postinst configure "" && inside /var/lib/dpkg/info/retrotap.postinst configure ""; }
settle() {
  inside cp /etc/retrotap/retrotap.yaml.example /etc/retrotap/retrotap.yaml
  echo '# mine' >>"$copy/etc/retrotap/retrotap.yaml"
  mkdir -p "$copy/var/lib/retrotap/spool" "$copy/etc/retrotap/retrotap.yaml.d"
  echo data >"$copy/var/lib/retrotap/spool/store"
}
keeps() { grep -q '# mine' "$copy/etc/retrotap/retrotap.yaml" && [ -e "$copy/var/lib/retrotap/spool/store" ]; }
update() { # whoever disabled it meant it
  inside systemctl disable retrotap.service && inside dpkg -i /retrotap.deb && disabled && keeps
}
removes() {
  inside dpkg -r retrotap && [ ! -e "$copy/usr/bin/retrotap" ] && keeps
}
back() { inside dpkg -i /retrotap.deb && keeps && inside systemctl enable retrotap.service && enabled; }
purges() {
  inside dpkg -P retrotap || return 1
  local left
  left=$(find "$copy/etc" "$copy/usr" "$copy/var" -name '*retrotap*' ! -path '*/var/log/*')
  [ -z "$left" ] || { echo "$left"; return 1; }
}

for deb in "$@"; do
  arch=$(dpkg-deb -f "$deb" Architecture)
  x=$work/$arch
  dpkg-deb -x "$deb" "$x" && rm -rf "$work/control" && dpkg-deb -e "$deb" "$work/control"
  printf '%s\n' "$deb"
  check "$arch: the files, their modes and owners" files
  check "$arch: documentation, and the licences of what is inside" documentation
  check "$arch: every sum is right" sums
  check "$arch: the scripts can be read" scripts
  check "$arch: the program is for this machine" machine
  check "$arch: it is stripped" stripped
  check "$arch: it needs no other library than the package says" libraries
  if [ "$arch" = amd64 ] && [ "${BUILT_HERE:-}" = dev ]; then
    skip "$arch: no path of this machine (the tests' own binary has them; \`make package\` looks)"
  else
    check "$arch: no path of this machine is in it" no_path
  fi
  check "$arch: lintian" lint
  check "$arch: systemd finds the service closed enough" security
  check "$arch: the example of the settings holds" example
  check "$arch: the KR C2 test cases, byte for byte" cases
  if [ "$arch" != "$(dpkg --print-architecture)" ]; then continue; fi
  if [ "$(id -u)" != 0 ]; then
    skip "$arch: installing it (a Debian of its own needs root)"
    continue
  fi
  check "$arch: a Debian to install it in" debian_there
  check "$arch: a copy of it" begin
  check "$arch: it installs" installs
  check "$arch: the user, in the group of serial ports" user
  check "$arch: the service is enabled" enabled
  check "$arch: systemd finds no fault in the unit" verify
  check "$arch: it runs, and accepts the example where it is" runs_inside
  check "$arch: configured again, and again" again
  check "$arch: settings and data of one's own" settle
  check "$arch: an update leaves them, and a service that was disabled" update
  check "$arch: removal leaves them too" removes
  check "$arch: installed again, they are in use again" back
  check "$arch: purged, nothing is left" purges
done
printf '%d passed, %d failed, %d skipped\n' $passed $failed $skipped
[ $failed -eq 0 ]
