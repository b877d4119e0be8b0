import { pipelineScenarios } from "./scenarios.ts";

pipelineScenarios("memory", async () => ({ url: "memory:", stop: async () => {} }));
