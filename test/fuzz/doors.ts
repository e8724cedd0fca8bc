/**
 * Doors: the places where input from outside is parsed. Each is a function that fails unless the input is taken or refused
 * in the way of that door. Inputs to begin with are in `corpus/<door>/`, or made where they are not text.
 */
import type { Door } from './door.ts';
import { GUEST_DOORS } from './doors/guests.ts';
import { HOME_DOORS } from './doors/homes.ts';
import { IMAGE_DOORS } from './doors/images.ts';
import { USER_DOORS } from './doors/users.ts';

/** By name. */
export const DOORS: Readonly<Record<string, Door>> = { ...USER_DOORS, ...HOME_DOORS, ...GUEST_DOORS, ...IMAGE_DOORS };
