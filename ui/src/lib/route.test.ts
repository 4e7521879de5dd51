import { beforeAll, expect, it, vi } from 'vitest';

let route: typeof import('./route.svelte.ts');
beforeAll(async () => {
  vi.stubGlobal('location', { hash: '' });
  vi.stubGlobal('window', { addEventListener: () => {} });
  route = await import('./route.svelte.ts');
});

it('finds the page of an address, and a machine on the page of machines', () => {
  expect(route.pageOf('#live')).toBe('live');
  expect(route.pageOf('#machine-robot-1')).toBe('machines');
  expect(route.pageOf('#content')).toBeUndefined();
  expect(route.pageOf('')).toBeUndefined();
});

it('has no entry for a page that the gateway has nothing for', () => {
  expect(route.pagesOf(false)).toEqual(['machines', 'alarms', 'settings']);
  expect(route.pagesOf(true)[0]).toBe('live');
});
