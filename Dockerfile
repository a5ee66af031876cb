# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The caches belong to the builder, not to the image; so the program is copied out of them in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin tessera \
    && install -D target/dist/tessera /out/tessera \
    && mkdir /out/data /out/keys

# No shell and no package manager: glibc, the certificates of public authorities, and the program.
FROM gcr.io/distroless/cc-debian12
COPY --from=build /out/tessera /usr/local/bin/tessera
# An embedded installation writes its database to /data and its key-encryption key to /keys, and nothing elsewhere.
COPY --from=build --chown=65532:65532 --chmod=700 /out/data /data
COPY --from=build --chown=65532:65532 --chmod=700 /out/keys /keys
WORKDIR /
USER 65532:65532
ENV TESSERA_LISTEN=0.0.0.0:8000
VOLUME ["/data", "/keys"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["tessera", "healthcheck"]
ENTRYPOINT ["tessera"]
CMD ["serve"]
