/** Configs of a mebibyte that would keep the rules between tables busy for minutes: each is refused at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, serviceText, shortProblems } from '../helpers/config/harness.ts';

/** As many pieces as go into a mebibyte. */
function fill(piece: (index: number) => string, before = ''): string {
  const pieces = [before];
  for (let index = 0, length = before.length; length < 2 ** 20 - 200; index += 1) {
    pieces.push(piece(index));
    length += pieces.at(-1)!.length;
  }
  return pieces.join('');
}

const service = (index: number, keys: string) => `[[service]]\nname = "service${index}"\ncommand = "x"\n${keys}\n`;

const EXCESSIVE: Readonly<Record<string, string>> = {
  services: fill((index) => service(index, '')),
  dependencies: fill((index) => service(index, `depends_on = ["servicx${index}"]`)),
  groups: fill((index) => `${service(index, `group = "h${index}"`)}[[group]]\nname = "g${index}"\n`),
  references: `${fill((index) => `"servicx${index}", `, `${service(0, '')}[[service]]\nname = "a"\ncommand = "x"\ndepends_on = [`)}]\n`,
  mounts: `${fill((index) => `"w${index}:/g${index}", `, `[[group]]\nname = "g"\n[[group.volume]]\nname = "v"\npath = "/h"\n${serviceText('group = "g"')}group_volumes = [`)}]\n`,
};
for (const [name, text] of Object.entries(EXCESSIVE)) {
  test(`too many ${name}`, () => assert.ok(shortProblems(text).length > 0));
}

test('a thousand services are not too many, replicas counted', () => {
  const text = Array.from({ length: 999 }, (_, index) => service(index, '')).join('');
  assert.equal(parse(text + serviceText()).services.length, 1000);
  assert.deepEqual(shortProblems(text + serviceText('replicas = 2')), [
    '4000:12 service[999].replicas: brings the number of services to 1001',
  ]);
  assert.deepEqual(shortProblems(text + serviceText() + serviceText().replace('web', 'b')), [
    '1:1 service: has 1001 elements',
  ]);
});
