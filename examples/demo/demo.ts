// npm run demo: all of Portolan on one machine, with the moment of everything that happens.
import { parseArgs } from "node:util";
import { tempDir } from "../../test/servers/run.ts";
import { prepareContainers } from "./containers.ts";
import { findDocker, useDocker } from "./docker.ts";
import { followEvents } from "./follow.ts";
import { startJournal } from "./journal.ts";
import { type Life, runLife } from "./life.ts";
import { bringImage, showOwn } from "./own.ts";
import { startDemoPipeline } from "./pipeline.ts";
import { installPrograms } from "./programs.ts";
import { bold, line } from "./terminal.ts";
import { createTimeline } from "./timeline.ts";
import { startTraffic } from "./traffic.ts";
import { showWhereToLook } from "./where-to-look.ts";

async function demo(life: Life, stays: boolean, image: string | undefined): Promise<void> {
  line(bold("Portolan: containers come and go, and the load balancer follows."));
  line();
  const dir = tempDir("demo");
  life.logsIn(dir);

  const found = await findDocker(life.signal);
  const { haproxy, busybox } = await installPrograms(life, "none" in found);
  const docker = await useDocker(life, found, dir);
  const containers = await prepareContainers(life, docker, { dir, busybox });
  const own = image === undefined ? undefined : await bringImage(life, docker, image);
  const pipeline = await startDemoPipeline(life, { dir, docker, haproxy });
  const journal = await startJournal(life, { docker, pipeline });

  const timeline = createTimeline(life, journal);
  if (own) await showOwn(own, { containers, timeline, pipeline });
  const web = startTraffic(pipeline.port, "web.test");
  life.atEnd("traffic", web.stop);

  timeline.act("Three containers start: two of the service web, one of the service api.", "at the start");
  await timeline.start("web-1", () => containers.run("web-1", "web"), web);
  await timeline.start("web-2", () => containers.run("web-2", "web"), web);
  const api = startTraffic(pipeline.port, "api.test");
  await timeline.start("api-1", () => containers.run("api-1", "api"), api);
  await api.stop();

  timeline.act("web-2 is stopped: drained first, while it still answers.", "while web-2 stopped");
  await timeline.stop("web-2", () => containers.stop("web-2"), web);

  timeline.act("web-2 is started again, and gets another port.", "while web-2 came back");
  await timeline.start("web-2", () => containers.start("web-2"), web);

  timeline.act("web-1 is killed without a warning, and web-2 goes on: the failover.", "in the failover");
  await timeline.kill("web-1", () => containers.kill("web-1"), web);

  await web.stop();
  line();
  for (const sentence of timeline.summary(web)) line(sentence);
  if (!stays) return;

  showWhereToLook(docker, pipeline);
  await followEvents(life, journal, pipeline.port);
}

const usage = `npm run demo             plays the story, and goes on until Ctrl-C
npm run demo -- --exit   plays the story, and ends
npm run demo -- IMAGE    begins with a container of this image, e.g. nginx:alpine`;

/** What the user has set for Portolan's real work is not meant for the demo. */
function forgetSettings(): void {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith("PORTOLAN_") && !name.startsWith("PORTOLAN_TEST_")) delete process.env[name];
  }
}

async function main(): Promise<number> {
  const options = { exit: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const;
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    if (values.help) {
      line(usage);
      return 0;
    }
    forgetSettings();
    const [image, ...more] = positionals;
    if (more.length > 0) throw new Error(`one image is enough: ${more.join(" ")} is too much`);
    return await runLife((life) => demo(life, !values.exit, image));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${usage}\n`);
    return 1;
  }
}

process.exit(await main());
