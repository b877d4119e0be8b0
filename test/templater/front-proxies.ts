import { startHaproxy } from "../servers/haproxy.ts";
import { startNginx } from "../servers/nginx.ts";

/** The load balancers whose shipped templates lead requests by host: what each reads, and how it is started on it. */
export const frontProxies = [
  { file: "haproxy.cfg", start: (config: string, dir: string) => startHaproxy({ config, dir }) },
  { file: "nginx.conf", start: (config: string, dir: string) => startNginx({ config, dir }) },
];
