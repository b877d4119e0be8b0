# Portolan's image: Node.js, its libraries, the program, and nothing else; no shell. From a checkout:
#   docker build -t portolan .
# For other machines: docker buildx build --platform linux/amd64,linux/arm64 -t portolan .

# Any image with Node.js 20.19 or newer and npm.
ARG NODE=node:22-alpine

FROM ${NODE} AS build
WORKDIR /portolan
COPY . .
RUN ["node", "image/build.mjs"]
RUN ["node", "image/root.mjs", "/root-of-image"]
RUN ["node", "image/program.mjs", "/root-of-image/portolan"]

FROM scratch
LABEL org.opencontainers.image.title="Portolan" \
  org.opencontainers.image.description="Registers Docker containers in a backend, and renders load balancer configuration from it" \
  org.opencontainers.image.licenses="MIT"
COPY --from=build /root-of-image/ /
ENV NODE_ENV=production HOME=/var/lib/portolan
USER 65532:65532
# What is remembered. All else may be read-only: docker run --read-only.
VOLUME /var/lib/portolan
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s \
  CMD ["/usr/local/bin/node", "/portolan/dist/cli.js", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/node", "/portolan/dist/cli.js"]
