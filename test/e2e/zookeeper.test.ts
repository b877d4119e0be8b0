import { startZooKeeper } from "../servers/zookeeper.ts";
import { pipelineScenarios } from "./scenarios.ts";

pipelineScenarios("zookeeper", async () => {
  const zookeeper = await startZooKeeper();
  return {
    ...zookeeper,
    url: `zookeeper://${zookeeper.address}/portolan`,
    restart: () => zookeeper.restart("kill"),
  };
});
