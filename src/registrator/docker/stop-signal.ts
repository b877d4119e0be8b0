import { constants } from "node:os";

/** True when `number` is the container's stop signal, or one that nothing survives. */
export function isStopSignal(number: number, stopSignal: string): boolean {
  return number === constants.signals.SIGKILL || number === signalNumber(stopSignal);
}

/** Of a name as Docker takes it: with or without SIG, in any case, real-time ones relative to either end. */
function signalNumber(text: string): number {
  const name = text.toUpperCase().replace(/^(?!SIG)/, "SIG");
  const realTime = /^SIGRTM(IN|AX)(?:[+-](\d+))?$/.exec(name);
  if (realTime) return realTime[1] === "IN" ? 34 + Number(realTime[2] ?? 0) : 64 - Number(realTime[2] ?? 0);
  return (constants.signals as Readonly<Record<string, number>>)[name] ?? Number(text);
}
