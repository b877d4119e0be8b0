import type { ErrorCode } from "../../errors.ts";
import type { Instance } from "../../instance.ts";
import type { AddressPolicy } from "../address/address.ts";
import type { Container } from "../docker/container.ts";
import type { RoleSource } from "../roles/role-source.ts";
import type { RegistratorSettings } from "../settings.ts";

/**
 * A port that is not registered, or a value that was not used, and why. `skipped` is a decision, `mistake` something that
 * somebody should mend, told by its code.
 */
export type Remark = Concern &
  ({ readonly kind: "skipped" } | { readonly kind: "mistake"; readonly code: ErrorCode });

/** What a remark is about. */
interface Concern {
  readonly container: string;
  /** E.g. `80` or `53/udp`; absent when it concerns the whole container. */
  readonly port?: string;
  readonly reason: string;
}

/**
 * How each field of an instance came to be, in words, by the field's name: `service` from
 * `label SERVICE_NAME`, `port` from `published at 0.0.0.0:32768`.
 */
export type Origins = Readonly<Record<string, string>>;

/** An instance that should be registered, and why it is what it is. */
export interface Reasoned {
  readonly instance: Instance;
  readonly origins: Origins;
  /** How its role is found; absent where the role is given, or none is. */
  readonly roleSource?: RoleSource;
  /** The container's port, as remarks name it; absent where the rules do not tell. */
  readonly port?: string;
}

/** What the rules make of one container. */
export interface Outcome {
  readonly registered: readonly Reasoned[];
  readonly remarks: readonly Remark[];
}

/** What the outcome for a container depends on besides the container itself. */
export interface Circumstances {
  readonly settings: RegistratorSettings;
  readonly hostAddress: AddressPolicy["hostAddress"];
  /** The host's address of the other family, if it has one. */
  readonly otherHostAddress?: string | undefined;
  /** The name of this host in ids and records. */
  readonly node: string;
  /** The `owner` of the records. */
  readonly owner: string;
  /**
   * The container whose network this one uses: itself, or the one at the end of `--network container:…`;
   * undefined when that one does not run.
   */
  readonly networked: Container | undefined;
}
