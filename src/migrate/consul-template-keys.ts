import type { Key } from "./settings-read.ts";

const noVault: Key = {
  here: "not turned: keep secrets out of the file: let the proxy read them, or write them with Vault's agent beside it",
};
const noNomad: Key = { here: "not turned: Nomad's registry is no backend" };
const forever: Key = { here: "a backend is tried for ever, with pauses of up to 10 s", dropped: true };
const pooled: Key = {
  here: "connections are few: one request for each service that a template reads",
  dropped: true,
};
const noChild: Key = {
  here: "not turned: nothing is supervised; start the program by itself (in a container: two processes under tini), and tell it of changes by `reload:`",
};
const logs: Key = { here: "not turned: logs go to standard error, for systemd or Docker to keep" };

/** Every key of consul-template's configuration, and what it is here. */
export const consulTemplateKeys: Readonly<Record<string, Key>> = {
  "template.source": { here: "`templates[].source`, the converted file" },
  "template.contents": { here: "a file of its own, `templates[].source`" },
  "template.destination": { here: "`templates[].destination`" },
  "template.command": {
    here: "`reload: { shell: … }`, or `{ command: […] }` where it is a list; retried until it succeeds",
  },
  "template.command_timeout": { here: "`timeout`, for check and reload; 30 s" },
  "template.exec.command": { here: "as `command`" },
  "template.exec.timeout": { here: "`timeout`" },
  "template.exec.splay": { here: "`splay`; here it works before the command, too" },
  "template.exec": {
    here: "not turned: a command is started with the templater's own environment, and ended by its `timeout`",
  },
  "template.perms": { here: "`mode`" },
  "template.user": { here: "`owner: user:group`" },
  "template.group": { here: "`owner: user:group`" },
  "template.uid": { here: "`owner: user:group`" },
  "template.gid": { here: "`owner: user:group`" },
  "template.backup": { here: "`backups: 1`" },
  "template.wait": {
    here: "`templater.wait`, where only one template has it; else not turned: it is one for all",
  },
  "template.left_delimiter": { here: "read; Handlebars has `{{ }}`" },
  "template.right_delimiter": { here: "read; Handlebars has `{{ }}`" },
  "template.create_dest_dirs": { here: "make the folder: it is not created", dropped: true },
  "template.error_on_missing_key": {
    here: "a name without a value is always an error with its line",
    dropped: true,
  },
  "template.error_fatal": {
    here: "an error of one template keeps its last good file, and ends nothing",
    dropped: true,
  },
  "template.sandbox_path": {
    here: "a computed path always has to lie below the template's folder",
    dropped: true,
  },
  "template.function_denylist": {
    here: "no helper runs anything or leaves the template's folder",
    dropped: true,
  },
  "template.function_blacklist": {
    here: "no helper runs anything or leaves the template's folder",
    dropped: true,
  },
  "template.map_to_environment_variable": noVault,
  wait: { here: "`templater.wait`" },
  "consul.address": { here: "`backend: consul://HOST:PORT`" },
  "consul.token": {
    here: "not turned, so that it stands in no file: `CONSUL_HTTP_TOKEN`, or `?token-file=` in the backend's URL",
  },
  "consul.token_file": { here: "`?token-file=`" },
  "consul.namespace": { here: "`?namespace=`" },
  "consul.auth": { here: "not turned, so that no password stands in a file: `?user=` and `?password-file=`" },
  "consul.ssl.enabled": { here: "`backend: consul+tls://…`" },
  "consul.ssl.verify": {
    here: "not turned: give the authority, `?ca=`, or set `CONSUL_HTTP_SSL_VERIFY=false`",
  },
  "consul.ssl.ca_cert": { here: "`?ca=`" },
  "consul.ssl.ca_path": { here: "not turned: one file with all authorities, `?ca=`" },
  "consul.ssl.cert": { here: "`?cert=`" },
  "consul.ssl.key": { here: "`?key=`" },
  "consul.ssl.server_name": { here: "not turned: set `CONSUL_TLS_SERVER_NAME`" },
  "consul.retry": forever,
  "consul.transport": pooled,
  vault: noVault,
  nomad: noNomad,
  exec: noChild,
  deduplicate: {
    here: "not needed: a templater reads only what its templates name, and what did not change costs nothing",
    dropped: true,
  },
  default_delimiters: { here: "read; Handlebars has `{{ }}`" },
  template_error_fatal: {
    here: "an error of one template keeps its last good file, and ends nothing",
    dropped: true,
  },
  err_on_failed_lookup: {
    here: "a missing key is an error of its template without `default=`, and the last good file stays",
    dropped: true,
  },
  max_stale: { here: "`?stale` in the backend's URL lets any Consul server answer", dropped: true },
  block_query_wait: { here: "not needed: changes are pushed", dropped: true },
  retry: forever,
  reload_signal: { here: "SIGHUP, always", dropped: true },
  kill_signal: { here: "SIGTERM and SIGINT, always", dropped: true },
  dump_signal: { here: "not turned: `/status` tells the state" },
  pid_file: { here: "not turned: the process manager knows the pid" },
  log_level: { here: "`logLevel`" },
  log_file: logs,
  syslog: logs,
  parse_only: { here: "`portolan check`", dropped: true },
};

/** Every option of consul-template, and what it is here. */
export const consulTemplateOptions: Readonly<Record<string, Key>> = {
  "-template": { here: "`templates[]`; also `portolan templater -t SOURCE:DEST:COMMAND`" },
  "-config": {
    here: "`portolan migrate consul-template FILE…` or `DIR`: one `portolan.yaml`; `default_delimiters` count for their own file",
    dropped: true,
  },
  "-consul-addr": { here: "`backend: consul://HOST:PORT`" },
  "-consul": { here: "`backend: consul://HOST:PORT`" },
  "-consul-token": {
    here: "not turned, so that it stands in no file: `CONSUL_HTTP_TOKEN`, or `?token-file=`",
  },
  "-token": { here: "not turned, so that it stands in no file: `CONSUL_HTTP_TOKEN`, or `?token-file=`" },
  "-consul-token-file": { here: "`?token-file=`" },
  "-consul-namespace": { here: "`?namespace=`" },
  "-consul-auth": {
    here: "not turned, so that no password stands in a file: `?user=` and `?password-file=`",
  },
  "-consul-ssl": { here: "`consul+tls://`" },
  "-consul-ssl-ca-cert": { here: "`?ca=`" },
  "-consul-ssl-cert": { here: "`?cert=`" },
  "-consul-ssl-key": { here: "`?key=`" },
  "-consul-ssl-verify": {
    here: "not turned: give the authority, `?ca=`, or set `CONSUL_HTTP_SSL_VERIFY=false`",
  },
  "-consul-ssl-ca-path": { here: "not turned: one file with all authorities, `?ca=`" },
  "-consul-ssl-server-name": { here: "not turned: set `CONSUL_TLS_SERVER_NAME`" },
  "-consul-retry": forever,
  "-consul-retry-attempts": forever,
  "-consul-retry-backoff": forever,
  "-consul-retry-max-backoff": forever,
  "-consul-transport-dial-keep-alive": pooled,
  "-consul-transport-dial-timeout": pooled,
  "-consul-transport-disable-keep-alives": pooled,
  "-consul-transport-max-idle-conns-per-host": pooled,
  "-consul-transport-tls-handshake-timeout": pooled,
  "-vault-addr": noVault,
  "-vault-token": noVault,
  "-vault-renew-token": noVault,
  "-vault-unwrap-token": noVault,
  "-vault-agent-token-file": noVault,
  "-wait": { here: "`templater.wait`; `--wait MIN[:MAX]`" },
  "-once": { here: "`portolan templater --once`", dropped: true },
  "-dry": { here: "`portolan render`, or `portolan render --diff`", dropped: true },
  "-parse-only": { here: "`portolan check`", dropped: true },
  "-exec": noChild,
  "-exec-kill-signal": noChild,
  "-exec-kill-timeout": noChild,
  "-exec-reload-signal": noChild,
  "-exec-splay": noChild,
  "-dedup": { here: "not needed: a templater reads only what its templates name", dropped: true },
  "-default-left-delimiter": { here: "read; Handlebars has `{{ }}`" },
  "-default-right-delimiter": { here: "read; Handlebars has `{{ }}`" },
  "-template-error-fatal": {
    here: "an error of one template keeps its last good file, and ends nothing",
    dropped: true,
  },
  "-max-stale": { here: "`?stale` in the backend's URL", dropped: true },
  "-block-query-wait": { here: "not needed: changes are pushed", dropped: true },
  "-retry": forever,
  "-kill-signal": { here: "SIGTERM and SIGINT, always", dropped: true },
  "-reload-signal": { here: "SIGHUP, always", dropped: true },
  "-pid-file": { here: "not turned: the process manager knows the pid" },
  "-log-level": { here: "`--log-level`, `logLevel`" },
  "-log-file": logs,
  "-log-rotate-bytes": logs,
  "-log-rotate-duration": logs,
  "-log-rotate-max-files": logs,
  "-syslog": logs,
  "-syslog-facility": logs,
  "-syslog-name": logs,
  "-version": { here: "`--version`", dropped: true },
};
