/**
 * Requests to the gateway. Each fails with a sentence for people: the gateway's own (problem+json)
 * where the reader's language is its, else one of the page's.
 */
import { text } from './text.ts';

export class ApiError extends Error {
  /** Zero where there was no answer at all. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface Asking {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  body?: unknown;
  csrf?: string | undefined;
  signal?: AbortSignal;
}

/** The answer's JSON; `undefined` where there is none. */
export async function ask<T>(path: string, asking: Asking = {}): Promise<T> {
  const { method = 'GET', body, csrf, signal } = asking;
  const headers: Record<string, string> = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (csrf !== undefined) headers['x-csrf-token'] = csrf;
  let response: Response;
  let said: string;
  try {
    response = await fetch(`/api/v1/${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
    said = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, text.errors.unreachable);
  }
  if (!response.ok) throw new ApiError(response.status, problem(response.status, said));
  if (said === '') return undefined as T;
  try {
    return JSON.parse(said) as T;
  } catch {
    throw new ApiError(response.status, text.errors.unreadable);
  }
}

/** What went wrong, out of a problem+json. */
export function problem(status: number, said: string): string {
  const plain = text.errors.status(status);
  if (!text.repeatsGateway) return plain;
  try {
    const { detail, title } = JSON.parse(said) as { detail?: unknown; title?: unknown };
    return [detail, title].find((each) => typeof each === 'string' && each !== '')
      ? String(detail ?? title)
      : plain;
  } catch {
    return plain;
  }
}

/** What an error says to people. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
