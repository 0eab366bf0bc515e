# One image for every process: `order-engine api`, `order-engine worker`, `order-engine migrate`.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
WORKDIR /srv
COPY requirements.lock .
RUN /opt/venv/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements.lock

FROM python:3.13-slim
RUN groupadd --system --gid 10001 engine \
    && useradd --system --uid 10001 --gid engine --no-create-home --home-dir /srv engine
WORKDIR /srv
COPY --from=build /opt/venv /opt/venv
COPY app app
COPY migrations migrations
# The program by its name, without a build step: the sources are the installation.
RUN printf '#!/bin/sh\nexec python -m app.cli "$@"\n' > /opt/venv/bin/order-engine \
    && chmod 0755 /opt/venv/bin/order-engine \
    && python -m compileall -q app migrations
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/srv \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=3000
USER engine
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/readyz\", timeout=2)"]
CMD ["order-engine", "api"]
