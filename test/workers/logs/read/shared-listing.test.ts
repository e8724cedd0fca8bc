import assert from 'node:assert/strict';
import { test } from 'node:test';
import { syncFiles } from '../../../../workers/logs/capture/files.ts';
import { SharedListing } from '../../../../workers/logs/read/shared-listing.ts';

function setUp() {
  const listed: string[] = [];
  const listing = new SharedListing({
    ...syncFiles,
    readdir: (path) => {
      listed.push(path);
      if (path === '/missing') throw new Error('ENOENT');
      return [`${path}/web.stdout.log`];
    },
  });
  return { listing, list: listing.files.readdir, listed };
}

test('what is opened together has each folder listed once', () => {
  const { listing, list, listed } = setUp();
  const names = listing.share(() => [list('/logs'), list('/other'), list('/logs')]);
  assert.deepEqual(names, [['/logs/web.stdout.log'], ['/other/web.stdout.log'], ['/logs/web.stdout.log']]);
  assert.deepEqual(listed, ['/logs', '/other']);
});

test('what is opened by itself, or afterwards, sees the folder as it is then', () => {
  const { listing, list, listed } = setUp();
  list('/logs');
  listing.share(() => list('/logs'));
  listing.share(() => list('/logs'));
  list('/logs');
  assert.equal(listed.length, 4);
});

test('a listing that fails is tried again, and one that fails in the end leaves nothing behind', () => {
  const { listing, list, listed } = setUp();
  assert.throws(() =>
    listing.share(() => {
      assert.throws(() => list('/missing'));
      list('/logs');
      list('/missing');
    }),
  );
  list('/logs');
  assert.deepEqual(listed, ['/missing', '/logs', '/missing', '/logs']);
});
