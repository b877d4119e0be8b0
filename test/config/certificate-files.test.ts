import { expect, it } from "vitest";
import { certificateFiles } from "../../src/config/certificate-files.ts";

const env = { CONSUL_CACERT: "/c/ca", CONSUL_CLIENT_KEY: "", DOCKER_CERT_PATH: "/d" };
const unix = "unix:///var/run/docker.sock";

it.each<[backends: string[], docker: string, files: string[]]>([
  [["etcd+tls://a?ca=/e/ca&cert=own.pem&key=/e/key"], unix, ["/e/ca", "/here/own.pem", "/e/key"]],
  [["consul+tls://a?cert=/q/cert&token-file=/t"], unix, ["/q/cert", "/c/ca"]],
  [["file:///r", "memory:"], unix, []],
  [["file:///r"], "tcp://h:2376", ["/d/ca.pem", "/d/cert.pem", "/d/key.pem"]],
])("certificates of %j and %s", (backends, docker, files) => {
  expect(certificateFiles({ backends, docker }, env, "/here")).toEqual(files);
});
