# longexpo on the processor: docker build -t longexpo . && docker run --rm -v "$PWD:/photos" longexpo render burst/
FROM python:3.13-slim
# PoCL calls the linker `ld`.
RUN apt-get update && apt-get install --yes --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY longexpo_cli ./longexpo_cli
COPY kernels ./kernels
COPY presets ./presets
COPY weights ./weights
COPY docs/man ./docs/man
RUN pip install --no-cache-dir . && rm -rf /source
# Compiled kernels are kept between runs with -v longexpo-cache:/cache
ENV XDG_CACHE_HOME=/cache
WORKDIR /photos
ENTRYPOINT ["longexpo"]
