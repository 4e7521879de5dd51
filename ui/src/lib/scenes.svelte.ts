/** The scenes of cells, each asked once: they don't change while the gateway runs. */
import { ask } from './api.ts';
import type { Scene } from './status.ts';

const AGAIN_MS = 3000;

export class Scenes {
  #scenes: Record<string, Scene> = $state.raw({});
  #asked = new Set<string>();

  /** The cell's scene, once it is here. */
  of(cell: string): Scene | undefined {
    return this.#scenes[cell];
  }

  /** Asks for it unless that was done; tries again until the gateway answers. */
  async want(cell: string): Promise<void> {
    if (this.#asked.has(cell)) return;
    this.#asked.add(cell);
    try {
      const scene = await ask<Scene>(`cells/${encodeURIComponent(cell)}/scene`);
      this.#scenes = { ...this.#scenes, [cell]: scene };
    } catch {
      setTimeout(() => {
        this.#asked.delete(cell);
        void this.want(cell);
      }, AGAIN_MS);
    }
  }

  /** Forgets them all: another gateway's, or settings, may be behind the page by now. */
  forget(): void {
    this.#asked.clear();
  }
}
