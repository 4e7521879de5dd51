import { describe, expect, it } from 'vitest';
import { mockStatus } from '../../dev/mock-status.ts';
import { Feed, LOST_AFTER_S, type MachineLook } from './feed.ts';
import { RECOVERY_S } from './freshness.ts';
import type { Status } from './status.ts';
import { text } from './text.ts';

/** The gateway's uptime when the client's clock shows zero. */
const APART_S = 1000;

function event(at_s: number, change: (status: Status) => void = () => {}): string {
  const status = mockStatus('running', at_s + APART_S);
  change(status);
  return JSON.stringify(status);
}

function only(machines: MachineLook[]): MachineLook {
  expect(machines).toHaveLength(1);
  return machines[0]!;
}

function running(until_s: number): Feed {
  const feed = new Feed(0);
  for (let tick = 0; tick <= until_s * 20; tick++) feed.accept(event(tick / 20), tick / 20);
  return feed;
}

describe('a feed', () => {
  it('waits before the first event and shows nothing as current', () => {
    const look = new Feed(5).look(8);
    expect(look.connection).toBe('connecting');
    expect(look.machines).toEqual([]);
    expect(look.eventAge_s).toBe(3);
  });

  it('shows a machine whose data is fresh as what the gateway calls it', () => {
    const look = running(1).look(1.05);
    expect(look.connection).toBe('live');
    const { condition, records } = only(look.machines);
    expect(condition).toMatchObject({ mark: 'running', word: 'Running', stale: false });
    expect(records['distance']?.stale).toBe(false);
  });

  it('calls data stale once its age on the own clock passes the limit, without any event', () => {
    const feed = running(1);
    expect(only(feed.look(1.15).machines).condition.stale).toBe(false);
    const { condition, records, frameAge_s } = only(feed.look(1.3).machines);
    expect(condition).toMatchObject({ mark: 'unknown', word: text.stale, stale: true });
    expect(records['distance']?.stale).toBe(true);
    expect(frameAge_s).toBeCloseTo(0.312, 3);
  });

  it('believes no word of a connection that is silent for too long', () => {
    const feed = running(1);
    const look = feed.look(1 + LOST_AFTER_S + 0.01);
    expect(look.connection).toBe('lost');
    expect(only(look.machines).condition).toMatchObject({ mark: 'unknown', word: text.unknown });
  });

  it('is lost at once when the browser says so, and back with the next event', () => {
    const feed = running(1);
    feed.failed();
    expect(feed.look(1.01).connection).toBe('lost');
    feed.connecting();
    feed.accept(event(1.1), 1.1);
    expect(feed.look(1.11).connection).toBe('live');
  });

  it('does not let the backlog of a frozen connection look fresh', () => {
    const feed = running(1);
    for (let sent_s = 1.05; sent_s < 3; sent_s += 0.05) feed.accept(event(sent_s), 5);
    const { condition, frameAge_s } = only(feed.look(5).machines);
    expect(frameAge_s).toBeGreaterThan(2);
    expect(condition.stale).toBe(true);
    feed.accept(event(5.05), 5.05);
    feed.accept(event(6), 6);
    expect(only(feed.look(6).machines).condition.stale).toBe(false);
  });

  it('shows a record as old while frames that give none keep coming', () => {
    const feed = new Feed(0);
    feed.accept(
      event(0, ({ machines }) => (machines[0]!.record_ages_s['distance'] = 3)),
      0,
    );
    const { condition, records } = only(feed.look(0.01).machines);
    expect(condition.stale).toBe(false);
    expect(records['distance']).toMatchObject({ stale: true });
    expect(records['axes']).toMatchObject({ stale: false });
  });

  it('takes a record without an age for old', () => {
    const feed = new Feed(0);
    feed.accept(
      event(0, ({ machines }) => (machines[0]!.record_ages_s = {})),
      0,
    );
    expect(only(feed.look(0).machines).records['distance']?.stale).toBe(true);
  });

  it.each(['', '{', 'null', '{"machines":3}', '{"machines":[]}', '[]'])(
    'changes nothing for %j',
    (source) => {
      const feed = running(1);
      expect(feed.accept(source, 1.05)).toBe(false);
      expect(feed.look(1.1).machines).toHaveLength(1);
      expect(feed.look(1.3).machines[0]?.condition.stale).toBe(true);
    },
  );

  it('counts a record once, however many events repeat it', () => {
    const feed = new Feed(0);
    const repeat = event(0);
    feed.accept(repeat, 0);
    feed.accept(repeat, 0.4);
    feed.accept(repeat, 0.8);
    expect(only(feed.look(1).machines).history.columns(1, 9)[0]).toHaveLength(1);
  });

  it('keeps a machine stale until its data has been fresh for a while', () => {
    const feed = running(1);
    feed.look(1.3);
    feed.accept(event(1.35), 1.35);
    expect(only(feed.look(1.36).machines).condition.detail).toBe(text.recovering);
    const later_s = 1.3 + RECOVERY_S + 0.1;
    feed.accept(event(later_s), later_s);
    expect(only(feed.look(later_s).machines).condition.stale).toBe(false);
  });

  it.each(['silent', 'disconnected', 'starting'] as const)(
    'repeats the word of a line that is %s and shows nothing as current',
    (state) => {
      const feed = new Feed(0);
      feed.accept(JSON.stringify(mockStatus(state, 9, 9)), 9);
      const { condition } = only(feed.look(9).machines);
      expect(condition).toMatchObject({ mark: state, word: text.lineState[state], stale: true });
      expect(condition.detail).not.toBe('');
    },
  );
});

describe('a feed of cells', () => {
  function cells(until_s: number): Feed {
    const feed = new Feed(0);
    for (let tick = 0; tick <= until_s * 20; tick++) {
      const source = JSON.stringify(mockStatus('clear', tick / 20 + APART_S));
      feed.accept(source, tick / 20);
    }
    return feed;
  }

  it('repeats the state while the separation is fresh', () => {
    const [look] = cells(1).look(1.02).cells;
    expect(look).toMatchObject({ state: 'clear', stale: false });
  });

  it('knows it no more once the separation is old, without any event', () => {
    const [look] = cells(1).look(1.35).cells;
    expect(look).toMatchObject({ state: 'unknown', stale: true });
  });

  it('knows it no more within a second after the connection fell silent', () => {
    const feed = cells(1);
    expect(feed.look(1.99).connection).toBe('lost');
    expect(feed.look(1.99).cells[0]).toMatchObject({ state: 'unknown', stale: true });
  });

  it('trusts no state without an age of its separation', () => {
    const feed = new Feed(0);
    const status = mockStatus('clear', APART_S);
    delete status.cells[0]!.separation_age_s;
    feed.accept(JSON.stringify(status), 0);
    expect(feed.look(0).cells[0]?.state).toBe('unknown');
  });

  it('has no cells where the gateway tells of none', () => {
    const feed = new Feed(0);
    feed.accept(JSON.stringify(mockStatus('none', APART_S)), 0);
    expect(feed.look(0).cells).toEqual([]);
  });

  it('keeps the last minutes by the clock of the gateway', () => {
    const feed = cells(2);
    const { gateway_s } = feed.look(2);
    const [times, distances] = feed.trail('press-line').columns(gateway_s - 9, gateway_s, 1);
    expect(times.length).toBeGreaterThan(8);
    expect(distances.every((value) => value !== null && value > 0)).toBe(true);
    expect(gateway_s - times.at(-1)!).toBeLessThan(0.5);
  });
});
