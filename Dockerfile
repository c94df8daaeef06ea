# syntax=docker/dockerfile:1

# A long-term support release of Node.js on a slim Debian. The prebuilt SQLite needs glibc: an image on Alpine would have
# to compile it.
ARG NODE_IMAGE=node:24-trixie-slim

# Compiles the sources. .dockerignore decides which files of the folder are copied.
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build

# Production dependencies only. This layer changes only with package-lock.json.
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="EdgeIO System Manager" \
      org.opencontainers.image.description="Clusters register with it, users deploy services through it" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production \
    DATA_DIR=/data
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
COPY examples ./examples
# A new volume takes its owner from here. Everything else may be read-only.
RUN install --directory --owner=1000 --group=1000 /data
VOLUME /data
# The user node, as a number: Kubernetes sees that it is not root.
USER 1000:1000
EXPOSE 10000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.MY_PORT || 10000}/status`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Without a shell or npm: as process 1, the server gets SIGTERM directly and closes gracefully. It starts no processes.
CMD ["node", "dist/server.js"]
