# syntax=docker/dockerfile:1
# One binary on a base without a shell, run as an unprivileged user.
#
#   docker build --build-arg REVISION="$(git rev-parse HEAD)" -t registry.example/cassgate:0.1.0 .
#
# tests/image.rs compares this file with the sources, the manifests and the binary.

# The same version as in rust-toolchain.toml. The image has the C compiler that aws-lc-rs needs.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The time that compilers see, in seconds since 1970, for reproducible builds.
ARG SOURCE_DATE_EPOCH=0
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    ./release.sh /cassgate

# Has glibc, libm and libgcc, which the binary links, CA certificates and time zones; no shell and no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cassgate" \
      org.opencontainers.image.description="Admission webhook and executor for CassKop's CassandraBackup and CassandraRestore" \
      org.opencontainers.image.source="https://github.com/cassgate/cassgate" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build --chmod=0555 /cassgate /usr/local/bin/cassgate
COPY --chmod=0444 LICENSE /usr/share/doc/cassgate/LICENSE
# glibc raises this threshold to the largest block that was freed. Then each thread keeps up to twice the largest body.
ENV MALLOC_MMAP_THRESHOLD_=262144
# The user "nonroot" of the base. By number, because kubelet verifies runAsNonRoot only for numbers.
USER 65532:65532
EXPOSE 8443 8080
ENTRYPOINT ["/usr/local/bin/cassgate"]
CMD ["run"]
