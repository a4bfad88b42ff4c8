# The control plane. It carries the OPA binary to check policies with; a sidecar of its own runs them.
FROM openpolicyagent/opa:1.22.2-static AS opa

FROM python:3.11.15-slim-bookworm@sha256:b18992999dbe963a45a8a4da40ac2b1975be1a776d939d098c647482bcad5cba AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv /opt/ztfm
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY adapters adapters
COPY controlplane controlplane
COPY evaluation evaluation
COPY opa opa
COPY policies policies
RUN /opt/ztfm/bin/pip install --constraint constraints.txt '.[server,postgres,otel,attest,privacy]'

FROM python:3.11.15-slim-bookworm@sha256:b18992999dbe963a45a8a4da40ac2b1975be1a776d939d098c647482bcad5cba
COPY --from=opa /opa /usr/local/bin/opa
COPY --from=build /opt/ztfm /opt/ztfm
# A named volume takes over the owner and mode of the folder that it is first mounted on.
RUN install --directory --mode=0700 --owner=10001 --group=10001 /var/lib/ztfm /run/ztfm /run/ztfm-bundles \
    && install --directory --mode=0750 --owner=10001 --group=10001 /run/ztfm-metrics /run/ztfm-alerts
ENV PATH=/opt/ztfm/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 ZTFM_STATE_DIR=/var/lib/ztfm
USER 10001:10001
EXPOSE 8181
ENTRYPOINT ["ztfm"]
CMD ["serve"]
