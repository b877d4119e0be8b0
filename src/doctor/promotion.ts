import type { PromotionCommand } from "../registrator/roles/promotion-command.ts";
import { type Finding, ok } from "./finding.ts";
import { isProgram, missing } from "./program.ts";

/** The command for the winner of an election, which is not run. */
export async function lookAtPromotion(command: PromotionCommand, path: string | undefined): Promise<Finding> {
  const [program = ""] = command.argv;
  if (await isProgram(program, path)) return ok("on-promote", `${program} is there`);
  return missing("on-promote", program, "nobody who is elected becomes master");
}
