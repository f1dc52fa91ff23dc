# The binary on a small base: one user without rights, one volume, nothing else is written (run with --read-only).
FROM rust:1.95-bookworm AS build
# cmake builds the library for JPEG-LS.
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin kura

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin kura \
 && install -d -o kura -g kura /data
COPY --from=build /src/target/release/kura /usr/local/bin/kura
USER kura
ENV KURA_DATA=/data KURA_LISTEN=0.0.0.0:8080
VOLUME /data
EXPOSE 8080
# The base has bash and no HTTP client; bash opens the connection itself.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["bash", "-c", \
  "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health/live HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && read -r -t 2 _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["kura"]
CMD ["serve"]
