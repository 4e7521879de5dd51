import { afterEach, expect, it, vi } from 'vitest';
import { ApiError, ask, problem } from './api.ts';
import { happenings } from './events.svelte.ts';
import { language } from './language.svelte.ts';
import { text } from './text.ts';

afterEach(() => {
  vi.unstubAllGlobals();
  language.choose('en');
});

it('says what the gateway says, where that is the language of the reader', () => {
  const said = '{"title":"Forbidden","detail":"Only an admin may."}';
  expect(problem(403, said)).toBe('Only an admin may.');
  expect(problem(403, '{"title":"Forbidden"}')).toBe('Forbidden');
  expect(problem(502, '<html>')).toBe(text.errors.status(502));
  language.choose('de');
  expect(problem(403, said)).toBe(text.errors.status(403));
});

it('asks with the token of the session, and fails with a status', async () => {
  const asked: [string, RequestInit][] = [];
  vi.stubGlobal('fetch', (path: string, request: RequestInit) => {
    asked.push([path, request]);
    return Promise.resolve(new Response('{"detail":"No."}', { status: 403 }));
  });
  const failing = ask('session', { method: 'DELETE', csrf: 'c5f1' });
  await expect(failing).rejects.toMatchObject({ status: 403, message: 'No.' });
  expect(asked[0]?.[0]).toBe('/api/v1/session');
  expect(asked[0]?.[1].headers).toMatchObject({ 'x-csrf-token': 'c5f1' });
});

it('says that nobody answers, or that the answer is no JSON', async () => {
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('refused')));
  await expect(ask('status')).rejects.toEqual(new ApiError(0, text.errors.unreachable));
  vi.stubGlobal('fetch', () => Promise.resolve(new Response('{')));
  await expect(ask('status')).rejects.toThrow(text.errors.unreadable);
  vi.stubGlobal('fetch', () => Promise.resolve(new Response(null, { status: 204 })));
  await expect(ask('status')).resolves.toBeUndefined();
});

it('lists what happened newest first and leaves out what it does not know', () => {
  const record = { t: '2026-11-20T10:00:00Z', seq: 1, record: 'separation_state', fields: {} };
  const alarm = { event: 'alarm', alarm: 'line_silent', active: true, detail: '' } as const;
  const list = happenings([
    { ...alarm, t: '2026-11-20T09:00:00Z' },
    { event: 'separation_state', t: record.t, machine: 'robot-1', record },
    { event: 'separation_state', t: record.t, machine: 'r', record: { ...record, record: 'axes' } },
    { event: 'moon' } as never,
  ]);
  expect(list.map(({ kind }) => kind)).toEqual(['transition', 'alarm']);
});
