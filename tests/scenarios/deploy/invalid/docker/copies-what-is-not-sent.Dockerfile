FROM debian:12.11-slim
COPY README.md LICENSE target/release/retrotap /usr/local/bin/
USER 10001:10001
HEALTHCHECK CMD ["/bin/true"]
ENTRYPOINT ["/usr/local/bin/retrotap"]
