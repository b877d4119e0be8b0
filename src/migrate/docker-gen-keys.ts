import type { Key } from "./settings-read.ts";

const always: Key = {
  here: "always: changes are pushed, and `portolan agent --once` ends after the first",
  dropped: true,
};
const filters: Key = {
  here: 'not turned: ask in the template, `{{#each (containers label="x")}}`, or `--select LABEL` for what is registered',
};

/** Every key of docker-gen's configuration, and what it is here. */
export const dockerGenKeys: Readonly<Record<string, Key>> = {
  "config.template": {
    here: "`templates[].source`, the converted file; of `a;b` those after the first are partials",
  },
  "config.dest": { here: "`templates[].destination`" },
  "config.watch": always,
  "config.wait": { here: "`templater.wait`; max is 4 × min where it is not said" },
  "config.notifycmd": { here: "`reload: { shell: … }`, with a `timeout`; retried until it succeeds" },
  "config.notifyoutput": { here: "what a command prints is logged when it fails", dropped: true },
  "config.notifycontainers": { here: "`reload: { container: { name: …, signal: … } }`, one container" },
  "config.notifycontainersfilter": {
    here: "not turned: name the container: `reload: { container: { name: … } }`",
  },
  "config.notifycontainerssignal": { here: "`reload: { container: { signal: … } }`" },
  "config.containerfilter": filters,
  "config.onlyexposed": { here: "not turned: ask for `addresses` in the template" },
  "config.onlypublished": { here: "not turned: ask for `hostPort` of the addresses in the template" },
  "config.includestopped": {
    here: 'not turned: ask in the template, `{{#each (containers state="any")}}`; without it, those that run',
  },
  "config.interval": {
    here: "not needed: changes are pushed; a reload without a change is no part of this",
    dropped: true,
  },
  "config.keepblanklines": {
    here: "lines stay as the template has them; a line with nothing but a tag leaves none",
    dropped: true,
  },
  "config.eventfilter": { here: "not needed: all events that matter count", dropped: true },
};

/** Every option of docker-gen, and what it is here. */
export const dockerGenOptions: Readonly<Record<string, Key>> = {
  "-config": { here: "`portolan migrate docker-gen FILE…`", dropped: true },
  "-watch": always,
  "-wait": { here: "`templater.wait`; `--wait MIN[:MAX]`" },
  "-notify": { here: "`reload: { shell: … }`" },
  "-notify-output": { here: "what a command prints is logged when it fails", dropped: true },
  "-notify-container": { here: "`reload: { container: { name: …, signal: … } }`, one container" },
  "-notify-signal": { here: "`reload: { container: { signal: … } }`; `-1`, a restart: not turned" },
  "-notify-sighup": { here: "`reload: { container: { name: …, signal: HUP } }`" },
  "-notify-filter": { here: "not turned: name the container: `reload: { container: { name: … } }`" },
  "-container-filter": filters,
  "-only-exposed": { here: "not turned: ask for `addresses` in the template" },
  "-only-published": { here: "not turned: ask for `hostPort` of the addresses in the template" },
  "-include-stopped": {
    here: 'not turned: ask in the template, `{{#each (containers state="any")}}`; without it, those that run',
  },
  "-event-filter": { here: "not needed: all events that matter count", dropped: true },
  "-interval": { here: "not needed: changes are pushed", dropped: true },
  "-keep-blank-lines": {
    here: "lines stay as the template has them; a line with nothing but a tag leaves none",
    dropped: true,
  },
  "-endpoint": { here: "`docker:`, `--docker URL`, `$DOCKER_HOST`" },
  "-tlsverify": { here: "`DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`", dropped: true },
  "-tlscert": { here: "`DOCKER_CERT_PATH`, a folder with ca.pem, cert.pem and key.pem", dropped: true },
  "-tlskey": { here: "`DOCKER_CERT_PATH`, a folder with ca.pem, cert.pem and key.pem", dropped: true },
  "-tlscacert": { here: "`DOCKER_CERT_PATH`, a folder with ca.pem, cert.pem and key.pem", dropped: true },
  "-version": { here: "`--version`", dropped: true },
};
