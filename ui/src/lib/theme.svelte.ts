/** Light or dark: as the system says until the reader says otherwise, and that is remembered. */
type Scheme = 'light' | 'dark';

const KEY = 'retrotap.scheme';

const systemIsDark = window.matchMedia('(prefers-color-scheme: dark)');

class Theme {
  #system: Scheme = $state(systemIsDark.matches ? 'dark' : 'light');
  #chosen: Scheme | undefined = $state(remembered());

  constructor() {
    systemIsDark.addEventListener('change', () => {
      this.#system = systemIsDark.matches ? 'dark' : 'light';
    });
    this.#apply();
  }

  get scheme(): Scheme {
    return this.#chosen ?? this.#system;
  }

  toggle(): void {
    this.#chosen = this.scheme === 'dark' ? 'light' : 'dark';
    try {
      localStorage.setItem(KEY, this.#chosen);
    } catch {
      // A browser that keeps nothing still switches until it is closed.
    }
    this.#apply();
  }

  #apply(): void {
    if (this.#chosen) document.documentElement.dataset['scheme'] = this.#chosen;
  }
}

function remembered(): Scheme | undefined {
  try {
    const scheme = localStorage.getItem(KEY);
    return scheme === 'light' || scheme === 'dark' ? scheme : undefined;
  } catch {
    return undefined;
  }
}

export const theme = new Theme();
