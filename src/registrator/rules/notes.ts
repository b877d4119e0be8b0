import type { Container, ContainerPort } from "../docker/container.ts";
import { type Given, type Label, told } from "./labels.ts";
import type { Remark } from "./outcome.ts";

/** Collects what is worth telling about one container, each thing once. */
export interface Notes {
  /** A port, or all of the container, is not registered, as it should be. */
  skipped(reason: string, port?: ContainerPort): void;
  /** Something that the container's author should mend, told as LABEL. */
  mistake(reason: string, port?: ContainerPort): void;
  /** A label's value cannot be used. Told for the port only where it was given for the port. */
  refused(label: Label | Given, reason: string, port?: ContainerPort): void;
  /** In the order in which they arose. */
  readonly remarks: readonly Remark[];
}

/** Notes about this container, without any yet. */
export function createNotes(container: Container): Notes {
  const byText = new Map<string, Remark>();
  const add = (remark: Remark) => void byText.set(JSON.stringify(remark), remark);
  const concern = (reason: string, port: ContainerPort | undefined) => ({
    container: container.name,
    ...(port && { port: portText(port) }),
    reason,
  });
  const mistake = (reason: string, port: ContainerPort | undefined) =>
    add({ kind: "mistake", code: "LABEL", ...concern(reason, port) });
  return {
    skipped: (reason, port) => add({ kind: "skipped", ...concern(reason, port) }),
    mistake,
    refused(label, reason, port) {
      const ofPort = "of" in label && label.of !== "container";
      mistake(`${told(label)}: ${reason}`, ofPort ? port : undefined);
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
