import { describe, expect, it } from 'vitest';
import { mockCell, mockHistory, momentAt } from '../../dev/mock-cell.ts';
import type { Scenario } from '../../dev/mock-status.ts';
import { elapsed, stamp } from '../../dev/mock-time.ts';
import { seconds } from './format.ts';
import { Past, momentLook, transitionOf } from './past.ts';
import type { GatewayRecord } from './status.ts';
import { text } from './text.ts';

const at = (elapsed_s: number): number => seconds(stamp(elapsed_s));

function past(
  scenarioAt: (at_s: number) => Scenario = () => 'running',
  change: (records: GatewayRecord[]) => GatewayRecord[] = (records) => records,
): Past {
  const records = ['separation', 'axes', 'separation_state'].flatMap((record) =>
    mockHistory(scenarioAt, record, 0, 60),
  );
  return new Past([at(0), at(60)], ['robot-1'], change(records), 0.2);
}

describe('looking back', () => {
  it('shows what was recorded last at each moment, nothing younger and nothing in between', () => {
    for (const elapsed_s of [1, 20.03, 41.9]) {
      const moment = past().at(at(elapsed_s));
      const age_s = moment.separationAge_s!;
      expect(age_s).toBeGreaterThanOrEqual(0);
      expect(age_s).toBeLessThan(0.07);
      const wanted = momentAt('running', elapsed_s - age_s);
      expect(moment.separation?.distance_m).toBeCloseTo(Number(wanted.separation['distance_m']), 2);
      expect(moment.axes['robot-1']?.['axis_1_deg']).toBeDefined();
    }
  });

  it('has the state of the last transition, and before the first what that one came from', () => {
    const { transitions } = past();
    expect(transitions.length).toBeGreaterThan(2);
    const whole = past();
    expect(whole.at(transitions[0]!.at_s - 0.1).state).toBe(transitions[0]!.was);
    for (const transition of transitions) {
      expect(whole.at(transition.at_s + 0.01).state).toBe(transition.state);
    }
  });

  it('knows nothing of a moment whose records are missing, whatever the state before was', () => {
    const silent = past(
      () => 'clear',
      (records) => records.filter(({ t }) => elapsed(t) < 20 || elapsed(t) > 30),
    );
    const moment = silent.at(at(25));
    expect(moment).toMatchObject({ state: 'unknown', axes: {} });
    expect(moment.separation).toBeUndefined();
    const look = momentLook(mockCell('clear', 60, 0), moment);
    expect(look).toMatchObject({ state: 'unknown', stale: true, permit: 'unknown' });
    expect(look.detail).toBe(text.past.nothing);
    expect(look.word).toBe(text.separation.state.unknown);
  });

  it('is unknown where no transition was kept', () => {
    const without = past(
      () => 'clear',
      (records) => records.filter(({ record }) => record !== 'separation_state'),
    );
    expect(without.at(at(5)).state).toBe('unknown');
    expect(without.at(at(5)).separation).toBeDefined();
  });

  it('lets the robot with the least margin decide, and the worst state hold', () => {
    const records = ['separation', 'axes', 'separation_state'].flatMap((record) =>
      mockHistory(() => 'clear', record, 0, 10),
    );
    const others = ['separation', 'axes'].flatMap((record) =>
      mockHistory(() => 'stop', record, 0, 10).map((each) => ({ ...each, machine: 'robot-2' })),
    );
    const states = ['robot-1', 'robot-2'].map((machine) => ({
      t: stamp(0),
      seq: 0,
      machine,
      record: 'separation_state',
      fields: { state: machine === 'robot-1' ? 'clear' : 'stop', was: 'unknown', cause: 'margin' },
    }));
    const window: [number, number] = [at(0), at(10)];
    const both = new Past(window, ['robot-1', 'robot-2'], [...records, ...others, ...states], 0.2);
    expect(both.at(at(5))).toMatchObject({ machine: 'robot-2', state: 'stop' });
    const silent = new Past(window, ['robot-1', 'robot-2'], [...records, ...states], 0.2);
    expect(silent.at(at(5)).state).toBe('unknown');
  });

  it('steps from record to record and ends at the ends', () => {
    const whole = past();
    const next_s = whole.step(at(10), 1)!;
    expect(next_s - at(10)).toBeGreaterThan(0);
    expect(next_s - at(10)).toBeLessThan(0.07);
    expect(whole.step(next_s, -1)).toBeLessThan(next_s);
    expect(whole.step(at(60), 1)).toBeUndefined();
  });

  it('draws its window', () => {
    const columns = past().columns();
    expect(columns[0].length).toBeGreaterThan(250);
    expect(columns[0][0]).toBeGreaterThanOrEqual(at(0) - 0.2);
  });
});

it('takes no record for a transition that is none, and no unknown word for a state', () => {
  const record = { t: stamp(0), seq: 1, machine: 'r', record: 'axes', fields: {} };
  expect(transitionOf(record)).toBeUndefined();
  expect(transitionOf({ ...record, record: 'separation_state', t: 'soon' })).toBeUndefined();
  expect(
    transitionOf({ ...record, record: 'separation_state', fields: { state: 'fine' } })?.state,
  ).toBe('unknown');
});
