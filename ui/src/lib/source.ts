/**
 * A member of a JSON text, as it stands there.
 *
 * Reading a record and writing it again would show `84` where the gateway sends `84.00`; whoever
 * looks at the JSON wants to see what leaves. The text must be valid JSON: read it first. Keys are
 * found as the gateway writes them, without needless escapes.
 */
export function memberText(json: string, path: readonly (string | number)[]): string | undefined {
  let at = skipSpace(json, 0);
  for (const step of path) {
    const found = typeof step === 'string' ? findKey(json, at, step) : findItem(json, at, step);
    if (found === undefined) return undefined;
    at = found;
  }
  return json.slice(at, endOfValue(json, at));
}

function findKey(json: string, object: number, key: string): number | undefined {
  if (json[object] !== '{') return undefined;
  let at = skipSpace(json, object + 1);
  while (json[at] === '"') {
    const keyEnd = endOfString(json, at);
    const value = skipSpace(json, skipSpace(json, keyEnd) + 1);
    if (json.slice(at, keyEnd) === JSON.stringify(key)) return value;
    at = skipSpace(json, skipSpace(json, endOfValue(json, value)) + 1);
  }
  return undefined;
}

function findItem(json: string, array: number, index: number): number | undefined {
  if (json[array] !== '[') return undefined;
  let at = skipSpace(json, array + 1);
  for (let number = 0; at < json.length && json[at] !== ']'; number++) {
    if (number === index) return at;
    const end = skipSpace(json, endOfValue(json, at));
    if (json[end] !== ',') return undefined;
    at = skipSpace(json, end + 1);
  }
  return undefined;
}

function endOfValue(json: string, start: number): number {
  let at = start;
  let depth = 0;
  while (at < json.length) {
    const character = json[at];
    if (character === '"') {
      at = endOfString(json, at);
      if (depth === 0) return at;
      continue;
    }
    if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') {
      if (depth === 0) return at;
      depth--;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && /[,\s]/.test(character ?? '')) return at;
    at++;
  }
  return at;
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}

function skipSpace(json: string, start: number): number {
  let at = start;
  while (at < json.length && /\s/.test(json[at] ?? '')) at++;
  return at;
}
