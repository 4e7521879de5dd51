import { expect, it } from 'vitest';
import { announcements } from './view.ts';

it('announces a machine when its word changes and is quiet otherwise', () => {
  const before = new Map([
    ['robot-1', 'Running'],
    ['robot-2', 'Running'],
  ]);
  const after = new Map([
    ['robot-1', 'Stale'],
    ['robot-2', 'Running'],
    ['robot-3', 'Starting'],
  ]);
  expect(announcements(before, after)).toEqual(['robot-1: Stale', 'robot-3: Starting']);
  expect(announcements(after, after)).toEqual([]);
});
