# syntax=docker/dockerfile:1
# One binary on a base without a shell, run as a user that owns nothing.
FROM rust:1.95-slim-bookworm AS build
# aws-lc-rs compiles C and assembly; the compiler is in the image.
RUN apt-get update && apt-get install --yes --no-install-recommends cmake make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin cassgate && cp target/release/cassgate /cassgate

# cc: glibc and libgcc, which the binary links; nothing else.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /cassgate /usr/local/bin/cassgate
COPY LICENSE /usr/share/doc/cassgate/LICENSE
# 65532 is this base's "nonroot"; by number, so that runAsNonRoot can be checked.
USER 65532:65532
EXPOSE 8443 8080
ENTRYPOINT ["/usr/local/bin/cassgate"]
CMD ["run"]
