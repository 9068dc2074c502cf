# amx serve in a container. Its commands run inside the container: add the programs
# that they call, or build your own image on this one. docs/releasing.md says how to
# start it.
#
#   docker build --build-arg VERSION=v1.2.3 --tag amx:v1.2.3 .
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG TARGETARCH
RUN make "dist/release/amx-linux-$TARGETARCH" VERSION="$VERSION" && mv "dist/release/amx-linux-$TARGETARCH" /amx

FROM debian:13-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /amx /usr/local/bin/amx
# The volume belongs to the user that amx runs as.
RUN useradd --uid 65532 --home-dir /var/lib/amx --create-home amx
USER 65532:65532
VOLUME /var/lib/amx
EXPOSE 8080
ENTRYPOINT ["amx"]
CMD ["serve", "-f", "/etc/amx/amx.yaml", "--token-file", "/etc/amx/tokens", "--ledger", "/var/lib/amx/ledger.db"]
