/** Release of Debian that a suite runs in: `MONOCORE_TEST_RELEASE`, set by `npm run test:systemd`. */
import { RELEASES } from './base-image.ts';

export const chosenRelease = RELEASES.find((release) => release === process.env.MONOCORE_TEST_RELEASE) ?? 'bookworm';
