import type { Budget } from "../../handlebars/budget.ts";
import type { Helper as AnyHelper } from "../../handlebars/helper.ts";
import type { Instance } from "../../instance.ts";
import type { Format } from "../escape/format.ts";
import type { View } from "../view.ts";
import type { Scratch } from "./scratch.ts";

/** A function that the templates of load balancers call. */
export type Helper = AnyHelper<Call>;

/** What a helper can ask about the render that calls it. */
export interface Call {
  readonly format: Format;
  readonly view: View;
  readonly budget: Budget;
  readonly scratch: Scratch;
  /** The folder of the template. */
  readonly folder: string;
  /** The texts that stand in the template itself. */
  readonly literals: ReadonlySet<string>;
  /** Takes one instance out of the render; the reason reads "meta http_host … is not a host name". */
  refuse(instance: Instance, reason: string): void;
  /**
   * Takes the instances out of the render in which this value stands, or makes the template fail when it
   * stands in none. `reason` says why, of the value as it may be shown; `accepts` which texts would have been
   * fine here.
   */
  refuseValue(value: string, reason: (value: string) => string, accepts: (text: string) => boolean): void;
}
