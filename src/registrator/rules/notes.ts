import type { Container, ContainerPort } from "../docker/container.ts";
import { type Given, type Label, told } from "./labels.ts";
import type { Remark } from "./outcome.ts";

/** Collects what is worth telling about one container, each thing once. */
export interface Notes {
  /** A port, or all of the container, is not registered, as it should be. */
  skipped(reason: string, port?: ContainerPort): void;
  /** Something that the container's author should mend. */
  mistake(reason: string, port?: ContainerPort): void;
  /** A label's value cannot be used. Told for the port only where it was given for the port. */
  refused(label: Label | Given, reason: string, port?: ContainerPort): void;
  /** In the order in which they arose. */
  readonly remarks: readonly Remark[];
}

/** Notes about this container, without any yet. */
export function createNotes(container: Container): Notes {
  const byText = new Map<string, Remark>();
  const add = (kind: Remark["kind"], reason: string, port: ContainerPort | undefined) => {
    const text = port && portText(port);
    const remark = { kind, container: container.name, ...(text !== undefined && { port: text }), reason };
    byText.set(JSON.stringify(remark), remark);
  };
  return {
    skipped: (reason, port) => add("skipped", reason, port),
    mistake: (reason, port) => add("mistake", reason, port),
    refused(label, reason, port) {
      const ofPort = "of" in label && label.of !== "container";
      add("mistake", `${told(label)}: ${reason}`, ofPort ? port : undefined);
    },
    get remarks() {
      return [...byText.values()];
    },
  };
}

/** A port as remarks name it: `80` or `53/udp`. */
export function portText({ port, protocol }: Pick<ContainerPort, "port" | "protocol">): string {
  return protocol === "tcp" ? String(port) : `${port}/${protocol}`;
}
