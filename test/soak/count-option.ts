/**
 * The number that was given for `--<name>`. `what` says what it counts.
 * @throws an error in one sentence where it is not whole, or less than `least`
 */
export function countOption<Name extends string>(
  values: Readonly<Record<Name, string>>,
  name: Name,
  { least = 1, what = name }: { readonly least?: number; readonly what?: string } = {},
): number {
  const number = Number(values[name]);
  if (Number.isInteger(number) && number >= least) return number;
  throw new Error(`--${name} ${values[name]}: not a number of ${what}`);
}
