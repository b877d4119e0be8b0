// The containers of golden/compat: what each is run with. Recorded by compat-record.ts, run anew by the e2e test.
import type { DockerHost } from "../servers/docker.ts";
import { webImage } from "../servers/image.ts";

/** A container; its name is the name of its folder in golden/compat. */
export interface Situation {
  readonly name: string;
  /** Words of `docker run` before the image. */
  readonly args: readonly string[];
  /** The image has this name; `id`: it is run by its bare id. */
  readonly image?: string;
  /** The image itself exposes this port: `docker run --expose` is refused for a shared network. */
  readonly exposes?: number;
}

/** The user's network that some of them are on. */
export const network = "back";

const label = (text: string) => ["--label", text];
const env = (text: string) => ["--env", text];

/** In the order in which they are started. */
export const situations: readonly Situation[] = [
  { name: "bridge-published", args: ["-p", "18001:80"] },
  { name: "bridge-unpublished", args: ["-p", "18002:80", "--expose", "9000"] },
  { name: "tcp-and-udp", args: ["-p", "15353:53/tcp", "-p", "15353:53/udp", ...label("SERVICE_TAGS=dns")] },
  { name: "several-ports", args: ["-p", "18003:80", "-p", "18443:443"], image: "reg.test:5000/acme/shop:3" },
  {
    name: "variables-and-labels",
    args: [
      ...["-p", "18004:80", "-p", "18444:443"],
      ...[...env("SERVICE_NAME=shop"), ...env("SERVICE_80_NAME=shop-http"), ...env("SERVICE_TAGS=a,b,c")],
      ...[...env("SERVICE_REGION=us2"), ...env("PASSWORD=secret"), ...label("SERVICE_NAME=store")],
      ...[...label("SERVICE_443_TAGS=x, y\\,z"), ...label("SERVICE_80_CHECK_HTTP=/health")],
      ...[...label("SERVICE_443_SNI=enabled"), ...label("SERVICE_080_NAME=never")],
    ],
  },
  { name: "host-network", args: ["--network", "host", "--expose", "18005", "--expose", "18006/udp"] },
  { name: "user-network", args: ["--network", network, "-p", "18007:80"] },
  { name: "user-network-unpublished", args: ["--network", network, "--expose", "80"] },
  {
    name: "shared-network",
    args: ["--network", "container:bridge-published"],
    image: "side:1",
    exposes: 9090,
  },
  { name: "no-network", args: ["--network", "none", "--expose", "80"] },
  { name: "image-by-id", args: ["-p", "18008:80"], image: "id" },
  { name: "one-id", args: ["-p", "18009:80", ...label("SERVICE_ID=the-one")] },
  { name: "one-id-for-two", args: ["-p", "18010:80", "-p", "18011:81", ...label("SERVICE_ID=both")] },
  { name: "ignore-false", args: ["-p", "18012:80", ...label("SERVICE_IGNORE=false")] },
  {
    name: "ignore-empty-for-one",
    args: [
      "-p",
      "18013:80",
      "-p",
      "18014:81",
      ...label("SERVICE_IGNORE=true"),
      ...label("SERVICE_80_IGNORE="),
    ],
  },
  { name: "loopback", args: ["-p", "127.0.0.1:18015:80"] },
  { name: "one-address", args: ["-p", "127.0.0.1:18016:80", "-p", "127.0.0.1:18017:80"] },
  { name: "compose", args: ["-p", "18018:80", ...label("com.docker.compose.service=front")] },
];

/** Makes what the containers need, and runs them. */
export async function runSituations({ docker }: Pick<DockerHost, "docker">): Promise<void> {
  const id = await docker(["images", "--no-trunc", "--quiet", webImage]);
  await docker(["network", "create", network]);
  for (const { name, args, image = webImage, exposes } of situations) {
    if (exposes !== undefined) {
      const made = await docker(["create", webImage]);
      await docker(["commit", "--change", `EXPOSE ${exposes}`, made, image]);
      await docker(["rm", made]);
    } else if (image !== webImage && image !== "id") {
      await docker(["tag", webImage, image]);
    }
    const named = image === "id" ? id : image;
    await docker(["run", "--detach", "--name", name, ...args, named, "sleep", "1000000"]);
  }
}
