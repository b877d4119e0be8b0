/** Whether a program's name is that of HAProxy or of its enterprise edition. A pid in a file may be another's. */
export function isHaproxy(name: string | undefined): boolean {
  return name !== undefined && /^(haproxy|hapee)/.test(name);
}
