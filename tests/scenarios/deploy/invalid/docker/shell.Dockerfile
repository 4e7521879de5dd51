FROM debian:12.11-slim
SHELL ["/bin/bash", "-c"]
ARG SOMEWHERE
RUN touch $SOMEWHERE
USER 10001:10001
HEALTHCHECK CMD ["/bin/true"]
ENTRYPOINT ["/usr/local/bin/retrotap"]
