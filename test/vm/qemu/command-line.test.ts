import assert from 'node:assert/strict';
import test from 'node:test';
import { VmPaths } from '../../../src/state/paths.ts';
import {
  listForwards,
  listMachineFiles,
  type MachineSpec,
  renderCommandLine,
} from '../../../src/vm/qemu/command-line.ts';

const SPEC: MachineSpec = {
  architecture: 'x86_64',
  accelerator: 'tcg',
  name: 'web',
  cpus: 2,
  ramMib: 256,
  kernelImage: '/boot/vmlinuz',
  initramfs: '/cache/initramfs.cpio',
  tscKhz: 2_000_000,
  paths: new VmPaths('/run/web'),
  network: null,
  share: false,
  disk: null,
};

/** The arguments of that option, in order. */
function valuesOf(option: string, spec: Partial<MachineSpec> = {}): string[] {
  const args = renderCommandLine({ ...SPEC, ...spec });
  return args.flatMap((arg, index) => (args[index - 1] === option ? [arg] : []));
}

/** Descriptor of a file of the machine, behind the inherited ones. */
function fdOf(id: string, spec: Partial<MachineSpec> = {}): number {
  return 6 + listMachineFiles({ ...SPEC, ...spec }).findIndex((file) => file.id === id);
}

const lineOf = (spec: Partial<MachineSpec> = {}) => renderCommandLine({ ...SPEC, ...spec }).join(' ');

test('the machine has the name, the size and the kernel that it was given', () => {
  assert.deepEqual(valuesOf('-name'), ['web,debug-threads=on']);
  assert.deepEqual(valuesOf('-m'), ['256M']);
  assert.deepEqual(valuesOf('-smp'), ['2']);
  assert.deepEqual(valuesOf('-kernel'), ['/boot/vmlinuz']);
  assert.deepEqual(valuesOf('-initrd'), ['/cache/initramfs.cpio']);
});

test('the kernel’s command line is the same for every service', () => {
  const network = {
    ports: [{ address: '127.0.0.3', host: 1, guest: 2, protocol: 'tcp' as const }],
    localOnly: false,
    isPrivate: false,
  };
  const other = { name: 'other', cpus: 1, ramMib: 64, network, paths: new VmPaths('/run/other') };
  assert.deepEqual(valuesOf('-append'), valuesOf('-append', other));
});

test('a guest that needs no network has no device for one', () => {
  assert.deepEqual(valuesOf('-netdev'), []);
  assert.ok(!lineOf().includes('virtio-net'));
});

test('TCP ports are forwarded from their addresses, and UDP ports are not by QEMU', () => {
  const ports = [
    { address: '127.0.0.2', host: 8080, guest: 80, protocol: 'tcp' as const },
    { address: '0.0.0.0', host: 8443, guest: 443, protocol: 'tcp' as const },
    { address: '127.0.0.2', host: 5353, guest: 53, protocol: 'udp' as const },
  ];
  const network = { ports, localOnly: true, isPrivate: false };
  assert.deepEqual(valuesOf('-netdev', { network }), [
    'user,id=net,restrict=on,hostfwd=tcp:127.0.0.2:8080-:80,hostfwd=tcp:0.0.0.0:8443-:443',
  ]);
});

test('in a jail the ports are forwarded to those of its own network', () => {
  const ports = [
    { address: '127.0.0.2', host: 8080, guest: 80, protocol: 'tcp' as const },
    { address: '127.0.0.2', host: 5353, guest: 53, protocol: 'udp' as const },
    { address: '0.0.0.0', host: 8443, guest: 443, protocol: 'tcp' as const },
  ];
  const network = { ports, localOnly: true, isPrivate: true };
  assert.deepEqual(valuesOf('-netdev', { network }), [
    'user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:1024-:80,hostfwd=tcp:127.0.0.1:1025-:443',
  ]);
  assert.deepEqual(listForwards({ ...SPEC, network }), [
    { address: '127.0.0.2', host: 8080, inner: 1024 },
    { address: '0.0.0.0', host: 8443, inner: 1025 },
  ]);
  assert.deepEqual(listForwards({ ...SPEC, network: { ...network, isPrivate: false } }), []);
});

test('a guest reaches out only where its group allows it', () => {
  const network = (localOnly: boolean) => ({
    network: { ports: [], localOnly, isPrivate: false },
  });
  assert.deepEqual(valuesOf('-netdev', network(true)), ['user,id=net,restrict=on']);
  assert.deepEqual(valuesOf('-netdev', network(false)), ['user,id=net,restrict=off']);
});

test('a guest of a group has a second device, with the address of its place', () => {
  assert.ok(!lineOf().includes('stream,'));
  const spec = { groupMac: '02:00:0a:53:00:01' };
  assert.deepEqual(valuesOf('-netdev', spec), [
    `stream,id=group,server=on,addr.type=fd,addr.str=${fdOf('group', spec)}`,
  ]);
  assert.ok(valuesOf('-device', spec).includes('virtio-net-device,netdev=group,mac=02:00:0a:53:00:01'));
});

test('the arguments name none of the files and sockets of the machine, only their descriptors', () => {
  const spec = { groupMac: '02:00:0a:53:00:01', share: true, disk: '/home/disk/web.img', rootImage: '/home/1.erofs' };
  assert.doesNotMatch(lineOf(spec), /\/home|\/run\/web/);
  assert.deepEqual(
    listMachineFiles({ ...SPEC, ...spec }).map(({ how, path }) => `${how} ${path}`),
    [
      'append /run/web/stdout.fifo',
      'append /run/web/stderr.fifo',
      'append /run/web/console.fifo',
      'append /run/web/exit',
      'listen /run/web/control.sock',
      'listen /run/web/qmp.sock',
      'listen /run/web/net.sock',
      'connect /run/web/share.sock',
      'write /home/disk/web.img',
      'read /home/1.erofs',
    ],
  );
  const chardevs = valuesOf('-chardev', spec);
  for (const id of ['stdout', 'stderr', 'console', 'exit']) {
    assert.ok(chardevs.includes(`file,id=${id},path=/dev/fdset/${fdOf(id, spec)},append=on`), chardevs.join('\n'));
  }
  for (const id of ['control', 'qmp']) {
    assert.ok(chardevs.includes(`socket,id=${id},fd=${fdOf(id, spec)},server=on,wait=off`), chardevs.join('\n'));
  }
  assert.ok(chardevs.includes(`socket,id=share,fd=${fdOf('share', spec)}`), chardevs.join('\n'));
  const sets = ['stdout', 'stderr', 'console', 'exit', 'disk', 'image'].map((id) => fdOf(id, spec));
  assert.deepEqual(
    valuesOf('-add-fd', spec),
    sets.map((fd) => `fd=${fd},set=${fd}`),
  );
});

test('the ports of the serial device have the numbers that the guest’s init knows', () => {
  const ports = valuesOf('-device').filter((device) => device.startsWith('virtserialport'));
  assert.deepEqual(
    ports.map((port) => port.replace(/.*nr=(\d+),name=(.*)/, '$1 $2')),
    ['1 stdout', '2 stderr', '3 control', '4 exit'],
  );
});

test('files of the host need shared memory and one device', () => {
  assert.ok(!lineOf().includes('vhost-user-fs'));
  const line = lineOf({ share: true });
  assert.match(line, /-M microvm,isa-serial=off,memory-backend=ram/);
  assert.match(line, /memory-backend-memfd,id=ram,size=256M,share=on/);
  assert.match(line, /vhost-user-fs-device,chardev=share,tag=share/);
});

test('a disk is attached to at most one machine, flushed when the guest says so, and stays sparse', () => {
  assert.deepEqual(valuesOf('-blockdev'), []);
  assert.ok(!lineOf().includes('virtio-blk'));
  const disk = '/home/disk/web.img';
  const [blockdev] = valuesOf('-blockdev', { disk });
  const options = blockdev!.split(/(?<!,),(?!,)/).map((option) => option.split('='));
  assert.deepEqual(Object.fromEntries(options), {
    driver: 'raw',
    'node-name': 'disk',
    discard: 'unmap',
    'cache.direct': 'off',
    'cache.no-flush': 'off',
    'file.driver': 'file',
    'file.filename': `/dev/fdset/${fdOf('disk', { disk })}`,
    'file.locking': 'on',
    'file.discard': 'unmap',
  });
  assert.ok(
    valuesOf('-device', { disk: '/disk/web.img' }).includes('virtio-blk-device,drive=disk,serial=disk,werror=enospc'),
  );
});

test('the root of an image is attached read-only, so that many machines can have it', () => {
  const spec = { rootImage: '/1.erofs' };
  assert.deepEqual(valuesOf('-blockdev', spec), [
    `driver=raw,node-name=image,read-only=on,file.driver=file,file.filename=/dev/fdset/${fdOf('image', spec)}`,
  ]);
  assert.ok(valuesOf('-device', spec).includes('virtio-blk-device,drive=image,serial=image'));
});

test('a machine whose guest panics is paused until somebody knows', () => {
  assert.ok(valuesOf('-device').includes('pvpanic'));
  assert.deepEqual(valuesOf('-action'), ['panic=pause']);
  assert.ok(!lineOf({ architecture: 'aarch64' }).includes('panic=pause'));
});

test('on aarch64 the machine is virt, without what only x86 knows', () => {
  const spec = { architecture: 'aarch64', tscKhz: null } as const;
  assert.deepEqual(valuesOf('-M', spec), ['virt']);
  const [append] = valuesOf('-append', spec);
  assert.doesNotMatch(append!, /tsc|8250|reboot=t/);
  assert.match(append!, /console=hvc0/);
});

test('KVM takes the host’s processor, emulation a generic one', () => {
  assert.deepEqual(
    [valuesOf('-accel', { accelerator: 'kvm' }), valuesOf('-cpu', { accelerator: 'kvm' })],
    [['kvm'], ['host']],
  );
  assert.deepEqual([valuesOf('-accel'), valuesOf('-cpu')], [['tcg,tb-size=32'], ['max']]);
});

test('under KVM the guest keeps its mitigations and measures its clock itself', () => {
  const [append] = valuesOf('-append', { accelerator: 'kvm' });
  assert.doesNotMatch(append!, /mitigations=off|tsc/);
  assert.match(valuesOf('-append')[0]!, /mitigations=off.*tsc_early_khz=2000000/);
  assert.doesNotMatch(valuesOf('-append', { tscKhz: null })[0]!, /tsc/);
});

test('without a user QEMU can never change its own; with one it does, behind its sandbox', () => {
  assert.deepEqual(valuesOf('-runas'), []);
  assert.match(valuesOf('-sandbox')[0]!, /^on,.*elevateprivileges=deny,spawn=deny/);
  assert.deepEqual(valuesOf('-runas', { user: 'nobody' }), ['nobody']);
  assert.match(valuesOf('-sandbox', { user: 'nobody' })[0]!, /^on,.*elevateprivileges=allow,spawn=deny/);
});
