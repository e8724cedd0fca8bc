/** The systemd unit that runs the daemon: systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.kill(5). */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { DaemonSettings } from '../../protocol/http.ts';
import { settingOptions, type Unit } from './process.ts';

export type UnitScope = 'user' | 'system';

export interface UnitOptions {
  readonly scope: UnitScope;
  /** Absolute path of Node. */
  readonly execPath: string;
  /** Arguments of Node up to and including the path of monocore. */
  readonly args: readonly string[];
  /** Absolute path of the home. */
  readonly home: string;
  /** Absolute path, or null for the service manager's default. */
  readonly workingDir: string | null;
  readonly settings: Omit<DaemonSettings, 'background'>;
}

export const UNIT_NAME = 'monocore.service';

/** First line of every unit that monocore writes, so that it can recognize them. */
export const UNIT_MARK = '# Written by "monocore daemon install".';

/**
 * Hardening of a system unit. These stay available because guests or plain processes need them: devices (/dev/kvm),
 * kernel modules (read for the initramfs), namespaces (virtiofsd), memory that is writable and executable (Node, QEMU),
 * homes and /tmp (sockets and root file systems may be there).
 */
function renderHardening(home: string): string {
  // ProtectSystem makes these folders read-only.
  const protectSystem = /^\/(usr|boot|efi)(\/|$)/.test(home) ? '' : 'ProtectSystem=yes\n';
  return `
# These apply to plain processes (isolation = "none") as well; "systemctl edit" can revert them.
NoNewPrivileges=yes
${protectSystem}ProtectKernelTunables=yes
ProtectKernelLogs=yes
ProtectHostname=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
`;
}

/** Text of the unit. Paths must not contain control characters. */
export function renderUnit({ scope, execPath, args, home, workingDir, settings }: UnitOptions): string {
  const command = [...args, '--home', home, 'daemon', 'run', ...settingOptions(settings)];
  const isSystem = scope === 'system';
  return `${UNIT_MARK} The next one overwrites it: make changes with "systemctl edit".
[Unit]
Description=monocore, supervisor of microVMs
${isSystem ? 'After=network.target\n' : ''}# Restart it however often it fails: VMs wait for it.
StartLimitIntervalSec=0

[Service]
Type=notify
# systemd-notify sends the messages.
NotifyAccess=all
WatchdogSec=30s
ExecStart=${[quote(execPath), ...command.map(quoteArgument)].join(' ')}
${workingDir === null ? '' : `WorkingDirectory=${escapeSpecifiers(workingDir)}\n`}Restart=on-failure
RestartSec=1s
# Wrong usage does not improve with a restart.
RestartPreventExitStatus=2
# On a busy host it starts its threads and adopts its VMs slowly.
TimeoutStartSec=5min
# Counted from the daemon's last message: it asks for more time while its services stop.
TimeoutStopSec=90s
# VMs outlive a daemon that crashes or is replaced. SIGTERM makes it stop them${settings.leave_running ? ', except with --leave-running' : ''}.
KillMode=process
OOMPolicy=continue
TasksMax=infinity
${isSystem ? renderHardening(home) : ''}
[Install]
WantedBy=${isSystem ? 'multi-user.target' : 'default.target'}
`;
}

/** Argument of `ExecStart=`: `$` begins a variable there, but not in the path of the program. */
function quoteArgument(argument: string): string {
  return quote(argument.replaceAll('$', '$$$$'));
}

/** Quotes a word as systemd.syntax(7) requires, unless it is plain. */
function quote(word: string): string {
  const escaped = escapeSpecifiers(word);
  return /^[\w@%+=:,./$-]+$/.test(escaped) ? escaped : `"${escaped.replace(/[\\"]/g, '\\$&')}"`;
}

/** Escapes `%`, which begins a specifier: systemd.unit(5). */
function escapeSpecifiers(text: string): string {
  return text.replaceAll('%', '%%');
}

function managerOf(scope: UnitScope): string {
  return scope === 'system' ? 'systemctl' : 'systemctl --user';
}

/** Folder of local units: systemd.unit(5). */
export function unitFolder(scope: UnitScope): string {
  if (scope === 'system') return '/etc/systemd/system';
  const { XDG_CONFIG_HOME: configured } = process.env;
  // XDG Base Directory Specification: relative paths must be ignored.
  return join(configured && isAbsolute(configured) ? configured : join(homedir(), '.config'), 'systemd', 'user');
}

/**
 * Installed unit whose daemon uses the home; null if there is none or systemd is not running, see sd_booted(3).
 *
 * @param folderOf folder of the units; tests pass another one
 */
export function findInstalledUnit(home: string, folderOf = unitFolder, runDir = '/run'): Unit | null {
  if (!existsSync(join(runDir, 'systemd/system'))) return null;
  const scope = (['system', 'user'] as const).find((candidate) => {
    try {
      const unit = readFileSync(join(folderOf(candidate), UNIT_NAME), 'utf8');
      return unit.includes(` --home ${quoteArgument(home)} daemon run`);
    } catch {
      return false;
    }
  });
  return scope === undefined ? null : { name: UNIT_NAME, manager: managerOf(scope) };
}

/**
 * Service unit of a process; null if it has none.
 *
 * @param cgroup content of the process's /proc/<pid>/cgroup; with cgroup v1, systemd's own hierarchy is used
 */
export function findUnit(cgroup: string): Unit | null {
  const path = /^(?:0:|\d+:name=systemd):(.*)$/m.exec(cgroup)?.[1] ?? '';
  const names = path.split('/').filter((part) => part.endsWith('.service'));
  const name = names.at(-1);
  if (name === undefined) return null;
  const isUsers = names.length > 1 && /^user@\d+\.service$/.test(names[0]!);
  return { name, manager: managerOf(isUsers ? 'user' : 'system') };
}
