# syntax=docker/dockerfile:1
# One binary on a base without a shell, run as a user that owns nothing.
#
#   docker build --build-arg REVISION="$(git rev-parse HEAD)" -t registry.example/cassgate:0.1.0 .
#
# tests/image.rs holds what is said here against the sources, the manifests and the binary.

# rust-toolchain.toml names the same version. The image has a C compiler, which aws-lc-rs needs, and nothing is added to it.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# Seconds since 1970 for whatever asks for the time while it compiles.
ARG SOURCE_DATE_EPOCH=0
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    ./release.sh /cassgate

# glibc, libm and libgcc, which the binary links, certificates of authorities, zones; no shell and no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cassgate" \
      org.opencontainers.image.description="Admission gate for the backups and restores of CassKop's Cassandra clusters" \
      org.opencontainers.image.source="https://github.com/cassgate/cassgate" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build --chmod=0555 /cassgate /usr/local/bin/cassgate
COPY --chmod=0444 LICENSE /usr/share/doc/cassgate/LICENSE
# 65532 is this base's "nonroot"; by number, so that runAsNonRoot can be checked.
USER 65532:65532
EXPOSE 8443 8080
ENTRYPOINT ["/usr/local/bin/cassgate"]
CMD ["run"]
