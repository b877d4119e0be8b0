import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseHcl } from "../../src/migrate/hcl.ts";
import { migrate, type Tool } from "../../src/migrate/index.ts";
import type { Files } from "../../src/migrate/migrated.ts";
import { portolanYaml } from "../../src/migrate/portolan-yaml.ts";

/** Migrates the first of some files, which see each other. */
function turned(tool: Tool, all: Readonly<Record<string, string>>, services?: string) {
  const files: Files = {
    read: (path) => all[path],
    list: (folder) =>
      Object.keys(all).flatMap((path) =>
        path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1)] : [],
      ),
  };
  const [path = "", text = ""] = Object.entries(all)[0] ?? [];
  const { draft, notes, files: out } = migrate(tool, [{ path, text, services }], files);
  const config = draft ? parse(portolanYaml(draft, notes, path)) : undefined;
  const told = (kind: string) =>
    notes.flatMap((note) => (note.kind === kind ? [`${note.at} ${note.what}`] : []));
  return { config, out, missing: told("missing"), dropped: told("dropped"), different: told("different") };
}

const hcl = `# comment
consul { address = "10.0.0.2:8500" // agent
  token = "secret"
  ssl { enabled = true  ca_cert = "/etc/ca.pem" }
  retry { attempts = 5 } }
wait { min = "2s" }
log_level = "warn"
template {
  source = "a.ctmpl"
  destination = "/etc/haproxy/haproxy.cfg"
  command = ["pkill", "-HUP", "app"]
  command_timeout = "1m30s"
  perms = 0600
  user = "root"
  group = "haproxy"
  backup = true
  error_fatal = false
  splay = "5s"
}
template {
  contents = <<-EOT
    {{ range service "web" }}{{ .Address }}
    {{ timestamp }}
    {{ end }}
    EOT
  destination = "/etc/hosts.lb"
  exec { command = "touch /x"  splay = "1m30s" }
}
exec { command = "/usr/sbin/haproxy" }
vault { address = "https://vault" }
kill_signal = "SIGTERM"
`;

describe("consul-template", () => {
  it("HCL: what maps, and a line for each thing that does not", () => {
    const { config, missing, dropped, out } = turned("consul-template", {
      "dir/a.hcl": hcl,
      "dir/a.ctmpl": "{{ env `X` }}",
    });
    expect(config).toEqual({
      backend: "consul+tls://10.0.0.2:8500?ca=/etc/ca.pem",
      logLevel: "warn",
      templater: {
        wait: { min: "2s", max: "8s" },
        templates: [
          {
            source: "templates/haproxy.cfg.hbs",
            destination: "/etc/haproxy/haproxy.cfg",
            mode: "0600",
            owner: "root:haproxy",
            backups: 1,
            reload: { command: ["pkill", "-HUP", "app"] },
            timeout: "90s",
          },
          {
            source: "templates/hosts.lb.hbs",
            destination: "/etc/hosts.lb",
            reload: { shell: "touch /x" },
            splay: "90s",
          },
        ],
      },
    });
    expect(out.map(({ path }) => path)).toEqual(["templates/haproxy.cfg.hbs", "templates/hosts.lb.hbs"]);
    expect(missing).toEqual([
      "dir/a.hcl:3 consul.token",
      "dir/a.hcl:18 template.splay",
      "dir/a.hcl:23 {{ timestamp }}",
      "dir/a.hcl:29 exec",
      "dir/a.hcl:30 vault",
    ]);
    expect(dropped).toEqual([
      "dir/a.hcl:5 consul.retry",
      "dir/a.hcl:17 template.error_fatal",
      "dir/a.hcl:31 kill_signal",
    ]);
  });

  it("JSON is the same", () => {
    const json = `{"consul": {"address": "h:1"}, "wait": "1s:5s",
      "template": [{"source": "/x.ctmpl", "destination": "/x", "perms": "0644"}, {"contents": "y", "destination": "/y"}]}`;
    const { config, missing } = turned("consul-template", { "a.json": json });
    expect(config).toEqual({
      backend: "consul://h:1",
      templater: {
        wait: { min: "1s", max: "5s" },
        templates: [
          { source: "templates/x.hbs", destination: "/x", mode: "0644" },
          { source: "templates/y.hbs", destination: "/y" },
        ],
      },
    });
    expect(missing).toEqual(["a.json:2 source /x.ctmpl"]);
  });

  it("a command line", () => {
    const unit = `[Service]
ExecStart=/usr/bin/consul-template -consul-addr=10.0.0.2:8500 -wait 2s:9s -once \\
  -template "a.ctmpl:/etc/a:service a reload" -vault-addr http://v`;
    const { config, missing, dropped } = turned("consul-template", { "ct.service": unit, "a.ctmpl": "a" });
    expect(config).toEqual({
      backend: "consul://10.0.0.2:8500",
      templater: {
        wait: { min: "2s", max: "9s" },
        templates: [
          { source: "templates/a.hbs", destination: "/etc/a", reload: { shell: "service a reload" } },
        ],
      },
    });
    expect(missing).toEqual(["ct.service:2 -vault-addr"]);
    expect(dropped).toEqual(["ct.service:2 -once"]);
  });

  it("custom delimiters leave braces as they are", () => {
    const text = `template { left_delimiter = "<<" right_delimiter = ">>" destination = "/a" contents = "{{x}} << env \\"A\\" >>" }`;
    expect(turned("consul-template", { "a.hcl": text }).out[0]?.text).toBe('\\{{x}} {{env "A" default=""}}');
  });

  it.each([
    ['template { destination = "/a"', /1.*|not closed/],
    ["template", /has neither/],
    ["= 1", /a key should stand here/],
  ])("what is no HCL is an error: %s", (text, why) => {
    expect(() => parseHcl(text)).toThrow(why);
  });
});

const resource = `[template]
src = "a.tmpl"
dest = "/etc/nginx/nginx.conf"
keys = ["/a"]
prefix = "/prod"
owner = "root"
mode = "0640"
check_cmd = "nginx -t -c {{ .src }}"
reload_cmd = "nginx -s reload || true"
colour = "red"
`;

describe("confd", () => {
  it("a resource, with the confd.toml above it", () => {
    const { config, out, missing, dropped } = turned("confd", {
      "/c/conf.d/a.toml": resource,
      "/c/confd.toml":
        'backend = "etcdv3"\nnodes = ["https://h1:2379", "https://h2"]\npassword = "x"\ninterval = 60\n',
      "/c/templates/a.tmpl": '{{ getv "/x" }}{{ datetime }}',
    });
    expect(config).toEqual({
      backend: "etcd+tls://h1:2379,h2:2379",
      templater: {
        templates: [
          {
            source: "templates/nginx.conf.hbs",
            destination: "/etc/nginx/nginx.conf",
            mode: "0640",
            owner: "root",
            check: ["nginx", "-t", "-c", "{{src}}"],
            reload: { shell: "nginx -s reload || true" },
          },
        ],
      },
    });
    expect(out[0]?.text).toContain('{{key "/prod/x"}}{{notTurned "/c/templates/a.tmpl:1');
    expect(missing).toEqual([
      "/c/conf.d/a.toml:10 template.colour",
      "/c/confd.toml:3 password",
      "/c/templates/a.tmpl:1 {{ datetime }}",
    ]);
    expect(dropped).toEqual(["/c/conf.d/a.toml:4 template.keys", "/c/confd.toml:4 interval"]);
  });

  it("registrator's keys as services", () => {
    const { config, out } = turned(
      "confd",
      {
        "/c/confd.toml": 'backend = "zookeeper"\n',
        "/c/conf.d/a.toml": '[template]\nsrc = "a"\ndest = "/a"\n',
        "/c/templates/a": '{{ range getvs "/reg/web/*" }}{{ . }} {{ index (split . ":") 0 }};{{ end }}',
      },
      "/reg",
    );
    expect(config.backend).toBe("zookeeper://127.0.0.1:2181/reg?layout=registrator");
    expect(out[0]?.text).toBe(
      '{{#each (service "web")}}\n{{hostport this}} {{index (split (hostport this) ":") 0}};{{/each}}',
    );
  });

  it("a command line, and what has no backend here", () => {
    const { config, missing } = turned("confd", {
      "run.sh": "exec confd -watch -backend redis -node h:6379 -confdir /c\n",
      "/c/conf.d/a.toml": resource,
    });
    expect(config.templater.templates).toHaveLength(1);
    expect(missing).toEqual([
      "/c/conf.d/a.toml:2 src a.tmpl",
      "/c/conf.d/a.toml:10 template.colour",
      "run.sh:1 backend redis",
    ]);
  });
});

describe("docker-gen", () => {
  it("its configuration, keys in any case", () => {
    const text = `[[config]]
Template = "a.tmpl"
dest = "/etc/nginx/conf.d/a.conf"
onlyexposed = true
NotifyCmd = "nginx -s reload"
wait = "500ms"
[[config]]
template = "a.tmpl"
dest = "/b"
NotifyContainers = { lb = 1, other = 12 }
`;
    const { config, missing, different } = turned("docker-gen", { "d.cfg": text, "a.tmpl": "{{ len . }}" });
    expect(config).toEqual({
      templater: {
        wait: { min: "500ms", max: "2s" },
        templates: [
          {
            source: "templates/a.nginx.hbs",
            destination: "/etc/nginx/conf.d/a.conf",
            reload: { shell: "nginx -s reload" },
          },
          {
            source: "templates/b.hbs",
            destination: "/b",
            reload: { container: { name: "lb", signal: "HUP" } },
          },
        ],
      },
    });
    expect(missing).toEqual(["d.cfg:4 config.onlyexposed", "d.cfg:10 notify other"]);
    expect(different).toEqual([]);
  });

  it("a command line", () => {
    const line = `dockergen: docker-gen -watch -notify-sighup lb -container-filter label=x a.tmpl /etc/a.conf\n`;
    const { config, missing } = turned("docker-gen", { Procfile: line, "a.tmpl": "x" });
    expect(config.templater.templates).toEqual([
      {
        source: "templates/a.conf.hbs",
        destination: "/etc/a.conf",
        reload: { container: { name: "lb", signal: "HUP" } },
      },
    ]);
    expect(missing).toEqual(["Procfile:1 -container-filter"]);
  });
});
