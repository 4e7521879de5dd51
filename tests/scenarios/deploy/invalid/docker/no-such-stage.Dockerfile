FROM debian:12.11-slim
COPY --from=build /out/retrotap /usr/local/bin/retrotap
USER 10001:10001
HEALTHCHECK CMD ["/bin/true"]
ENTRYPOINT ["/usr/local/bin/retrotap"]
