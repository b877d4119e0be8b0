import { type Field, listOf, mapOf, number, type Shape, text } from "../convert/shape.ts";

const only = (to: string, shape: Shape): Field => ({ to, shape });
const no = (refused: string): Field => ({ refused });

/** What consul-template's `service` gives, as our instances have it. */
export const instance: Shape = {
  kind: "record",
  name: "an instance",
  fields: {
    ID: only("id", text),
    Name: only("service", text),
    Address: only("address", text),
    Port: only("port", number),
    Tags: only("tags", { kind: "list", of: text, sorted: true }),
    ServiceMeta: only("meta", mapOf(text)),
    Node: only("node", text),
    Status: no(
      'ask with the service: (service "web" state="any"); {{state}} is ready, unhealthy, draining …',
    ),
    Weights: only("", {
      kind: "record",
      name: "weights",
      fields: { Passing: only("weight", number), Warning: no("an instance has one weight") },
    }),
    NodeAddress: no("an instance has one address, {{address}}"),
    NodeTaggedAddresses: no("an instance has one address, {{address}}"),
    ServiceTaggedAddresses: no("an instance has one address, {{address}}"),
    NodeID: no("the host is known by its name, {{node}}"),
    NodeDatacenter: no("one backend is one datacenter"),
    NodeMeta: no("hosts have no meta; put it on the instances: SERVICE_… labels"),
    Checks: no("{{state}} is what the checks come to"),
    Namespace: no("say it in the backend's URL: ?namespace="),
  },
};

/** What consul-template's `services` gives. */
export const service: Shape = {
  kind: "record",
  name: "a service",
  fields: { Name: only("name", text), Tags: only("tags", listOf(text)) },
};

/** A key and its value. */
export const pair: Shape = {
  kind: "record",
  name: "a key",
  fields: {
    Key: only("key", text),
    Value: only("value", text),
    Path: no("write {{key}}, which is relative to what was asked for"),
    CreateIndex: no("keys have no revision here"),
    ModifyIndex: no("keys have no revision here"),
    LockIndex: no("locks are not seen here"),
    Flags: no("keys have no flags here"),
    Session: no("sessions are not seen here"),
  },
};
