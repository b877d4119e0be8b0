# Portolan's image: Node.js, its libraries, the program, and nothing else; no shell. From a checkout:
#   docker build -t portolan .
# For other machines: docker buildx build --platform linux/amd64,linux/arm64 -t portolan .

# Any image with Node.js 20.19 or newer, for the processor that the image is for.
ARG NODE=node:22-alpine
# One that has npm, too, for the processor that builds.
ARG BUILDER=${NODE}

# The program is the same for all processors: nothing of it is built by an emulator. Builders that tell no platform have one.
FROM --platform=${BUILDPLATFORM:-linux} ${BUILDER} AS program
WORKDIR /portolan
COPY . .
RUN ["node", "image/build.mjs"]
RUN ["node", "image/program.mjs", "/program"]

FROM ${NODE} AS root
COPY image/root.mjs /
RUN ["node", "/root.mjs", "/root-of-image"]
COPY --from=program /program/ /root-of-image/portolan/
RUN ["node", "/root-of-image/portolan/dist/compile-ahead.js"]

FROM scratch
LABEL org.opencontainers.image.title="Portolan" \
  org.opencontainers.image.description="Registers Docker containers in a backend, and renders load balancer configuration from it" \
  org.opencontainers.image.licenses="MIT"
COPY --from=root /root-of-image/ /
ENV NODE_ENV=production HOME=/var/lib/portolan
USER 65532:65532
# What is remembered. All else may be read-only: docker run --read-only.
VOLUME /var/lib/portolan
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s \
  CMD ["/usr/local/bin/node", "/portolan/dist/cli.js", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/node", "/portolan/dist/cli.js"]
