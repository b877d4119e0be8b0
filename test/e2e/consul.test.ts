import { startConsul } from "../servers/consul.ts";
import { pipelineScenarios } from "./scenarios.ts";

pipelineScenarios("consul", async () => {
  const consul = await startConsul({ persistent: true });
  return { ...consul, url: `consul://${consul.host}:${consul.port}`, restart: () => consul.restart("kill") };
});
