import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { LANGUAGES, MASK, maskVariables, writeConfig } from '../../src/config/print.ts';
import type { Config } from '../../src/protocol/service.ts';
import { HOST, parse, serviceText } from '../helpers/config/harness.ts';

const DEMO = readFileSync(new URL('../../scripts/demo.toml', import.meta.url), 'utf8');

const FULL = `
kernel = "/boot/vmlinuz"
logs = { keep_total = "10GiB" }
images = { insecure_registries = ["a.b:1"], max_image_size = "1GiB" }
[[group]]
name = "g"
local_only = false
envs = ["A=1"]
volume = [{ name = "data", path = "/srv/data" }]
[[service]]
name = "web"
group = "g"
image = "alpine:3"
args = ["a\\nb", "", "'"]
envs = { B = "\${HOME} $$", "C" = "two\\nlines" }
cpus = 2
ram = "200MiB"
replicas = 2
ports = ["80-81:8080", "53-54:53/udp"]
group_volumes = ["data:/d:ro"]
volumes = ["/e:/f"]
secrets = ["s=/t"]
stop_timeout = 0.25
stop_signal = "INT"
restart = "always"
max_restarts = 3
restart_reset = "90s"
max_memory = 1048577
healthcheck = { exec = "true", interval = "1s", retries = 9 }
on_unhealthy = "restart"
disk = "17MiB"
user = 1000
open_files = 64
cpu_shares = 2
log = { format = "json", max_size = 4097, max_age = "1d", keep = 0, keep_total = "1MiB", keep_for = "forever", compress = "gzip", on_full = "drop" }
[[service]]
name = "plain"
isolation = "none"
command = "x"
workdir = "/tmp"
depends_on = ["web", { service = "web", condition = "healthy" }]
[[service]]
name = "rooted"
rootfs = "/r"
command = "x"
disk = "none"
healthcheck = { http = "/x", start_period = 0 }
[[service]]
name = "other"
command = "x"
healthcheck = { tcp = 1 }
[[service]]
name = "another"
command = "x"
healthcheck = { log_line = "^a" }
[defaults]
on_unhealthy = "restart"
max_restarts = 7
`;

for (const language of LANGUAGES) {
  describe(`a config that is written as ${language}`, () => {
    for (const [title, text] of Object.entries({ demo: DEMO, full: FULL, empty: '', smallest: serviceText() })) {
      test(`means the same when it is read again: ${title}`, () => {
        const config = parse(text);
        const written = writeConfig(config, language);
        // What were replicas are services of their own now.
        const services = config.services.map((service) => ({ ...service, replica_of: null }));
        const project = { name: config.project!.name, folder: '/elsewhere' };
        const reread = parseConfig(written, `/elsewhere/x.${language}`, HOST);
        assert.deepEqual(reread, { ...config, project, services }, written);
      });
    }
  });
}

describe('variables', () => {
  const config: Config = parse(
    serviceText(
      '[service.envs]',
      'DB_PASSWORD = "a"',
      'apiKey = "b"',
      'URL = "postgres://u:p@h/d"',
      'PAGE = "http://h:1/a@b"',
      'FROM_FILE = "c"',
      'LEVEL = "d"',
    ),
  );

  test('that look like secrets are masked, by name, address and origin', () => {
    assert.deepEqual(maskVariables(config, new Set(['FROM_FILE'])).services[0]?.envs, {
      DB_PASSWORD: MASK,
      apiKey: MASK,
      URL: MASK,
      PAGE: 'http://h:1/a@b',
      FROM_FILE: MASK,
      LEVEL: 'd',
    });
  });
});
