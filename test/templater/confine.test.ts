import { existsSync, lchownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { createWorkspace, type Workspace } from "./workspace.ts";

/** A workspace with a folder `other` beside the proxy's, which holds a file. */
async function prepare(): Promise<{ readonly space: Workspace; readonly other: string }> {
  const space = await createWorkspace();
  const other = join(dirname(space.folder), "other");
  mkdirSync(other);
  writeFileSync(join(other, "real.cfg"), "theirs");
  return { space, other };
}

const refused = (message: string | RegExp) => ({
  code: "DESTINATION",
  message: expect.stringMatching(message),
});

describe("with roots, a file", () => {
  it("is written below them, also through links that stay there", async () => {
    const { space, other } = await prepare();
    const roots = [space.folder, other];
    await space.install("one", { roots });
    symlinkSync("../other/real.cfg", join(space.folder, "link.cfg"));
    await space.install("two", { roots, destination: join(space.folder, "link.cfg") });
    symlinkSync(other, join(dirname(other), "alias"));
    await space.install("three", { roots: [join(dirname(other), "alias")], destination: join(other, "new") });
    const read = (name: string) => readFileSync(join(other, name), "utf8");
    expect([space.live(), read("real.cfg"), read("new")]).toEqual(["one", "two", "three"]);
  });

  it.each([
    [
      "its link leads to a file elsewhere",
      (space: Workspace) => symlinkSync("../other/real.cfg", space.destination),
    ],
    [
      "its link leads to no file elsewhere",
      (space: Workspace) => symlinkSync("../other/new", space.destination),
    ],
  ])("is not written when %s", async (_, link) => {
    const { space, other } = await prepare();
    link(space);
    const install = space.install("one", { roots: [space.folder] });
    await expect(install).rejects.toMatchObject(
      refused(`leads to ${other}/\\w+(\\.cfg)?, which is below none of .*; correct the link`),
    );
    expect(readFileSync(join(other, "real.cfg"), "utf8")).toBe("theirs");
    expect(existsSync(join(other, "new"))).toBe(false);
  });

  it("is not written when its folder is a link that leads elsewhere", async () => {
    const { space, other } = await prepare();
    symlinkSync(other, join(space.folder, "sub"));
    for (const name of ["new", "real.cfg"]) {
      const install = space.install("one", {
        roots: [space.folder],
        destination: join(space.folder, "sub", name),
      });
      await expect(install).rejects.toMatchObject(refused("below none"));
    }
    expect([existsSync(join(other, "new")), readFileSync(join(other, "real.cfg"), "utf8")]).toEqual([
      false,
      "theirs",
    ]);
  });

  it("is not written beside a root whose name begins alike", async () => {
    const { space } = await prepare();
    await expect(space.install("one", { roots: [space.folder.slice(0, -1)] })).rejects.toMatchObject(
      refused("below none"),
    );
  });
});

describe("without roots, a file", () => {
  it("is not written through a link that another user has made, wherever it stands on the way", async () => {
    const { space, other } = await prepare();
    const [link, folder] = [join(space.folder, "link.cfg"), join(space.folder, "sub")];
    symlinkSync("../other/real.cfg", link);
    symlinkSync("../other", folder);
    await space.install("one", { destination: link });
    await space.install("two", { destination: join(folder, "new") });
    for (const path of [link, folder]) lchownSync(path, 12, 34);
    await expect(space.install("x", { destination: link })).rejects.toMatchObject(
      refused(`link.cfg on its way is a link of user 12; name the folder ${other}`),
    );
    await expect(space.install("x", { destination: join(folder, "new") })).rejects.toMatchObject(
      refused("sub on its way is a link of user 12"),
    );
    // One link may lead to another.
    symlinkSync("sub/new", join(space.folder, "chain"));
    await expect(space.install("x", { destination: join(space.folder, "chain") })).rejects.toMatchObject(
      refused("a link of user 12"),
    );
    const read = (name: string) => readFileSync(join(other, name), "utf8");
    expect([read("real.cfg"), read("new")]).toEqual(["one", "two"]);
    await space.install("three", { destination: link, roots: [other] });
    expect(read("real.cfg")).toBe("three");
  });
});
