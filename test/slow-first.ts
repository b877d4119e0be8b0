// The order in which `npm test` takes the test files.
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * The files that take longest, 25 s and more. Begun last, one of them would run on alone after all others; so they
 * begin first. Those that keep the processors busy alternate with those that mostly wait.
 */
const slow: readonly string[] = [
  "e2e/etcd",
  "backends/consulkv",
  "e2e/consul",
  "e2e/registrator-backends",
  "e2e/zookeeper",
  "e2e/steady",
  "e2e/registrator-faults",
  "backends/consul",
  "e2e/file",
  "backends/zookeeper",
  "e2e/memory",
  "e2e/registrator-life",
  "e2e/registrator-docker",
  "backends/etcd-rights",
  "examples/containers",
  "examples/image-arm64",
  "templater/guard.stores",
  "e2e/rollout",
  "e2e/registrator-roles",
  "backends/consul-rights",
  "demo",
  "backends/file",
  "e2e/crash",
  "backends/consul-lease-checks",
  "registrator/docker-faults",
  "registrator/docker",
  "templater/keep",
];

/** The slow files in their order, then the others: where nothing is known of them, the large ones first. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = slow.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return at < 0 ? slow.length : at;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
