import { startEtcd } from "../servers/etcd.ts";
import { pipelineScenarios } from "./scenarios.ts";

pipelineScenarios("etcd", async () => {
  const etcd = await startEtcd();
  return { ...etcd, url: `etcd://${etcd.host}:${etcd.port}`, restart: () => etcd.restart("kill") };
});
