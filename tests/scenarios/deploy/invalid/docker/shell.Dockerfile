FROM debian:12.11-slim
SHELL ["/bin/bash", "-c"]
RUN rm -rf "$UNSET/"*
USER 10001:10001
HEALTHCHECK CMD ["/bin/true"]
ENTRYPOINT ["/usr/local/bin/retrotap"]
