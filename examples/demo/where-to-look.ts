import { demoImage, demoLabel } from "./containers.ts";
import type { DemoDocker } from "./docker.ts";
import type { Pipeline } from "./pipeline.ts";
import { bold, dim, line } from "./terminal.ts";

/** Says how to look around, and how to join in, while everything goes on. */
export function showWhereToLook(docker: DemoDocker, pipeline: Pipeline): void {
  const { port, registrator, templater, haproxyConfig, config } = pipeline;
  const show = (what: string, command: string) => line(`  ${dim(what.padEnd(18))} ${command}`);
  line();
  line(bold("All of it goes on until you press Ctrl-C. In another terminal:"));
  show("the service web", `curl -H 'Host: web.test' http://127.0.0.1:${port}/`);
  show("the service api", `curl -H 'Host: api.test' http://127.0.0.1:${port}/`);
  show("the pages", `${registrator.url}/ and ${templater.url}/`);
  show("the rendered file", `cat ${haproxyConfig}`);
  show("the backend", `node dist/cli.js services -c ${config}`);
  line();
  line(bold("A container of your own appears here, too, and is removed with the demo:"));
  if (!docker.isUsual) line(`  export DOCKER_HOST=${docker.url}`);
  line(`  docker run -d --name mine --label ${demoLabel} -p 127.0.0.1::80 \\`);
  line(`    --label SERVICE_NAME=mine --label SERVICE_HTTP_HOST=mine.test ${demoImage}`);
  line(`  curl -H 'Host: mine.test' http://127.0.0.1:${port}/`);
  line("  docker stop mine");
  line();
}
