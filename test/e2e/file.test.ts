import { join } from "node:path";
import { tempDir } from "../servers/run.ts";
import { pipelineScenarios } from "./scenarios.ts";

pipelineScenarios("file", async () => ({
  url: `file://${join(tempDir("registry"), "registry")}`,
  stop: async () => {},
}));
