# syntax=docker/dockerfile:1
# docker build -t csroute . && docker run -p 7700:7700 csroute

FROM rust:1.95-slim-bookworm AS rust

FROM python:3.13-slim-bookworm AS build
# The toolchain from the image above: nothing is piped from the network into a shell.
COPY --from=rust /usr/local/cargo /usr/local/cargo
COPY --from=rust /usr/local/rustup /usr/local/rustup
ENV PATH=/usr/local/cargo/bin:$PATH CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements-dev.txt ./
# The same versions that the tests ran with.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --constraint requirements-dev.txt maturin
COPY Cargo.toml Cargo.lock pyproject.toml README.md LICENSE ./
COPY protos protos
COPY rust_core rust_core
COPY python python
RUN /opt/build/bin/maturin build --release --locked --out /wheels
RUN python -m venv /opt/csroute \
    && /opt/csroute/bin/pip install --no-cache-dir --constraint requirements-dev.txt /wheels/*.whl

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home csroute
COPY --from=build /opt/csroute /opt/csroute
COPY docker/healthcheck.py /opt/csroute/healthcheck.py
# Elsewhere the server listens on loopback alone; in a container that would reach nobody.
ENV PATH=/opt/csroute/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CSROUTE_LISTEN=0.0.0.0:7700 \
    CSROUTE_NATIVE_LISTEN=0.0.0.0:7701 \
    CSROUTE_METRICS_LISTEN=0.0.0.0:7780
USER 10001
# 7700: gRPC. 7701: the native door. 7780: Prometheus. Settings are CSROUTE_ variables; a policy of your own: CSROUTE_POLICY=/policy.py
EXPOSE 7700 7701 7780
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "/opt/csroute/healthcheck.py", "127.0.0.1:7700"]
ENTRYPOINT ["csroute"]
CMD ["serve"]
