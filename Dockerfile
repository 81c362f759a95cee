# syntax=docker/dockerfile:1

FROM node:24-slim AS frontend
WORKDIR /build/frontend
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY frontend/ ./
RUN npm run build

FROM python:3.11-slim AS packages
COPY requirements.txt .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: --requirement requirements.txt

FROM python:3.11-slim
# Names of patients in every script, in the PDF of a report.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-noto-core fonts-noto-cjk \
    && rm -rf /var/lib/apt/lists/*
# The process that reads other people's files owns none of the code and has no shell to offer.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin portal \
    && install --directory --owner portal --mode 0750 /data
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=packages /venv /venv
WORKDIR /app
COPY . .
COPY --from=frontend /build/static/build static/build
# Static files hold no secret and depend on no setting: they are collected once, with the throw-away keys of the embedded mode.
RUN CXR_VAR_DIR=/tmp/build CXR_STATIC_DIR=/app/collected python manage.py collectstatic --no-input \
    && rm -r /tmp/build
USER portal
VOLUME /data
EXPOSE 8000
CMD ["gunicorn", "--config", "deploy/gunicorn.conf.py", "cxr_portal.wsgi"]
