/** Every word that the page says, in the language that the reader chose. */
import { type Language, language } from './language.svelte.ts';
import { german } from './words/de.ts';
import { english, type Words } from './words/en.ts';

export const DICTIONARIES: Record<Language, Words> = { en: english, de: german };

/** Asked anew at each use, so a page that shows a word follows the choice by itself. */
export const text: Words = new Proxy(english, {
  get: (_target, key) => Reflect.get(DICTIONARIES[language.code], key) as unknown,
});
