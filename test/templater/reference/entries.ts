import type { Format } from "../../../src/templater/escape/format.ts";

/** What docs/reference/helpers.md says about a helper. */
export interface Entry {
  /** The arguments as one writes them; in brackets what may be left out. */
  readonly call: string;
  /** One or two sentences. */
  readonly says: string;
  /** Templates, whose output the page shows; in this format, else `text`. */
  readonly examples: readonly (string | readonly [format: Format, template: string])[];
}

/** Every helper, by section and name. */
export const sections: Readonly<Record<string, Readonly<Record<string, Entry>>>> = {
  "Reading the world": {
    service: {
      call: "NAME [tag=] [role=] [state=] [node=]",
      says: "The instances of a service, by id: the ready ones, unless `state` names another state or `any`. Reading a service also subscribes to it.",
      examples: [
        '{{#each (service "web")}}{{address}}:{{port}} {{/each}}',
        '{{len (service "web" state="any")}} {{len (service "web" tag="blue")}}',
      ],
    },
    services: {
      call: "[tag=] [role=] [state=] [node=]",
      says: "Every service, by name: `name`, `tags` (of all its instances) and `instances` (chosen as by `service`). A service stays in the list while none of its instances is ready. `tag` leaves out the services without it.",
      examples: ["{{#each (services)}}{{name}} {{len instances}}; {{/each}}"],
    },
    master: {
      call: "NAME [tag=] [state=] [node=]",
      says: "The one instance with the role master; nothing when there is none, or more than one.",
      examples: ['{{#with (master "db")}}{{hostport this}}{{else}}none{{/with}}'],
    },
    slaves: {
      call: "NAME [tag=] [state=] [node=]",
      says: "The instances with the role slave.",
      examples: ['{{#each (slaves "db")}}{{hostport this}}{{/each}}'],
    },
    env: {
      call: "NAME [default=]",
      says: "A variable of the templater's environment. One that is not set, or empty, is an error without `default`.",
      examples: ['{{env "REGION"}} {{env "ZONE" default="a"}}'],
    },
    file: {
      call: "PATH [default=]",
      says: "The text of a file of at most 1 MB; relative paths start at the template's folder. A path that does not stand in the template itself, but is computed, has to lie below that folder. Several lines need `{{{ }}}`.",
      examples: ['{{trim (file "motd.txt")}} {{file "none.txt" default="-"}}'],
    },
    key: {
      call: "KEY [default=]",
      says: "The value of a key of the backend, for what people put there. One that is not there is an error without `default`. Reading a key also subscribes to it. A backend without keys is an error.",
      examples: ['{{key "config/color"}} {{key "config/size" default="10"}}'],
    },
    keyExists: {
      call: "KEY",
      says: "Whether a key has a value, be it empty.",
      examples: ['{{#if (keyExists "config/size")}}sized{{else}}any size{{/if}}'],
    },
    ls: {
      call: "PATH [required=]",
      says: "What stands directly below a path, in order: `key`, the last part of it, and `value`. Nothing is an empty list; with `required=true` it is an error, and the last good file stays.",
      examples: ['{{#each (ls "config")}}{{key}}={{value}} {{/each}}'],
    },
    tree: {
      call: "PATH [required=]",
      says: "Everything below a path, in order: `key`, what it has after the path, and `value`; `required=true` as for `ls`.",
      examples: ['{{#each (tree "config")}}{{key}}={{value}} {{/each}}'],
    },
    containers: {
      call: "[label=] [name=] [state=] [network=] [self=]",
      says: "The containers of this host's Docker, by name, in `portolan agent`: those that run, unless `state` is another one of Docker's (`paused`, `exited` …) or `any`. `label` is a label that they have, or `label=value`; `self=true` is the one that this process runs in, if it runs in one. Each has `id`, `name`, `created`, `hostname`, `networkMode`; `image` (`name`, `registry`, `repository`, `tag`); `labels`, `env`; `addresses`, one for each port (`ip`, `port`, `proto`, `hostPort`, `hostIp`, `bindings`, `ip6Global`, `ip6LinkLocal`); `networks` (`name`, `ip`, `ipPrefixLen`, `gateway`, `globalIpv6Address`, `globalIpv6PrefixLen`, `ipv6Gateway`, `macAddress`, `aliases`, `endpointId`, `internal`); `ip`, `gateway`, `ip6Global` and `ip6LinkLocal`; `mounts` (`type`, `name`, `source`, `destination`, `driver`, `mode`, `rw`), `volumes` (`path`, `hostPath`, `readWrite`), `devices` (`pathOnHost`, `pathInContainer`); `state` (`status`, `running`, `health.status`, `exitCode`).",
      examples: [
        '{{#each (containers label="app=shop")}}{{name}} {{ip}} {{state.status}}{{state.health.status}}; {{/each}}',
        '{{#each (groupBy (containers) "env.VIRTUAL_HOST" separator=",")}}{{@key}}:{{#each this}} {{name}}{{/each}}; {{/each}}',
        "{{#with (first (containers self=true))}}{{name}}{{else}}no container{{/with}}",
        '{{#each (containers name="shop-1")}}{{#each addresses}}{{ip}}:{{port}}/{{proto}} {{/each}}{{/each}}',
      ],
    },
    node: { call: "", says: "The name of this host.", examples: ["{{node}}"] },
  },
  Lists: {
    where: {
      call: "LIST FIELD [VALUE] [anyOf=] [allOf=] [separator=] [not=]",
      says: "The items whose field (`port`, `meta.version`; `.` is the item itself) equals the value; without one, those where it is neither missing, empty, 0 nor false. `anyOf` and `allOf` ask for one or all of a list of texts among the items of the field, or among the parts of its text with `separator`, of which up to 100 count. `not=true` gives the others.",
      examples: [
        '{{#each (where (service "web") "meta.version" "1.3")}}{{id}}{{/each}}',
        '{{#each (where (service "web") "meta.version" "1.3" not=true)}}{{id}} {{/each}}',
        '{{#each (where (service "web") "tags" anyOf=(split "blue,green" ","))}}{{id}} {{/each}}',
        '{{#each (where (service "web") "meta.version" separator="." allOf=(split "1,3" ","))}}{{id}} {{/each}}',
      ],
    },
    keys: {
      call: "MAP",
      says: "The names of the fields of an object or of groups, in order.",
      examples: ['{{json (keys (groupBy (service "web") "meta.version"))}}'],
    },
    sortBy: {
      call: "LIST FIELD [descending=]",
      says: "Sorted by a field: numbers by size, anything else by its text, what lacks it first; the other way round with `descending=true`.",
      examples: [
        '{{json (pluck (sortBy (service "web") "meta.version") "node")}}',
        '{{json (pluck (sortBy (service "web") "meta.version" descending=true) "node")}}',
      ],
    },
    groupBy: {
      call: "LIST FIELD [default=] [separator=]",
      says: "Lists by the value of a field; `{{#each}}` walks them in the order of the values, with the value as `@key`. What lacks the field is left out, or grouped under `default`. With `separator` an item is in the group of each part of its value, of which up to 100 count.",
      examples: [
        '{{#each (groupBy (service "web") "meta.version")}}{{@key}}: {{len this}}; {{/each}}',
        '{{#each (groupBy (service "web") "meta.version" separator=".")}}{{@key}}: {{len this}}; {{/each}}',
      ],
    },
    byTag: {
      call: "LIST",
      says: "Lists by tag.",
      examples: ['{{#each (byTag (service "web"))}}{{@key}}: {{len this}}; {{/each}}'],
    },
    byMeta: {
      call: "LIST KEY [default=] [separator=]",
      says: "Lists by the value of a meta key, as `groupBy`.",
      examples: ['{{#each (byMeta (service "web") "version")}}{{@key}}: {{len this}}; {{/each}}'],
    },
    byPort: {
      call: "LIST",
      says: "Lists by port.",
      examples: ['{{#each (byPort (service "web"))}}{{@key}} {{/each}}'],
    },
    first: {
      call: "LIST [COUNT]",
      says: "The first item, or nothing; with a count the first so many, as a list.",
      examples: ['{{lookup (first (service "web")) "id"}}', '{{json (first (split "a,b,c" ",") 2)}}'],
    },
    last: {
      call: "LIST [COUNT]",
      says: "The last item, or nothing; with a count the last so many, as a list.",
      examples: ['{{last (split "a,b,c" ",")}}'],
    },
    unique: {
      call: "LIST",
      says: "Without repetitions; the first of equal items stays.",
      examples: ['{{json (unique (split "b,a,b" ","))}}'],
    },
    pluck: {
      call: "LIST FIELD",
      says: "The field of each item.",
      examples: ['{{json (pluck (service "web") "port")}}'],
    },
    contains: {
      call: "LIST|TEXT VALUE",
      says: "Whether a list has the value, or a text the part.",
      examples: ['{{contains (split "a,b" ",") "b"}} {{contains "abc" "bd"}}'],
    },
    in: {
      call: "VALUE LIST",
      says: "Whether the value is in the list: `contains` with its arguments exchanged.",
      examples: ['{{in 8001 (pluck (service "web") "port")}}'],
    },
    hasTag: {
      call: "INSTANCE TAG",
      says: "Whether an instance has the tag.",
      examples: ['{{hasTag (first (service "web")) "blue"}}'],
    },
    tagValue: {
      call: "INSTANCE NAME [default=]",
      says: "What follows `NAME=` in the first such tag.",
      examples: [
        '{{tagValue (first (service "web")) "share"}} {{tagValue (last (service "web")) "share" default="1"}}',
      ],
    },
    len: {
      call: "LIST|TEXT|OBJECT",
      says: "How many items, characters or fields.",
      examples: ['{{len (service "web")}} {{len "abc"}}'],
    },
    index: {
      call: "LIST|OBJECT KEY…",
      says: "An item by its number, from 0, or from the end when it is negative; a field by its name. More keys go deeper.",
      examples: ['{{index (split "a,b,c" ",") 1}} {{index (service "web") -1 "meta" "version"}}'],
    },
    lookup: {
      call: "OBJECT|LIST KEY",
      says: "A field whose name is computed. Only fields that the object itself has: no prototypes.",
      examples: ['{{lookup (first (service "web")) "node"}}'],
    },
    join: {
      call: "LIST SEPARATOR",
      says: "The items as one text.",
      examples: ['{{join (pluck (service "web") "address") ","}}'],
    },
  },
  Texts: {
    split: {
      call: "TEXT SEPARATOR",
      says: "The parts between separators; the empty text has none.",
      examples: ['{{json (split "a,b" ",")}}'],
    },
    replace: {
      call: "TEXT FROM TO",
      says: "Every occurrence replaced, letter by letter.",
      examples: ['{{replace "a.b.c" "." "-"}}'],
    },
    trim: { call: "TEXT", says: "Without space at both ends.", examples: ['[{{trim " a "}}]'] },
    trimPrefix: { call: "TEXT PREFIX", says: "Without the prefix.", examples: ['{{trimPrefix "v1.2" "v"}}'] },
    trimSuffix: {
      call: "TEXT SUFFIX",
      says: "Without the suffix.",
      examples: ['{{trimSuffix "db.service" ".service"}}'],
    },
    toLower: { call: "TEXT", says: "In small letters.", examples: ['{{toLower "WEB"}}'] },
    toUpper: { call: "TEXT", says: "In capital letters.", examples: ['{{toUpper "web"}}'] },
    indent: {
      call: "TEXT WIDTH",
      says: "So many spaces before each line that is not empty.",
      examples: [["yaml", 'tags:\n{{indent (yaml (split "a,b" ",")) 2}}']],
    },
    printf: {
      call: "FORMAT VALUE…",
      says: "As in Go: `%s` and `%v` any value, `%d` a whole number, `%f` and `%.2f` a fraction, `%x` hexadecimal, `%q` in double quotes, `%%`; `%5d`, `%-5s` and `%05d` pad, `%.12s` cuts.",
      examples: ['{{printf "%s-%03d" "web" 7}}'],
    },
    regexMatch: {
      call: "TEXT PATTERN",
      says: "Whether the pattern is somewhere in the text. Patterns are RE2's, as in Go: no look-around and no back references, and no text can make one slow. At most 512 characters of pattern and 16,384 of text.",
      examples: ['{{regexMatch "web-12" "^web-[0-9]+$"}}'],
    },
    regexReplace: {
      call: "TEXT PATTERN REPLACEMENT",
      says: `Every match replaced; \`$1\` and \`\${name}\` are its groups, \`\\$\` a dollar sign.`,
      examples: ['{{regexReplace "web-12" "([a-z]+)-([0-9]+)" "$2.$1"}}'],
    },
    base64Encode: { call: "TEXT", says: "In Base64.", examples: ['{{base64Encode "web"}}'] },
    base64Decode: { call: "TEXT", says: "From Base64, as UTF-8.", examples: ['{{base64Decode "d2Vi"}}'] },
    sha256: { call: "TEXT", says: "SHA-256 in hexadecimal digits.", examples: ['{{sha256 "web"}}'] },
    hash: {
      call: "TEXT",
      says: "Twelve hexadecimal digits that depend on the text alone: for names and cookies.",
      examples: ['{{hash "web"}}'],
    },
  },
  "Conditions and numbers": {
    eq: {
      call: "A B",
      says: "Equal as they would be printed, so that the number 80 equals the text 80. Never true of lists and objects.",
      examples: ['{{eq 80 "80"}}'],
    },
    ne: { call: "A B", says: "Not `eq`.", examples: ['{{ne "a" "b"}}'] },
    lt: { call: "A B", says: "Whether the number A is less than B.", examples: ["{{lt 9 10}}"] },
    gt: { call: "A B", says: "Whether the number A is greater than B.", examples: ["{{gt 9 10}}"] },
    and: {
      call: "VALUE…",
      says: "The first value that is missing, empty, 0 or false, else the last.",
      examples: ['{{and "a" 0}} {{and "a" "b"}}'],
    },
    or: {
      call: "VALUE…",
      says: "The first value that is neither missing, empty, 0 nor false, else the last.",
      examples: ['{{or "" "b"}}'],
    },
    not: { call: "VALUE", says: "Whether it is missing, empty, 0 or false.", examples: ['{{not ""}}'] },
    default: {
      call: "VALUE OTHER",
      says: "The value, or the other where it is missing or the empty text.",
      examples: ['{{default meta.zone "a"}} {{default 0 1}}'],
    },
    coalesce: {
      call: "VALUE…",
      says: "The first value that is neither missing nor the empty text.",
      examples: ['{{coalesce meta.zone "" "b"}}'],
    },
    add: { call: "A B", says: "A + B.", examples: ["{{add 1 2}}"] },
    sub: { call: "A B", says: "A - B.", examples: ["{{sub 5 2}}"] },
    mul: { call: "A B", says: "A × B.", examples: ["{{mul 3 4}}"] },
    div: {
      call: "A B",
      says: "A ÷ B; of whole numbers the whole part, as in Go.",
      examples: ["{{div 7 2}} {{div 7.5 2}}"],
    },
    mod: { call: "A B", says: "What is left of A ÷ B.", examples: ["{{mod 7 2}}"] },
    min: { call: "NUMBER…", says: "The smallest.", examples: ["{{min 3 1 2}}"] },
    max: { call: "NUMBER…", says: "The greatest.", examples: ["{{max 3 1 2}}"] },
    seq: {
      call: "[FIRST] LAST",
      says: "Whole numbers from FIRST (1) to LAST, which is one of them; at most 100,000.",
      examples: ["{{json (seq 2 5)}} {{json (seq 3)}}"],
    },
    range: {
      call: "[FIRST] END",
      says: "Whole numbers from FIRST (0) up to END, which is none of them; at most 100,000.",
      examples: ["{{json (range 2 5)}} {{json (range 3)}}"],
    },
  },
  "Writing in the file's grammar": {
    quote: {
      call: "VALUE",
      says: "One quoted word of the file's grammar that stands for just this value.",
      examples: [
        ["haproxy", `{{quote "it's"}}`],
        ["nginx", '{{quote "a;b"}}'],
        ["yaml", '{{quote "a: b"}}'],
      ],
    },
    json: {
      call: "VALUE",
      says: "The value as JSON, in one line: also a YAML value and, for texts, numbers and lists of them, TOML. In other grammars it is a text like any other, to be quoted.",
      examples: ['{{json (pluck (service "web") "id")}}'],
    },
    yaml: {
      call: "VALUE",
      says: "The value as a block of YAML, for lines of its own; `indent` moves it.",
      examples: [["yaml", '{{yaml (pluck (service "web") "id")}}']],
    },
    parseJSON: {
      call: "TEXT",
      says: "What a text in JSON stands for.",
      examples: [`{{lookup (parseJSON '{"a": 1}') "a"}}`],
    },
    slug: {
      call: "VALUE",
      says: "An identifier of the file's grammar for this value: the value itself where it is one, else a similar one with a hash that no other value has.",
      examples: [
        ["haproxy", '{{slug "h1:web-1:80"}}'],
        ["nginx", '{{slug "h1:web-1:80"}}'],
        ["env", '{{slug "web-1"}}=1'],
      ],
    },
    ip: {
      call: "TEXT",
      says: "An IP address as it is; anything else is refused.",
      examples: ['{{ip "2001:db8::4"}}'],
    },
    hostname: {
      call: "TEXT",
      says: "A name that DNS can hold as it is; anything else is refused.",
      examples: ['{{hostname "web.internal"}}'],
    },
    hostport: {
      call: "INSTANCE",
      says: "Address and port of an instance, IPv6 in brackets. An address that is neither an IP address nor a host name is refused.",
      examples: ['{{#each (service "db")}}{{hostport this}} {{/each}}'],
    },
    bracket: {
      call: "ADDRESS",
      says: "An IPv6 address in brackets, any other text as it is.",
      examples: ['{{bracket "2001:db8::4"}}'],
    },
  },
  "Putting aside": {
    set: {
      call: "NAME VALUE",
      says: "Puts a value aside until this render ends, and writes nothing.",
      examples: ['{{set "port" 80}}{{get "port"}}'],
    },
    get: {
      call: "NAME [default=]",
      says: "A value that was put aside, or a map of `mapSet` with its keys.",
      examples: [
        `{{#each (split "a,b" ",")}}{{{get "comma" default=""}}}{{this}}{{set "comma" ", "}}{{/each}}`,
        '{{mapSet "m" "b" 2}}{{mapSet "m" "a" 1}}{{#each (get "m")}}{{@key}}={{this}} {{/each}}',
      ],
    },
    mapSet: {
      call: "MAP KEY VALUE",
      says: "Puts a value aside in a map, in the place of the one with the same key.",
      examples: [
        '{{#each (service "web")}}{{mapSet "ports" address port}}{{/each}}{{json (mapValues "ports")}}',
      ],
    },
    mapValues: {
      call: "MAP",
      says: "The values of a map, in the order of their keys.",
      examples: ['{{mapSet "m" "b" 2}}{{mapSet "m" "a" 1}}{{json (mapValues "m")}}'],
    },
  },
  "What proxies listen for": {
    httpRoutes: {
      call: "SERVICES",
      says: "The routing table of an HTTP proxy from meta http_host, http_path, http_check, http_sticky, http_slow_start, http_proto and backup: `sites` (`host`, `exact`, `suffix`, `whole`, `paths` with `path` and `pool`) and `pools` (`name`, `host`, `check`, `sticky`, `h2`, `servers`, `usable`, `primary`). Instances that ask for something impossible are refused.",
      examples: [
        '{{#each (lookup (httpRoutes (services state="any")) "sites")}}{{host}}{{#each paths}} {{path}} {{pool.name}}{{/each}}{{/each}}',
      ],
    },
    portRoutes: {
      call: "SERVICES KEY… [least=]",
      says: "The ports that instances ask for in these meta keys, from `least` upwards: `port`, `protocol`, `key`, `service`, `name` (the service's, or one with its port where it has several), `servers` (the ready ones), `leaving` (those that drain), `primary`, `check` (meta role_check). A port belongs to one service and key; instances of others that want it are refused.",
      examples: [
        '{{#each (portRoutes (services state="any") "write_port")}}{{port}} {{service}} {{len servers}}{{/each}}',
      ],
    },
  },
};
