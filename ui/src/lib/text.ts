/** Every word that the page says, in one place: a second language is a second object like this. */
import type { LineState, UplinkState } from './status.ts';

export const text = {
  locale: 'en-GB',
  product: 'Retrotap',
  advisory: 'Advisory: not a safety function',
  simulated: 'Simulated machine',
  skipToContent: 'Skip to the machines',
  overview: 'Machines',
  theme: {
    toDark: 'Dark',
    toLight: 'Light',
    toggle: (to: string) => `Switch to ${to.toLowerCase()} colours`,
  },
  noValue: '\u2013',

  connection: {
    connecting: 'Waiting for the gateway',
    connectingDetail: 'The page is here, the first values are not yet.',
    lost: 'Connection lost',
    lostDetail: (age: string) =>
      `No word from the gateway for ${age}. What is shown is old; trying again.`,
    lastWord: (word: string) => `When last heard of: ${word.toLowerCase()}.`,
    back: 'Connected to the gateway again',
    noMachines: 'No machine is configured on this gateway.',
  },

  lineState: {
    starting: 'Starting',
    running: 'Running',
    silent: 'Silent',
    disconnected: 'Disconnected',
    failed: 'Failed',
  } satisfies Record<LineState, string>,
  lineDetail: {
    starting: 'The line opens its port or waits for the first frame.',
    running: 'Frames come in and are up to date.',
    silent: 'The port is there, but the machine sends nothing.',
    disconnected: 'The port is gone. The line goes on by itself when it is back.',
    failed: 'The line can\u2019t go on by itself.',
  } satisfies Record<LineState, string>,
  stale: 'Stale',
  staleDetail: (age: string) => `No fresh data for ${age}.`,
  recovering: 'Data comes again; a moment to be sure.',
  unknown: 'Unknown',
  since: (time: string) => `Since ${time}.`,
  announce: (machine: string, word: string) => `${machine}: ${word}`,

  distance: {
    title: 'Distance',
    old: (age: string) => `${age} old`,
    none: 'No distance yet',
    noneNow: 'No distance in the newest record',
  },
  figures: {
    age: 'Data age',
    closing: 'Closing speed',
    approaching: 'approaching',
    retreating: 'moving apart',
    steady: 'steady',
    link: 'Nearest link',
    obstacle: 'Nearest obstacle',
    least: 'Least in last minute',
  },
  flange: 'Flange',
  axes: 'Axes',
  axesAge: 'oldest value',
  outside: 'outside its limits',

  chart: {
    title: 'Last minute',
    distance: 'Distance',
    closing: 'Closing speed',
    now: 'now',
    summary: (newest: string, least: string) =>
      `Chart of the last minute. Distance is ${newest} m, least ${least} m.`,
  },

  line: {
    title: 'Line',
    frames: 'Frames',
    framesPerSecond: 'Frames per second',
    rejected: 'Rejected frames',
    skipped: 'Skipped bytes',
    errors: 'Line errors',
    dropped: 'Dropped records',
    none: 'none',
  },

  uplink: {
    title: 'Uplink',
    state: {
      connected: 'Connected',
      connecting: 'Connecting',
      refused: 'Refused',
      off: 'Off',
    } satisfies Record<UplinkState, string>,
    waiting: (records: string) => `${records} waiting`,
    unreleased: 'Waiting records',
    oldest: 'Oldest waiting',
  },

  json: {
    title: 'JSON as it goes out',
    hold: 'Hold',
    follow: 'Follow',
    record: 'Record',
    none: 'No record yet.',
  },
};
