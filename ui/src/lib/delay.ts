/**
 * How long an event was under way.
 *
 * A connection that freezes and recovers delivers its backlog late, and an event that is only now
 * read would look as fresh as its own words. Each event carries the gateway's uptime; the two
 * monotonic clocks differ by some constant, and the smallest difference ever seen belongs to the
 * event that was under way for the shortest time. Whatever an event shows above that is delay.
 */
export class DelayMeter {
  /** Two clocks may drift apart by this much; the smallest difference is let up as fast. */
  static readonly DRIFT = 200e-6;

  #least_s: number | undefined;
  #last_s = 0;

  /** The delay in seconds of an event with that uptime, received at that time of the own clock. */
  measure(uptime_s: number, received_s: number): number {
    const difference_s = received_s - uptime_s;
    if (this.#least_s !== undefined) {
      this.#least_s += (received_s - this.#last_s) * DelayMeter.DRIFT;
    }
    this.#least_s = Math.min(this.#least_s ?? difference_s, difference_s);
    this.#last_s = received_s;
    return difference_s - this.#least_s;
  }
}
