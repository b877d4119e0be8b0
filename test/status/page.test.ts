import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { openToken } from "../../src/status/token.ts";
import { type Program, startProgram } from "../e2e/program.ts";
import { startChromium } from "../servers/chromium.ts";
import { dockerCli } from "../servers/docker.ts";
import { runWeb } from "../servers/image.ts";
import { type FaultProxy, startFaultProxy } from "../servers/proxy.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { type ShownProcess, serveStatus } from "./shown-process.ts";

const soon = { timeout: 20_000 };

let browser: Browser;
beforeAll(async () => {
  browser = await startChromium();
});
afterAll(() => browser?.close());

/** What the browser complains of, and what it asks of others; each test expects nothing. */
const complaints: string[] = [];
const pages: Page[] = [];
afterEach(async () => {
  await Promise.all(pages.splice(0).map((page) => page.context().close()));
  expect(complaints.splice(0)).toEqual([]);
});

async function open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await (await browser.newContext(options)).newPage();
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("ERR_")) complaints.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) complaints.push(`asks ${request.url()}`);
  });
  page.on("dialog", (dialog) => complaints.push(`says ${dialog.message()}`));
  pages.push(page);
  await page.goto(url);
  await page.locator("#overview .card").first().waitFor(soon);
  return page;
}

describe("an agent's page", () => {
  const docker = dockerCli(inject("docker"));
  const label = "portolan.page";
  let proxy: FaultProxy;
  let agent: Program;
  let template: string;
  const text = '{{#each (service "shown" state="any")}}\nserver {{address}}:{{port}} {{state}}\n{{/each}}\n';

  beforeAll(async () => {
    const { host, port } = inject("etcd");
    proxy = await startFaultProxy({ upstream: { host, port } });
    const dir = tempDir("page");
    template = join(dir, "lb.cfg.hbs");
    writeFileSync(template, text);
    const check = ["/bin/sh", "-c", "if grep broken {{src}}; then echo unknown word >&2; exit 1; fi"];
    const target = {
      source: template,
      destination: join(dir, "lb.cfg"),
      check,
      reload: { command: ["true"] },
    };
    writeFileSync(join(dir, "portolan.yaml"), JSON.stringify({ templater: { templates: [target] } }));
    agent = await startProgram("agent", [
      ...["-c", join(dir, "portolan.yaml"), "--docker", `unix://${inject("docker").socket}`, "--ttl", "4s"],
      ...["--node", "h1", "--ip", "10.0.0.1", "--select", `${label}=1`],
      `etcd://127.0.0.1:${proxy.port}/page-${process.pid}`,
    ]);
    await waitFor("the agent to be ready", async () => (await agent.notReady()) === "", { within: 30_000 });
  });
  afterAll(async () => {
    await agent?.stop();
    await proxy?.stop();
  });

  it("shows a container that starts, and none that has ended, without being loaded again", async () => {
    const page = await open(`${agent.url}/`);
    await page.evaluate("window.isSame = true");
    await page.getByText("In sync").first().waitFor(soon);
    const web = await runWeb(docker, {
      name: "shown-on-page",
      publish: ["80"],
      labels: { SERVICE_NAME: "shown", SERVICE_TAGS: "blue", [label]: "1" },
    });
    const row = page.getByRole("row", { name: /h1:shown-on-page:80/ });
    await row.waitFor(soon);
    for (const shown of ["ready", "10.0.0.1:", "h1", "blue"])
      expect(await row.textContent()).toContain(shown);
    const picture = page.getByRole("img", { name: /Containers.*Targets/ });
    await picture.getByText("shown-on-page", { exact: true }).waitFor(soon);
    await page.locator("#journal").getByText("service shown").first().waitFor(soon);
    await page.locator("#plots circle").first().waitFor(soon);
    await web.remove();
    await row.waitFor({ ...soon, state: "detached" });
    expect(await page.evaluate("window.isSame")).toBe(true);
  });

  it("shows why a change was rejected, with its diff, and that it is over", async () => {
    const page = await open(`${agent.url}/`);
    const target = page.locator("#targets article");
    await target.getByText("in sync").waitFor(soon);
    writeFileSync(template, `${text}broken\n`);
    await target.getByText("rejected", { exact: true }).waitFor(soon);
    await target.getByText("unknown word").waitFor(soon);
    await target.locator(".diff .plus", { hasText: "+broken" }).waitFor(soon);
    expect(await target.locator(".steps .bad").textContent()).toBe("Checkrefused it");
    await page.getByText("Not in sync").first().waitFor(soon);
    writeFileSync(template, `${text}# mended\n`);
    await target.getByText("in sync", { exact: true }).waitFor(soon);
  });

  it("shows an outage as stale, and its end", async () => {
    const page = await open(`${agent.url}/`);
    const reads = page.locator("#sessions .session", { hasText: "Reads" });
    await reads.getByText("current").waitFor(soon);
    proxy.refuse();
    await reads.getByText(/^stale for/).waitFor(soon);
    await page.locator("#problems").getByText("Not in sync").waitFor(soon);
    await proxy.pass();
    await reads.getByText("current").waitFor(soon);
    await page
      .getByRole("status")
      .getByText("In sync")
      .waitFor({ ...soon, state: "attached" });
  });

  it("says that it is disconnected while nothing is heard, and goes on afterwards", async () => {
    const page = await open(`${agent.url}/`);
    agent.pause();
    try {
      await page.getByText("Nothing was heard").waitFor(soon);
      expect(await page.title()).toContain("Disconnected");
      expect(await page.locator("#bottom").textContent()).not.toContain("live");
    } finally {
      agent.resume();
    }
    await page.getByText("Nothing was heard").waitFor({ ...soon, state: "detached" });
  });
});

describe("the page", () => {
  let shown: ShownProcess;
  beforeAll(async () => {
    shown = await serveStatus();
  });
  afterAll(() => shown?.close());

  it("stays usable with 1,000 instances", async () => {
    shown.instances(1000);
    const page = await open(shown.url);
    await page.getByText("1,000 instances", { exact: true }).waitFor(soon);
    const began = performance.now();
    await page.getByRole("searchbox").fill("web-777");
    await page.getByText("1 instance found").waitFor(soon);
    await page
      .getByRole("row", { name: /web-777/ })
      .getByText("ready")
      .waitFor(soon);
    shown.change("web-777", { state: "draining" });
    await page
      .getByRole("row", { name: /web-777/ })
      .getByText("draining")
      .waitFor(soon);
    await page.getByRole("searchbox").fill("");
    await page.locator("#services").getByText("service-3", { exact: true }).click();
    await page.getByRole("row", { name: /web-30:/ }).waitFor(soon);
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it("shows names and labels as the text that they are", async () => {
    shown.instances(3);
    const name = "</script><img src=x onerror=alert(1)>";
    shown.change("web-1", { service: name, tags: [name], node: name });
    const page = await open(shown.url);
    await page.locator("#services").getByText(name).first().waitFor(soon);
    await page.getByText(`${name} is held back as it was: [ALERT] no`).waitFor(soon);
    expect(await page.locator("main img").count()).toBe(0);
  });

  it.each(["light", "dark"] as const)("can be read in %s", async (colorScheme) => {
    shown.instances(20);
    const page = await open(shown.url, { colorScheme });
    expect(await page.evaluate(lowContrast)).toEqual([]);
  });

  it("is opened with the token as the password, and stays live with it", async () => {
    const file = join(tempDir("page-token"), "token");
    writeFileSync(file, "page-token");
    const guarded = await serveStatus(await openToken(file));
    onTestFinished(guarded.close);
    const page = await open(guarded.url, { httpCredentials: { username: "me", password: "page-token" } });
    guarded.instances(3);
    await page.getByText("3 instances", { exact: true }).waitFor(soon);
  });

  it("fits a phone", async () => {
    shown.instances(20);
    const page = await open(shown.url, { viewport: { width: 360, height: 740 } });
    const [inside, outside] = (await page.evaluate(
      "[document.documentElement.scrollWidth, document.documentElement.clientWidth]",
    )) as [number, number];
    expect(inside).toBeLessThanOrEqual(outside);
  });

  it("is used with the keyboard, and has words for all that it draws", async () => {
    shown.instances(200);
    const page = await open(shown.url);
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    const summary = page.locator("#services summary").first();
    await summary.focus();
    await page.keyboard.press("Enter");
    await page
      .locator("#services table caption")
      .first()
      .waitFor({ ...soon, state: "attached" });
    // A change must not take the focus away.
    shown.change("web-0", { state: "paused" });
    await page.locator("#services").getByText("paused").first().waitFor(soon);
    expect(await page.evaluate("document.activeElement.tagName")).toBe("SUMMARY");
    const drawings = 'document.querySelectorAll("svg:not([aria-hidden]):not([aria-label])").length';
    expect(await page.evaluate(drawings)).toBe(0);
  });
});

/** The texts whose contrast is less than WCAG's 4.5, with what they are in the page's own words. */
const lowContrast = `(() => {
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color[3] !== 0) return color;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("body *:not(title)")) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.nodeValue.trim() !== "")) continue;
    const style = getComputedStyle(element);
    const [a, b] = [parse(element.closest("svg") ? style.fill : style.color), behind(element)].map(light);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(element.className + " " + element.textContent + " " + ratio.toFixed(2));
  }
  return low;
})()`;
