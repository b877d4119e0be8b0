/** Gives what was made for an owner and a name before, where it fits, else a new one. */
type Keep<Owner extends object, Made> = (
  owner: Owner,
  name: string,
  make: () => Made,
  fits?: (before: Made) => boolean,
) => Made;

/**
 * Keeps what helpers make of the world for as long as its owner, a part of the world, lives. What is the same object
 * in two renders gives the same text, so it need not be rendered again.
 */
export function createKeep<Owner extends object, Made>(): Keep<Owner, Made> {
  const owners = new WeakMap<Owner, Map<string, Made>>();
  return (owner, name, make, fits = () => true) => {
    let kept = owners.get(owner);
    if (kept === undefined) {
      kept = new Map();
      owners.set(owner, kept);
    }
    const before = kept.get(name);
    if (before !== undefined && fits(before)) return before;
    const made = make();
    kept.set(name, made);
    return made;
  };
}

/** True for lists with the same items. */
export function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a === b || (a.length === b.length && a.every((item, at) => item === b[at]));
}
