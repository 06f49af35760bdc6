# The command with the CPU build of PyTorch.
#
#   docker build -t unlearnable .
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" unlearnable --help
FROM python:3.11-slim

COPY . /source
RUN pip install --no-cache-dir torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir -c /source/constraints.txt "/source[heif]" \
    && rm -r /source

# torch and others keep caches in the home folder, which --user may not have
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["unlearnable"]
CMD ["--help"]
