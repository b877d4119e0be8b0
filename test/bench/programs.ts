/** What is measured, and how often. */
export interface Programs {
  /** The built product. */
  readonly cli: string;
  /** The built bare programs. */
  readonly floor: string;
  /** HAProxy's executable. */
  readonly haproxy: string;
  /** Samples of each latency. */
  readonly n: number;
}
