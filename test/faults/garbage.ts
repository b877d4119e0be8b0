/**
 * Texts that are no records, by the id under which they stand: each at least `size` bytes long. Some are wrong in the
 * first byte, some in a field, one would be right under another key. Of large ones there are two.
 */
export function garbage(size: number): readonly (readonly [id: string, text: string | Buffer])[] {
  const filler = "x".repeat(size);
  const record = {
    ...{ id: "wrong-name", service: "elsewhere", address: "10.0.0.9", port: 80, node: "nobody" },
    meta: { filler },
  };
  const all: readonly (readonly [string, string | Buffer])[] = [
    ["broken", `{"id":"${filler}`],
    ["wrong-key", JSON.stringify(record)],
    ["binary", Buffer.concat([Buffer.alloc(64, 0xff), Buffer.alloc(size)])],
    ["list", JSON.stringify([filler])],
    ["wrong-port", JSON.stringify({ ...record, id: "wrong-port", port: "80" })],
  ];
  return size > 0 ? all.slice(0, 2) : all;
}
