import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeFleet, PASSING_PROJECT } from './fleet.ts';
import { Projects } from './projects.ts';

const fleet = makeFleet(10, 1, '/run/chaos', (name) => `/run/chaos/${name}`);
const projects = new Projects(fleet);

describe('the projects of a run', () => {
  it('have every service once, and each its dependencies', () => {
    const names = projects.all.flatMap((project) => project.names);
    assert.deepEqual(names.toSorted(), fleet.map(({ service }) => service.name).toSorted());
    for (const { config, names: own } of projects.all)
      for (const { depends_on } of config.services)
        for (const { service } of depends_on) assert.ok(own.includes(service), service);
  });

  it('are two, and one whose only service is removed now and then', () => {
    assert.equal(projects.all.length, 3);
    assert.deepEqual(projects.get(PASSING_PROJECT).names, ['process-8']);
  });

  it('share the services of a command', () => {
    const parts = projects.divide(['process-1', 'process-2', 'vm-0']).map(({ names }) => names);
    assert.deepEqual(parts, [['process-1', 'vm-0'], ['process-2']]);
  });

  it('claim a service of another one beside their own', () => {
    const { project, config, names } = projects.claim('process-1');
    assert.notEqual(project.folder, projects.ownerOf('process-1').project.folder);
    assert.ok(names.includes('process-1'));
    assert.deepEqual(config.services.at(-1)?.depends_on, []);
  });
});
