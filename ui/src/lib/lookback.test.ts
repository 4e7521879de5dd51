import { afterEach, expect, it, vi } from 'vitest';
import { mockHistory } from '../../dev/mock-cell.ts';
import { elapsed, stamp } from '../../dev/mock-time.ts';
import { seconds } from './format.ts';
import { LookBack, fill } from './lookback.svelte.ts';
import { WINDOW_S } from './past.ts';
import { Trail } from './trail.ts';

afterEach(() => vi.unstubAllGlobals());

const NOW_S = seconds(stamp(1000));

/** A gateway with a history; the questions that it was asked. */
function gateway(answer: (asked: URLSearchParams) => Response = told): URLSearchParams[] {
  const questions: URLSearchParams[] = [];
  vi.stubGlobal('fetch', (path: string) => {
    const asked = new URL(path, 'http://gateway').searchParams;
    questions.push(asked);
    return Promise.resolve(answer(asked));
  });
  return questions;
}

function told(asked: URLSearchParams): Response {
  const [from_s, to_s] = [asked.get('from')!, asked.get('to')!].map(elapsed);
  // An hour of invented walks would take seconds.
  const first_s = Math.max(from_s!, to_s! - 30);
  const records = mockHistory(() => 'running', asked.get('record')!, first_s, to_s!);
  return new Response(JSON.stringify({ records, more: false }));
}

it('reads the minutes around a moment once, and shows other moments of them at once', async () => {
  const questions = gateway();
  const lookBack = new LookBack();
  await lookBack.show(NOW_S - 500, ['robot-1'], 0.2, NOW_S);
  expect(questions.map((asked) => asked.get('record'))).toEqual([
    'separation',
    'axes',
    'separation_state',
  ]);
  expect(lookBack.window).toEqual([NOW_S - 500 - WINDOW_S / 2, NOW_S - 500 + WINDOW_S / 2]);
  expect(lookBack.past?.at(NOW_S - 420).separation?.obstacle).toBe('anna');
  await lookBack.show(NOW_S - 480, ['robot-1'], 0.2, NOW_S);
  expect(lookBack.at_s).toBe(NOW_S - 480);
  expect(questions).toHaveLength(3);
  await lookBack.show(NOW_S - 700, ['robot-1'], 0.2, NOW_S);
  expect(questions).toHaveLength(6);
});

it('begins with the minutes of the live chart, and shows nothing that is yet to come', async () => {
  gateway();
  const lookBack = new LookBack();
  await lookBack.show(NOW_S - 170, ['robot-1'], 0.2, NOW_S);
  expect(lookBack.window).toEqual([NOW_S - WINDOW_S, NOW_S]);
  await lookBack.show(NOW_S + 50, ['robot-1'], 0.2, NOW_S);
  expect(lookBack.at_s).toBe(NOW_S);
});

it('says why there is nothing, and forgets it all on the way back', async () => {
  gateway(() => new Response('{"detail":"The disk is gone."}', { status: 500 }));
  const lookBack = new LookBack();
  await lookBack.show(NOW_S - 20, ['robot-1'], 0.2, NOW_S);
  expect(lookBack.failure).toBe('The disk is gone.');
  expect(lookBack.past).toBeUndefined();
  lookBack.live();
  expect([lookBack.at_s, lookBack.past, lookBack.failure]).toEqual([undefined, undefined, '']);
});

it('gives up what it reads when something else is wanted meanwhile', async () => {
  gateway();
  const lookBack = new LookBack();
  const first = lookBack.show(NOW_S - 900, ['robot-1'], 0.2, NOW_S);
  await lookBack.show(NOW_S - 20, ['robot-1'], 0.2, NOW_S);
  await first;
  expect(lookBack.window[1]).toBe(NOW_S);
  expect(lookBack.past?.to_s).toBe(NOW_S);
  expect(lookBack.loading).toBe(false);
});

it('fills the chart with what happened before the page was opened, or leaves it be', async () => {
  gateway();
  const trail = new Trail();
  await fill(trail, ['robot-1'], [NOW_S - 60, NOW_S]);
  expect(trail.columns(NOW_S - 60, NOW_S, 0.2)[0].length).toBeGreaterThan(120);
  gateway(() => new Response('', { status: 404 }));
  const other = new Trail();
  await fill(other, ['robot-1'], [NOW_S - 60, NOW_S]);
  expect(other.columns(NOW_S - 60, NOW_S, 0.2)[0]).toEqual([]);
});
