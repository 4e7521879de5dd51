FROM debian:12.11-slim
HEALTHCHECK CMD ["/bin/true"]
ENTRYPOINT ["/usr/local/bin/retrotap"]
