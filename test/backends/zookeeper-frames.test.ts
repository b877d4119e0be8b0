import { expect, it } from "vitest";
import { createFrames } from "../../src/backends/zookeeper/frames.ts";
import fc from "../property.ts";

const framed = (body: Uint8Array) => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  return Buffer.concat([length, body]);
};

it("puts together every answer, however its bytes were cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      (bodies, cuts) => {
        const sent = bodies.map(framed);
        const got: Buffer[] = [];
        const receive = createFrames((frame) => got.push(Buffer.from(frame)));
        let rest = Buffer.concat(sent);
        for (let at = 0; rest.length > 0; at += 1) {
          const size = cuts[at % cuts.length] ?? 1;
          receive(rest.subarray(0, size));
          rest = rest.subarray(size);
        }
        expect(got.map((frame) => frame.toString("hex"))).toEqual(sent.map((frame) => frame.toString("hex")));
      },
    ),
  );
});

it.each([
  ["a negative length", "ffffffff"],
  ["a length beyond any answer", "7fffffff"],
  ["HTTP", Buffer.from("HTTP/1.1 400 Bad Request").toString("hex")],
])("refuses %s, and holds none of it", (_what, hex) => {
  const receive = createFrames(() => {});
  expect(() => receive(Buffer.from(hex, "hex"))).toThrow(
    expect.objectContaining({
      code: "BACKEND_UNREACHABLE",
      message: expect.stringContaining(
        "at most 64 MB are read; what answers there is no ZooKeeper",
      ) as string,
    }),
  );
});
