# syntax=docker/dockerfile:1
# The gateway. From the root of the repository:
#
#   docker buildx build -f docker/gateway.Dockerfile --platform linux/amd64,linux/arm64 -t retrotap-gateway .
#
# Everything is compiled on the builder's own kind of processor, for the image's: compiling in an emulator
# takes ten times as long.

FROM --platform=$BUILDPLATFORM node:20.20.2-bookworm-slim AS page
WORKDIR /src/ui
COPY ui/package.json ui/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY ui ./
RUN npm run build

FROM --platform=$BUILDPLATFORM rust:1.95.0-slim-bookworm AS build
ARG BUILDARCH
ARG TARGETARCH
RUN if [ "$BUILDARCH" != "$TARGETARCH" ]; then \
        apt-get update && apt-get install -y --no-install-recommends "crossbuild-essential-$TARGETARCH" \
        && rm -rf /var/lib/apt/lists/*; \
    fi
# One of the stages is written in AssemblyScript, whose compiler runs in Node.
COPY --from=page /usr/local/bin/node /usr/local/bin/node
COPY --from=page /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc \
    CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
    CC_x86_64_unknown_linux_gnu=x86_64-linux-gnu-gcc
RUN case "$TARGETARCH" in amd64) echo x86_64 ;; arm64) echo aarch64 ;; *) exit 1 ;; esac >/processor \
    && rustup target add wasm32v1-none "$(cat /processor)-unknown-linux-gnu"
WORKDIR /src
COPY . .
RUN cargo run --quiet --locked -p retrotap-host --features build --bin build-stages
COPY --from=page /src/ui/dist ui/dist
# What `git describe` says; without it the program names no commit.
ARG COMMIT
RUN target="$(cat /processor)-unknown-linux-gnu" \
    && RETROTAP_COMMIT=$COMMIT cargo build --release --locked -p retrotap --bin retrotap --target "$target" \
    && install -D "target/$target/release/retrotap" /out/retrotap

FROM debian:12.11-slim
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin retrotap \
    && install -d -o retrotap -g retrotap /var/lib/retrotap /var/cache/retrotap /etc/retrotap
COPY --from=build /out/retrotap /usr/local/bin/retrotap
COPY docker/healthy.sh /usr/local/bin/healthy
COPY LICENSE /usr/share/doc/retrotap/LICENSE
# The only places that are written: the spool, and compiled modules. The rest may be read-only.
ENV CACHE_DIRECTORY=/var/cache/retrotap
VOLUME ["/var/lib/retrotap", "/var/cache/retrotap"]
USER 10001:10001
# The page of the settings must listen on 127.0.0.1:8080 for this.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/healthy", "8080", "/api/v1/session"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/retrotap"]
CMD ["run", "/etc/retrotap/retrotap.yaml"]
