#!/usr/bin/env bash
# Builds a Debian package of the gateway: target/package/retrotap_<version>_<arch>.deb
#   build.sh amd64|arm64 [PROFILE]
# PROFILE is `release` unless given. `make test` gives `dev`: for the machine that builds, that takes what
# the tests have built; for the other one, the same program as `release`, built soon and not for speed.
#
# A script over dpkg-deb, and not cargo-deb: that one would have to be compiled first, and what it saves
# is the one line that calls dpkg-deb; the users, the unit and the scripts would be the same files.
set -euo pipefail
cd "$(dirname "$0")/../.."
arch=${1:?amd64 or arm64}
profile=${2:-release}
here=gateway/package
native=$(dpkg --print-architecture)
case $arch in
  amd64) triple=x86_64-unknown-linux-gnu gnu=x86_64-linux-gnu ;;
  arm64) triple=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu ;;
  *) echo "build.sh: \`$arch\` is neither amd64 nor arm64" >&2; exit 2 ;;
esac
for tool in "$gnu-strip" "$gnu-objdump" dpkg-deb; do
  command -v "$tool" >/dev/null || { echo "build.sh: $tool is missing: run tests/support/setup.sh package" >&2; exit 1; }
done

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)-1
# The commit's time, so that a package is the same whenever it is built.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH

# ── The program

# The library for the target: rustup's if it has one, else Debian's Rust builds it from its source.
cross() { # cargo's arguments…
  local cargo=(cargo) std=()
  if ! ls "$(rustc --print target-libdir --target "$triple" 2>/dev/null)" >/dev/null 2>&1; then
    if [ ! -d /usr/lib/rustlib/src/rust/library/std ]; then
      echo "build.sh: no library for $triple: run tests/support/setup.sh package" >&2
      exit 1
    fi
    cargo=(env RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 /usr/bin/cargo)
    std=('-Zbuild-std=std,panic_unwind')
  fi
  local registry=${CARGO_HOME:-$HOME/.cargo}/registry/src name=${triple^^}
  local flags=("--remap-path-prefix=$registry=crates" "--remap-path-prefix=$PWD=retrotap")
  local IFS=$'\x1f'
  # Without optimisation the build takes a third of the time.
  local soon=()
  [ "$profile" != dev ] || soon=(CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=false)
  # No path of the machine that builds, neither from Rust nor from the libraries in C.
  env "${soon[@]}" "CARGO_ENCODED_RUSTFLAGS=${flags[*]}" \
    "CFLAGS_${triple//-/_}=-ffile-prefix-map=$registry=crates -ffile-prefix-map=$PWD=retrotap" \
    "CC_${triple//-/_}=$gnu-gcc" "AR_${triple//-/_}=$gnu-ar" \
    "CARGO_TARGET_${name//-/_}_LINKER=$gnu-gcc" \
    RETROTAP_COMMIT="$(git describe --always --dirty 2>/dev/null)" \
    "${cargo[@]}" build --locked -p retrotap --bin retrotap --example help-files --target "$triple" --profile "$profile" "${std[@]}"
}

if [ "$profile $arch" = "dev $native" ]; then built=target/debug; else
  cross
  built=target/$triple/${profile/#dev/debug}
fi
run=()
[ "$arch" = "$native" ] || run=(qemu-aarch64-static -L "/usr/$gnu")

# ── The folder

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
put() { # mode, file, place…
  install -D -m "$1" "$2" "$root/$3"
}
pack() { # place: what comes in, compressed, without a time
  mkdir -p "$(dirname "$root/$1")"
  gzip -9n >"$root/$1"
}
doc=usr/share/doc/retrotap

put 755 "$built/retrotap" usr/bin/retrotap
"$gnu-strip" --strip-unneeded --remove-section=.comment --remove-section=.note "$root/usr/bin/retrotap"
put 644 $here/retrotap.service usr/lib/systemd/system/retrotap.service
put 644 $here/sysusers.conf usr/lib/sysusers.d/retrotap.conf
put 644 $here/modules-load.conf usr/lib/modules-load.d/retrotap.conf
put 644 $here/udev.rules usr/lib/udev/rules.d/60-retrotap.rules
put 644 $here/retrotap.yaml.example etc/retrotap/retrotap.yaml.example
put 644 $here/copyright $doc/copyright
for page in docs/*.md; do put 644 "$page" "$doc/handbook/$(basename "$page")"; done
pack $doc/changelog.gz <CHANGELOG.md
pack $doc/changelog.Debian.gz <<END
retrotap ($version) stable; urgency=medium

  * See changelog.gz.

 -- The Retrotap authors <maintainers@retrotap.example>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
$here/third-party.sh "$triple" | pack $doc/third-party.gz
# Man pages and completions come from the arguments themselves.
"${run[@]}" "$built/examples/help-files" "$root"
find "$root/usr/share/man" -type f -exec gzip -9n {} +

# ── The package

# The least libc that has every symbol's version, and libgcc, which unwinds panics.
libc=$("$gnu-objdump" -T "$root/usr/bin/retrotap" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)
mkdir "$root/DEBIAN"
(cd "$root" && find etc -type f -printf '/%p\n' | sort) >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m 755 $here/$script "$root/DEBIAN/$script"; done
cat >"$root/DEBIAN/control" <<END
Package: retrotap
Version: $version
Architecture: $arch
Maintainer: The Retrotap authors <maintainers@retrotap.example>
Installed-Size: $(du -k --apparent-size -s --exclude=DEBIAN "$root" | cut -f 1)
Depends: libc6 (>= ${libc#GLIBC_}), libgcc-s1 (>= 4.2), systemd (>= 247), init-system-helpers (>= 1.52), kmod
Section: net
Priority: optional
Description: gateway for machines that speak only RS-232
 Listens to the serial lines of robots, presses, mills and scales, runs a
 pipeline of WebAssembly stages for each machine, shows the result in a
 browser and sends it over MQTT with TLS.
 .
 Distances to people and things are advisory: this is not a safety function.
END
(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\n' | sort | xargs -d '\n' md5sum) >"$root/DEBIAN/md5sums"
chmod 644 "$root"/DEBIAN/{conffiles,control,md5sums}
find "$root" -type d -exec chmod 755 {} +
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
quick=()
[ "$profile" != dev ] || quick=(-z1)
mkdir -p target/package
deb=target/package/retrotap_${version}_$arch.deb
dpkg-deb --root-owner-group -Zxz "${quick[@]}" --build "$root" "$deb" >/dev/null
printf '%s: %d kB, installed %d kB, the program %d kB\n' "$deb" \
  $(($(stat -c %s "$deb") / 1000)) "$(du -k --apparent-size -s --exclude=DEBIAN "$root" | cut -f 1)" \
  $(($(stat -c %s "$root/usr/bin/retrotap") / 1000))
