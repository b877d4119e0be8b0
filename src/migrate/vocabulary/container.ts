import { textLiteral } from "../convert/literal.ts";
import { type Field, listOf, mapOf, number, type Shape, text, truth, type Value } from "../convert/shape.ts";
import { call, fieldOf } from "../convert/value.ts";

const only = (to: string, shape: Shape): Field => ({ to, shape });
const no = (refused: string): Field => ({ refused });
const record = (name: string, fields: Readonly<Record<string, Field>>): Shape => ({
  kind: "record",
  name,
  fields,
});

const address = record("an address", {
  IP: only("ip", text),
  IP6LinkLocal: only("ip6LinkLocal", text),
  IP6Global: only("ip6Global", text),
  Port: only("port", text),
  HostPort: only("hostPort", text),
  Proto: only("proto", text),
  HostIP: only("hostIp", text),
});

const network = record("a network", {
  Name: only("name", text),
  IP: only("ip", text),
  Gateway: only("gateway", text),
  Aliases: only("aliases", listOf(text)),
  EndpointID: only("endpointId", text),
  IPv6Gateway: only("ipv6Gateway", text),
  GlobalIPv6Address: only("globalIpv6Address", text),
  GlobalIPv6PrefixLen: only("globalIpv6PrefixLen", number),
  IPPrefixLen: only("ipPrefixLen", number),
  MacAddress: only("macAddress", text),
  Internal: only("internal", truth),
});

/** A container as docker-gen tells it, and as `(containers)` does. */
export const container: Shape = record("a container", {
  ID: only("id", text),
  Created: only("created", text),
  Name: only("name", text),
  Hostname: only("hostname", text),
  NetworkMode: only("networkMode", text),
  Image: only(
    "image",
    record("an image", {
      Registry: only("registry", text),
      Repository: only("repository", text),
      Tag: only("tag", text),
    }),
  ),
  Env: only("env", mapOf(text)),
  Labels: only("labels", mapOf(text)),
  Addresses: only("addresses", listOf(address)),
  Networks: only("networks", listOf(network)),
  IP: only("ip", text),
  IP6LinkLocal: only("ip6LinkLocal", text),
  IP6Global: only("ip6Global", text),
  Gateway: only("gateway", text),
  PublishedAddresses: {
    make: (of) =>
      call("where", [fieldOf(of, "Addresses", new Set()), textLiteral("hostPort")], listOf(address)),
  },
  Volumes: only(
    "volumes",
    mapOf(
      record("a volume", {
        Path: only("path", text),
        HostPath: only("hostPath", text),
        ReadWrite: only("readWrite", truth),
      }),
    ),
  ),
  Mounts: only(
    "mounts",
    listOf(
      record("a mount", {
        Name: only("name", text),
        Source: only("source", text),
        Destination: only("destination", text),
        Driver: only("driver", text),
        Mode: only("mode", text),
        RW: only("rw", truth),
      }),
    ),
  ),
  Devices: only(
    "devices",
    listOf(
      record("a device", {
        PathOnHost: only("pathOnHost", text),
        PathInContainer: only("pathInContainer", text),
      }),
    ),
  ),
  Node: no("Docker's classic Swarm is not read; {{node}} is this host"),
  State: only(
    "state",
    record("a state", {
      Running: only("running", truth),
      Health: only("health", record("a health", { Status: only("status", text) })),
    }),
  ),
});

/** The container that the templater runs in, where it runs in one. */
const own: Value = { code: "(containers self=true)", shape: listOf(container), free: true };
const ownId = call("join", [call("pluck", [own, textLiteral("id")], listOf(text)), textLiteral("")], text);

/** What the dot is at the top of docker-gen's templates: all containers, and what is known of the host. */
export const containers: Shape = {
  kind: "list",
  of: container,
  fields: {
    Env: only("", { kind: "environment" }),
    Docker: only("", record("what is told of Docker", { CurrentContainerID: { make: () => ownId } })),
    CurrentContainer: { make: () => call("first", [own], container) },
  },
};
