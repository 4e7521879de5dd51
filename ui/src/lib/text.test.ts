import { afterEach, expect, it } from 'vitest';
import { fieldOf, fixed, linkName } from './format.ts';
import { language, preferred } from './language.svelte.ts';
import { DICTIONARIES, text } from './text.ts';

afterEach(() => language.choose('en'));

/** Every key with what kind of word it holds: names that others count by may differ. */
function keys(words: object, at = ''): string[] {
  return Object.entries(words).flatMap(([key, value]) => {
    if (at === 'line.' && key === 'cause') return [];
    if (typeof value === 'object' && value !== null) return keys(value as object, `${at}${key}.`);
    return [`${at}${key}: ${typeof value}${typeof value === 'function' ? value.length : ''}`];
  });
}

/** All words of more than one; of a function what it says besides its arguments. */
function sentences(words: object): string[] {
  return Object.values(words).flatMap((value: unknown): string[] => {
    if (typeof value === 'object' && value !== null) return sentences(value);
    const said = typeof value === 'function' ? String(value).split('=>')[1] : String(value);
    return [(said ?? '').replace(/\$\{[^}]*\}/g, '')];
  });
}

it('has the same keys in both languages', () => {
  expect(keys(DICTIONARIES.de).sort()).toEqual(keys(DICTIONARIES.en).sort());
});

it('leaves no English sentence in the German words', () => {
  const isSentence = (each: string): boolean => /[a-z] [a-z]/i.test(each);
  const english = new Set(sentences(DICTIONARIES.en).filter(isSentence));
  expect(english.size).toBeGreaterThan(50);
  expect(sentences(DICTIONARIES.de).filter((each) => english.has(each))).toEqual([]);
});

it('follows the choice at once, figures and names too', () => {
  expect(fixed(1.5, 2)).toBe('1.50');
  expect(fieldOf('axis_3_deg').label).toBe('axis 3');
  language.choose('de');
  expect(text.separation.state.stop).toBe('Halt');
  expect(fixed(-1.5, 2)).toBe('\u22121,50');
  expect(fieldOf('axis_3_deg').label).toBe('Achse 3');
  expect(linkName('link_3')).toBe('Glied 3');
  expect(linkName('gripper_left')).toBe('gripper left');
});

it('takes the first language of the browser that there is', () => {
  expect(preferred(['de-AT', 'en'])).toBe('de');
  expect(preferred(['fr', 'de', 'en'])).toBe('de');
  expect(preferred(['fr-FR'])).toBe('en');
  expect(preferred(['den'])).toBe('en');
  expect(preferred([])).toBe('en');
});
