import { describe, expect, it } from 'vitest';
import { mockCell } from '../../dev/mock-cell.ts';
import { type CellGlance, causeText, cellLook } from './cell.ts';
import { language } from './language.svelte.ts';
import type { CellStatus, SeparationState } from './status.ts';
import { text } from './text.ts';

const fresh: CellGlance = {
  connection: 'live',
  eventAge_s: 0.02,
  separationStale: false,
  staleAfter_s: 0.2,
};
const cell = (change: Partial<CellStatus> = {}): CellStatus => ({
  ...mockCell('clear', 100, 0),
  ...change,
});

describe('a cell', () => {
  it.each(['clear', 'warn', 'stop'] as const)('repeats the word %s of the gateway', (scenario) => {
    const look = cellLook(mockCell(scenario, 100, 0), fresh);
    expect(look).toMatchObject({ state: scenario, stale: false });
    expect(look.word).toBe(text.separation.state[scenario]);
    expect(look.permit).toBe(scenario === 'stop' ? 'withheld' : 'sent');
    expect(look.separation?.distance_m).toBeGreaterThan(0);
  });

  it.each(['clear', 'warn', 'stop'] as const)(
    'is unknown once a separation that made %s is old, and shows no permit as sent',
    (scenario) => {
      const look = cellLook(mockCell(scenario, 100, 0), { ...fresh, separationStale: true });
      expect(look).toMatchObject({ state: 'unknown', stale: true, permit: 'unknown' });
      expect(look.detail).toContain(text.separation.state[scenario].toLowerCase());
    },
  );

  it.each(['connecting', 'lost'] as const)('is unknown while the page is %s', (connection) => {
    const look = cellLook(cell(), { ...fresh, connection });
    expect(look).toMatchObject({ state: 'unknown', stale: true, permit: 'unknown' });
    expect(look.detail).toContain(text.separation.lost);
  });

  it('is unknown for a word that the page does not know', () => {
    const look = cellLook(cell({ state: 'fine' as SeparationState }), fresh);
    expect(look).toMatchObject({ state: 'unknown', permit: 'unknown' });
  });

  it('shows ages as they are now', () => {
    const look = cellLook(cell({ separation_age_s: 0.1, obstacles_age_s: 0.2 }), {
      ...fresh,
      eventAge_s: 0.5,
    });
    expect(look.separationAge_s).toBeCloseTo(0.6);
    expect(look.obstaclesAge_s).toBeCloseTo(0.7);
  });

  it('repeats why the gateway does not know', () => {
    const look = cellLook(mockCell('stale-obstacles', 9, 3), { ...fresh, separationStale: true });
    expect(look.state).toBe('unknown');
    expect(look.detail).toBe(text.separation.cause['stale_obstacle']);
  });
});

it('has a sentence for each cause, and repeats a cause that it does not know', () => {
  const causes = ['silent', 'rejected', 'stale_obstacle', 'no_obstacles', 'module_set_aside'];
  causes.push('missing_parameter', 'latency', 'disconnected', 'starting');
  for (const code of ['en', 'de'] as const) {
    language.choose(code);
    for (const cause of causes) expect(causeText('unknown', cause)).toMatch(/\.$/);
    for (const state of ['clear', 'warn', 'stop']) {
      expect(causeText(state, 'margin')).toMatch(/\.$/);
    }
    expect(causeText('clear', 'no_obstacles')).not.toBe(causeText('unknown', 'no_obstacles'));
  }
  language.choose('en');
  expect(causeText('unknown', 'moon_phase')).toBe('moon phase');
  expect(causeText('unknown', 'moon_phase', 'It is full.')).toBe('It is full.');
});
