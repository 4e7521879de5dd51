FROM debian:12.11-slim
USER 10001:10001
ENTRYPOINT ["/usr/local/bin/retrotap"]
