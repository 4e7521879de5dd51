#!/usr/bin/env bash
# The libraries inside the program, each with its licence, and every text once.
#   third-party.sh TRIPLE
set -euo pipefail
cd "$(dirname "$0")/../.."
sources=${CARGO_HOME:-$HOME/.cargo}/registry/src

crates() {
  cargo tree --locked -p retrotap --target "$1" -e normal --prefix none --format '{p}|{l}' |
    sed -E 's/ \((proc-macro|\*)\)//g' | grep -v '(/' | sort -u
}

list=$(crates "$1")
printf 'Libraries in Rust\n\n'
echo 'std (Rust, https://www.rust-lang.org): MIT OR Apache-2.0'
sed -E 's/ v([^|]*)\|/ \1: /' <<<"$list"

# A text that many share stands here once, above it whose it is.
texts=$(mktemp -d)
trap 'rm -rf "$texts"' EXIT
while read -r crate version; do
  # Also those of libraries in C, which lie in folders of their own.
  find "$sources"/*/"$crate-$version" -maxdepth 3 -type f -regextype egrep \
    -regex '.*/(LICEN[CS]E|COPYING|NOTICE|UNLICENSE)[^/]*' | sort | while read -r file; do
    hash=$(sha256sum <"$file" | cut -c 1-16)
    [ -f "$texts/$hash.text" ] || cp "$file" "$texts/$hash.text"
    echo "$crate" >>"$texts/$hash.whose"
  done
done < <(sed -E 's/ v([^|]*)\|.*/ \1/' <<<"$list")
for text in "$texts"/*.text; do
  printf '\n\n──────── %s\n\n' "$(sort -u "${text%.text}.whose" | paste -sd ' ')"
  cat "$text"
done

printf '\n\nLibraries in the page\n\n'
cat ui/dist/licences.txt
