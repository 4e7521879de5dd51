# syntax=docker/dockerfile:1
# The lake's program, all three roles. From the root of the repository:
#
#   docker build -f docker/lake.Dockerfile -t retrotap-lake .
#
# librdkafka comes as source with its crate and links Debian's OpenSSL and zlib; so it is compiled on the
# image's own kind of processor (buildx emulates another one, slowly).

FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        g++ make pkg-config libssl-dev zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
RUN rustup target add wasm32v1-none
# One of the stages that `reprocess` runs is written in AssemblyScript, whose compiler runs in Node.
COPY --from=node:20.20.2-bookworm-slim /usr/local/bin/node /usr/local/bin/node
COPY --from=node:20.20.2-bookworm-slim /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /src
COPY . .
RUN cargo run --quiet --locked -p retrotap-host --features build --bin build-stages
# The lake shares the gateway's words and so its crate, which embeds a page; nobody opens it here.
RUN mkdir -p ui/dist && touch ui/dist/index.html \
    && cargo build --release --locked -p retrotap-lake --bin retrotap-lake \
    && install -D target/release/retrotap-lake /out/retrotap-lake

FROM debian:12.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin retrotap
COPY --from=build /out/retrotap-lake /usr/local/bin/retrotap-lake
COPY docker/healthy.sh /usr/local/bin/healthy
COPY LICENSE /usr/share/doc/retrotap/LICENSE
# It writes nothing: everything may be read-only.
ENV RETROTAP_LAKE_HTTP=0.0.0.0:8080
EXPOSE 8080
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["/usr/local/bin/healthy", "8080", "/readyz"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/retrotap-lake"]
CMD ["--help"]
