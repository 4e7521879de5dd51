/** Who looks at the page, and whether they may. */
import { ask } from './api.ts';

export interface SessionInfo {
  claimed: boolean;
  user?: string;
  role?: 'viewer' | 'operator' | 'admin';
  csrf?: string;
}

/** Whether the page may be looked at: before the claim on loopback, after it by those with a role. */
export function mayLook(session: SessionInfo | undefined): boolean {
  return !session?.claimed || session.user !== undefined || session.role !== undefined;
}

class Session {
  /** Absent before the first answer. */
  info: SessionInfo | undefined = $state.raw();
  #asked = 0;

  /** Asks anew; what the gateway doesn't answer changes nothing. */
  async refresh(): Promise<void> {
    const asked = ++this.#asked;
    try {
      const info = await ask<SessionInfo>('session');
      if (asked === this.#asked) this.info = info;
    } catch {
      // The page says by itself that the gateway doesn't answer.
    }
  }

  async signIn(user: string, password: string): Promise<void> {
    await ask('session', { method: 'POST', body: { user, password }, csrf: this.info?.csrf });
    await this.refresh();
  }

  async claim(code: string, user: string, password: string): Promise<void> {
    await ask('claim', { method: 'POST', body: { code, user, password }, csrf: this.info?.csrf });
    await this.refresh();
  }

  async signOut(): Promise<void> {
    await ask('session', { method: 'DELETE', csrf: this.info?.csrf });
    await this.refresh();
  }
}

export const session = new Session();
