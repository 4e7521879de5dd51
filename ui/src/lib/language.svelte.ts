/** English or German: as the browser asks until the reader says otherwise, and that is remembered. */
export const LANGUAGES = ['en', 'de'] as const;
export type Language = (typeof LANGUAGES)[number];

const KEY = 'retrotap.language';

/** The first of the wanted languages that there is; English where there is none of them. */
export function preferred(wanted: readonly string[]): Language {
  for (const each of wanted) {
    const found = LANGUAGES.find((language) => each.toLowerCase().split('-')[0] === language);
    if (found) return found;
  }
  return 'en';
}

class LanguageChoice {
  #code: Language = $state(remembered() ?? preferred(globalThis.navigator?.languages ?? []));

  get code(): Language {
    return this.#code;
  }

  choose(code: Language): void {
    this.#code = code;
    try {
      localStorage.setItem(KEY, code);
    } catch {
      // A browser that keeps nothing still switches until it is closed.
    }
  }
}

function remembered(): Language | undefined {
  try {
    const code = localStorage.getItem(KEY);
    return LANGUAGES.find((language) => language === code);
  } catch {
    return undefined;
  }
}

export const language = new LanguageChoice();
