/** Which page is shown: the part of the address behind `#`, so that each has an address of its own. */
export const PAGES = ['live', 'machines', 'alarms', 'settings', 'sign-in'] as const;
export type Page = (typeof PAGES)[number];

/** Anchors of machines stand on the page of machines. */
export function pageOf(hash: string): Page | undefined {
  const name = hash.replace(/^#/, '');
  if (name.startsWith('machine-')) return 'machines';
  return PAGES.find((page) => page === name);
}

/** The pages that this gateway has something to show on. */
export function pagesOf(hasCells: boolean): Page[] {
  return hasCells ? ['live', 'machines', 'alarms', 'settings'] : ['machines', 'alarms', 'settings'];
}

class Route {
  /** Absent where the address names none. */
  page: Page | undefined = $state(pageOf(location.hash));

  constructor() {
    window.addEventListener('hashchange', () => {
      const page = pageOf(location.hash);
      // Other anchors, such as the content's, are places on the page that is shown.
      if (page || location.hash === '') this.page = page;
    });
  }

  go(page: Page): void {
    location.hash = page;
  }
}

export const route = new Route();
