import { expect, it } from 'vitest';
import { memberText } from './source.ts';

const JSON_TEXT =
  '{"a": {"axes":9}, "machines":[ {"id":"r\\"}1","records":{"axes":{"v":84.00,"t":"]\\\\"}}},\n' +
  '{"records":{"axes":{"v":-1e-2},"empty":{}}} ],"last":true}';

it.each([
  [['machines', 0, 'records', 'axes'], '{"v":84.00,"t":"]\\\\"}'],
  [['machines', 1, 'records', 'axes'], '{"v":-1e-2}'],
  [['machines', 1, 'records', 'axes', 'v'], '-1e-2'],
  [['machines', 1, 'records', 'empty'], '{}'],
  [['machines', 0, 'id'], '"r\\"}1"'],
  [['last'], 'true'],
  [[], JSON_TEXT],
])('finds %j as it stands in the text', (path, found) => {
  expect(memberText(JSON_TEXT, path)).toBe(found);
});

it.each([
  [['machines', 2]],
  [['machines', 'id']],
  [['nothing']],
  [['last', 'x']],
  [['machines', 1, 'records', 'empty', 'x']],
])('finds nothing at %j', (path) => {
  expect(memberText(JSON_TEXT, path)).toBeUndefined();
});

it.each(['', '{', '[', '{"a', '{"a":', '[1', '[1,'])('comes to an end in %j', (cut) => {
  expect(() => memberText(cut, ['b'])).not.toThrow();
  expect(() => memberText(cut, [3])).not.toThrow();
});
