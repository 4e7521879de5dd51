/**
 * Whether a value may be shown as current.
 *
 * Going stale takes effect at once. Becoming fresh again takes [RECOVERY_S] without a break, so
 * that data at the edge doesn't make the page flicker; the doubt stands on the safe side.
 */
export const RECOVERY_S = 0.5;

export class Freshness {
  #staleUntil_s = -Infinity;

  /** True while a value of that age must be greyed out; `undefined` is a value that never came. */
  isStale(age_s: number | undefined, staleAfter_s: number, now_s: number): boolean {
    // Written so that an age which is not a number is stale.
    const fresh = age_s !== undefined && age_s <= staleAfter_s;
    if (!fresh) {
      // What never came needs no recovery: there is nothing to flicker.
      if (age_s !== undefined) this.#staleUntil_s = now_s + RECOVERY_S;
      return true;
    }
    return now_s < this.#staleUntil_s;
  }
}
