import { expect, it } from 'vitest';
import { mayLook } from './session.svelte.ts';

it('lets everybody look where there are no sessions, and before the claim', () => {
  expect(mayLook(undefined)).toBe(true);
  expect(mayLook({ claimed: false })).toBe(true);
});

it('lets only users look after the claim', () => {
  expect(mayLook({ claimed: true })).toBe(false);
  expect(mayLook({ claimed: true, user: 'anna', role: 'viewer' })).toBe(true);
});
