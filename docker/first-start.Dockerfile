# syntax=docker/dockerfile:1
# What runs once before the lake on one machine: certificates and secrets (docker/compose.yaml).
FROM debian:12.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends openssl \
    && rm -rf /var/lib/apt/lists/*
COPY docker/certificates.sh docker/secrets.sh /usr/local/bin/
# Root, but without rights (docker/compose.yaml drops them): it hands each file to the user who reads it.
# hadolint ignore=DL3002
USER 0:0
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/certificates.sh"]
CMD ["first-start"]
